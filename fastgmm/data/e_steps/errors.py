"""Rows that were measured with errors: extreme deconvolution.

The mixture is that of the true values. A pass takes the log-likelihood of what was measured, and what it leaves behind
are the expected statistics of the true values, so M-steps are those of rows without errors. Rows that have the same
errors are taken together, in an ordinary pass under a mixture that is wider by them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from fastgmm import kernels
from fastgmm.data.e_steps.base import EStep, Passes
from fastgmm.data.e_steps.incomplete import Incomplete
from fastgmm.data.e_steps.labelled import Labelled, labels_of
from fastgmm.data.e_steps.plain import Plain, empty_about
from fastgmm.data.incomplete import rows_worth_a_pass
from fastgmm.data.rows import MEASURED, ArrayRows, Block, Rows
from fastgmm.model import SufficientStatistics
from fastgmm.model.errors import Errors, alike, blurred, in_units_of_precision, of_true_values
from fastgmm.model.moments import add_part
from fastgmm.model.shapes import DIAGONAL, FULL

__all__ = ["ERRORS", "WithErrors", "components_of_true_values"]

#: The column of rows that says how each was measured: variances or covariances of its errors.
ERRORS = MEASURED


@dataclass(frozen=True)
class WithErrors(EStep):
    """Share out rows by the densities of what was measured; count true values.

    Attributes
    ----------
    common : ndarray of shape (n_features, n_features), optional
        Covariance of the errors of every row; unless given, rows have those of their own along as `ERRORS`.
    missing : bool
        Whether NaN in a row says that a value was not measured.
    known : EStep
        What else is asked of rows: nothing, known components, or either of rows that miss values.
    """

    common: np.ndarray | None = None
    missing: bool = False
    known: EStep = field(default_factory=Plain)

    def prepare(self, rows: Rows) -> Passes:
        """Return the passes over `rows`."""
        if self.common is not None:
            return _CommonPasses(self.known.prepare(rows), self.common)
        assert ERRORS in rows.columns, "rows with errors"
        return _GroupedPasses(rows, self) if isinstance(rows, ArrayRows) else _BlockPasses(rows, self)

    def grouped(self, rows: ArrayRows, shape: tuple[int, int], is_matrix: bool) -> Iterator[Passes]:
        """Yield passes over parts of the rows, which together are all: those of equal errors, and all others."""
        errors = Errors(np.require(rows.along[ERRORS], rows.dtype, ["C", "A"]))
        if self.missing:
            errors = errors.without(np.isnan(rows.X))
        groups, others = alike(errors, rows_worth_a_pass(*shape, is_matrix))
        for common, index in groups:
            known, part = self.known, rows.where(index)
            missing = np.isinf(np.diagonal(common))
            if missing.any():
                known, common = Incomplete(known), np.where(missing[:, None] | missing, 0.0, common)
                part.X[:, missing] = np.nan
            yield _CommonPasses(known.prepare(part), common)
        if len(others):
            part = rows if len(others) == rows.n_samples else rows.where(others)
            own = errors.of(others).values if part is not rows else errors.values
            yield _EachPasses(part.with_columns(**{ERRORS: own}), self.known)


class _CommonPasses(Passes):
    """All rows have the same errors: passes under a mixture that is wider by them."""

    def __init__(self, passes: Passes, errors: np.ndarray) -> None:
        super().__init__(passes.rows, passes.total_weight)
        self.passes, self.errors = passes, errors

    def _accumulate(self, density: Any) -> SufficientStatistics:
        wider = blurred(density, self.errors)
        return of_true_values(in_units_of_precision(self.passes.accumulate(wider), wider), density)


class _EachPasses(Passes):
    """Each row has its own errors."""

    rows: ArrayRows

    def __init__(self, rows: ArrayRows, known: EStep) -> None:
        super().__init__(rows, rows.total_weight)
        self.known = known

    def _accumulate(self, density: Any) -> SufficientStatistics:
        diagonal = self.rows.along[ERRORS].ndim == 2 and not density.shape.is_matrix
        components = components_of_true_values(density, diagonal)
        found = SufficientStatistics.zeros((DIAGONAL if diagonal else FULL).name, density.means)
        for block in self.rows.iterate():
            labels = labels_of(self.known, block) if isinstance(self.known, Labelled) else None
            kernels.accumulate_with_errors(block.rows, block.columns[ERRORS], block.weight, labels, components, found)
        return of_true_values(found, density)


class _GroupedPasses(Passes):
    """Rows of an array, which are sorted out once."""

    rows: ArrayRows

    def __init__(self, rows: ArrayRows, e_step: WithErrors) -> None:
        super().__init__(rows, rows.total_weight)
        self.e_step = e_step
        self._parts: list[Passes] = []

    def _accumulate(self, density: Any) -> SufficientStatistics:
        if not self._parts:
            self._parts = list(self.e_step.grouped(self.rows, density.means.shape, density.shape.is_matrix))
        statistics = empty_about(density)
        for passes in self._parts:
            add_part(statistics, passes.accumulate(density), slice(None))
        return statistics


class _BlockPasses(Passes):
    """Rows of a source, which are sorted out block by block."""

    def __init__(self, rows: Rows, e_step: WithErrors) -> None:
        super().__init__(rows, rows.total_weight)
        self.e_step = e_step

    def _accumulate(self, density: Any) -> SufficientStatistics:
        return self.rows.fold(partial(empty_about, density), partial(_add, self.e_step, density))


def components_of_true_values(density: Any, diagonal: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log weights, means and covariances, or variances, as the kernels of rows with errors read them."""
    with np.errstate(divide="ignore"):
        log_weights = np.log(density.weights)
    shape, sizes = density.shape, density.means.shape
    covariances = (shape.diagonals if diagonal else shape.full)(density.covariances, *sizes)
    return log_weights, density.means, np.ascontiguousarray(covariances)


def _add(e_step: WithErrors, density: Any, block: Block, statistics: SufficientStatistics) -> None:
    rows = ArrayRows(block.rows, block.weight, block.columns)
    for passes in e_step.grouped(rows, density.means.shape, density.shape.is_matrix):
        add_part(statistics, passes.accumulate(density), slice(None))
