"""Distances from the components of a mixture, in units of their own covariances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastgmm import kernels
from fastgmm.data import blocks_of
from fastgmm.model import MixtureParameters

__all__ = ["Components", "components_of", "mahalanobis", "squared_distances"]


@dataclass(frozen=True)
class Components:
    """What the kernels read of a mixture: nothing but a precision factor, a mean and an offset per component.

    Attributes
    ----------
    structure : {'full', 'tied', 'diag', 'spherical'}
    log_offset : ndarray of shape (n_components,), float64
        In nats; need not be a normaliser.
    means : ndarray of shape (n_components, n_features), float64
    precisions_cholesky : ndarray, float64
    """

    structure: str
    log_offset: np.ndarray
    means: np.ndarray
    precisions_cholesky: np.ndarray

    @property
    def n_components(self) -> int:
        """Number of components."""
        return self.means.shape[0]


def components_of(parameters: MixtureParameters | Components, chosen, log_offset=None) -> Components:
    """Return the components `chosen`, an index array or slice, of a mixture, by default with their own offsets."""
    factor = parameters.precisions_cholesky
    return Components(
        parameters.structure,
        np.ascontiguousarray(parameters.log_offset[chosen] if log_offset is None else log_offset),
        np.ascontiguousarray(parameters.means[chosen]),
        factor if parameters.structure == "tied" else np.ascontiguousarray(factor[chosen]),
    )


def squared_distances(X: np.ndarray, parameters: MixtureParameters | Components) -> np.ndarray:
    """Return the squared Mahalanobis distance of each row from each component, (n_samples, n_components), float64.

    Without dimension. One pass of the density kernel per component, with the normaliser left out.
    """
    out = np.empty((X.shape[0], parameters.n_components))
    singles = [components_of(parameters, slice(k, k + 1), np.zeros(1)) for k in range(parameters.n_components)]
    for part, rows in blocks_of(X, np.dtype(np.float64)):
        log_kernel = np.empty(rows.shape[0])
        for k, single in enumerate(singles):
            kernels.log_density(rows, single, log_kernel)
            np.multiply(log_kernel, -2.0, out=out[part, k])
    return out


def mahalanobis(X: np.ndarray, parameters: MixtureParameters) -> np.ndarray:
    """Return the Mahalanobis distance of each row from each component, (n_samples, n_components), float64."""
    distances = squared_distances(X, parameters)
    return np.sqrt(distances, out=distances)
