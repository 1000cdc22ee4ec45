"""Greedy merging of Gaussian groups: O(n^2 D^3) for n groups, serial."""

from __future__ import annotations

import numpy as np
from numba import njit

from fastgmm.kernels.numba.cache import SOURCES, entry

__all__ = ["merge"]


@njit(error_model="numpy")
def _unite(counts, means, matrices, floor, a, i, j, both):
    """Write the matrix of a union; matrices are (n, c, c) or, where c is 1 or variances are meant, (n, 1, c)."""
    d = means.shape[1]
    n_rows, n_columns = both.shape
    n = counts[i] + counts[j]
    total = n + a
    wi, wj, share, spread = 1.0, 0.0, 0.0, 0.0
    if total > 0.0:
        share = 1.0 / total
        wi, wj = (counts[i] + a) * share, (counts[j] + a) * share
        if n > 0.0:
            spread = counts[i] * (counts[j] / n) * share
    for r in range(n_rows):
        for c in range(n_columns):
            both[r, c] = wi * matrices[i, r, c] + wj * matrices[j, r, c] - share * floor[r, c]
    if n_rows > 1 or (n_rows == 1 and n_columns == 1 and d == 1):
        for r in range(d):
            for c in range(d):
                both[r, c] += spread * (means[j, r] - means[i, r]) * (means[j, c] - means[i, c])
        return
    n_merged = d // n_columns
    for c in range(d):
        both[0, c // n_merged] += spread * (means[j, c] - means[i, c]) ** 2 / n_merged


@njit(error_model="numpy")
def _cost(n, matrix, d, entropy, triangle):
    """Return the cost of a group, less what all share; minus infinity for one without a volume."""
    if not n > 0.0:
        return 0.0
    log_det = 0.0
    if matrix.shape[0] == 1:
        for c in range(matrix.shape[1]):
            if not matrix[0, c] > 0.0:
                return -np.inf
            log_det += np.log(matrix[0, c])
        log_det *= d // matrix.shape[1]
    else:
        for i in range(d):
            for j in range(i + 1):
                rest = matrix[j, i]
                for m in range(j):
                    rest -= triangle[i, m] * triangle[j, m]
                if j < i:
                    triangle[i, j] = rest / triangle[j, j]
                elif rest > 0.0 and rest < np.inf:
                    triangle[i, i] = np.sqrt(rest)
                    log_det += np.log(rest)
                else:
                    return -np.inf
    return n * (log_det - entropy * np.log(n))


@njit(error_model="numpy")
def _rescan(i, gains, alive, least, nearest):
    least[i], nearest[i] = np.inf, -1
    for j in range(i + 1, len(alive)):
        if alive[j] and (nearest[i] < 0 or gains[i, j] < least[i]):
            least[i], nearest[i] = gains[i, j], j


def _define(sources):
    @entry
    def merge(counts, means, matrices, floor, a, entropy, shared, n_groups, labels):
        """Merge in place; see `fastgmm.kernels.merge`."""
        _ = sources
        n, d = means.shape
        both, triangle = np.empty(floor.shape), np.empty((d, d))
        gains, costs, least = np.empty((n, n)), np.empty(n), np.empty(n)
        nearest, alive = np.empty(n, np.int64), np.ones(n, np.bool_)
        for i in range(n):
            labels[i] = i
            costs[i] = _cost(counts[i], matrices[i], d, entropy, triangle)
        for i in range(n):
            for j in range(i + 1, n):
                _unite(counts, means, matrices, floor, a, i, j, both)
                together = _cost(counts[i] + counts[j], both, d, entropy, triangle)
                gains[i, j] = together - costs[i] - costs[j] if together > -np.inf else np.inf
            _rescan(i, gains, alive, least, nearest)
        for _step in range(n - n_groups):
            i = -1
            for r in range(n):
                if alive[r] and nearest[r] >= 0 and (i < 0 or least[r] < least[i]):
                    i = r
            if i < 0:
                break
            j = nearest[i]
            total = counts[i] + counts[j]
            if not shared:
                _unite(counts, means, matrices, floor, a, i, j, both)
                matrices[i] = both
            if total > 0.0:
                means[i] += (means[j] - means[i]) * (counts[j] / total)
            counts[i] = total
            costs[i] = _cost(total, matrices[i], d, entropy, triangle)
            alive[j] = False
            for r in range(n):
                if labels[r] == j:
                    labels[r] = i
            for r in range(n):
                if not alive[r] or r == i:
                    continue
                low, high = min(r, i), max(r, i)
                _unite(counts, means, matrices, floor, a, low, high, both)
                together = _cost(counts[low] + counts[high], both, d, entropy, triangle)
                gains[low, high] = together - costs[low] - costs[high] if together > -np.inf else np.inf
            for r in range(n):
                if alive[r]:
                    _rescan(r, gains, alive, least, nearest)

    return merge


merge = _define(SOURCES)
