"""Rows that were measured with errors: extreme deconvolution.

The mixture is that of the true values. A pass takes the log-likelihood of what was measured, and what it leaves behind
are the expected statistics of the true values, so M-steps are those of rows without errors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from fastgmm import kernels
from fastgmm.data.e_steps.base import EStep, Passes
from fastgmm.data.e_steps.labelled import Labelled, labels_of
from fastgmm.data.e_steps.plain import Plain
from fastgmm.data.rows import Block, Rows
from fastgmm.model import SufficientStatistics
from fastgmm.model.errors import blurred, in_units_of_precision, of_true_values
from fastgmm.model.shapes import DIAGONAL, FULL

__all__ = ["ERRORS", "WithErrors", "components_of_true_values"]

#: The column of rows that says how each was measured: variances or covariances of its errors.
ERRORS = "errors"


@dataclass(frozen=True)
class WithErrors(EStep):
    """Share out rows by the densities of what was measured; count true values.

    Attributes
    ----------
    common : ndarray of shape (n_features, n_features), optional
        Covariance of the errors of every row; unless given, rows have those of their own along as `ERRORS`.
    are_variances : bool
        Whether those along are variances, else covariances.
    known : Plain or Labelled
        What else is asked of rows: nothing, or known components.
    """

    common: np.ndarray | None = None
    are_variances: bool = False
    known: EStep = field(default_factory=Plain)

    def prepare(self, rows: Rows) -> Passes:
        """Return the passes over `rows`."""
        if self.common is not None:
            return _CommonPasses(self.known.prepare(rows), self.common)
        assert ERRORS in rows.columns, "rows with errors"
        return _OwnPasses(rows, self)


class _CommonPasses(Passes):
    """All rows have the same errors: passes under a mixture that is wider by them."""

    def __init__(self, passes: Passes, errors: np.ndarray) -> None:
        super().__init__(passes.rows, passes.total_weight)
        self.passes, self.errors = passes, errors

    def _accumulate(self, density: Any) -> SufficientStatistics:
        wider = blurred(density, self.errors)
        return of_true_values(in_units_of_precision(self.passes.accumulate(wider), wider), density)


class _OwnPasses(Passes):
    """Each row has its own errors."""

    def __init__(self, rows: Rows, e_step: WithErrors) -> None:
        super().__init__(rows, rows.total_weight)
        self.e_step = e_step

    def _accumulate(self, density: Any) -> SufficientStatistics:
        diagonal = self.e_step.are_variances and not density.shape.is_matrix
        components = components_of_true_values(density, diagonal)
        empty = partial(SufficientStatistics.zeros, (DIAGONAL if diagonal else FULL).name, density.means)
        return of_true_values(self.rows.fold(empty, partial(_add, self.e_step.known, components)), density)


def components_of_true_values(density: Any, diagonal: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log weights, means and covariances, or variances, as the kernels of rows with errors read them."""
    with np.errstate(divide="ignore"):
        log_weights = np.log(density.weights)
    shape, sizes = density.shape, density.means.shape
    covariances = (shape.diagonals if diagonal else shape.full)(density.covariances, *sizes)
    return log_weights, density.means, np.ascontiguousarray(covariances)


def _add(known: EStep, components: Any, block: Block, statistics: SufficientStatistics) -> None:
    errors = np.require(block.columns[ERRORS], block.rows.dtype, ["C", "A"])
    labels = labels_of(known, block) if isinstance(known, Labelled) else None
    kernels.accumulate_with_errors(block.rows, errors, block.weight, labels, components, statistics)
