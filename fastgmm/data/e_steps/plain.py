"""Every row shared among all components."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fastgmm import kernels
from fastgmm.data.e_steps.base import EStep, Passes
from fastgmm.data.rows import ArrayRows, Block, Rows, Source
from fastgmm.model import SufficientStatistics

__all__ = ["Plain", "empty_about"]


class Plain(EStep):
    """The E-step of EM itself."""

    def prepare(self, rows: Rows) -> Passes:
        """Return the passes over `rows`."""
        return _PlainPasses(rows, rows.total_weight)


class _PlainPasses(Passes):
    def _accumulate(self, density: Any) -> SufficientStatistics:
        if not isinstance(self.rows, ArrayRows):
            # Checked once for many blocks, and it may travel: a posterior has further arrays.
            density = kernels.bind(density)
        empty, add = partial(empty_about, density), partial(_add, density)
        if isinstance(self.rows, Source):
            return self.rows.fold(empty, add, finite=_finite)
        return self.rows.fold(empty, add)


def empty_about(density: Any) -> SufficientStatistics:
    """Return empty statistics about the means of a density."""
    return SufficientStatistics.zeros(density.structure, density.means, getattr(density, "tail", None))


def _finite(statistics: SufficientStatistics) -> bool:
    """Return whether no row had a number that is not finite.

    Such a row has no finite log density; or if it has, as beside a background, then a component that takes a share
    of it, and with it its numbers.
    """
    return bool(np.isfinite(statistics.log_likelihood) and np.isfinite(statistics.sums).all())


def _add(density: Any, block: Block, statistics: SufficientStatistics) -> None:
    kernels.accumulate(block.rows, block.weight, density, statistics)
