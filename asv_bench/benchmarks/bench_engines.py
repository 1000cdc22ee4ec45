"""The Numba engine beside the compiled one on the same pass, and its start in a new process."""

import statistics
import subprocess
import sys
import time

from benchmarks.bench_kernels import Kernel
from benchmarks.targets import at_most, reported, unavailable
from benchmarks.timing import interleaved_medians
from benchmarks.workloads import Workload
from fastgmm import config_context, exceptions

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("full", 500_000, 2, 8, overlapping=True),
        Workload("full", 100_000, 16, 32),
        Workload("full", 100_000, 16, 32, overlapping=True),
        Workload("full", 20_000, 64, 32, overlapping=True, dtype="float32"),
        Workload("tied", 100_000, 32, 32),
        Workload("diag", 100_000, 40, 64, overlapping=True),
        Workload("spherical", 100_000, 32, 64),
    )
}
ENGINES = ("compiled", "numba")

# A pass so small that what is timed is the compilation, or the reading of its cache.
FIRST_PASS = """
import time
import numpy as np
import fastgmm
fastgmm.set_config(engine="numba")
X = np.random.default_rng(0).normal(size=(500, 2))
start = time.perf_counter()
fastgmm.GaussianMixture(2, init_params="random", random_state=0, max_iter=5, tol=1.0).fit(X)
print(time.perf_counter() - start)
"""


def require(engine):
    """Raise NotImplementedError, at which asv passes a benchmark over, where an engine is not installed."""
    try:
        with config_context(engine=engine):
            pass
    except exceptions.EngineError as error:
        raise NotImplementedError(str(error)) from error


def on_engine(engine, call):
    """Return `call` under an engine."""

    def run():
        with config_context(engine=engine):
            return call()

    return run


def numba_over_compiled(workload, repeats):
    """Return the seconds of the fused pass, and of the E-step, on Numba over those of the compiled engine."""
    kernel = Kernel(workload)
    calls = {
        f"{name} {engine}": on_engine(engine, call)
        for name, call in (("pass", kernel.fused_pass), ("E-step", kernel.e_step))
        for engine in ENGINES
    }
    seconds = interleaved_medians(calls, repeats)
    return tuple(seconds[f"{name} numba"] / seconds[f"{name} compiled"] for name in ("pass", "E-step"))


def first_fit_seconds(repeats=3):
    """Return the median seconds of the first fit of a new process, the cache filled by one before."""
    taken = []
    for _ in range(repeats + 1):
        done = subprocess.run([sys.executable, "-c", FIRST_PASS], capture_output=True, text=True, check=True)
        taken.append(float(done.stdout))
    return statistics.median(taken[1:])


def figure(quick):
    """Return figure 9: the engines' ratio, and the first fit of a process with a filled cache."""
    try:
        for engine in ENGINES:
            require(engine)
    except NotImplementedError as error:
        yield unavailable("Numba over compiled", str(error))
        return
    for workload in WORKLOADS.values():
        workload = workload.shrunk(5 if quick else 1)
        fused, e_step = numba_over_compiled(workload, 3 if quick else 7)
        yield at_most(f"Numba over compiled, pass, {workload.name}", fused, 2.5, "x")
        yield reported(f"Numba over compiled, E-step, {workload.name}", f"{e_step:.3g}x")
    start = time.perf_counter()
    seconds = first_fit_seconds(1 if quick else 3)
    yield reported("first Numba fit of a process, cached", f"{seconds:.3g} s")
    yield reported("  the processes that showed it", f"{time.perf_counter() - start:.3g} s")


class Pass:
    """Seconds of a pass by engine, after its functions are compiled."""

    params = (
        tuple(WORKLOADS),
        tuple(ENGINES),
    )
    param_names = (
        "workload",
        "engine",
    )
    timeout = 600

    def setup(self, workload, engine):
        require(engine)
        kernel = Kernel(WORKLOADS[workload])
        self.fused_pass, self.e_step = on_engine(engine, kernel.fused_pass), on_engine(engine, kernel.e_step)
        self.fused_pass()
        self.e_step()

    def time_fused_pass(self, workload, engine):
        self.fused_pass()

    def time_e_step(self, workload, engine):
        self.e_step()


class NumbaOverCompiled:
    """The engines' ratio, runs in turn."""

    params = (tuple(WORKLOADS),)
    param_names = ("workload",)
    timeout = 600
    unit = "times"

    def setup(self, workload):
        for engine in ENGINES:
            require(engine)

    def track_pass_ratio(self, workload):
        return numba_over_compiled(WORKLOADS[workload], 5)[0]


class FirstFit:
    """A new process that reads Numba's cache."""

    timeout = 600
    unit = "s"

    def setup(self):
        require("numba")

    def track_first_fit_cached(self):
        return first_fit_seconds()
