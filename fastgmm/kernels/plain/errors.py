"""Passes over rows that were measured with errors, each with its own."""

from __future__ import annotations

import numpy as np

from fastgmm.kernels.plain.estimate import LOG_2PI, cholesky, invert
from fastgmm.kernels.plain.mixture import posterior
from fastgmm.kernels.plain.tiles import quietly, tiles

__all__ = ["accumulate_with_errors", "answer_with_errors"]


class _Measured:
    """Rows of a tile beside one component.

    Attributes
    ----------
    log_joint : ndarray of shape (n_rows,)
        Log of weight times density, of what was measured.
    away : ndarray of shape (n_rows, n_features)
        ``T^-1 (x - mean)``, zero where nothing was measured.
    precision : ndarray of shape (n_rows, n_features) or (n_rows, n_features, n_features)
        ``T^-1``, zero where nothing was measured.
    """

    def __init__(self, rows, errors, log_weight, mean, covariance) -> None:
        variances = errors if errors.ndim == 2 else np.einsum("ndd->nd", errors)
        seen = variances < np.inf
        away = np.where(seen, rows - mean, 0.0)
        if covariance.ndim == 1:
            total = np.where(seen, covariance + variances, 1.0)
            exists, log_det = (total > 0).all(axis=1), np.log(total).sum(axis=1)
            self.precision, self.away = seen / total, away / total
        else:
            eye = np.eye(len(mean))
            total = covariance + (errors[:, :, None] * eye if errors.ndim == 2 else errors)
            total = np.where(seen[:, :, None] & seen[:, None, :], total, eye)
            triangle, exists = cholesky(total)
            inverse, log_det = invert(triangle), 2.0 * np.log(np.einsum("ndd->nd", triangle)).sum(axis=1)
            self.precision = (inverse @ inverse.transpose(0, 2, 1)) * seen[:, :, None]
            self.away = np.einsum("nde,ne->nd", self.precision, away)
        squares = np.einsum("nd,nd->n", self.away, away)
        values = log_weight - 0.5 * (squares + log_det + LOG_2PI * seen.sum(axis=1))
        self.log_joint = np.where(exists & ~np.isnan(values), values, -np.inf)


def _measured_tiles(X, errors, log_weights, means, covariances):
    """Yield (slice, log joint densities (n_rows, n_components), tile beside component k as a function of k)."""
    for part, rows in tiles(X, 4 * max(0 if errors is None else errors[0].size, covariances[0].size) + len(means)):
        spread = np.where(np.isnan(rows), np.inf, 0.0) if errors is None else errors[part].astype(np.float64)

        def beside(k, rows=rows, spread=spread):
            return _Measured(rows, spread, log_weights[k], means[k], covariances[k])

        yield part, np.column_stack([beside(k).log_joint for k in range(len(means))]), beside


@quietly
def accumulate_with_errors(
    log_weights, means, covariances, X, errors, sample_weight, labels, counts, sums, scatter, n_threads
) -> float:
    """Add one pass to the statistics, in place; return the log-likelihood."""
    if errors is None:
        return _accumulate_holes(log_weights, means, covariances, X, sample_weight, labels, counts, sums, scatter)
    log_likelihood = 0.0
    for part, values, beside in _measured_tiles(X, errors, log_weights, means, covariances):
        if labels is not None:
            known = labels[part, None]
            values[(known >= 0) & (known != np.arange(len(means)))] = -np.inf
        weight = np.ones(len(values)) if sample_weight is None else sample_weight[part]
        density, shares = posterior(values)
        log_likelihood += float(weight[weight > 0] @ density[weight > 0])
        shares *= weight[:, None]
        for k in range(len(means)):
            present = shares[:, k] > 0
            measured, share = beside(k), shares[present, k]
            away = measured.away[present]
            counts[k] += share.sum()
            sums[k] += share @ away
            outer = away**2 if scatter.ndim == 2 else away[:, :, None] * away[:, None, :]
            scatter[k] += np.tensordot(share, outer - measured.precision[present], axes=1)
    return log_likelihood


def _accumulate_holes(log_weights, means, covariances, X, sample_weight, labels, counts, sums, scatter) -> float:
    """Add one pass over rows without errors, completed by what is expected of what they miss."""
    own = np.zeros_like(counts), np.zeros_like(sums), np.zeros_like(scatter)
    holes = np.where(np.isnan(X), np.inf, 0.0)
    found = accumulate_with_errors(log_weights, means, covariances, X, holes, sample_weight, labels, *own, 1)
    counts += own[0]
    if covariances.ndim == 2:
        sums += covariances * own[1]
        scatter += covariances * own[2] * covariances + own[0][:, None] * covariances
    else:
        sums += np.einsum("kij,kj->ki", covariances, own[1])
        scatter += covariances @ own[2] @ covariances + own[0][:, None, None] * covariances
    return found


@quietly
def answer_with_errors(question, log_weights, means, covariances, X, errors, out, n_threads) -> None:
    """Write the answers about all rows."""
    for part, values, _ in _measured_tiles(X, errors, log_weights, means, covariances):
        if question == "assign":
            out[part, 0] = values.argmax(axis=1)
            continue
        density, shares = posterior(values)
        if question == "log_density":
            out[part, 0] = density
        else:
            shares[density == -np.inf] = 1.0 / len(means)
            out[part] = shares
