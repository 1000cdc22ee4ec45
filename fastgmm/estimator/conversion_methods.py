"""A mixture made of known parameters, and scikit-learn's estimator made of a mixture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgmm.em import Run
from fastgmm.estimator.mixture import BaseMixture
from fastgmm.estimator.parameter_validation import check_covariances, check_factors, check_weights
from fastgmm.estimator.problem import run_attributes
from fastgmm.families import Family, Gaussian, LowRankFamily
from fastgmm.model import MixtureParameters
from fastgmm.model.shapes.low_rank import numbers_of_factors, packed

if TYPE_CHECKING:
    import sklearn.mixture

__all__ = ["ConversionMethods", "sklearn_counterpart"]


class ConversionMethods(BaseMixture):
    """The part of the maximum-likelihood estimator that comes from parameters and goes to scikit-learn."""

    @classmethod
    def from_parameters(
        cls, weights: Any, means: Any, covariances: Any, *, covariance_type: Any = "full", random_state: Any = None
    ) -> Self:
        """Return a fitted model with known parameters.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            The weight of each component, not negative. Together they sum to one.
        means : array-like of shape (n_components, n_features)
            The mean of each component.
        covariances : array-like, or a pair of them
            The covariances, in the shape that `covariances_` has for `covariance_type`. For components with factors,
            loadings of shape (n_components, n_features, n_factors) and noise variances of shape (n_components,
            n_features).
        covariance_type : str, default='full'
            The shape of the covariances, any that `covariance_type` of the estimator takes.
        random_state : int, RandomState or None
            For `sample`.

        Returns
        -------
        model : GaussianMixture
            ``n_iter_`` is 0, ``lower_bound_`` -inf and ``converged_`` False: it has seen no data.

        Raises
        ------
        ValueError
            If shapes disagree, weights do not sum to one, or a covariance is not symmetric positive definite.

        See Also
        --------
        fit : Estimates the parameters from rows.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [[[1.0]], [[1.0]]])
        >>> model.predict([[1.0], [3.0]])
        array([0, 1])
        """
        return cls._known(weights, means, covariances, covariance_type, random_state)

    @classmethod
    def _known(
        cls,
        weights: Any,
        means: Any,
        covariances: Any,
        covariance_type: Any,
        random_state: Any = None,
        n_factors: Any = None,
        **tail: Any,
    ) -> Self:
        """Return a fitted model of known parameters; `tail` are those of components that are not Gaussian."""
        means = np.array(means, dtype=np.float64, order="C")
        if means.ndim != 2 or 0 in means.shape or not np.isfinite(means).all():
            raise ValueError(f"means has shape {means.shape}; expected finite (n_components, n_features)")
        model = cls(n_components=means.shape[0], covariance_type=covariance_type, random_state=random_state)
        weights = np.array(check_weights(weights, means.shape[0]), dtype=np.float64)
        if isinstance(model._covariance, LowRankFamily):
            covariances = packed(*check_factors(covariances, *means.shape))
            numbers = numbers_of_factors(covariances[..., :-1]).tolist() if n_factors is None else n_factors
            model.n_factors = numbers[0] if isinstance(numbers, list) and len(set(numbers)) == 1 else numbers
            shape = model._covariance.stored(covariances)
        else:
            shape = model._covariance.shape
            model._covariance.check_n_features(means.shape[1])
            covariances = np.array(check_covariances(covariances, shape, *means.shape), dtype=np.float64, order="C")
        state = MixtureParameters(shape.name, weights, means, covariances, shape.factorise(covariances))
        model._set_state(*model._described(state, **tail), np.dtype(np.float64))
        model.n_features_in_ = means.shape[1]
        model.__dict__.update(run_attributes(Run(state), 0, np.float64))
        model.stopped_, model.n_samples_seen_ = False, 0.0
        return model

    def _described(self, mixture: MixtureParameters) -> tuple[Family, Any]:
        """Return the family, and the state of it, that has the parameters of `mixture`."""
        return Gaussian(self._covariance), mixture

    def to_sklearn(self) -> sklearn.mixture.GaussianMixture:
        """Return a fitted scikit-learn estimator that predicts the same.

        Returns
        -------
        sklearn.mixture.GaussianMixture
            Its ``covariance_type`` is the one that stores these covariances: full, tied, diag or spherical.

        See Also
        --------
        fastgmm.from_sklearn : The way back.
        """
        from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

        check_is_fitted(self)
        if not isinstance(self._fitted_state(), MixtureParameters):
            raise ValueError("noise is part of this model and scikit-learn's has none; refit with noise=None")
        return sklearn_counterpart(self, SklearnGaussianMixture)


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
    if "loadings_" in vars(model):
        raise ValueError(
            f"scikit-learn's mixtures have no loadings, and this model's covariance_type is {model.covariance_type!r}; "
            "use from_parameters(weights_, means_, covariances_) for whole matrices, and convert that"
        )
    parameters["covariance_type"] = model._covariance.shape.name
    parameters["n_components"] = len(model.means_)
    if not isinstance(model.init_params, str) or model.init_params in ("hc", "multistart"):
        parameters["init_params"] = "kmeans"  # scikit-learn's fit takes neither memberships nor these starts
    known = cls._get_param_names()  # type: ignore[attr-defined]
    other = cls(**{name: value for name, value in parameters.items() if name in known})
    for name, value in vars(model).items():
        if name.endswith("_") and not name.startswith("_"):
            setattr(other, name, value.copy() if isinstance(value, np.ndarray) else value)
    return other
