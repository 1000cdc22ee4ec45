"""What is written while work goes on: lines that stay, on standard output; on a terminal, one that tells how far it is.

The lines of a fit are those that scikit-learn's mixtures write at the same ``verbose`` level. The status line stands on
standard error, is rewritten in place and gone at the end; nothing of it is written where standard error is no terminal,
nor in the first second.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastgmm.em import Run

__all__ = ["Progress", "Reporter", "SearchReporter", "Steps"]

#: Seconds before the first status line, and between two.
DELAY, INTERVAL = 1.0, 0.1
BAR = 20
#: Back to the left, erasing what stands there.
ERASE = "\r\x1b[K"


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it: 4 s, 1:30, 2:05:00."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def progress_bar(done: float, total: float) -> str:
    """Return a bar of fixed width, as ``[#####---------------]``."""
    filled = min(BAR, int(BAR * done / total)) if total else BAR
    return f"[{'#' * filled}{'-' * (BAR - filled)}]"


class Progress:
    """What may be told of work that goes on, a fit, a search or a command; this one has nothing to show.

    Those that have write lines that stay, and a status line below them.

    Attributes
    ----------
    begin : float
        When the work began, in seconds of the monotonic clock.
    """

    begin = 0.0
    _written, _shown = -float("inf"), False

    def start(self, number: int, max_iter: int) -> None:
        """Hear that a run of `max_iter` iterations at most begins."""

    def iteration(self, run: Run, change: float) -> None:
        """Hear how far a run is; `change` is the last change of the bound, in nats."""

    def end(self, run: Run) -> None:
        """Hear how a run ended."""

    def candidate(self, candidate: Any) -> None:
        """Hear what came of a candidate of a search."""

    def done(self, words: str = "") -> None:
        """Hear that one of several steps is done."""

    def note(self, words: str) -> None:
        """Hear what is going on; two blanks separate what may be left out from the right."""

    def close(self) -> None:
        """Leave the screen as it should stay."""
        if self._shown:
            sys.stderr.write(ERASE)
            sys.stderr.flush()
            self._shown, self._written = False, -float("inf")

    def line(self, text: str) -> None:
        """Write a line that stays."""
        self.close()
        sys.stdout.write(text + "\n")

    def show(self, *parts: str) -> None:
        """Make a status line of the parts that fit into the width of the terminal, the first ones first."""
        now = time.monotonic()
        wanted = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        if not wanted or now - self.begin < DELAY or now - self._written < INTERVAL:
            return
        width = shutil.get_terminal_size().columns - 1
        text = ""
        for part in parts:
            longer = f"{text}  {part}" if text else part
            if len(longer) > width:
                break
            text = longer
        sys.stderr.write(ERASE + (text or parts[0][:width]))
        sys.stderr.flush()
        self._written, self._shown = now, True

    def left(self, done: int, total: int) -> str:
        """Return how long the rest will take if every step takes as long as those `done` did."""
        return f"{duration((time.monotonic() - self.begin) / done * (total - done))} left"


class Steps(Progress):
    """A task of so many steps, on the status line alone."""

    def __init__(self, total: int, title: str) -> None:
        self.begin = time.monotonic()
        self.total, self.title, self.n_done = total, title, 0

    def done(self, words: str = "") -> None:
        self.n_done += 1
        self.note(words)

    def note(self, words: str) -> None:
        parts = [f"{self.title} {self.n_done}/{self.total} {progress_bar(self.n_done, self.total)}"]
        if self.n_done:
            parts.append(self.left(self.n_done, self.total))
        self.show(*parts, *words.split("  "))


class Reporter(Progress):
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
        self.begin = time.monotonic()
        self.verbose, self.interval, self.n_runs = int(verbose), interval, n_runs
        self._number, self._max_iter = 0, 1
        self._begin = self._start = self._previous = time.perf_counter()

    def start(self, number: int, max_iter: int) -> None:
        self._start = self._previous = time.perf_counter()
        self._number, self._max_iter = number, max_iter
        self.line(f"Initialization {number}")

    def iteration(self, run: Run, change: float) -> None:
        if run.n_iter % self.interval == 0:
            line = f"  Iteration {run.n_iter}"
            if self.verbose > 1:
                now = time.perf_counter()
                line += f"\t time lapse {now - self._previous:.5f}s\t ll change {change:.5f}"
                self._previous = now
            self.line(line)
        parts = [
            f"start {self._number + 1} of {self.n_runs} {progress_bar(run.n_iter, self._max_iter)}",
            f"iteration {run.n_iter} of {self._max_iter}",
            f"log-likelihood {run.lower_bound:.6g}",
            f"at most {duration(self._most_left(run.n_iter))} left",
        ]
        if math.isfinite(run.asked_per_row):
            parts.append(f"{run.asked_per_row:.1f} components asked per row")
        self.show(*parts)

    def _most_left(self, n_iter: int) -> float:
        each = (time.perf_counter() - self._start) / n_iter
        # The starts to come take what those before took on average; before there are any, all their iterations.
        average = (self._start - self._begin) / self._number if self._number else each * self._max_iter
        return each * (self._max_iter - n_iter) + average * (self.n_runs - self._number - 1)

    def end(self, run: Run) -> None:
        if not run.n_iter:
            return
        line = f"Initialization {'converged' if run.converged else 'did not converge'}."
        if self.verbose > 1:
            seconds = time.perf_counter() - self._start
            line += f" time lapse {seconds:.5f}s\t lower bound {run.lower_bound:.5f}."
        self.line(line)


class SearchReporter(Progress):
    """Writes a line per candidate of a search, and on a terminal how far it is and the best score so far.

    Parameters
    ----------
    n_candidates : int
        That will be fitted.
    sign : int
        -1 for a score that is better when higher.
    """

    def __init__(self, n_candidates: int, sign: int) -> None:
        self.begin = time.monotonic()
        self.n_candidates, self.sign, self.n_done = n_candidates, sign, 0
        self._best: float | None = None

    def candidate(self, candidate: Any) -> None:
        """Say what came of a candidate: see `fastgmm.selection.candidates`."""
        self.n_done += 1
        score = candidate.score
        if candidate.failure is None and (self._best is None or self.sign * score < self.sign * self._best):
            self._best = score
        outcome = candidate.failure or f"score {score:.3f}, {candidate.fit_time:.3f} s"
        self.line(f"{candidate.covariance_type}, {candidate.n_components} components: {outcome}")
        parts = [f"candidate {self.n_done} of {self.n_candidates} {progress_bar(self.n_done, self.n_candidates)}"]
        if self._best is not None:
            parts.append(f"best {self._best:.6g}")
        self.show(*parts, self.left(self.n_done, self.n_candidates))

    def note(self, words: str) -> None:
        self.show(words)
