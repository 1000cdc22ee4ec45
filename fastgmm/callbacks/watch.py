"""Telling callbacks and the screen of runs, iterations and candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from functools import partial
from typing import Any, TypeVar

from fastgmm.callbacks.progress import Progress
from fastgmm.em import Run
from fastgmm.exceptions import ComponentCollapseError

__all__ = ["Task", "Watch", "fitted_attributes"]

T = TypeVar("T")


class _Untold:
    """A task that nobody is told of, in place of a context; what is noted on it is forgotten."""

    def subcontext(self, *_: Any, **__: Any) -> _Untold:
        return self

    def call_on_fit_task_begin(self, **_: Any) -> _Untold:
        return self

    def call_on_fit_task_end(self, **_: Any) -> bool:
        return False

    def propagate_callback_context(self, estimator: Any) -> AbstractContextManager[None]:
        return nullcontext()

    def __setattr__(self, name: str, value: Any) -> None:
        pass


UNTOLD = _Untold()


class Task:
    """A candidate in the tree of tasks.

    Attributes
    ----------
    context : CallbackContext
    outcome : Any
        What callbacks find as ``context.candidate`` at the end.
    """

    def __init__(self, context: Any = UNTOLD) -> None:
        self.context = context
        self.outcome: Any = None

    def follow(self, estimator: Any) -> AbstractContextManager[None]:
        """Let callbacks that go down follow the fit of the candidate's estimator."""
        followed: AbstractContextManager[None] = self.context.propagate_callback_context(estimator)
        return followed


class Watch:
    """The listener of one fit; without arguments, of one that nobody is told of.

    Parameters
    ----------
    estimator : estimator, optional
        That is being fitted.
    root : CallbackContext, optional
        The task that the fit is; None where there are only lines to be written.
    reporter : Progress, optional
        Writes to the screen.
    **data
        X, y and metadata, for hooks that ask for them.

    Attributes
    ----------
    listener : Watch or None
        Itself, to be told of iterations; None where nobody listens.
    over : bool
        Whether no further run or candidate is to be begun.
    n_left : int
        Runs or candidates that were not begun.
    attributes_of : callable or None
        ``attributes_of(run) -> dict``, the fitted attributes that a run stands for.
    """

    def __init__(self, estimator: Any = None, root: Any = None, reporter: Progress | None = None, **data: Any) -> None:
        self.estimator, self.root, self.data = estimator, UNTOLD if root is None else root, data
        self.reporter = Progress() if reporter is None else reporter
        self.listener = None if root is None and reporter is None else self
        self.over = False
        self.attributes_of: Callable[[Run], dict[str, Any]] | None = None
        self.n_left = 0
        self._run: Any = UNTOLD
        self._trial: Any = UNTOLD
        self._iteration: Any = UNTOLD
        if self.listener is not None:
            self._begin(self.root)

    def _begin(self, context: Any) -> Any:
        return context.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def _end(self, context: Any, run: Run | None = None) -> bool:
        made = self.attributes_of
        attributes = None if run is None or made is None else lambda: made(run)
        return context.call_on_fit_task_end(estimator=self.estimator, **self.data, reconstruction_attributes=attributes)

    def until_over(self, given: Sequence[T]) -> Iterator[T]:
        """Go through what a fit is to try until a callback ends it."""
        self.n_left = len(given)
        for one in given:
            if self.over:
                return
            self.n_left -= 1
            yield one

    # Of a run; `multistart` calls those of a trial, and `run_em` those of an iteration and `end`.

    def runs(self, one_run: Callable[[], Run], n_runs: int, max_iter: int) -> Iterator[Callable[[], Run]]:
        """Return runs to be made, as many as `n_runs` unless a callback ends the fit."""

        def watched(number: int) -> Run:
            self.start(number, max_iter)
            try:
                return one_run()
            except ComponentCollapseError:
                self.fail()
                raise

        for number in self.until_over(range(n_runs)):
            yield partial(watched, number)

    def start(self, number: int, max_iter: int) -> None:
        """Say that a run begins, before its start is made."""
        self.reporter.start(number, max_iter)
        self._run = self._begin(self.root.subcontext("run", max_subtasks=max_iter))

    def begin_trial(self) -> None:
        """Say that the search for a start tries something."""
        self._trial = self._begin(self._run.subcontext("trial"))

    def trial(self, bound: float) -> bool:
        """Say what it came to; return whether to end the search."""
        self._trial.lower_bound = float(bound)
        return self._end(self._trial)

    def begin_iteration(self) -> None:
        """Say that a pass begins."""
        self._iteration = self._begin(self._run.subcontext("iteration"))

    def iteration(self, run: Run, change: float) -> bool:
        """Say what a pass came to; return whether to end the run."""
        self.reporter.iteration(run, change)
        self._iteration.lower_bound, self._iteration.change = float(run.lower_bound), float(change)
        return self._end(self._iteration, run)

    def end(self, run: Run) -> None:
        """Say how a run ended."""
        self.reporter.end(run)
        context = self._run
        context.lower_bound, context.n_iter, context.converged = float(run.lower_bound), run.n_iter, bool(run.converged)
        self.over |= self._end(context, run)

    def fail(self) -> None:
        """Say that a run collapsed."""
        self.over |= self._end(self._run)

    # Of a search.

    def candidates(self, given: Sequence[T]) -> Iterator[tuple[T, Task]]:
        """Go through candidates, each with its task, until a callback ends the fit."""
        for candidate in self.until_over(given):
            task = Task(self._begin(self.root.subcontext("candidate")))
            yield candidate, task
            self.reporter.candidate(task.outcome)
            task.context.candidate = task.outcome
            self.over |= self._end(task.context) or getattr(task.context, "ends_level", False)

    # Of the fit.

    def finish(self, run: Run | None = None) -> bool:
        """Say that the fit is done, and which run was the best; return whether a callback ended the fit or that run."""
        if self.listener is not None and self._end(self.root, run):
            outer = self.estimator.__dict__.get("_parent_callback_ctx")
            if outer is not None:
                # This fit is a task of an outer one, whose own hook does not tell the callbacks that came down.
                outer.ends_level = True
        return (self.over and self.n_left > 0) or (run is not None and run.stopped)


def fitted_attributes(estimator: Any, describe: Callable[[Any, Run], None], run: Run) -> dict[str, Any]:
    """Return the fitted attributes that `describe` sets for a run, without touching the estimator."""
    model = copy(estimator)
    describe(model, run)
    return {name: value for name, value in vars(model).items() if name.endswith("_") or name == "_kernel"}
