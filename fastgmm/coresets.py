"""A few weighted rows that stand for many."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_random_state

from fastgmm import kernels
from fastgmm.data import ArrayRows
from fastgmm.estimator.absent_rows import without_absent
from fastgmm.estimator.input_validation import check_sample_weight
from fastgmm.starts.kmeans import kmeans_plusplus

__all__ = ["coreset"]

#: Rows among which rough centres are drawn, for each.
ROWS_PER_CENTRE = 64


def coreset(
    X: Any, size: int, n_components: int, *, sample_weight: Any = None, random_state: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted rows on which a mixture fits nearly as it does on all.

    Rows are drawn with replacement. Those far from rough centres, and those of small groups, are more likely, since
    they matter more for a clustering into `n_components`. Each row drawn is weighted so that sums over the rows drawn
    estimate sums over all rows without bias. The relative error falls as one over the root of `size`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The rows.
    size : int
        How many rows to draw. A few hundred for each component is a good start.
    n_components : int
        Number of components of the mixtures that will be fitted.
    sample_weight : array-like of shape (n_samples,), optional
        Weight of each row; by default every row counts once.
    random_state : int, RandomState or None
        Seed of what is drawn. Pass an int to get the same rows in every run.

    Returns
    -------
    rows : ndarray of shape (n_drawn, n_features)
        The rows drawn, in the order of X, each once. They are fewer than `size` if some were drawn several times.
    weights : ndarray of shape (n_drawn,), float64
        The weights of these rows, for `sample_weight`.

    Raises
    ------
    ValueError
        If `size` or `n_components` is no positive integer.

    See Also
    --------
    fastgmm.data.sliced : Fits that read all rows of a file.

    References
    ----------
    Bachem, Lucic and Krause, "Practical coreset constructions for machine learning", arXiv 1703.06476 (2017),
    algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> import fastgmm
    >>> X = np.random.default_rng(0).normal(size=(100_000, 2)) + np.array([[0, 0], [9, 9]]).repeat(50_000, axis=0)
    >>> rows, weights = fastgmm.coreset(X, 1000, n_components=2, random_state=0)
    >>> model = fastgmm.GaussianMixture(2, random_state=0).fit(rows, sample_weight=weights)
    >>> np.sort(model.means_[:, 0]).round().tolist()
    [0.0, 9.0]
    """
    for name, number in (("size", size), ("n_components", n_components)):
        if not isinstance(number, Integral) or isinstance(number, bool) or number < 1:
            raise ValueError(f"{name} is {number!r}; expected a positive integer")
    random_state = check_random_state(random_state)
    X = check_array(without_absent(X, sample_weight), dtype=[np.float64, np.float32], order="C", input_name="X")
    weight = check_sample_weight(sample_weight, len(X))
    rows = ArrayRows(X, weight)
    sample = rows.sample(max(ROWS_PER_CENTRE * n_components, 1 << 14), random_state)
    n_centres = min(int(n_components), sample.n_samples)
    chosen = kmeans_plusplus(sample, n_centres, random_state, n_greedy=1)
    shares = _shares(rows, sample.X[chosen].astype(np.float64))
    drawn = random_state.choice(len(X), size=int(size), p=shares)
    index, times = np.unique(drawn, return_counts=True)
    own = 1.0 if weight is None else weight[index]
    return X[index], own * times / (size * shares[index])


def _shares(rows: ArrayRows, centres: np.ndarray) -> np.ndarray:
    """Return the probability of each row to be drawn: a bound on its part in the cost of any clustering."""
    labels, n_centres = np.empty(rows.n_samples, dtype=np.int64), len(centres)
    kernels.assign_nearest(rows.X, rows.sample_weight, centres, labels, np.zeros(n_centres), np.zeros(centres.shape))
    weight = np.ones(rows.n_samples) if rows.sample_weight is None else rows.sample_weight
    distances = np.empty(rows.n_samples)
    step = max(1, (1 << 20) // rows.n_features)
    for at in range(0, rows.n_samples, step):
        part = slice(at, at + step)
        away = rows.X[part] - centres[labels[part]]
        distances[part] = np.einsum("nd,nd->n", away, away)
    mass = np.maximum(np.bincount(labels, weights=weight, minlength=n_centres), np.finfo(float).tiny)
    cost = np.bincount(labels, weights=weight * distances, minlength=n_centres)
    mean_cost = float(cost.sum() / weight.sum())
    alpha = 16.0 * (np.log(n_centres) + 2.0)
    bound = 4.0 * weight.sum() / mass[labels]
    if mean_cost > 0.0:
        bound += (alpha * distances + 2.0 * alpha * (cost / mass)[labels]) / mean_cost
    bound *= weight
    return bound / bound.sum()
