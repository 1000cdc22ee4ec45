"""k-means on the compiled passes: the start of most fits."""

from __future__ import annotations

import numpy as np

from fastgmm import config, kernels
from fastgmm.data import ArrayRows
from fastgmm.starts.many_clusters import MANY_CLUSTERS, kmeans_of_many

__all__ = ["kmeans", "kmeans_plusplus", "lloyd"]

MAX_ITER = 300
# Relative to the mean variance of the features, on the squared movement of all centres: scikit-learn's rule.
TOLERANCE = 1e-4
# Centres are sought among this many rows at least, and this many per cluster: a centre is then known to a twentieth
# of its cluster's standard deviation or better, and the first EM pass over all rows moves it further than that.
SAMPLE_ROWS = 1 << 15
SAMPLE_ROWS_PER_CLUSTER = 512
# The first centres are rows; these many say as well as more which to take.
SEEDING_ROWS = 1 << 13
SEEDING_ROWS_PER_CLUSTER = 64


def kmeans_plusplus(
    rows: ArrayRows,
    n_clusters: int,
    random_state: np.random.RandomState,
    n_greedy: int | None = None,
    n_swaps: int = 0,
) -> np.ndarray:
    """Choose rows far from each other as centres, by greedy k-means++.

    Each further centre is the best of ``2 + log(n_clusters)`` rows drawn in proportion to weight times squared
    distance from the nearest centre so far. Draws depend on cumulative weights alone, so an integer weight and a
    repeated row are drawn alike.

    Parameters
    ----------
    rows : ArrayRows
    n_clusters : int
    random_state : RandomState
    n_greedy : int, optional
        Centres chosen with greed; those after them are drawn once each, at a fraction of the cost. All unless given.
    n_swaps : int
        Rows drawn afterwards, each to take the place of a centre if that lowers the cost enough to matter; fewer where
        several in a row do not.

    Returns
    -------
    ndarray of shape (n_clusters,), int64
        Indices of the rows chosen. Where fewer rows are distinct than clusters wanted, some coincide.

    References
    ----------
    Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007, section 2.2. Lattanzi and
    Sohler, "A better k-means++ algorithm via local search", ICML 2019, algorithm 2 (the swaps).
    """
    n_greedy = min(n_clusters if n_greedy is None else n_greedy, n_clusters)
    n_candidates = 2 + int(np.log(max(n_greedy, 1)))
    positions = random_state.uniform(size=n_clusters + max(0, n_greedy - 1) * (n_candidates - 1) + n_swaps)
    chosen = np.empty(n_clusters, dtype=np.int64)
    distances = np.full(rows.n_samples, np.finfo(rows.X.dtype).max, dtype=rows.X.dtype)
    kernels.choose_centres(rows.X, rows.sample_weight, positions, n_greedy, n_candidates, n_swaps, distances, chosen)
    return chosen


def kmeans(rows: ArrayRows, n_clusters: int, random_state: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Cluster rows by Lloyd's algorithm from a k-means++ start.

    Beyond `SAMPLE_ROWS` (or `SAMPLE_ROWS_PER_CLUSTER` per cluster) the centres come from a stratified sub-sample, and
    one pass over all rows labels them. `MANY_CLUSTERS` or more are found as in `kmeans_of_many`.

    Parameters
    ----------
    rows : ArrayRows
    n_clusters : int
    random_state : RandomState

    Returns
    -------
    centres : ndarray of shape (n_clusters, n_features), float64
    labels : ndarray of shape (n_samples,), int64
        The nearest of `centres`, up to the last step's movement.
    """
    if n_clusters >= MANY_CLUSTERS:
        return kmeans_of_many(rows, n_clusters, random_state)
    drawn = rows.sample(max(SAMPLE_ROWS, SAMPLE_ROWS_PER_CLUSTER * n_clusters), random_state)
    centres, labels = _lloyd(drawn, n_clusters, random_state)
    if drawn is not rows:
        labels = np.empty(rows.n_samples, dtype=np.int64)
        counts, sums = np.zeros(n_clusters), np.zeros(centres.shape)
        kernels.assign_nearest(rows.X, rows.sample_weight, centres, labels, counts, sums)
    return centres, labels


def _lloyd(rows: ArrayRows, n_clusters: int, random_state: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    seeding = rows.sample(max(SEEDING_ROWS, SEEDING_ROWS_PER_CLUSTER * n_clusters), random_state)
    chosen = kmeans_plusplus(seeding, n_clusters, random_state, n_swaps=2 * n_clusters + 8)
    return lloyd(rows, seeding.X[chosen].astype(np.float64))


def lloyd(rows: ArrayRows, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move centres to the means of their clusters until they move no more, by scikit-learn's rule.

    Parameters
    ----------
    rows : ArrayRows
    centres : ndarray of shape (n_clusters, n_features), float64
        Moved in place.

    Returns
    -------
    centres : ndarray of shape (n_clusters, n_features), float64
    labels : ndarray of shape (n_samples,), int64
        The nearest of `centres`, up to the last step's movement.
    """
    n_clusters, labels = len(centres), np.empty(rows.n_samples, dtype=np.int64)
    threshold = TOLERANCE * _mean_variance(rows)
    # Looked up once: on a few hundred rows an iteration takes no longer than that.
    assign_nearest, n_threads = kernels.engine_for("assign_nearest").assign_nearest, config.n_threads()
    for _ in range(MAX_ITER):
        counts, sums = np.zeros(n_clusters), np.zeros(centres.shape)
        assign_nearest(rows.X, rows.sample_weight, centres, labels, counts, sums, n_threads)
        if not counts.all():
            _fill_empty(rows, centres, labels, counts, sums)
            counts = np.maximum(counts, np.finfo(float).tiny)
        moved = sums / counts[:, None]
        centres += moved
        if np.einsum("kd,kd->", moved, moved) <= threshold:
            break
    return centres, labels


def _mean_variance(rows: ArrayRows) -> float:
    """Return the mean over features of their variance."""
    labels = np.zeros(rows.n_samples, dtype=np.int64)
    centre = rows.X[:1].astype(np.float64)
    statistics = rows.accumulate_labels(labels, "diag", centre)
    shift = statistics.sums / statistics.counts[:, None]
    with np.errstate(over="ignore", invalid="ignore"):  # rows near the end of the number range have no variance
        return float(np.mean(np.maximum(statistics.scatter / statistics.counts[:, None] - shift**2, 0.0)))


def _fill_empty(rows: ArrayRows, centres: np.ndarray, labels: np.ndarray, counts: np.ndarray, sums: np.ndarray) -> None:
    """Give each empty cluster the row farthest from its own centre, and take it out of the cluster it was in."""
    distances = np.empty(rows.n_samples)
    step = max(1, (1 << 18) // rows.n_features)
    for start in range(0, rows.n_samples, step):
        part = slice(start, start + step)
        difference = rows.X[part] - centres[labels[part]]
        distances[part] = np.einsum("nd,nd->n", difference, difference)
    if rows.sample_weight is not None:
        distances[rows.sample_weight == 0] = -1.0
    for k in np.flatnonzero(counts == 0):
        row = int(np.argmax(distances))
        owner, weight = labels[row], 1.0 if rows.sample_weight is None else rows.sample_weight[row]
        if distances[row] <= 0 or counts[owner] <= weight:
            return  # no row lies off its centre: fewer distinct rows than clusters
        distances[row] = -1.0
        counts[owner] -= weight
        sums[owner] -= weight * (rows.X[row] - centres[owner])
        labels[row] = k
        centres[k] = rows.X[row]
        counts[k], sums[k] = weight, 0.0
