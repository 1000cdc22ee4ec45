"""Where results go: checked before any work is done, written whole."""

from __future__ import annotations

import csv
import math
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fastgmm.cli.errors import CommandError
from fastgmm.persistence.whole_file import whole_file
from fastgmm.tables.columnar import import_pyarrow

__all__ = ["FORMATS", "check_columns_output", "check_output", "for_json", "write_columns", "written"]

FORMATS = (".csv", ".tsv", ".parquet", ".arrow", ".npy")


def check_output(path: str, option: str, inputs: Sequence[str | None] = ()) -> None:
    """Raise CommandError where `path` cannot be written, or is an input: better before a long fit than after it."""
    folder = os.path.dirname(os.path.abspath(path))
    if not path or os.path.isdir(path):
        what = f"{path} is a folder" if path else "the name is empty"
        raise CommandError(f"{option}: {what}; expected the name of a file")
    if not os.path.isdir(folder):
        raise CommandError(f"{option}: {path} cannot be written: there is no folder {folder}")
    for other in inputs:
        if other and os.path.exists(other) and os.path.exists(path) and os.path.samefile(other, path):
            raise CommandError(f"{option}: {path} is read by this command, and would be lost; expected another name")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CommandError(f"{option}: {path} cannot be written: {error.strerror or error}") from None


def check_columns_output(path: str | None, inputs: Sequence[str | None]) -> None:
    """Do the same for a file of columns, whose format its name tells; None is standard output."""
    if path is None:
        return
    check_output(path, "--output", inputs)
    suffix = _suffix(path)
    if suffix not in FORMATS:
        raise CommandError(f"--output: {path} ends in {suffix!r}; expected one of {', '.join(FORMATS)}")
    if suffix in (".parquet", ".arrow"):
        import_pyarrow(f"--output: writing {path}")


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


@contextmanager
def written(path: str, option: str) -> Iterator[Path]:
    """Do as `whole_file` does; CommandError if the file cannot be written."""
    try:
        with whole_file(path) as partial:
            yield partial
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"{option}: {path} cannot be written: {error.strerror or error}") from error


def for_json(values: Any) -> list[Any]:
    """Return a column as JSON takes it, which has no numbers that are not finite: None in their place."""
    return [
        None if isinstance(value, float) and not math.isfinite(value) else value
        for value in np.asarray(values).tolist()
    ]


def write_columns(pieces: Iterable[Mapping[str, Any]], path: str | None, n_rows: int, digits: int) -> None:
    """Write a table of `n_rows` rows, piece by piece; a file is there once all is written, or not at all.

    Parameters
    ----------
    pieces : iterable of mapping of str to sequence
        Columns of equal length, the same in every piece.
    path : str, optional
        CSV, TSV, Parquet, Arrow IPC or .npy (the numeric columns, as a matrix) by its suffix; CSV on standard output
        unless given.
    n_rows : int
    digits : int
        Significant digits of numbers in text, at most 17, which is all; the other formats have all.
    """
    if path is None:
        _write_text(pieces, sys.stdout, ",", digits)
        return
    suffix = _suffix(path)
    with written(path, "--output") as partial:
        if suffix in (".csv", ".tsv"):
            with open(partial, "w", newline="", encoding="utf-8") as file:
                _write_text(pieces, file, "," if suffix == ".csv" else "\t", digits)
        elif suffix == ".npy":
            _write_npy(pieces, partial, n_rows)
        else:
            _write_arrow(pieces, partial, suffix)


def _write_text(pieces: Iterable[Mapping[str, Any]], file: Any, delimiter: str, digits: int) -> None:
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    for i, columns in enumerate(pieces):
        if i == 0:
            writer.writerow(columns)
        writer.writerows(zip(*(_as_text(values, digits) for values in columns.values()), strict=True))


def _as_text(values: Any, digits: int) -> Any:
    """Return a column as it is written: numbers with so many digits, all of them as Python's shortest text."""
    if not isinstance(values, np.ndarray):
        return values
    if values.dtype.kind != "f" or digits >= 17:
        return values.tolist()
    return [f"{value:.{digits}g}" for value in values.tolist()]


def _write_npy(pieces: Iterable[Mapping[str, Any]], path: Path, n_rows: int) -> None:
    matrix, end = np.empty((0, 0)), 0
    for columns in pieces:
        arrays = (np.asarray(values) for values in columns.values())
        rows = np.column_stack([array for array in arrays if array.dtype.kind in "iuf"])
        if n_rows == 0:
            np.save(path, rows)
            return
        if end == 0:
            matrix = np.lib.format.open_memmap(path, mode="w+", dtype=rows.dtype, shape=(n_rows, rows.shape[1]))
        matrix[end : end + len(rows)] = rows
        end += len(rows)


def _write_arrow(pieces: Iterable[Mapping[str, Any]], path: Path, suffix: str) -> None:
    pa = import_pyarrow("writing the result")
    with ExitStack() as stack:
        writer = None
        for columns in pieces:
            table = pa.table({name: pa.array(values) for name, values in columns.items()})
            if writer is None and suffix == ".parquet":
                import pyarrow.parquet

                writer = stack.enter_context(pyarrow.parquet.ParquetWriter(path, table.schema))
            elif writer is None:
                sink = stack.enter_context(pa.OSFile(str(path), "wb"))
                writer = stack.enter_context(pa.ipc.new_file(sink, table.schema))
            writer.write_table(table)
