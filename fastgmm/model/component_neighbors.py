"""Which components lie near each other and near a row, for numbers of them that rule out asking all."""

from __future__ import annotations

import numpy as np

from fastgmm import kernels

__all__ = ["Entries", "near_components"]

#: Up to so many components all distances between means are computed.
ALL_PAIRS = 4096
#: Cells of means in multiples of the square root of their number, and cells that a mean or a row is looked for in.
CELLS, CELLS_SEARCHED = 3, 10
LLOYD_STEPS = 4


class _Cells:
    """Means grouped by k-means, and the groups near each group.

    Attributes
    ----------
    centres : ndarray of shape (n_cells, n_features)
    members : list of ndarray
        The means in each cell, the nearest to its centre first.
    close : ndarray of shape (n_cells, CELLS_SEARCHED or fewer)
        The cells near each one, itself first.
    """

    def __init__(self, means: np.ndarray) -> None:
        n_cells = max(1, min(len(means), int(CELLS * np.sqrt(len(means)))))
        means, labels = np.ascontiguousarray(means, dtype=np.float64), np.empty(len(means), dtype=np.int64)
        centres = means[np.linspace(0, len(means) - 1, n_cells).astype(np.int64)]
        for _ in range(LLOYD_STEPS):
            counts, sums = np.zeros(n_cells), np.zeros(centres.shape)
            kernels.assign_nearest(means, None, centres, labels, counts, sums)
            centres = centres + sums / np.maximum(counts, 1.0)[:, None]
        kernels.assign_nearest(means, None, centres, labels, np.zeros(n_cells), np.zeros(centres.shape))
        away = means - centres[labels]
        order = np.lexsort((np.einsum("kd,kd->k", away, away), labels))
        members = np.split(order, np.searchsorted(labels[order], np.arange(1, n_cells)))
        there = [cell for cell in range(n_cells) if len(members[cell])]
        self.centres = np.ascontiguousarray(centres[there])
        self.members = [members[cell] for cell in there]
        self.close = np.argsort(_squared_distances(self.centres, self.centres), axis=1)[:, :CELLS_SEARCHED]

    def near(self, cell: int) -> np.ndarray:
        """Return the means in a cell and those close to it."""
        return np.concatenate([self.members[other] for other in self.close[cell]])


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return squared distances of rows of `a` to rows of `b`, up to rounding."""
    origin = b.mean(axis=0)
    a, b = a - origin, b - origin
    return np.einsum("nd,nd->n", a, a)[:, None] + np.einsum("nd,nd->n", b, b) - 2.0 * (a @ b.T)


def near_components(means: np.ndarray, n_neighbors: int) -> np.ndarray:
    """Return components whose means are near each mean, by distance: all pairs where few, otherwise by cells.

    Parameters
    ----------
    means : ndarray of shape (n_components, n_features)
    n_neighbors : int
        At most ``n_components - 1``.

    Returns
    -------
    ndarray of shape (n_components, n_neighbors), int32
        The nearest first; negative where a search of cells found no more.
    """
    n_components = len(means)
    near = np.full((n_components, n_neighbors), -1, dtype=np.int32)
    if n_neighbors == 0:
        return near
    everyone = np.arange(n_components)
    if n_components <= ALL_PAIRS:
        searches = [(everyone[at : at + 1024], everyone) for at in range(0, n_components, 1024)]
    else:
        cells = _Cells(means)
        searches = [(of, cells.near(cell)) for cell, of in enumerate(cells.members)]
    for of, among in searches:
        distances = _squared_distances(means[of], means[among])
        distances[of[:, None] == among] = np.inf
        n_found = min(n_neighbors, len(among) - 1)
        if n_found < 1:
            continue
        part = np.argpartition(distances, n_found - 1, axis=1)[:, :n_found]
        by_distance = np.argsort(np.take_along_axis(distances, part, axis=1), axis=1, kind="stable")
        near[of, :n_found] = among[np.take_along_axis(part, by_distance, axis=1)]
    return near


class Entries:
    """Where a search for the components near a row begins: in the cell of means that it lies in, and those close to it.

    Parameters
    ----------
    means : ndarray of shape (n_components, n_features)

    Attributes
    ----------
    neighbors : ndarray of shape (n_components, n), int32
        All components of these cells, in the line of the one that stands for the cell; negative where there are no
        more, and in all other lines.
    """

    def __init__(self, means: np.ndarray) -> None:
        cells = _Cells(means)
        self._centres = cells.centres
        self._standing = np.array([members[0] for members in cells.members], dtype=np.int32)
        near = [cells.near(cell) for cell in range(len(self._centres))]
        self.neighbors = np.full((len(means), max(map(len, near))), -1, dtype=np.int32)
        for component, others in zip(self._standing, near, strict=True):
            self.neighbors[component, : len(others)] = others

    def of(self, rows: np.ndarray, n_candidates: int) -> np.ndarray:
        """Return first candidates of rows: the component that stands for each one's cell, and none behind it.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features), float32 or float64, C-contiguous
        n_candidates : int

        Returns
        -------
        ndarray of shape (n_rows, n_candidates), int32
        """
        cell, counts = np.empty(len(rows), dtype=np.int64), np.zeros(len(self._centres))
        kernels.assign_nearest(rows, None, self._centres, cell, counts, np.zeros(self._centres.shape))
        candidates = np.full((len(rows), n_candidates), -1, dtype=np.int32)
        candidates[:, 0] = self._standing[cell]
        return candidates
