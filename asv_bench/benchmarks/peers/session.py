"""A process that answers a line with a line, asked in turn with others so that whatever slows the machine slows all."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence

__all__ = ["Session", "WorkerError"]

TIMEOUT_SECONDS = 1_800
# Longer than OpenBLAS and OpenMP threads stay awake after their work: a process starts on idle cores.
REST_SECONDS = 0.04


class WorkerError(Exception):
    """A process ended or answered something else; the text is what it printed."""


class Session:
    """A process, ready once it has said so."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        pipe = subprocess.PIPE
        options = {"stdin": pipe, "stdout": pipe, "stderr": self._errors, "text": True, "env": dict(environment)}
        self._process = subprocess.Popen(list(command), **options)
        self._answer("ready")

    def _answer(self, expected: str = "") -> str:
        timer = threading.Timer(TIMEOUT_SECONDS, self._process.kill)
        timer.start()
        line = self._process.stdout.readline().strip()
        timer.cancel()
        if not line or (expected and line != expected):
            self._process.kill()
            self._process.wait()
            self._errors.seek(0)
            raise WorkerError((self._errors.read().strip().splitlines() or [line or "ended without a message"])[-1])
        return line

    def ask(self, request: str) -> list[float]:
        """Return the numbers that the process answers to a line."""
        try:
            self._process.stdin.write(f"{request}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self._answer()
        try:
            return [float(number) for number in line.split()]
        except ValueError as error:
            raise WorkerError(line) from error

    def ask_rested(self, request: str) -> list[float]:
        """Return the same after a pause."""
        time.sleep(REST_SECONDS)
        return self.ask(request)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            stream.close()
