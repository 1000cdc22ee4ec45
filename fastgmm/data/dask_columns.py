"""Dask collections as what a fit reads: arrays of whole rows, and columns in the same blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["as_array", "as_column", "is_dask"]


def is_dask(X: Any) -> bool:
    """Return whether X is a dask collection; dask is not imported to tell."""
    return type(X).__module__.split(".")[0] in ("dask", "dask_expr") and hasattr(X, "__dask_graph__")


def as_array(X: Any) -> tuple[Any, list[str] | None]:
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


def as_column(column: Any, array: Any, name: str, kinds: str | None = None, lengths: Any = None) -> Any:
    """Return a column over all rows as a dask array with the blocks of `array`, whose `lengths` may have been counted.

    Raises
    ------
    ValueError
        If it has not an entry for each row, or is of another kind of numbers.
    """
    import dask.array as da

    if hasattr(column, "map_partitions"):
        # Of any type: dask's own conversion warns of strings.
        column = column.map_partitions(np.asarray, meta=np.asarray(column._meta))
    chunks = array.chunks[0]
    if lengths is not None and not is_dask(column):
        chunks = tuple(lengths.values())
    known = not np.isnan(chunks).any()
    if not is_dask(column):
        if not known:
            raise ValueError(
                f"{name} is an array and the blocks of X are of unknown length; expected a dask array or series "
                "with the blocks of X"
            )
        column = np.asarray(column)
    if kinds is not None and (column.ndim != 1 or column.dtype.kind not in kinds):
        raise ValueError(
            f"{name} has {column.ndim} dimensions and dtype {column.dtype}; expected numbers of shape (n_samples,)"
        )
    if known and not np.isnan(column.shape[0]):
        if column.shape[0] != sum(chunks):
            raise ValueError(f"{name} has shape {column.shape}; expected ({sum(chunks)},)")
        if not is_dask(column):
            return da.from_array(column, chunks=(chunks, *column.shape[1:]))
        return column.rechunk((chunks, *column.shape[1:]))
    if column.numblocks[0] != len(chunks):
        raise ValueError(
            f"{name} has {column.numblocks[0]} blocks of unknown length; expected {len(chunks)}, those of X"
        )
    return column
