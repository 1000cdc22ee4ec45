"""The blocks of a dask collection.

A pass is one graph: a task for each block, and tasks that join results by eights, in the order of the blocks. Which
scheduler runs it is dask's own choice: the current `distributed.Client`, or the threads of this process.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastgmm.data.distributed import Blocks, DistributedRows, Part, Task

__all__ = ["DaskBlocks", "DaskRows", "is_dask"]

# Results joined by one task. Depth costs latency, width costs transfers to one worker.
WIDTH = 8


def is_dask(X: Any) -> bool:
    """Return whether X is a dask collection; dask is not imported to tell."""
    return type(X).__module__.split(".")[0] in ("dask", "dask_expr") and hasattr(X, "__dask_graph__")


class DaskBlocks(Blocks):
    """The blocks of a dask array or frame.

    Parameters
    ----------
    X : dask.array.Array of shape (n_samples, n_features), or dask.dataframe.DataFrame
        Chunks may be of any and of unknown length. Blocks that split the columns are joined.
    sample_weight : array-like of shape (n_samples,), dask array or series, optional
        With the same chunks as X where those of X are of unknown length.

    Raises
    ------
    TypeError
        If X is another collection.
    ValueError
        If X is not two-dimensional or not of numbers, or the weights are not as many as its rows.
    """

    def __init__(self, X: Any, sample_weight: Any = None) -> None:
        self.array, self.names = _as_array(X)
        kind = "dask frame" if self.names is not None else "dask array"
        self.n_features = int(self.array.shape[1])
        self.description = f"{kind} of {self.array.numblocks[0]} blocks of {self.n_features} columns"
        self.dtype = np.dtype(np.float32 if self.array.dtype == np.float32 else np.float64)
        self.weight = None if sample_weight is None else _as_column(sample_weight, self.array, "sample_weight", "biuf")
        self.weighted = self.weight is not None
        self.along: dict[str, Any] = {}
        self._delayed: list[tuple] | None = None

    def map(self, task: Task, *arguments: Any, places: list[Any] | None = None) -> list[Any]:
        """Return ``task([part], *arguments)`` of every block in order, computed as one graph."""
        every = [(place,) for place in places] if places is not None else [()] * len(self._parts())
        calls = [
            _call(_on_parts, task, [part], *arguments, *place)
            for part, place in zip(self._parts(), every, strict=True)
            if not place or place[0] is not None
        ]
        return _call(list, calls).compute()

    def reduce(self, task: Task, join: Callable[[list[Any]], Any], *arguments: Any) -> Any:
        """Return the join of ``task(parts, *arguments)`` over all blocks."""
        # As a constant, what all tasks need would be sent with each.
        arguments = tuple(_call(_identity, argument) for argument in arguments)
        results = [_call(_on_parts, task, [part], *arguments) for part in self._parts()]
        while len(results) > 1:
            results = [_call(join, results[i : i + WIDTH]) for i in range(0, len(results), WIDTH)]
        return results[0].compute()

    def lazy(self, task: Task, *arguments: Any, like: np.ndarray) -> Any:
        """Return a dask array of ``task([part], *arguments)``."""
        shape: dict[str, Any] = {"drop_axis": 1}
        if like.ndim > 1:
            shape = {"chunks": (self.array.chunks[0], *((size,) for size in like.shape[1:]))}
            shape["new_axis"] = list(range(2, like.ndim)) or None
        return self.array.map_blocks(_on_block, task=task, arguments=arguments, dtype=like.dtype, meta=like, **shape)

    def mapped(self, task: Task, *arguments: Any, like: np.ndarray) -> DaskBlocks:
        """Return blocks of ``task([part], *arguments)`` in place of the rows."""
        other = copy.copy(self)
        other._delayed = None
        other.array = self.lazy(task, *arguments, like=like)
        other.n_features, other.dtype = like.shape[1], like.dtype
        return other

    def joined(self, column: str) -> DaskBlocks:
        """Return blocks of the rows with what rides along under that name as further features."""
        import dask.array as da

        other = copy.copy(self)
        other.along = dict(self.along)
        further = other.along.pop(column)
        if further.dtype.kind not in "biuf":
            raise ValueError(f"{column} of X, {self.description}, has dtype {further.dtype}; expected numbers")
        further = further[:, None] if further.ndim == 1 else further
        other.array = da.concatenate([self.array, further], axis=1, allow_unknown_chunksizes=True).rechunk({1: -1})
        other.columns, other.names, other._delayed = tuple(other.along), None, None
        other.n_features = int(other.array.shape[1])
        other.dtype = np.dtype(np.float32 if other.array.dtype == np.float32 else np.float64)
        return other

    def with_columns(self, columns: Mapping[str, Any], lengths: list[int] | None) -> DaskBlocks:
        """Return the same blocks with further columns riding along."""
        other = copy.copy(self)
        other._delayed = None
        other.along = {**self.along}
        for name, column in columns.items():
            if not is_dask(column) and lengths is not None:
                import dask.array as da

                if len(column) != sum(lengths):
                    raise ValueError(
                        f"{name} has {len(column)} entries; expected {sum(lengths)}, one for each row of X"
                    )
                other.along[name] = da.from_array(np.asarray(column), chunks=(tuple(lengths), *np.shape(column)[1:]))
            else:
                other.along[name] = _as_column(column, self.array, name)
        other.columns = tuple(other.along)
        return other

    def _parts(self) -> list[tuple]:
        # Once: the collection's own graph is optimised here.
        if self._delayed is None:
            blocks = self.array.to_delayed().ravel()
            weights = [None] * len(blocks) if self.weight is None else self.weight.to_delayed().ravel()
            along = [column.to_delayed().ravel() for column in self.along.values()]
            self._delayed = [
                (number, block, weight, tuple(zip(self.along, columns, strict=True)))
                for number, (block, weight, *columns) in enumerate(zip(blocks, weights, *along, strict=True))
            ]
        return self._delayed


class DaskRows(DistributedRows):
    """Rows over a dask array or frame, which stay where they are.

    Parameters
    ----------
    X : dask.array.Array of shape (n_samples, n_features), or dask.dataframe.DataFrame
        Chunks may be of any and of unknown length. Blocks that split the columns are joined.
    sample_weight : array-like of shape (n_samples,), dask array or series, optional
        With the same chunks as X where those of X are of unknown length.

    Raises
    ------
    TypeError, ValueError
        As `DaskBlocks`.
    """

    def __init__(self, X: Any, sample_weight: Any = None) -> None:
        super().__init__(DaskBlocks(X, sample_weight))


def _as_array(X: Any) -> tuple[Any, list[str] | None]:
    """Return X as a dask array with whole rows in each block, and the names of its columns if it is a frame."""
    # A Delayed has every attribute that it is asked for.
    if not isinstance(getattr(X, "ndim", None), int) or not (hasattr(X, "map_partitions") or hasattr(X, "map_blocks")):
        raise TypeError(f"X is a dask {type(X).__name__}; expected a dask.array or a dask.dataframe of rows")
    if X.ndim == 2 and hasattr(X, "map_partitions"):
        names = [str(name) for name in X.columns]
        dtypes = [np.dtype(getattr(dtype, "numpy_dtype", dtype)) if _is_number(dtype) else None for dtype in X.dtypes]
        wrong = [name for name, dtype in zip(names, dtypes, strict=True) if dtype is None]
        if wrong or not names:
            raise ValueError(
                f"X, a dask frame, has {f'column {wrong[0]!r}, not of numbers' if wrong else 'no columns'}; choose "
                "columns of numbers"
            )
        dtype = np.dtype(np.float32 if all(dtype == np.float32 for dtype in dtypes) else np.float64)
        return X.map_partitions(_matrix, dtype, meta=np.empty((0, len(names)), dtype=dtype)), names
    if X.ndim != 2 or not X.shape[1] >= 1:
        kind = type(X).__name__.lower()
        raise ValueError(f"X, a dask {kind}, has shape {X.shape}; expected (n_samples, n_features)")
    if X.dtype.kind not in "biuf" or X.dtype.itemsize > 8:
        raise ValueError(f"X, a dask array, has dtype {X.dtype}; expected real numbers of at most 64 bits")
    return (X if X.numblocks[1] == 1 else X.rechunk({1: -1})), None


def _is_number(dtype: Any) -> bool:
    return getattr(dtype, "kind", "O") in "biuf"


def _matrix(frame: Any, dtype: np.dtype) -> np.ndarray:
    return frame.to_numpy(dtype=dtype, na_value=np.nan)


def _as_column(column: Any, array: Any, name: str, kinds: str | None = None) -> Any:
    """Return a column over all rows as a dask array with the blocks of `array`."""
    import dask.array as da

    if hasattr(column, "map_partitions"):
        # Of any type: dask's own conversion warns of strings.
        column = column.map_partitions(np.asarray, meta=np.asarray(column._meta))
    lengths = array.chunks[0]
    known = not np.isnan(lengths).any()
    if not is_dask(column):
        if not known:
            raise ValueError(
                f"{name} is an array and the blocks of X are of unknown length; expected a dask array or series "
                "with the blocks of X"
            )
        column = da.from_array(np.asarray(column), chunks=-1)
    if kinds is not None and (column.ndim != 1 or column.dtype.kind not in kinds):
        raise ValueError(
            f"{name} has {column.ndim} dimensions and dtype {column.dtype}; expected numbers of shape (n_samples,)"
        )
    if known and not np.isnan(column.shape[0]):
        if column.shape[0] != array.shape[0]:
            raise ValueError(f"{name} has shape {column.shape}; expected ({array.shape[0]},)")
        return column.rechunk((lengths, *column.shape[1:]))
    if column.numblocks[0] != len(lengths):
        raise ValueError(
            f"{name} has {column.numblocks[0]} blocks of unknown length; expected {len(lengths)}, those of X"
        )
    return column


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    import dask

    return dask.delayed(function, pure=False, traverse=True)(*arguments)


# What runs on workers.


def _identity(value: Any) -> Any:
    return value


def _on_parts(task: Task, parts: list[tuple], *arguments: Any) -> Any:
    made = [Part(number, rows, weight, dict(columns)) for number, rows, weight, columns in parts]
    return task(made, *arguments)


def _on_block(block: Any, task: Task, arguments: tuple, block_id: tuple[int, ...] | None = None) -> Any:
    return task([Part(0 if block_id is None else block_id[0], block)], *arguments)
