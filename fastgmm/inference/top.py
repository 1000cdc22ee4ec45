"""The most probable components of rows, without memory for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["check_n_top", "top_components"]

#: Responsibilities held at a time.
VALUES = 1 << 22


def check_n_top(k: Any, n_components: int) -> int:
    """Return how many components are asked for.

    Raises
    ------
    ValueError
        Unless that is 1 to `n_components`.
    """
    if not isinstance(k, (int, np.integer)) or isinstance(k, bool) or not 1 <= k <= n_components:
        raise ValueError(f"k is {k!r}; expected an integer from 1 to {n_components}, the number of components")
    return int(k)


def top_components(
    rows: np.ndarray, k: int, n_components: int, responsibilities: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k most probable components of each row and their probabilities, the most probable first.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
    k : int
    n_components : int
    responsibilities : callable
        Those of some rows, shape (n_some, n_components).

    Returns
    -------
    indices : ndarray of shape (n_rows, k), int64
        Of equally probable components the lowest first.
    probabilities : ndarray of shape (n_rows, k)
    """
    indices, probabilities = np.empty((len(rows), k), dtype=np.int64), None
    step = max(1, VALUES // n_components)
    for at in range(0, max(len(rows), 1), step):
        shares = responsibilities(rows[at : at + step])
        if probabilities is None:
            probabilities = np.empty((len(rows), k), dtype=shares.dtype)
        found = (
            np.argpartition(-shares, k - 1, axis=1)[:, :k]
            if k < n_components
            else np.arange(k)[None].repeat(len(shares), axis=0)
        )
        found.sort(axis=1)
        values = np.take_along_axis(shares, found, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        indices[at : at + step] = np.take_along_axis(found, order, axis=1)
        probabilities[at : at + step] = np.take_along_axis(values, order, axis=1)
    assert probabilities is not None, "there was one round at least"
    return indices, probabilities
