"""The parameters of a Gaussian mixture, in the form the kernels consume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from fastgmm.model.shapes import FULL, Shape, get_shape

__all__ = ["MixtureParameters", "with_whole_matrices"]

LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True)
class MixtureParameters:
    """Weights, means, covariances and precision factors of a mixture.

    Attributes
    ----------
    structure : {'full', 'tied', 'diag', 'spherical'}
        The name of `shape`: how `covariances` and `precisions_cholesky` are stored.
    weights : ndarray of shape (n_components,), float64
        The share of each component.
    means : ndarray of shape (n_components, n_features), float64
        The mean of each component.
    covariances : ndarray, float64
        (K, D, D), (D, D), (K, D) or (K,) for full, tied, diag, spherical.
    precisions_cholesky : ndarray, float64
        Upper triangular ``U`` with ``precision = U U^T`` for full and tied; ``1 / sd`` for diag and spherical.
    """

    structure: str
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    precisions_cholesky: np.ndarray

    @classmethod
    def with_log_offset(cls, structure, weights, means, covariances, precisions_cholesky, log_offset):
        """Return the mixture, with a `log_offset` that the M-step has computed beside its factors."""
        parameters = cls(structure, weights, means, covariances, precisions_cholesky)
        parameters.__dict__["log_offset"] = log_offset
        return parameters

    @property
    def shape(self) -> Shape:
        """The algebra of these matrices."""
        return get_shape(self.structure)

    @property
    def n_components(self) -> int:
        """Number of components."""
        return self.means.shape[0]

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.means.shape[1]

    @cached_property
    def log_det_precision_factor(self) -> np.ndarray:
        """Half the log-determinant of each precision matrix, shape (n_components,), in nats."""
        return self.shape.half_log_det(self.precisions_cholesky, self.n_components, self.n_features)

    @cached_property
    def log_offset(self) -> np.ndarray:
        """Log weight plus log normaliser of each component, shape (n_components,), in nats.

        The log of the weighted density at ``x`` is ``log_offset - 0.5 |(x - mean) U|^2``.
        """
        if self.weights.min() > 0:
            log_weights = np.log(self.weights)
        else:
            # Entering errstate costs more than the logarithms.
            with np.errstate(divide="ignore"):
                log_weights = np.log(self.weights)
        return log_weights + self.log_det_precision_factor - 0.5 * self.n_features * LOG_2PI


def with_whole_matrices(mixture: Any) -> Any:
    """Return a mixture with whole matrices in place of loadings and noise; one that has such as it is."""
    if mixture.shape.n_factors is None:
        return mixture
    covariances = mixture.shape.full(mixture.covariances, *mixture.means.shape)
    factor = FULL.factorise(covariances)
    return replace(mixture, structure=FULL.name, covariances=covariances, precisions_cholesky=factor)
