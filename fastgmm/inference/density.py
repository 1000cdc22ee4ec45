"""Densities and memberships of rows under a mixture.

Every function takes rows of any float dtype and layout and computes in `dtype`; rows that the kernels cannot read as
they are get converted block by block, so that no second array of the size of X exists. A density is whatever the
kernels read (the parameters of a mixture, those beside a background, a posterior), or an object that answers for
itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgmm import kernels
from fastgmm.data import blocks_of
from fastgmm.model.moments import components_of

__all__ = [
    "assign",
    "component_log_density",
    "log_density",
    "log_posterior",
    "mean_log_density",
    "most_probable_log_responsibility",
    "responsibilities",
]

# Rows at a time where a function needs less than what a kernel writes.
BLOCK_VALUES = 1 << 18


def log_density(X: np.ndarray, parameters: Any, dtype: np.dtype) -> np.ndarray:
    """Return the log density of each row, shape (n_samples,), in nats.

    See Also
    --------
    mean_log_density : Their mean.
    component_log_density : Of each component.
    """
    if not hasattr(parameters, "log_offset"):
        return parameters.log_density(X)
    out = np.empty(X.shape[0], dtype=dtype)
    for part, rows in blocks_of(X, dtype):
        kernels.log_density(rows, parameters, out[part])
    return out


def responsibilities(X: np.ndarray, parameters: Any, dtype: np.dtype) -> np.ndarray:
    """Return the posterior probabilities of the components, shape (n_samples, n_components).

    See Also
    --------
    assign : The most probable component.
    """
    if not hasattr(parameters, "log_offset"):
        return parameters.responsibilities(X)
    out = np.empty((X.shape[0], parameters.n_components), dtype=dtype)
    for part, rows in blocks_of(X, dtype):
        kernels.responsibilities(rows, parameters, out[part])
    return out


def assign(X: np.ndarray, parameters: Any, dtype: np.dtype) -> np.ndarray:
    """Return the most probable component of each row, shape (n_samples,), int64; -1 for a background.

    See Also
    --------
    responsibilities : How probable each component is.
    """
    if not hasattr(parameters, "log_offset"):
        return parameters.assign(X)
    out = np.empty(X.shape[0], dtype=np.int64)
    for part, rows in blocks_of(X, dtype):
        kernels.assign(rows, parameters, out[part])
    background = getattr(parameters, "background", None)
    if background is not None:
        out[out == background] = -1
    return out


def component_log_density(X: np.ndarray, parameters: Any) -> np.ndarray:
    """Return the log of each component's weighted density at each row, (n_samples, n_components), float64, in nats.

    See Also
    --------
    log_density : Of the whole mixture.
    """
    if not hasattr(parameters, "log_offset"):
        return parameters.component_log_density(X)
    out = np.empty((X.shape[0], parameters.n_components))
    for k in range(parameters.n_components):
        out[:, k] = log_density(X, components_of(parameters, slice(k, k + 1)), np.dtype(np.float64))
    return out


def log_posterior(log_joint: np.ndarray) -> np.ndarray:
    """Return the log posterior of each column from its log density together with the row's, (n_samples, n_columns).

    A row that is too far for any density is shared equally, as the kernels do.
    """
    best = log_joint.max(axis=1, keepdims=True)
    # Less the largest first: of a far row the logarithms are so large that their sum's would not differ from them.
    log_joint = np.where(best > -np.inf, log_joint - np.where(best > -np.inf, best, 0.0), 0.0)
    return log_joint - np.logaddexp.reduce(log_joint, axis=1, keepdims=True)


def _small_blocks(X: np.ndarray, dtype: np.dtype, width: int):
    n_rows = max(1, BLOCK_VALUES // width)
    for start in range(0, X.shape[0], n_rows):
        for part, rows in blocks_of(X[start : start + n_rows], dtype):
            yield slice(start + part.start, start + part.stop), rows


def mean_log_density(X: np.ndarray, parameters: Any, dtype: np.dtype, sample_weight: np.ndarray | None = None) -> float:
    """Return the weighted mean over rows of the log density, in nats, summed in float64.

    See Also
    --------
    log_density : That of each row.
    """
    if not hasattr(parameters, "log_offset"):
        return float(np.average(parameters.log_density(X), weights=sample_weight))
    total = 0.0
    for part, rows in _small_blocks(X, dtype, X.shape[1]):
        values = kernels.log_density(rows, parameters, np.empty(rows.shape[0], dtype=dtype))
        total += _weighted_sum(values, None if sample_weight is None else sample_weight[part])
    return total / float(X.shape[0] if sample_weight is None else sample_weight.sum())


def most_probable_log_responsibility(
    X: np.ndarray, parameters: Any, dtype: np.dtype, sample_weight: np.ndarray | None = None
) -> float:
    """Return the weighted sum over rows of the log of their largest posterior probability, in nats.

    Minus this sum is the entropy term of the integrated completed likelihood with hard classification.

    See Also
    --------
    responsibilities : Of all components.
    """
    total = 0.0
    for part, rows in _small_blocks(X, dtype, parameters.n_components):
        shares = kernels.responsibilities(
            rows, parameters, np.empty((rows.shape[0], parameters.n_components), dtype=dtype)
        )
        total += _weighted_sum(np.log(shares.max(axis=1)), None if sample_weight is None else sample_weight[part])
    return total


def _weighted_sum(values: np.ndarray, weight: np.ndarray | None) -> float:
    if weight is None:
        return float(np.sum(values, dtype=np.float64))
    present = weight > 0  # a row of no weight may have no density
    return float(weight[present] @ values[present].astype(np.float64))
