"""Coordinates of a mixture with loadings and noise, for accelerated EM.

Around a reference mixture with noise variances psi0::

    log weights;   (mean - mean0) / sqrt(psi0);   A R / sqrt(psi0);   log psi

where R is the rotation that brings the loadings A as close as may be to those of the reference: loadings in any
rotation are the same covariances, and steps between mixtures are to be those of the covariances alone. The length of a
step, per sample, is that in which EM takes gradient steps: for given factors, rows have the information
``w psi0 / psi`` on loadings and ``w / 2`` on each log psi; of means EM takes the one without factors, the precision::

    sum_k w_k [ (d log w_k)^2 + dmean_k^T Sigma_k^-1 dmean_k + |dA_k / sqrt(psi_k)|^2 + |d log psi_k|^2 / 2 ]

References
----------
Rubin and Thayer (1982), EM algorithms for ML factor analysis, Psychometrika 47. `fastgmm.model.coordinates` has those
of whole matrices.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fastgmm.model.parameters import MixtureParameters
from fastgmm.model.shapes.base import collapse_error
from fastgmm.model.shapes.low_rank import packed, unpacked

__all__ = ["LoadingCoordinates"]


class LoadingCoordinates:
    """The coordinates about one reference mixture.

    Parameters
    ----------
    reference : MixtureParameters
        Of loadings and noise.
    mixture_of : callable
        ``mixture_of(weights, means, covariances)`` returns the mixture of loadings and noise as `LowRank` stores them.
    """

    def __init__(self, reference: MixtureParameters, mixture_of: Callable[..., MixtureParameters]) -> None:
        self._means, self._mixture_of = reference.means, mixture_of
        loadings, noise = unpacked(reference.covariances)
        self._unit = np.sqrt(noise)
        self._loadings = loadings / self._unit[..., None]

    def encode(self, parameters: MixtureParameters) -> np.ndarray:
        """Return the coordinates of a mixture of the same sizes, shape (n_values,)."""
        loadings, noise = unpacked(parameters.covariances)
        loadings = loadings / self._unit[..., None]
        left, _, right = np.linalg.svd(loadings.transpose(0, 2, 1) @ self._loadings)
        shift = (parameters.means - self._means) / self._unit
        log_weights = np.log(np.maximum(parameters.weights, np.finfo(np.float64).tiny))
        return np.concatenate([log_weights, shift.ravel(), (loadings @ (left @ right)).ravel(), np.log(noise).ravel()])

    def decode(self, values: np.ndarray, previous: MixtureParameters | None = None) -> MixtureParameters:
        """Return the mixture at `values`.

        Raises
        ------
        ComponentCollapseError
            If there is none.
        """
        log_weights, shift, loadings, log_noise = self._split(values)
        weights = np.exp(log_weights - log_weights.max())
        weights /= weights.sum()
        if not weights.min() > 0:
            raise collapse_error(int(weights.argmin()), None, None, "its weight vanishes")
        means = self._means + shift * self._unit
        return self._mixture_of(weights, means, packed(loadings * self._unit[..., None], np.exp(log_noise)))

    def information(self, parameters: MixtureParameters) -> LoadingInformation:
        """Return the information of the step's length at a mixture."""
        return LoadingInformation(self, parameters)

    def _split(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        n_components, n_features = self._means.shape
        ends = np.cumsum([n_components, self._means.size, self._loadings.size])
        log_weights, shift, loadings, log_noise = np.split(values, ends)
        whole = (n_components, n_features)
        return log_weights, shift.reshape(whole), loadings.reshape(self._loadings.shape), log_noise.reshape(whole)


class LoadingInformation:
    """The information as a map from steps to gradients and back; made by `LoadingCoordinates.information`."""

    def __init__(self, coordinates: LoadingCoordinates, parameters: MixtureParameters) -> None:
        self._at = coordinates
        self._weights = np.maximum(parameters.weights, np.finfo(np.float64).tiny)
        factor = parameters.precisions_cholesky
        scaled, root = unpacked(factor)
        self._strengths = parameters.shape.strengths(factor)  # type: ignore[attr-defined]
        # Of rows in units of the reference: the noise's precision, and loadings times it.
        self._precision = (coordinates._unit * root) ** 2
        self._along = coordinates._unit[..., None] * scaled

    def apply(self, step: np.ndarray) -> np.ndarray:
        """Return the gradient for which `step` is the natural step; both of shape (n_values,)."""
        log_weights, shift, loadings, log_noise = self._at._split(step)
        along = np.einsum("kd,kdq->kq", shift, self._along) / (1.0 + self._strengths)
        shift = self._precision * shift - np.einsum("kq,kdq->kd", along, self._along)
        return self._joined(self._weights, log_weights, shift, self._precision[..., None] * loadings, 0.5 * log_noise)

    def solve(self, gradient: np.ndarray) -> np.ndarray:
        """Return the natural step of a gradient: the inverse of `apply`."""
        log_weights, shift, loadings, log_noise = self._at._split(gradient)
        scaled = self._along / self._precision[..., None]
        shift = shift / self._precision + np.einsum("kd,kdq,keq->ke", shift, scaled, scaled, optimize=True)
        loadings = loadings / self._precision[..., None]
        return self._joined(1.0 / self._weights, log_weights, shift, loadings, 2.0 * log_noise)

    def longest(self, step: np.ndarray, gradient: np.ndarray) -> float:
        """Return the length of a step of the component that it moves most, per row; `gradient` is ``apply(step)``.

        Over the root of how many numbers there are for a feature: so many small changes are no large one.
        """
        log_weights, shift, loadings, log_noise = self._at._split(step * gradient)
        squares = log_weights + shift.sum(axis=1) + loadings.sum(axis=(1, 2)) + log_noise.sum(axis=1)
        return math.sqrt(max(float((squares / self._weights).max()), 0.0) / (2 + self._strengths.shape[1]))

    @staticmethod
    def _joined(weights: np.ndarray, *parts: np.ndarray) -> np.ndarray:
        scaled = [part * weights.reshape((-1,) + (1,) * (part.ndim - 1)) for part in parts]
        return np.concatenate([part.ravel() for part in scaled])
