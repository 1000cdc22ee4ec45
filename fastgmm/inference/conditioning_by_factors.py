"""Conditionals of components that have loadings and noise: they have such again, and nothing is D x D.

With the values v of the features g, the factors are normal about ``(v - mean_g) C_g`` with the covariance ``V_g``,
where C and V are those of the given features alone; so the free features f have the mean ``mean_f + (v - mean_g) C_g
A_f^T``, the loadings ``A_f V_g^(1/2)`` and their own noise. Those of t components are such scale matrices, inflated as
`fastgmm.inference.conditioning` says.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgmm.inference.conditioning import MixturePerRow, marginal
from fastgmm.inference.density import responsibilities
from fastgmm.inference.distances import squared_distances
from fastgmm.model import MixtureParameters
from fastgmm.model.shapes.low_rank import canonical, packed, unpacked

__all__ = ["condition_by_factors"]


def condition_by_factors(parameters: MixtureParameters, given: np.ndarray, values: np.ndarray) -> MixturePerRow:
    """Return the distribution of the other features for rows of `values` (n_rows, n_given) of the features `given`."""
    shape: Any = parameters.shape
    free = np.setdiff1d(np.arange(parameters.n_features), given)
    known = marginal(parameters, given)
    loadings, noise = unpacked(parameters.covariances)
    # In the rotation that makes the covariance of the factors diagonal given these features.
    scaled = unpacked(known.covariances)
    strength = np.swapaxes(scaled[0], 1, 2) @ (scaled[0] / scaled[1][..., None])
    values_of, rotation = np.linalg.eigh(strength)
    spread = 1.0 / (1.0 + np.maximum(values_of, 0.0))
    turned_given, turned_free = loadings[:, given] @ rotation, loadings[:, free] @ rotation
    weights = responsibilities(values, known, np.dtype(np.float64))
    means = np.empty((len(values), parameters.n_components, len(free)))
    for k in range(parameters.n_components):
        factors = ((values - known.means[k]) / scaled[1][k]) @ turned_given[k] * spread[k]
        means[:, k] = parameters.means[k, free] + factors @ turned_free[k].T
    own = turned_free * np.sqrt(spread)[:, None, :]
    covariances = packed(canonical(own, noise[:, free])[0], noise[:, free])
    tail = getattr(parameters, "tail", None)
    if tail is None:
        return MixturePerRow(weights, means, covariances, shape=shape)
    dof, further = tail.degrees_of_freedom, tail.degrees_of_freedom + len(given)
    inflation = (dof + squared_distances(values, known)) / further
    return MixturePerRow(weights, means, covariances, further, inflation, shape)
