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

from fastgmm.em.acceleration import QuasiNewton

__all__ = ["STOP_ON", "StoppingRule"]

#: Values of the estimators' parameter ``stop_on``.
STOP_ON = ("change", "gap")


#: Share of `tol` below which a change says enough by itself: only a rate above 0.999 could carry it to `tol`.
NEGLIGIBLE = 1e-3
#: Steps of known curvature from which the accelerator's estimate counts.
ENOUGH_PAIRS = 8


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
    """

    def __init__(self, stop_on: str, tol: float, accelerator: QuasiNewton | None) -> None:
        self.on_gap = stop_on == "gap"
        self.tol = tol
        self.accelerator = accelerator
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

    def is_met(self, change: float) -> bool:
        """Take note of the bound's change in an iteration and return whether the run has converged."""
        self._last_change, self._change = self._change, change
        small = abs(change) < self.tol
        if self.on_gap:
            is_near = self.gap < self.tol and self._is_informed()
            met = small and is_near and self._was_near
            self._was_near = is_near
            return met
        if small and self.accelerator is not None and self.accelerator.active:
            return self.accelerator.plain_gain < self.tol
        return small

    def _is_informed(self) -> bool:
        if self.accelerator is None or abs(self._change) <= NEGLIGIBLE * self.tol:
            return True
        if self.accelerator.active:
            return self.accelerator.n_pairs >= ENOUGH_PAIRS
        return abs(self._change) < 0.5 * abs(self._last_change)
