"""Parquet, Arrow IPC and NumPy files. Parquet and Arrow need pyarrow."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastgmm.cli.columns import RawTable
from fastgmm.cli.errors import CommandError

__all__ = ["INSTALL", "import_pyarrow", "is_columnar", "read_columnar"]

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
        raise CommandError(f"{purpose} needs pyarrow, which is not installed; {INSTALL}") from None
    return pyarrow


def read_columnar(content: bytes | str, source: str) -> RawTable:
    """Return the table in a file, given by its bytes or its name."""
    if isinstance(content, str):
        with open(content, "rb") as file:
            head = file.read(8)
    else:
        head = content[:8]
    if head.startswith(NPY):
        return _npy(content, source)
    pa = import_pyarrow(f"{source}: reading {'Parquet' if head.startswith(PARQUET) else 'Arrow'}")
    try:
        return _ArrowTable(_arrow(pa, content, head), source)
    except pa.ArrowException as error:
        raise CommandError(f"{source}: cannot be read: {error}") from None


def _arrow(pa: Any, content: bytes | str, head: bytes) -> Any:
    if head.startswith(PARQUET):
        import pyarrow.parquet

        return pyarrow.parquet.read_table(content if isinstance(content, str) else pa.BufferReader(content))
    source = pa.memory_map(content) if isinstance(content, str) else pa.BufferReader(content)
    opened = pa.ipc.open_file(source) if head.startswith(ARROW_FILE) else pa.ipc.open_stream(source)
    return opened.read_all()


class _ArrowTable(RawTable):
    def __init__(self, table: Any, source: str) -> None:
        super().__init__(source, table.column_names, True)
        self._table = table

    def numbers(self, positions: Sequence[int]) -> np.ndarray:
        columns = [self._column(j) for j in positions]
        if not columns:
            return np.empty((self._table.num_rows, 0))
        dtype = np.float32 if all(column.dtype == np.float32 for column in columns) else np.float64
        values = np.empty((self._table.num_rows, len(columns)), dtype=dtype)
        for j, column in enumerate(columns):
            values[:, j] = column
        _check_finite(values, [self.names[j] for j in positions], self.source)
        return values

    def _column(self, position: int) -> np.ndarray:
        import pyarrow.types as types

        column, name = self._table.column(position), self.names[position]
        if not (types.is_integer(column.type) or types.is_floating(column.type) or types.is_boolean(column.type)):
            raise CommandError(
                f"{self.source}: column {name!r} is of type {column.type}, not of numbers; choose "
                f"columns with --columns"
            )
        if column.null_count:
            row = column.is_null().to_pylist().index(True) + 1
            raise CommandError(
                f"{self.source}, row {row}, column {name!r}: the value is missing; fill or remove the row"
            )
        return column.to_numpy()

    def texts(self, position: int) -> list[str]:
        return ["" if value is None else str(value) for value in self._table.column(position).to_pylist()]


def _npy(content: bytes | str, source: str) -> RawTable:
    try:
        if isinstance(content, str):
            values = np.load(content, mmap_mode="r", allow_pickle=False)
        else:
            values = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise CommandError(f"{source}: cannot be read as .npy: {error}") from None
    if values.ndim not in (1, 2) or values.dtype.kind not in "biuf":
        raise CommandError(
            f"{source}: holds an array of shape {values.shape} and dtype {values.dtype}; expected a matrix of numbers"
        )
    return _Matrix(values if values.ndim == 2 else values[:, None], source)


class _Matrix(RawTable):
    def __init__(self, values: np.ndarray, source: str) -> None:
        super().__init__(source, [f"x{j}" for j in range(values.shape[1])], False)
        self._values = values

    def numbers(self, positions: Sequence[int]) -> np.ndarray:
        values = self._values
        if list(positions) != list(range(values.shape[1])):
            values = values[:, list(positions)]
        if values.dtype not in (np.float32, np.float64):
            values = values.astype(np.float64)
        _check_finite(values, [self.names[j] for j in positions], self.source)
        return values

    def texts(self, position: int) -> list[str]:
        return [str(value) for value in self._values[:, position]]


def _check_finite(values: np.ndarray, names: Sequence[str], source: str) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        row, j = np.argwhere(~finite)[0]
        raise CommandError(
            f"{source}, row {row + 1}, column {names[j]!r}: {values[row, j]} is not a finite number; mend or remove "
            f"the row"
        )
