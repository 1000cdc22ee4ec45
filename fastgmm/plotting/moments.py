"""Reading a fitted mixture: weights, means and covariance matrices, whatever its covariance type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgmm.model import MixtureParameters
from fastgmm.model.shapes import FULL
from fastgmm.model.student import StudentParameters
from fastgmm.summary import full_covariances

__all__ = ["Moments", "mixture_of", "moments_of"]


@dataclass(frozen=True)
class Moments:
    """A mixture with one matrix per component.

    Attributes
    ----------
    weights : ndarray of shape (n_components,)
        They sum to one; a background component is left out.
    means : ndarray of shape (n_components, n_features)
    covariances : ndarray of shape (n_components, n_features, n_features)
        Scale matrices, of t components.
    degrees_of_freedom : ndarray of shape (n_components,)
        Infinite for normal components.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    degrees_of_freedom: np.ndarray

    def density(self) -> MixtureParameters:
        """Return the mixture as the density that it is."""
        factor = FULL.factorise(np.ascontiguousarray(self.covariances))
        mixture = MixtureParameters(FULL.name, self.weights, self.means, self.covariances, factor)
        normal = np.isinf(self.degrees_of_freedom).all()
        return mixture if normal else StudentParameters.of(mixture, self.degrees_of_freedom)

    @property
    def mean(self) -> np.ndarray:
        """Mean of the whole mixture, shape (n_features,)."""
        return self.weights @ self.means

    @property
    def within(self) -> np.ndarray:
        """Mean covariance within components, shape (n_features, n_features)."""
        return np.einsum("k,kij->ij", self.weights, self.covariances)

    @property
    def between(self) -> np.ndarray:
        """Covariance of the component means, shape (n_features, n_features)."""
        shift = self.means - self.mean
        return (self.weights * shift.T) @ shift


def mixture_of(model: Any) -> Any:
    """Return the fitted mixture that `model` is, or has found best.

    Raises
    ------
    TypeError
        If it is neither; `NotFittedError` if it is not fitted.
    """
    check_is_fitted(model)
    for name in ("best_estimator_", "mixture_"):  # of a search, of an outlier detector
        model = getattr(model, name, model)
    if not hasattr(model, "means_") or not hasattr(model, "covariance_type"):
        raise TypeError(f"model is a {type(model).__name__}; expected a Gaussian mixture")
    return model


def moments_of(model: Any) -> Moments:
    """Return weights, means and full covariances of a fitted mixture, in float64."""
    model = mixture_of(model)
    weights, means = np.asarray(model.weights_, dtype=np.float64), np.asarray(model.means_, dtype=np.float64)
    dof = np.asarray(getattr(model, "df_", np.full(len(weights), np.inf)), dtype=np.float64)
    return Moments(weights / weights.sum(), means, full_covariances(model), dof)
