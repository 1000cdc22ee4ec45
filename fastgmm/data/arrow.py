"""Arrow batches as matrices, and Parquet files as a source. pyarrow is imported when they are used."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastgmm.data.checks import REMEDY

__all__ = [
    "ArrowMatrix",
    "column_of",
    "decoded_rows",
    "is_arrow",
    "listed",
    "matrix_of",
    "parquet_batches",
    "parquet_columns",
    "parquet_files",
    "parquet_mappings",
]

INSTALL = "pip install 'fastgmm[parquet]'"

# Transposed at a time: columns' pieces and the rows they go to stay in the second-level cache. Fewer columns than
# `FEW_COLUMNS` are written one by one.
PIECE_VALUES, PIECE_ROWS, PIECE_COLUMNS, FEW_COLUMNS = 1 << 15, 1 << 11, 1 << 6, 8

# What a column's pages are read through. A page that is larger, as most are, goes straight to where it is decoded.
BUFFER_BYTES = 1 << 14


def is_arrow(batch: Any) -> bool:
    """Return whether this is an Arrow record batch or table; pyarrow is not imported to tell."""
    kind = type(batch)
    return kind.__module__.split(".")[0] == "pyarrow" and kind.__name__ in ("RecordBatch", "Table")


class ArrowMatrix:
    """An Arrow record batch or table as a matrix that is not made before it is known where: see `write`.

    Parameters
    ----------
    batch : pyarrow.RecordBatch or pyarrow.Table
    where : str
        What it is, for messages.
    names : sequence of str, optional
        Its columns are to be these, in this order.
    allows_missing : bool
        Whether what is missing becomes NaN.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
        float32 if every column is, otherwise float64.

    Raises
    ------
    ValueError
        If a column is missing, not of numbers, or has a missing value.
    """

    ndim = 2

    def __init__(
        self, batch: Any, where: str, names: Sequence[str] | None = None, allows_missing: bool = False
    ) -> None:
        found = batch.schema.names
        if names is not None and list(names) != list(found):
            raise ValueError(f"{where} has columns {', '.join(found)}; expected {', '.join(names)}")
        self.columns = [
            _numbers(batch.column(j), f"{where}, column {name!r}", allows_missing) for j, name in enumerate(found)
        ]
        self.shape = batch.num_rows, len(self.columns)
        single = all(column.dtype == np.float32 for column in self.columns)
        self.dtype = np.dtype(np.float32 if single else np.float64)

    def __len__(self) -> int:
        return self.shape[0]

    def write(self, first: int, out: np.ndarray) -> None:
        """Write the rows from number `first` on to `out`, as many as it has."""
        n_rows, n_columns = out.shape
        if n_columns < FEW_COLUMNS:
            step = PIECE_VALUES // max(1, n_columns)
            for start in range(0, n_rows, step):
                part = out[start : start + step]
                for j, column in enumerate(self.columns):
                    part[:, j] = column[first + start : first + start + len(part)]
            return
        # Side by side first: NumPy transposes what lies together in half the time that columns one by one take.
        beside = np.empty((min(n_columns, PIECE_COLUMNS), min(n_rows, PIECE_ROWS)), dtype=out.dtype)
        for start in range(0, n_rows, PIECE_ROWS):
            rows = out[start : start + PIECE_ROWS]
            for left in range(0, n_columns, PIECE_COLUMNS):
                part = rows[:, left : left + PIECE_COLUMNS]
                piece = beside[: part.shape[1], : len(part)]
                for line, column in zip(piece, self.columns[left : left + PIECE_COLUMNS], strict=True):
                    line[:] = column[first + start : first + start + len(part)]
                part[:] = piece.T


def matrix_of(batch: Any, where: str, allows_missing: bool = False) -> np.ndarray:
    """Return an Arrow record batch or table as a matrix; see `ArrowMatrix`."""
    matrix = ArrowMatrix(batch, where, allows_missing=allows_missing)
    rows = np.empty(matrix.shape, dtype=matrix.dtype)
    matrix.write(0, rows)
    return rows


def _numbers(column: Any, where: str, allows_missing: bool = False) -> np.ndarray:
    import pyarrow as pa
    import pyarrow.types as types

    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if not (types.is_integer(column.type) or types.is_floating(column.type) or types.is_boolean(column.type)):
        raise ValueError(f"{where} is of type {column.type}; expected numbers. Choose columns of numbers")
    if column.null_count and allows_missing:
        column = column if types.is_floating(column.type) else column.cast(pa.float64())
    elif column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise ValueError(
            f"{where}, row {row}: the value is missing; expected a number. Fill or leave out such rows{REMEDY}"
        )
    # A table's columns come in chunks, which have no zero_copy_only.
    return column.to_numpy() if hasattr(column, "chunks") else column.to_numpy(zero_copy_only=False)


def parquet_files(path: str | os.PathLike[str]) -> list[Path]:
    """Return the file at `path`, or the Parquet files of the folder there, by name; hidden ones and ``_*`` left out.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    FileNotFoundError
        If there is nothing at `path`, or no Parquet file in it.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ImportError(f"reading Parquet needs pyarrow, which is not installed; {INSTALL}") from error
    path = Path(path)
    if not path.is_dir():
        if not path.exists():
            raise FileNotFoundError(f"path is {path}; expected a Parquet file or a folder of them, there is nothing")
        return [path]
    files = sorted(
        file
        for file in path.rglob("*.parquet")
        if not any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
    )
    if not files:
        raise FileNotFoundError(f"path is the folder {path}, with no file *.parquet in it; expected at least one")
    return files


def parquet_columns(
    file: Path, columns: Sequence[str] | None, along: Mapping[str, str | Sequence[str]] | None = None
) -> list[str]:
    """Return the columns of features: those asked for, or all but those that ride along.

    Raises
    ------
    ValueError
        If one that is asked for is not in the file, one that rides along is among them, or the file cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet

    try:
        found = list(pyarrow.parquet.read_schema(file).names)
    except pa.ArrowInvalid as error:
        raise ValueError(f"path: {file} cannot be read as Parquet: {error}") from None
    taken: set[str] = set()
    for what, given in (along or {}).items():
        for name in listed(given):
            if name not in found or (columns is not None and name in columns):
                others = ", ".join(name for name in found if columns is None or name not in columns)
                what = "weights" if what == "sample_weight" else what
                raise ValueError(f"{what} is {name!r}; expected a column of {file} that is not in columns: {others}")
            taken.add(name)
    if columns is None:
        return [name for name in found if name not in taken]
    if isinstance(columns, str) or not columns:
        raise ValueError(f"columns is {columns!r}; expected a list of one or more of {', '.join(found)}")
    missing = [name for name in columns if name not in found]
    if missing:
        raise ValueError(f"columns has {missing[0]!r}, which {file} has not; expected some of {', '.join(found)}")
    return list(columns)


def listed(given: str | Sequence[str] | None) -> list[str]:
    """Return names given as one, several or none as a list."""
    return [] if given is None else [given] if isinstance(given, str) else list(given)


def decoded_rows(n_columns: int) -> int:
    """Return how many rows of a Parquet file are decoded at a time: 2^21 numbers, 4,096 to 32,768 rows.

    What Arrow's threads have decoded is then still near when it is written into a block.
    """
    return min(1 << 15, max(1 << 12, (1 << 21) // max(1, n_columns)))


def parquet_batches(files: Sequence[Path], columns: Sequence[str], batch_rows: int) -> Iterator[Any]:
    """Yield the rows of Parquet files in order, as record batches of `columns`."""
    import pyarrow.parquet

    for file in files:
        missing = [name for name in columns if name not in pyarrow.parquet.read_schema(file).names]
        if missing:
            raise ValueError(f"path: {file} has no column {missing[0]!r}; expected the columns of {files[0]}")
        # Pages through a buffer, not whole column chunks: a row group may be as large as the file.
        with pyarrow.parquet.ParquetFile(file, buffer_size=BUFFER_BYTES, pre_buffer=False) as opened:
            yield from opened.iter_batches(batch_rows, columns=list(columns))


def parquet_mappings(
    files: Sequence[Path], columns: Sequence[str], batch_rows: int, along: Mapping[str, str | Sequence[str]]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of Parquet files in order, as mappings of record batches of `columns` and what rides along."""
    wanted = dict.fromkeys([*columns, *(name for given in along.values() for name in listed(given))])
    where = f"{files[0]}, column" if len(files) == 1 else f"{files[0].parent}, column"
    for batch in parquet_batches(files, list(wanted), batch_rows):
        riding = {what: column_of(batch, given, where, what) for what, given in along.items()}
        yield {"X": batch.select(list(columns)), **riding}


def column_of(batch: Any, given: str | Sequence[str], where: str, what: str) -> np.ndarray:
    """Return what rides along: numbers of one column, or of several side by side; classes of any kind."""
    if not isinstance(given, str):
        return np.column_stack([_numbers(batch.column(name), f"{where} {name!r} of {what}") for name in given])
    column = batch.column(given)
    if what == "sample_weight":
        return _numbers(column, f"{where} {given!r} of weights")
    if what == "labels":
        return np.asarray(column.fill_null(-1).to_numpy(zero_copy_only=False))
    if column.null_count:
        # A class that is missing is one that is not known, of whatever type; NaN would say so of some types only.
        return np.array([*column.to_pylist(), None], dtype=object)[:-1]
    return np.asarray(column.to_numpy(zero_copy_only=False))
