"""Files that are read block by block: Parquet, folders of it, and .npy as a memory map."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

import numpy as np

from fastgmm.cli.columnar import NPY, PARQUET, import_pyarrow
from fastgmm.cli.columns import RawTable
from fastgmm.cli.errors import CommandError
from fastgmm.data import StreamedRows, block_rows, parquet, sliced
from fastgmm.data.arrow import matrix_of, parquet_batches, parquet_columns, parquet_files
from fastgmm.data.checks import check_finite, check_weights

__all__ = ["StreamedTable", "available_memory", "open_streamed"]

#: A table is streamed if its numbers would take more than this share of the memory that is available.
LARGE_SHARE = 0.25

# rows, weights, names of rows
Chunk = tuple[np.ndarray, np.ndarray | None, list[str] | None]


class StreamedTable(RawTable):
    """A table of which some rows at a time are in memory.

    Attributes
    ----------
    n_rows : int
    """

    n_rows: int

    def rows(self, columns: Sequence[str], weights: str | None) -> StreamedRows:
        """Return a source over some columns."""
        raise NotImplementedError

    def chunks(self, columns: Sequence[str], weights: str | None, ids: str | None) -> Iterator[Chunk]:
        """Yield the rows of some columns in order, with their weights and names."""
        raise NotImplementedError

    def itemsize(self, columns: Sequence[str]) -> int:
        """Return the bytes of a number, as it is computed with."""
        raise NotImplementedError

    def is_large(self) -> bool:
        """Return whether it is too large to be loaded without being asked."""
        n_bytes = self.n_rows * len(self.names) * self.itemsize(self.names)
        return n_bytes > LARGE_SHARE * available_memory()

    def numbers(self, positions: Sequence[int]) -> np.ndarray:
        """Return columns of finite numbers, all rows of them."""
        names = [self.names[j] for j in positions]
        return np.concatenate([rows for rows, _, _ in self.chunks(names, None, None)])

    def texts(self, position: int) -> list[str]:
        """Return one column as text."""
        found: list[str] = []
        for _, _, ids in self.chunks([], None, self.names[position]):
            found += ids or []
        return found


class _Parquet(StreamedTable):
    def __init__(self, path: str) -> None:
        import_pyarrow(f"{path}: reading Parquet")
        import pyarrow.parquet

        try:
            self._files = parquet_files(path)
            super().__init__(path, parquet_columns(self._files[0], None), True)
            self.n_rows = sum(pyarrow.parquet.read_metadata(file).num_rows for file in self._files)
        except (FileNotFoundError, ValueError) as error:
            raise CommandError(str(error)) from None
        self._schema = pyarrow.parquet.read_schema(self._files[0])

    def itemsize(self, columns: Sequence[str]) -> int:
        return 4 if all(str(self._schema.field(name).type) == "float" for name in columns) else 8

    def rows(self, columns: Sequence[str], weights: str | None) -> StreamedRows:
        return parquet(self.source, columns=list(columns), weights=weights)

    def chunks(self, columns: Sequence[str], weights: str | None, ids: str | None) -> Iterator[Chunk]:
        wanted = list(dict.fromkeys([*columns, *(name for name in (weights, ids) if name is not None)]))
        first = 0
        for batch in parquet_batches(self._files, wanted, block_rows(max(1, len(columns)))):
            where = f"{self.source}, from row {first + 1} on"
            rows = matrix_of(batch.select(list(columns)), where)
            check_finite(rows, where, first, columns)
            weight = None
            if weights is not None:
                weight = check_weights(matrix_of(batch.select([weights]), where)[:, 0], len(rows), where)
            names = None if ids is None else ["" if v is None else str(v) for v in batch.column(ids).to_pylist()]
            yield rows, weight, names
            first += batch.num_rows


class _Mapped(StreamedTable):
    def __init__(self, path: str) -> None:
        try:
            values = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise CommandError(f"{path}: cannot be read as .npy: {error}") from None
        if values.ndim not in (1, 2) or values.dtype.kind not in "biuf":
            raise CommandError(
                f"{path}: holds an array of shape {values.shape} and dtype {values.dtype}; expected a matrix of numbers"
            )
        self._values = values if values.ndim == 2 else values[:, None]
        super().__init__(path, [f"x{j}" for j in range(self._values.shape[1])], False)
        self.n_rows = len(self._values)

    def itemsize(self, columns: Sequence[str]) -> int:
        return 4 if self._values.dtype == np.float32 else 8

    def rows(self, columns: Sequence[str], weights: str | None) -> StreamedRows:
        weight = None if weights is None else self._values[:, self.names.index(weights)]
        if list(columns) == self.names:
            return sliced(self._values, weights=weight)
        return sliced(_Columns(self._values, self._positions(columns)), weights=weight)

    def chunks(self, columns: Sequence[str], weights: str | None, ids: str | None) -> Iterator[Chunk]:
        positions = self._positions(columns)
        size = block_rows(max(1, len(columns)))
        for first in range(0, self.n_rows, size):
            part = self._values[first : first + size]
            where = f"{self.source}, from row {first + 1} on"
            rows = np.ascontiguousarray(part if len(positions) == part.shape[1] else part[:, positions])
            rows = rows if rows.dtype in (np.float32, np.float64) else rows.astype(np.float64)
            check_finite(rows, where, first, columns)
            weight = None
            if weights is not None:
                weight = check_weights(part[:, self.names.index(weights)], len(part), where)
            yield rows, weight, None if ids is None else [str(v) for v in part[:, self.names.index(ids)]]

    def _positions(self, columns: Sequence[str]) -> list[int]:
        return [self.names.index(name) for name in columns]


class _Columns:
    """Some columns of an array, sliced by rows."""

    def __init__(self, values: np.ndarray, positions: list[int]) -> None:
        self._values, self._positions = values, positions
        self.shape, self.dtype = (len(values), len(positions)), values.dtype

    def __getitem__(self, part: slice) -> np.ndarray:
        return self._values[part][:, self._positions]


def open_streamed(path: str) -> StreamedTable | None:
    """Return the table at `path` if it can be read block by block: Parquet, a folder of it, or .npy; otherwise None."""
    if os.path.isdir(path):
        return _Parquet(path)
    try:
        with open(path, "rb") as file:
            head = file.read(8)
    except OSError:
        return None
    if head.startswith(NPY):
        return _Mapped(path)
    return _Parquet(path) if head.startswith(PARQUET) else None


def available_memory() -> float:
    """Return the bytes that this process may still use: of the machine, the control group, and the process's limits."""
    found = [float("inf")]
    with contextlib.suppress(OSError, ValueError, StopIteration), open("/proc/meminfo") as file:
        found.append(1024.0 * next(int(line.split()[1]) for line in file if line.startswith("MemAvailable")))
    for cgroup, names in (("memory.", ("max", "current")), ("memory/memory.", ("limit_in_bytes", "usage_in_bytes"))):
        limit, used = (f"/sys/fs/cgroup/{cgroup}{name}" for name in names)
        with contextlib.suppress(OSError, ValueError), open(limit) as most, open(used) as now:
            found.append(float(most.read()) - float(now.read()))
    with contextlib.suppress(ImportError):
        import resource

        for name in ("RLIMIT_AS", "RLIMIT_DATA"):
            soft = resource.getrlimit(getattr(resource, name))[0]
            found.append(float("inf") if soft == resource.RLIM_INFINITY else float(soft))
    return max(0.0, min(found))
