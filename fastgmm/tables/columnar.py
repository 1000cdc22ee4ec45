"""Parquet, Arrow IPC and NumPy files. Parquet and Arrow need pyarrow."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fastgmm.data import block_rows
from fastgmm.data.arrow import matrix_of, parquet_batches, parquet_files
from fastgmm.exceptions import TableError
from fastgmm.tables.columns import Column, Missing, RawTable

__all__ = ["import_pyarrow", "is_columnar", "read_columnar"]

INSTALL = "pip install 'fastgmm[parquet]'"

NPY = b"\x93NUMPY"
PARQUET = b"PAR1"
ARROW_FILE = b"ARROW1"
ARROW_STREAM = b"\xff\xff\xff\xff"


def is_columnar(head: bytes) -> bool:
    """Return whether a file that begins so is read here."""
    return head.startswith((NPY, PARQUET, ARROW_FILE, ARROW_STREAM))


def import_pyarrow(purpose: str) -> Any:
    """Return pyarrow, or say how to get it."""
    try:
        import pyarrow
    except ImportError:
        raise TableError(f"{purpose} needs pyarrow, which is not installed; {INSTALL}") from None
    return pyarrow


def read_columnar(content: bytes | str, source: str, missing: Missing | None = None) -> RawTable:
    """Return the table in a file, given by its bytes or its name, or in the Parquet files of a folder."""
    missing = missing or Missing()
    head = content[:8] if isinstance(content, bytes) else PARQUET
    if isinstance(content, str) and not os.path.isdir(content):
        with open(content, "rb") as file:
            head = file.read(8)
    if head.startswith(NPY):
        return _Matrix(content, source, missing)
    pa = import_pyarrow(f"{source}: reading {'Parquet' if head.startswith(PARQUET) else 'Arrow'}")
    try:
        if head.startswith(PARQUET) and isinstance(content, str):
            return _ParquetFiles(content, source, missing)
        return _Arrow(source, _arrow_table(pa, content, head), missing)
    except (FileNotFoundError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise TableError(f"{source}: cannot be read: {error}") from None


def _arrow_table(pa: Any, content: bytes | str, head: bytes) -> Any:
    if head.startswith(PARQUET):
        import pyarrow.parquet

        # Not read_table: its threads sometimes abort the process where it ends (pyarrow 26).
        return pyarrow.parquet.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
    stream = pa.memory_map(content) if isinstance(content, str) else pa.BufferReader(content)
    return (pa.ipc.open_file if head.startswith(ARROW_FILE) else pa.ipc.open_stream)(stream).read_all()


def _column(field: Any) -> Column:
    """Return what a column holds, by its type."""
    import pyarrow.types as types

    dictionary = types.is_dictionary(field.type)
    kind = field.type.value_type if dictionary else field.type
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind):
        return Column(field.name)
    if types.is_null(kind):
        return Column(field.name, "empty")
    name = "date" if types.is_temporal(kind) else "category" if dictionary else "text"
    return Column(field.name, name, f"of type {field.type}")


def _without_nulls(batch: Any) -> Any:
    """Return a record batch or table with NaN where a value is missing."""
    if not any(batch.column(j).null_count for j in range(batch.num_columns)):
        return batch
    import pyarrow as pa
    import pyarrow.compute

    columns = []
    for j in range(batch.num_columns):
        column = batch.column(j)
        if column.null_count:
            kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
            kind = kind if kind == pa.float32() else pa.float64()
            if pa.types.is_dictionary(column.type):
                column = column.cast(column.type.value_type)
            column = pyarrow.compute.fill_null(column.cast(kind), pa.scalar(float("nan"), kind))
        columns.append(column)
    return type(batch).from_arrays(columns, names=batch.schema.names)


class _Arrow(RawTable):
    def __init__(self, source: str, table: Any, missing: Missing) -> None:
        super().__init__(source, table.schema.names, True, missing)
        self._table = table

    def survey(self, names: Sequence[str]) -> list[Column]:
        return [_column(self._table.schema.field(self._places[name])) for name in names]

    def _parts(self, wanted: Sequence[str]) -> Iterator[Any]:
        yield from self._table.to_batches(block_rows(max(1, len(wanted)))) or [self._table]

    def _numbers(self, part: Any, columns: Sequence[str], first: int) -> np.ndarray:
        try:
            matrix_of(part.select(list(columns)).slice(0, 0), self.source)
        except ValueError as error:  # a type
            raise TableError(f"{error} with --columns or --exclude") from None
        return matrix_of(_without_nulls(part.select(list(columns))), self.source)

    def _texts(self, part: Any, column: str) -> list[str]:
        return ["" if value is None else str(value) for value in part.column(column).to_pylist()]


class _ParquetFiles(_Arrow):
    """A file, or the files of a folder, of which some rows at a time are in memory."""

    def __init__(self, path: str, source: str, missing: Missing) -> None:
        import pyarrow.parquet

        self._files = parquet_files(path)
        # A table without rows stands for the columns.
        super().__init__(source, pyarrow.parquet.read_schema(self._files[0]).empty_table(), missing)
        self.n_rows = sum(pyarrow.parquet.read_metadata(file).num_rows for file in self._files)
        single = all(str(kind) == "float" for kind in self._table.schema.types)
        self.n_bytes = self.n_rows * len(self.names) * (4 if single else 8)

    def _parts(self, wanted: Sequence[str]) -> Iterator[Any]:
        try:
            yield from parquet_batches(self._files, wanted, block_rows(max(1, len(wanted))))
        except ValueError as error:
            raise TableError(str(error).removeprefix("path: ")) from None


class _Matrix(RawTable):
    def __init__(self, content: bytes | str, source: str, missing: Missing) -> None:
        try:
            if isinstance(content, str):
                values = np.load(content, mmap_mode="r", allow_pickle=False)
            else:
                values = np.load(io.BytesIO(content), allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise TableError(f"{source}: cannot be read as .npy: {error}") from None
        if values.ndim not in (1, 2) or values.dtype.kind not in "biuf":
            raise TableError(
                f"{source}: holds an array of shape {values.shape} and dtype {values.dtype}; expected a matrix of "
                "numbers"
            )
        self._values = values if values.ndim == 2 else values[:, None]
        super().__init__(source, [f"x{j}" for j in range(self._values.shape[1])], False, missing)
        self.n_rows, self.n_bytes = len(self._values), self._values.size * (4 if values.dtype == np.float32 else 8)

    def survey(self, names: Sequence[str]) -> list[Column]:
        return [Column(name) for name in names]

    def _parts(self, wanted: Sequence[str]) -> Iterator[Any]:
        size = block_rows(max(1, len(wanted)))
        for start in range(0, max(1, len(self._values)), size):
            yield self._values[start : start + size]

    def _numbers(self, part: np.ndarray, columns: Sequence[str], first: int) -> np.ndarray:
        rows = np.ascontiguousarray(part if list(columns) == self.names else part[:, self.positions(columns)])
        return rows if rows.dtype in (np.float32, np.float64) else rows.astype(np.float64)

    def _texts(self, part: np.ndarray, column: str) -> list[str]:
        return [str(value) for value in part[:, self.names.index(column)]]
