"""The M-step where every covariance is free, and factors of precision matrices."""

from __future__ import annotations

import numpy as np

from fastgmm.kernels.plain.tiles import quietly

__all__ = ["cholesky", "estimate", "factorise_precisions", "invert"]

LOG_2PI = float(np.log(2.0 * np.pi))
EPS = 2.0**-52


def cholesky(matrices) -> tuple[np.ndarray, np.ndarray]:
    """Return upper triangular R with ``R^T R`` each of the matrices (n, d, d), and which of them have one.

    The upper triangles are read. What stands for a matrix that has no factor means nothing.
    """
    rest, exists = np.array(matrices), np.ones(len(matrices), dtype=bool)
    for i in range(rest.shape[1]):
        pivots = rest[:, i, i].copy()
        exists &= (pivots > 0) & (pivots < np.inf)
        rest[:, i, i:] /= np.sqrt(pivots)[:, None]
        row = rest[:, i, i + 1 :]
        rest[:, i + 1 :, i + 1 :] -= row[:, :, None] * row[:, None, :]
    return np.triu(rest), exists


def invert(triangles) -> np.ndarray:
    """Return the inverses of upper triangular matrices (n, d, d)."""
    d = triangles.shape[1]
    inverse = np.zeros_like(triangles)
    for i in range(d)[::-1]:
        inverse[:, i, i] = 1.0
        inverse[:, i, i:] -= np.einsum("nj,njk->nk", triangles[:, i, i + 1 :], inverse[:, i + 1 :, i:])
        inverse[:, i, i:] /= triangles[:, i, i, None]
    return inverse


@quietly
def factorise_precisions(covariances, factors) -> int:
    """Write the factors; return the first index that has none, or -1."""
    triangles, exists = cholesky(covariances)
    factors[:] = invert(triangles)
    return -1 if exists.all() else int(np.argmin(exists))


@quietly
def estimate(shape, given, reg_covar, count_floor, written) -> bool:
    """Write ``(weights, means, covariances, factors, log_offset)``; return whether the estimate exists.

    `given` is ``(centres, counts, sums, scatter)``.
    """
    centres, counts, sums, scatter = given
    weights, means, covariances, factors, log_offset = written
    totals = counts + count_floor
    if not np.all(totals > 0):
        return False
    shifts = sums / totals[:, None]
    if shape in ("full", "tied"):
        found, half_log_dets = _matrices(shape, scatter, totals, shifts, reg_covar, covariances, factors)
    else:
        found, half_log_dets = _variances(shape, scatter, totals, shifts, reg_covar, covariances, factors)
    weights[:] = totals / totals.sum()
    means[:] = centres + shifts
    log_offset[:] = np.log(weights) + half_log_dets - 0.5 * centres.shape[1] * LOG_2PI
    return found


def _matrices(shape, scatter, totals, shifts, reg_covar, covariances, factors):
    """Write covariances and factors; return whether all have full rank, and half the log-determinants of precisions."""
    d = shifts.shape[1]
    moved = np.sqrt(totals)[:, None] * shifts
    outer = moved[:, :, None] * moved[:, None, :]
    if shape == "tied":
        outer, totals = outer.sum(axis=0), totals.sum()
    covariances[:] = (scatter - outer) / np.reshape(totals, (-1, 1, 1)) + reg_covar * np.eye(d)
    stacked, factor = covariances.reshape(-1, d, d), factors.reshape(-1, d, d)
    found = factorise_precisions(stacked, factor) < 0
    variances, roots = np.einsum("kdd->kd", stacked), np.einsum("kdd->kd", factor)
    # Rounding errors alone pass Cholesky: a last pivot within d roundings of its variance is none.
    found = found and bool(np.all(variances * roots**2 <= 1.0 / (d * EPS)))
    return found, np.log(roots).sum(axis=1)


def _variances(shape, scatter, totals, shifts, reg_covar, covariances, factors):
    """Write variances and factors; return whether all are positive and finite, and the half log-determinants."""
    squares, n_merged = totals[:, None] * shifts**2, 1
    if shape == "spherical":
        squares, n_merged = squares.sum(axis=1), shifts.shape[1]
    rest = scatter - squares
    rest = np.where(rest > 0, rest, 0.0 * rest)  # rounding errors are none, NaN stays
    covariances[:] = rest / (totals.reshape(-1, *[1] * (rest.ndim - 1)) * n_merged) + reg_covar
    factors[:] = 1.0 / np.sqrt(covariances)
    found = bool(np.all((covariances > 0) & (covariances < np.inf)))
    return found, n_merged * np.log(factors).reshape(len(totals), -1).sum(axis=1)
