"""Coordinates of a mixture of Student t components: those of its means and scales, and the logs of its df.

The metric is the one in which an M-step with parameter expansion is a gradient step. The M-step estimates the mean
``a`` of the precisions u, on which rows have the information ``df / 2``, and divides the scale by it: so a step of the
scale's size is longer than that of plain EM, and the metric is shorter in that direction. With C the complete-data
information and d the direction of the scale's logarithm::

    C' = C - (C d)(C d)^T / (df / 2 + d^T C d),      C'^-1 = C^-1 + d d^T / (df / 2)

for each component whose expansion is its own, or once for all components together.

References
----------
Liu, Rubin and Wu, "Parameter expansion to accelerate EM: the PX-EM algorithm", Biometrika 85 (1998), section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import polygamma

from fastgmm.model.coordinates import Coordinates
from fastgmm.model.student import StudentParameters

__all__ = ["StudentCoordinates"]


class StudentCoordinates:
    """The coordinates about one reference mixture.

    Parameters
    ----------
    reference : StudentParameters
    project : callable, optional
        As `Coordinates` has it.
    df : {'free', 'shared'} or float
        Which degrees of freedom are coordinates: each, one for all, or none.
    expansion : {'each', 'common', 'none'}
        Which means of u the M-step estimates.
    bounds : tuple of float
        Smallest and largest degrees of freedom.
    """

    def __init__(
        self,
        reference: StudentParameters,
        project: Callable | None,
        df: str | float,
        expansion: str,
        bounds: tuple[float, float],
    ) -> None:
        self.inner = Coordinates(reference, project)
        self.reference, self.df, self.expansion, self.bounds = reference, df, expansion, bounds

    def encode(self, state: StudentParameters) -> np.ndarray:
        """Return the coordinates of a mixture of the same shape and sizes, shape (n_values,)."""
        dof = np.log(np.clip(state.degrees_of_freedom, *self.bounds))
        shown = {"free": slice(None), "shared": slice(0, 1)}.get(str(self.df), slice(0, 0))
        return np.concatenate([self.inner.encode(state), dof[shown]])

    def decode(self, values: np.ndarray, previous: StudentParameters | None = None) -> StudentParameters:
        """Return the mixture at `values`.

        Raises
        ------
        ComponentCollapseError
            If the family of the scales has no member there.
        """
        n_dof = self.n_degrees_of_freedom
        if n_dof == 0:
            return StudentParameters.of(self.inner.decode(values, previous), self.reference.degrees_of_freedom)
        smallest, largest = self.bounds
        # A proposal never is infinite, from where no M-step leads back.
        dof = np.exp(np.clip(values[-n_dof:], math.log(smallest), math.log(0.99 * largest)))
        return StudentParameters.of(self.inner.decode(values[:-n_dof], previous), dof)

    @property
    def n_degrees_of_freedom(self) -> int:
        """Number of coordinates that are degrees of freedom."""
        return {"free": self.reference.n_components, "shared": 1}.get(str(self.df), 0)

    def information(self, state: StudentParameters) -> _Information:
        """Return the metric at a mixture."""
        return _Information(self, state)


class _Information:
    """The metric at one mixture, per sample, as a map from steps to gradients and back."""

    def __init__(self, at: StudentCoordinates, state: StudentParameters) -> None:
        self._inner, self._n_dof = at.inner.information(state), at.n_degrees_of_freedom
        weights = np.maximum(state.weights, np.finfo(np.float64).tiny)
        dof = np.clip(state.degrees_of_freedom, *at.bounds)
        # Of log df, in the density of u.
        of_dof = weights * dof**2 * (0.25 * polygamma(1, 0.5 * dof) - 0.5 / dof)
        self._of_dof = of_dof if self._n_dof == len(weights) else np.atleast_1d(of_dof.sum())[: self._n_dof]
        self._expands = at.expansion != "none"
        if not self._expands:
            return
        # Raising the log of every scale by one lowers the logs of the factors' diagonals by half.
        stored, n_logs = at.inner._factor.shape[0], at.inner._factor.shape[-1]
        n_others = state.n_components * (1 + state.n_features)
        size = np.zeros(n_others + _n_upper(at.inner))
        upper = size[n_others:].reshape(stored, -1)
        upper[:, :n_logs] = -0.5
        each = at.expansion == "each"
        self._n_groups, self._upper = (stored if each else 1), slice(n_others, None)
        self._direction = size
        self._image = self._inner.apply(size)
        self._of_size = 0.5 * (weights * dof if each else np.atleast_1d(weights @ dof))
        self._both = self._of_size + self._per_group(size * self._image)

    def _per_group(self, values: np.ndarray) -> np.ndarray:
        return values[self._upper].reshape(self._n_groups, -1).sum(axis=1)

    def _spread(self, numbers: np.ndarray, direction: np.ndarray) -> np.ndarray:
        result = np.zeros_like(direction)
        part = direction[self._upper].reshape(self._n_groups, -1)
        result[self._upper] = (numbers[:, None] * part).ravel()
        return result

    def _split(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        at = len(values) - self._n_dof
        return values[:at], values[at:]

    def apply(self, step: np.ndarray) -> np.ndarray:
        """Return the gradient for which `step` is the natural step; both of shape (n_values,)."""
        own, dof = self._split(step)
        gradient = self._inner.apply(own)
        if self._expands:
            gradient = gradient - self._spread(self._per_group(self._direction * gradient) / self._both, self._image)
        return np.concatenate([gradient, self._of_dof * dof])

    def solve(self, gradient: np.ndarray) -> np.ndarray:
        """Return the natural step of a gradient: the inverse of `apply`."""
        own, dof = self._split(gradient)
        step = self._inner.solve(own)
        if self._expands:
            step = step + self._spread(self._per_group(self._direction * own) / self._of_size, self._direction)
        return np.concatenate([step, dof / self._of_dof])

    def longest(self, step: np.ndarray, gradient: np.ndarray) -> float:
        """Return the length of a step of the component that it moves most; `gradient` is ``apply(step)``."""
        own, own_gradient = self._split(step)[0], self._split(gradient)[0]
        return self._inner.longest(own, own_gradient)


def _n_upper(inner: Coordinates) -> int:
    stored, d = inner._factor.shape[0], inner._factor.shape[-1]
    return stored * (d * (d + 1) // 2 if inner.shape.is_matrix else d)
