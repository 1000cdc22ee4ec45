"""A table of numbers to model, from a file or standard input of any format that is read here.

The format is told by the first bytes, not by the name, so that standard input works too: `compressed` is undone first,
`delimited` reads CSV and TSV, `columnar` Parquet, Arrow and NumPy files.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from fastgmm.data import RowSource
from fastgmm.data.prefetch import read_ahead
from fastgmm.data.standardised import mapped
from fastgmm.exceptions import TableError
from fastgmm.tables.columnar import is_columnar, read_columnar
from fastgmm.tables.columns import Block, Column, Missing, RawTable, listed, names_rows
from fastgmm.tables.compressed import decompressed
from fastgmm.tables.delimited import read_delimited
from fastgmm.tables.memory import is_large
from fastgmm.tables.report import TableReport, in_order

__all__ = ["STDIN", "Request", "Table", "describe_table", "load_table", "read_pieces"]

STDIN = "-"


@dataclass(frozen=True)
class Request:
    """What is wanted of a file, and how it is to be read.

    Attributes
    ----------
    columns : sequence of str, optional
        Which columns, in this order. Unless given: the known ones where the file has names, otherwise all of numbers
        that have a name and are not among the next three.
    exclude : sequence of str
    id, weights : str, optional
        The columns of names and weights of rows.
    known : sequence of str, optional
        What a model's columns are called.
    header : bool, optional
        Whether the first line of text names the columns; told from the text unless given.
    stream : bool, optional
        Whether rows stay in the file; None is True where they are many (`fastgmm.tables.memory`).
    missing : Missing
    """

    columns: Sequence[str] | None = None
    exclude: Sequence[str] = ()
    id: str | None = None
    weights: str | None = None
    known: Sequence[str] | None = None
    header: bool | None = None
    stream: bool | None = None
    missing: Missing = field(default_factory=Missing)

    @property
    def expected(self) -> list[str]:
        """Names that the file should have."""
        others = [name for name in (self.id, self.weights) if name is not None]
        return [*(self.columns or self.known or ()), *self.exclude, *others]

    def chosen(self, raw: RawTable, all_kinds: bool = False) -> tuple[list[str], list[Column]]:
        """Return the columns to model, and what those that were looked through hold.

        With `all_kinds`, there may be no column of numbers.
        """
        looked: list[Column] = []
        for option, names in (
            ("--columns", self.columns or ()),
            ("--exclude", self.exclude),
            ("--id", () if self.id is None else (self.id,)),
            ("--weights", () if self.weights is None else (self.weights,)),
        ):
            for name in names:
                raw.position(name, option)
            twice = [name for name, n in Counter(names).items() if n > 1]
            if twice:
                raise TableError(f"{option}: {listed(twice)} is named twice; expected different columns")
        if self.columns is not None:
            columns = list(self.columns)
            if self.weights in columns:
                raise TableError(f"--weights: {self.weights!r} is among --columns; expected a column beside them")
        elif self.known is not None and raw.named:
            columns = list(self.known)
            present = set(raw.names)
            missing = [repr(name) for name in columns if name not in present]
            if missing:
                raise TableError(
                    f"{raw.source}: has no column {listed(missing)}, which the model was fitted to; the columns are "
                    f"{listed(raw.names)}. Name their counterparts with --columns"
                )
        else:
            others = {*self.exclude, self.id, self.weights}
            looked = raw.survey([name for name in raw.names if not names_rows(name) and name not in others])
            columns = [column.name for column in looked if column.kind == "number"]
        if not columns and not all_kinds:
            kinds = {column.name: f" ({column.what})" for column in looked}
            named = [f"{name}{kinds.get(name, '')}" for name in raw.names]
            raise TableError(f"{raw.source}: no column of numbers is left to model; the columns are {listed(named)}")
        return columns, looked


@dataclass(repr=False)
class Table:
    """Rows to model; at a prompt, the report and the notes in place of the numbers.

    Attributes
    ----------
    source : str
        Where the rows came from.
    columns : list of str
        The names of the columns of `X`. They are ``x0, x1, ...`` if the file has none.
    X : ndarray of shape (n_samples, n_features)
        The rows, C-contiguous, float32 or float64. NaN stands for a missing value if such rows are kept. If the table
        is streamed, this is a sample of the rows.
    named : bool
        Whether the names are the file's own.
    ids : list of str, optional
        The names of the rows.
    weights : ndarray of shape (n_samples,), optional
        The weights of the rows in `X`.
    stream : source, optional
        All rows and their weights, if they are not in memory.
    notes : list of str
        What was decided in reading that you might doubt, in sentences.
    numbers : ndarray of shape (n_samples,), optional
        Which rows of the file those in `X` are, from 1.
    missing : str
        What was done about rows with a missing value: 'error', 'drop' or 'marginalise'.
    report : TableReport, optional
        What became of each column of the file.

    See Also
    --------
    fastgmm.read_table : Makes it.
    """

    source: str
    columns: list[str]
    X: np.ndarray
    named: bool = True
    ids: list[str] | None = None
    weights: np.ndarray | None = None
    stream: RowSource | None = None
    notes: list[str] = field(default_factory=list)
    numbers: np.ndarray | None = None
    missing: str = "error"
    report: TableReport | None = None

    def __repr__(self) -> str:
        """Return what was read, and what a reader should know of it."""
        title = f"Table of {self.n_rows} rows of {', '.join(self.columns)}"
        return "\n".join([title, *([] if self.report is None else [str(self.report)]), *self.notes])

    @property
    def n_rows(self) -> int:
        """Number of all rows.

        See Also
        --------
        total_weight : The sum of their weights.
        """
        n_rows = self.X.shape[0] if self.stream is None else self.stream.n_samples
        assert n_rows is not None, "a stream that has been sampled has been counted"
        return n_rows

    @property
    def total_weight(self) -> float:
        """Sum of the weights of all rows; of those in memory, without rows that have no value at all.

        See Also
        --------
        n_rows : How many rows there are.
        """
        if self.stream is not None:
            return self.stream.total_weight
        counted = np.ones(len(self.X)) if self.weights is None else self.weights
        return float(counted.sum() if self.missing != "marginalise" else counted[~np.isnan(self.X).all(axis=1)].sum())

    @property
    def rows(self) -> np.ndarray | RowSource:
        """All rows, as an estimator takes them.

        See Also
        --------
        mapped : The same row by row of blocks.
        """
        return self.X if self.stream is None else self.stream

    def mapped(self, function: Callable[[np.ndarray], np.ndarray], columns: list[str]) -> Table:
        """Return the table with ``function(rows)`` for rows, in columns of these names.

        See Also
        --------
        rows : Reads all rows at once.
        """
        stream = None if self.stream is None else mapped(self.stream, function, columns)
        if stream is not None and self.stream is not None:
            stream.n_samples, stream.total_weight = self.stream.n_samples, self.stream.total_weight
        return replace(self, X=function(self.X), stream=stream, columns=columns)


def load_table(path: str | os.PathLike[str], request: Request) -> Table:
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
    TableError
        If the file is missing, empty, or holds something else than finite numbers.
    """
    raw, columns, looked, streams = _opened(path, request)
    return _load(raw, columns, looked, request, streams)


def read_pieces(path: str | os.PathLike[str], request: Request) -> tuple[int, list[str], Iterator[Table]]:
    """Read a table piece by piece if it is streamed, otherwise at once; see `load_table`.

    Returns
    -------
    n_rows : int
        Without those that are left out.
    notes : list of str
    tables : iterator of Table
        The rows in order; the next piece is read while one is worked on.
    """
    raw, columns, looked, streams = _opened(path, request)
    if not streams:
        table = _loaded(raw, columns, looked, request)
        return table.n_rows, raw.notes, iter([table])
    n_rows = raw.n_rows or 0
    if n_rows and request.missing.rule != "error":
        counts = _count(raw, columns, request)
        _report(raw, columns, looked, request, counts)
        n_rows = counts.n_kept
    if not n_rows:
        raise _without_rows(raw)

    def tables() -> Iterator[Table]:
        for block in raw.blocks(columns, request.weights, request.id):
            table = Table(raw.source, columns, block.X, raw.named, block.ids, block.weights, numbers=block.numbers)
            yield replace(table, missing=raw.missing.rule)

    return n_rows, raw.notes, read_ahead(tables)


def describe_table(path: str | os.PathLike[str], request: Request) -> tuple[TableReport, Table | None]:
    """Return what the columns of a table hold, whatever is in them, and those of numbers alone if there are any."""
    raw = _open(os.fspath(path), request)
    columns, looked = request.chosen(raw, all_kinds=True)
    looked = looked or raw.survey(columns)
    for column in looked:
        if column.n_words:
            column.use = "fault"
    kinds = {column.name: column for column in looked}
    numbers = [name for name in columns if kinds[name].kind == "number" and not kinds[name].n_words]
    if not numbers:
        return _report(raw, [], looked, request, None), None
    table = _load(raw, numbers, looked, request, raw.n_rows is not None and is_large(raw.n_bytes))
    assert table.report is not None, "what was read is reported"
    return table.report, table


def _load(raw: RawTable, columns: list[str], looked: list[Column], request: Request, streams: bool) -> Table:
    if not streams:
        return _loaded(raw, columns, looked, request)
    source = raw.streamed(columns, request.weights)
    rows = source.sample(random_state=np.random.RandomState(0))
    stream = source.with_sample(rows)
    counts = None if request.missing.rule == "error" else _count(raw, columns, request)
    report = _report(raw, columns, looked, request, counts)
    table = Table(raw.source, columns, rows.X, raw.named, None, rows.sample_weight, stream, raw.notes)
    return replace(table, missing=raw.missing.rule, report=report)


def _opened(path: str | os.PathLike[str], request: Request) -> tuple[RawTable, list[str], list[Column], bool]:
    """Return a table, the columns to model, all looked through, and whether it is to be read block by block."""
    name = os.fspath(path)
    raw = _open(name, request)
    columns, looked = request.chosen(raw)
    if request.known and not raw.named and request.columns is None and len(columns) == len(request.known):
        raw.notes.append(f"{raw.source}: without a header; its columns are taken for {listed(request.known)}")
    if raw.n_rows is None:
        if request.stream:
            raise TableError(f"--stream: {raw.source} is read whole; expected Parquet, a folder of it, or .npy")
        return raw, columns, looked, False
    return raw, columns, looked, is_large(raw.n_bytes) if request.stream is None else request.stream


def _open(name: str, request: Request) -> RawTable:
    source = "standard input" if name == STDIN else name
    try:
        content = _content_of(name, source)
        if isinstance(content, bytes) and not is_columnar(content[:8]):
            return read_delimited(content, source, request.header, request.expected, request.missing)
        raw = read_columnar(content, source, request.missing)
    except FileNotFoundError:
        raise TableError(f"{source}: no such file") from None
    except OSError as error:
        raise TableError(f"{source}: cannot be read: {error.strerror or error}") from None
    if request.header is not None:
        option = "--header" if request.header else "--no-header"
        kind = "names its columns itself" if raw.named else "has no names of columns"
        raise TableError(f"{option}: {raw.source} {kind}; expected delimited text. Leave {option} out")
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


def _loaded(raw: RawTable, columns: list[str], looked: list[Column], request: Request) -> Table:
    blocks = list(raw.blocks(columns, request.weights, request.id))
    X = blocks[0].X if len(blocks) == 1 else np.concatenate([block.X for block in blocks])
    report = _report(raw, columns, looked, request, _Counts.of(blocks))
    if not len(X):
        raise _without_rows(raw)
    weights = ids = None
    if request.weights is not None:
        weights = np.concatenate([block.weights for block in blocks])
        if not weights.max() > 0:
            raise TableError(
                f"--weights: column {request.weights!r} of {raw.source} is 0 in every row; expected weights of at "
                "least 0, some above it"
            )
    if request.id is not None:
        ids = [name for block in blocks for name in block.ids or []]
    numbers = np.concatenate([block.numbers for block in blocks])
    X = np.ascontiguousarray(X)
    return Table(raw.source, columns, X, raw.named, ids, weights, None, raw.notes, numbers, raw.missing.rule, report)


class _Counts(NamedTuple):
    """Numbers of rows that are kept, of all, and of those that lack a value; and of such cells by column."""

    n_kept: int
    n_rows: int
    n_incomplete: int
    n_missing: np.ndarray

    @classmethod
    def of(cls, blocks: Iterable[Block]) -> _Counts:
        n_kept = n_rows = n_incomplete = 0
        n_missing: Any = 0
        for block in blocks:
            n_kept, n_rows = n_kept + len(block.X), n_rows + block.n_rows
            n_incomplete, n_missing = n_incomplete + block.n_incomplete, n_missing + block.n_missing
        return cls(n_kept, n_rows, n_incomplete, n_missing)


def _count(raw: RawTable, columns: list[str], request: Request) -> _Counts:
    """Count rows and missing cells, in a pass of its own."""
    return _Counts.of(raw.blocks(columns, request.weights))


def _report(
    raw: RawTable,
    columns: list[str],
    looked: list[Column],
    request: Request,
    counts: _Counts | None,
) -> TableReport:
    """Return what became of the columns, and add it to the table's notes; without counts, no value is missing."""
    none = np.zeros(len(columns), dtype=np.int64)
    n_kept, n_rows, n_incomplete, n_missing = counts or _Counts(raw.n_rows_read, raw.n_rows_read, 0, none)
    known = {column.name: column for column in looked}
    others = [column for column in looked if column.name not in columns]
    used = [
        replace(known.get(name, Column(name)), use="used", n_missing=int(n))
        for name, n in zip(columns, n_missing, strict=True)
    ]
    used += [
        Column(name, kind, use=use)
        for name, kind, use in ((request.id, "text", "row names"), (request.weights, "number", "weights"))
        if name is not None
    ]
    given = request.columns is not None or (request.known is not None and raw.named)
    ordered = in_order(raw.names, [*used, *others])
    report = TableReport(raw.source, n_rows, n_incomplete, n_rows - n_kept, ordered, given)
    raw.notes += report.lines()
    return report


def _without_rows(raw: RawTable) -> TableError:
    if raw.missing.drops:
        return TableError(f"{raw.source}: has no row without a missing value; leave out columns with --exclude")
    return TableError(f"{raw.source}: has no rows; expected at least one row of numbers")
