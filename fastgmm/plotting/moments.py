"""Reading a fitted mixture: weights, means and covariance matrices, whatever its covariance type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

__all__ = ["Moments", "mixture_of", "moments_of"]


@dataclass(frozen=True)
class Moments:
    """A mixture with one matrix per component.

    Attributes
    ----------
    weights : ndarray of shape (n_components,)
    means : ndarray of shape (n_components, n_features)
    covariances : ndarray of shape (n_components, n_features, n_features)
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

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
    model = getattr(model, "best_estimator_", model)
    if not hasattr(model, "means_") or not hasattr(model, "covariance_type"):
        raise TypeError(f"model is a {type(model).__name__}; expected a Gaussian mixture")
    return model


def moments_of(model: Any) -> Moments:
    """Return weights, means and full covariances of a fitted mixture, in float64."""
    model = mixture_of(model)
    kernel = model._structure.kernel if hasattr(model, "_structure") else model.covariance_type
    weights, means, covariances = (
        np.asarray(part, dtype=np.float64) for part in (model.weights_, model.means_, model.covariances_)
    )
    n_components, n_features = means.shape
    if kernel == "tied":
        covariances = np.broadcast_to(covariances, (n_components, n_features, n_features))
    elif kernel == "diag":
        covariances = covariances[:, :, None] * np.eye(n_features)
    elif kernel == "spherical":
        covariances = covariances[:, None, None] * np.eye(n_features)
    return Moments(weights / weights.sum(), means, covariances)
