"""A mixture as one vector without constraints, in which steps between mixtures can be added and extrapolated.

Around a reference mixture, with precision factors ``U`` (``precision = U U^T``) and those of the reference ``U0``::

    log weights;   (mean - mean0) U0;   log diag P and the rest of P, where U = U0 P

so means are measured in the component's own standard deviations and factors by their ratio to the reference: shifting
or scaling the features changes no coordinate. Every vector is a mixture with positive weights and variances.

The natural length of a step there is its complete-data Fisher information, per sample::

    sum_k w_k [ (d log w_k)^2 + |dmean_k U_k|^2 + 2 sum_i T_ii^2 + sum_{i<j} T_ij^2 ],      dU_k = U_k T

the metric in which an EM step is a gradient step, and which no affine map of the data changes.

References
----------
Xu and Jordan (1996), On convergence properties of the EM algorithm for Gaussian mixtures, Neural Computation 8,
theorem 1 (the EM step is the gradient times this matrix's inverse).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fastgmm.model.parameters import MixtureParameters
from fastgmm.model.shapes.base import collapse_error

__all__ = ["Coordinates", "Information"]

#: Log ratios to the reference are held within this: a factor of 5e21 on a standard deviation.
FARTHEST = 50.0


class Coordinates:
    """The coordinates about one reference mixture.

    Parameters
    ----------
    reference : MixtureParameters
    project : callable, optional
        ``project(scatter, counts, previous) -> covariances``, the estimate of a family that does not have every matrix.
        Those with shared volumes, shapes or orientations are curved surfaces in these coordinates: what `decode`
        returns is brought back to them, which moves a small step by its square.
    total : float
        Weight that the information is of: one sample's, or that of all.
    """

    def __init__(self, reference: MixtureParameters, project: Callable | None = None, total: float = 1.0) -> None:
        self.shape = reference.shape
        self.reference = reference
        self._project, self._total = project, total
        self.n_components, self.n_features = reference.means.shape
        dims = reference.precisions_cholesky.shape
        if self.shape.is_matrix:
            # One factor for all, or one each; a stack either way.
            self._factor = reference.precisions_cholesky.reshape(-1, *dims[-2:])
            self._inverse_factor = np.linalg.inv(self._factor)
            rows, columns = np.triu_indices(self.n_features, 1)
            diagonal = np.arange(self.n_features) * (self.n_features + 1)
            # Positions in the flattened matrix: the diagonal first.
            self._upper = np.concatenate([diagonal, rows * self.n_features + columns])
            # What a unit of each entry of T weighs in the metric, and its inverse; nothing below the diagonal.
            self._unit = np.triu(np.ones((self.n_features, self.n_features))) + np.eye(self.n_features)
            self._inverse_unit = np.triu(1.0 / np.maximum(self._unit, 1.0))
        else:
            self._factor = reference.precisions_cholesky.reshape(self.n_components, -1)

    # Mixtures to coordinates and back.

    def encode(self, parameters: MixtureParameters) -> np.ndarray:
        """Return the coordinates of a mixture of the same shape and sizes, shape (n_values,)."""
        shift = parameters.means - self.reference.means
        if self.shape.is_matrix:
            shift = (shift[:, None, :] @ self._factor)[:, 0]
            upper = self._ratio(parameters).reshape(len(self._factor), -1).take(self._upper, axis=1)
            upper[:, : self.n_features] = np.log(upper[:, : self.n_features])
        else:
            shift = shift * self._factor
            upper = np.log(self._ratio(parameters))
        log_weights = np.log(np.maximum(parameters.weights, np.finfo(np.float64).tiny))
        return np.concatenate([log_weights, shift.ravel(), upper.ravel()])

    def decode(self, values: np.ndarray, previous: MixtureParameters | None = None) -> MixtureParameters:
        """Return the mixture at `values`.

        Parameters
        ----------
        values : ndarray of shape (n_values,), float64
        previous : MixtureParameters, optional
            Where an iterative family starts its projection from.

        Raises
        ------
        ComponentCollapseError
            If the family has no member there.
        """
        log_weights, shift, upper = self._split(values)
        weights = np.exp(log_weights - log_weights.max())
        weights /= weights.sum()
        if not weights.min() > 0:
            raise collapse_error(int(weights.argmin()), None, None, "its weight vanishes")
        dims = self.reference.precisions_cholesky.shape
        if self.shape.is_matrix:
            ratio = self._triangle(upper, np.exp(np.clip(upper[:, : self.n_features], -FARTHEST, FARTHEST)))
            factor = self._factor @ ratio
            inverse = np.linalg.inv(factor)
            covariances = (inverse.transpose(0, 2, 1) @ inverse).reshape(dims)
            means = self.reference.means + (shift[:, None, :] @ self._inverse_factor)[:, 0]
        else:
            factor = self._factor * np.exp(np.clip(upper, -FARTHEST, FARTHEST))
            covariances = (factor**-2.0).reshape(dims)
            means = self.reference.means + shift / self._factor
        factor = factor.reshape(dims)
        if self._project is not None:
            scatter = covariances * self.shape.each(self.shape.totals(weights))
            covariances = self._project(scatter, weights, previous)
            factor = self.shape.factorise(covariances)
        return MixtureParameters(self.shape.name, weights, means, covariances, factor)

    # The metric.

    def information(self, parameters: MixtureParameters) -> Information:
        """Return the complete-data information at a mixture."""
        return Information(self, parameters)

    def _ratio(self, parameters):
        if self.shape.is_matrix:
            return self._inverse_factor @ parameters.precisions_cholesky
        return parameters.precisions_cholesky.reshape(self._factor.shape) / self._factor

    def _split(self, values):
        n_components, n_values = self.n_components, self.n_components * (1 + self.n_features)
        shift = values[n_components:n_values].reshape(n_components, self.n_features)
        return values[:n_components], shift, values[n_values:].reshape(len(self._factor), -1)

    def _triangle(self, upper, diagonal):
        matrices = np.zeros((len(upper), self.n_features * self.n_features))
        matrices[:, self._upper] = upper
        matrices[:, self._upper[: self.n_features]] = diagonal
        return matrices.reshape(-1, self.n_features, self.n_features)


class Information:
    """The complete-data Fisher information at one mixture as a map from steps to gradients and back.

    Made by `Coordinates.information`. Log weights are taken as free; steps between mixtures keep their sum anyway.
    """

    def __init__(self, coordinates: Coordinates, parameters: MixtureParameters) -> None:
        self._at = coordinates
        self._weights = np.maximum(parameters.weights, np.finfo(np.float64).tiny)
        ratio = coordinates._ratio(parameters)
        if coordinates.shape.is_matrix:
            self._ratio = ratio.reshape(coordinates._factor.shape)
            self._inverse = np.linalg.inv(self._ratio)
            self._diagonal = np.diagonal(self._ratio, axis1=1, axis2=2)
            self._total = np.ones((1, 1, 1)) if coordinates.shape.is_shared else self._weights[:, None, None]
        else:
            n_merged = coordinates.n_features // self._columns
            scale = np.ones((coordinates.n_components, coordinates.n_features)) * ratio**2
            units = [np.ones(1), scale, np.full((1, self._columns), 2.0 * n_merged)]
            self._diagonal_metric = np.concatenate([(self._weights[:, None] * unit).ravel() for unit in units])

    @property
    def _columns(self):
        return self._at._factor.shape[-1]

    def apply(self, step: np.ndarray) -> np.ndarray:
        """Return the gradient for which `step` is the natural step; both of shape (n_values,)."""
        if not self._at.shape.is_matrix:
            return self._at._total * (self._diagonal_metric * step)
        log_weights, shift, upper = self._at._split(step)
        local = shift[:, None, :] @ self._ratio
        shift = (self._weights[:, None, None] * local) @ self._ratio.transpose(0, 2, 1)
        local = self._inverse @ self._at._triangle(upper, upper[:, : self._at.n_features] * self._diagonal)
        local *= self._total * self._at._unit
        upper = self._coordinates_of(self._inverse.transpose(0, 2, 1) @ local, self._diagonal)
        return self._at._total * np.concatenate([self._weights * log_weights, shift.ravel(), upper.ravel()])

    def solve(self, gradient: np.ndarray) -> np.ndarray:
        """Return the natural step of a gradient: the inverse of `apply`."""
        if not self._at.shape.is_matrix:
            return gradient / self._diagonal_metric / self._at._total
        log_weights, shift, upper = self._at._split(gradient)
        local = shift[:, None, :] @ self._inverse.transpose(0, 2, 1)
        shift = (local / self._weights[:, None, None]) @ self._inverse
        cotangent = self._at._triangle(upper, upper[:, : self._at.n_features] / self._diagonal)
        local = self._ratio.transpose(0, 2, 1) @ cotangent
        local *= self._at._inverse_unit / self._total
        upper = self._coordinates_of(self._ratio @ local, 1.0 / self._diagonal)
        return np.concatenate([log_weights / self._weights, shift.ravel(), upper.ravel()]) / self._at._total

    def longest(self, step: np.ndarray, gradient: np.ndarray) -> float:
        """Return the length of a step of the component that it moves most; `gradient` is ``apply(step)``.

        Per row of the component: 0.1 is a tenth of a standard deviation of its rows, or about 7% of a variance.
        """
        log_weights, shift, upper = self._at._split(step * (gradient / self._at._total))
        squares = log_weights + shift.sum(axis=1)
        if self._at.shape.is_shared:
            return math.sqrt(max(float((squares / self._weights).max() + upper.sum()), 0.0))
        return math.sqrt(max(float(((squares + upper.sum(axis=1)) / self._weights).max()), 0.0))

    def _coordinates_of(self, matrices, diagonal_unit):
        upper = matrices.reshape(len(matrices), -1).take(self._at._upper, axis=1)
        upper[:, : self._at.n_features] *= diagonal_unit
        return upper
