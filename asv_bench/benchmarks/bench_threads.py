"""Threads: what a second one gains where there is work, costs where there is none, and what bounds many.

From the times on one and two threads, Amdahl's serial fraction f = 2 t2 / t1 - 1 (never below zero) says 1 / (f + (1 -
f) / n) for n threads. A pass reads the rows once, so its bytes per second against what one core can read say how many
cores it takes until memory, and not the cores, sets the pace.
"""

import os
from functools import cached_property

from sklearn.datasets import make_blobs

from benchmarks.internals import Kernel
from benchmarks.timing import SETTINGS, interleaved, read_bandwidth
from benchmarks.workloads import asked, workload
from fastgmm import GaussianMixture, config_context


def n_cores():
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def on_threads(n_threads, call):
    """Return `call` under a number of threads."""

    def limited():
        with config_context(n_threads=n_threads):
            return call()

    return limited


class TwoThreads:
    """The gain of the second thread, its runs in turn with the first's, and what it says of many."""

    params = (asked("threads"),)
    param_names = ("workload",)
    timeout = 600
    unit = "x"

    def setup(self, name):
        if n_cores() < 2:
            raise NotImplementedError("one core here")
        self.kernel = Kernel(workload(name))

    @cached_property
    def seconds(self):
        """Of a pass, by the number of threads."""
        return interleaved({n: on_threads(n, self.kernel.fused_pass) for n in (1, 2)})

    def serial(self):
        """Return Amdahl's fraction."""
        return min(1.0, max(0.0, 2.0 * self.seconds[2] / self.seconds[1] - 1.0))

    def track_speedup_of_two(self, name):
        return self.seconds[1] / self.seconds[2]

    def track_serial_fraction(self, name):
        return 100 * self.serial()

    track_serial_fraction.unit = "%"

    def track_amdahl_bound_on_16(self, name):
        return 1.0 / (self.serial() + (1.0 - self.serial()) / 16)

    def track_amdahl_bound_on_64(self, name):
        return 1.0 / (self.serial() + (1.0 - self.serial()) / 64)

    def track_cores_that_one_read_rate_feeds(self, name):
        return read_bandwidth() / (self.kernel.X.nbytes / self.seconds[1])

    track_cores_that_one_read_rate_feeds.unit = "cores"


class SmallFit:
    """A fit too small to wake a thread for: on all threads over on one."""

    params = ((100, 300, 1_000, 3_000),)
    param_names = ("n_samples",)
    unit = "x"

    def track_fit_on_all_threads_over_one(self, n_samples):
        X = make_blobs(n_samples=n_samples, centers=3, random_state=0)[0]
        model = GaussianMixture(3, random_state=0)
        calls = {n: on_threads(n, lambda: model.fit(X)) for n in (1, n_cores())}
        seconds = interleaved(calls, least_seconds=SETTINGS.least_seconds)
        return seconds[n_cores()] / seconds[1]
