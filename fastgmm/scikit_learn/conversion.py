"""Our model made of one of scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgmm.bayesian_mixture import BayesianGaussianMixture
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.scikit_learn.classes import GUARDS
from fastgmm.scikit_learn.companions import ORIGINALS

__all__ = ["from_sklearn"]


def from_sklearn(model: Any) -> GaussianMixture | BayesianGaussianMixture:
    """Return our estimator with the parameters and the fitted attributes of one of scikit-learn's.

    Parameters
    ----------
    model : sklearn.mixture.GaussianMixture or sklearn.mixture.BayesianGaussianMixture
        The model to convert, fitted or not.

    Returns
    -------
    estimator : GaussianMixture or BayesianGaussianMixture
        An estimator that predicts the same. Its arrays are copies. Its method ``to_sklearn()`` goes back.

    Raises
    ------
    TypeError
        If `model` is no mixture of scikit-learn's, or of a subclass that overrides what predictions are made of.

    See Also
    --------
    patch_sklearn : Makes scikit-learn's own classes fast.

    Examples
    --------
    >>> import fastgmm, sklearn.mixture
    >>> theirs = sklearn.mixture.GaussianMixture(random_state=0).fit([[0.0], [2.0]])
    >>> ours = fastgmm.from_sklearn(theirs)
    >>> ours.score([[1.0]]) == theirs.score([[1.0]])
    True
    """
    ours = {"GaussianMixture": GaussianMixture, "BayesianGaussianMixture": BayesianGaussianMixture}
    name = next((name for name, original in ORIGINALS.items() if isinstance(model, original)), None)
    if name is None:
        raise TypeError(
            f"model is a {type(model).__name__}; expected a GaussianMixture or a BayesianGaussianMixture of "
            "scikit-learn's"
        )
    overridden = GUARDS[name].finds(model, "score_samples")
    if overridden is not None:
        raise TypeError(
            f"model is a {type(model).__name__}, which overrides {overridden}; fastgmm would predict without it. "
            "Convert a model of scikit-learn's own class, or use this one as it is"
        )
    cls: Any = ours[name]
    known = model.get_params(deep=False)
    estimator = cls(**{parameter: known[parameter] for parameter in cls._get_param_names() if parameter in known})
    for attribute, value in vars(model).items():
        if attribute.endswith("_") and not attribute.startswith("_"):
            copied = value.copy() if isinstance(value, np.ndarray | list) else value
            setattr(estimator, attribute, copied)
    return estimator
