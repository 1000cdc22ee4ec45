"""Nearest centres: the passes of k-means and of k-means++."""

from __future__ import annotations

import numpy as np

from fastgmm.kernels.plain.tiles import quietly, tiles, weighted_tiles

__all__ = ["assign_nearest", "candidate_potentials", "update_distances"]


def _squared_distances(rows, centres) -> np.ndarray:
    """Return the squared distances, shape (n_rows, n_centres)."""
    out = np.empty((len(rows), len(centres)))
    for k, centre in enumerate(centres):
        away = rows - centre
        out[:, k] = np.einsum("nd,nd->n", away, away)
    return out


@quietly
def assign_nearest(X, sample_weight, centres, labels, counts, sums, n_threads) -> float:
    """Run one Lloyd pass; return the inertia."""
    n_values = sum(centres.shape)
    for part, rows in tiles(X, n_values):
        labels[part] = _squared_distances(rows, centres).argmin(axis=1)
    inertia = 0.0
    for rows, weight, nearest in weighted_tiles(X, sample_weight, n_values, labels):
        away = rows - centres[nearest]
        inertia += float(weight @ np.einsum("nd,nd->n", away, away))
        counts += np.bincount(nearest, weight, minlength=len(centres))
        np.add.at(sums, nearest, weight[:, None] * away)
    return inertia


@quietly
def candidate_potentials(X, sample_weight, candidates, distances, potentials, n_threads) -> None:
    """Add the potential that each candidate would give to `potentials`."""
    for rows, weight, before in weighted_tiles(X, sample_weight, sum(candidates.shape), distances):
        potentials += weight @ np.minimum(_squared_distances(rows, candidates), before[:, None])


@quietly
def update_distances(X, centre, distances, n_threads) -> None:
    """Lower `distances` to those to the one centre given, in place."""
    for part, rows in tiles(X, X.shape[1]):
        distances[part] = np.minimum(distances[part], _squared_distances(rows, centre)[:, 0])
