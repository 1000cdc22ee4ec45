"""When a run of EM has converged, and how far it still has to go.

The change of the bound says how fast EM moves, not how far it is: at a rate of 0.99 per iteration a hundred times the
last change is still to come. Aitken's estimate of the limit takes the rate from the last two changes.

References
----------
Boehning et al. (1994), The distribution of the likelihood ratio for mixtures of densities from the one-parameter
exponential family, Annals of the Institute of Statistical Mathematics 46, section 4 (Aitken's criterion for EM).
"""

from __future__ import annotations

import math
from collections import deque

from fastgmm.em.acceleration import QuasiNewton

__all__ = ["STOP_ON", "StoppingRule"]

#: Values of the estimators' parameter ``stop_on``.
STOP_ON = ("change", "gap")


#: Share of `tol` below which a change says enough by itself: only a rate above 0.999 could carry it to `tol`.
NEGLIGIBLE = 1e-3
#: Steps of known curvature from which the accelerator's estimate counts.
ENOUGH_PAIRS = 8
#: Iterations without a rise beyond rounding that end a run: on a plateau that rises by a tenth of the rounding of a
#: bound in each, they still add up to more than its largest fall.
STALLED = 20
#: Most that rounding changes a bound in an iteration, in units of ``unit_roundoff * abs(bound)``; up to 2.5 is seen.
ROUNDING = 4.0


class StoppingRule:
    """Tells when a run has converged.

    Parameters
    ----------
    stop_on : {'change', 'gap'}
        'change': the bound changed by less than `tol`, scikit-learn's rule. After an accelerated step, which can
        come out level on the other side of a ridge, a plain step must promise less than `tol` as well.
        'gap': the estimated distance to the limit was below `tol` in two iterations in a row, and the change
        between them too. With an accelerator the estimate counts once it rests on `ENOUGH_PAIRS` steps, or while
        plain EM more than halves its change each time: on a plateau all estimates are too small at first.
    tol : float
        In nats, of the unit of the bound.
    accelerator : QuasiNewton or None
        Whose estimates are used once it is active.
    unit_roundoff : float
        Of the precision of passes. 'change' is met as well once the bound only goes up and down by its rounding, as
        that of many float32 rows does above a small `tol`; never for a `tol` of zero.
    """

    def __init__(self, stop_on: str, tol: float, accelerator: QuasiNewton | None, unit_roundoff: float = 0.0) -> None:
        self.on_gap = stop_on == "gap"
        self.tol = tol
        self.accelerator = accelerator
        self.unit_roundoff = unit_roundoff
        self._recent: deque[float] = deque(maxlen=STALLED)
        self._change = self._last_change = math.nan
        self._was_near = False

    @property
    def gap(self) -> float:
        """Estimate of what the bound lacks of its limit; infinite while changes grow, NaN where nothing is known."""
        if self.accelerator is not None and self.accelerator.active:
            return self.accelerator.gap
        change, before = self._change, self._last_change
        if not math.isfinite(before):
            return math.nan
        if change <= 0.0:
            return 0.0
        return change * change / (before - change) if before > change else math.inf

    def is_met(self, change: float, bound: float) -> bool:
        """Take note of the bound and its change in an iteration and return whether the run has converged."""
        self._last_change, self._change = self._change, change
        self._recent.append(change)
        small = abs(change) < self.tol
        if self.on_gap:
            is_near = self.gap < self.tol and self._is_informed()
            met = small and is_near and self._was_near
            self._was_near = is_near
            return met
        if small and self.accelerator is not None and self.accelerator.active:
            return self.accelerator.plain_gain < self.tol
        return small or self._is_rounding(bound)

    def _is_rounding(self, bound: float) -> bool:
        # EM lowers its bound by rounding only, so falls tell how much of a rise is rounding.
        if self.tol == 0.0 or len(self._recent) < STALLED:
            return False
        fall = -min(self._recent)
        return sum(self._recent) < fall <= ROUNDING * self.unit_roundoff * abs(bound)

    def _is_informed(self) -> bool:
        if self.accelerator is None or abs(self._change) <= NEGLIGIBLE * self.tol:
            return True
        if self.accelerator.active:
            return self.accelerator.n_pairs >= ENOUGH_PAIRS
        return abs(self._change) < 0.5 * abs(self._last_change)
