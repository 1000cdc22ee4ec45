"""Progress messages: the one place in the library that writes to standard output."""

from __future__ import annotations

import sys
import time

__all__ = ["Reporter"]


class Reporter:
    """Writes what scikit-learn's mixtures write at the same ``verbose`` level.

    Parameters
    ----------
    verbose : int
        0 writes nothing, 1 one line per start and per `interval` iterations, 2 adds times and changes.
    interval : int
        Iterations between two lines.
    """

    def __init__(self, verbose: int = 0, interval: int = 10) -> None:
        self.verbose = int(verbose)
        self.interval = interval
        self._start = self._previous = 0.0

    def _write(self, line: str) -> None:
        sys.stdout.write(line + "\n")

    def start(self, run: int) -> None:
        """Say that a run begins."""
        if self.verbose:
            self._start = self._previous = time.perf_counter()
            self._write(f"Initialization {run}")

    def iteration(self, n_iter: int, change: float) -> None:
        """Say how far the run is; `change` is the last change of the bound, in nats."""
        if not self.verbose or n_iter % self.interval:
            return
        if self.verbose == 1:
            self._write(f"  Iteration {n_iter}")
            return
        now = time.perf_counter()
        self._write(f"  Iteration {n_iter}\t time lapse {now - self._previous:.5f}s\t ll change {change:.5f}")
        self._previous = now

    def end(self, lower_bound: float, converged: bool) -> None:
        """Say how the run ended."""
        if not self.verbose:
            return
        line = f"Initialization {'converged' if converged else 'did not converge'}."
        if self.verbose > 1:
            seconds = time.perf_counter() - self._start
            line += f" time lapse {seconds:.5f}s\t lower bound {lower_bound:.5f}."
        self._write(line)
