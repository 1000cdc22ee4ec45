"""Passes over rows of many patterns of missing values, a few rows or one to each.

With Q the precision of what a row has, by itself and zero elsewhere, ``v = Q (x - c)`` is all that sums and scatter
need of a row: it adds ``S v`` and ``S + S (v v^T - Q) S``. The kernels of rows with errors of measurement sum just that
for normal components. For others, and beside a background, masks are inverted side by side, some hundreds at a time,
and what is left is products of arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fastgmm import kernels
from fastgmm.data.patterns import Patterns
from fastgmm.model import MixtureParameters, SufficientStatistics
from fastgmm.model.errors import kept_scatter, of_true_values
from fastgmm.model.marginals import Marginals
from fastgmm.model.shapes import DIAGONAL, FULL

__all__ = ["Answers", "SomeRows", "accumulate", "assign", "blocks", "is_compiled", "log_density", "responsibilities"]

#: Numbers in the matrices of the masks in hand: they stay in a cache.
BLOCK_VALUES = 1 << 16

#: Most that a variance times its precision may be where what is missing is factorised, not what is there: distances
#: are then differences of larger ones by about as much.
MOST_INFLATED = 64.0


@dataclass(frozen=True)
class Answers:
    """Some rows: their numbers, which of some masks each has, and what components say of them.

    Attributes
    ----------
    index, which : ndarray of shape (n_rows,), int64
    n_observed : ndarray of shape (n_rows,)
    squares : ndarray of shape (n_rows, n_components)
        Squared distances, of the components without a background.
    log_joint : ndarray of shape (n_rows, n_components)
        Of all components, in nats.
    """

    index: np.ndarray
    which: np.ndarray
    n_observed: np.ndarray
    squares: np.ndarray
    log_joint: np.ndarray

    @property
    def log_density(self) -> np.ndarray:
        """Log of the sum over components, (n_rows,), in nats."""
        return np.logaddexp.reduce(self.log_joint, axis=1)

    @property
    def shares(self) -> np.ndarray:
        """Posterior probabilities, (n_rows, n_components); equal ones where there is no density."""
        best = self.log_joint.max(axis=1, keepdims=True)
        share = np.exp(np.where(best > -np.inf, self.log_joint - np.where(best > -np.inf, best, 0.0), 0.0))
        return share / share.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class SomeRows(Answers):
    """Answers, and what they are made of.

    Attributes
    ----------
    masks : ndarray of shape (n_rows, n_features), bool
        True where a feature is observed.
    precisions : ndarray of shape (n_masks, n_components or 1, ...)
    whitened : ndarray of shape (n_rows, n_components, n_features)
        ``Q (x - c)``, of the components without a background.
    """

    masks: np.ndarray
    precisions: np.ndarray
    whitened: np.ndarray


def blocks(marginals: Marginals, patterns: Patterns, chosen: np.ndarray) -> Iterator[SomeRows]:
    """Yield the rows of the patterns `chosen`, none of which has all features, some patterns and rows at a time."""
    n_own, n_features = marginals.means.shape
    per_mask = max(1, n_own) * n_features * (n_features if marginals.shape.is_matrix else 1)
    size = max(1, BLOCK_VALUES // per_mask)
    for start in range(0, len(chosen), size):
        masks = patterns.masks[chosen[start : start + size]]
        precisions, half_log_det = marginals.shape.observed_precisions(marginals.covariances, masks)
        offset = marginals.log_offsets(masks.sum(axis=1), half_log_det)
        if marginals.background is not None:
            background = np.array([marginals.background_offset(mask) for mask in masks])
            offset = np.insert(offset, marginals.background, background, axis=1)
        every, which = patterns.rows(chosen[start : start + size])
        for first in range(0, len(every), size):
            part = slice(first, first + size)
            yield _some_rows(marginals, patterns, every[part], which[part], masks, precisions, offset)


def _some_rows(
    marginals: Marginals,
    patterns: Patterns,
    index: np.ndarray,
    which: np.ndarray,
    masks: np.ndarray,
    precisions: np.ndarray,
    offset: np.ndarray,
) -> SomeRows:
    own, rows = marginals.own_index, patterns.values(index).astype(np.float64)
    masks = masks[which]
    centred = np.where(masks[:, None, :], rows[:, None, :] - marginals.means, 0.0)
    whitened = marginals.shape.times(precisions[which], centred)
    squares, n_observed = np.einsum("nkd,nkd->nk", whitened, centred), masks.sum(axis=1)
    joint = offset[which]
    if marginals.tail is None:
        joint[:, own] -= 0.5 * squares
    else:
        dof = marginals.tail.degrees_of_freedom[own]
        joint[:, own] -= 0.5 * (dof + n_observed[:, None]) * np.log1p(squares / dof)
    joint[np.isnan(joint)] = -np.inf
    return SomeRows(index, which, n_observed, squares, joint, masks, precisions, whitened)


def is_compiled(marginals: Marginals) -> bool:
    """Return whether the kernels have these passes: of normal components without a background."""
    return marginals.tail is None and marginals.background is None


class _Compiled:
    """Passes of rows of their own patterns as the kernels of rows with errors have them: what is NaN is not measured.

    Of normal components without a background, whose offsets are log weights beside the normaliser.
    """

    def __init__(self, marginals: Marginals) -> None:
        shape, sizes = marginals.shape, marginals.means.shape
        whole = (shape.full if shape.is_matrix else shape.diagonals)(marginals.covariances, *sizes)
        log_weights = marginals.log_weights
        self.components = log_weights, np.ascontiguousarray(marginals.means), np.ascontiguousarray(whole)
        self.parameters = MixtureParameters(
            shape.name, log_weights, marginals.means, marginals.covariances, marginals.density.precisions_cholesky
        )
        self.by_what_is_missing = True
        if shape.is_matrix:
            precisions = shape.diagonals(shape.precisions(marginals.density.precisions_cholesky), *sizes)
            inflation = shape.diagonals(marginals.covariances, *sizes) * precisions
            self.by_what_is_missing = bool(inflation.max() <= MOST_INFLATED)

    def errors(self, rows: np.ndarray) -> np.ndarray | None:
        """Return what the kernels take for the errors of rows: none, or infinite ones where values are missing."""
        return None if self.by_what_is_missing else np.where(np.isnan(rows), np.inf, 0.0).astype(rows.dtype)

    @classmethod
    def of(cls, marginals: Marginals) -> _Compiled | None:
        """Return these passes, or None where the kernels do not have them."""
        return cls(marginals) if is_compiled(marginals) else None

    def accumulate(self, rows: np.ndarray, weight: np.ndarray | None, statistics: SufficientStatistics) -> None:
        """Add rows to statistics about the means, in place."""
        shape = FULL if self.parameters.shape.is_matrix else DIAGONAL
        found = SufficientStatistics.zeros(shape.name, self.parameters.means)
        kernels.accumulate_with_errors(rows, self.errors(rows), weight, None, self.components, found)
        if not self.by_what_is_missing:
            found = of_true_values(found, self.parameters)
        statistics.counts += found.counts
        statistics.sums += found.sums
        statistics.scatter += kept_scatter(found.scatter, found.shape, statistics.shape, found.centres.shape)
        statistics.log_likelihood += found.log_likelihood


def accumulate(
    marginals: Marginals,
    patterns: Patterns,
    chosen: np.ndarray,
    sample_weight: np.ndarray | None,
    statistics: SufficientStatistics,
) -> None:
    """Add the rows of the patterns `chosen` to statistics about the means, in place."""
    compiled = _Compiled.of(marginals)
    if compiled is not None:
        index, rows = patterns.gathered(chosen)
        if len(index):
            compiled.accumulate(rows, None if sample_weight is None else sample_weight[index], statistics)
        return
    own = marginals.own_index
    target = statistics.scatter if marginals.background is None else statistics.scatter[own]
    sums = np.zeros(marginals.means.shape)
    for some in blocks(marginals, patterns, chosen):
        shares, density = some.shares, some.log_density
        if sample_weight is not None:
            weight = sample_weight[some.index]
            shares, density = shares * weight[:, None], np.where(weight > 0, weight * density, 0.0)
        statistics.log_likelihood += float(density.sum())
        statistics.counts += shares.sum(axis=0)
        mine = shares[:, own]
        counts = np.zeros((len(some.precisions), mine.shape[1]))
        np.add.at(counts, some.which, mine)
        if marginals.tail is not None and statistics.tail_sums is not None:
            dof = marginals.tail.degrees_of_freedom[own]
            u = (dof + some.n_observed[:, None]) / (dof + some.squares)
            tails = np.zeros_like(statistics.tail_sums)
            tails[:, own] = (mine * u).sum(axis=0), (mine * (np.log(u) - u)).sum(axis=0)
            marginals.add_tail_sums(np.zeros(len(shares[0])), tails, np.array(0), statistics)
            for n in np.unique(some.n_observed):
                marginals.add_tail_sums(shares[some.n_observed == n].sum(axis=0), 0.0 * tails, n, statistics)
            mine = mine * u
        weighted = mine[:, :, None] * some.whitened
        marginals.shape.add_expected(
            sums, target, marginals.covariances, weighted, some.whitened, counts, some.precisions
        )
    statistics.sums[own] += sums
    if marginals.background is not None:
        statistics.scatter[own] = target


def log_density(marginals: Marginals, patterns: Patterns, chosen: np.ndarray, out: np.ndarray) -> None:
    """Write the log density of the rows of the patterns `chosen`, in nats."""
    if not _answer("log_density", marginals, patterns, chosen, out):
        for some in blocks(marginals, patterns, chosen):
            out[some.index] = some.log_density


def responsibilities(marginals: Marginals, patterns: Patterns, chosen: np.ndarray, out: np.ndarray) -> None:
    """Write the posterior probabilities of the rows of the patterns `chosen`."""
    if not _answer("responsibilities", marginals, patterns, chosen, out):
        for some in blocks(marginals, patterns, chosen):
            out[some.index] = some.shares


def assign(marginals: Marginals, patterns: Patterns, chosen: np.ndarray, out: np.ndarray) -> None:
    """Write the most probable component of the rows of the patterns `chosen`."""
    if not _answer("assign", marginals, patterns, chosen, out):
        for some in blocks(marginals, patterns, chosen):
            out[some.index] = some.log_joint.argmax(axis=1)


def _answer(question: str, marginals: Marginals, patterns: Patterns, chosen: np.ndarray, out: np.ndarray) -> bool:
    """Write the answers that the kernels have; return whether they have them."""
    compiled = _Compiled.of(marginals)
    if compiled is None:
        return False
    index, rows = patterns.gathered(chosen)
    if len(index):
        found = np.empty((len(index), *out.shape[1:]), dtype=out.dtype)
        out[index] = kernels.answer_with_errors(question, rows, compiled.errors(rows), compiled.components, found)
    return True
