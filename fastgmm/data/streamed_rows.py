"""Rows that are read again in every pass, batch by batch, as a source of passes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from fastgmm import kernels
from fastgmm.data.arrow import is_arrow, matrix_of
from fastgmm.data.checks import check_finite, check_weights
from fastgmm.data.prefetch import read_ahead
from fastgmm.data.reservoir import Reservoir
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
        batches or tables; or, all of them, pairs of one of these and the weights of its rows. float32 stays, any other
        kind of number becomes float64.
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
        self.open_batches, self.description, self.names, self.stable = open_batches, description, names, stable
        self.n_samples: int | None = None
        self.n_features: int | None = None
        self.dtype: np.dtype | None = None
        self.weighted: bool | None = None
        self.total_weight = float("nan")
        self.drawn: ArrayRows | None = None

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
        with closing(self.weighted_blocks()) as blocks:
            for block, _ in blocks:
                yield block

    def weighted_blocks(self) -> Generator[tuple[np.ndarray, np.ndarray | None], None, None]:
        """Yield (rows, weights), as `blocks` does; weights are float64, or None where all rows weigh one."""
        with closing(read_ahead(self._blocks)) as blocks:
            yield from blocks

    def accumulate(self, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of one pass under `parameters`, about their means."""
        statistics = SufficientStatistics.zeros(parameters.structure, parameters.means)
        with closing(self.weighted_blocks()) as blocks:
            for block, weight in blocks:
                kernels.accumulate(block, weight, parameters, statistics)
        return statistics

    def accumulate_labels(
        self, labels_of: Callable[[np.ndarray], np.ndarray], structure: str, centres: np.ndarray
    ) -> SufficientStatistics:
        """Return the statistics of hard memberships about `centres`.

        ``labels_of(block)`` gives the labels of a block's rows when they are wanted, int64; negative leaves a row out.
        """
        statistics = SufficientStatistics.zeros(structure, centres)
        with closing(self.weighted_blocks()) as blocks:
            for block, weight in blocks:
                kernels.accumulate_labels(block, weight, labels_of(block), statistics)
        return statistics

    def sum_over_blocks(self, action: Callable[[np.ndarray, np.ndarray | None], Sequence[float]]) -> np.ndarray:
        """Return the sum over blocks of ``action(rows, weight)``, some numbers each."""
        total: np.ndarray | None = None
        with closing(self.weighted_blocks()) as blocks:
            for block, weight in blocks:
                part = np.array(action(block, weight), dtype=np.float64)
                total = part if total is None else total + part
        assert total is not None, "a source without rows is an error of the pass"
        return total

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
        with closing(self.weighted_blocks()) as blocks:
            for block, weight in blocks:
                if reservoir is None:
                    n_features = block.shape[1]
                    n_kept = block_rows(n_features) if n_rows is None else n_rows
                    reservoir = Reservoir(np.empty((n_kept, n_features), dtype=block.dtype), random_state)
                reservoir.add(block, weight)
        assert reservoir is not None, "a source without rows is an error of the pass"
        return ArrayRows(*reservoir.rows())

    def with_sample(self, rows: ArrayRows) -> StreamedRows:
        """Return the same source with rows already drawn, which `sample` will return."""
        other = copy.copy(self)
        other.drawn = rows
        return other

    # One pass, in the reading thread.

    def _blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        block, weights, filled, total = None, None, 0, 0.0
        for batch, weight in self._batches():
            size, at = block_rows(batch.shape[1]), 0
            while at < len(batch):
                plain = batch.flags.c_contiguous and batch.flags.aligned
                readable = self.stable and plain and batch.dtype == self.dtype
                if filled == 0 and readable and weight is None and len(batch) - at >= size:
                    yield batch[at : at + size], None
                    at += size
                    continue
                if block is None:
                    block = np.empty((size, batch.shape[1]), dtype=self.dtype)
                    weights = None if weight is None else np.empty(size)
                taken = min(size - filled, len(batch) - at)
                block[filled : filled + taken] = batch[at : at + taken]
                if weights is not None and weight is not None:
                    weights[filled : filled + taken] = weight[at : at + taken]
                filled, at = filled + taken, at + taken
                if filled == size:
                    total += 0.0 if weights is None else float(weights.sum())
                    yield block, weights
                    block, weights, filled = None, None, 0
        if block is not None:
            total += 0.0 if weights is None else float(weights[:filled].sum())
            yield block[:filled], None if weights is None else weights[:filled]
        if self.weighted:
            # Block by block, so that batches are no part of it either.
            if not total > 0.0:
                raise ValueError(f"the weights of X, {self.description}, are zero everywhere; expected some weight")
            self.total_weight = total

    def _batches(self) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        n_rows = 0
        with closing(self._open()) as batches:
            for number, batch in enumerate(batches):
                rows, weight = self._checked_pair(batch, number, n_rows)
                n_rows += len(rows)
                if self.n_samples is not None and n_rows > self.n_samples:
                    raise ValueError(f"{self._changed()}: more than {self.n_samples} rows; expected as many as before")
                yield rows, weight
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

    def _checked_pair(self, batch: Any, number: int, first_row: int) -> tuple[np.ndarray, np.ndarray | None]:
        where = f"X, {self.description}, block {number}"
        weighted = isinstance(batch, tuple) and len(batch) == 2
        if self.weighted is None:
            self.weighted = weighted
        if weighted != self.weighted:
            has = "has" if weighted else "has no"
            raise ValueError(f"{where} {has} weights, unlike those before; expected weights of all rows or of none")
        if not weighted:
            return self._checked(batch, number, first_row), None
        rows = self._checked(batch[0], number, first_row)
        return rows, check_weights(batch[1], len(rows), where)

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
