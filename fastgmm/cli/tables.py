"""Reading a table of numbers from a file, with errors that name the line and the column."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastgmm.cli.errors import CommandError

__all__ = ["Table", "read_table"]


@dataclass
class Table:
    """Rows to model.

    Attributes
    ----------
    source : str
        Where they came from, for messages.
    columns : list of str
        Names of the columns of `X`; ``x1, x2, ...`` where the file has none.
    X : ndarray of shape (n_samples, n_features)
    named : bool
        Whether the names are the file's own.
    """

    source: str
    columns: list[str]
    X: np.ndarray
    named: bool = True


def read_table(path: str | Path, columns: Sequence[str] | None = None) -> Table:
    """Read the numeric columns of a CSV file.

    Parameters
    ----------
    path : str or Path
    columns : sequence of str, optional
        Which columns, in this order; all unless given.

    Returns
    -------
    Table

    Raises
    ------
    CommandError
        If the file is missing, empty, or holds something else than finite numbers.
    """
    source = str(path)
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise CommandError(f"{source}: no such file") from None
    except OSError as error:
        raise CommandError(f"{source}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{source}: not a text file; expected comma-separated values in UTF-8") from None
    return parse_csv(text, source, columns)


def parse_csv(text: str, source: str, columns: Sequence[str] | None = None) -> Table:
    """Return the table that comma-, semicolon- or tab-separated text holds."""
    first_line = next((line for line in text.splitlines() if line.strip()), None)
    if first_line is None:
        raise CommandError(f"{source}: the file is empty; expected comma-separated values")
    delimiter = max(",;\t", key=first_line.count)
    first = [cell.strip() for cell in next(csv.reader([first_line], delimiter=delimiter))]
    named = not all(_is_number(cell) for cell in first)
    names = first if named else [f"x{j + 1}" for j in range(len(first))]
    chosen = _positions(names, columns, source)
    values = _numbers(text, source, delimiter, names, chosen, named)
    if not len(values):
        raise CommandError(f"{source}: has a header and no rows; expected at least 2 rows of numbers")
    return Table(source, [names[j] for j in chosen], values, named)


def _positions(names: list[str], columns: Sequence[str] | None, source: str) -> list[int]:
    if columns is None:
        return list(range(len(names)))
    for column in columns:
        if column not in names:
            raise CommandError(f"{source}: no column {column!r}; the columns are {', '.join(names)}")
    return [names.index(column) for column in columns]


def _numbers(
    text: str, source: str, delimiter: str, names: list[str], chosen: list[int], skip_header: bool
) -> np.ndarray:
    # NumPy's parser is compiled; what it refuses is read again, slowly, to say where the fault is.
    body = text.lstrip().split("\n", 1)
    if skip_header:
        text = body[1] if len(body) > 1 else ""
        if not text.strip():
            return np.empty((0, len(chosen)))
    try:
        values = np.loadtxt(
            io.StringIO(text), delimiter=delimiter, usecols=chosen, ndmin=2, quotechar='"', comments=None
        )
    except ValueError:
        values = None
    if values is None or not np.isfinite(values).all():
        raise _first_fault(text, source, delimiter, names, chosen, skip_header)
    return values


def _first_fault(
    text: str, source: str, delimiter: str, names: list[str], chosen: list[int], skip_header: bool
) -> CommandError:
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    for row in reader:
        if not row:
            continue
        line = reader.line_num + int(skip_header)
        if len(row) != len(names):
            return CommandError(f"{source}, line {line}: {len(row)} cells; expected {len(names)}, as in the first line")
        for j in chosen:
            cell = row[j].strip()
            if not _is_number(cell):
                what = f"{cell!r} is not a number" if cell else "the cell is empty"
            elif not np.isfinite(float(cell)):
                what = f"{cell!r} is not a finite number"
            else:
                continue
            return CommandError(
                f"{source}, line {line}, column {names[j]!r}: {what}; mend or remove the row, or choose numeric "
                f"columns with --columns"
            )
    return CommandError(f"{source}: cannot be read as comma-separated numbers")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
