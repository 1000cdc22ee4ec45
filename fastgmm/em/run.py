"""The EM loop: pass, M-step, convergence check; and the choice among runs.

An accelerator may propose another state in place of the one the M-step made. The driver disposes: it keeps a proposal
only if the bound has not fallen, and otherwise takes the M-step's state with the next pass. So no proposal can lower
the bound, and a failed one costs one pass. Proposals that were kept may still lead where a component collapses, and so
may plain steps that the accelerator asks for when plain EM would have ended: the run then goes back to the last state
of plain EM, and ends there or continues by itself. So an accelerated run collapses only where plain EM does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastgmm.data.e_steps import EStep, Passes
from fastgmm.data.rows import Rows
from fastgmm.em.acceleration import QuasiNewton
from fastgmm.em.convergence import StoppingRule
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.families.base import Family

__all__ = ["Listener", "Run", "best_run", "run_em"]


@dataclass
class Run:
    """What one run of EM came to.

    Attributes
    ----------
    state : Any
        After the last M-step.
    lower_bounds : list of float
        One per pass: mean log-likelihood in nats per unit of weight, of the parameters before each M-step; or the bound
        after it. A pass spent on a proposal that failed repeats the bound before it.
    converged : bool
    gap : float
        Estimate of what the last bound lacks of its limit, in the same unit; NaN where nothing is known.
    stopped : bool
        Whether a listener ended it.
    moves : list
        What a search for its start came to, move by move.
    asked_per_row : float
        Components whose density the last pass evaluated for a row, where that is not all of them; otherwise NaN.
    """

    state: Any
    lower_bounds: list[float] = field(default_factory=list)
    converged: bool = False
    gap: float = float("nan")
    stopped: bool = False
    moves: list[Any] = field(default_factory=list)
    asked_per_row: float = float("nan")

    @property
    def n_iter(self) -> int:
        """Number of iterations made, which is that of passes over the source."""
        return len(self.lower_bounds)

    @property
    def lower_bound(self) -> float:
        """The last bound, or -inf before the first iteration."""
        return self.lower_bounds[-1] if self.lower_bounds else -float("inf")


class Listener(Protocol):
    """Whoever wants to know how a run goes."""

    def begin_iteration(self) -> None:
        """Hear that a pass begins."""

    def iteration(self, run: Run, change: float) -> bool:
        """Hear what it came to, the change of the bound in nats; return whether to end the run here."""

    def end(self, run: Run) -> None:
        """Hear that the run is over."""


def run_em(
    rows: Rows,
    e_step: EStep | Passes,
    family: Family,
    start: Any,
    *,
    tol: float,
    max_iter: int,
    previous_bound: float = -float("inf"),
    listener: Listener | None = None,
    accelerator: QuasiNewton | None = None,
    stop_on: str = "change",
    unit_roundoff: float = 0.0,
) -> Run:
    """Iterate pass and M-step until the bound changes by less than `tol`.

    Parameters
    ----------
    rows : Rows
    e_step : EStep, or Passes that one has prepared for these rows
    family : Family
        Whose M-step follows each pass. Its bound, of the state that the M-step made of the statistics, is what is
        compared; where it has none, the mean log-likelihood of the state before the M-step.
    start : Any
        A state of the family.
    tol : float
        In nats, on the change of the bound or on the distance still to go.
    max_iter : int
        Most passes.
    previous_bound : float
        Bound of a run that is being continued.
    listener : Listener, optional
    accelerator : QuasiNewton, optional
        New, of this run.
    stop_on : {'change', 'gap'}
        See `StoppingRule`.
    unit_roundoff : float
        See `StoppingRule`.

    Returns
    -------
    Run

    Raises
    ------
    ComponentCollapseError
        If an M-step of plain EM fails before the last iteration. In the last one, unless the bound needs its outcome,
        the run ends with the state it had, not converged: the pass asked for has been made, and its log-likelihood is
        its.
    """
    passes, run = e_step.prepare(rows), Run(start)
    del start  # of many features it is large, and so are statistics: neither is kept beside a pass
    rule = StoppingRule(stop_on, tol, accelerator, unit_roundoff)
    #: What plain EM ends by, told of its steps only.
    plain_rule = rule if accelerator is None else StoppingRule(stop_on, tol, None, unit_roundoff)
    proposal = None
    #: Where plain EM would have ended, or was before the first proposal that was kept: its state, passes and bound.
    plain: tuple[Any, int, float] | None = None
    plain_converged = False
    for n_iter in range(1, max_iter + 1):
        if listener is not None:
            listener.begin_iteration()
        state = run.state if proposal is None else proposal
        statistics = passes.accumulate(family.density(state))
        run.asked_per_row = passes.asked_per_row
        value = statistics.log_likelihood / passes.total_weight
        following = None
        if family.bound is not None or proposal is None or value >= previous_bound:
            try:
                following = family.maximise(statistics, state)
                if family.bound is not None:
                    value = family.bound(statistics, following)
            except ComponentCollapseError:
                if proposal is None:
                    if plain is not None:
                        run.state, n_plain, previous_bound = plain
                        run.lower_bounds[n_plain:] = [previous_bound] * (n_iter - n_plain)
                        plain, accelerator, rule, run.converged = None, None, plain_rule, plain_converged
                        run.stopped = listener is not None and listener.iteration(run, 0.0)
                        if run.converged or run.stopped:
                            break
                        continue
                    if n_iter < max_iter or family.bound is not None:
                        raise
                    run.lower_bounds.append(value)
                    break
        del statistics
        if proposal is not None and (following is None or not value >= previous_bound):
            assert accelerator is not None, "who else proposed it"
            accelerator.refuse()
            proposal = None
            run.lower_bounds.append(run.lower_bound)
            run.stopped = listener is not None and listener.iteration(run, 0.0)
            if run.stopped:
                break
            continue
        if proposal is not None and plain is None:
            plain = run.state, len(run.lower_bounds), previous_bound
        run.state = following
        run.lower_bounds.append(value)
        change = value - previous_bound
        previous_bound = value
        if accelerator is not None:
            accelerator.observe(state, following, value)
        run.converged = rule.is_met(change, value)
        if plain is None and accelerator is not None:
            plain_converged = plain_rule.is_met(change, value)
            if plain_converged:
                plain = following, len(run.lower_bounds), value
        if listener is not None:
            run.stopped = listener.iteration(run, change)
        if run.converged or run.stopped:
            break
        proposal = None if accelerator is None else accelerator.propose()
    run.gap = rule.gap
    if listener is not None:
        listener.end(run)
    return run


def best_run(runs: Iterable[Callable[[], Run]], is_spurious: Callable[[Run], bool] | None = None) -> Run:
    """Return the run with the highest bound; a later one only if it is better.

    A run in which a component collapses is passed over while another one succeeds, and so is one that `is_spurious`
    refuses.

    Raises
    ------
    ComponentCollapseError
        If every run failed: the first failure.
    """
    best: Run | None = None
    best_rank = (False, -float("inf"))
    failure: ComponentCollapseError | None = None
    for start in runs:
        try:
            run = start()
        except ComponentCollapseError as error:
            failure = failure or error
            continue
        rank = (is_spurious is None or not is_spurious(run), run.lower_bound)
        if best is None or rank > best_rank or best_rank == (rank[0], -float("inf")):
            best, best_rank = run, rank
    if best is None:
        assert failure is not None, "there is at least one run"
        raise failure
    return best
