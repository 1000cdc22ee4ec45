"""Seconds per EM iteration of every library on one workload: same rows, same start, run in turn."""

from __future__ import annotations

import math
import statistics
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from benchmarks.libraries import precisions_of
from benchmarks.workloads import Workload, make_rows, make_start

from peers.install import can_do, clean

__all__ = ["Comparison", "Measured", "WorkerError", "compare"]

# Rows on which likelihoods are compared: scikit-learn scores them, and needs rows times components numbers for it.
JUDGED_ROWS = 20_000
TIMEOUT_SECONDS = 1_800
# Longer than OpenBLAS and OpenMP threads stay awake after their work: a library starts on idle cores.
REST_SECONDS = 0.04
# Its worker times the loop alone, so one run gives the time of an iteration.
TIMED_LOOPS = ("scikit-learn",)
# Beside an iteration this long, what else a run costs does not count; and three such rounds are enough.
SLOW_SECONDS, SLOW_ROUNDS = 5.0, 3
WORKER_NAMES = {"oneDAL": "onedal", "Armadillo": "armadillo", "VLFeat": "vlfeat"}


class WorkerError(Exception):
    """A library's process ended or answered something else; the text is what it printed."""


@dataclass
class Measured:
    """What one library did on one workload.

    Attributes
    ----------
    seconds : float
        Per EM iteration.
    iterations : int
        Really made by the longer run, of those asked for.
    asked : int
    disagreement : float
        |difference| of the mean log-likelihood from fastgmm's after as many iterations, in nats per row.
    """

    seconds: float
    iterations: int
    asked: int
    disagreement: float = math.nan


@dataclass
class Comparison:
    """One row of the table; `failed` holds what a library printed instead of a result."""

    workload: Workload
    measured: dict[str, Measured] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def ratio(self, peer: str) -> float:
        """Return how many times longer the peer's iteration takes than fastgmm's."""
        return self.measured[peer].seconds / self.measured["fastgmm"].seconds


class _Session:
    """A library's process over one workload's files."""

    def __init__(self, name: str, command: list[str], folder: Path, covariance_type: str, n_threads: int) -> None:
        self.name, self.folder = name, folder
        environment = clean(n_threads)
        if name == "oneDAL":
            environment.pop("PYTHONPATH", None)
        self._errors = open(folder / f"{name}.log", "w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [*command, str(folder), covariance_type],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )
        self.taken: dict[int, list[tuple[float, int]]] = {}
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

    def request(self, kind: str, n_iterations: int) -> tuple[float, int]:
        """Return (seconds, iterations really made)."""
        try:
            self._process.stdin.write(f"{kind} {n_iterations}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        seconds, iterations = self._answer().split()
        return float(seconds), int(iterations)

    def time(self, n_iterations: int) -> None:
        """Run once more and remember it."""
        time.sleep(REST_SECONDS)
        self.taken.setdefault(n_iterations, []).append(self.request("run", n_iterations))

    def log_likelihood(self, n_iterations: int, X: np.ndarray, covariance_type: str) -> float:
        """Return the mean over X, in nats, of the model after that many iterations, as scikit-learn scores it."""
        self.request("save", n_iterations)
        name = WORKER_NAMES.get(self.name, self.name)
        parts = [np.load(self.folder / f"{name}_{part}.npy") for part in ("weights", "means", "covariances")]
        return _score(X, covariance_type, *parts)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        self._errors.close()


def _score(X, covariance_type, weights, means, covariances) -> float:
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(len(means), covariance_type=covariance_type)
    model.weights_, model.means_, model.covariances_ = weights / weights.sum(), means, covariances
    factors = precisions_of(covariance_type, covariances)
    if covariance_type in ("full", "tied"):
        factors = np.linalg.cholesky(factors)
    else:
        factors = np.sqrt(factors)
    model.precisions_cholesky_ = factors
    return float(model.score(X))


def _measured(session: _Session, asked: int) -> Measured:
    seconds = {n: statistics.median(value[0] for value in values) for n, values in session.taken.items()}
    made = {n: values[-1][1] for n, values in session.taken.items()}
    if made[asked] > made.get(1, asked) and seconds[asked] > seconds[1]:
        # What a run costs besides its iterations cancels: checks and copies for fastgmm too, an E-step for VLFeat.
        each = (seconds[asked] - seconds[1]) / (made[asked] - made[1])
    else:
        each = seconds[asked] / max(1, made[asked])
    return Measured(each, made[asked], asked)


def compare(
    workload: Workload, commands: Mapping[str, list[str]], repeats: int, n_threads: int, least_seconds: float = 0.2
) -> Comparison:
    """Time one iteration of every library that can do the workload.

    Each round lets every library in turn make one iteration and then several; the medians' difference over the
    iterations between them is the time of one. The several are as many as fill `least_seconds`, ten at most.

    Parameters
    ----------
    workload : Workload
    commands : mapping of str to list of str
        Of `peer_command`; "fastgmm" among them.
    repeats, n_threads : int
    least_seconds : float

    Returns
    -------
    Comparison
    """
    result = Comparison(workload)
    sessions: dict[str, _Session] = {}
    asked: dict[str, int] = {}
    slow: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="fastgmm-peers-") as name:
        folder = Path(name)
        X, start = make_rows(workload), make_start(workload)
        np.save(folder / "X.npy", X)
        for part, value in start._asdict().items():
            np.save(folder / f"{part}.npy", np.ascontiguousarray(value))

        def attempt(peer, action):
            try:
                action()
            except WorkerError as error:
                result.failed[peer] = str(error)
                if peer in sessions:
                    sessions.pop(peer).close()

        def begin(peer):
            sessions[peer] = _Session(peer, commands[peer], folder, workload.covariance_type, n_threads)
            sessions[peer].request("run", 1)
            once = sessions[peer].request("run", 1)[0]
            several = min(10, max(1, math.ceil(least_seconds / max(once, 1e-6))))
            # VLFeat's run of one iteration has two E-steps, so its second is always asked for.
            whole = peer in TIMED_LOOPS or (once > SLOW_SECONDS and peer != "VLFeat")
            asked[peer] = several if whole else 1 + several
            if once > SLOW_SECONDS:
                slow.add(peer)

        def one_round(peer):
            if asked[peer] > 1 and peer not in TIMED_LOOPS:
                sessions[peer].time(1)
            sessions[peer].time(asked[peer])

        def judge(peer):
            measured = _measured(sessions[peer], asked[peer])
            theirs = sessions[peer].log_likelihood(measured.asked, judged, workload.covariance_type)
            ours = sessions["fastgmm"].log_likelihood(measured.iterations, judged, workload.covariance_type)
            measured.disagreement = abs(theirs - ours)
            result.measured[peer] = measured

        judged = X[:JUDGED_ROWS].astype(np.float64)
        del X
        try:
            for peer in commands:
                if can_do(peer, workload.covariance_type, workload.dtype):
                    attempt(peer, lambda peer=peer: begin(peer))
            for number in range(repeats):
                for peer in [peer for peer in sessions if number < SLOW_ROUNDS or peer not in slow]:
                    attempt(peer, lambda peer=peer: one_round(peer))
            if "fastgmm" in sessions:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    for peer in list(sessions):
                        attempt(peer, lambda peer=peer: judge(peer))
        finally:
            for session in sessions.values():
                session.close()
    return result
