"""Every row shared among all components."""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import Any

import numpy as np

from fastgmm import kernels
from fastgmm.data.e_steps.base import EStep, Passes
from fastgmm.data.rows import ArrayRows, Block, Rows, Source
from fastgmm.data.streamed_rows import StreamedRows
from fastgmm.model import SufficientStatistics

__all__ = ["Plain", "empty_about"]

#: From so many components on, a pass begins with the component that each row had in the one before.
MANY_COMPONENTS = 64


class Plain(EStep):
    """The E-step of EM itself."""

    def prepare(self, rows: Rows) -> Passes:
        """Return the passes over `rows`."""
        return _PlainPasses(rows, rows.total_weight)


class _PlainPasses(Passes):
    def __init__(self, rows: Rows, total_weight: float) -> None:
        super().__init__(rows, total_weight)
        self._leading: list[np.ndarray] = []  # of each block, where it is read by this process

    def prepare(self, rows: Rows) -> Passes:
        """Return these passes, for a run that begins anew."""
        self._leading = []
        return super().prepare(rows)

    def _accumulate(self, density: Any) -> SufficientStatistics:
        if not isinstance(self.rows, ArrayRows):
            # Checked once for many blocks, and it may travel: a posterior has further arrays.
            density = kernels.bind(density)
        empty, add = partial(empty_about, density), partial(_add, density)
        if isinstance(self.rows, (ArrayRows, StreamedRows)) and len(density.means) >= MANY_COMPONENTS:
            add = partial(_add_from_leading, density, self._leading, count())
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


def _add_from_leading(
    density: Any, leading: list[np.ndarray], numbers: count[int], block: Block, statistics: SufficientStatistics
) -> None:
    number = next(numbers)
    if number == len(leading):
        leading.append(np.full(len(block.rows), -1, dtype=np.int32))
    kernels.accumulate(block.rows, block.weight, density, statistics, leading[number])
