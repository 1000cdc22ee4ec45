"""Model-based agglomerative hierarchical clustering: starts for every number of components from one tree.

Clusters are merged two by two so that the classification likelihood of Gaussian components with unrestricted
covariances falls least. The cost of a cluster of n rows with scatter W in p dimensions is::

    n log( det(W / n) + (tr W + alpha) / n ),      alpha = tr(W of all rows) / (n_samples p)

without the determinant while ``n <= p``; the trace keeps clusters that are still flat comparable. Rows are first
standardised and rotated to their principal axes, each divided by the square root of its singular value.

Time and memory are quadratic in the number of rows: 2000 rows take 32 MB, more are sub-sampled to `MAX_ROWS`. They are
quadratic in the number of features as well, up to `MAX_SCATTER`.

References
----------
Fraley (1998), Algorithms for model-based Gaussian hierarchical clustering, SIAM J. Sci. Comput. 20, section 2.4.
Scrucca and Raftery (2015), Improved initialisation of model-based clustering using Gaussian hierarchical
partitions, Advances in Data Analysis and Classification 9, section 4 (the scaled variables).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastgmm.data import ArrayRows

__all__ = ["MAX_ROWS", "HierarchicalTree", "cluster_hierarchically"]

#: Rows that are clustered; of more, this many are drawn in proportion to their weight.
MAX_ROWS = 2000
#: Numbers in the scatter of all clusters, 128 MB. Where features are so many that there would be more, the first
#: principal axes are clustered, as many as there is room for: 183 with 500 rows, 91 with 2000.
MAX_SCATTER = 1 << 24
#: A determinant that cannot reach this share of the trace beside it is not computed: nats per row in a cost.
NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class HierarchicalTree:
    """The merges of one clustering, from single rows to one cluster.

    Attributes
    ----------
    n_rows : int
        Rows of the whole.
    leaves : ndarray of shape (n_leaves,), int64
        The row each leaf is: all rows, or a sub-sample; a row of integer weight is as many leaves.
    merges : ndarray of shape (n_leaves - 1, 2), int64
        Leaves whose clusters merged, in order; the second's becomes part of the first's.
    n_distinct : int
        Leaves that differ.
    """

    n_rows: int
    leaves: np.ndarray
    merges: np.ndarray
    n_distinct: int

    def labels(self, n_clusters: int) -> np.ndarray:
        """Return the cluster of each row when `n_clusters` are left, in order of appearance, shape (n_rows,), int64.

        Rows that were not clustered have -1.

        Raises
        ------
        ValueError
            If there are fewer distinct rows.
        """
        if n_clusters > self.n_distinct:
            raise ValueError(
                f"n_components is {n_clusters}; expected at most {self.n_distinct}, the distinct rows that init_params="
                "'hc' clusters. Reduce n_components or use init_params='kmeans'"
            )
        n_leaves = len(self.leaves)
        cluster = np.arange(n_leaves)
        # Backwards, so that what a cluster was merged into is known by its final name.
        for kept, gone in self.merges[: n_leaves - n_clusters][::-1]:
            cluster[gone] = cluster[kept]
        _, first, numbered = np.unique(cluster, return_index=True, return_inverse=True)
        labels = np.full(self.n_rows, -1, dtype=np.int64)
        # Of equal leaves in different clusters the first decides.
        labels[self.leaves[::-1]] = np.argsort(np.argsort(first))[numbered[::-1]]
        return labels


def cluster_hierarchically(
    rows: ArrayRows, random_state: np.random.RandomState, max_rows: int = MAX_ROWS
) -> HierarchicalTree:
    """Cluster the rows, or `max_rows` of them, into one tree.

    Parameters
    ----------
    rows : ArrayRows
        Rows of integer weight are clustered as that many equal rows where these are not too many.
    random_state : RandomState
        For the sub-sample, drawn in proportion to weight; not used where all rows are clustered.
    max_rows : int

    Returns
    -------
    HierarchicalTree
    """
    leaves, weight = _leaves(rows, random_state, max_rows)
    points = rows.X[leaves].astype(np.float64)
    n_distinct = len(np.unique(points, axis=0))
    return HierarchicalTree(rows.n_samples, leaves, _merge_all(_scaled(points, weight), weight), n_distinct)


def _leaves(rows, random_state, max_rows):
    weight, every = rows.sample_weight, np.arange(rows.n_samples)
    if weight is not None and rows.total_weight <= max_rows and (weight == np.floor(weight)).all():
        every, weight = every.repeat(weight.astype(np.int64)), None
    elif rows.n_samples > max_rows:
        places = ArrayRows(np.arange(float(rows.n_samples))[:, None], weight)
        every = places.sample(max_rows, random_state).X[:, 0].astype(np.int64)
        # Neighbouring strata may share a row; only a heavy one is as many leaves.
        every, weight = (np.unique(every) if weight is None else every), None
    if weight is None:
        return every, np.ones(len(every))
    return every[weight > 0], weight[weight > 0]


def _scaled(points, weight):
    total = weight.sum()
    centred = points - weight @ points / total
    sd = np.sqrt(weight @ centred**2 / max(total - 1.0, 1.0))
    centred = centred[:, sd > 0] / sd[sd > 0]
    if not centred.size:
        return np.zeros((len(points), 1))
    _, singular, axes = np.linalg.svd(np.sqrt(weight)[:, None] * centred, full_matrices=False)
    kept = singular > singular[0] * len(points) * np.finfo(np.float64).eps
    kept[max(1, int(np.sqrt(MAX_SCATTER / len(points)))) :] = False
    return centred @ axes[kept].T / np.sqrt(singular[kept])


class _Clusters:
    """Counts, means and scatter of the clusters still there, the last axis running over clusters."""

    def __init__(self, points, weight):
        n_features = points.shape[1]
        self.counts = weight.copy()
        self.means = np.ascontiguousarray(points.T)
        self.scatter = np.zeros((n_features, n_features, len(points)))
        self.traces = np.zeros(len(points))
        total = weight.sum()
        self.alpha = float(weight @ ((points - weight @ points / total) ** 2).sum(axis=1)) / (total * n_features)
        self.alpha = max(self.alpha, np.finfo(np.float64).eps)
        self.costs = self.counts * np.log(self.alpha / self.counts)
        self.negligible = np.log(NEGLIGIBLE) + n_features * np.log(n_features)

    def keep(self, alive):
        """Drop the clusters that `alive` leaves out."""
        self.counts, self.traces, self.costs = self.counts[alive], self.traces[alive], self.costs[alive]
        self.means = np.ascontiguousarray(self.means[:, alive])
        self.scatter = np.ascontiguousarray(self.scatter[:, :, alive])

    def union_costs(self, i):
        """Return the cost of cluster `i` merged with each other one."""
        n_features = len(self.means)
        counts = self.counts + self.counts[i]
        shift = self.means - self.means[:, i : i + 1]
        shift *= np.sqrt(self.counts * self.counts[i] / counts)
        traces = self.traces + self.traces[i] + np.einsum("im,im->m", shift, shift)
        log_flat = np.log((traces + self.alpha) / counts)
        # det <= (t / p)^p, where t is the trace: mostly far too small to matter beside t.
        matters = (n_features - 1) * log_flat > self.negligible
        solid = np.flatnonzero(matters & (counts > n_features))
        if len(solid):
            chosen = slice(None) if len(solid) == len(counts) else solid
            shift = shift[:, chosen]
            scatter = self.scatter[:, :, chosen] + self.scatter[:, :, i, None]
            scatter += shift[:, None, :] * shift
            log_det = _log_determinants(scatter) - n_features * np.log(counts[chosen])
            log_flat[chosen] = np.logaddexp(log_det, log_flat[chosen])
        return counts * log_flat

    def merge(self, i, j, cost):
        """Make cluster `j` part of `i`."""
        count = self.counts[i] + self.counts[j]
        shift = self.means[:, j] - self.means[:, i]
        outer = np.outer(shift, shift) * (self.counts[i] * self.counts[j] / count)
        self.scatter[:, :, i] += self.scatter[:, :, j] + outer
        self.traces[i] += self.traces[j] + np.trace(outer)
        self.means[:, i] += shift * (self.counts[j] / count)
        self.counts[i], self.costs[i] = count, cost


def _log_determinants(matrices):
    # Symmetric elimination of all matrices at once; destroys them. LAPACK's call per matrix costs more below p = 12.
    pivots = np.empty((len(matrices), matrices.shape[-1]))
    least = np.finfo(np.float64).eps * np.einsum("iim->m", matrices)
    singular = np.zeros(matrices.shape[-1], dtype=bool)
    for k in range(len(matrices)):
        pivot = matrices[k, k]
        singular |= pivot <= least
        pivots[k] = np.where(singular, 1.0, pivot)
        column = matrices[k, k + 1 :]
        matrices[k + 1 :, k + 1 :] -= column[:, None, :] * (column / pivots[k])
    log_determinants = np.log(pivots).sum(axis=0)
    log_determinants[singular] = -np.inf
    return log_determinants


def _merge_all(points, weight):
    # Backwards: of equal merges, as between equal rows, the one with the last row is taken first, as in mclust; its
    # partner is the last one too, and the cluster keeps the earlier place.
    clusters = _Clusters(points[::-1], weight[::-1])
    names = np.arange(len(points))[::-1]
    merges = np.empty((len(points) - 1, 2), dtype=np.int64)
    # gains[i, j] is what the cost rises by if i and j are merged; infinite on the diagonal and for clusters gone.
    gains = _gains_of_leaves(clusters)
    nearest = gains.argmin(axis=1)
    least = gains[np.arange(len(names)), nearest]
    alive = np.ones(len(names), dtype=bool)
    for step in range(len(merges)):
        i = int(least.argmin())
        j, i = sorted((i, int(nearest[i])))
        merges[step] = names[i], names[j]
        clusters.merge(i, j, gains[i, j] + clusters.costs[i] + clusters.costs[j])
        alive[j] = False
        row = clusters.union_costs(i) - clusters.costs - clusters.costs[i]
        row[~alive] = row[i] = least[j] = np.inf
        gains[j] = gains[:, j] = np.inf
        gains[i] = gains[:, i] = row
        # A cluster whose nearest was i or j looks again at all; for the others only i can have come nearer.
        stale = np.flatnonzero(alive & ((nearest == i) | (nearest == j)))
        closer = row < least
        nearest[closer], least[closer] = i, row[closer]
        stale = np.append(stale, i)
        nearest[stale] = gains[stale].argmin(axis=1)
        least[stale] = gains[stale, nearest[stale]]
        if 4 * np.count_nonzero(alive) < 3 * len(names):
            position = np.cumsum(alive) - 1
            clusters.keep(alive)
            gains = np.ascontiguousarray(gains[np.ix_(alive, alive)])
            names, nearest, least = names[alive], position[nearest[alive]], least[alive]
            alive = np.ones(len(names), dtype=bool)
    return merges


def _gains_of_leaves(clusters):
    counts, n_features = clusters.counts, len(clusters.means)
    together = counts[:, None] + counts
    traces = np.zeros_like(together)
    for mean in clusters.means:
        traces += (mean[:, None] - mean) ** 2
    traces *= counts[:, None] * counts / together
    gains = np.log((traces + clusters.alpha) / together)
    gains *= together
    gains -= clusters.costs[:, None]
    gains -= clusters.costs
    # A few features or many equal rows, and two leaves are more than flat.
    for i in np.flatnonzero(counts + counts.max() > n_features):
        gains[i] = clusters.union_costs(i) - clusters.costs - clusters.costs[i]
    np.fill_diagonal(gains, np.inf)
    return gains
