"""Marginals and conditionals of a mixture: those of Gaussian components are Gaussian, those of t components t.

Given p values at the squared distance delta from its mean, a t component has ``df + p`` degrees of freedom and a scale
that is ``(df + delta) / (df + p)`` times the Gaussian one.

References
----------
Bishop (2006), Pattern Recognition and Machine Learning, equations 2.81, 2.82 and 2.98; Sung (2004), Gaussian mixture
regression and classification, section 2.2; Ding (2016), On the conditional distribution of the multivariate t
distribution, The American Statistician 70.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from fastgmm.data.patterns import Patterns
from fastgmm.inference.density import responsibilities
from fastgmm.inference.distances import squared_distances
from fastgmm.inference.sampling import student_stretch
from fastgmm.model import MixtureParameters
from fastgmm.model.shapes import FULL, Shape
from fastgmm.model.shapes.full import lower_factor
from fastgmm.model.student import AS_NORMAL, log_gamma_ratio, variance_ratio

__all__ = ["Conditioner", "MixturePerRow", "full_covariances", "marginal"]

# Values of a block's largest array.
BLOCK_VALUES = 1 << 18


def full_covariances(parameters: MixtureParameters) -> np.ndarray:
    """Return a covariance matrix per component, (n_components, n_features, n_features)."""
    return parameters.shape.full(parameters.covariances, *parameters.means.shape)


def marginal(parameters: MixtureParameters, columns: np.ndarray) -> MixtureParameters:
    """Return the distribution of some of the features, in the order of `columns`."""
    covariances = parameters.shape.columns(parameters.covariances, columns)
    return replace(
        parameters,
        means=np.ascontiguousarray(parameters.means[:, columns]),
        covariances=covariances,
        precisions_cholesky=parameters.shape.factorise(covariances),
    )


@dataclass(frozen=True)
class MixturePerRow:
    """The distribution of the other features given values of some: one mixture per row.

    Attributes
    ----------
    weights : ndarray of shape (n_rows, n_components), float64
        The probabilities. Each row sums to one.
    means : ndarray of shape (n_rows, n_components, n_free), float64
    covariances : ndarray of shape (n_components, n_free, n_free), float64
        The same for every row; scale matrices of t components. Where values given are missing in some rows,
        (n_rows, n_components, n_free, n_free).
    degrees_of_freedom : ndarray of shape (n_components,), or (n_rows, n_components) where values are missing, optional
        Of t components, those of the values given included.
    inflation : ndarray of shape (n_rows, n_components), optional
        Of t components: what their scale matrices are multiplied by, more the farther the values are from the mean.
    shape : Shape
        Of `covariances`: where components have factors, they are loadings and, last, noise variances,
        (n_components, n_free, n_factors + 1).
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    degrees_of_freedom: np.ndarray | None = None
    inflation: np.ndarray | None = None
    shape: Shape = FULL

    def __len__(self) -> int:
        return len(self.weights)

    def mean(self) -> np.ndarray:
        """Return the expectation for each row, shape (n_rows, n_free).

        See Also
        --------
        covariance : How far values are about it.
        """
        return np.einsum("nk,nkf->nf", self.weights, self.means)

    def covariance(self) -> np.ndarray:
        """Return the covariance for each row, shape (n_rows, n_free, n_free), in squared units of the features.

        See Also
        --------
        mean : The expectations.
        """
        centred, weights = self.means - self.mean()[:, None, :], self.weights
        between = np.einsum("nk,nkf,nkg->nfg", weights, centred, centred)
        if self.degrees_of_freedom is not None and self.inflation is not None:
            weights = weights * self.inflation * variance_ratio(self.degrees_of_freedom)
        if self.covariances.ndim == 4:
            return between + np.einsum("nk,nkfg->nfg", weights, self.covariances)
        whole = self.shape.full(self.covariances, *self.means.shape[1:])
        return between + np.tensordot(weights, whole, axes=1)

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """Return the log density of one row of `values` (n_rows, n_free) under each mixture, in nats."""
        factor, away = self.shape.factorise(self.covariances), values[:, None, :] - self.means
        n_free = values.shape[1]
        if self.shape.n_factors is None:
            whitened = (away[..., None, :] @ factor)[..., 0, :]
            half_log_det = np.log(np.diagonal(factor, axis1=-2, axis2=-1)).sum(axis=-1)
        else:
            whitened = self.shape.whitened(away, factor)
            half_log_det = self.shape.half_log_det(factor, *self.means.shape[1:])
        squares, normaliser = (whitened**2).sum(axis=2), half_log_det - 0.5 * n_free * np.log(2.0 * np.pi)
        if self.degrees_of_freedom is None or self.inflation is None:
            powers = -0.5 * squares
        else:
            dof = np.minimum(self.degrees_of_freedom, AS_NORMAL)
            powers = -0.5 * (dof + n_free) * np.log1p(squares / self.inflation / dof)
            powers += log_gamma_ratio(0.5 * dof, 0.5 * n_free) - 0.5 * n_free * np.log(self.inflation)
        with np.errstate(divide="ignore"):
            joint = np.log(self.weights) + normaliser + powers
        return np.logaddexp.reduce(joint, axis=1)

    def sample(self, random_state: np.random.RandomState) -> np.ndarray:
        """Return one draw from each mixture, shape (n_rows, n_free)."""
        positions = random_state.uniform(size=(len(self), 1))
        chosen = (np.cumsum(self.weights, axis=1) < positions).sum(axis=1).clip(max=self.weights.shape[1] - 1)
        if self.shape.n_factors is not None:
            rows, none = np.empty((len(self), self.means.shape[2])), np.zeros(self.means.shape[2])
            for k in np.unique(chosen):
                members = np.flatnonzero(chosen == k)
                drawn = self.shape.draw(none, self.covariances[k], len(members), random_state)
                if self.degrees_of_freedom is not None and self.inflation is not None:
                    stretch = student_stretch(self.degrees_of_freedom[k], len(members), random_state)
                    drawn *= (stretch * np.sqrt(self.inflation[members, k]))[:, None]
                rows[members] = self.means[members, k] + drawn
            return rows
        noise = random_state.standard_normal((len(self), self.means.shape[2]))
        factor, every = lower_factor(self.covariances), np.arange(len(self))
        if self.degrees_of_freedom is not None and self.inflation is not None:
            dof = np.broadcast_to(self.degrees_of_freedom, self.weights.shape)
            stretch = student_stretch(dof[every, chosen], len(self), random_state)
            noise *= (stretch * np.sqrt(self.inflation[every, chosen]))[:, None]
        own = factor[chosen] if factor.ndim == 3 else factor[every, chosen]
        return self.means[every, chosen] + np.einsum("nfg,ng->nf", own, noise)


class Conditioner:
    """What does not depend on the values: the given features' marginal and each component's regression on them.

    Parameters
    ----------
    parameters : MixtureParameters
    given : ndarray of int
        Columns whose values are known; the free ones are the others, in order.

    Attributes
    ----------
    marginal : MixtureParameters
        Of the given columns.
    coefficients : ndarray of shape (n_components, n_given, n_free)
        A component's conditional mean is ``means_free + (values - means_given) @ coefficients``.
    covariances : ndarray of shape (n_components, n_free, n_free)
    """

    def __init__(self, parameters: MixtureParameters, given: np.ndarray) -> None:
        free = np.setdiff1d(np.arange(parameters.n_features), given)
        order = np.concatenate([given, free])
        n_given = len(given)
        self.marginal = marginal(parameters, given)
        # In the Cholesky factor of the covariance with the given columns first, the last block is the factor of the
        # conditional covariance: nothing is subtracted, so it stays positive definite.
        factor = lower_factor(full_covariances(parameters)[:, order[:, None], order])
        upper_left, lower_left = factor[:, :n_given, :n_given], factor[:, n_given:, :n_given]
        self.coefficients = np.linalg.solve(upper_left.transpose(0, 2, 1), lower_left.transpose(0, 2, 1))
        corner = factor[:, n_given:, n_given:]
        self.covariances = corner @ corner.transpose(0, 2, 1)
        self.means_free = parameters.means[:, free]
        self.tail = getattr(parameters, "tail", None)
        self._parameters, self._given, self._free = parameters, given, free

    def at(self, values: np.ndarray) -> MixturePerRow:
        """Return the mixtures for rows of `values` (n_rows, n_given), of which some may be missing (NaN)."""
        if np.isnan(values).any():
            return self._at_incomplete(values)
        weights = responsibilities(values, self.marginal, np.dtype(np.float64))
        centred = values[:, None, :] - self.marginal.means
        means = self.means_free + np.einsum("nkg,kgf->nkf", centred, self.coefficients)
        if self.tail is None:
            return MixturePerRow(weights, means, self.covariances)
        dof, squares = self.tail.degrees_of_freedom, squared_distances(values, self.marginal)
        return MixturePerRow(
            weights, means, self.covariances, dof + values.shape[1], (dof + squares) / (dof + values.shape[1])
        )

    def _at_incomplete(self, values: np.ndarray) -> MixturePerRow:
        """Return the mixtures given what each row has of the values."""
        (n_components, n_free), n_rows = self.means_free.shape, len(values)
        weights, means = np.empty((n_rows, n_components)), np.empty((n_rows, n_components, n_free))
        covariances = np.empty((n_rows, n_components, n_free, n_free))
        dof, inflation = np.empty((2, n_rows, n_components))
        for pattern in Patterns(values):
            if not pattern.mask.any():
                found = self._of_nothing(len(pattern.index))
            elif pattern.mask.all():
                found = self.at(pattern.values)
            else:
                # Of the features given here and the free ones; the free ones are then the last.
                some = np.concatenate([self._given[pattern.mask], self._free])
                part = marginal(self._parameters, some)
                found = Conditioner(part, np.arange(len(some) - n_free)).at(pattern.values)
            weights[pattern.index], means[pattern.index] = found.weights, found.means
            covariances[pattern.index] = found.covariances
            if found.degrees_of_freedom is not None and found.inflation is not None:
                dof[pattern.index], inflation[pattern.index] = found.degrees_of_freedom, found.inflation
        if self.tail is None:
            return MixturePerRow(weights, means, covariances)
        return MixturePerRow(weights, means, covariances, dof, inflation)

    def _of_nothing(self, n_rows: int) -> MixturePerRow:
        parameters = self._parameters
        own = parameters.weights / parameters.weights.sum()
        weights, means = np.tile(own, (n_rows, 1)), np.tile(self.means_free, (n_rows, 1, 1))
        covariances = full_covariances(parameters)[:, self._free[:, None], self._free]
        if self.tail is None:
            return MixturePerRow(weights, means, covariances)
        return MixturePerRow(weights, means, covariances, self.tail.degrees_of_freedom, np.ones_like(weights))

    def blocks(self, values: np.ndarray) -> Iterator[tuple[slice, MixturePerRow]]:
        """Yield the mixtures a few thousand rows at a time, with the slice of rows they belong to."""
        k, n_given, n_free = self.coefficients.shape
        n_rows = max(1, BLOCK_VALUES // (k * max(n_given, n_free)))
        for start in range(0, len(values), n_rows):
            part = slice(start, start + n_rows)
            yield part, self.at(np.ascontiguousarray(values[part], dtype=np.float64))
