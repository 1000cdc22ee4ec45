"""A table of numbers to model, from a file or standard input of any format that is read here.

The format is told by the first bytes, not by the name, so that standard input works too: `delimited` reads CSV and TSV,
`columnar` Parquet, Arrow and NumPy files.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fastgmm.cli.columnar import is_columnar, read_columnar
from fastgmm.cli.columns import RawTable
from fastgmm.cli.delimited import read_delimited
from fastgmm.cli.errors import CommandError
from fastgmm.cli.streamed import StreamedTable, open_streamed
from fastgmm.data import RowSource
from fastgmm.data.prefetch import read_ahead
from fastgmm.data.standardised import mapped

__all__ = ["STDIN", "Table", "read_chunks", "read_table"]

STDIN = "-"


@dataclass
class Table:
    """Rows to model.

    Attributes
    ----------
    source : str
        Where they came from, for messages.
    columns : list of str
        Names of the columns of `X`; ``x0, x1, ...`` where the file has none.
    X : ndarray of shape (n_samples, n_features)
        Finite, C-contiguous, float32 or float64. Of a table that is streamed: a sample of the rows.
    named : bool
        Whether the names are the file's own.
    ids : list of str, optional
        What to call the rows.
    id_name : str, optional
    weights : ndarray of shape (n_samples,), optional
        Of the rows in `X`.
    stream : source, optional
        All rows and their weights, where they are not in memory.
    """

    source: str
    columns: list[str]
    X: np.ndarray
    named: bool = True
    ids: list[str] | None = None
    id_name: str | None = None
    weights: np.ndarray | None = None
    stream: RowSource | None = None

    @property
    def n_rows(self) -> int:
        """Number of all rows."""
        n_rows = self.X.shape[0] if self.stream is None else self.stream.n_samples
        assert n_rows is not None, "a stream that has been sampled has been counted"
        return n_rows

    @property
    def total_weight(self) -> float:
        """Sum of the weights of all rows."""
        if self.stream is not None:
            return self.stream.total_weight
        return float(self.X.shape[0] if self.weights is None else self.weights.sum())

    @property
    def rows(self) -> np.ndarray | RowSource:
        """All rows, as an estimator takes them."""
        return self.X if self.stream is None else self.stream

    def mapped(self, function: Callable[[np.ndarray], np.ndarray], columns: list[str]) -> Table:
        """Return the table with ``function(rows)`` for rows, in columns of these names."""
        stream = None if self.stream is None else mapped(self.stream, function, columns)
        if stream is not None and self.stream is not None:
            stream.n_samples, stream.total_weight = self.stream.n_samples, self.stream.total_weight
        return replace(self, X=function(self.X), stream=stream, columns=columns)


def read_table(
    path: str | os.PathLike[str],
    columns: Sequence[str] | None = None,
    *,
    id_column: str | None = None,
    weight_column: str | None = None,
    known_columns: Sequence[str] | None = None,
    stream: bool | None = False,
) -> Table:
    """Read numeric columns, and the names and weights of rows.

    Parameters
    ----------
    path : str or path-like
        '-' for standard input.
    columns : sequence of str, optional
        Which columns, in this order; all that have a name and are not the next two unless given.
    id_column, weight_column : str, optional
    known_columns : sequence of str, optional
        What a model's columns are called: chosen where `columns` is not given and the file has names.
    stream : bool, optional
        Whether rows stay in the file and a sample of them is read; None is True where they are many
        (`fastgmm.cli.streamed.LARGE_SHARE`).

    Returns
    -------
    Table

    Raises
    ------
    CommandError
        If the file is missing, empty, or holds something else than finite numbers.
    """
    raw, streamed = _opened(path, stream)
    columns = _chosen(raw, columns, id_column, weight_column, known_columns)
    if streamed is not None:
        source = streamed.rows(columns, weight_column)
        rows = source.sample(random_state=np.random.RandomState(0))
        X, weights = rows.X, rows.sample_weight
        return Table(raw.source, columns, X, raw.named, None, None, weights, source.with_sample(rows))
    return _loaded(raw, columns, id_column, weight_column)


def _loaded(raw: RawTable, columns: list[str], id_column: str | None, weight_column: str | None) -> Table:
    wanted = [*columns, weight_column] if weight_column is not None else list(columns)
    values = raw.numbers([raw.position(name, "--columns") for name in wanted])
    if not len(values):
        raise CommandError(f"{raw.source}: has no rows; expected at least one row of numbers")
    weights = None
    if weight_column is not None:
        weights = np.array(values[:, -1], dtype=np.float64)
        values = values[:, :-1]
        if weights.min() < 0 or not weights.max() > 0:
            raise CommandError(
                f"--weights: column {weight_column!r} of {raw.source} goes from {weights.min():g} to "
                f"{weights.max():g}; expected weights of at least 0, some above it"
            )
    ids = None if id_column is None else raw.texts(raw.position(id_column, "--id"))
    return Table(raw.source, columns, np.ascontiguousarray(values), raw.named, ids, id_column, weights)


def read_chunks(
    path: str | os.PathLike[str],
    columns: Sequence[str] | None = None,
    *,
    id_column: str | None = None,
    weight_column: str | None = None,
    known_columns: Sequence[str] | None = None,
    stream: bool | None = None,
) -> tuple[int, Iterator[Table]]:
    """Read a table piece by piece if it is streamed, otherwise at once; arguments as of `read_table`.

    Returns
    -------
    n_rows : int
    tables : iterator of Table
        The rows in order; the next piece is read while one is worked on.
    """
    raw, streamed = _opened(path, stream)
    chosen = _chosen(raw, columns, id_column, weight_column, known_columns)
    if streamed is None:
        table = _loaded(raw, chosen, id_column, weight_column)
        return table.n_rows, iter([table])
    if not streamed.n_rows:
        raise CommandError(f"{raw.source}: has no rows; expected at least one row of numbers")

    def tables() -> Iterator[Table]:
        for X, weights, ids in streamed.chunks(chosen, weight_column, id_column):
            yield Table(raw.source, chosen, X, raw.named, ids, id_column, weights)

    return streamed.n_rows, read_ahead(tables)


def _opened(path: str | os.PathLike[str], stream: bool | None) -> tuple[RawTable, StreamedTable | None]:
    """Return a table, and the same one again if it is to be streamed."""
    name = os.fspath(path)
    is_folder = os.path.isdir(name)
    streamed = open_streamed(name) if stream is not False or is_folder else None
    if streamed is None:
        if stream:
            raise CommandError(f"--stream: {name} is read whole; expected Parquet, a folder of it, or .npy")
        return _open(path), None
    if stream or (stream is None and streamed.is_large()):
        return streamed, streamed
    return (streamed if is_folder else _open(path)), None


def _chosen(
    raw: RawTable,
    columns: Sequence[str] | None,
    id_column: str | None,
    weight_column: str | None,
    known_columns: Sequence[str] | None,
) -> list[str]:
    """Return the columns to model; see `read_table`."""
    for option, name in (("--id", id_column), ("--weights", weight_column)):
        if name is not None:
            raw.position(name, option)
    if columns is None and known_columns is not None and raw.named:
        missing = [name for name in known_columns if name not in raw.names]
        if missing:
            raise CommandError(
                f"{raw.source}: has no column {', '.join(map(repr, missing))}, which the model was fitted to; the "
                f"columns are {', '.join(raw.names)}. Name their counterparts with --columns"
            )
        columns = known_columns
    if columns is None:
        # R and pandas write the names of rows, mostly their numbers, into a column without a name: no feature.
        columns = [name for name in raw.names if name and name not in (id_column, weight_column)]
    for name in columns:
        raw.position(name, "--columns")
    if not columns:
        raise CommandError(f"{raw.source}: no column is left to model")
    return list(columns)


def _open(path: str | os.PathLike[str]) -> RawTable:
    name = os.fspath(path)
    source = "standard input" if name == STDIN else name
    try:
        if name == STDIN:
            content = sys.stdin.buffer.read()
            return read_columnar(content, source) if is_columnar(content[:8]) else read_delimited(content, source)
        with open(name, "rb") as file:
            head = file.read(8)
            if not is_columnar(head):
                return read_delimited(head + file.read(), source)
        return read_columnar(name, source)
    except FileNotFoundError:
        raise CommandError(f"{source}: no such file") from None
    except OSError as error:
        raise CommandError(f"{source}: cannot be read: {error.strerror or error}") from None
