"""Every row shared among all components."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastgmm import kernels
from fastgmm.data.e_steps.base import EStep, Passes
from fastgmm.data.rows import Block, Rows
from fastgmm.model import SufficientStatistics
from fastgmm.model.moments import Components

__all__ = ["Plain", "empty_about", "read_by_kernels"]


class Plain(EStep):
    """The E-step of EM itself."""

    def prepare(self, rows: Rows) -> Passes:
        """Return the passes over `rows`."""
        return _PlainPasses(rows, rows.total_weight)


class _PlainPasses(Passes):
    def _accumulate(self, density: Any) -> SufficientStatistics:
        density = read_by_kernels(density)
        return self.rows.fold(partial(empty_about, density), partial(_add, density))


def read_by_kernels(density: Any) -> Components:
    """Return what the kernels read of a density, and no more: it may travel, and a posterior has further arrays."""
    return Components(density.structure, density.log_offset, density.means, density.precisions_cholesky)


def empty_about(density: Any) -> SufficientStatistics:
    """Return empty statistics about the means of a density."""
    return SufficientStatistics.zeros(density.structure, density.means)


def _add(density: Any, block: Block, statistics: SufficientStatistics) -> None:
    kernels.accumulate(block.rows, block.weight, density, statistics)
