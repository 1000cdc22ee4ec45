"""Principal subspaces: probabilistic principal components and HDclassif's family, whose estimates are closed forms.

A component has variances ``a_kj`` along ``d_k`` orthogonal axes and the noise variance ``b_k`` across them. The axes
are the first principal axes of its scatter, whatever is shared; with ``l_kj`` the eigenvalues of the scatter per row,
``a_kj = l_kj`` and ``b_k`` is the mean of those beyond ``d_k``, or both are weighted means of these over what shares
them. Models with one orientation share the whole covariance.

References
----------
Tipping and Bishop (1999), Mixtures of probabilistic principal component analysers, Neural Computation 11. Bouveyron,
Girard and Schmid (2007), High-dimensional data clustering, Computational Statistics and Data Analysis 52. Cattell
(1966), The scree test for the number of factors, Multivariate Behavioral Research 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgmm.model.shapes.low_rank import packed

__all__ = ["MOST_FACTORS", "PrincipalSubspaces", "chosen_number", "most_factors", "per_component", "spectra"]

#: Most factors that are chosen for the user.
MOST_FACTORS = 100
#: Cattell's scree test: the last drop between eigenvalues that is more than this share of the largest drop.
SCREE = 0.2


@dataclass(frozen=True)
class PrincipalSubspaces:
    """The estimate of a family of principal subspaces.

    Attributes
    ----------
    variances : {'kj', 'k', 'j', ''}
        Along the axes: one for each component and axis, for each component, for each axis, or one.
    shares_noise : bool
    shares_axes : bool
        Whether there is one covariance for all components.
    shares_dimension : bool
        Whether a number of axes that is chosen is the same for all components.
    n_factors : int, sequence of int, 'bic' or 'cattell'
        Numbers of axes, or how each M-step chooses them.
    """

    variances: str = "kj"
    shares_noise: bool = False
    shares_axes: bool = False
    shares_dimension: bool = False
    n_factors: Any = 1

    def __call__(self, scatter: np.ndarray, counts: np.ndarray, previous: Any = None) -> np.ndarray:
        """Return loadings and noise as `LowRank` stores them, given scatter (n_components, n_features, n_features)."""
        n_components, n_features = scatter.shape[:2]
        total = counts.sum()
        if self.shares_axes:
            values, axes = spectra(scatter.sum(axis=0)[None] / total)
            groups = np.array([total])
        else:
            values, axes = spectra(scatter / counts[:, None, None])
            groups = counts
        chosen = self._dimensions(values, groups, total)
        q = int(chosen.max(initial=0))
        inside = np.arange(n_features) < chosen[:, None]
        noise = (values * ~inside).sum(axis=1) / np.maximum(n_features - chosen, 1)
        along = values[:, :q] * inside[:, :q]
        if self.shares_noise:
            left = groups * (n_features - chosen)
            noise = np.full(len(groups), left @ noise / left.sum())
        if self.variances in ("k", ""):
            along = along.sum(axis=1, keepdims=True) / np.maximum(chosen, 1)[:, None]
            if not self.variances:
                along = np.full(along.shape, (groups * chosen) @ along[:, 0] / max((groups * chosen).sum(), 1e-300))
        length = np.sqrt(np.maximum(along - noise[:, None], 0.0)) * inside[:, :q]
        loadings = axes[:, :, :q] * length[:, None, :]
        found = packed(loadings, np.repeat(noise[:, None], n_features, axis=1))
        return np.repeat(found, n_components, axis=0) if self.shares_axes else found

    def _dimensions(self, values: np.ndarray, counts: np.ndarray, total: float) -> np.ndarray:
        """Return the number of axes of each component, given the eigenvalues in descending order."""
        if not isinstance(self.n_factors, str):
            return per_component(self.n_factors, len(values))
        if self.shares_dimension:
            values = (counts @ values)[None] / total
        limits = [most_factors(values.shape[1], count) for count in (counts if len(values) == len(counts) else [total])]
        if self.n_factors == "cattell":
            found = [_scree(row, most) for row, most in zip(values, limits, strict=True)]
        else:
            weights = counts if len(values) == len(counts) else np.array([total])
            found = [
                chosen_number(row[:most], row.sum(), len(row), most, count, total, "bic")
                for row, most, count in zip(values, limits, weights, strict=True)
            ]
        return np.broadcast_to(np.array(found, dtype=np.int64), counts.shape)


def spectra(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues, descending and not below zero, and eigenvectors of symmetric matrices."""
    exponent = np.frexp(np.abs(matrices).max())[1]
    values, axes = np.linalg.eigh(np.ldexp(matrices, -exponent))
    return np.ldexp(np.maximum(values[:, ::-1], 0.0), exponent), axes[:, :, ::-1]


def per_component(n_factors: Any, n_components: int) -> np.ndarray:
    """Return numbers of factors given for all components or for each, (n_components,) int64."""
    given = np.asarray(n_factors, dtype=np.int64)
    if given.ndim and given.shape != (n_components,):
        raise ValueError(
            f"n_factors is {n_factors!r}; expected one number, or a list of n_components = {n_components} numbers"
        )
    return np.broadcast_to(given, (n_components,))


def most_factors(n_features: int, count: float) -> int:
    """Return the most factors that are chosen for a component of `count` rows."""
    return max(0, min(n_features - 1, MOST_FACTORS, int(count) - 1))


def chosen_number(
    values: np.ndarray, total: float, n_features: int, most: int, count: float, of_all: float, how: str
) -> int:
    """Return the number of axes of a component, of `count` rows among those `of_all`.

    Of its eigenvalues per row the largest are known, and the sum of all, `total`.
    """
    if how == "cattell":
        return _scree(np.append(values, max(total - values.sum(), 0.0) / max(n_features - len(values), 1)), most)
    d = np.arange(most + 1)
    known = np.concatenate([[0.0], np.cumsum(np.log(np.maximum(values, np.finfo(np.float64).tiny)))])
    rest = np.maximum(total - np.concatenate([[0.0], np.cumsum(values)]), 0.0) / (n_features - d)
    deviance = known + (n_features - d) * np.log(np.maximum(rest, np.finfo(np.float64).tiny))
    return int(np.argmin(count * deviance + d * (n_features - 0.5 * (d - 1)) * np.log(max(of_all, 1.0))))


def _scree(values, most):
    drops = values[:-1] - values[1:]
    if most == 0 or not drops.max() > 0:
        return min(1, most)
    kept = np.flatnonzero((drops[:most] > SCREE * drops.max()) & (values[:most] > 1e-8 * values[0]))
    return int(kept[-1]) + 1 if len(kept) else min(1, most)
