"""Which two clusters of components join next: by the entropy of the soft clusters, by overlap, or by their modes.

A linkage keeps what it needs of the clusters there are, says how strongly each pair is one (`strengths`), and is told
which two join. `agglomerate` is the loop around it.

References
----------
Baudry, Raftery, Celeux, Lo and Gottardo (2010), Combining mixture components for clustering, Journal of Computational
and Graphical Statistics 19, section 3 (entropy). Hennig (2010), Methods for merging Gaussian mixture components,
Advances in Data Analysis and Classification 4, sections 4.2 (ridge lines) and 4.3 (overlap). Ray and Lindsay (2005),
The topography of multivariate normal mixtures, Annals of Statistics 33, theorem 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

__all__ = ["Entropy", "Linkage", "Modes", "Overlap", "agglomerate", "ridge_saddles", "x_log_x"]

#: Overlaps below it are no measurement: responsibilities are exact to the kernels' floor, about e^-55.
LEAST_OVERLAP = 1e-30
#: Points on the ridge line between two components at which the density is looked at.
RIDGE_POINTS = 15


class Linkage(Protocol):
    """How strongly clusters belong together."""

    def strengths(self, i: int) -> np.ndarray:
        """Return how strongly cluster i belongs to each cluster, shape (n_components,); higher joins first."""

    def join(self, kept: int, gone: int) -> None:
        """Let cluster `gone` become part of cluster `kept`."""


class Entropy:
    """The fall of the entropy of the soft clusters when two become one, in nats; per row of the two on request."""

    def __init__(self, responsibilities: np.ndarray, weight: np.ndarray, per_row: bool) -> None:
        self.clusters, self.weight, self.per_row = responsibilities.copy(), weight, per_row

    def strengths(self, i: int) -> np.ndarray:
        """Return the fall for cluster i and each cluster."""
        own = self.weight @ x_log_x(self.clusters)
        falls = self.weight @ x_log_x(self.clusters + self.clusters[:, i, None]) - own - own[i]
        if not self.per_row:
            return falls
        counts = self.weight @ self.clusters
        return falls / np.maximum(counts + counts[i], np.finfo(np.float64).tiny)

    def join(self, kept: int, gone: int) -> None:
        """Add up responsibilities."""
        self.clusters[:, kept] += self.clusters[:, gone]
        self.clusters[:, gone] = 0.0


class Overlap:
    """How much oftener rows are shared by two clusters than if memberships were independent.

    ``n sum_n r_ni r_nj / (n_i n_j)``: average linkage, since sums of responsibilities add up over components. No row is
    looked at again. Clusters that share nothing follow, the nearest first by the Bhattacharyya distance of their
    closest components.
    """

    def __init__(self, shared: np.ndarray, distances: np.ndarray) -> None:
        self.shared, self.distances, self.counts = shared.copy(), distances.copy(), shared.sum(axis=1)
        self.total = float(self.counts.sum())

    def strengths(self, i: int) -> np.ndarray:
        """Return the logarithm of the overlap of cluster i with each cluster, or what stands for it."""
        sizes = np.maximum(self.counts * self.counts[i], np.finfo(np.float64).tiny)
        overlap = self.total * self.shared[i] / sizes
        measured = np.log(np.maximum(overlap, LEAST_OVERLAP))
        return np.where(overlap > LEAST_OVERLAP, measured, np.log(LEAST_OVERLAP) - self.distances[i])

    def join(self, kept: int, gone: int) -> None:
        """Add up what is shared, and keep the shorter distances."""
        self.shared[kept] += self.shared[gone]
        self.shared[:, kept] += self.shared[:, gone]
        self.counts[kept] += self.counts[gone]
        self.distances[kept] = self.distances[:, kept] = np.minimum(self.distances[kept], self.distances[gone])


class Modes:
    """How little the density dips between two clusters: its logarithm at the saddle, less that at the lower peak."""

    def __init__(self, saddles: np.ndarray, peaks: np.ndarray) -> None:
        self.saddles, self.peaks = saddles.copy(), peaks.copy()

    def strengths(self, i: int) -> np.ndarray:
        """Return the dip between cluster i and each cluster, in nats, at most about zero."""
        return self.saddles[i] - np.minimum(self.peaks, self.peaks[i])

    def join(self, kept: int, gone: int) -> None:
        """Keep the higher saddles, and the higher peak."""
        self.saddles[kept] = self.saddles[:, kept] = np.maximum(self.saddles[kept], self.saddles[gone])
        self.peaks[kept] = max(self.peaks[kept], self.peaks[gone])


def agglomerate(linkage: Linkage, counts: np.ndarray, least: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Join clusters two by two until one is left.

    Parameters
    ----------
    linkage : Linkage
    counts : ndarray of shape (n_components,)
        Weight of the rows of each component.
    least : float
        While a cluster has less weight than this, the lightest joins the one it belongs to most strongly; otherwise
        the two that belong together most strongly join.

    Returns
    -------
    merges : ndarray of shape (n_components - 1, 2), int64
        The cluster of the second component joins that of the first, which has the lower number.
    strengths : ndarray of shape (n_components - 1,)
    """
    counts, n_components = counts.copy(), len(counts)
    strengths = np.array([linkage.strengths(i) for i in range(n_components)]).reshape(n_components, n_components)
    np.fill_diagonal(strengths, -np.inf)
    alive = np.arange(n_components)
    merges, joined = [], []
    while len(alive) > 1:
        between = strengths[np.ix_(alive, alive)]
        lightest = int(counts[alive].argmin())
        if counts[alive[lightest]] < least:
            pair = lightest, int(between[lightest].argmax())
        else:
            pair = divmod(int(between.argmax()), len(alive))
        i, j = sorted(int(alive[place]) for place in pair)
        merges.append((i, j))
        joined.append(strengths[i, j])
        linkage.join(i, j)
        counts[i] += counts[j]
        alive = alive[alive != j]
        strengths[i] = strengths[:, i] = linkage.strengths(i)
        strengths[i, i] = -np.inf
    return np.array(merges, dtype=np.int64).reshape(-1, 2), np.array(joined, dtype=np.float64)


def ridge_saddles(
    means: np.ndarray, precisions: np.ndarray, log_density: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log density at the lowest point of the ridge line between any two means, and at the means.

    The ridge line ``x(a) = ((1 - a) P_i + a P_j)^-1 ((1 - a) P_i m_i + a P_j m_j)`` holds all stationary points of the
    density of two normal components.

    Parameters
    ----------
    means : ndarray of shape (n_components, n_features)
    precisions : ndarray of shape (n_components, n_features, n_features)
    log_density : callable
        ``log_density(rows) -> ndarray of shape (n_rows,)``, of the whole mixture.

    Returns
    -------
    saddles : ndarray of shape (n_components, n_components)
    peaks : ndarray of shape (n_components,)
    """
    n_components, n_features = means.shape
    peaks = np.asarray(log_density(means), dtype=np.float64)
    saddles = np.tile(peaks, (n_components, 1))
    along = np.linspace(0.0, 1.0, RIDGE_POINTS)[:, None]
    pulls = (precisions @ means[:, :, None])[:, :, 0]
    for i in range(n_components - 1):
        others = slice(i + 1, None)
        matrices = (1.0 - along[..., None, None]) * precisions[i] + along[..., None, None] * precisions[others]
        targets = (1.0 - along[..., None]) * pulls[i] + along[..., None] * pulls[others]
        ridge = np.linalg.solve(matrices, targets[..., None])[..., 0]
        heights = np.asarray(log_density(ridge.reshape(-1, n_features)), dtype=np.float64)
        saddles[i, others] = saddles[others, i] = heights.reshape(RIDGE_POINTS, -1).min(axis=0)
    return saddles, peaks


def x_log_x(values: np.ndarray) -> np.ndarray:
    """Return ``x log x``, zero at zero."""
    return values * np.log(np.maximum(values, np.finfo(np.float64).tiny))
