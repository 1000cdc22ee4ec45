"""The kernels by engine and threads, and against the machine: beside NumPy's matrix product and the clock.

Flops are counted as N K D (D + 1) for the full-covariance E-step, and as many again for the M part of a pass in which
nothing is skipped. Overlapping rows give every component a share in every row; separated ones let most be skipped.
"""

from dataclasses import replace
from functools import cached_property

from benchmarks.internals import Kernel
from benchmarks.timing import clock_hz, gemm_call, interleaved
from benchmarks.workloads import asked, workload
from fastgmm import config, config_context
from fastgmm.exceptions import EngineError

GEMM_SIZE = 2000


#: Under which the same pass is timed.
CONFIGURATIONS = {"compiled": {}, "one thread": {"n_threads": 1}, "numba": {"engine": "numba"}}


class Pass:
    """The E-step alone and the fused pass, after their functions are compiled."""

    params = (asked("product", "narrow", "skipping", "threads", "engines"), tuple(CONFIGURATIONS))
    param_names = ("workload", "configuration")
    timeout = 600

    def setup(self, name, configuration):
        self.options = CONFIGURATIONS[configuration]
        try:
            with config_context(**self.options):
                pass
        except EngineError as error:
            raise NotImplementedError(str(error)) from error
        self.kernel = Kernel(workload(name))
        self.time_e_step(name, configuration)
        self.time_fused_pass(name, configuration)

    def time_e_step(self, name, configuration):
        with config_context(**self.options):
            self.kernel.e_step()

    def time_fused_pass(self, name, configuration):
        with config_context(**self.options):
            self.kernel.fused_pass()


class ShareOfMatrixProduct:
    """Flops per second as a percentage of NumPy's matrix product in the same dtype, run in turn."""

    params = (asked("product"),)
    param_names = ("workload",)
    timeout = 600
    unit = "%"

    def setup(self, name):
        self.kernel = Kernel(workload(name))

    @cached_property
    def seconds(self):
        """Of each, by name."""
        product = gemm_call(self.kernel.workload.dtype, GEMM_SIZE)
        return interleaved({"product": product, "E-step": self.kernel.e_step, "pass": self.kernel.fused_pass})

    def share(self, name, flops):
        """Return the percentage for a kernel that does so many flops."""
        rate = 2.0 * GEMM_SIZE**3 / self.seconds["product"]
        self.detail = f"of {rate / 1e9:.0f} GFLOP/s"
        return 100 * flops / self.seconds[name] / rate

    def track_e_step(self, name):
        return self.share("E-step", self.kernel.flops)

    def track_fused_pass(self, name):
        return self.share("pass", 2.0 * self.kernel.flops)


class Exponentials:
    """Few features: what a row and component cost."""

    params = (asked("narrow"),)
    param_names = ("workload",)
    timeout = 600

    def setup(self, name):
        self.kernel = Kernel(workload(name))

    @cached_property
    def seconds(self):
        """Of a fused pass, for a row and component."""
        size = self.kernel.workload
        return interleaved({"pass": self.kernel.fused_pass})["pass"] / (size.n_samples * size.n_components)

    def track_row_components_per_second(self, name):
        return 1.0 / self.seconds

    track_row_components_per_second.unit = "1/s"

    def track_cycles_per_exponential(self, name):
        return self.seconds * clock_hz() * config.n_threads()

    track_cycles_per_exponential.unit = "cycles"


class Skipping:
    """How many times longer a pass takes over overlapping rows than over separated ones of the same size."""

    params = (asked("skipping"),)
    param_names = ("workload",)
    timeout = 600
    unit = "x"

    def track_dense_over_separated(self, name):
        separated = workload(name)
        dense = replace(separated, overlapping=True)
        seconds = interleaved({"separated": Kernel(separated).fused_pass, "dense": Kernel(dense).fused_pass})
        return seconds["dense"] / seconds["separated"]
