"""Rows in memory, or in a memory map, as a source of passes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastgmm import kernels
from fastgmm.model import MixtureParameters, SufficientStatistics
from fastgmm.model.moments import Components

__all__ = ["ArrayRows", "block_rows", "blocks_of"]

# Rows converted at a time where an array is not what the kernels read: a few megabytes at most.
BLOCK_VALUES = 1 << 19


def block_rows(n_features: int) -> int:
    """Return how many rows every source gives a kernel at a time: 262,144, fewer from 65 features on.

    A kernel cuts its rows into strips by their number, and adds up strip by strip. Passes over the same rows are the
    same to the bit if the same rows meet the kernel together; so all sources, arrays included, are read in blocks of
    this many rows from the first, the last one shorter. A block is at most 2^24 numbers (128 MB of float64), unless
    it has 32,768 rows; that many keep some twenty threads at work.
    """
    return min(1 << 18, max(1 << 15, (1 << 24) // n_features))


def blocks_of(X: np.ndarray, dtype: np.dtype) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (slice, rows) with rows C-contiguous and of `dtype`; all of X at once where nothing is to convert."""
    if X.dtype == dtype and X.flags.c_contiguous and X.flags.aligned:
        yield slice(0, X.shape[0]), X
        return
    n_rows = max(1, BLOCK_VALUES // X.shape[1])
    for start in range(0, X.shape[0], n_rows):
        part = slice(start, min(start + n_rows, X.shape[0]))
        yield part, np.require(X[part], dtype, ["C", "A"])


class ArrayRows:
    """A source over an array: every pass is one kernel call per block of `block_rows` rows.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float32 or float64, C-contiguous
        May be read-only or a memory map; never written, and copied only where its numbers are not aligned.
    sample_weight : ndarray of shape (n_samples,), float64, optional
        Non-negative.
    """

    def __init__(self, X: np.ndarray, sample_weight: np.ndarray | None = None) -> None:
        # Numbers may straddle their natural boundaries in a file or a message; the kernels do not read such.
        self.X = X if X.flags.aligned else X.copy()
        self.sample_weight = sample_weight
        self.n_samples, self.n_features = X.shape
        #: Sum of the weights: what "the number of samples" means in a mean or a criterion.
        self.total_weight = float(self.n_samples if sample_weight is None else sample_weight.sum())

    def accumulate(self, parameters: MixtureParameters | Components) -> SufficientStatistics:
        """Return the statistics of one pass under `parameters`, about their means."""
        statistics = SufficientStatistics.zeros(parameters.structure, parameters.means)
        for rows, weight, _ in self._blocks():
            kernels.accumulate(rows, weight, parameters, statistics)
        return statistics

    def accumulate_labels(self, labels: np.ndarray, structure: str, centres: np.ndarray) -> SufficientStatistics:
        """Return the statistics of hard memberships about `centres`; rows with a negative label are left out."""
        statistics = SufficientStatistics.zeros(structure, centres)
        for rows, weight, part in self._blocks():
            kernels.accumulate_labels(rows, weight, labels[part], statistics)
        return statistics

    def _blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray | None, slice]]:
        size = block_rows(self.n_features)
        if self.n_samples <= size:
            yield self.X, self.sample_weight, slice(None)
            return
        for start in range(0, self.n_samples, size):
            part = slice(start, start + size)
            yield self.X[part], None if self.sample_weight is None else self.sample_weight[part], part

    def accumulate_shares(self, shares: np.ndarray, structure: str) -> SufficientStatistics:
        """Return the statistics of given responsibilities (n_samples, n_components), about their own means."""
        weights = shares if self.sample_weight is None else shares * self.sample_weight[:, None]
        origin = self.X[: min(self.n_samples, 1024)].mean(axis=0, dtype=np.float64)
        counts = np.zeros(shares.shape[1])
        sums = np.zeros((shares.shape[1], self.n_features))
        n_rows = max(1, BLOCK_VALUES // (self.n_features + shares.shape[1]))
        parts = [slice(start, start + n_rows) for start in range(0, self.n_samples, n_rows)]
        for part in parts:
            block_weights = np.asarray(weights[part], dtype=np.float64)
            counts += block_weights.sum(axis=0)
            sums += block_weights.T @ (self.X[part] - origin)
        centres = origin + sums / np.maximum(counts, np.finfo(float).tiny)[:, None]
        statistics = SufficientStatistics.zeros(structure, centres)
        statistics.counts += counts
        for part in parts:
            for k in range(shares.shape[1]):
                self._add_share(statistics, k, self.X[part], np.asarray(weights[part, k], dtype=np.float64))
        return statistics

    @staticmethod
    def _add_share(statistics: SufficientStatistics, k: int, rows: np.ndarray, weights: np.ndarray) -> None:
        x = rows - statistics.centres[k]
        wx = x * weights[:, None]
        statistics.sums[k] += wx.sum(axis=0)
        if statistics.structure == "full":
            statistics.scatter[k] += wx.T @ x
        elif statistics.structure == "tied":
            statistics.scatter += wx.T @ x
        elif statistics.structure == "diag":
            statistics.scatter[k] += np.einsum("nd,nd->d", wx, x)
        else:
            statistics.scatter[k] += np.einsum("nd,nd->", wx, x)

    def sample(self, n_rows: int, random_state: np.random.RandomState, *, by_weight: bool = False) -> ArrayRows:
        """Return about `n_rows` rows drawn in proportion to their weight, in order; all of them if there are no more.

        One row is drawn from each of `n_rows` strata of equal weight, so the draw depends on the cumulative weight
        alone: an integer weight and a repeated row are drawn alike. The rows drawn weigh one each. With `by_weight`
        they are drawn as well where there are fewer rows but more weight, as of the same rows repeated.
        """
        if self.n_samples <= n_rows and not (by_weight and self.total_weight > n_rows):
            return self
        positions = (np.arange(n_rows) + random_state.uniform(size=n_rows)) * (self.total_weight / n_rows)
        if self.sample_weight is None:
            index = np.minimum(positions.astype(np.int64), self.n_samples - 1)
        else:
            cumulative = np.cumsum(self.sample_weight)
            index = np.searchsorted(cumulative, positions, side="right")
            index = np.minimum(index, np.searchsorted(cumulative, cumulative[-1], side="left"))
        return ArrayRows(self.X[index])
