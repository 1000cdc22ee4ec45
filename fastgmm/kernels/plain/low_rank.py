"""Passes over components of few factors: 2 D (q + 2) operations per row and component, in place of D x D.

With u = 1 / sd of the noise, H as `fastgmm.model.shapes.LowRank` keeps it and ``s^2 = |H / u|^2``, a row is ``y = (x -
mean) u`` in units of the noise, and its squared distance ``|y|^2 - |y W|^2`` with ``W = (H / u) / sqrt(1 + s^2)``. Of
the scatter S a pass keeps ``S C`` with ``C = H / (1 + s^2)``, which takes rows for their expected factors, and the
diagonal: an array (n_components, n_features, n_factors + 1). Statistics are taken about the mean of each component, of
the rows that have a share in it: in many features nearly every row has a single one.
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
        self._means, self._root = means, factor[..., -1]
        # Zero precision is that of a background, which has no factors.
        self._along = factor[..., :-1] / np.where(self._root > 0, self._root, 1.0)[..., None]
        self._shrinkage = 1.0 / np.sqrt(1.0 + np.einsum("kdq,kdq->kq", self._along, self._along))
        self._along *= self._shrinkage[:, None, :]

    def squared_distances(self, rows: np.ndarray) -> np.ndarray:
        """Return the squared distance of each row from each component, (n_rows, n_components)."""
        squares = np.empty((len(rows), len(self._means)))
        for k in range(len(self._means)):
            squares[:, k] = self.squared_distances_from(k, rows)
        return squares

    def squared_distances_from(self, k: int, rows: np.ndarray) -> np.ndarray:
        """Return the squared distance of each row from component k, (n_rows,)."""
        in_noise = rows - self._means[k]
        in_noise *= self._root[k]
        explained = in_noise @ self._along[k]
        squares = np.einsum("nd,nd->n", in_noise, in_noise) - np.einsum("nq,nq->n", explained, explained)
        return np.maximum(squares, 0.0, out=squares)

    def spreads(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the traces of the precisions and half the logarithms of their determinants, both (n_components,)."""
        along = self._along * self._root[..., None]
        traces = np.einsum("kd,kd->k", self._root, self._root) - np.einsum("kdq,kdq->k", along, along)
        return traces, np.log(self._root).sum(axis=1) + np.log(self._shrinkage).sum(axis=1)

    def add_moments(self, k: int, rows: np.ndarray, weight: np.ndarray, sums: np.ndarray, scatter: np.ndarray) -> None:
        """Add rows to the sums (n_features,) and scatter (n_features, n_factors + 1) of component k."""
        away = rows - self._means[k]
        sums += weight @ away
        expected = (away * self._root[k]) @ self._along[k]
        expected *= weight[:, None] * self._shrinkage[k]
        scatter[:, :-1] += away.T @ expected
        away *= away
        scatter[:, -1] += weight @ away
