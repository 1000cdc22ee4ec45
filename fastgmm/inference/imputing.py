"""What a mixture expects of values that are missing in rows, and draws of them.

Given the features observed, a row is of component k with its posterior probability, and what is missing is then
distributed as that component has it given what is observed: a normal, or t, distribution about the regression.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastgmm.data import each_by_itself
from fastgmm.data.incomplete import Marginalised
from fastgmm.data.patterns import patterns_of
from fastgmm.model.marginals import Marginals

__all__ = ["expected_values"]

#: Numbers in hand at a time.
BLOCK_VALUES = 1 << 20


def expected_values(X: np.ndarray, density: Any) -> np.ndarray:
    """Return the rows with what is missing (NaN) replaced by its expectation given what is not.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    density : object with what the kernels read
        A mixture, or one beside a background, whose rows are expected in the middle of its box.

    Returns
    -------
    ndarray of shape (n_samples, n_features), of the dtype of X
        What was observed is as it was, to the bit.
    """
    out = np.array(X)
    for index, which, shares, values in _conditional_means(X, Marginalised(density)):
        filled = np.einsum("nk,nkd->nd", shares, values)
        out[index] = np.where(which, X[index], filled)
    return out


def _conditional_means(
    X: np.ndarray, marginalised: Marginalised
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield rows that miss something: numbers, masks, posterior probabilities, and means given each component."""
    patterns, marginals = patterns_of(X), marginalised.marginals
    middle = _middle(marginals)
    if patterns.is_complete:
        return
    chosen = np.flatnonzero(~patterns.masks.all(axis=1) & patterns.masks.any(axis=1))
    for some in each_by_itself.blocks(marginals, patterns, chosen):
        own = marginals.means
        if marginals.shape.is_matrix:
            own = own + marginals.shape.times(marginals.covariances, some.whitened)
        own = np.broadcast_to(own, some.whitened.shape)
        values = own if marginals.background is None else np.insert(own, marginals.background, middle, axis=1)
        yield some.index, some.masks, some.shares, values
    empty = patterns.rows(np.flatnonzero(~patterns.masks.any(axis=1)))[0]
    if len(empty):
        own = marginals.means
        own = own if marginals.background is None else np.insert(own, marginals.background, middle, axis=0)
        prior = np.broadcast_to(marginalised.prior, (len(empty), len(own)))
        yield (
            empty,
            np.zeros((len(empty), X.shape[1]), dtype=bool),
            prior,
            np.broadcast_to(own, (len(empty), *own.shape)),
        )


def _middle(marginals: Marginals) -> Any:
    box = marginals.box
    return None if box is None else box.axes @ (0.5 * (box.low + box.high))
