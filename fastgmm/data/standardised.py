"""Moments of a source in one pass, and the source with every column brought to mean 0 and variance 1."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fastgmm.data.dask_rows import DaskRows
from fastgmm.data.rows import ArrayRows
from fastgmm.data.sources import RowSource, sliced, source_of
from fastgmm.data.streamed_rows import StreamedRows
from fastgmm.model import SufficientStatistics

__all__ = ["Standardised", "mapped", "moments", "standardise"]


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
        Another one whose means and deviations are to be used; no pass is made then.

    Returns
    -------
    Standardised
        With ``rows`` to be given to an estimator as X, ``shift`` and ``scale``.

    Raises
    ------
    ValueError
        If a column has the same value in every row, or X is not valid.

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
        return Standardised(mapped(source, partial(_standard, like.shift, like.scale)), like.shift, like.scale)
    mean, covariance = moments(source)
    scale = np.sqrt(np.diagonal(covariance))
    for j in range(len(mean)):
        if not scale[j] > 1e-15 * abs(mean[j]):
            name = j if source.names is None else repr(source.names[j])
            raise ValueError(
                f"column {name} of X, {source.description}, has the same value in every row; expected a spread. Leave "
                "it out"
            )
    return Standardised(mapped(source, partial(_standard, mean, scale)), mean, scale)


def moments(X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted mean of the rows and their (population) covariance, by one pass.

    Every block's moments are taken about its own mean, so no digit is lost far from the origin.

    Parameters
    ----------
    X : source of `fastgmm.data`, dask array or frame, or array-like of shape (n_samples, n_features)

    Returns
    -------
    mean : ndarray of shape (n_features,), float64
    covariance : ndarray of shape (n_features, n_features), float64
    """
    source = _as_source(X)
    if isinstance(source, DaskRows):
        total = source.merged_over_blocks(_moments_of_block)
    else:
        parts: SufficientStatistics | None = None
        with closing(source.weighted_blocks()) as blocks:
            for rows, weight in blocks:
                part = _moments_of_block(rows, weight)
                if parts is None:
                    parts = part
                else:
                    parts.merge(part)
        assert parts is not None, "a source without rows is an error of the pass"
        total = parts
    count = total.counts[0]
    shift = total.sums[0] / count
    return total.centres[0] + shift, total.scatter[0] / count - np.outer(shift, shift)


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
    if isinstance(source, DaskRows):
        other = DaskRows(source.lazy(function), source.weight)
        other.names = None if kept is None else list(kept)
        return other

    def open_batches() -> Generator[Any, None, None]:
        for rows, weight in source._blocks():
            made = function(rows)
            yield made if weight is None else (made, weight)

    result = StreamedRows(open_batches, source.description, kept, stable=True)
    if source.drawn is not None:
        result.drawn = ArrayRows(function(source.drawn.X), source.drawn.sample_weight)
    return result


def _as_source(X: Any) -> RowSource:
    source = source_of(X)
    return sliced(X if hasattr(X, "dtype") and hasattr(X, "shape") else np.asarray(X)) if source is None else source


def _standard(shift: np.ndarray, scale: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return ((rows - shift) / scale).astype(rows.dtype, copy=False)


def _moments_of_block(rows: np.ndarray, weight: np.ndarray | None) -> SufficientStatistics:
    # About a row first, then about the mean that gives; any row will do where none has weight.
    labels = np.zeros(len(rows), dtype=np.int64)
    source, centre = ArrayRows(rows, weight), rows[:1].astype(np.float64)
    if len(rows) == 0:
        return SufficientStatistics.zeros("full", np.zeros((1, rows.shape[1])))
    rough = source.accumulate_labels(labels, "spherical", centre)
    if rough.counts[0] > 0.0:
        centre = centre + rough.sums / rough.counts[0]
    return source.accumulate_labels(labels, "full", centre)
