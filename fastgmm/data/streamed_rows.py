"""Rows that are read again in every pass, batch by batch, as a source of passes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from fastgmm.data.arrow import is_arrow, matrix_of
from fastgmm.data.checks import check_column, check_finite, check_weights
from fastgmm.data.prefetch import read_ahead
from fastgmm.data.reservoir import Reservoir
from fastgmm.data.rows import ArrayRows, Block, Rows, block_rows

__all__ = ["RIDING", "StreamedRows"]

T = TypeVar("T")

#: What may ride along with the rows of a batch: known components, or the targets of a classifier or regressor.
RIDING = ("labels", "y")


class StreamedRows(Rows):
    """A source that holds a few blocks of rows at a time, whatever the number of rows.

    Batches of any size are cut anew into the blocks of `block_rows`, which are those an array is read in: the same
    rows give the same bits from an array and from a source, however they are batched.

    Every pass checks every batch: two-dimensional, finite, of one width and one precision; and at its end that there
    were as many rows as in the pass before.

    Parameters
    ----------
    open_batches : callable
        Returns a new iterator over all rows for each pass: arrays of shape (rows, n_features), or Arrow record
        batches or tables; or, all of them, pairs of one of these and the weights of its rows; or mappings with 'X' and
        any of 'sample_weight', 'labels' and 'y'. float32 stays, any other kind of number becomes float64.
    description : str
        What the source is, for messages.
    names : sequence of str, optional
        Of the columns.
    stable : bool
        Whether batches stay as they are once the next one is asked for. If so, whole blocks are not copied.

    Attributes
    ----------
    n_samples : int or None
        None until the first pass has ended.
    n_features : int or None
        None until the first batch has been read.
    dtype : dtype or None
        float32 or float64.
    weighted : bool or None
        Whether rows have weights; None until the first batch has been read.
    total_weight : float
        The sum of the weights, or the number of rows; NaN until the first pass has ended.
    drawn : ArrayRows or None
        What `sample` returns, where it is known already.
    """

    def __init__(
        self,
        open_batches: Callable[[], Iterator[Any]],
        description: str,
        names: Sequence[str] | None = None,
        stable: bool = False,
    ) -> None:
        self.open_batches, self.description, self.stable = open_batches, description, stable
        self.names = None if names is None else list(names)
        #: What rides along with the batches, and the shape of each row's entry; None until the first batch is read.
        self._own: dict[str, tuple[int, ...]] | None = None
        self._further: dict[str, np.ndarray] = {}
        self.n_samples: int | None = None
        self.n_features: int | None = None
        self.dtype: np.dtype | None = None
        self.weighted: bool | None = None
        self.total_weight = float("nan")
        self.drawn: ArrayRows | None = None

    def __repr__(self) -> str:
        return f"<rows of {self.description}>"

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]
        """What rides along with the batches, once the first has been read, and what was added."""
        return tuple(dict.fromkeys([*(self._own or ()), *self._further]))

    def iterate(self) -> Generator[Block, None, None]:
        """Yield all rows in order, in C-contiguous blocks of `block_rows` rows (the last one shorter), read ahead.

        Close the generator where it may not be read to its end: a frame in a traceback keeps it, and its thread, alive.

        Raises
        ------
        ValueError
            If a batch is not what it should be, or the source has changed since the last pass.
        """
        at = 0
        with closing(read_ahead(self._blocks)) as blocks:
            for block in blocks:
                part = slice(at, at + len(block.rows))
                at += len(block.rows)
                if self._further:
                    further = {name: column[part] for name, column in self._further.items()}
                    block = replace(block, columns={**block.columns, **further})
                    self._check_lengths(at, "at least ")
                yield block
        self._check_lengths(at)

    def _check_lengths(self, n_rows: int, least: str = "") -> None:
        for name, column in self._further.items():
            if len(column) < n_rows or (not least and len(column) != n_rows):
                raise ValueError(
                    f"{name} has {len(column)} entries; expected {least}{n_rows}, one for each row of X, "
                    f"{self.description}"
                )

    def blocks(self) -> Generator[np.ndarray, None, None]:
        """Yield the rows, block by block; see `iterate`."""
        yield from self.map(lambda block: block.rows)

    def fold(
        self,
        empty: Callable[[], T],
        add: Callable[[Block, T], None],
        join: Callable[[list[T]], T] | None = None,
    ) -> T:
        """Return what is left when every block has been added to an empty start; see `Rows.fold`."""
        total = empty()
        with closing(self.iterate()) as blocks:
            for block in blocks:
                add(block, total)
        return total

    def map(self, action: Callable[[Block], T]) -> Generator[T, None, None]:
        """Yield ``action(block)`` of every block in turn."""
        with closing(self.iterate()) as blocks:
            for block in blocks:
                yield action(block)

    def with_columns(self, **columns: np.ndarray) -> StreamedRows:
        """Return the same source with further columns riding along, given as arrays over all rows.

        Raises
        ------
        ValueError
            If the number of rows is known and a column has another, or the batches bring a column of that name.
        """
        other = copy.copy(self)
        other._further = {**self._further, **{name: np.asarray(column) for name, column in columns.items()}}
        other._check_given_once()
        if self.n_samples is not None:
            other._check_lengths(self.n_samples)
        return other

    def _check_given_once(self) -> None:
        twice = next((name for name in self._own or () if name in self._further), None)
        if twice is not None:
            raise ValueError(
                f"{twice} is given and X, {self.description}, brings {twice} with its rows; expected one of the two"
            )

    def sample(self, n_rows: int | None = None, random_state: np.random.RandomState | None = None) -> ArrayRows:
        """Return `n_rows` rows drawn without replacement in one pass, in order; all rows if there are no more.

        The draw depends on the rows' numbers and weights alone, not on how they are batched. Weighted rows come with
        the weights that they stand for, see `fastgmm.data.reservoir`. Where all rows are returned and have no weights,
        `random_state` is not used.

        Parameters
        ----------
        n_rows : int, optional
            As many as a block has, unless given.
        random_state : RandomState, optional
            An unseeded one unless given.
        """
        if self.drawn is not None:
            return self.drawn
        random_state = np.random.RandomState() if random_state is None else random_state
        reservoir: Reservoir | None = None
        with closing(self.iterate()) as blocks:
            for block in blocks:
                if reservoir is None:
                    n_features = block.rows.shape[1]
                    n_kept = block_rows(n_features) if n_rows is None else n_rows
                    reservoir = Reservoir(np.empty((n_kept, n_features), dtype=block.rows.dtype), random_state)
                reservoir.add(block.rows, block.weight, block.columns)
        assert reservoir is not None, "a source without rows is an error of the pass"
        return ArrayRows(*reservoir.rows())

    def with_sample(self, rows: ArrayRows) -> StreamedRows:
        """Return the same source with rows already drawn, which `sample` will return."""
        other = copy.copy(self)
        other.drawn = rows
        return other

    # One pass, in the reading thread.

    def _blocks(self) -> Iterator[Block]:
        filled, total = 0, 0.0
        block: Block | None = None
        for batch in self._batches():
            rows, at = batch.rows, 0
            size = block_rows(rows.shape[1])
            while at < len(rows):
                plain = rows.flags.c_contiguous and rows.flags.aligned
                readable = self.stable and plain and rows.dtype == self.dtype
                alone = batch.weight is None and not batch.columns
                if filled == 0 and readable and alone and len(rows) - at >= size:
                    yield Block(rows[at : at + size])
                    at += size
                    continue
                block = _room(batch, size, self.dtype) if block is None else _widened(block, batch)
                taken = min(size - filled, len(rows) - at)
                for room, found in _pairs(block, batch):
                    room[filled : filled + taken] = found[at : at + taken]
                filled, at = filled + taken, at + taken
                if filled == size:
                    total += block.total_weight
                    yield block
                    block, filled = None, 0
        if block is not None:
            last = slice(0, filled)
            weight = None if block.weight is None else block.weight[last]
            block = Block(block.rows[last], weight, {name: column[last] for name, column in block.columns.items()})
            total += block.total_weight
            yield block
        if self.weighted:
            # Block by block, so that batches are no part of it either.
            if not total > 0.0:
                raise ValueError(f"the weights of X, {self.description}, are zero everywhere; expected some weight")
            self.total_weight = total

    def _batches(self) -> Iterator[Block]:
        n_rows = 0
        with closing(self._open()) as batches:
            for number, batch in enumerate(batches):
                block = self._checked_batch(batch, number, n_rows)
                n_rows += len(block.rows)
                if self.n_samples is not None and n_rows > self.n_samples:
                    raise ValueError(f"{self._changed()}: more than {self.n_samples} rows; expected as many as before")
                yield block
        if n_rows == 0 and self.n_samples is None:
            raise ValueError(f"X, {self.description}, has no rows; expected at least one")
        if self.n_samples is not None and n_rows != self.n_samples:
            hint = ". Its iterator may be used up: return a new one at each call" if n_rows == 0 else ""
            raise ValueError(f"{self._changed()}: {n_rows} rows; expected {self.n_samples} as before{hint}")
        self.n_samples = n_rows
        if not self.weighted:
            self.total_weight = float(n_rows)

    def _open(self) -> Generator[Any, None, None]:
        yield from self.open_batches()

    def _changed(self) -> str:
        return f"X, {self.description}, has changed since the first pass"

    def _checked_batch(self, batch: Any, number: int, first_row: int) -> Block:
        where = f"X, {self.description}, block {number}"
        along: dict[str, Any] = {}
        weight = None
        if isinstance(batch, tuple) and len(batch) == 2:
            batch, weight = batch
        elif isinstance(batch, Mapping):
            unknown = sorted(set(batch) - {"X", "sample_weight", *RIDING})
            if unknown or "X" not in batch:
                raise ValueError(
                    f"{where} is a mapping of {', '.join(map(str, batch))}; expected 'X' and any of 'sample_weight', "
                    f"{', '.join(map(repr, RIDING))}"
                )
            along = {name: batch[name] for name in RIDING if name in batch}
            batch, weight = batch["X"], batch.get("sample_weight")
        rows = self._checked(batch, number, first_row)
        columns = {name: check_column(column, len(rows), f"the {name} of {where}") for name, column in along.items()}
        if self.weighted is None:
            self.weighted, self._own = weight is not None, {name: column.shape[1:] for name, column in columns.items()}
            self._check_given_once()
        if (weight is not None) != self.weighted:
            has = "has" if weight is not None else "has no"
            raise ValueError(f"{where} {has} weights, unlike those before; expected weights of all rows or of none")
        own = self._own or {}
        for name in [*own, *columns]:
            if (name in own) != (name in columns):
                has = f"has {name}" if name in columns else f"has no {name}"
                raise ValueError(f"{where} {has}, unlike those before; expected {name} of all rows or of none")
            if columns[name].shape[1:] != own[name]:
                raise ValueError(
                    f"the {name} of {where} have shape {columns[name].shape}; expected "
                    f"{(len(rows), *own[name])}, as those before"
                )
        return Block(rows, None if weight is None else check_weights(weight, len(rows), where), columns)

    def _checked(self, batch: Any, number: int, first_row: int) -> np.ndarray:
        where = f"X, {self.description}, block {number}"
        rows = matrix_of(batch, where, self.names) if is_arrow(batch) else np.asanyarray(batch)
        if rows.ndim != 2 or rows.shape[1] == 0:
            raise ValueError(f"{where} has shape {rows.shape}; expected (rows, n_features), at least one feature")
        if rows.dtype.kind not in "biuf" or rows.dtype.itemsize > 8:
            raise ValueError(f"{where} has dtype {rows.dtype}; expected real numbers of at most 64 bits")
        dtype = np.dtype(np.float32 if rows.dtype == np.float32 else np.float64)
        if self.n_features is None:
            self.n_features, self.dtype = rows.shape[1], dtype
        if rows.shape[1] != self.n_features:
            raise ValueError(f"{where} has {rows.shape[1]} features; expected {self.n_features} as in the first block")
        if dtype != self.dtype:
            raise ValueError(
                f"{where} is computed in {dtype}; expected {self.dtype} as the first block. Give all of them one dtype"
            )
        check_finite(rows, where, first_row)
        return rows


def _room(batch: Block, size: int, dtype: np.dtype | None) -> Block:
    """Return a block of `size` rows to be filled, with what `batch` has along."""
    columns = {name: np.empty((size, *column.shape[1:]), dtype=column.dtype) for name, column in batch.columns.items()}
    weight = None if batch.weight is None else np.empty(size)
    return Block(np.empty((size, batch.rows.shape[1]), dtype=dtype), weight, columns)


def _widened(block: Block, batch: Block) -> Block:
    """Return a block whose columns can hold those of `batch`: of longer strings, or missing values among numbers."""
    dtypes = {name: np.result_type(column, batch.columns[name]) for name, column in block.columns.items()}
    if all(column.dtype == dtypes[name] for name, column in block.columns.items()):
        return block
    return replace(block, columns={name: column.astype(dtypes[name]) for name, column in block.columns.items()})


def _pairs(block: Block, batch: Block) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    yield block.rows, batch.rows
    if block.weight is not None and batch.weight is not None:
        yield block.weight, batch.weight
    for name, column in block.columns.items():
        yield column, batch.columns[name]
