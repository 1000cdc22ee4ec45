"""Seconds per EM iteration of every library on one workload: same rows, same start, run in turn."""

from __future__ import annotations

import math
import statistics
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.peers.install import MissingPeerError, can_do, clean, default_cache, peer_command
from benchmarks.peers.libraries import precisions_cholesky_of
from benchmarks.peers.session import Session, WorkerError
from benchmarks.timing import SETTINGS
from benchmarks.workloads import Workload, make_rows, make_start

__all__ = ["COMPILED_PEERS", "Comparison", "Measured", "compare_libraries"]

#: Peers that fastgmm's claim is over the fastest of.
COMPILED_PEERS = ("oneDAL", "Armadillo", "VLFeat")
# Nats per row, by dtype: more than rounding and differing variance floors give, less than an iteration does.
AGREEMENT = {"float64": 1e-5, "float32": 1e-3}
# Rows on which likelihoods are compared: scikit-learn scores them, and needs rows times components numbers for it.
JUDGED_ROWS = 20_000
# Its worker times the loop alone, so one run gives the time of an iteration.
TIMED_LOOPS = ("scikit-learn",)
# Beside an iteration this long, what else a run costs does not count; and three such rounds are enough.
SLOW_SECONDS, SLOW_ROUNDS = 5.0, 3
WORKER_NAMES = {"oneDAL": "onedal", "Armadillo": "armadillo", "VLFeat": "vlfeat"}


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
    rounds : list of float
        Seconds per iteration, round by round.
    """

    seconds: float
    iterations: int
    asked: int
    disagreement: float = math.nan
    rounds: list[float] = field(default_factory=list)


@dataclass
class Comparison:
    """One row of the table; `failed` holds what a library printed instead of a result, `missing` how to install it."""

    workload: Workload
    missing: dict[str, str]
    measured: dict[str, Measured] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def ratio(self, peer: str) -> float:
        """Return how many times longer the peer's iteration takes than fastgmm's."""
        return self.measured[peer].seconds / self.measured["fastgmm"].seconds

    def fastest(self) -> str | None:
        """Return the compiled peer with the shortest iteration, or None where none ran."""
        ran = [peer for peer in COMPILED_PEERS if peer in self.measured and "fastgmm" in self.measured]
        return min(ran, key=self.ratio, default=None)

    def agrees(self, peer: str) -> bool:
        """Return whether the peer's model is as likely as fastgmm's after as many iterations."""
        return self.measured[peer].disagreement <= AGREEMENT[self.workload.dtype]


class _Library:
    """A library's process over one workload's files, and what its runs took."""

    def __init__(self, name: str, command: list[str], folder: Path, covariance_type: str) -> None:
        self.name, self.folder, self.covariance_type = name, folder, covariance_type
        environment = clean(SETTINGS.n_threads) | {"FASTGMM_BENCHMARK_CLOCK": SETTINGS.clock}
        if name == "oneDAL":
            environment.pop("PYTHONPATH", None)
        self.session = Session([*command, str(folder), covariance_type], environment)
        self.taken: dict[int, list[list[float]]] = {}
        self.session.ask("run 1")
        once = self.session.ask("run 1")[0]
        self.is_slow = once > SLOW_SECONDS
        # As many iterations as fill a round, ten at most.
        several = min(10, max(1, math.ceil(2 * SETTINGS.least_seconds / max(once, 1e-6))))
        # VLFeat's run of one iteration has two E-steps, so its second is always asked for.
        whole = name in TIMED_LOOPS or (self.is_slow and name != "VLFeat")
        self.asked = several if whole else 1 + several

    def one_round(self) -> None:
        """Make one iteration, where that is needed, and then several."""
        lengths = [self.asked] if self.name in TIMED_LOOPS else sorted({1, self.asked})
        for n_iterations in lengths:
            self.taken.setdefault(n_iterations, []).append(self.session.ask_rested(f"run {n_iterations}"))

    def measured(self) -> Measured:
        """Return the time of an iteration: medians' difference over the iterations between them."""
        seconds = {n: statistics.median(value[0] for value in values) for n, values in self.taken.items()}
        made = {n: int(values[-1][1]) for n, values in self.taken.items()}
        asked = self.asked
        longer, shorter = ([value[0] for value in self.taken.get(n, ())] for n in (asked, 1))
        if made[asked] > made.get(1, asked) and seconds[asked] > seconds[1]:
            # What a run costs besides its iterations cancels: checks and copies for fastgmm too, an E-step for VLFeat.
            between = made[asked] - made[1]
            each = [(long - short) / between for long, short in zip(longer, shorter, strict=True)]
            return Measured((seconds[asked] - seconds[1]) / between, made[asked], asked, rounds=each)
        count = max(1, made[asked])
        return Measured(seconds[asked] / count, made[asked], asked, rounds=[value / count for value in longer])

    def log_likelihood(self, n_iterations: int, X: np.ndarray) -> float:
        """Return the mean over X, in nats, of the model after that many iterations, as scikit-learn scores it."""
        from sklearn.mixture import GaussianMixture

        self.session.ask(f"save {n_iterations}")
        name = WORKER_NAMES.get(self.name, self.name)
        weights, means, covariances = (
            np.load(self.folder / f"{name}_{part}.npy") for part in ("weights", "means", "covariances")
        )
        model = GaussianMixture(len(means), covariance_type=self.covariance_type)
        model.weights_, model.means_, model.covariances_ = weights / weights.sum(), means, covariances
        model.precisions_cholesky_ = precisions_cholesky_of(self.covariance_type, covariances)
        return float(model.score(X))


@cache
def _command(peer: str, cache_folder: Path) -> list[str] | str:
    try:
        return peer_command(peer, cache_folder)
    except MissingPeerError as error:
        return str(error)


def compare_libraries(workload: Workload, peers: Iterable[str]) -> Comparison:
    """Time one iteration of every library that can do the workload, with the rounds and threads of the settings.

    Each round lets every library in turn make one iteration and then several; the medians' difference over the
    iterations between them is the time of one.

    Parameters
    ----------
    workload : Workload
    peers : iterable of str
        Names of `benchmarks.peers.install.PEERS`, "fastgmm" among them.

    Returns
    -------
    Comparison
    """
    commands = {peer: _command(peer, SETTINGS.cache or default_cache()) for peer in peers}
    missing = {peer: command for peer, command in commands.items() if isinstance(command, str)}
    result = Comparison(workload, missing)
    libraries: dict[str, _Library] = {}

    def attempt(peer, action):
        try:
            action()
        except WorkerError as error:
            result.failed[peer] = str(error)
            if peer in libraries:
                libraries.pop(peer).session.close()

    def judge(peer, X):
        measured = libraries[peer].measured()
        theirs = libraries[peer].log_likelihood(measured.asked, X)
        measured.disagreement = abs(theirs - libraries["fastgmm"].log_likelihood(measured.iterations, X))
        result.measured[peer] = measured

    def begin(peer, folder):
        libraries[peer] = _Library(peer, commands[peer], folder, workload.covariance_type)

    with tempfile.TemporaryDirectory(prefix="fastgmm-peers-") as name:
        folder = Path(name)
        judged = _write_problem(workload, folder)
        try:
            for peer in commands:
                if peer not in missing and can_do(peer, workload):
                    attempt(peer, lambda peer=peer: begin(peer, folder))
            for number in range(SETTINGS.repeats):
                for peer in [p for p, library in libraries.items() if number < SLOW_ROUNDS or not library.is_slow]:
                    attempt(peer, libraries[peer].one_round)
            if "fastgmm" in libraries:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    for peer in list(libraries):
                        attempt(peer, lambda peer=peer: judge(peer, judged))
        finally:
            for library in libraries.values():
                library.session.close()
    return result


def _write_problem(workload: Workload, folder: Path) -> np.ndarray:
    """Write rows and start as .npy files; return the rows that likelihoods are compared on."""
    X = make_rows(workload)
    np.save(folder / "X.npy", X)
    for part, value in make_start(workload)._asdict().items():
        np.save(folder / f"{part}.npy", np.ascontiguousarray(value))
    return X[:JUDGED_ROWS].astype(np.float64)
