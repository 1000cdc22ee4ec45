"""Gradient and Hessian of the log density of a mixture.

With posterior probabilities r, precisions P and ``y = P (x - m)``, a Gaussian component has the gradient ``-y`` and the
Hessian ``-P``; a t component, at the squared distance d and with ``u = (df + D) / (df + d)``, has ``-u y`` and
``-u P + 2 u^2 / (df + D) y y^T``. Of the mixture they are ``g = sum r g_k`` and ``sum r (H_k + (g_k - g)(g_k - g)^T)``,
in which nothing large is subtracted. A background has neither, and takes its share of r.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from fastgmm.inference.density import responsibilities

__all__ = ["Derivatives", "gradient", "hessian"]

FLOAT64 = np.dtype(np.float64)
# Values of a block's largest array.
BLOCK_VALUES = 1 << 18


class Derivatives:
    """Of a density that the kernels read: what does not depend on the rows."""

    def __init__(self, density: Any) -> None:
        self.density = density
        tail = getattr(density, "tail", None)
        self.dof = None if tail is None else tail.degrees_of_freedom

    @cached_property
    def precisions(self) -> np.ndarray:
        """Those of the components, as their shape has them; whole ones of components with factors."""
        shape = self.density.shape
        return shape.untie(shape.precisions(self.density.precisions_cholesky), len(self.density.means))

    @cached_property
    def full(self) -> np.ndarray:
        """The precisions as matrices."""
        shape, sizes = self.density.shape, self.density.means.shape
        return self.precisions if shape.n_factors is not None else shape.full(self.precisions, *sizes)

    def _times_precision(self, away: np.ndarray, k: int) -> np.ndarray:
        """Return rows (n, D) times the precision of component k."""
        if self.density.shape.n_factors is not None:
            return self.density.shape.times_precision(away, self.density.precisions_cholesky[k])
        precision = self.precisions[k]
        return away @ precision if precision.ndim == 2 else away * precision

    def of_components(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return r (n, K), u (n, K) and the gradients of the components (n, K, D)."""
        shares = responsibilities(X, self.density, FLOAT64)
        gradients = np.empty((len(X), *self.density.means.shape))
        u = np.ones(shares.shape)
        for k, mean in enumerate(self.density.means):
            away = mean - X
            gradients[:, k] = self._times_precision(away, k)
            if self.dof is not None:
                squares = np.einsum("nd,nd->n", away, gradients[:, k])
                u[:, k] = (self.dof[k] + X.shape[1]) / (self.dof[k] + squares)
        gradients *= u[..., None]
        return shares, u, gradients

    def of_mixture(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return gradient (n, D), Hessian (n, D, D), and the precision ``sum r u P`` (n, D, D) of the fixed point."""
        shares, u, parts = self.of_components(X)
        found = np.einsum("nk,nkd->nd", shares, parts)
        precision = np.tensordot(shares * u, self.full, axes=1)
        spread = (parts - found[:, None, :]) * np.sqrt(shares)[..., None]
        curvature = np.swapaxes(spread, 1, 2) @ spread - precision
        if self.dof is not None:
            bent = parts * np.sqrt(2.0 * shares / (self.dof + X.shape[1]))[..., None]
            curvature += np.swapaxes(bent, 1, 2) @ bent
        return found, curvature, precision


def _blocks(X: np.ndarray, width: int) -> Iterator[tuple[slice, np.ndarray]]:
    n_rows = max(1, BLOCK_VALUES // width)
    for start in range(0, len(X), n_rows):
        part = slice(start, start + n_rows)
        yield part, np.ascontiguousarray(X[part], dtype=np.float64)


def gradient(X: np.ndarray, density: Any) -> np.ndarray:
    """Return the gradient of the log density at each row, (n_samples, n_features), float64."""
    derivatives, out = Derivatives(density), np.empty(X.shape)
    for part, rows in _blocks(X, density.means.size):
        shares, _, parts = derivatives.of_components(rows)
        out[part] = np.einsum("nk,nkd->nd", shares, parts)
    return out


def hessian(X: np.ndarray, density: Any) -> np.ndarray:
    """Return the Hessian of the log density at each row, (n_samples, n_features, n_features), float64."""
    derivatives, out = Derivatives(density), np.empty((*X.shape, X.shape[1]))
    for part, rows in _blocks(X, density.means.size + X.shape[1] ** 2):
        out[part] = derivatives.of_mixture(rows)[1]
    return out
