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
    tail_weight, tail_cost : ndarray of shape (n_rows,)
        Of a Student component, u and ``log u - u``.
    """

    def __init__(self, rows, errors, log_weight, mean, covariance, tail) -> None:
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
        n_seen = seen.sum(axis=1)
        values = log_weight - 0.5 * log_det
        if tail is None:
            values -= 0.5 * (squares + LOG_2PI * n_seen)
            self.tail_weight, self.tail_cost = np.ones(len(rows)), np.zeros(len(rows))
        else:
            dof, (normaliser, term) = tail
            squares = np.maximum(squares, 0.0)
            values += normaliser[n_seen] - 0.5 * (dof + n_seen) * np.log1p(squares / dof)
            self.tail_weight = (dof + n_seen) / (dof + squares)
            self.tail_cost = np.log(self.tail_weight) - self.tail_weight + term[n_seen]
        self.log_joint = np.where(exists & ~np.isnan(values), values, -np.inf)


def _measured_tiles(X, errors, log_weights, means, covariances, other, tail):
    """Yield (slice, log joint densities of a tile, the tile beside component k as a function of k).

    The densities are of shape (n_rows, n_components), with a further column for what is no component.
    """
    for part, rows in tiles(X, 4 * max(0 if errors is None else errors[0].size, covariances[0].size) + len(means)):
        spread = np.where(np.isnan(rows), np.inf, 0.0) if errors is None else errors[part].astype(np.float64)

        def beside(k, rows=rows, spread=spread):
            own = None if tail is None else (tail[0][k], tail[1][:, k])
            return _Measured(rows, spread, log_weights[k], means[k], covariances[k], own)

        others = [] if other is None else [other[part]]
        yield part, np.column_stack([*(beside(k).log_joint for k in range(len(means))), *others]), beside


@quietly
def accumulate_with_errors(
    log_weights,
    means,
    covariances,
    X,
    errors,
    sample_weight,
    labels,
    counts,
    sums,
    scatter,
    n_threads,
    other=None,
    tail=None,
    tail_sums=None,
) -> float:
    """Add one pass to the statistics, in place; return the log-likelihood."""
    if errors is None:
        holes, own = np.where(np.isnan(X), np.inf, 0.0), (np.zeros_like(counts), np.zeros_like(sums))
        found = np.zeros_like(scatter)
        further = *own, found, 1, other, tail, tail_sums
        log_likelihood = accumulate_with_errors(
            log_weights, means, covariances, X, holes, sample_weight, labels, *further
        )
        _add_completed(covariances, *own, found, counts, sums, scatter)
        return log_likelihood
    log_likelihood = 0.0
    for part, values, beside in _measured_tiles(X, errors, log_weights, means, covariances, other, tail):
        if labels is not None:
            known = labels[part, None]
            values[(known >= 0) & (known != np.arange(values.shape[1]))] = -np.inf
        weight = np.ones(len(values)) if sample_weight is None else sample_weight[part]
        density, shares = posterior(values)
        log_likelihood += float(weight[weight > 0] @ density[weight > 0])
        shares *= weight[:, None]
        counts[len(means) :] += shares[:, len(means) :].sum(axis=0)
        for k in range(len(means)):
            present = shares[:, k] > 0
            measured, share = beside(k), shares[present, k]
            away, weighted = measured.away[present], share * measured.tail_weight[present]
            counts[k] += share.sum()
            if tail is not None:
                tail_sums[:, k] += weighted.sum(), share @ measured.tail_cost[present]
            sums[k] += weighted @ away
            outer = away**2 if scatter.ndim == 2 else away[:, :, None] * away[:, None, :]
            scatter[k] += np.tensordot(weighted, outer, axes=1) - np.tensordot(
                share, measured.precision[present], axes=1
            )
    return log_likelihood


def _add_completed(covariances, own_counts, own_sums, own_scatter, counts, sums, scatter) -> None:
    """Add what is expected of rows that miss values, given the sums that rows with infinite errors leave."""
    counts += own_counts
    weights = own_counts[: len(covariances)]
    if covariances.ndim == 2:
        sums += covariances * own_sums
        scatter += covariances * own_scatter * covariances + weights[:, None] * covariances
    else:
        sums += np.einsum("kij,kj->ki", covariances, own_sums)
        scatter += covariances @ own_scatter @ covariances + weights[:, None, None] * covariances


@quietly
def answer_with_errors(
    question, log_weights, means, covariances, X, errors, out, n_threads, other=None, tail=None
) -> None:
    """Write the answers about all rows."""
    for part, values, _ in _measured_tiles(X, errors, log_weights, means, covariances, other, tail):
        if question == "assign":
            out[part, 0] = values.argmax(axis=1)
            continue
        density, shares = posterior(values)
        if question == "log_density":
            out[part, 0] = density
        else:
            shares[density == -np.inf] = 1.0 / values.shape[1]
            out[part] = shares
