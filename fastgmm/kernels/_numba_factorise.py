"""Factors of precision matrices from covariances: O(K D^3), serial."""

from __future__ import annotations

import numpy as np

from fastgmm.kernels._numba_cache import SOURCES, entry

__all__ = ["factorise"]


def _define(sources):
    @entry
    def factorise(covariances, factors):
        """Write upper triangular factors U with inv(C) = U U^T; return the first index that has none, or -1."""
        _ = sources
        k, d = covariances.shape[0], covariances.shape[1]
        reciprocals = np.empty(d)
        for c in range(k):
            covariance, factor = covariances[c], factors[c]
            # C = L L^T. L goes under the diagonal of `factor`, the reciprocals of its diagonal beside it.
            for i in range(d):
                for j in range(i + 1):
                    rest = covariance[i, j]
                    for m in range(j):
                        rest -= factor[i, m] * factor[j, m]
                    if j < i:
                        factor[i, j] = rest * reciprocals[j]
                    elif rest > 0.0 and rest < np.inf:
                        reciprocals[i] = 1.0 / np.sqrt(rest)
                    else:
                        return c
            # U = inv(L)^T: row i of U is column i of inv(L), by forward substitution from its first entry on.
            for i in range(d):
                factor[i, i] = reciprocals[i]
                for j in range(i + 1, d):
                    rest = 0.0
                    for m in range(i, j):
                        rest -= factor[j, m] * factor[i, m] if m > i else factor[j, i] * reciprocals[i]
                    factor[i, j] = rest * reciprocals[j]
            for i in range(d):
                if not factor[i, i] < np.inf:
                    return c
                for j in range(i):
                    factor[i, j] = 0.0
        return -1

    return factorise


factorise = _define(SOURCES)
