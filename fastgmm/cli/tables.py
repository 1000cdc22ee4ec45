"""A table of numbers to model, from a file or standard input of any format that is read here.

The format is told by the first bytes, not by the name, so that standard input works too: `delimited` reads CSV and TSV,
`columnar` Parquet, Arrow and NumPy files.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastgmm.cli.columnar import is_columnar, read_columnar
from fastgmm.cli.columns import RawTable
from fastgmm.cli.delimited import read_delimited
from fastgmm.cli.errors import CommandError

__all__ = ["STDIN", "Table", "read_table"]

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
        Finite, C-contiguous, float32 or float64.
    named : bool
        Whether the names are the file's own.
    ids : list of str, optional
        What to call the rows.
    id_name : str, optional
    weights : ndarray of shape (n_samples,), optional
    """

    source: str
    columns: list[str]
    X: np.ndarray
    named: bool = True
    ids: list[str] | None = None
    id_name: str | None = None
    weights: np.ndarray | None = None


def read_table(
    path: str | os.PathLike[str],
    columns: Sequence[str] | None = None,
    *,
    id_column: str | None = None,
    weight_column: str | None = None,
    known_columns: Sequence[str] | None = None,
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

    Returns
    -------
    Table

    Raises
    ------
    CommandError
        If the file is missing, empty, or holds something else than finite numbers.
    """
    raw = _open(path)
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
    return Table(raw.source, list(columns), np.ascontiguousarray(values), raw.named, ids, id_column, weights)


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
