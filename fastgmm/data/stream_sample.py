"""A sample of the rows of a stream: as good as drawn at once from all that came, and of bounded size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgmm.data.rows import ArrayRows

__all__ = ["StreamSample"]

Parts = tuple[np.ndarray, np.ndarray, np.ndarray]

#: Rows held beyond `size`, as a share of it, before those that are not of the sample are left out.
SLACK = 0.25


@dataclass(frozen=True, eq=False)
class StreamSample:
    """Rows kept of a stream, a value: adding rows gives another one and leaves this one as it was.

    Every row gets a chance ``u``, uniform in (0, 1], which depends on `seed` and the row's number alone, and the rows
    with the smallest ``u / w`` are the sample (priority sampling; a uniform sample without replacement where all
    weights ``w`` are equal). So the sample depends on the stream and not on how it was cut into batches. With ``t``
    the smallest ``u / w`` outside the sample, a row stands for the weight ``max(w, 1 / t)``.

    Attributes
    ----------
    size : int
        Rows of the sample.
    seed : int
    held, recent : tuple of ndarray
        Rows (n, n_features), their ``w`` and their ``u / w``; together fewer than `size` and a quarter of it. What is
        new is set aside until it is worth copying the others.
    limit : float
        Rows with ``u / w`` from here on are not of the sample.
    n_seen : int
        Rows of the stream so far, those of weight zero too.

    References
    ----------
    Duffield, Lund and Thorup, "Priority sampling for estimation of arbitrary subset sums", JACM 54 (2007), section 2.
    """

    size: int
    seed: int
    held: Parts
    recent: Parts
    limit: float = np.inf
    n_seen: int = 0

    @classmethod
    def empty(cls, size: int, n_features: int, dtype: np.dtype, seed: int) -> StreamSample:
        """Return a sample of nothing, of at most `size` rows."""
        nothing = np.empty((0, n_features), dtype=dtype), np.empty(0), np.empty(0)
        return cls(size, seed, nothing, nothing)

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return int(self.held[0].shape[1])

    def with_rows(self, X: np.ndarray, sample_weight: np.ndarray | None = None) -> StreamSample:
        """Return the sample after further rows of the stream.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
        sample_weight : ndarray of shape (n_samples,), float64, or None
        """
        n_seen = self.n_seen + len(X)
        priority = _chances(self.seed, self.n_seen, n_seen)
        if sample_weight is not None:
            with np.errstate(divide="ignore", over="ignore"):
                priority /= sample_weight
        came = np.flatnonzero(priority < self.limit)
        held, recent, limit = self.held, self.recent, self.limit
        if len(came):
            weights = np.ones(len(came)) if sample_weight is None else sample_weight[came]
            recent = _joined(recent, (X[came].astype(held[0].dtype, copy=False), weights, priority[came]))
            if len(held[0]) + len(recent[0]) >= (1.0 + SLACK) * self.size:
                held, limit = _smallest(_joined(held, recent), self.size)
                recent = _taken(held, slice(0))
        return StreamSample(self.size, self.seed, held, recent, limit, n_seen)

    def drawn(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """Return the rows of the sample as they came, their ``w``, their ``u / w``, and ``t``."""
        everything = _joined(self.held, self.recent)
        if len(everything[0]) <= self.size:
            return *everything, self.limit
        kept, limit = _smallest(everything, self.size)
        return *kept, limit

    def worth(self, total_weight: float | None = None) -> ArrayRows:
        """Return the rows of the sample, together worth a weight; unless it is given, one each on the average."""
        rows, weights, _, limit = self.drawn()
        weights = np.maximum(weights, 1.0 / limit)
        if total_weight is None and weights.min() == weights.max():
            return ArrayRows(rows)
        total_weight = float(len(rows)) if total_weight is None else total_weight
        return ArrayRows(rows, weights * (total_weight / weights.sum()))


def _joined(a: Parts, b: Parts) -> Parts:
    return np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]]), np.concatenate([a[2], b[2]])


def _taken(parts: Parts, chosen: Any) -> Parts:
    return parts[0][chosen], parts[1][chosen], parts[2][chosen]


def _smallest(parts: Parts, size: int) -> tuple[Parts, float]:
    """Return the rows with the smallest priorities, in their order, and the smallest of the others."""
    priority = parts[2]
    order = np.argpartition(priority, size)
    kept = np.sort(order[:size])
    return _taken(parts, kept), float(priority[order[size]])


def _chances(seed: int, first: int, last: int) -> np.ndarray:
    """Return numbers uniform in (0, 1] for the rows `first` to `last`, each a function of seed and row number."""
    # A step of Philox's counter gives four numbers.
    skipped = first % 4
    generator = np.random.Generator(np.random.Philox(key=seed).advance(first // 4))
    return 1.0 - generator.random(skipped + last - first)[skipped:]
