"""Rows, wherever they are: what a pass, a start and a prediction ask of them; and rows in memory or a memory map."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import numpy as np

from fastgmm import kernels
from fastgmm.model import SufficientStatistics

__all__ = [
    "MEASURED",
    "ArrayRows",
    "Block",
    "Rows",
    "Source",
    "block_rows",
    "blocks_of",
    "join_statistics",
    "rows_at",
    "strata",
    "with_further_features",
]

T = TypeVar("T")

# Rows converted at a time where an array is not what the kernels read: a few megabytes at most.
BLOCK_VALUES = 1 << 19

#: The column of rows that says how each was measured: of those that have it, some values may be missing.
MEASURED = "errors"

#: The columns of a block that has none.
NOTHING: Mapping[str, np.ndarray] = {}


def block_rows(n_features: int) -> int:
    """Return how many rows every source gives a kernel at a time: 262,144, fewer from 65 features on.

    A kernel cuts its rows into strips by their number, and adds up strip by strip. Passes over the same rows are the
    same to the bit if the same rows meet the kernel together; so all sources, arrays included, are read in blocks of
    this many rows from the first, the last one shorter. A block is at most 2^24 numbers (128 MB of float64), unless
    it has 32,768 rows; that many keep some twenty threads at work.

    See Also
    --------
    blocks_of : Goes through rows by blocks of that size.
    """
    return min(1 << 18, max(1 << 15, (1 << 24) // n_features))


def blocks_of(X: np.ndarray, dtype: np.dtype) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (slice, rows) with rows C-contiguous and of `dtype`; all of X at once where nothing is to convert.

    See Also
    --------
    block_rows : The size of a block.
    """
    if X.dtype == dtype and X.flags.c_contiguous and X.flags.aligned:
        yield slice(0, X.shape[0]), X
        return
    n_rows = max(1, BLOCK_VALUES // X.shape[1])
    for start in range(0, X.shape[0], n_rows):
        part = slice(start, min(start + n_rows, X.shape[0]))
        yield part, np.require(X[part], dtype, ["C", "A"])


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that meet a kernel together.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, n_features), float32 or float64, C-contiguous
        The rows themselves; they are not written to.
    weight : ndarray of shape (n_rows,), float64, or None
        None where all rows weigh one.
    columns : mapping of str to ndarray
        What rides along, by name, an entry for each row: labels, targets, a mask.
    first_row : int
        The number of its first row among all rows, where a pass reads the block and rows have been counted; else zero.
    """

    rows: np.ndarray
    weight: np.ndarray | None = None
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    first_row: int = 0

    @property
    def total_weight(self) -> float:
        """The sum of the weights."""
        return float(len(self.rows) if self.weight is None else self.weight.sum())


def with_further_features(column: str, description: str, block: Block) -> Block:
    """Return a block whose rows have what rides along under the name `column` as further features.

    Raises
    ------
    ValueError
        If they are not finite numbers.
    """
    further = np.asarray(block.columns[column])
    if further.dtype.kind not in "biuf" or not np.isfinite(further).all():
        raise ValueError(f"{column} of X, {description}, is of dtype {further.dtype} or not finite; expected numbers")
    return Block(np.column_stack([block.rows, further]), block.weight, block.columns)


class Rows(ABC):
    """Rows of one width and one precision, read block by block and as often as wanted.

    Attributes
    ----------
    n_samples : int or None
        None until it is known: a stream is counted by its first pass.
    n_features : int or None
        None until it is known.
    dtype : dtype or None
        float32 or float64: what rows are computed in.
    names : list of str or None
        The names of the features.
    columns : tuple of str
        What rides along.
    weighted : bool or None
        Whether rows have weights; None until it is known.
    total_weight : float
        Sum of the weights: what "the number of samples" means in a mean or a criterion. NaN until it is known.
    description : str
        For messages.
    allows_missing : bool
        Whether rows may have NaN for what is missing.
    """

    n_samples: int | None
    n_features: int | None
    dtype: np.dtype | None
    names: list[str] | None = None
    columns: tuple[str, ...] = ()
    total_weight: float
    weighted: bool | None
    description: str = "array"
    allows_missing: bool = False

    @abstractmethod
    def fold(
        self,
        empty: Callable[[], T],
        add: Callable[[Block, T], None],
        join: Callable[[list[T]], T] | None = None,
    ) -> T:
        """Return what is left when every block has been added to an empty start, in order.

        Parameters
        ----------
        empty : callable
            ``empty()`` returns a new start.
        add : callable
            ``add(block, total)`` adds a block to a total, in place. It keeps no part of the block's rows, whose memory
            may be used for another block.
        join : callable, optional
            ``join(totals)`` makes one of several, in order, where rows are added up in several places; the totals'
            own way (statistics, arrays and lists have one) unless given. All three are pickled where workers
            are processes.
        """

    @abstractmethod
    def map(self, action: Callable[[Block], T]) -> Iterator[T]:
        """Yield ``action(block)`` of every block in turn."""

    @abstractmethod
    def sample(self, n_rows: int | None, random_state: np.random.RandomState) -> ArrayRows:
        """Return about `n_rows` rows, as many as a block has for None; all of them if there are no more."""

    @abstractmethod
    def with_columns(self, **columns: np.ndarray) -> Rows:
        """Return the same rows with further columns riding along, given as arrays over all rows."""

    @property
    def mean_weight(self) -> float:
        """Weight of a mean row: floors of counts are in proportion to it."""
        return self.total_weight / float(self.n_samples or 1)


class ArrayRows(Rows):
    """Rows in an array: every pass is one kernel call per block of `block_rows` rows.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float32 or float64, C-contiguous
        May be read-only or a memory map; never written, and copied only where its numbers are not aligned.
    sample_weight : ndarray of shape (n_samples,), float64, optional
        Non-negative.
    columns : mapping of str to ndarray, optional
        What rides along: entries for all rows, by name.
    """

    def __init__(
        self, X: np.ndarray, sample_weight: np.ndarray | None = None, columns: Mapping[str, np.ndarray] | None = None
    ) -> None:
        # Numbers may straddle their natural boundaries in a file or a message; the kernels do not read such.
        self.X = X if X.flags.aligned else X.copy()
        self.sample_weight = sample_weight
        self.n_samples: int
        self.n_features: int
        self.n_samples, self.n_features = X.shape
        self.dtype = X.dtype
        self.along = dict(columns or {})
        self.columns = tuple(self.along)
        self.weighted = sample_weight is not None
        self._whole: Block | None = None
        # Added up as every source adds up its blocks' weights, to the same bits.
        self.total_weight = float(
            self.n_samples if sample_weight is None else sum(block.total_weight for block in self.iterate())
        )

    @property
    def mean_weight(self) -> float:
        """Weight of a mean row of those that are present."""
        if self.sample_weight is None:
            return 1.0
        return self.total_weight / max(int(np.count_nonzero(self.sample_weight)), 1)

    def iterate(self) -> Iterator[Block]:
        """Yield all rows in order, `block_rows` at a time."""
        if self._whole is not None:
            yield self._whole
            return
        size = block_rows(self.n_features)
        if self.n_samples <= size:
            self._whole = Block(self.X, self.sample_weight, self.along)
            yield self._whole
            return
        for start in range(0, self.n_samples, size):
            part = slice(start, start + size)
            weight = None if self.sample_weight is None else self.sample_weight[part]
            along = {name: column[part] for name, column in self.along.items()} if self.along else NOTHING
            yield Block(self.X[part], weight, along, start)

    def fold(
        self,
        empty: Callable[[], T],
        add: Callable[[Block, T], None],
        join: Callable[[list[T]], T] | None = None,
    ) -> T:
        """Return what is left when every block has been added to an empty start; see `Rows.fold`."""
        total = empty()
        for block in self.iterate():
            add(block, total)
        return total

    def map(self, action: Callable[[Block], T]) -> Iterator[T]:
        """Yield ``action(block)`` of every block in turn."""
        return map(action, self.iterate())

    def with_columns(self, **columns: np.ndarray) -> ArrayRows:
        """Return the same rows with further columns riding along."""
        return ArrayRows(self.X, self.sample_weight, {**self.along, **columns})

    def without_column(self, name: str) -> ArrayRows:
        """Return the same rows without what rides along under that name."""
        if name not in self.along:
            return self
        return ArrayRows(self.X, self.sample_weight, {n: column for n, column in self.along.items() if n != name})

    def where(self, mask: np.ndarray) -> ArrayRows:
        """Return the rows that `mask` chooses, with what they have, in an array of their own."""
        weight = self.sample_weight
        along = {name: column[mask] for name, column in self.along.items()}
        return ArrayRows(np.ascontiguousarray(self.X[mask]), None if weight is None else weight[mask], along)

    def accumulate(self, density: Any) -> SufficientStatistics:
        """Return the statistics of one pass under `density`, about its means."""
        statistics = SufficientStatistics.zeros(density.structure, density.means, getattr(density, "tail", None))
        for block in self.iterate():
            kernels.accumulate(block.rows, block.weight, density, statistics)
        return statistics

    def accumulate_labels(self, labels: np.ndarray, structure: str, centres: np.ndarray) -> SufficientStatistics:
        """Return the statistics of hard memberships about `centres`; rows with a negative label are left out."""
        statistics = SufficientStatistics.zeros(structure, centres)
        at = 0
        for block in self.iterate():
            n_rows = len(block.rows)
            kernels.accumulate_labels(block.rows, block.weight, labels[at : at + n_rows], statistics)
            at += n_rows
        return statistics

    def accumulate_shares(
        self, shares: Callable[[], Iterator[np.ndarray]], n_components: int, structure: str
    ) -> SufficientStatistics:
        """Return the statistics of given responsibilities about their own means.

        Parameters
        ----------
        shares : callable
            Returns an iterator over the responsibilities of all rows in order, ``(rows, n_components)`` at a time with
            `share_rows` rows each. It is asked twice: for the means, then for the scatter about them.
        n_components : int
            Number of columns of the responsibilities.
        structure : str
            The name of a shape.
        """
        n_features = self.n_features
        origin = self.X[: min(self.n_samples, 1024)].mean(axis=0, dtype=np.float64)
        counts, sums = np.zeros(n_components), np.zeros((n_components, n_features))
        for rows, weights in self._shared(shares()):
            counts += weights.sum(axis=0)
            sums += weights.T @ (rows - origin)
        centres = origin + sums / np.maximum(counts, np.finfo(float).tiny)[:, None]
        statistics = SufficientStatistics.zeros(structure, centres)
        statistics.counts += counts
        shape = statistics.shape
        for rows, weights in self._shared(shares()):
            for k in range(n_components):
                x = rows - centres[k]
                weighted = x * weights[:, k, None]
                statistics.sums[k] += weighted.sum(axis=0)
                # A slice of one component is a view, of whatever shape.
                shape.add_part(statistics.scatter, shape.outer_of_rows(weighted, x), k)
        return statistics

    def share_rows(self, n_components: int) -> int:
        """Return how many rows' responsibilities are held at a time."""
        return max(1, BLOCK_VALUES // (self.n_features + n_components))

    def _shared(self, parts: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        start = 0
        for share in parts:
            part = slice(start, start + len(share))
            start += len(share)
            weights = share if self.sample_weight is None else share * self.sample_weight[part, None]
            yield self.X[part], np.asarray(weights, dtype=np.float64)

    def sample(self, n_rows: int | None, random_state: np.random.RandomState, *, by_weight: bool = False) -> ArrayRows:
        """Return about `n_rows` rows drawn in proportion to their weight, in order; all of them if there are no more.

        One row is drawn from each of `n_rows` strata of equal weight, so the draw depends on the cumulative weight
        alone: an integer weight and a repeated row are drawn alike. The rows drawn weigh one each. With `by_weight`
        they are drawn as well where there are fewer rows but more weight, as of the same rows repeated.
        """
        n_rows = block_rows(self.n_features) if n_rows is None else n_rows
        if self.n_samples <= n_rows and not (by_weight and self.total_weight > n_rows):
            return self
        places = strata(n_rows, self.total_weight, random_state)
        drawn = rows_at(places, Block(self.X, self.sample_weight, self.along))
        return ArrayRows(drawn.rows, None, drawn.columns)


class Source(Rows):
    """Rows that are read anew in every pass.

    Attributes
    ----------
    drawn : ArrayRows or None
        What `sample` returns, where it is known already.
    """

    drawn: ArrayRows | None = None

    @abstractmethod
    def fold(
        self,
        empty: Callable[[], T],
        add: Callable[[Block, T], None],
        join: Callable[[list[T]], T] | None = None,
        finite: Callable[[T], bool] | None = None,
    ) -> T:
        """Return what is left when every block has been added to an empty start; see `Rows.fold`.

        ``finite(total)`` says whether a total proves that all rows added to it, each of weight one, were finite: a
        source need not look for itself then, unless it is false.
        """

    def __repr__(self) -> str:
        return f"<rows of {self.description}>"

    def blocks(self) -> Generator[np.ndarray, None, None]:
        """Yield the rows, block by block; where they lie elsewhere, each travels to this process."""
        yield from self.map(_rows_of)

    def with_missing(self) -> Self:
        """Return the same source, whose rows may have NaN, or nothing where a table has none, for what is missing."""
        if self.allows_missing:
            return self
        other = copy.copy(self)
        other.allows_missing = True
        return other

    def with_sample(self, rows: ArrayRows) -> Self:
        """Return the same source with rows already drawn, which `sample` will return."""
        other = copy.copy(self)
        other.drawn = rows
        return other

    def sample(self, n_rows: int | None = None, random_state: np.random.RandomState | None = None) -> ArrayRows:
        """Return `n_rows` rows drawn at random, in order; all rows if there are no more.

        Parameters
        ----------
        n_rows : int, optional
            As many as a block has (`block_rows`), unless given.
        random_state : RandomState, optional
            An unseeded one unless given.
        """
        if self.drawn is not None:
            return self.drawn
        return self._draw(n_rows, np.random.RandomState() if random_state is None else random_state)

    @abstractmethod
    def _draw(self, n_rows: int | None, random_state: np.random.RandomState) -> ArrayRows:
        """Draw a sample; see `sample`."""


def _rows_of(block: Block) -> np.ndarray:
    return block.rows


def strata(n_rows: int, total_weight: float, random_state: np.random.RandomState) -> np.ndarray:
    """Return a place in each of `n_rows` strata of equal weight, along the cumulative weight of all rows."""
    return (np.arange(n_rows) + random_state.uniform(size=n_rows)) * (total_weight / n_rows)


def rows_at(places: np.ndarray, block: Block) -> Block:
    """Return the rows of a block at places along its cumulative weight, without weights, and what they have along."""
    if block.weight is None:
        index = np.clip(places.astype(np.int64), 0, len(block.rows) - 1)
    else:
        cumulative = np.cumsum(block.weight)
        last = np.searchsorted(cumulative, cumulative[-1], side="left")
        index = np.minimum(np.searchsorted(cumulative, places, side="right"), last)
    return Block(block.rows[index], None, {name: column[index] for name, column in block.columns.items()})


def join_statistics(parts: list[SufficientStatistics]) -> SufficientStatistics:
    """Return the statistics of all parts, whatever their centres."""
    # Into a new one: a part may be wanted again, if a worker is lost. About the centres of most rows, where they
    # differ: an empty part has none.
    most = max(parts, key=lambda part: float(part.counts.sum()))
    total = SufficientStatistics.zeros(most.structure, most.centres, most.tail_sums)
    for part in parts:
        total.merge(part)
    return total
