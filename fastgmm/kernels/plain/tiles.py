"""Tiles of rows: so many that what is computed of them stays in a cache, whatever the number of rows is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

__all__ = ["quietly", "tiles", "weighted_tiles"]

TILE_VALUES = 1 << 17

#: Rows may be so far away that their squares overflow: they have no density then, which is no error.
quietly = np.errstate(all="ignore")


def tiles(X: np.ndarray, n_values: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (slice, rows in float64, to be read only); `n_values` are computed of a row."""
    step = max(1, TILE_VALUES // n_values)
    for start in range(0, len(X), step):
        part = slice(start, start + step)
        yield part, X[part].astype(np.float64, copy=False)


def weighted_tiles(X: np.ndarray, sample_weight: np.ndarray | None, n_values: int, *others: np.ndarray):
    """Yield (rows in float64, weights, the same rows of each of `others`) of rows that have weight."""
    for part, rows in tiles(X, n_values):
        weight = np.ones(len(rows)) if sample_weight is None else sample_weight[part]
        counted = weight > 0
        if counted.all():
            yield rows, weight, *(other[part] for other in others)
            continue
        yield rows[counted], weight[counted], *(other[part][counted] for other in others)
