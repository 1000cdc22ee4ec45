"""Progress messages: what the library writes to the screen while a mixture is fitted."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from fastgmm.em.status_line import StatusLine, duration, progress_bar

if TYPE_CHECKING:
    from fastgmm.em.run import Run

__all__ = ["Reporter"]


class Reporter:
    """Writes what scikit-learn's mixtures write at the same ``verbose`` level, and on a terminal how far the fit is.

    Parameters
    ----------
    verbose : int
        1 writes one line per start and per `interval` iterations, 2 adds times and changes.
    interval : int
        Iterations between two lines.
    n_runs : int
        Starts that will be made.
    """

    def __init__(self, verbose: int, interval: int = 10, n_runs: int = 1) -> None:
        self.verbose = int(verbose)
        self.interval = interval
        self.n_runs = n_runs
        self._status = StatusLine()
        self._number, self._max_iter = 0, 1
        self._begin = self._start = self._previous = time.perf_counter()

    @classmethod
    def of(cls, verbose: int, interval: int, n_runs: int = 1) -> Reporter | None:
        """Return a reporter, or None where nothing is to be written."""
        return cls(verbose, interval, n_runs) if verbose else None

    def _write(self, line: str) -> None:
        self._status.clear()
        sys.stdout.write(line + "\n")

    def start(self, number: int, max_iter: int) -> None:
        """Say that a run of `max_iter` iterations at most begins."""
        self._start = self._previous = time.perf_counter()
        self._number, self._max_iter = number, max_iter
        self._write(f"Initialization {number}")

    def iteration(self, run: Run, change: float) -> None:
        """Say how far the run is; `change` is the last change of the bound, in nats."""
        n_iter = run.n_iter
        if n_iter % self.interval == 0:
            line = f"  Iteration {n_iter}"
            if self.verbose > 1:
                now = time.perf_counter()
                line += f"\t time lapse {now - self._previous:.5f}s\t ll change {change:.5f}"
                self._previous = now
            self._write(line)
        self._show(n_iter, run.lower_bound)

    def _show(self, n_iter: int, lower_bound: float) -> None:
        each = (time.perf_counter() - self._start) / n_iter
        left = each * (self._max_iter - n_iter)
        # The starts to come take what those before took on average; before there are any, all their iterations.
        average = (self._start - self._begin) / self._number if self._number else each * self._max_iter
        left += average * (self.n_runs - self._number - 1)
        self._status.show(
            f"start {self._number + 1} of {self.n_runs} {progress_bar(n_iter, self._max_iter)}",
            f"iteration {n_iter} of {self._max_iter}",
            f"log-likelihood {lower_bound:.6g}",
            f"at most {duration(left)} left",
        )

    def end(self, run: Run) -> None:
        """Say how the run ended."""
        if not run.n_iter:
            return
        line = f"Initialization {'converged' if run.converged else 'did not converge'}."
        if self.verbose > 1:
            seconds = time.perf_counter() - self._start
            line += f" time lapse {seconds:.5f}s\t lower bound {run.lower_bound:.5f}."
        self._write(line)

    def close(self) -> None:
        """Leave the screen as it should stay."""
        self._status.clear()
