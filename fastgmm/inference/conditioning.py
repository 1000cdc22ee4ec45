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

from fastgmm.inference.density import responsibilities
from fastgmm.inference.distances import squared_distances
from fastgmm.inference.sampling import student_stretch
from fastgmm.model import MixtureParameters
from fastgmm.model.shapes import FULL
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
        Rows sum to one.
    means : ndarray of shape (n_rows, n_components, n_free), float64
    covariances : ndarray of shape (n_components, n_free, n_free), float64
        The same for every row; scale matrices of t components.
    degrees_of_freedom : ndarray of shape (n_components,), optional
        Of t components, those of the values given included.
    inflation : ndarray of shape (n_rows, n_components), optional
        Of t components: what their scale matrices are multiplied by, more the farther the values are from the mean.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    degrees_of_freedom: np.ndarray | None = None
    inflation: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.weights)

    def mean(self) -> np.ndarray:
        """Return the expectation for each row, shape (n_rows, n_free)."""
        return np.einsum("nk,nkf->nf", self.weights, self.means)

    def covariance(self) -> np.ndarray:
        """Return the covariance for each row, shape (n_rows, n_free, n_free), in squared units of the features."""
        centred, weights = self.means - self.mean()[:, None, :], self.weights
        between = np.einsum("nk,nkf,nkg->nfg", weights, centred, centred)
        if self.degrees_of_freedom is not None and self.inflation is not None:
            weights = weights * self.inflation * variance_ratio(self.degrees_of_freedom)
        return between + np.tensordot(weights, self.covariances, axes=1)

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """Return the log density of one row of `values` (n_rows, n_free) under each mixture, in nats."""
        factor = FULL.factorise(self.covariances)
        whitened = np.einsum("nkf,kfg->nkg", values[:, None, :] - self.means, factor)
        n_free, squares = values.shape[1], (whitened**2).sum(axis=2)
        normaliser = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1) - 0.5 * n_free * np.log(2.0 * np.pi)
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
        noise = random_state.standard_normal((len(self), self.means.shape[2]))
        factor = np.linalg.cholesky(self.covariances)
        if self.degrees_of_freedom is not None and self.inflation is not None:
            stretch = student_stretch(self.degrees_of_freedom[chosen], len(self), random_state)
            noise *= (stretch * np.sqrt(self.inflation[np.arange(len(self)), chosen]))[:, None]
        return self.means[np.arange(len(self)), chosen] + np.einsum("nfg,ng->nf", factor[chosen], noise)


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
        factor = np.linalg.cholesky(full_covariances(parameters)[:, order[:, None], order])
        upper_left, lower_left = factor[:, :n_given, :n_given], factor[:, n_given:, :n_given]
        self.coefficients = np.linalg.solve(upper_left.transpose(0, 2, 1), lower_left.transpose(0, 2, 1))
        corner = factor[:, n_given:, n_given:]
        self.covariances = corner @ corner.transpose(0, 2, 1)
        self.means_free = parameters.means[:, free]
        self.tail = getattr(parameters, "tail", None)

    def at(self, values: np.ndarray) -> MixturePerRow:
        """Return the mixtures for rows of `values` (n_rows, n_given)."""
        weights = responsibilities(values, self.marginal, np.dtype(np.float64))
        centred = values[:, None, :] - self.marginal.means
        means = self.means_free + np.einsum("nkg,kgf->nkf", centred, self.coefficients)
        if self.tail is None:
            return MixturePerRow(weights, means, self.covariances)
        dof, squares = self.tail.degrees_of_freedom, squared_distances(values, self.marginal)
        return MixturePerRow(
            weights, means, self.covariances, dof + values.shape[1], (dof + squares) / (dof + values.shape[1])
        )

    def blocks(self, values: np.ndarray) -> Iterator[tuple[slice, MixturePerRow]]:
        """Yield the mixtures a few thousand rows at a time, with the slice of rows they belong to."""
        k, n_given, n_free = self.coefficients.shape
        n_rows = max(1, BLOCK_VALUES // (k * max(n_given, n_free)))
        for start in range(0, len(values), n_rows):
            part = slice(start, start + n_rows)
            yield part, self.at(np.ascontiguousarray(values[part], dtype=np.float64))
