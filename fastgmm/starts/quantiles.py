"""Classes of equal size along one feature: mclust's start for univariate mixtures."""

from __future__ import annotations

import numpy as np

from fastgmm.data import ArrayRows

__all__ = ["quantile_labels", "weighted_quantile"]


def quantile_labels(rows: ArrayRows, n_clusters: int) -> np.ndarray:
    """Cut the rows of one feature at quantiles.

    Where repeated values make quantiles coincide, more are taken until enough differ, and those nearest to the next
    one are dropped; where that leaves a class empty, distinct values are shared out instead.

    Parameters
    ----------
    rows : ArrayRows
        Of one feature; a weight counts as that many equal rows.
    n_clusters : int

    Returns
    -------
    labels : ndarray of shape (n_samples,), int64
        In order of the values; -1 for rows of weight zero.

    Raises
    ------
    ValueError
        If there are fewer distinct values.
    """
    x = rows.X[:, 0].astype(np.float64)
    weight = np.ones(len(x)) if rows.sample_weight is None else rows.sample_weight
    order = np.argsort(x, kind="stable")
    order = order[weight[order] > 0]
    values, ends = x[order], np.cumsum(weight[order])
    if n_clusters > len(np.unique(values)):
        raise ValueError(
            f"n_components is {n_clusters}; expected at most {len(np.unique(values))}, the distinct values of X"
        )
    places = _places(weight[order])
    n_cuts, edges = n_clusters, np.empty(0)
    while len(edges) < n_clusters + 1 and n_cuts < n_clusters + 10 * len(x):
        n_cuts += 1
        at = np.linspace(0.0, 1.0, n_cuts) * (ends[-1] - 1.0)
        edges = np.unique(np.interp(at, places, values.repeat(2)))
    surplus = len(edges) - n_clusters - 1
    if surplus > 0:
        edges = np.delete(edges, np.argsort(np.diff(edges), kind="stable")[:surplus])
    labels = np.searchsorted(edges[1:n_clusters], x, side="right").astype(np.int64)
    if len(np.unique(labels[order])) < n_clusters:
        labels = _shared_out(x, values, weight[order], n_clusters)
    labels[weight == 0] = -1
    return labels


def weighted_quantile(values: np.ndarray, weight: np.ndarray, share: float) -> float:
    """Return the quantile of values each repeated as often as its weight says, interpolated as NumPy does by default.

    Parameters
    ----------
    values, weight : ndarray of shape (n_samples,), float64
    share : float
        Of the total weight that lies below.
    """
    order = np.argsort(values, kind="stable")
    order = order[weight[order] > 0]
    at = share * max(float(weight.sum()) - 1.0, 0.0)
    return float(np.interp(at, _places(weight[order]), values[order].repeat(2)))


def _places(weight):
    # The row of weight w is found at places c to c + w - 1 of the sorted, repeated rows.
    ends = np.cumsum(weight)
    starts = ends - weight
    return np.column_stack([starts, np.maximum(ends - 1.0, starts)]).ravel()


def _shared_out(x, values, weight, n_clusters):
    distinct, of_value = np.unique(values, return_inverse=True)
    mass = np.bincount(of_value, weights=weight)
    wanted = ((np.cumsum(mass) - 0.5 * mass) / mass.sum() * n_clusters).astype(np.int64)
    classes = np.zeros(len(distinct), dtype=np.int64)
    for i in range(1, len(distinct)):
        # No class is skipped, and enough values are left for those to come.
        least = max(classes[i - 1], n_clusters - len(distinct) + i)
        classes[i] = min(max(wanted[i], least), classes[i - 1] + 1)
    return classes[np.minimum(np.searchsorted(distinct, x), len(distinct) - 1)]
