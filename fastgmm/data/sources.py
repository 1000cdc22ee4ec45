"""The sources that users name: batches, Parquet, and whatever can be sliced by rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastgmm.data.arrow import decoded_rows, parquet_columns, parquet_files, parquet_mappings
from fastgmm.data.dask_blocks import DaskRows, is_dask
from fastgmm.data.distributed import DistributedRows
from fastgmm.data.rows import block_rows
from fastgmm.data.spark_blocks import SparkRows, is_spark
from fastgmm.data.streamed_rows import StreamedRows

__all__ = ["RowSource", "batches", "parquet", "sliced", "source_of"]

RowSource = StreamedRows | DistributedRows


def batches(factory: Callable[[], Iterable[Any]]) -> StreamedRows:
    """Return a source over batches that are made anew for every pass.

    Parameters
    ----------
    factory : callable
        ``factory()`` returns a new iterator over all rows, in the same order each time: arrays of shape
        (rows, n_features), of any number of rows each, or Arrow record batches or tables; or pairs of one of these and
        the weights of its rows; or mappings with the rows as ``'X'`` and any of ``'sample_weight'``, ``'labels'``
        (known components), ``'y'`` (classes or targets) and ``'errors'`` (measurement errors of the rows, variances or
        covariances). It is called and iterated in a thread of its own; a batch is copied, so its memory may be used
        again.

    Returns
    -------
    StreamedRows
        A source, to be given to an estimator as X.

    Raises
    ------
    TypeError
        If `factory` is not callable.

    See Also
    --------
    parquet : Parquet files, read in batches.
    fastgmm.GaussianMixture.partial_fit : Learns from a stream that is read once.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.data import batches
    >>> def factory():
    ...     for seed in range(5):
    ...         yield np.random.default_rng(seed).normal([[-4.0], [4.0]], size=(2, 300)).reshape(-1, 1)
    >>> model = GaussianMixture(2, random_state=0).fit(batches(factory))
    >>> sorted(model.means_[:, 0].round().tolist())
    [-4.0, 4.0]
    """
    if not callable(factory):
        raise TypeError(
            f"factory is of type {type(factory).__name__}; expected a callable that returns a new iterator of batches "
            "for every pass, as in batches(lambda: iter(list_of_arrays))"
        )

    def open_batches() -> Iterator[Any]:
        return iter(factory())

    return StreamedRows(open_batches, "batches")


def parquet(
    path: str | os.PathLike[str],
    columns: Sequence[str] | None = None,
    batch_rows: int | None = None,
    weights: str | None = None,
    labels: str | None = None,
    y: str | Sequence[str] | None = None,
    errors: Sequence[str] | None = None,
) -> StreamedRows:
    """Return a source over a Parquet file, or a folder of them in the order of their names; needs pyarrow.

    Parameters
    ----------
    path : str or path-like
        The file, or the folder whose files are read in the order of their names.
    columns : sequence of str, optional
        The columns to read, in this order. By default all columns except those named below. They are the feature names
        of a model fitted to them.
    batch_rows : int, optional
        The most rows that pyarrow decodes at a time. By default 32,768, and fewer from 65 features on. It does not
        change results.
    weights : str, optional
        The column of the rows' weights.
    labels : str, optional
        The column of known components, for ``GaussianMixture.fit``; -1 or missing where unknown.
    y : str or sequence of str, optional
        The column of classes, for a classifier, or one or more of targets, for a regressor.
    errors : sequence of str, optional
        The columns of the variances of the features' measurement errors, for ``GaussianMixture.fit``, in the order of
        `columns`; infinite where a value was not measured.

    Returns
    -------
    StreamedRows
        A source, to be given to an estimator as X.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    FileNotFoundError
        If there is no such file, or no Parquet file in the folder.
    ValueError
        If a column is not there, or `batch_rows` is not positive. Wrong values are found when they are read.

    See Also
    --------
    batches : Anything else that can be read in parts.
    """
    files = parquet_files(path)
    given = {"sample_weight": weights, "labels": labels, "y": y, "errors": None if errors is None else list(errors)}
    along = {name: column for name, column in given.items() if column is not None}
    names = parquet_columns(files[0], columns, along)
    if errors is not None and len(along["errors"]) != len(names):
        raise ValueError(
            f"errors has {len(along['errors'])} columns; expected {len(names)}, a variance for each of the columns "
            f"{', '.join(names)}"
        )
    n_rows = _checked_rows(batch_rows, decoded_rows(len(names)), "32,768, or fewer of many columns")
    return StreamedRows(lambda: parquet_mappings(files, names, n_rows, along), str(Path(path)), names, stable=True)


def sliced(
    X: Any, batch_rows: int | None = None, weights: Any = None, labels: Any = None, y: Any = None, errors: Any = None
) -> StreamedRows:
    """Return a source over an array that is read a slice of rows at a time: HDF5, Zarr, a memory map, any like them.

    A memory map may be given to an estimator as it is; its start then reads all rows, and needs 16 bytes for each. As
    a source it needs a few blocks, and starts from a sample.

    Parameters
    ----------
    X : object
        With ``shape`` (n_samples, n_features), ``dtype`` and ``X[start:stop]``.
    batch_rows : int, optional
        The number of rows of a slice. By default that of a block (see `fastgmm.data.block_rows`).
    weights : array-like of shape (n_samples,), optional
        The weights of the rows. They are sliced as X is, and so are the others.
    labels : array-like of shape (n_samples,), optional
        The known components, for ``GaussianMixture.fit``, -1 where unknown.
    y : array-like of shape (n_samples,) or (n_samples, n_targets), optional
        The classes, for a classifier, or the targets, for a regressor.
    errors : array-like of shape (n_samples, n_features) or (n_samples, n_features, n_features), optional
        Measurement errors of X, for ``GaussianMixture.fit``: variances or covariances.

    Returns
    -------
    StreamedRows
        A source, to be given to an estimator as X.

    Raises
    ------
    TypeError
        If X has no ``shape``, ``dtype`` or slices.
    ValueError
        If it is not two-dimensional, `batch_rows` is not positive, or the weights are not as many as the rows.

    See Also
    --------
    batches : Rows that are made or read as they are needed.
    """
    if not all(hasattr(X, name) for name in ("shape", "dtype", "__getitem__")):
        raise TypeError(f"X is of type {type(X).__name__}; expected an array-like with shape, dtype and row slices")
    if len(X.shape) != 2 or X.shape[1] < 1:
        raise ValueError(f"X has shape {tuple(X.shape)}; expected (n_samples, n_features)")
    n_rows = _checked_rows(batch_rows, block_rows(X.shape[1]))
    along: dict[str, Any] = {}
    named = {"weights": weights, "labels": labels, "y": y, "errors": errors}
    for name, column in named.items():
        if column is None:
            continue
        column = column if hasattr(column, "shape") else np.asarray(column)
        along["sample_weight" if name == "weights" else name] = column
        if column.shape[0] != X.shape[0] or (name in ("weights", "labels") and len(column.shape) != 1):
            raise ValueError(f"{name} has shape {tuple(column.shape)}; expected (n_samples,) = ({X.shape[0]},)")

    def open_batches() -> Iterator[Any]:
        for start in range(0, X.shape[0], n_rows):
            part = slice(start, start + n_rows)
            yield {"X": np.asarray(X[part]), **{name: np.asarray(column[part]) for name, column in along.items()}}

    return StreamedRows(open_batches, f"{type(X).__name__} of shape {tuple(X.shape)}", stable=True)


def source_of(X: Any, sample_weight: Any = None, names: Any = None) -> RowSource | None:
    """Return X if it is a source, one over it if it is a Spark frame or dask, HDF5 or Zarr, and None for all else.

    Of a Spark frame the columns `names` are read, if any are given; and its `sample_weight` is a column's name.

    Raises
    ------
    ValueError
        If `sample_weight` is given and X is a source, whose batches bring their own.

    See Also
    --------
    batches : Makes a source of anything that yields batches.
    sliced : Makes one of anything that has slices.
    """
    kind = type(X)
    if kind is np.ndarray:
        return None
    if is_dask(X):
        return DaskRows(X, sample_weight)
    if is_spark(X):
        return SparkRows(X, names, sample_weight)
    source: RowSource | None = None
    if isinstance(X, RowSource):
        source = X
    elif kind.__module__.split(".")[0] in ("h5py", "zarr") and hasattr(X, "shape"):
        source = sliced(X)
    if source is not None and sample_weight is not None:
        raise ValueError(
            "sample_weight is given and X is a source; expected None: weights come with its rows, as in batches of "
            "(rows, weights), parquet(..., weights=column) or sliced(..., weights=array)"
        )
    return source


def _checked_rows(batch_rows: int | None, otherwise: int, usual: str = "a block's rows") -> int:
    if batch_rows is None:
        return otherwise
    if isinstance(batch_rows, bool) or not isinstance(batch_rows, (int, np.integer)) or batch_rows < 1:
        raise ValueError(f"batch_rows is {batch_rows!r}; expected a positive int, or None for {usual}")
    return int(batch_rows)
