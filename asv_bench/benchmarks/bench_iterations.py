"""An EM iteration at fixed iterations beside scikit-learn and compiled peers; memory of a fit; what was reached.

Plain EM: acceleration is off, so that every library makes the same steps from the same start.
"""

import warnings

from benchmarks.peers.install import can_do
from benchmarks.peers.libraries import LIBRARIES
from benchmarks.peers.measure import COMPILED_PEERS, compare_libraries
from benchmarks.timing import extra_peak_bytes, text
from benchmarks.workloads import Workload, asked, make_rows, make_start, workload

N_ITERATIONS = 3


def library_on(library, name):
    """Return the library's runner over the workload's rows and start."""
    warnings.simplefilter("ignore")
    chosen = workload(name)
    return LIBRARIES[library](make_rows(chosen), chosen.covariance_type, *make_start(chosen))


class Iterations:
    """Three iterations from given parameters, of both libraries: fastgmm's by `fit`, scikit-learn's by its loop."""

    params = (asked("iterations"), ("fastgmm", "scikit-learn"))
    param_names = ("workload", "library")
    timeout = 600
    warmup_time = 0

    def setup(self, name, library):
        self.library = library_on(library, name)
        self.library.run(1)

    def time_three_iterations(self, name, library):
        self.library.run(N_ITERATIONS)

    def peakmem_three_iterations(self, name, library):
        self.library.run(N_ITERATIONS)


class Fit:
    """What a fit of three iterations takes besides time, and comes to."""

    params = (asked("iterations"),)
    param_names = ("workload",)
    timeout = 600

    def setup(self, name):
        self.library = library_on("fastgmm", name)
        self.library.run(1)

    def track_memory_above_data(self, name):
        return extra_peak_bytes(lambda: self.library.run(1))

    track_memory_above_data.unit = "bytes"

    def track_log_likelihood(self, name):
        self.library.run(N_ITERATIONS)
        return float(self.library.lower_bound)

    track_log_likelihood.unit = "nats/row"


class OverScikitLearn:
    """How many times longer scikit-learn's iteration takes, runs in turn."""

    params = (asked("iterations"),)
    param_names = ("workload",)
    timeout = 1800

    def setup(self, name):
        self.result = compare_libraries(workload(name), ("fastgmm", "scikit-learn"))
        if self.result.failed:
            raise NotImplementedError("; ".join(f"{peer}: {reason}" for peer, reason in self.result.failed.items()))

    def track_times_faster(self, name):
        self.detail = text(self.result.measured["fastgmm"].seconds, "s")
        return self.result.ratio("scikit-learn")

    track_times_faster.unit = "x"

    def track_disagreement(self, name):
        """Return how far the likelihoods lie apart after as many iterations: whether it was the same work."""
        return self.result.measured["scikit-learn"].disagreement

    track_disagreement.unit = "nats/row"


class OverPeers:
    """How many times longer the iteration of the fastest compiled peer takes that has such a model."""

    params = (
        tuple(name for name in asked("peers") if any(can_do(peer, Workload.parse(name)) for peer in COMPILED_PEERS)),
    )
    param_names = ("workload",)
    timeout = 1800

    def setup(self, name):
        self.result = compare_libraries(workload(name), ("fastgmm", *COMPILED_PEERS))
        self.notes = list(self.result.missing.values())
        if self.result.fastest() is None:
            wrong = {**self.result.missing, **self.result.failed}
            raise NotImplementedError("; ".join(wrong.values()) or "no compiled peer has such a model")

    def track_times_faster(self, name):
        fastest = self.result.fastest()
        failed = "".join(f", {peer} failed: {reason}" for peer, reason in self.result.failed.items())
        self.detail = fastest + ("" if self.result.agrees(fastest) else ", unequal work") + failed
        return self.result.ratio(fastest)

    track_times_faster.unit = "x"
