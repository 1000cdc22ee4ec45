"""k-means for hundreds of clusters and more: nothing is done for every row and every centre.

Centres are drawn by a Markov chain instead of distances of all rows to all centres, and a step of Lloyd asks, for each
row, the neighbours of the centre it had: the truncated pass of the mixture of equal spheres.
"""

from __future__ import annotations

import copy

import numpy as np

from fastgmm import kernels
from fastgmm.data import ArrayRows
from fastgmm.model import SufficientStatistics
from fastgmm.model.component_neighbors import Entries, near_components
from fastgmm.model.moments import Components

__all__ = ["MANY_CLUSTERS", "kmeans_of_many"]

#: Clusters from which on this is how k-means is done.
MANY_CLUSTERS = 512
#: Centres are sought among so many rows for each.
ROWS_PER_CLUSTER = 64
#: Draws for each centre, and centres drawn between two products of all candidates with all centres.
CHAIN, TOGETHER, CENTRES_AT_ONCE = 10, 64, 2048
#: Neighbours asked by a row, centres held while it looks for the first, Lloyd steps at most, and the share of the
#: inertia that another step must save, between moves and after the last.
N_NEIGHBORS, HELD, MOST_STEPS, TOL, LAST_TOL = 15, 3, 30, 2e-3, 2e-4
#: Centres up to which each row's first is the nearest of all; how often that is asked again at the end, until fewer
#: rows than this share had another.
EXACT_START, MOST_CORRECTIONS, WRONG_SHARE = 8192, 16, 0.01
#: Of so many centres one is moved at first; moves at most; and doublings of the steps from a centre that is given up
#: to one that is not.
MOVED_SHARE, MOST_MOVES, MOST_HEIRS = 8, 24, 4


def kmeans_of_many(
    rows: ArrayRows, n_clusters: int, random_state: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Cluster rows by k-means, each row asking a few centres.

    Parameters
    ----------
    rows : ArrayRows
    n_clusters : int
    random_state : RandomState

    Returns
    -------
    centres : ndarray of shape (n_clusters, n_features), float64
    labels : ndarray of shape (n_samples,), int64
        A centre near each row, the nearest for nearly all.

    References
    ----------
    Bachem, Lucic, Hassani and Krause, "Fast and provably good seedings for k-means", NeurIPS 2016, algorithm 1.
    """
    drawn = rows.sample(max(ROWS_PER_CLUSTER * n_clusters, 1 << 15), random_state)
    centres = drawn.X[_seeds(drawn, n_clusters, random_state)].astype(np.float64)
    search = _Search(centres, int(random_state.randint(1 << 31)))
    candidates = search.first_candidates(drawn)
    inertia = search.settle(drawn, candidates, random_state)
    n_moved = n_clusters // MOVED_SHARE
    for _ in range(MOST_MOVES):
        if n_moved == 0:
            break
        before, held = search.copy(), candidates.copy()
        search.relocate(drawn, candidates, n_moved, random_state)
        moved = search.settle(drawn, candidates, random_state)
        if moved < inertia:
            n_moved = n_moved if moved < (1.0 - TOL) * inertia else n_moved // 2
            inertia = moved
        else:
            search, candidates, n_moved = before, held, n_moved // 2
    if drawn is not rows:
        candidates = search.first_candidates(rows)
    search.settle(rows, candidates, random_state, LAST_TOL)
    # Where clusters overlap, the nearest of a row need not be among the neighbours of the one it has.
    for _ in range(MOST_CORRECTIONS if n_clusters <= EXACT_START else 0):
        nearest = search.first_candidates(rows)
        n_wrong, candidates = np.count_nonzero(nearest != candidates), nearest
        search.settle(rows, candidates, random_state, LAST_TOL)
        if n_wrong < WRONG_SHARE * rows.n_samples:
            break
    search.ask(rows, candidates)
    return search.centres, candidates[:, 0].astype(np.int64)


def _seeds(rows: ArrayRows, n_clusters: int, random_state: np.random.RandomState) -> np.ndarray:
    """Return rows for centres, each drawn by a chain whose limit is weight times squared distance to those before."""
    n_rows = rows.n_samples
    weight = np.ones(n_rows) if rows.sample_weight is None else rows.sample_weight
    chosen = np.empty(n_clusters, dtype=np.int64)
    chosen[0] = random_state.choice(n_rows, p=weight / weight.sum())
    distances = np.full(n_rows, np.finfo(rows.X.dtype).max, dtype=rows.X.dtype)
    kernels.update_distances(rows.X, rows.X[chosen[0]].astype(np.float64), distances)
    potential = weight * distances
    share = 0.5 * weight / weight.sum()
    share += 0.5 * potential / potential.sum() if potential.sum() > 0 else share
    cumulative = np.cumsum(share)
    origin = rows.X[: min(n_rows, 1024)].mean(axis=0, dtype=np.float64)
    for first in range(1, n_clusters, TOGETHER):
        n_new = min(TOGETHER, n_clusters - first)
        places = random_state.uniform(size=(n_new, CHAIN)) * cumulative[-1]
        drawn = np.minimum(np.searchsorted(cumulative, places, side="right"), n_rows - 1)
        values = rows.X[drawn] - origin
        nearest = _nearest(values.reshape(n_new * CHAIN, -1), rows.X[chosen[:first]] - origin).reshape(drawn.shape)
        keep = random_state.uniform(size=(n_new, CHAIN))
        for new in range(n_new):
            ratio = weight[drawn[new]] * nearest[new] / share[drawn[new]]
            at = 0
            for step in range(1, CHAIN):
                if ratio[step] > keep[new, step] * ratio[at]:
                    at = step
            chosen[first + new] = drawn[new, at]
            away = values[new + 1 :] - values[new, at]
            np.minimum(nearest[new + 1 :], np.einsum("ncd,ncd->nc", away, away), out=nearest[new + 1 :])
    return chosen


def _nearest(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the squared distance of each row to the nearest centre."""
    least = np.full(len(rows), np.inf)
    for at in range(0, len(centres), CENTRES_AT_ONCE):
        some = centres[at : at + CENTRES_AT_ONCE]
        products = rows @ some.T
        products *= -2.0
        products += np.einsum("kd,kd->k", some, some)
        np.minimum(least, products.min(axis=1), out=least)
    return np.maximum(least + np.einsum("nd,nd->n", rows, rows), 0.0)


class _Search:
    """Centres, the neighbours of each, and passes that ask for the nearest."""

    def __init__(self, centres: np.ndarray, seed: int) -> None:
        self.centres = centres
        self._seed = seed
        self._neighbors = near_components(centres, min(N_NEIGHBORS, len(centres) - 1))
        self._bind()

    def _bind(self) -> None:
        n_clusters = len(self.centres)
        spheres = Components("spherical", np.zeros(n_clusters), self.centres, np.ones(n_clusters))
        self._density = kernels.bind(spheres)
        self._seed += 1
        self._neighbors = kernels.refine_neighbors(self._density, self._neighbors, 2, self._seed)

    def move(self, centres: np.ndarray) -> None:
        """Go on from other centres."""
        self.centres = np.ascontiguousarray(centres)
        self._bind()

    def copy(self) -> _Search:
        """Return one that goes its own way."""
        return copy.copy(self)

    def settle(
        self, rows: ArrayRows, candidates: np.ndarray, random_state: np.random.RandomState, tol: float = TOL
    ) -> float:
        """Make steps of Lloyd while they save a share of `tol`; return the inertia before the last."""
        inertia = np.inf
        for _ in range(MOST_STEPS):
            statistics = SufficientStatistics.zeros("spherical", self.centres)
            before, inertia = inertia, -2.0 * self.ask(rows, candidates, statistics)
            self.move(_moved(rows, candidates[:, 0], statistics, random_state))
            self.statistics = statistics
            if inertia > (1.0 - tol) * before:
                break
        return inertia

    def relocate(
        self, rows: ArrayRows, candidates: np.ndarray, n_moved: int, random_state: np.random.RandomState
    ) -> None:
        """Move centres whose rows lie near another one as well into clusters of large inertia."""
        counts = np.maximum(self.statistics.counts, 1.0)
        nearest = self._neighbors[:, 0]
        away = np.einsum("kd,kd->k", self.centres - self.centres[nearest], self.centres - self.centres[nearest])
        # What the inertia would gain if the rows of the cluster went to its neighbour.
        share = self.statistics.counts * counts[nearest] / (counts + counts[nearest])
        loss = np.where(nearest >= 0, share * away, np.inf)
        order = np.argsort(loss, kind="stable")
        given_up = np.zeros(len(counts), dtype=bool)
        for k in order:
            if given_up.sum() == n_moved:
                break
            given_up[k] = not given_up[nearest[k]]
        inertia = np.where(given_up, 0.0, self.statistics.scatter)
        split = np.argsort(-inertia, kind="stable")[: int(given_up.sum())]
        # Rows of what is given up go to what was near it: from where it is now they might not find their way back.
        heir = np.where(given_up & (nearest >= 0), nearest, np.arange(len(counts)))
        for _ in range(MOST_HEIRS):
            heir = heir[heir]
        candidates[:] = heir[candidates].astype(candidates.dtype)
        labels, order = candidates[:, 0], random_state.permutation(rows.n_samples)
        ranked = order[np.argsort(labels[order], kind="stable")]
        begins = np.searchsorted(labels[ranked], split)
        moved = np.flatnonzero(given_up)
        self.centres = self.centres.copy()
        self.centres[moved] = rows.X[ranked[np.minimum(begins, rows.n_samples - 1)]]
        # Both parts of what is split know each other, and what was near.
        neighbors = self._neighbors.copy()
        neighbors[moved, 1:] = self._neighbors[split, :-1]
        neighbors[moved, 0] = split
        neighbors[split, 1:] = self._neighbors[split, :-1]
        neighbors[split, 0] = moved
        self._neighbors = neighbors
        self._bind()

    def first_candidates(self, rows: ArrayRows) -> np.ndarray:
        """Return a centre near each row, int32, after some steps from neighbour to neighbour."""
        if len(self.centres) <= EXACT_START:
            labels, counts = np.empty(rows.n_samples, dtype=np.int64), np.zeros(len(self.centres))
            kernels.assign_nearest(rows.X, None, self.centres, labels, counts, np.zeros(self.centres.shape))
            return labels.astype(np.int32)[:, None]
        entries = Entries(self.centres)
        candidates = np.concatenate([entries.of(block.rows, HELD) for block in rows.iterate()])
        self.ask(rows, candidates, neighbors=entries.neighbors)
        value = -np.inf
        for _ in range(MOST_STEPS):
            before, value = value, self.ask(rows, candidates)
            if value <= before + TOL * abs(value):
                break
        return np.ascontiguousarray(candidates[:, :1])

    def ask(
        self,
        rows: ArrayRows,
        candidates: np.ndarray,
        statistics: SufficientStatistics | None = None,
        neighbors: np.ndarray | None = None,
    ) -> float:
        """Replace candidates by the nearest of their neighbours; return the log-likelihood of the spheres.

        Of one candidate for each row that is minus half the sum of squared distances.
        """
        total, at = 0.0, 0
        neighbors = self._neighbors if neighbors is None else neighbors
        for block in rows.iterate():
            part = candidates[at : at + len(block.rows)]
            self._seed += 1
            value, _ = kernels.accumulate_truncated(
                block.rows, block.weight, self._density, neighbors, part, 1, self._seed, at, statistics
            )
            total += value
            at += len(block.rows)
        return total


def _moved(
    rows: ArrayRows, labels: np.ndarray, statistics: SufficientStatistics, random_state: np.random.RandomState
) -> np.ndarray:
    """Return the means of the clusters; one that is empty goes to a row of a cluster whose inertia is large."""
    counts = statistics.counts
    centres = statistics.centres + statistics.sums / np.maximum(counts, np.finfo(float).tiny)[:, None]
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        by_inertia = np.maximum(statistics.scatter, 0.0)[labels] / np.maximum(counts, 1.0)[labels]
        if rows.sample_weight is not None:
            by_inertia = by_inertia * rows.sample_weight
        if by_inertia.sum() > 0:
            n_found = min(len(empty), int(np.count_nonzero(by_inertia)))
            found = random_state.choice(rows.n_samples, size=n_found, replace=False, p=by_inertia / by_inertia.sum())
            centres[empty[:n_found]] = rows.X[found]
    return centres
