"""Threads: what a second one gains where there is work, costs where there is none, and what bounds many.

From the times on one and two threads, Amdahl's serial fraction f = 2 t2 / t1 - 1 (never below zero) says 1 / (f + (1 -
f) / n) for n threads. A pass reads the rows once, so its bytes per second against what one core can read say how many
cores it takes until memory, and not the cores, sets the pace.
"""

import os

from sklearn.datasets import make_blobs

from benchmarks.bench_kernels import Kernel
from benchmarks.targets import at_least, at_most, reported
from benchmarks.timing import interleaved_medians, read_bandwidth
from benchmarks.workloads import Workload
from fastgmm import GaussianMixture, config_context

COMPUTE_BOUND = {
    workload.name: workload
    for workload in (
        Workload("full", 200_000, 16, 32, overlapping=True),
        Workload("full", 50_000, 128, 64),
        Workload("full", 1_000_000, 3, 8),
        Workload("tied", 200_000, 32, 64),
        Workload("diag", 200_000, 40, 256, overlapping=True),
    )
}
SMALL_ROWS = (100, 300, 1_000, 3_000)


def thread_counts():
    """Return one, and every power of two up to the cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    counts = [1]
    while 2 * counts[-1] <= cores:
        counts.append(2 * counts[-1])
    return counts


def on_threads(n_threads, call):
    """Return `call` under a number of threads."""

    def limited():
        with config_context(n_threads=n_threads):
            return call()

    return limited


def pass_seconds(workload, repeats, counts=None):
    """Return the seconds of a fused pass by the number of threads, run in turn."""
    kernel = Kernel(workload)
    calls = {str(n): on_threads(n, kernel.fused_pass) for n in counts or thread_counts()}
    return {int(n): seconds for n, seconds in interleaved_medians(calls, repeats).items()}


def small_fit_ratio(n_samples, repeats, least_seconds=0.05):
    """Return the seconds of a small fit on all threads over those on one."""
    X = make_blobs(n_samples=n_samples, centers=3, random_state=0)[0]
    fit = GaussianMixture(3, random_state=0).fit
    calls = {"one": on_threads(1, lambda: fit(X)), "all": on_threads(thread_counts()[-1], lambda: fit(X))}
    seconds = interleaved_medians(calls, repeats, least_seconds)
    return seconds["all"] / seconds["one"]


def figure(quick):
    """Return figure 7: speed-up on two threads, small work, and what 16 and 64 cores would give."""
    repeats, bandwidth = 3 if quick else 9, read_bandwidth()
    if thread_counts()[-1] < 2:
        yield reported("threads", "one core here")
        return
    for workload in COMPUTE_BOUND.values():
        workload = workload.shrunk(5 if quick else 1)
        seconds = pass_seconds(workload, repeats, [1, 2])
        yield at_least(f"two threads over one, {workload.name}", seconds[1] / seconds[2], 1.8)
        serial = min(1.0, max(0.0, 2.0 * seconds[2] / seconds[1] - 1.0))
        demand = workload.n_samples * workload.n_features * (4 if workload.dtype == "float32" else 8) / seconds[1]
        on_many = ", ".join(f"{1.0 / (serial + (1.0 - serial) / n):.0f}x on {n}" for n in (16, 64))
        yield reported(f"  serial {100 * serial:.1f}%: Amdahl's bound", on_many)
        yield reported("  cores until one core's read rate is used up", f"{bandwidth / demand:.0f}")
    for n_samples in SMALL_ROWS:
        ratio = small_fit_ratio(n_samples, repeats, 0.02 if quick else 0.1)
        yield at_most(f"fit on all threads over one, {n_samples} x 2, K=3", ratio, 1.05, "x")


class FusedPass:
    """Seconds of a pass by the number of threads."""

    params = (
        tuple(COMPUTE_BOUND),
        thread_counts(),
    )
    param_names = (
        "workload",
        "n_threads",
    )
    timeout = 600

    def setup(self, workload, n_threads):
        self.call = on_threads(n_threads, Kernel(COMPUTE_BOUND[workload]).fused_pass)
        self.call()

    def time_fused_pass(self, workload, n_threads):
        self.call()


class TwoThreads:
    """The gain of the second thread, its runs in turn with the first's."""

    params = (tuple(COMPUTE_BOUND),)
    param_names = ("workload",)
    timeout = 600

    def setup(self, workload):
        if thread_counts()[-1] < 2:
            raise NotImplementedError("one core here")

    def track_speedup_on_two_threads(self, workload):
        seconds = pass_seconds(COMPUTE_BOUND[workload], 5, [1, 2])
        return seconds[1] / seconds[2]

    track_speedup_on_two_threads.unit = "times"


class SmallWork:
    """A fit too small to wake a thread for."""

    params = (tuple(SMALL_ROWS),)
    param_names = ("n_samples",)
    unit = "times"

    def track_all_threads_over_one(self, n_samples):
        return small_fit_ratio(n_samples, 7)
