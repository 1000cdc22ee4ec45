"""The M-step where every covariance is free, and factors of precision matrices: O(K D^3), serial."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from fastgmm.kernels.numba.cache import SOURCES, entry

__all__ = ["estimate", "factorise"]

LOG_2PI = math.log(2.0 * math.pi)
EPS = 2.0**-52


@njit(error_model="numpy")
def _factorise_one(covariance, factor, reciprocals):
    """Write the upper triangular U with inv(C) = U U^T; return whether there is one."""
    d = covariance.shape[0]
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
                return False
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
            return False
        for j in range(i):
            factor[i, j] = 0.0
    return True


@njit(error_model="numpy")
def _estimate_matrix(scatter, count, reg_covar, covariance, factor, reciprocals):
    """Write a covariance and its factor from the scatter about the mean; return whether it has full rank."""
    d = len(scatter)
    for i in range(d):
        for j in range(i + 1):
            covariance[i, j] = covariance[j, i] = scatter[i, j] / count
        covariance[i, i] += reg_covar
    if not _factorise_one(covariance, factor, reciprocals):
        return False
    # Rounding errors alone pass Cholesky: a last pivot within d roundings of its variance is none.
    has_rank = True
    for i in range(d):
        has_rank = has_rank and covariance[i, i] * factor[i, i] * factor[i, i] <= 1.0 / (d * EPS)
    return has_rank


def _define(sources):
    @entry
    def factorise(covariances, factors):
        """Write the factors; return the first index that has none, or -1."""
        _ = sources
        reciprocals = np.empty(covariances.shape[1])
        for c in range(covariances.shape[0]):
            if not _factorise_one(covariances[c], factors[c], reciprocals):
                return c
        return -1

    @entry
    def shifts(counts, sums, count_floor, weights, means):
        """Write counts to `weights` and shifts of the means to `means`; return whether no component is empty."""
        _ = sources
        ok = True
        for c in range(len(counts)):
            weights[c] = counts[c] + count_floor
            ok = ok and weights[c] > 0.0
            for j in range(sums.shape[1]):
                means[c, j] = sums[c, j] / weights[c]
        return ok

    @entry
    def matrices(scatter, reg_covar, counts, shift, shared, covariances, factors, log_dets):
        """Write covariance matrices, one each or, if `shared`, one for all; return whether all have a factor."""
        _ = sources
        d = shift.shape[1]
        reciprocals, centred = np.empty(d), np.empty((d, d))
        for m in range(len(covariances)):
            centred[:] = scatter[m]
            for c in range(len(counts)) if shared else range(m, m + 1):
                for i in range(d):
                    for j in range(i + 1):
                        centred[i, j] -= counts[c] * shift[c, i] * shift[c, j]
            count = counts.sum() if shared else counts[m]
            if not _estimate_matrix(centred, count, reg_covar, covariances[m], factors[m], reciprocals):
                return False
            log_dets[m] = 0.0
            for i in range(d):
                log_dets[m] += np.log(factors[m, i, i])
        return True

    @entry
    def variances(scatter, reg_covar, counts, shift, covariances, factors, log_dets):
        """Write variances, (K, D), or of spheres (K, 1); return whether all are positive and finite."""
        _ = sources
        n_columns, d = covariances.shape[1], shift.shape[1]
        n_merged = d // n_columns
        for c in range(len(counts)):
            log_dets[c] = 0.0
            for j in range(n_columns):
                moved = 0.0
                for i in range(j * n_merged, (j + 1) * n_merged):
                    moved += counts[c] * shift[c, i] * shift[c, i]
                rest = scatter[c, j] - moved
                variance = (rest if rest > 0.0 else 0.0 * rest) / (counts[c] * n_merged) + reg_covar
                if not (variance > 0.0 and variance < np.inf):
                    return False
                covariances[c, j] = variance
                factors[c, j] = 1.0 / np.sqrt(variance)
                log_dets[c] += n_merged * np.log(factors[c, j])
        return True

    @entry
    def finish(centres, weights, means, log_dets, log_offset):
        """Turn counts into weights and shifts into means, and write the offsets."""
        _ = sources
        total = weights.sum()
        for c in range(len(weights)):
            weights[c] /= total
            log_offset[c] = np.log(weights[c]) + log_dets[c % len(log_dets)] - 0.5 * centres.shape[1] * LOG_2PI
            for j in range(centres.shape[1]):
                means[c, j] += centres[c, j]

    return factorise, shifts, matrices, variances, finish


factorise, _shifts, _matrices, _variances, _finish = _define(SOURCES)


def estimate(structure, given, reg_covar, count_floor, written) -> bool:
    """Write ``(weights, means, covariances, factors, log_offset)``; return whether the estimate exists.

    `given` is ``(centres, counts, sums, scatter)``.
    """
    centres, counts, sums, scatter = given
    weights, means, covariances, factors, log_offset = written
    if not _shifts(counts, sums, count_floor, weights, means):
        return False
    k, d = centres.shape
    if structure in ("full", "tied"):
        log_dets = np.empty(1 if structure == "tied" else k)
        stacks = (array.reshape(len(log_dets), d, d) for array in (scatter, covariances, factors))
        scatter, covariances, factors = stacks
        found = _matrices(scatter, reg_covar, weights, means, structure == "tied", covariances, factors, log_dets)
    else:
        log_dets = np.empty(k)
        scatter, covariances, factors = (array.reshape(k, -1) for array in (scatter, covariances, factors))
        found = _variances(scatter, reg_covar, weights, means, covariances, factors, log_dets)
    if found:
        _finish(centres, weights, means, log_dets, log_offset)
    return found
