"""Rows of which some miss some features: what is missing is integrated out of whatever a pass asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastgmm.data.e_steps.base import EStep, Passes
from fastgmm.data.incomplete import Marginalised
from fastgmm.data.patterns import PatternedRows
from fastgmm.data.rows import ArrayRows, Block, Rows
from fastgmm.model import SufficientStatistics

__all__ = ["Incomplete"]


@dataclass(frozen=True)
class Incomplete(EStep):
    """Another E-step under the density of what each row has; exact where values are missing at random.

    Attributes
    ----------
    inner : EStep
        What is asked of rows that miss nothing.
    empty_weight : float
        Of the rows that have nothing, which leave nothing: a mean over rows is one without them.
    """

    inner: EStep
    empty_weight: float = 0.0

    def prepare(self, rows: Rows) -> Passes:
        """Return the passes over `rows`; of an array, patterns are found once."""
        if isinstance(rows, ArrayRows):
            rows = _KeptBlocks(rows.X.view(PatternedRows), rows.sample_weight, rows.along)
        return _IncompletePasses(self.inner.prepare(rows), self.empty_weight)


class _IncompletePasses(Passes):
    def __init__(self, inner: Passes, empty_weight: float) -> None:
        super().__init__(inner.rows, inner.total_weight - empty_weight)
        self._inner = inner

    def _accumulate(self, density: Any) -> SufficientStatistics:
        return self._inner.accumulate(Marginalised(density))


class _KeptBlocks(ArrayRows):
    """Rows in memory whose blocks stay the same arrays, so that their patterns are found once."""

    _blocks: list[Block] | None = None

    def iterate(self) -> Iterator[Block]:
        """Yield all rows in order."""
        if self._blocks is None:
            self._blocks = list(super().iterate())
        return iter(self._blocks)
