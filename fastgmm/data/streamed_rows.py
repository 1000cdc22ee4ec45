"""Rows that are read again in every pass, batch by batch, as a source of passes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from fastgmm import kernels
from fastgmm.data.arrow import is_arrow, matrix_of
from fastgmm.data.prefetch import read_ahead
from fastgmm.data.rows import ArrayRows, block_rows
from fastgmm.model import MixtureParameters, SufficientStatistics

__all__ = ["StreamedRows"]


class StreamedRows:
    """A source that holds a few blocks of rows at a time, whatever the number of rows.

    Batches of any size are cut anew into the blocks of `block_rows`, which are those an array is read in: the same
    rows give the same bits from an array and from a source, however they are batched.

    Every pass checks every batch: two-dimensional, finite, of one width and one precision; and at its end that there
    were as many rows as in the pass before.

    Parameters
    ----------
    open_batches : callable
        Returns a new iterator over all rows for each pass: arrays of shape (rows, n_features), or Arrow record
        batches or tables. float32 stays, any other kind of number becomes float64.
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
    total_weight : float
        The number of rows; NaN until the first pass has ended.
    """

    def __init__(
        self,
        open_batches: Callable[[], Iterator[Any]],
        description: str,
        names: Sequence[str] | None = None,
        stable: bool = False,
    ) -> None:
        self.open_batches, self.description, self.names, self.stable = open_batches, description, names, stable
        self.n_samples: int | None = None
        self.n_features: int | None = None
        self.dtype: np.dtype | None = None
        self.total_weight = float("nan")

    def __repr__(self) -> str:
        return f"<rows of {self.description}>"

    def blocks(self) -> Generator[np.ndarray, None, None]:
        """Yield all rows in order, in C-contiguous blocks of `block_rows` rows (the last one shorter), read ahead.

        Close the generator where it may not be read to its end: a frame in a traceback keeps it, and its thread, alive.

        Raises
        ------
        ValueError
            If a batch is not what it should be, or the source has changed since the last pass.
        """
        with closing(read_ahead(self._blocks)) as blocks:
            yield from blocks

    def accumulate(self, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of one pass under `parameters`, about their means."""
        statistics = SufficientStatistics.zeros(parameters.structure, parameters.means)
        with closing(self.blocks()) as blocks:
            for block in blocks:
                kernels.accumulate(block, None, parameters, statistics)
        return statistics

    def accumulate_labels(
        self, labels_of: Callable[[np.ndarray], np.ndarray], structure: str, centres: np.ndarray
    ) -> SufficientStatistics:
        """Return the statistics of hard memberships about `centres`.

        ``labels_of(block)`` gives the labels of a block's rows when they are wanted, int64; negative leaves a row out.
        """
        statistics = SufficientStatistics.zeros(structure, centres)
        with closing(self.blocks()) as blocks:
            for block in blocks:
                kernels.accumulate_labels(block, None, labels_of(block), statistics)
        return statistics

    def sample(self, n_rows: int | None = None, random_state: np.random.RandomState | None = None) -> ArrayRows:
        """Return `n_rows` rows drawn without replacement in one pass, in order; all rows if there are no more.

        The draw depends on the rows' numbers alone, not on how they are batched. Where all rows are returned,
        `random_state` is not used.

        Parameters
        ----------
        n_rows : int, optional
            As many as a block has, unless given.
        random_state : RandomState, optional
            An unseeded one unless given.

        References
        ----------
        Vitter, "Random sampling with a reservoir", ACM Transactions on Mathematical Software 11 (1985), algorithm R.
        """
        random_state = np.random.RandomState() if random_state is None else random_state
        reservoir: _Reservoir | None = None
        with closing(self.blocks()) as blocks:
            for block in blocks:
                if reservoir is None:
                    n_features = block.shape[1]
                    n_kept = block_rows(n_features) if n_rows is None else n_rows
                    reservoir = _Reservoir(np.empty((n_kept, n_features), dtype=block.dtype), random_state)
                reservoir.add(block)
        assert reservoir is not None, "a source without rows is an error of the pass"
        return ArrayRows(reservoir.rows())

    # One pass, in the reading thread.

    def _blocks(self) -> Iterator[np.ndarray]:
        block, filled = None, 0
        for batch in self._batches():
            size, at = block_rows(batch.shape[1]), 0
            while at < len(batch):
                readable = self.stable and batch.flags.c_contiguous and batch.dtype == self.dtype
                if filled == 0 and readable and len(batch) - at >= size:
                    yield batch[at : at + size]
                    at += size
                    continue
                if block is None:
                    block = np.empty((size, batch.shape[1]), dtype=self.dtype)
                taken = min(size - filled, len(batch) - at)
                block[filled : filled + taken] = batch[at : at + taken]
                filled, at = filled + taken, at + taken
                if filled == size:
                    yield block
                    block, filled = None, 0
        if block is not None:
            yield block[:filled]

    def _batches(self) -> Iterator[np.ndarray]:
        n_rows = 0
        with closing(self._open()) as batches:
            for number, batch in enumerate(batches):
                rows = self._checked(batch, number, n_rows)
                n_rows += len(rows)
                if self.n_samples is not None and n_rows > self.n_samples:
                    raise ValueError(f"{self._changed()}: more than {self.n_samples} rows; expected as many as before")
                yield rows
        if n_rows == 0 and self.n_samples is None:
            raise ValueError(f"X, {self.description}, has no rows; expected at least one")
        if self.n_samples is not None and n_rows != self.n_samples:
            hint = ". Its iterator may be used up: return a new one at each call" if n_rows == 0 else ""
            raise ValueError(f"{self._changed()}: {n_rows} rows; expected {self.n_samples} as before{hint}")
        self.n_samples, self.total_weight = n_rows, float(n_rows)

    def _open(self) -> Generator[Any, None, None]:
        yield from self.open_batches()

    def _changed(self) -> str:
        return f"X, {self.description}, has changed since the first pass"

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
        _check_finite(rows, where, first_row)
        return rows


class _Reservoir:
    """Rows kept so far, each of those seen with the same chance."""

    def __init__(self, kept: np.ndarray, random_state: np.random.RandomState) -> None:
        self.kept, self.random_state = kept, random_state
        self.numbers = np.empty(len(kept), dtype=np.int64)
        self.n_seen = 0

    def add(self, block: np.ndarray) -> None:
        """See further rows."""
        size, first, last = len(self.kept), self.n_seen, self.n_seen + len(block)
        self.n_seen = last
        n_filling = min(max(size - first, 0), len(block))
        self.kept[first : first + n_filling] = block[:n_filling]
        self.numbers[first : first + n_filling] = np.arange(first, first + n_filling)
        row_numbers = np.arange(first + n_filling, last)
        if len(row_numbers) == 0:
            return
        place = (self.random_state.uniform(size=len(row_numbers)) * (row_numbers + 1)).astype(np.int64)
        # Of two rows for one place the later one stays, as if they came one by one.
        chosen = np.flatnonzero(place < size)[::-1]
        place, latest = np.unique(place[chosen], return_index=True)
        self.kept[place] = block[n_filling + chosen[latest]]
        self.numbers[place] = row_numbers[chosen[latest]]

    def rows(self) -> np.ndarray:
        """Return the rows kept, in the order they were seen."""
        if self.n_seen <= len(self.kept):
            return self.kept[: self.n_seen]
        return self.kept[np.argsort(self.numbers)]


def _check_finite(rows: np.ndarray, where: str, first_row: int) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        # A finite sum proves it; an infinite one may be an overflow.
        if rows.dtype.kind != "f" or np.isfinite(rows.sum()):
            return
    wrong = np.argwhere(~np.isfinite(rows))
    if len(wrong):
        row, column = wrong[0]
        kind = "NaN" if np.isnan(rows[row, column]) else "infinity"
        raise ValueError(
            f"{where}, row {row} (row {first_row + row} of all), column {column}: {kind}; expected finite numbers. "
            "Fill or leave out such rows"
        )
