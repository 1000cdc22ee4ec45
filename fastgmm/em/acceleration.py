"""Accelerated EM: a quasi-Newton method on EM's own steps.

An EM step ``r = M(theta) - theta`` is, to first order, the gradient of the log-likelihood divided by the complete-data
information ``C`` (Xu and Jordan). EM is slow where the rows say much less than the completed rows would. So the
gradient is taken to be ``g = C r``, the inverse Hessian is estimated by L-BFGS from the changes of g along the
iterations, starting from a multiple of ``C^-1`` at the current mixture, and the next mixture proposed is the
quasi-Newton step. The fixed points are EM's, whatever the M-step: maximum likelihood, any covariance family, a prior.

Nothing is taken on trust. The driver keeps a proposal only if the log-likelihood does not fall and takes the plain
step otherwise, so a failure costs one pass; after failures in a row 1, 2, 4, ... plain steps are made before the
next proposal. A proposal is at first at most 4 times as long as the plain step; the allowance is multiplied by 4 when
one is kept, and falls to a quarter of what failed. None is made while a component still moves by more than `SETTLED` of
its own standard deviation in a step, nor one that moves it by more than `FARTHEST`: from states on the move and by long
strides runs left the basin of plain EM's sequence. Damped steps, ``(B + C / h) d = g`` with h led by how well the last
step was foreseen, left it less often (0.8% instead of 1.2% of 496 fits ended lower, at 5% more passes saved), but take
2.3 times the time per pass at 300 x 2: a fit took 47 ms instead of 14.

It begins once plain EM is seen to converge slowly: three ratios of successive changes of the log-likelihood in a row
between a half and one, and at least `WORTHWHILE` more plain passes to the tolerance at the last ratio. Until then, and
in a fit that needs fewer, the states are plain EM's to the last bit. On few rows a proposal costs more than a pass
(`proposal_cost`), and more plain passes must be still to come.

Measured against SQUAREM and Anderson's method, also in these coordinates and in this metric: see docs/convergence.md.

References
----------
Lange (1995), A quasi-Newton acceleration of the EM algorithm, Statistica Sinica 5. Jamshidian and Jennrich (1997),
Acceleration of the EM algorithm by using quasi-Newton methods, JRSS B 59, section 3 (QN2: from the EM step's metric).
Nocedal and Wright (2006), Numerical Optimization, algorithm 7.4 (L-BFGS).
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np

from fastgmm.exceptions import ComponentCollapseError
from fastgmm.families.base import Family

#: Values of the estimators' parameter ``acceleration`` beside None.
ACCELERATIONS = ("quasi-newton",)

__all__ = ["ACCELERATIONS", "QuasiNewton", "proposal_cost"]

#: Pairs of steps and gradient changes kept.
MEMORY = 10
#: Ratios of successive changes between this and one, `LINEAR` in a row, show slow linear convergence.
SLOW = 0.5
LINEAR = 3
#: Plain passes still to come below which acceleration does not begin.
WORTHWHILE = 10.0
#: Accelerated passes that `n` plain ones come to are about ``FEWEST + GROWING sqrt(n)``; one for one at `WORTHWHILE`.
GROWING = 2.0
FEWEST = WORTHWHILE - GROWING * math.sqrt(WORTHWHILE)
#: Work in multiply-adds: of a proposal beside its pass, and of a pass beside its rows.
PROPOSAL_WORK, PASS_WORK = 1e6, 1e5
#: Longest proposal at first, in lengths of the plain step; what a success multiplies and a failure divides it by.
ALLOWANCE = GROWTH = 4.0
SHRINKAGE = 0.25
#: Most plain steps between a failure and the next proposal.
LONGEST_PAUSE = 64
#: Longest step of plain EM, for the component that it moves most and per row of it, from which a proposal is made: one
#: in a state that is still on the move leads to another optimum than plain EM's. And the longest proposal.
SETTLED, FARTHEST = 0.03, 0.3
#: Curvature along a step, as a cosine, below which the pair is left out: the function is not concave there.
LEAST_CURVATURE = 1e-8


def proposal_cost(family: Family, n_samples: float, n_features: int, n_components: int) -> float:
    """Return about what a proposal costs beside its pass, in passes: 8 for 300 x 2, K=3, a hundredth for 200k x 16.

    It depends on family and sizes alone, as the states that a fit goes through must. Where the M-step is itself some
    algebra (covariances with shared volumes, shapes or orientations) a proposal is counted as free.
    """
    if not family.is_closed_form:
        return 0.0
    return PROPOSAL_WORK / (PASS_WORK + n_samples * n_components * (16.0 + n_features**2))


class QuasiNewton:
    """Proposes states to a run of EM.

    Parameters
    ----------
    family : Family
        That has coordinates.
    tol : float
        Of the run, in nats per unit of weight.
    worthwhile : float
        Plain passes still to come from which on acceleration begins; -inf to begin whatever they are.
    cost : float
        What a proposal costs beside its pass, in passes; see `proposal_cost`.

    Attributes
    ----------
    active : bool
        Whether plain EM was found slow.
    plain_gain : float
        What a plain step would gain by its own length, in nats per unit of weight. NaN while not active.
    """

    def __init__(self, family: Family, tol: float, worthwhile: float = WORTHWHILE, cost: float = 0.0) -> None:
        self.family = family
        self.tol = tol
        self.worthwhile = worthwhile
        self.cost = cost
        self.active = False
        self.plain_gain = math.nan
        self._bound, self._change, self._n_linear = -math.inf, 0.0, 0
        self._coordinates: Any = None
        #: Coordinates of the last state kept; the plain step from there, its gradient, the state it leads to.
        self._values: Any = None
        self._step: Any = None
        self._gradient: Any = None
        self._information: Any = None
        self._following: Any = None
        self._direction: Any = None
        self._pairs: deque = deque(maxlen=MEMORY)
        self._allowance, self._proposed_length = ALLOWANCE, 0.0
        self._pause = self._n_failures = 0

    @property
    def n_pairs(self) -> int:
        """Number of steps, at most `MEMORY`, whose curvature is known."""
        return len(self._pairs)

    @property
    def gap(self) -> float:
        """Estimate of what is to come, in nats per unit of weight: half the Newton decrement. NaN if not active."""
        return 0.5 * float(self._gradient @ self._newton_step()) if self.active else math.nan

    def observe(self, state: Any, following: Any, bound: float) -> None:
        """Take note of a state that was kept, its bound and the state that plain EM makes of it."""
        change, self._bound = bound - self._bound, bound
        if not self.active:
            self._watch(change)
            if not self.active:
                return
        elif self._proposed_length:
            self._n_failures = 0
            self._allowance = max(self._allowance, GROWTH * self._proposed_length)
            self._proposed_length = 0.0
        else:
            self._pause -= 1
        try:
            self._measure(state, following)
        except np.linalg.LinAlgError:
            # A factor too near singular to measure steps by; plain EM needs no such measure.
            self.active, self.worthwhile = False, math.inf

    def _measure(self, state: Any, following: Any) -> None:
        """Take the plain step from a state, its gradient, and what the last step says of the curvature."""
        if self._coordinates is None:
            self._coordinates = self.family.coordinates(state)
        values = self._coordinates.encode(state)
        step = self._coordinates.encode(following) - values
        information = self._coordinates.information(state)
        gradient = information.apply(step)
        if self._values is not None:
            self._remember(values - self._values, self._gradient - gradient)
        self._values, self._step, self._gradient, self._following = values, step, gradient, following
        self._information, self._direction = information, None
        self.plain_gain = float(gradient @ step)

    def _watch(self, change: float) -> None:
        # The first change is infinite, from no bound at all, and a ratio to it zero.
        ratio = change / self._change if self._change > 0 else 0.0
        self._change = change
        self._n_linear = self._n_linear + 1 if SLOW < ratio < 1.0 else 0
        if self._n_linear >= LINEAR:
            to_come = math.log(max(self.tol, 1e-300) / change) / math.log(ratio)
            accelerated = FEWEST + GROWING * math.sqrt(max(to_come, 0.0))
            self.active = to_come >= self.worthwhile and (
                self.worthwhile == -math.inf or to_come >= accelerated * (1.0 + self.cost)
            )

    def _remember(self, moved: np.ndarray, fell: np.ndarray) -> None:
        curvature = float(moved @ fell)
        if curvature > LEAST_CURVATURE * math.sqrt((moved @ moved) * (fell @ fell)):
            self._pairs.append((moved, fell, 1.0 / curvature))

    def _newton_step(self) -> np.ndarray:
        """Return the estimated inverse Hessian times the gradient; the plain step where that does not ascend."""
        if self._direction is None:
            self._direction = self._two_loops(self._information) if self._pairs else self._step
        return self._direction

    def _two_loops(self, information: Any) -> np.ndarray:
        rest = self._gradient.copy()
        factors = []
        for moved, fell, inverse in reversed(self._pairs):
            factor = inverse * (moved @ rest)
            rest -= factor * fell
            factors.append(factor)
        moved, fell, inverse = self._pairs[-1]
        direction = information.solve(rest)
        direction *= 1.0 / (inverse * (fell @ information.solve(fell)))
        for (moved, fell, inverse), factor in zip(self._pairs, reversed(factors), strict=True):
            direction += (factor - inverse * (fell @ direction)) * moved
        return direction if self._gradient @ direction > 0 else self._step

    def propose(self) -> Any:
        """Return a state to try in place of the plain step, or None."""
        information = self._information
        if not self.active or self._pause > 0 or information.longest(self._step, self._gradient) > SETTLED:
            return None
        direction = self._newton_step()
        if direction is self._step:
            return None
        plain_length = float(np.abs(self._step).max())
        length = float(np.abs(direction).max())
        if length > self._allowance * plain_length:
            direction = direction * (self._allowance * plain_length / length)
        longest = information.longest(direction, information.apply(direction))
        if longest > FARTHEST:
            direction = direction * (FARTHEST / longest)
        length = float(np.abs(direction).max())
        self._proposed_length = length / plain_length
        try:
            return self._coordinates.decode(self._values + direction, self._following)
        except (ComponentCollapseError, np.linalg.LinAlgError):
            self.refuse()
            return None

    def refuse(self) -> None:
        """Learn that the last proposal lowered the bound or has no M-step."""
        self._allowance = max(1.0, SHRINKAGE * self._proposed_length)
        self._proposed_length = 0.0
        self._pause = min(2**self._n_failures, LONGEST_PAUSE)
        self._n_failures += 1
