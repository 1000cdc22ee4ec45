"""Starts for a mixture of which some rows' components are known: k-means that leaves those rows where they are.

References
----------
Basu, Banerjee and Mooney, "Semi-supervised clustering by seeding", ICML 2002, section 3 (constrained k-means).
"""

from __future__ import annotations

import numpy as np

from fastgmm import kernels
from fastgmm.data import ArrayRows
from fastgmm.data.e_steps import LABELS, statistics_of_labels

__all__ = ["seeded", "seeded_memberships"]

MAX_ITER = 100


def seeded(
    rows: ArrayRows, init_params: str | np.ndarray, n_components: int, random_state: np.random.RandomState
) -> np.ndarray:
    """Return memberships that keep rows of known component in it; those that are given stay as they are.

    Raises
    ------
    ValueError
        If the start is one that cannot keep them.
    """
    if not isinstance(init_params, str):
        return init_params
    if init_params not in ("kmeans", "k-means++"):
        raise ValueError(
            f"init_params is {init_params!r} and labels are given; expected 'kmeans' or 'k-means++', which "
            "keep labelled rows in their components, or an array of memberships"
        )
    labels, max_iter = rows.along[LABELS], MAX_ITER if init_params == "kmeans" else 0
    return seeded_memberships(rows, labels, n_components, random_state, max_iter)


def seeded_memberships(
    rows: ArrayRows,
    labels: np.ndarray,
    n_components: int,
    random_state: np.random.RandomState,
    max_iter: int = MAX_ITER,
) -> np.ndarray:
    """Return a component for every row, that of `labels` where it is known.

    Parameters
    ----------
    rows : ArrayRows
    labels : ndarray of shape (n_samples,), int64
        Components; negative where unknown. Components that no row is known of start at rows far from the others, as
        k-means++ draws them.
    n_components : int
    random_state : RandomState
    max_iter : int
        Lloyd iterations; 0 assigns every row to the nearest start.

    Returns
    -------
    ndarray of shape (n_samples,), int64
    """
    known = labels >= 0
    centres = _first_centres(rows, labels, n_components, random_state)
    memberships = np.empty(rows.n_samples, dtype=np.int64)
    previous = None
    for n_iter in range(max_iter + 1):
        kernels.assign_nearest(
            rows.X, rows.sample_weight, centres, memberships, np.zeros(n_components), np.zeros_like(centres)
        )
        memberships[known] = labels[known]
        if n_iter == max_iter or (previous is not None and np.array_equal(memberships, previous)):
            break
        previous = memberships.copy()
        statistics = rows.accumulate_labels(memberships, "spherical", centres)
        present = statistics.counts > 0
        centres[present] += statistics.sums[present] / statistics.counts[present, None]
    return memberships


def _first_centres(rows: ArrayRows, labels: np.ndarray, n_components: int, random_state) -> np.ndarray:
    statistics = statistics_of_labels(rows, labels, "spherical", n_components)
    centres = statistics.centres + statistics.sums / np.maximum(statistics.counts, np.finfo(float).tiny)[:, None]
    distances = np.full(rows.n_samples, np.finfo(rows.X.dtype).max, dtype=rows.X.dtype)
    weight = np.ones(rows.n_samples) if rows.sample_weight is None else rows.sample_weight
    seeded = statistics.counts > 0
    for k in np.flatnonzero(seeded):
        kernels.update_distances(rows.X, centres[k], distances)
    for position, k in enumerate(np.flatnonzero(~seeded)):
        # The first of all is drawn by weight alone, as there is nothing to be far from.
        by_distance = weight if position == 0 and not seeded.any() else distances * weight
        cumulative = np.cumsum(by_distance, dtype=np.float64)
        if not cumulative[-1] > 0:
            cumulative = np.cumsum(weight)
        row = np.searchsorted(cumulative, random_state.uniform() * cumulative[-1], side="right")
        centres[k] = rows.X[min(int(row), int(np.searchsorted(cumulative, cumulative[-1])))]
        kernels.update_distances(rows.X, centres[k], distances)
    return centres
