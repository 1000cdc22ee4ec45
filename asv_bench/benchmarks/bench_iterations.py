"""EM per iteration at fixed iterations, scikit-learn beside it; memory of a fit; the likelihood that was reached.

Plain EM: acceleration is off, so that every library makes the same steps.
"""

import warnings
from dataclasses import replace

from benchmarks.libraries import Fastgmm, ScikitLearn
from benchmarks.timing import extra_peak_bytes
from benchmarks.workloads import BREADTH, ENGINE, make_rows, make_start

N_ITERATIONS = 5

#: The six of the engine: separated and overlapping, float64 and float32; then the whole range of sizes.
WORKLOADS = [
    replace(workload, overlapping=overlapping, dtype=dtype)
    for workload in ENGINE
    for overlapping in (False, True)
    for dtype in ("float64", "float32")
] + [replace(w, dtype="float32" if number % 3 == 2 else "float64") for number, w in enumerate(BREADTH)]
CASES = {workload.name: workload for workload in WORKLOADS}


def from_start(library, workload):
    """Return the library's runner, as `compare_peers.py` uses it, over the workload's rows and start."""
    return library(make_rows(workload), workload.covariance_type, *make_start(workload))


class FastgmmIterations:
    """A fit of five iterations from given parameters, through the public method."""

    params = (tuple(CASES),)
    param_names = ("workload",)
    timeout = 600
    warmup_time = 0

    def setup(self, workload):
        warnings.simplefilter("ignore")
        self.library = from_start(Fastgmm, CASES[workload])
        self.library.run(1)

    def time_five_iterations(self, workload):
        self.library.run(N_ITERATIONS)

    def peakmem_fit(self, workload):
        self.library.run(N_ITERATIONS)

    def track_memory_above_data(self, workload):
        return extra_peak_bytes(lambda: self.library.run(1))

    track_memory_above_data.unit = "bytes"

    def track_log_likelihood(self, workload):
        self.library.run(N_ITERATIONS)
        return float(self.library.lower_bound)

    track_log_likelihood.unit = "nats per row"


class ScikitLearnIterations:
    """One iteration of scikit-learn's loop on the same rows, from the same parameters."""

    params = (tuple(CASES),)
    param_names = ("workload",)
    timeout = 600
    number = 1
    warmup_time = 0

    def setup(self, workload):
        warnings.simplefilter("ignore")
        self.library = from_start(ScikitLearn, CASES[workload])

    def time_one_iteration(self, workload):
        self.library.run(1)

    def peakmem_iteration(self, workload):
        self.library.run(1)
