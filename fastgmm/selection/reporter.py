"""What a search writes to the screen: a line per candidate, and on a terminal how far it is."""

from __future__ import annotations

import sys

from fastgmm.em.status_line import StatusLine, duration, progress_bar
from fastgmm.selection.candidates import Candidate

__all__ = ["SearchReporter"]


class SearchReporter:
    """Writes to standard output; `n_candidates` will be fitted."""

    def __init__(self, n_candidates: int) -> None:
        self.n_candidates, self.n_done = n_candidates, 0
        self._status = StatusLine()
        self._best: Candidate | None = None

    def candidate(self, candidate: Candidate, sign: int) -> None:
        """Say what came of a candidate; `sign` is -1 for a score that is better when higher."""
        self.n_done += 1
        best = self._best
        if candidate.failure is None and (best is None or sign * candidate.score < sign * best.score):
            self._best = candidate
        outcome = candidate.failure or f"score {candidate.score:.3f}, {candidate.fit_time:.3f} s"
        self._write(f"{candidate.covariance_type}, {candidate.n_components} components: {outcome}")
        left = self._status.elapsed / self.n_done * (self.n_candidates - self.n_done)
        parts = [f"candidate {self.n_done} of {self.n_candidates} {progress_bar(self.n_done, self.n_candidates)}"]
        if self._best is not None:
            parts.append(f"best {self._best.score:.6g}")
        self._status.show(*parts, f"{duration(left)} left")

    def polishing(self) -> None:
        """Say that the best candidates are being continued."""
        self._status.show("continuing the best candidates")

    def _write(self, line: str) -> None:
        self._status.clear()
        sys.stdout.write(line + "\n")

    def close(self) -> None:
        """Leave the screen as it should stay."""
        self._status.clear()
