"""Where results go: checked before any work is done, written whole."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from fastgmm.cli.columnar import import_pyarrow
from fastgmm.cli.errors import CommandError

__all__ = ["FORMATS", "check_columns_output", "check_output", "whole_file", "write_columns"]

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
    if path is None:
        _write_text(sys.stdout, columns, ",")
        return
    suffix = _suffix(path)
    with whole_file(path, option) as partial:
        if suffix in (".csv", ".tsv"):
            with open(partial, "w", newline="", encoding="utf-8") as file:
                _write_text(file, columns, "," if suffix == ".csv" else "\t")
        elif suffix == ".npy":
            numeric = [np.asarray(values) for values in columns.values() if np.asarray(values).dtype.kind in "iuf"]
            np.save(partial, np.column_stack(numeric))
        else:
            _write_arrow(partial, columns, suffix)


def _write_text(file: Any, columns: Mapping[str, Any], delimiter: str) -> None:
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    # Python's own numbers: their shortest text that reads back the same.
    lists = [values.tolist() if isinstance(values, np.ndarray) else values for values in columns.values()]
    writer.writerows(zip(*lists, strict=True))


def _write_arrow(path: Path, columns: Mapping[str, Any], suffix: str) -> None:
    pa = import_pyarrow("writing the result")
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    if suffix == ".parquet":
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, path)
        return
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
