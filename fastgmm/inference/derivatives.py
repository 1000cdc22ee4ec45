"""Gradient and Hessian of the log density of a mixture, and its modes.

With posterior probabilities r, precisions P and ``y = P (x - m)``, a Gaussian component has the gradient ``-y`` and the
Hessian ``-P``; a t component, at the squared distance d and with ``u = (df + D) / (df + d)``, has ``-u y`` and
``-u P + 2 u^2 / (df + D) y y^T``. Of the mixture they are ``g = sum r g_k`` and ``sum r (H_k + (g_k - g)(g_k - g)^T)``,
in which nothing large is subtracted. A background has neither, and takes its share of r.

References
----------
Carreira-Perpinan (2000), Mode-finding for mixtures of Gaussian distributions, IEEE PAMI 22: the fixed point, section
4.3; that a mode is a maximum is seen by its Hessian, section 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastgmm.inference.density import log_density, responsibilities

__all__ = ["find_modes", "gradient", "hessian"]

FLOAT64 = np.dtype(np.float64)
# Values of a block's largest array.
BLOCK_VALUES = 1 << 18

#: Steps of the search for modes. Each is at least one of the fixed point, which is EM, and near a mode Newton's.
MAX_ITER = 1000
#: Of the distance to the mode, in standard deviations, at which a search ends; and at which two have found the same.
TOLERANCE, SAME = 1e-9, 1e-3
#: Curvature, in that of the components there, above which a point is no maximum; and how far it is left.
UPWARD, PUSH = 1e-6, 1e-2


class _Derivatives:
    """Of a density that the kernels read: what does not depend on the rows."""

    def __init__(self, density: Any) -> None:
        self.density = density
        shape = density.shape
        k, d = density.means.shape
        precisions = shape.precisions(density.precisions_cholesky)
        self.precisions, self.full = shape.untie(precisions, k), shape.full(precisions, k, d)
        tail = getattr(density, "tail", None)
        self.dof = None if tail is None else tail.degrees_of_freedom

    def of_components(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return r (n, K), u (n, K) and the gradients of the components (n, K, D)."""
        shares = responsibilities(X, self.density, FLOAT64)
        gradients = np.empty((len(X), *self.density.means.shape))
        u = np.ones(shares.shape)
        for k, (mean, precision) in enumerate(zip(self.density.means, self.precisions, strict=True)):
            away = mean - X
            gradients[:, k] = away @ precision if precision.ndim == 2 else away * precision
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
    derivatives, out = _Derivatives(density), np.empty(X.shape)
    for part, rows in _blocks(X, density.means.size):
        shares, _, parts = derivatives.of_components(rows)
        out[part] = np.einsum("nk,nkd->nd", shares, parts)
    return out


def hessian(X: np.ndarray, density: Any) -> np.ndarray:
    """Return the Hessian of the log density at each row, (n_samples, n_features, n_features), float64."""
    derivatives, out = _Derivatives(density), np.empty((*X.shape, X.shape[1]))
    for part, rows in _blocks(X, density.means.size + X.shape[1] ** 2):
        out[part] = derivatives.of_mixture(rows)[1]
    return out


def find_modes(density: Any, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the modes that are uphill of the means of the components, the highest first.

    From each mean the density is climbed by the fixed point ``x = (sum r u P)^-1 sum r u P m``, which is a step of EM
    and never falls, or by Newton's step where that leads higher. Where a climb ends on a saddle, it goes on along the
    direction that leads up, both ways.

    Parameters
    ----------
    density : object with what the kernels read
    means : ndarray of shape (n_components, n_features), float64
        Those of its components, without a background's.

    Returns
    -------
    modes : ndarray of shape (n_modes, n_features), float64
    labels : ndarray of shape (n_components,), int64
        Mode that each mean leads to.
    """
    derivatives = _Derivatives(density)
    points, precision, upward = _climbed(derivatives, np.array(means, dtype=np.float64))
    others = np.empty((0, means.shape[1]))
    for _ in range(3):
        ridge = np.flatnonzero(np.isfinite(upward).all(axis=1))
        if not len(ridge):
            break
        step = upward[ridge]
        both = np.concatenate([points[ridge] + step, points[ridge] - step])
        both, both_precision, both_upward = _climbed(derivatives, both)
        others = np.concatenate([others, both[len(ridge) :]])
        points[ridge], precision[ridge] = both[: len(ridge)], both_precision[: len(ridge)]
        upward[ridge] = both_upward[: len(ridge)]
    everything = np.concatenate([points, others])
    heights = log_density(everything, density, FLOAT64)
    modes: list[int] = []
    labels = np.empty(len(everything), dtype=np.int64)
    metric = derivatives.of_mixture(everything)[2]
    for i in np.argsort(-heights, kind="stable"):
        away = everything[modes] - everything[i]
        near = np.flatnonzero(np.einsum("md,de,me->m", away, metric[i], away) < SAME**2)
        labels[i] = near[0] if len(near) else len(modes)
        if not len(near):
            modes.append(int(i))
    return everything[modes], labels[: len(points)]


def _climbed(derivatives: _Derivatives, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where climbs end, the precision there, and a step that leads up from there, NaN where none does."""
    density, active = derivatives.density, np.arange(len(points))
    precision = np.empty((*points.shape, points.shape[1]))
    upward = np.full(points.shape, np.nan)
    for _ in range(MAX_ITER):
        x = points[active]
        slope, curvature, precision[active] = derivatives.of_mixture(x)
        step = np.linalg.solve(precision[active], slope[..., None])[..., 0]
        # Newton's step, where the density bends down in every direction.
        bends = np.linalg.eigvalsh(curvature)[:, -1] < 0
        newton = step.copy()
        newton[bends] = -np.linalg.solve(curvature[bends], slope[bends][..., None])[..., 0]
        heights = log_density(np.concatenate([x + step, x + newton]), density, FLOAT64)
        higher = heights[len(x) :] > heights[: len(x)]
        step = np.where(higher[:, None], newton, step)
        points[active] = x + step
        lengths = np.sqrt(np.einsum("nd,nde,ne->n", step, precision[active], step))
        active = active[lengths > TOLERANCE]
        if not len(active):
            break
    for i, (matrix, weighed) in enumerate(zip(derivatives.of_mixture(points)[1], precision, strict=True)):
        lower = np.linalg.cholesky(weighed)
        inverse = np.linalg.inv(lower)
        values, vectors = np.linalg.eigh(inverse @ matrix @ inverse.T)
        if values[-1] > UPWARD:
            direction = inverse.T @ vectors[:, -1]
            # One sign on every machine.
            upward[i] = PUSH * direction * np.sign(direction[np.argmax(np.abs(direction))])
    return points, precision, upward
