"""A table of numbers to model, from a file or standard input of any format that is read here.

The format is told by the first bytes, not by the name, so that standard input works too: `compressed` is undone first,
`delimited` reads CSV and TSV, `columnar` Parquet, Arrow and NumPy files.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fastgmm.cli.columnar import is_columnar, read_columnar
from fastgmm.cli.columns import RawTable, listed, names_rows
from fastgmm.cli.compressed import decompressed
from fastgmm.cli.delimited import read_delimited
from fastgmm.cli.errors import CommandError
from fastgmm.cli.memory import is_large
from fastgmm.data import RowSource
from fastgmm.data.prefetch import read_ahead
from fastgmm.data.standardised import mapped

__all__ = ["STDIN", "Request", "Table", "check_weights_count_rows", "read_chunks", "read_table"]

STDIN = "-"


@dataclass(frozen=True)
class Request:
    """What is wanted of a file, and how it is to be read.

    Attributes
    ----------
    columns : sequence of str, optional
        Which columns, in this order. Unless given: the known ones where the file has names, otherwise all that have a
        name and are not among the next three.
    exclude : sequence of str
    id, weights : str, optional
        The columns of names and weights of rows.
    known : sequence of str, optional
        What a model's columns are called.
    header : bool, optional
        Whether the first line of text names the columns; told from the text unless given.
    stream : bool, optional
        Whether rows stay in the file; None is True where they are many (`fastgmm.cli.memory`).
    """

    columns: Sequence[str] | None = None
    exclude: Sequence[str] = ()
    id: str | None = None
    weights: str | None = None
    known: Sequence[str] | None = None
    header: bool | None = None
    stream: bool | None = None

    @classmethod
    def of(cls, arguments: argparse.Namespace, known: Sequence[str] | None = None) -> Request:
        """Return what the options of a command ask for."""
        return cls(
            arguments.columns,
            arguments.exclude or (),
            arguments.id,
            getattr(arguments, "weights", None),
            known,
            arguments.header,
            arguments.stream,
        )

    @property
    def expected(self) -> list[str]:
        """Names that the file should have."""
        others = [name for name in (self.id, self.weights) if name is not None]
        return [*(self.columns or self.known or ()), *self.exclude, *others]

    def chosen(self, raw: RawTable) -> list[str]:
        """Return the columns to model."""
        for option, names in (
            ("--columns", self.columns or ()),
            ("--exclude", self.exclude),
            ("--id", () if self.id is None else (self.id,)),
            ("--weights", () if self.weights is None else (self.weights,)),
        ):
            for name in names:
                raw.position(name, option)
            if len(set(names)) < len(names):
                raise CommandError(f"{option}: {listed(names)} names a column twice; expected different columns")
        if self.columns is not None:
            columns = list(self.columns)
            if self.weights in columns:
                raise CommandError(f"--weights: {self.weights!r} is among --columns; expected a column beside them")
        elif self.known is not None and raw.named:
            columns = list(self.known)
            present = set(raw.names)
            missing = [repr(name) for name in columns if name not in present]
            if missing:
                raise CommandError(
                    f"{raw.source}: has no column {listed(missing)}, which the model was fitted to; the columns are "
                    f"{listed(raw.names)}. Name their counterparts with --columns"
                )
        else:
            others = {*self.exclude, self.id, self.weights}
            columns = [name for name in raw.names if not names_rows(name) and name not in others]
        if not columns:
            raise CommandError(f"{raw.source}: no column is left to model; the columns are {listed(raw.names)}")
        return columns


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
    weights : ndarray of shape (n_samples,), optional
        Of the rows in `X`.
    stream : source, optional
        All rows and their weights, where they are not in memory.
    notes : list of str
        What was decided in reading that a reader might doubt.
    """

    source: str
    columns: list[str]
    X: np.ndarray
    named: bool = True
    ids: list[str] | None = None
    weights: np.ndarray | None = None
    stream: RowSource | None = None
    notes: list[str] = field(default_factory=list)

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


def read_table(path: str | os.PathLike[str], request: Request) -> Table:
    """Read numeric columns, and the names and weights of rows; of a table that is streamed, a sample of the rows.

    Parameters
    ----------
    path : str or path-like
        '-' for standard input.
    request : Request

    Returns
    -------
    Table

    Raises
    ------
    CommandError
        If the file is missing, empty, or holds something else than finite numbers.
    """
    raw, columns, streams = _opened(path, request)
    if not streams:
        return _loaded(raw, columns, request)
    source = raw.streamed(columns, request.weights)
    rows = source.sample(random_state=np.random.RandomState(0))
    stream = source.with_sample(rows)
    return Table(raw.source, columns, rows.X, raw.named, None, rows.sample_weight, stream, raw.notes)


def read_chunks(path: str | os.PathLike[str], request: Request) -> tuple[int, list[str], Iterator[Table]]:
    """Read a table piece by piece if it is streamed, otherwise at once; see `read_table`.

    Returns
    -------
    n_rows : int
    notes : list of str
    tables : iterator of Table
        The rows in order; the next piece is read while one is worked on.
    """
    raw, columns, streams = _opened(path, request)
    if not streams:
        table = _loaded(raw, columns, request)
        return table.n_rows, raw.notes, iter([table])
    if not raw.n_rows:
        raise _without_rows(raw)

    def tables() -> Iterator[Table]:
        for X, weights, ids in raw.blocks(columns, request.weights, request.id):
            yield Table(raw.source, columns, X, raw.named, ids, weights)

    return raw.n_rows, raw.notes, read_ahead(tables)


def _opened(path: str | os.PathLike[str], request: Request) -> tuple[RawTable, list[str], bool]:
    """Return a table, the columns to model, and whether it is to be read block by block."""
    name = os.fspath(path)
    raw = _open(name, request)
    columns = request.chosen(raw)
    if request.known and not raw.named and request.columns is None and len(columns) == len(request.known):
        raw.notes.append(f"{raw.source}: without a header; its columns are taken for {listed(request.known)}")
    if raw.n_rows is None:
        if request.stream:
            raise CommandError(f"--stream: {raw.source} is read whole; expected Parquet, a folder of it, or .npy")
        return raw, columns, False
    return raw, columns, is_large(raw.n_bytes) if request.stream is None else request.stream


def _open(name: str, request: Request) -> RawTable:
    source = "standard input" if name == STDIN else name
    try:
        content = _content_of(name, source)
        if isinstance(content, bytes) and not is_columnar(content[:8]):
            return read_delimited(content, source, request.header, request.expected)
        raw = read_columnar(content, source)
    except FileNotFoundError:
        raise CommandError(f"{source}: no such file") from None
    except OSError as error:
        raise CommandError(f"{source}: cannot be read: {error.strerror or error}") from None
    if request.header is not None:
        option = "--header" if request.header else "--no-header"
        kind = "names its columns itself" if raw.named else "has no names of columns"
        raise CommandError(f"{option}: {raw.source} {kind}; expected delimited text. Leave {option} out")
    return raw


def _content_of(name: str, source: str) -> bytes | str:
    """Return what a file holds, decompressed; of what can be read in parts, its name."""
    if os.path.isdir(name):
        return name
    if name == STDIN:
        return decompressed(sys.stdin.buffer.read(), source)
    with open(name, "rb") as file:
        head = file.read(8)
        # A pipe cannot be opened again.
        if is_columnar(head) and os.path.isfile(name):
            return name
        return decompressed(head + file.read(), source)


def _loaded(raw: RawTable, columns: list[str], request: Request) -> Table:
    blocks = list(raw.blocks(columns, request.weights, request.id))
    X = blocks[0].X if len(blocks) == 1 else np.concatenate([block.X for block in blocks])
    if not len(X):
        raise _without_rows(raw)
    weights = ids = None
    if request.weights is not None:
        weights = np.concatenate([block.weights for block in blocks])
        if not weights.max() > 0:
            raise CommandError(
                f"--weights: column {request.weights!r} of {raw.source} is 0 in every row; expected weights of at "
                "least 0, some above it"
            )
    if request.id is not None:
        ids = [name for block in blocks for name in block.ids or []]
    return Table(raw.source, columns, np.ascontiguousarray(X), raw.named, ids, weights, notes=raw.notes)


def _without_rows(raw: RawTable) -> CommandError:
    return CommandError(f"{raw.source}: has no rows; expected at least one row of numbers")


def check_weights_count_rows(total: float, column: str) -> None:
    """Raise CommandError if weights of this total cannot count rows, as a criterion takes its logarithm."""
    if total <= 1.0 + 1e-9:
        raise CommandError(
            f"--weights: column {column!r} sums to {total:g}; expected weights that count rows, as the criteria take "
            "the logarithm of their sum. Scale them to sum to the number of rows"
        )
