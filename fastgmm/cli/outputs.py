"""Where results go: checked before any work is done, written whole."""

from __future__ import annotations

import csv
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from fastgmm.cli.columnar import import_pyarrow
from fastgmm.cli.errors import CommandError

__all__ = [
    "FORMATS",
    "ColumnsWriter",
    "check_columns_output",
    "check_output",
    "columns_writer",
    "whole_file",
    "write_columns",
]

FORMATS = (".csv", ".tsv", ".parquet", ".arrow", ".npy")


def check_output(path: str, option: str) -> None:
    """Raise CommandError where `path` can clearly not be written: better before a long fit than after it."""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        raise CommandError(f"{option}: {path} is a folder; expected the name of a file")
    if not os.path.isdir(folder):
        raise CommandError(f"{option}: {path} cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise CommandError(f"{option}: {path} cannot be written: no permission to write in {folder}")


def check_columns_output(path: str | None, option: str = "--output") -> None:
    """Do the same for a file of columns, whose format its name tells; None is standard output."""
    if path is None:
        return
    check_output(path, option)
    suffix = _suffix(path)
    if suffix not in FORMATS:
        raise CommandError(f"{option}: {path} ends in {suffix!r}; expected one of {', '.join(FORMATS)}")
    if suffix in (".parquet", ".arrow"):
        import_pyarrow(f"{option}: writing {path}")


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


@contextmanager
def whole_file(path: str, option: str) -> Iterator[Path]:
    """Give a name beside `path` to write to, and move the file there once it is complete.

    Raises
    ------
    CommandError
        If it cannot be written; nothing is left behind.
    """
    target = Path(os.path.realpath(path))
    # The suffix stays: writers choose the format by it.
    partial = target.with_name(f".{os.getpid()}.partial.{target.name}")
    try:
        yield partial
        os.replace(partial, target)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"{option}: {path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            partial.unlink()


def write_columns(columns: Mapping[str, Any], path: str | None, option: str = "--output") -> None:
    """Write columns of equal length.

    Parameters
    ----------
    columns : mapping of str to sequence
        Numbers are written with all their digits.
    path : str, optional
        CSV, TSV, Parquet, Arrow IPC or .npy (the numeric columns, as a matrix) by its suffix; CSV on standard output
        unless given.
    option : str
        For messages.
    """
    n_rows = len(next(iter(columns.values())))
    with columns_writer(path, n_rows, option) as writer:
        writer.write(columns)


@contextmanager
def columns_writer(path: str | None, n_rows: int, option: str = "--output") -> Iterator[ColumnsWriter]:
    """Give a writer of `n_rows` rows, piece by piece; the file is there once all have been written, or not at all.

    See `write_columns` for `path`.
    """
    if path is None:
        yield _Text(sys.stdout, ",")
        return
    suffix = _suffix(path)
    with whole_file(path, option) as partial, ExitStack() as stack:
        if suffix in (".csv", ".tsv"):
            file = stack.enter_context(open(partial, "w", newline="", encoding="utf-8"))
            yield _Text(file, "," if suffix == ".csv" else "\t")
        elif suffix == ".npy":
            yield _Npy(partial, n_rows)
        else:
            yield stack.enter_context(_Arrow(partial, suffix))


class ColumnsWriter(ABC):
    """What takes the pieces of a table, one after the other, each with the same columns."""

    @abstractmethod
    def write(self, columns: Mapping[str, Any]) -> None:
        """Write the next rows: columns of equal length."""


class _Text(ColumnsWriter):
    def __init__(self, file: Any, delimiter: str) -> None:
        self._writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        self._begun = False

    def write(self, columns: Mapping[str, Any]) -> None:
        if not self._begun:
            self._writer.writerow(columns)
            self._begun = True
        # Python's own numbers: their shortest text that reads back the same.
        lists = [values.tolist() if isinstance(values, np.ndarray) else values for values in columns.values()]
        self._writer.writerows(zip(*lists, strict=True))


class _Npy(ColumnsWriter):
    def __init__(self, path: Path, n_rows: int) -> None:
        self._path, self._n_rows, self._at = path, n_rows, 0
        self._matrix: np.ndarray | None = None

    def write(self, columns: Mapping[str, Any]) -> None:
        numeric = [np.asarray(values) for values in columns.values() if np.asarray(values).dtype.kind in "iuf"]
        rows = np.column_stack(numeric)
        if self._matrix is None:
            shape = (self._n_rows, rows.shape[1])
            if 0 in shape:
                np.save(self._path, np.empty(shape, dtype=rows.dtype))
                return
            self._matrix = np.lib.format.open_memmap(self._path, mode="w+", dtype=rows.dtype, shape=shape)
        self._matrix[self._at : self._at + len(rows)] = rows
        self._at += len(rows)


class _Arrow(ColumnsWriter):
    def __init__(self, path: Path, suffix: str) -> None:
        self._path, self._suffix = path, suffix
        self._pa = import_pyarrow("writing the result")
        self._stack = ExitStack()
        self._writer: Any = None

    def __enter__(self) -> _Arrow:
        return self

    def __exit__(self, *reason: Any) -> None:
        self._stack.close()

    def write(self, columns: Mapping[str, Any]) -> None:
        table = self._pa.table({name: self._pa.array(values) for name, values in columns.items()})
        if self._writer is None:
            self._writer = self._stack.enter_context(self._opened(table.schema))
        self._writer.write_table(table)

    def _opened(self, schema: Any) -> Any:
        if self._suffix == ".parquet":
            import pyarrow.parquet

            return pyarrow.parquet.ParquetWriter(self._path, schema)
        sink = self._stack.enter_context(self._pa.OSFile(str(self._path), "wb"))
        return self._pa.ipc.new_file(sink, schema)
