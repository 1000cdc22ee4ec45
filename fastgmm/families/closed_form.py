"""Covariance estimates that need no iteration: nine of mclust's fourteen families and scikit-learn's four.

With ``Sigma_k = lambda_k D_k A_k D_k^T`` (volume, orientation, shape; ``det A_k = 1``) and scatter ``W_k`` about the
new means, every function here minimises ``sum_k n_k log det Sigma_k + tr(W_k Sigma_k^-1)`` over its family.

Each takes ``(scatter, counts, previous)``: the scatter in its kernel's shape, counts of shape (n_components,), and
the parameters before the step, which closed forms ignore.

References
----------
Celeux and Govaert (1995), Gaussian parsimonious clustering models, Pattern Recognition 28, section 3 and table 1.
"""

from __future__ import annotations

import numpy as np

from fastgmm.model.shapes import FULL
from fastgmm.model.shapes.base import SHARED, collapse_error

__all__ = ["eei", "eev", "eii", "equal_volume_diagonal", "evi", "evv", "pooled", "principal_axes", "separate"]


def separate(scatter, counts, previous=None):
    """VVV, VVI, VII: each component has its own covariance."""
    return scatter / counts.reshape(-1, *[1] * (scatter.ndim - 1))


def pooled(scatter, counts, previous=None):
    """EEE: one covariance, from the scatter already summed over components."""
    return scatter / counts.sum()


def eii(scatter, counts, previous=None):
    """EII: one variance for every component and feature."""
    return np.full(len(counts), scatter.sum() / counts.sum())


def eei(scatter, counts, previous=None):
    """EEI: one axis-aligned covariance."""
    return np.tile(scatter.sum(axis=0) / counts.sum(), (len(counts), 1))


def evi(scatter, counts, previous=None):
    """EVI: axis-aligned, equal volumes, separate shapes."""
    return equal_volume_diagonal(scatter, counts)


def eev(scatter, counts, previous=None):
    """EEV: equal volumes and shapes, separate orientations."""
    variances, axes = principal_axes(scatter)
    # Longest axis with longest axis: the pairing that minimises tr(W_k D_k A^-1 D_k^T) over D_k (von Neumann).
    shared = variances.sum(axis=0) / counts.sum()
    if not shared[0] > 0:
        raise collapse_error(SHARED)
    return (axes * shared) @ axes.transpose(0, 2, 1)


def evv(scatter, counts, previous=None):
    """EVV: equal volumes, separate shapes and orientations."""
    # Its check of rank matters: a determinant of rounding errors would give its component all the volume.
    factor = FULL.factorise(scatter, counts)
    log_volumes = -2.0 * np.log(np.diagonal(factor, axis1=1, axis2=2)).mean(axis=1)
    return scatter * _equalising(log_volumes, counts)[:, None, None]


def equal_volume_diagonal(variances, counts):
    """Return diagonal covariances of equal determinant, (n_components, n_features), from sums of squares."""
    has_volume = (variances > 0).all(axis=1)
    if not has_volume.all():
        raise collapse_error(
            int(np.argmin(has_volume)), counts, variances.shape[1], "a feature is constant in it, so it has no volume"
        )
    return variances * _equalising(np.log(variances).mean(axis=1), counts)[:, None]


def principal_axes(scatter):
    """Return the eigenvalues, ascending and not below zero, and eigenvectors of each scatter matrix."""
    # eigh works on squares of entries: a power of two brings them near one and costs no digit.
    exponent = np.frexp(np.abs(scatter).max())[1]
    variances, axes = np.linalg.eigh(np.ldexp(scatter, -exponent))
    return np.ldexp(np.maximum(variances, 0.0), exponent), axes


def _equalising(log_volumes, counts):
    # lambda = sum_k det(W_k)^(1/D) / n, over det(W_k)^(1/D): what brings each scatter to the common volume.
    volumes = np.exp(log_volumes - log_volumes.max())
    return volumes.sum() / (counts.sum() * volumes)
