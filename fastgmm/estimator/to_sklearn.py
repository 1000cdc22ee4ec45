"""The scikit-learn estimator that predicts what a fitted one of ours does."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

__all__ = ["sklearn_counterpart"]


def sklearn_counterpart(model: Any, cls: type) -> Any:
    """Return a fitted estimator of scikit-learn's `cls` with the parameters and attributes of `model`.

    Parameters
    ----------
    model : fitted GaussianMixture or BayesianGaussianMixture
    cls : type
        scikit-learn's class of the same name.

    Returns
    -------
    estimator
        Its ``covariance_type`` is the one of scikit-learn's four that stores these covariances; arrays are copies.
    """
    check_is_fitted(model)
    parameters = model.get_params(deep=False)
    parameters["covariance_type"] = model._covariance.shape.name
    if not isinstance(model.init_params, str) or model.init_params in ("hc", "multistart"):
        parameters["init_params"] = "kmeans"  # scikit-learn's fit takes neither memberships nor these starts
    known = cls._get_param_names()  # type: ignore[attr-defined]
    other = cls(**{name: value for name, value in parameters.items() if name in known})
    for name, value in vars(model).items():
        if name.endswith("_") and not name.startswith("_"):
            setattr(other, name, value.copy() if isinstance(value, np.ndarray) else value)
    return other
