"""Distances from the components of a mixture, in units of their own covariances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fastgmm import kernels
from fastgmm.data import blocks_of
from fastgmm.data.incomplete import Marginalised
from fastgmm.model import MixtureParameters
from fastgmm.model.moments import Components, components_of

__all__ = ["mahalanobis", "squared_distances"]


def squared_distances(X: np.ndarray, parameters: MixtureParameters | Components | Marginalised) -> np.ndarray:
    """Return the squared Mahalanobis distance of each row from each component, (n_samples, n_components), float64.

    Without dimension; of rows that miss values, in the features they have. One pass of the density kernel for each
    component, with the normaliser left out.
    """
    if isinstance(parameters, Marginalised):
        missing = np.isnan(X).any(axis=1)
        out = parameters.squared_distances(X)
        out[~missing] = squared_distances(X[~missing], parameters.density)
        return out
    out = np.empty((X.shape[0], parameters.n_components))
    # Of normal components, whatever tail these have: the squared distance is all there is in its log density.
    parts = (components_of(parameters, slice(k, k + 1), np.zeros(1)) for k in range(parameters.n_components))
    singles = [replace(part, tail=None) for part in parts]
    for part, rows in blocks_of(X, np.dtype(np.float64)):
        log_kernel = np.empty(rows.shape[0])
        for k, single in enumerate(singles):
            kernels.log_density(rows, single, log_kernel)
            np.multiply(log_kernel, -2.0, out=out[part, k])
    return out


def mahalanobis(X: np.ndarray, parameters: MixtureParameters | Marginalised) -> np.ndarray:
    """Return the Mahalanobis distance of each row from each component, (n_samples, n_components), float64."""
    distances = squared_distances(X, parameters)
    return np.sqrt(distances, out=distances)
