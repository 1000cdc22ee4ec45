"""Rows that are read again in every pass, batch by batch, as a source of passes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeGuard, TypeVar

import numpy as np

from fastgmm.data.arrow import ArrowMatrix, is_arrow
from fastgmm.data.checks import check_column, check_finite, check_weights, is_finite, with_stand_ins
from fastgmm.data.prefetch import read_ahead
from fastgmm.data.reservoir import Reservoir
from fastgmm.data.rows import MEASURED, ArrayRows, Block, Source, block_rows

__all__ = ["RIDING", "StreamedRows"]

T = TypeVar("T")

#: What may ride along with the rows of a batch: known components, targets of a classifier or regressor, and errors.
RIDING = ("labels", "y", MEASURED)


class StreamedRows(Source):
    """A source that holds a few blocks of rows at a time, whatever the number of rows.

    Batches of any size are cut anew into the blocks of `block_rows`, which are those an array is read in: the same
    rows give the same bits from an array and from a source, however they are batched.

    Every pass finds a batch that is not two-dimensional, finite, of one width and one precision; and, at its end,
    another number of rows than in the pass before.

    Parameters
    ----------
    open_batches : callable
        Returns a new iterator over all rows for each pass: arrays of shape (rows, n_features), or Arrow record
        batches or tables; or, all of them, pairs of one of these and the weights of its rows; or mappings with 'X' and
        any of 'sample_weight', 'labels', 'y' and 'errors'. float32 stays, any other kind of number becomes float64.
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
        with closing(self._read(None, checked=True)) as blocks:
            for block, _ in blocks:
                yield block

    def _read(self, rooms: _Rooms | None, checked: bool) -> Generator[tuple[Block, list[_Origin]], None, None]:
        at = 0
        with closing(read_ahead(partial(self._blocks, rooms, checked))) as blocks:
            for block, origins in blocks:
                part = slice(at, at + len(block.rows))
                block, at = replace(block, first_row=at), part.stop
                if self._further:
                    further = {name: column[part] for name, column in self._further.items()}
                    block = replace(block, columns={**block.columns, **further})
                    self._check_lengths(at, "at least ")
                yield block, origins
        self._check_lengths(at)

    def _check_lengths(self, n_rows: int, least: str = "") -> None:
        for name, column in self._further.items():
            if len(column) < n_rows or (not least and len(column) != n_rows):
                raise ValueError(
                    f"{name} has {len(column)} entries; expected {least}{n_rows}, one for each row of X, "
                    f"{self.description}"
                )

    def fold(
        self,
        empty: Callable[[], T],
        add: Callable[[Block, T], None],
        join: Callable[[list[T]], T] | None = None,
        finite: Callable[[T], bool] | None = None,
    ) -> T:
        """Return what is left when every block has been added to an empty start; see `Source.fold`."""
        total, rooms = empty(), _Rooms()
        with closing(self._read(rooms, checked=finite is None)) as blocks:
            for block, origins in blocks:
                add(block, total)
                if finite is not None and block.weight is None and not finite(total):
                    self._check_finite(block.rows, origins)
                rooms.give_back(block.rows)
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

    def _draw(self, n_rows: int | None, random_state: np.random.RandomState) -> ArrayRows:
        # Without replacement, in one pass: the draw depends on the rows' numbers and weights alone, not on how they are
        # batched. Weighted rows come with the weights that they stand for. Where all rows are returned and have no
        # weights, the random state is not used.
        def add(block: Block, found: list[Reservoir]) -> None:
            if not found:
                n_features = block.rows.shape[1]
                n_kept = block_rows(n_features) if n_rows is None else n_rows
                found.append(Reservoir(np.empty((n_kept, n_features), dtype=block.rows.dtype), random_state))
            found[0].add(block.rows, block.weight, block.columns)

        (reservoir,) = self.fold(list, add)
        return ArrayRows(*reservoir.rows())

    # One pass, in the reading thread.

    def checked_blocks(self) -> Iterator[Block]:
        """Yield the blocks of the batches, checked, in the thread that asks."""
        for block, _ in self._blocks(None, checked=True):
            yield block

    def _blocks(self, rooms: _Rooms | None, checked: bool) -> Iterator[tuple[Block, list[_Origin]]]:
        filled, total = 0, 0.0
        block: Block | None = None
        origins: list[_Origin] = []
        first_row = 0
        for number, batch in enumerate(self._batches()):
            rows, at = batch.rows, 0
            size = block_rows(rows.shape[1])
            while at < len(rows):
                taken = min(size - filled, len(rows) - at)
                origins.append(_Origin(number, first_row, at, taken))
                alone = batch.weight is None and not batch.columns
                if taken == size and alone and self._is_readable(rows):
                    block = Block(rows[at : at + size])
                else:
                    block = _room(batch, size, self.dtype, rooms) if block is None else _widened(block, batch)
                    _write(batch, at, block, slice(filled, filled + taken))
                filled, at = filled + taken, at + taken
                if filled == size:
                    total += self._weighed(block, origins, checked)
                    yield block, origins
                    block, filled, origins = None, 0, []
            first_row += len(rows)
        if block is not None:
            last = slice(0, filled)
            weight = None if block.weight is None else block.weight[last]
            block = Block(block.rows[last], weight, {name: column[last] for name, column in block.columns.items()})
            total += self._weighed(block, origins, checked)
            yield block, origins
        if self.weighted:
            # Block by block, so that batches are no part of it either.
            if not total > 0.0:
                raise ValueError(f"the weights of X, {self.description}, are zero everywhere; expected some weight")
            self.total_weight = total

    def _is_readable(self, rows: Any) -> TypeGuard[np.ndarray]:
        """Return whether the kernels can read these rows where they are."""
        plain = isinstance(rows, np.ndarray) and rows.flags.c_contiguous and rows.flags.aligned
        return self.stable and plain and rows.dtype == self.dtype

    def _weighed(self, block: Block, origins: list[_Origin], checked: bool) -> float:
        """Return the weight of a block, which is checked where the caller does not, or not without weights."""
        if checked or block.weight is not None:
            self._check_finite(block.rows, origins, block.weight)
        return block.total_weight

    def _check_finite(self, rows: np.ndarray, origins: list[_Origin], weight: np.ndarray | None = None) -> None:
        if is_finite(rows):
            return
        at, allows = 0, self.allows_missing or MEASURED in self.columns
        if weight is not None:
            rows[:] = with_stand_ins(rows, weight, allows)  # weighted rows were copied into the block
        for number, first_row, row, n_rows in origins:
            where = f"X, {self.description}, block {number}"
            part = rows[at : at + n_rows]
            check_finite(part, where, first_row, row=row, allows_missing=allows)
            at += n_rows

    def _batches(self) -> Iterator[_Batch]:
        n_rows = 0
        with closing(self._open()) as batches:
            for number, batch in enumerate(batches):
                block = self._checked_batch(batch, number)
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

    def _checked_batch(self, batch: Any, number: int) -> _Batch:
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
        rows = self._checked(batch, where, self.allows_missing or MEASURED in along)
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
        return _Batch(rows, None if weight is None else check_weights(weight, len(rows), where), columns)

    def _checked(self, batch: Any, where: str, allows_missing: bool) -> np.ndarray | ArrowMatrix:
        rows = ArrowMatrix(batch, where, self.names, allows_missing) if is_arrow(batch) else np.asanyarray(batch)
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
        return rows


class _Batch(NamedTuple):
    """A batch, checked but for what its rows' numbers are."""

    rows: np.ndarray | ArrowMatrix
    weight: np.ndarray | None
    columns: Mapping[str, np.ndarray]


class _Origin(NamedTuple):
    """Where some rows of a block are from: a batch's number, its first row's among all, their first in it, how many."""

    number: int
    first_row: int
    row: int
    n_rows: int


class _Rooms:
    """Memory for the rows of blocks, used again once a pass is done with a block: new memory costs its clearing."""

    def __init__(self) -> None:
        self._free: list[np.ndarray] = []
        self._made: list[np.ndarray] = []

    def take(self, shape: tuple[int, int], dtype: np.dtype | None) -> np.ndarray:
        """Return room for the rows of a block; its numbers mean nothing."""
        if self._free:
            return self._free.pop()
        self._made.append(np.empty(shape, dtype=dtype))
        return self._made[-1]

    def give_back(self, rows: np.ndarray) -> None:
        """Take rows that nobody needs; what is not from here is left alone."""
        if any(rows is room for room in self._made):
            self._free.append(rows)


def _room(batch: _Batch, size: int, dtype: np.dtype | None, rooms: _Rooms | None) -> Block:
    """Return a block of `size` rows to be filled, with what `batch` has along."""
    columns = {name: np.empty((size, *column.shape[1:]), dtype=column.dtype) for name, column in batch.columns.items()}
    weight = None if batch.weight is None else np.empty(size)
    shape = size, batch.rows.shape[1]
    return Block(np.empty(shape, dtype=dtype) if rooms is None else rooms.take(shape, dtype), weight, columns)


def _widened(block: Block, batch: _Batch) -> Block:
    """Return a block whose columns can hold those of `batch`: of longer strings, or missing values among numbers."""
    dtypes = {name: np.result_type(column, batch.columns[name]) for name, column in block.columns.items()}
    if all(column.dtype == dtypes[name] for name, column in block.columns.items()):
        return block
    return replace(block, columns={name: column.astype(dtypes[name]) for name, column in block.columns.items()})


def _write(batch: _Batch, at: int, block: Block, part: slice) -> None:
    """Write the rows of a batch from number `at` on to a part of a block."""
    found = slice(at, at + part.stop - part.start)
    if isinstance(batch.rows, ArrowMatrix):
        batch.rows.write(at, block.rows[part])
    else:
        block.rows[part] = batch.rows[found]
    if block.weight is not None and batch.weight is not None:
        block.weight[part] = batch.weight[found]
    for name, column in block.columns.items():
        column[part] = batch.columns[name][found]
