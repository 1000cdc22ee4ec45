"""E-steps, and the passes that a fit makes of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from fastgmm.data.rows import Rows
from fastgmm.model import SufficientStatistics

__all__ = ["EStep", "Passes"]


class EStep(ABC):
    """What a pass asks of every block: a value, independent of rows and family."""

    #: Whether the likelihood is a smooth function of the state, along which a run can be accelerated.
    is_smooth: ClassVar[bool] = True

    @abstractmethod
    def prepare(self, rows: Rows) -> Passes:
        """Return the passes over `rows`; what a fit needs once is done here."""

    def check_takes(self, what: str) -> None:
        """Raise where these passes are not for rows that have something besides: `what` names it in the message."""
        return None


class Passes(ABC):
    """The passes of one fit, counted.

    Attributes
    ----------
    rows : Rows
    total_weight : float
        What the log-likelihood of a pass is divided by.
    n_made : int
        Passes made, those of runs that failed included.
    may_go_back : bool
        Whether a pass under parameters of before comes to what it came to then: what accelerators rely on.
    asked_per_row : float
        Components whose density the last pass evaluated for a row, where that is not all of them; otherwise NaN.
    """

    may_go_back = True
    asked_per_row = float("nan")

    def __init__(self, rows: Rows, total_weight: float) -> None:
        self.rows = rows
        self.total_weight = total_weight
        self.n_made = 0

    def prepare(self, rows: Rows) -> Passes:
        """Return these passes: they are prepared."""
        assert rows is self.rows, "passes are over the rows they were prepared for"
        return self

    def accumulate(self, density: Any) -> SufficientStatistics:
        """Return the statistics of one pass under `density`, about its means."""
        self.n_made += 1
        return self._accumulate(density)

    @abstractmethod
    def _accumulate(self, density: Any) -> SufficientStatistics:
        """Make a pass."""

    def attributes(self, density: Any) -> dict[str, Any]:
        """Return what these passes have to tell of the mixture they led to, as fitted attributes."""
        return {}
