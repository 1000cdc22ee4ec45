"""Passes over components of few factors: 2 D (q + 2) operations per row and component, in place of D x D.

With u = 1 / sd of the noise, H as `fastgmm.model.shapes.LowRank` keeps it and ``s^2 = |H / u|^2``, the squared distance
of a row x is ``|(x - mean) u|^2 - |(x - mean) G|^2`` with ``G = H / sqrt(1 + s^2)``. Those of all components are three
matrix products of a tile, about a centre that all share. Statistics are taken about the mean of each, of the rows that
have a share in it: in many features nearly every row has a single one.

Of the scatter S a pass keeps ``S C`` with ``C = H / (1 + s^2)``, which takes rows for their expected factors, and the
diagonal: an array (n_components, n_features, n_factors + 1).
"""

from __future__ import annotations

import numpy as np

__all__ = ["FactorProducts"]


class FactorProducts:
    """What the passes multiply rows with: made once for a pass.

    Parameters
    ----------
    factor : ndarray of shape (n_components, n_features, n_factors + 1)
    means : ndarray of shape (n_components, n_features)
    """

    def __init__(self, factor: np.ndarray, means: np.ndarray) -> None:
        self._means = means
        self._n_factors = factor.shape[2] - 1
        self._centre = means.mean(axis=0)
        shift = means - self._centre
        root = factor[..., -1]
        precision = root * root
        self._constant = np.einsum("kd,kd->k", precision, shift**2)
        self._precision = np.ascontiguousarray(precision.T)
        # One matrix for the factors of all components and, last, their precisions times the means; and what the factors
        # make of each one's own mean.
        n_components, n_features = means.shape
        n_along = n_components * self._n_factors
        self._along = np.empty((n_features, n_along + n_components))
        np.multiply(precision.T, shift.T, out=self._along[:, n_along:])
        self._of_mean = np.empty(n_along)
        self._divisors = np.empty((n_components, self._n_factors))
        for k in range(n_components):
            # Zero precision is that of a background, which has no factors.
            in_sd = factor[k, :, :-1] / np.where(root[k] > 0, root[k], 1.0)[:, None]
            self._divisors[k] = np.sqrt(1.0 + np.einsum("dq,dq->q", in_sd, in_sd))
            np.divide(factor[k, :, :-1], self._divisors[k], out=self._of(k))
            self._of_mean[k * self._n_factors : (k + 1) * self._n_factors] = shift[k] @ self._of(k)

    def _of(self, k: int) -> np.ndarray:
        return self._along[:, k * self._n_factors : (k + 1) * self._n_factors]

    def squared_distances(self, rows: np.ndarray) -> np.ndarray:
        """Return the squared distance of each row from each component, (n_rows, n_components)."""
        away = rows - self._centre
        products = away @ self._along
        explained, squares = products[:, : len(self._of_mean)], products[:, len(self._of_mean) :]
        away *= away
        squares = away @ self._precision - 2.0 * squares
        squares += self._constant
        if self._n_factors:
            explained -= self._of_mean
            explained = explained.reshape(len(rows), -1, self._n_factors)
            squares -= np.einsum("nkq,nkq->nk", explained, explained)
        return np.maximum(squares, 0.0, out=squares)

    def add_moments(self, k: int, rows: np.ndarray, weight: np.ndarray, sums: np.ndarray, scatter: np.ndarray) -> None:
        """Add rows to the sums (n_features,) and scatter (n_features, n_factors + 1) of component k."""
        away = rows - self._means[k]
        sums += weight @ away
        expected = away @ self._of(k)
        expected *= weight[:, None]
        expected /= self._divisors[k]
        scatter[:, :-1] += away.T @ expected
        away *= away
        scatter[:, -1] += weight @ away
