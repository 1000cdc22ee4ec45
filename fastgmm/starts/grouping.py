"""Starts from one k-means++ sweep: many ways to group the same small clusters.

The sweep chooses several times as many centres as components and every row joins the nearest. What follows looks at
these small clusters only, a few hundred numbers whatever the data: k-means on their means, from any choice among the
centres; and agglomeration by the likelihood of Gaussian components, which sees covariances where k-means sees balls.
"""

from __future__ import annotations

import numpy as np

from fastgmm import kernels
from fastgmm.data import ArrayRows
from fastgmm.model import Shape, SufficientStatistics
from fastgmm.model.shapes import DIAGONAL
from fastgmm.starts.kmeans import kmeans_plusplus

__all__ = ["SmallClusters"]

#: Agglomeration looks at variances only, along the features, in more dimensions: its cost grows with their cube.
MOST_FEATURES = 10
#: Lloyd steps on the small clusters.
N_LLOYD = 10


class SmallClusters:
    """Rows gathered into small clusters.

    Parameters
    ----------
    rows : ArrayRows
    n_clusters : int
    n_greedy : int
        Centres chosen with greed, as k-means++ for this many clusters would.
    shape : Shape
        Of the covariances that components will have.
    random_state : RandomState
    n_seeding : int, optional
        Centres are chosen among a sample of so many rows. All rows unless given.

    Attributes
    ----------
    labels : ndarray of shape (n_samples,), int64
        Small cluster of each row.
    counts, means : ndarray
        Of the small clusters that have rows, (n_kept,) and (n_kept, n_features), in the order of the sweep.
    """

    def __init__(
        self,
        rows: ArrayRows,
        n_clusters: int,
        n_greedy: int,
        shape: Shape,
        random_state: np.random.RandomState,
        n_seeding: int | None = None,
    ) -> None:
        seeding = rows if n_seeding is None else rows.sample(n_seeding, random_state)
        centres = seeding.X[kmeans_plusplus(seeding, n_clusters, random_state, n_greedy)].astype(np.float64)
        labels = np.empty(rows.n_samples, dtype=np.int64)
        counts, sums = np.zeros(n_clusters), np.zeros(centres.shape)
        kernels.assign_nearest(rows.X, rows.sample_weight, centres, labels, counts, sums)
        kept = np.flatnonzero(counts)
        centres = centres[kept] + sums[kept] / counts[kept, None]
        position = np.full(n_clusters, -1)
        position[kept] = np.arange(len(kept))
        self.rows = rows
        self.labels = position[labels]
        self.shape = shape.per_component
        if self.shape.is_matrix and rows.n_features > MOST_FEATURES:
            self.shape = DIAGONAL
        statistics = rows.accumulate_labels(self.labels, self.shape.name, centres)
        self.counts, self.means, self.scatter = statistics.counts, centres, statistics.scatter

    def nearest(self, chosen: np.ndarray) -> np.ndarray:
        """Return the groups that k-means makes of the small clusters from the chosen ones, shape (n_kept,)."""
        centres = self.means[chosen]
        group = _nearest(self.means, centres)
        for _ in range(N_LLOYD):
            share = np.zeros((len(chosen), len(group)))
            share[group, np.arange(len(group))] = self.counts
            totals = share.sum(axis=1)
            centres = np.where(totals[:, None] > 0, share @ self.means / np.maximum(totals, 1e-300)[:, None], centres)
            previous, group = group, _nearest(self.means, centres)
            if np.array_equal(group, previous):
                break
        return group

    def choose(self, n_groups: int, random_state: np.random.RandomState) -> np.ndarray:
        """Return small clusters far from each other, drawn as k-means++ does, without greed."""
        chosen = np.empty(n_groups, dtype=np.int64)
        distances = np.full(len(self.counts), 1.0)
        for k in range(n_groups):
            cumulative = np.cumsum(self.counts * distances)
            chosen[k] = min(np.searchsorted(cumulative, random_state.uniform() * cumulative[-1]), len(cumulative) - 1)
            new = ((self.means - self.means[chosen[k]]) ** 2).sum(axis=1)
            distances = new if k == 0 else np.minimum(distances, new)
            if not distances.any():
                distances += 1.0
        return chosen

    def agglomerate(self, n_groups: int) -> np.ndarray:
        """Return the groups left when the likelihood of one Gaussian per group falls least, shape (n_kept,).

        The cost of n rows with scatter W is ``n log det((W + V) / (n + a))`` plus ``-2 n log n``; V, the scatter of
        ``a = n_features + 1`` rows with the small clusters' pooled covariance, keeps groups of few rows comparable.
        """
        n_features = self.means.shape[1]
        floor = _positive(self.scatter.sum(axis=0) / self.counts.sum() * (n_features + 1.0), self.shape)
        extra = n_features + 1.0
        matrices = (self.scatter + floor) / self.shape.each(self.counts + extra)
        merged = self.shape.features_per_variance(n_features)
        matrices, floor = matrices / merged, floor / merged
        group = np.empty(len(self.counts), dtype=np.int64)
        kernels.merge(
            self.shape.name,
            self.counts.copy(),
            self.means.copy(),
            matrices,
            n_groups,
            group,
            floor=np.asarray(floor),
            extra_count=extra,
            entropy=2.0,
        )
        return np.unique(group, return_inverse=True)[1]

    def statistics(self, group: np.ndarray, n_groups: int, shape: Shape) -> SufficientStatistics:
        """Return the statistics of the rows, each wholly in the group of its small cluster."""
        totals = np.bincount(group, weights=self.counts, minlength=n_groups)
        centres = np.zeros((n_groups, self.means.shape[1]))
        np.add.at(centres, group, self.means * self.counts[:, None])
        centres /= np.maximum(totals, np.finfo(np.float64).tiny)[:, None]
        return self.rows.accumulate_labels(group[self.labels], shape.name, centres)


def _nearest(points, centres):
    return ((centres**2).sum(axis=1) - 2.0 * points @ centres.T).argmin(axis=1)


def _positive(floor, shape):
    # Rows that coincide leave directions without any scatter.
    tiny = np.finfo(np.float64).tiny ** 0.5
    if shape.is_matrix:
        return floor + np.eye(len(floor)) * max(1e-12 * np.trace(floor), tiny)
    return np.maximum(floor, max(1e-12 * float(np.max(floor)), tiny))
