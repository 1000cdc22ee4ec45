"""Moments of a source in one pass, and the source with every column brought to mean 0 and variance 1."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from fastgmm.data.distributed import DistributedRows
from fastgmm.data.rows import ArrayRows, Block, Rows, join_statistics, with_further_features
from fastgmm.data.sources import RowSource, sliced, source_of
from fastgmm.data.streamed_rows import StreamedRows
from fastgmm.model import SufficientStatistics

__all__ = [
    "CompletedRows",
    "Standardised",
    "add_moments",
    "joined",
    "mapped",
    "mean_and_covariance",
    "moments",
    "observed_moments",
    "standardise",
    "standardised_rows",
    "statistics_of_all",
]


#: Squared distance of a centre from the mean, in variances, beyond which moments are taken again about the mean.
FAR = 100.0


@dataclass(frozen=True)
class Standardised:
    """What `standardise` returns.

    Attributes
    ----------
    rows : StreamedRows or DaskRows
        The source of ``(x - shift) / scale``, in the precision of x.
    shift, scale : ndarray of shape (n_features,), float64
        Means and standard deviations of the columns; those of another source where they were taken from it.
    """

    rows: RowSource
    shift: np.ndarray
    scale: np.ndarray


def standardise(X: Any, like: Standardised | None = None) -> Standardised:
    """Bring every column of a source to mean 0 and variance 1, by one pass over it.

    Parameters
    ----------
    X : source of `fastgmm.data`, dask array or frame, or array-like of shape (n_samples, n_features)
        Its weights count.
    like : Standardised, optional
        Another result, whose means and deviations are used. No pass over the data is made then.

    Returns
    -------
    Standardised
        With ``rows`` to be given to an estimator as X, ``shift`` and ``scale``.

    Raises
    ------
    ValueError
        If a column has the same value in every row, or X is not valid.

    See Also
    --------
    sklearn.preprocessing.StandardScaler : For arrays in memory.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.data import batches, standardise
    >>> X = np.random.default_rng(0).normal([0.0, 5000.0], [1.0, 1000.0], size=(1000, 2))
    >>> standard = standardise(batches(lambda: iter([X[:400], X[400:]])))
    >>> bool(np.allclose(standard.scale, X.std(axis=0)))
    True
    >>> model = GaussianMixture(random_state=0).fit(standard.rows)
    >>> model.means_.round(6) + 0.0
    array([[0., 0.]])
    """
    source = _as_source(X)
    if like is not None:
        if source.n_features not in (None, len(like.shift)):
            raise ValueError(
                f"X, {source.description}, has {source.n_features} features; expected {len(like.shift)}, those of like"
            )
        return Standardised(mapped(source, partial(standardised_rows, like.shift, like.scale)), like.shift, like.scale)
    mean, covariance = moments(source)
    scale = np.sqrt(np.diagonal(covariance))
    for j in range(len(mean)):
        if not scale[j] > 1e-15 * abs(mean[j]):
            name = j if source.names is None else repr(source.names[j])
            raise ValueError(
                f"column {name} of X, {source.description}, has the same value in every row; expected a spread. Leave "
                "it out"
            )
    return Standardised(mapped(source, partial(standardised_rows, mean, scale)), mean, scale)


def moments(X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted mean of the rows and their (population) covariance, by one pass.

    Every block's moments are taken about its own mean, so no digit is lost far from the origin.

    Parameters
    ----------
    X : source of `fastgmm.data`, dask array or frame, or array-like of shape (n_samples, n_features)
        The rows.

    Returns
    -------
    mean : ndarray of shape (n_features,), float64
        The weighted mean of each feature.
    covariance : ndarray of shape (n_features, n_features), float64
        The weighted covariance, divided by the total weight.

    See Also
    --------
    standardise : Brings columns to mean 0 and variance 1.
    """
    source = _as_source(X)
    return mean_and_covariance(source)


def mean_and_covariance(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted mean of the rows and their (population) covariance, by one pass."""
    total = statistics_of_all(rows)
    count = total.counts[0]
    shift = total.sums[0] / count
    return total.centres[0] + shift, total.scatter[0] / count - np.outer(shift, shift)


def statistics_of_all(rows: Rows, structure: str = "full") -> SufficientStatistics:
    """Return the statistics of all rows as one component, about a centre among them, by one pass."""
    statistics = join_statistics(rows.fold(list, partial(add_moments, structure)))
    if isinstance(rows, CompletedRows):
        shape = statistics.shape
        further = rows.further_scatter
        if further.ndim == 2 or shape.n_axes != 1:
            further = shape.of_matrix(further if further.ndim == 2 else np.diag(further))
        shape.add_part(statistics.scatter, shape.features_per_variance(rows.n_features) * further, 0)
    return statistics


def observed_moments(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and (population) variance of each feature over the rows that have it, by one pass.

    Zero and zero for a feature that is missing in every row of non-zero weight.
    """
    count, mean, squares = np.zeros((3, rows.n_features or 1))
    for more, other, further in rows.fold(list, _add_observed):
        count, shift = count + more, other - mean
        share = np.divide(more, count, out=np.zeros_like(count), where=count > 0)
        squares = squares + further + more * (1.0 - share) * shift**2
        mean = mean + share * shift
    return mean, np.divide(squares, count, out=np.zeros_like(count), where=count > 0)


def _add_observed(block: Block, parts: list) -> None:
    weight = ~np.isnan(block.rows) * (1.0 if block.weight is None else block.weight[:, None])
    count = weight.sum(axis=0)
    # About a row that has the feature, so that no digit is lost far from the origin.
    origin = block.rows[(weight > 0).argmax(axis=0), np.arange(block.rows.shape[1])].astype(np.float64)
    away = np.where(weight > 0, block.rows - origin, 0.0)
    shift = np.divide((weight * away).sum(axis=0), count, out=np.zeros_like(count), where=count > 0)
    squares = (weight * (away - shift) ** 2).sum(axis=0)
    parts.append((count, np.where(count > 0, origin, 0.0) + shift, squares))


class CompletedRows(ArrayRows):
    """Rows in which what was missing is what is expected, and lacks its scatter.

    Attributes
    ----------
    further_scatter : ndarray of shape (n_features, n_features), or (n_features,) where it is diagonal
        Of the values themselves about what is expected of them, summed over rows.
    """

    further_scatter: np.ndarray


def mapped(
    source: RowSource, function: Callable[[np.ndarray], np.ndarray], names: Sequence[str] | None = None
) -> RowSource:
    """Return a source of ``function(rows)``, block by block; names of columns stay unless others are given.

    Parameters
    ----------
    source : StreamedRows or DaskRows
    function : callable
        Takes the rows of a block and returns a matrix with as many rows.
    names : sequence of str, optional
    """
    kept = source.names if names is None else list(names)
    if isinstance(source, DistributedRows):
        return source.mapped(function, kept)

    def open_batches() -> Generator[Any, None, None]:
        for block in source.checked_blocks():
            yield _batch(block, function(block.rows))

    result = StreamedRows(open_batches, source.description, kept, stable=True)
    result._further = source._further
    result.n_samples, result.total_weight = source.n_samples, source.total_weight
    result.allows_missing = source.allows_missing
    if source.drawn is not None:
        result.drawn = ArrayRows(function(source.drawn.X), source.drawn.sample_weight, source.drawn.along)
    return result


def joined(source: RowSource, column: str) -> RowSource:
    """Return a source of rows with what rides along under the name `column` as further features, of numbers."""
    if isinstance(source, DistributedRows):
        return source.joined(column)

    def open_batches() -> Generator[Any, None, None]:
        with closing(source.iterate()) as blocks:
            for block in blocks:
                wider = with_further_features(column, source.description, block)
                along = {name: along for name, along in block.columns.items() if name != column}
                yield _batch(replace(block, columns=along), wider.rows)

    result = StreamedRows(open_batches, source.description, stable=True)
    result.allows_missing = source.allows_missing
    return result


def _batch(block: Block, rows: np.ndarray) -> dict[str, Any]:
    weight = {} if block.weight is None else {"sample_weight": block.weight}
    return {"X": rows, **weight, **block.columns}


def _as_source(X: Any) -> RowSource:
    source = source_of(X)
    return sliced(X if hasattr(X, "dtype") and hasattr(X, "shape") else np.asarray(X)) if source is None else source


def standardised_rows(shift: np.ndarray, scale: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return ``(rows - shift) / scale`` in the precision of the rows."""
    return ((rows - shift) / scale).astype(rows.dtype, copy=False)


def add_moments(structure: str, block: Block, parts: list[SufficientStatistics]) -> None:
    """Add the statistics of a block's rows, as one component, to those in `parts`: one entry, or none so far."""
    if len(block.rows) == 0:
        if not parts:
            parts.append(SufficientStatistics.zeros(structure, np.zeros((1, block.rows.shape[1]))))
        return
    # About the mean of the first rows; and about that of all where it lies so far off that digits would be lost.
    labels = np.zeros(len(block.rows), dtype=np.int64)
    source, centre = ArrayRows(block.rows, block.weight), block.rows[:1024].mean(axis=0, dtype=np.float64)[None, :]
    part = source.accumulate_labels(labels, structure, centre)
    if part.counts[0] > 0.0:
        shift = part.sums / part.counts[0]
        about_mean = np.trace(part.shape.pooled(part.scatter, len(shift[0]))) / part.counts[0] - float(
            shift[0] @ shift[0]
        )
        if not float(shift[0] @ shift[0]) < FAR * about_mean:
            part = source.accumulate_labels(labels, structure, centre + shift)
    if parts and parts[0].counts[0] > 0.0:
        parts[0].merge(part)
    else:
        parts[:] = [part]
