"""Greedy merging of Gaussian groups."""

from __future__ import annotations

import numpy as np

from fastgmm.kernels.plain.estimate import cholesky
from fastgmm.kernels.plain.tiles import quietly

__all__ = ["merge"]

#: What a union without a volume costs: more than any other, and yet it may be the only one left.
LAST = float(np.finfo(np.float64).max)


def _unions(counts, means, matrices, floor, a, i, others) -> np.ndarray:
    """Return the matrices of the unions of group i with each of `others`, shape (n, rows, columns)."""
    n_i, n_j = counts[i], counts[others]
    n = n_i + n_j
    share = np.where(n + a > 0, 1.0 / (n + a), 0.0)[:, None, None]
    spread = np.where(n > 0, n_i * (n_j / n), 0.0)[:, None, None] * share
    w_i, w_j = (n_i + a) * share, (n_j[:, None, None] + a) * share
    w_i = np.where(share > 0, w_i, 1.0)
    away = means[others] - means[i]
    if floor.shape[0] == means.shape[1]:
        squares = away[:, :, None] * away[:, None, :]
    else:
        squares = (away**2).reshape(len(away), 1, floor.shape[1], -1).mean(axis=3)
    return w_i * matrices[i] + w_j * matrices[others] - share * floor + spread * squares


def _costs(counts, matrices, n_features, entropy) -> np.ndarray:
    """Return the costs of groups, less what all share; minus infinity for one without a volume."""
    if matrices.shape[1] == n_features:
        triangles, exist = cholesky(matrices)
        log_dets = 2.0 * np.log(np.einsum("nii->ni", triangles)).sum(axis=1)
    else:
        variances = matrices[:, 0, :]
        exist = np.all(variances > 0, axis=1)
        log_dets = np.log(variances).sum(axis=1) * (n_features // variances.shape[1])
    costs = np.where(exist, counts * (log_dets - entropy * np.log(counts)), -np.inf)
    return np.where(counts > 0, costs, 0.0)


@quietly
def merge(counts, means, matrices, floor, a, entropy, shared, n_groups, labels) -> None:
    """Merge in place; see `fastgmm.kernels.merge`. Variances come as matrices of one row."""
    n, d = means.shape
    labels[:] = np.arange(n)
    costs = _costs(counts, matrices, d, entropy)
    gains = np.full((n, n), np.inf)  # of pairs i < j that live; the least, and of equals the first, is merged

    def weigh(i, others):
        together = _costs(counts[i] + counts[others], _unions(counts, means, matrices, floor, a, i, others), d, entropy)
        gained = np.where(together > -np.inf, together - costs[i] - costs[others], LAST)
        gains[np.minimum(i, others), np.maximum(i, others)] = np.minimum(gained, LAST)

    for i in range(n - 1):
        weigh(i, np.arange(i + 1, n))
    for _ in range(n - n_groups):
        i, j = divmod(int(gains.argmin()), n)
        total = counts[i] + counts[j]
        if not shared:
            matrices[i] = _unions(counts, means, matrices, floor, a, i, np.array([j]))[0]
        if total > 0:
            means[i] += (means[j] - means[i]) * (counts[j] / total)
        counts[i] = total
        costs[i] = _costs(counts[i : i + 1], matrices[i : i + 1], d, entropy)[0]
        labels[labels == j] = i
        gains[j, :] = gains[:, j] = np.inf
        alive = np.unique(labels)
        weigh(i, alive[alive != i])
