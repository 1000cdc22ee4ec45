"""The EM loop: pass, M-step, convergence check; and the choice among runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastgmm.em.reporter import Reporter
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.model import MixtureParameters, SufficientStatistics

__all__ = ["Run", "Source", "best_run", "run_em"]


class Source(Protocol):
    """Whatever can run one pass over all its rows."""

    total_weight: float

    def accumulate(self, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of one pass under `parameters`."""


@dataclass
class Run:
    """What one run of EM came to.

    Attributes
    ----------
    parameters : MixtureParameters
        After the last M-step.
    lower_bounds : list of float
        Mean log-likelihood in nats per unit of weight, of the parameters before each M-step; or the bound after it.
    converged : bool
    """

    parameters: Any
    lower_bounds: list[float] = field(default_factory=list)
    converged: bool = False

    @property
    def n_iter(self) -> int:
        """Number of iterations made."""
        return len(self.lower_bounds)

    @property
    def lower_bound(self) -> float:
        """The last bound, or -inf before the first iteration."""
        return self.lower_bounds[-1] if self.lower_bounds else -float("inf")


def run_em(
    source: Source,
    parameters: Any,
    maximise: Callable[[SufficientStatistics, Any], Any],
    *,
    tol: float,
    max_iter: int,
    bound: Callable[[SufficientStatistics, Any], float] | None = None,
    previous_bound: float = -float("inf"),
    reporter: Reporter | None = None,
) -> Run:
    """Iterate pass and M-step until the bound changes by less than `tol`.

    Parameters
    ----------
    source : Source
    parameters : MixtureParameters or a variational posterior
        The start; anything the source's pass takes.
    maximise : callable
        ``maximise(statistics, parameters) -> parameters``, the M-step.
    tol : float
        In nats, on the change of the bound.
    max_iter : int
    bound : callable, optional
        ``bound(statistics, parameters) -> float``, with the parameters that the M-step made of the statistics, as
        a variational bound takes them; without it, the mean log-likelihood of those before the M-step.
    previous_bound : float
        Bound of a run that is being continued.
    reporter : Reporter, optional

    Returns
    -------
    Run

    Raises
    ------
    ComponentCollapseError
        If an M-step fails before the last iteration. In the last one, unless `bound` needs its outcome, the run ends
        with the parameters it had, not converged: the pass asked for has been made, and its log-likelihood is theirs.
    """
    run = Run(parameters)
    for n_iter in range(1, max_iter + 1):
        statistics = source.accumulate(run.parameters)
        if bound is None:
            value = statistics.log_likelihood / source.total_weight
            run.lower_bounds.append(value)
        try:
            run.parameters = maximise(statistics, run.parameters)
        except ComponentCollapseError:
            if n_iter < max_iter or bound is not None:
                raise
            break
        if bound is not None:
            value = bound(statistics, run.parameters)
            run.lower_bounds.append(value)
        change = value - previous_bound
        previous_bound = value
        if reporter:
            reporter.iteration(n_iter, change)
        if abs(change) < tol:
            run.converged = True
            break
    if reporter and max_iter:
        reporter.end(run.lower_bound, run.converged)
    return run


def best_run(runs: Iterable[Callable[[], Run]]) -> Run:
    """Return the run with the highest bound; a later one only if it is better.

    A run in which a component collapses is passed over while another one succeeds.

    Raises
    ------
    ComponentCollapseError
        If every run failed: the first failure.
    """
    best: Run | None = None
    failure: ComponentCollapseError | None = None
    for start in runs:
        try:
            run = start()
        except ComponentCollapseError as error:
            failure = failure or error
            continue
        if best is None or run.lower_bound > best.lower_bound or best.lower_bound == -float("inf"):
            best = run
    if best is None:
        assert failure is not None, "there is at least one run"
        raise failure
    return best
