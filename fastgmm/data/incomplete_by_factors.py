"""Passes over rows with missing values, of components that have loadings and noise: no matrix of features.

Of the features o that a row has, the factors are normal about ``z = b V`` with the covariance ``V = M^-1``, where

    M = I + A_o^T diag(1 / psi_o) A_o,    b = (x_o - mean_o) diag(1 / psi_o) A_o

so the distance is ``|x_o - mean_o|^2 / psi_o - b z^T``, and what is missing is expected at ``mean_m + z A_m^T``, with
the covariance ``A_m V A_m^T + diag(psi_m)``. For all masks of a block, M is one product of the masks with
``q (q + 1) / 2`` numbers per feature, q being the number of factors. Statistics are those that a pass over whole rows
keeps, the scatter times the matrix C of `fastgmm.families.sketched` and its diagonal. Of the covariance of what is
missing that is ``A_d W_d`` and ``psi_d n_d + A_d W_d A_d^T`` in feature d, where n_d is the share of the rows that miss
it and W_d the sum of their V: what C makes of the noise cancels.

References
----------
Ghahramani and Hinton (1996), The EM algorithm for mixtures of factor analyzers, and for missing values Ghahramani and
Jordan (1994), Supervised learning from incomplete data via an EM approach, NIPS 6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fastgmm.data.each_by_itself import Answers
from fastgmm.data.patterns import Patterns
from fastgmm.model import SufficientStatistics
from fastgmm.model.marginals import Marginals
from fastgmm.model.shapes.low_rank import unpacked

__all__ = ["RowsByFactors", "accumulate", "answer", "blocks", "conditional_means"]

#: Numbers of a block's rows, and of the pairs of factors of a component beside them.
BLOCK_VALUES = 1 << 18


@dataclass(frozen=True)
class RowsByFactors(Answers):
    """Answers, and what they are made of.

    Attributes
    ----------
    observed : ndarray of shape (n_masks, n_features), float64
        One where a feature is observed, otherwise zero.
    rows : ndarray of shape (n_rows, n_features), float64
        NaN where a value is missing.
    factors : ndarray of shape (n_components, n_rows, n_factors)
        Expected ones, of the components without a background.
    spread : ndarray of shape (n_components, n_masks, n_factors, n_factors)
        Their covariances.
    """

    observed: np.ndarray
    rows: np.ndarray
    factors: np.ndarray
    spread: np.ndarray

    @property
    def log_density(self) -> np.ndarray:
        """Log of the sum over components, (n_rows,), in nats."""
        return np.logaddexp.reduce(self.log_joint, axis=1)

    @property
    def masks(self) -> np.ndarray:
        """True where a feature is observed, (n_rows, n_features)."""
        return self.observed[self.which] > 0

    def away(self, mean: np.ndarray) -> np.ndarray:
        """Return rows less a mean, zero where a value is missing, (n_rows, n_features)."""
        away = self.rows - mean
        away[~self.masks] = 0.0
        return away


def blocks(marginals: Marginals, patterns: Patterns, chosen: np.ndarray) -> Iterator[RowsByFactors]:
    """Yield the rows of the patterns `chosen`, none of which has all features, some patterns and rows at a time."""
    shape, n_features = marginals.shape, marginals.n_features
    scaled, root = unpacked(shape.take(marginals.density.precisions_cholesky, marginals._own))
    q = scaled.shape[2]
    left, right = np.triu_indices(q)
    size = max(8, BLOCK_VALUES // n_features)
    for start in range(0, len(chosen), size):
        observed = patterns.masks[chosen[start : start + size]].astype(np.float64)
        spread, half_log_det = np.empty((len(root), len(observed), q, q)), np.empty((len(observed), len(root)))
        for k, own in enumerate(root):
            # Of a mask with all features this is the diagonal of 1 + s^2, see `LowRank`.
            pairs = observed @ (scaled[k][:, left] * (scaled[k] / own[:, None] ** 2)[:, right])
            precision = np.empty((len(observed), q, q))
            precision[:, left, right] = precision[:, right, left] = pairs
            precision[:, np.arange(q), np.arange(q)] += 1.0
            spread[k] = np.linalg.inv(precision)
            half_log_det[:, k] = observed @ np.log(own) - 0.5 * np.linalg.slogdet(precision)[1]
        offset = marginals.log_offsets(observed.sum(axis=1).astype(np.int64), half_log_det)
        if marginals.background is not None:
            background = np.array([marginals.background_offset(mask > 0) for mask in observed])
            offset = np.insert(offset, marginals.background, background, axis=1)
        every, which = patterns.rows(chosen[start : start + size])
        for first in range(0, len(every), size):
            part = slice(first, first + size)
            yield _some_rows(marginals, patterns, every[part], which[part], observed, spread, offset, scaled, root)


def _some_rows(
    marginals: Marginals,
    patterns: Patterns,
    index: np.ndarray,
    which: np.ndarray,
    observed: np.ndarray,
    spread: np.ndarray,
    offset: np.ndarray,
    scaled: np.ndarray,
    root: np.ndarray,
) -> RowsByFactors:
    own, rows, joint = marginals.own_index, patterns.values(index).astype(np.float64), offset[which]
    squares, factors = np.empty((len(rows), len(own))), np.empty((len(own), len(rows), scaled.shape[2]))
    n_observed = observed.sum(axis=1).astype(np.int64)[which]
    found = RowsByFactors(index, which, n_observed, squares, joint, observed, rows, factors, spread)
    for k, mean in enumerate(marginals.means):
        away = found.away(mean)
        along = away @ scaled[k]
        factors[k] = (along[:, None, :] @ spread[k][which])[:, 0]
        away *= root[k]
        squares[:, k] = np.einsum("nd,nd->n", away, away) - np.einsum("nq,nq->n", along, factors[k])
    np.maximum(squares, 0.0, out=squares)
    if marginals.tail is None:
        joint[:, own] -= 0.5 * squares
    else:
        dof = marginals.tail.degrees_of_freedom[own]
        joint[:, own] -= 0.5 * (dof + n_observed[:, None]) * np.log1p(squares / dof)
    joint[np.isnan(joint)] = -np.inf
    return found


def conditional_means(some: RowsByFactors, marginals: Marginals) -> np.ndarray:
    """Return what is expected of rows given each component without a background, (n_rows, n_components, n_features)."""
    loadings = unpacked(marginals.shape.covariances_of(marginals.density.precisions_cholesky[marginals._own]))[0]
    return marginals.means + np.einsum("knq,kdq->nkd", some.factors, loadings)


def accumulate(
    marginals: Marginals,
    patterns: Patterns,
    chosen: np.ndarray,
    sample_weight: np.ndarray | None,
    statistics: SufficientStatistics,
) -> None:
    """Add the rows of the patterns `chosen` to statistics about the means, in place."""
    own, shape = marginals.own_index, marginals.shape
    factor = shape.take(marginals.density.precisions_cholesky, marginals._own)
    loadings, noise = unpacked(shape.covariances_of(factor))
    to_factors = shape.posterior(factor)[0]
    for some in blocks(marginals, patterns, chosen):
        shares, density = some.shares, some.log_density
        if sample_weight is not None:
            weight = sample_weight[some.index]
            shares, density = shares * weight[:, None], np.where(weight > 0, weight * density, 0.0)
        statistics.log_likelihood += float(density.sum())
        statistics.counts += shares.sum(axis=0)
        mine = shares[:, own]
        counts = np.zeros((len(some.observed), len(own)))
        np.add.at(counts, some.which, mine)
        if marginals.tail is not None and statistics.tail_sums is not None:
            mine = _with_tails(marginals, some, shares, statistics)
        missing = 1.0 - some.observed
        for k, at in enumerate(own):
            completed = some.away(marginals.means[k])
            completed += (some.factors[k] @ loadings[k].T) * missing[some.which]
            weighted = mine[:, k, None] * (completed @ to_factors[k])
            statistics.sums[at] += mine[:, k] @ completed
            scatter = statistics.scatter[at]
            scatter[:, :-1] += completed.T @ weighted
            completed *= completed
            scatter[:, -1] += mine[:, k] @ completed
            _add_missing(scatter, loadings[k], noise[k], missing, counts[:, k], some.spread[k])


def _add_missing(
    scatter: np.ndarray,
    loadings: np.ndarray,
    noise: np.ndarray,
    missing: np.ndarray,
    counts: np.ndarray,
    spread: np.ndarray,
) -> None:
    """Add the covariance that missing values have given the others, times what the rows of each mask count."""
    q = loadings.shape[1]
    left, right = np.triu_indices(q)
    packed = missing.T @ (counts[:, None] * spread[:, left, right])
    summed = np.empty((len(noise), q, q))
    summed[:, left, right] = summed[:, right, left] = packed
    along = (loadings[:, None, :] @ summed)[:, 0]
    scatter[:, :-1] += along
    scatter[:, -1] += noise * (counts @ missing) + np.einsum("dq,dq->d", along, loadings)


def _with_tails(
    marginals: Marginals, some: RowsByFactors, shares: np.ndarray, statistics: SufficientStatistics
) -> np.ndarray:
    """Add what a tail wants to statistics; return what rows weigh in sums and scatter, (n_rows, n_components)."""
    own = marginals.own_index
    dof = marginals.tail.degrees_of_freedom[own]
    u = (dof + some.n_observed[:, None]) / (dof + some.squares)
    mine, tails = shares[:, own], np.zeros((2, shares.shape[1]))
    tails[:, own] = (mine * u).sum(axis=0), (mine * (np.log(u) - u)).sum(axis=0)
    marginals.add_tail_sums(np.zeros(shares.shape[1]), tails, np.array(0), statistics)
    for n in np.unique(some.n_observed):
        marginals.add_tail_sums(shares[some.n_observed == n].sum(axis=0), 0.0 * tails, n, statistics)
    return mine * u


def answer(question: str, marginals: Marginals, patterns: Patterns, chosen: np.ndarray, out: np.ndarray) -> None:
    """Write 'log_density', 'responsibilities' or 'assign' of the rows of the patterns `chosen`."""
    for some in blocks(marginals, patterns, chosen):
        if question == "assign":
            out[some.index] = some.log_joint.argmax(axis=1)
        else:
            out[some.index] = some.log_density if question == "log_density" else some.shares
