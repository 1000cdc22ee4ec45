"""Passes over rows of many patterns of missing values, a few rows or one to each.

With Q the precision of what a row has, by itself and zero elsewhere, ``v = Q (x - c)`` is all that sums and scatter
need of a row: it adds ``S v`` and ``S + S (v v^T - Q) S``. The kernels of rows with errors of measurement sum that.
Where what is asked of each row is more than they answer, as for draws, masks are inverted side by side, some hundreds
at a time, and what is left is products of arrays: `blocks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from fastgmm import kernels
from fastgmm.data.patterns import Patterns
from fastgmm.model import MixtureParameters, SufficientStatistics
from fastgmm.model.errors import kept_scatter, of_true_values
from fastgmm.model.marginals import Marginals
from fastgmm.model.shapes import DIAGONAL, FULL

__all__ = ["Answers", "SomeRows", "accumulate", "answer", "blocks"]

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


class _Compiled:
    """Passes of rows of their own patterns as the kernels of rows with errors have them: what is NaN is not measured.

    What is no component, a background, is given as its log density at each row.
    """

    def __init__(self, marginals: Marginals) -> None:
        shape, sizes = marginals.shape, marginals.means.shape
        whole = (shape.full if shape.is_matrix else shape.diagonals)(marginals.covariances, *sizes)
        factor = shape.take(marginals.density.precisions_cholesky, marginals.own_index)
        self.marginals, self.tail = marginals, None
        log_weights = marginals.log_weights
        if marginals.tail is not None:
            log_weights, self.tail = np.zeros(len(whole)), marginals.tail_terms
        self.components = log_weights, np.ascontiguousarray(marginals.means), np.ascontiguousarray(whole)
        self.parameters = MixtureParameters(shape.name, log_weights, marginals.means, marginals.covariances, factor)
        self.by_what_is_missing = True
        if shape.is_matrix:
            precisions = shape.diagonals(shape.precisions(factor), *sizes)
            inflation = shape.diagonals(marginals.covariances, *sizes) * precisions
            self.by_what_is_missing = bool(inflation.max(initial=0.0) <= MOST_INFLATED)

    def errors(self, rows: np.ndarray) -> np.ndarray | None:
        """Return what the kernels take for the errors of rows: none, or infinite ones where values are missing."""
        return None if self.by_what_is_missing else np.where(np.isnan(rows), np.inf, 0.0).astype(rows.dtype)

    def other(self, rows: np.ndarray) -> np.ndarray | None:
        """Return the log density of a background at each row, None where there is none."""
        return None if self.marginals.background is None else self.marginals.background_offsets(~np.isnan(rows))

    def accumulate(self, rows: np.ndarray, weight: np.ndarray | None, statistics: SufficientStatistics) -> None:
        """Add rows to statistics about the means, in place."""
        marginals, own = self.marginals, self.marginals.own_index
        shape = FULL if marginals.shape.is_matrix else DIAGONAL
        found = SufficientStatistics.zeros(shape.name, self.parameters.means, self.tail)
        other, counts = self.other(rows), np.zeros(marginals.n_components)
        kernels.accumulate_with_errors(
            rows, self.errors(rows), weight, None, self.components, found, other, self.tail, counts
        )
        found.counts += counts[: len(own)]
        if not self.by_what_is_missing:
            found = replace(of_true_values(found, self.parameters), tail_sums=found.tail_sums)
        statistics.counts[own] += counts[: len(own)]
        if marginals.background is not None:
            statistics.counts[marginals.background] += counts[-1]
        statistics.sums[own] += found.sums
        target = statistics.scatter if marginals.background is None else statistics.scatter[own]
        target += kept_scatter(found.scatter, found.shape, statistics.shape, found.centres.shape)
        if marginals.background is not None:
            statistics.scatter[own] = target
        if statistics.tail_sums is not None and found.tail_sums is not None:
            statistics.tail_sums[:, own] += found.tail_sums
        statistics.log_likelihood += found.log_likelihood

    def answer(self, question: str, rows: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Write what a question about rows is answered to `out`, and return it in the order of the components."""
        other, background = self.other(rows), self.marginals.background
        if not len(self.marginals.own_index):  # a background alone, which no kernel is asked for
            out[...] = {"log_density": other, "responsibilities": 1.0, "assign": background}[question]
            return out
        found = kernels.answer_with_errors(question, rows, self.errors(rows), self.components, out, other, self.tail)
        if background is None or question == "log_density":
            return found
        # The background, which comes last there, has its place among the components.
        places = np.append(self.marginals.own_index, background)
        return places[found] if question == "assign" else found[:, np.argsort(places)]


def accumulate(
    marginals: Marginals,
    patterns: Patterns,
    chosen: np.ndarray,
    sample_weight: np.ndarray | None,
    statistics: SufficientStatistics,
) -> None:
    """Add the rows of the patterns `chosen` to statistics about the means, in place."""
    index, rows = patterns.gathered(chosen)
    if len(index):
        _Compiled(marginals).accumulate(rows, None if sample_weight is None else sample_weight[index], statistics)


def answer(question: str, marginals: Marginals, patterns: Patterns, chosen: np.ndarray, out: np.ndarray) -> None:
    """Write 'log_density', 'responsibilities' or 'assign' of the rows of the patterns `chosen`."""
    index, rows = patterns.gathered(chosen)
    if len(index):
        found = np.empty((len(index), *out.shape[1:]), dtype=out.dtype)
        out[index] = _Compiled(marginals).answer(question, rows, found)
