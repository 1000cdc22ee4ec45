"""The kernels against the machine: the E-step and the fused pass beside NumPy's matrix product and the clock.

Flops are counted as N K D (D + 1) for the full-covariance E-step, and as many again for the M part of a pass in which
nothing is skipped. Overlapping rows give every component a share in every row; separated ones let most be skipped.
"""

from dataclasses import replace

import numpy as np

from benchmarks.targets import at_least, reported
from benchmarks.timing import clock_hz, gemm_call, interleaved_medians
from benchmarks.workloads import Workload, make_rows, true_parameters
from fastgmm import config, kernels
from fastgmm.model import MixtureParameters, SufficientStatistics

GEMM_SIZE = 2000

DENSE = {
    workload.name: workload
    for workload in (
        *(
            Workload("full", 50_000 if d > 64 else 100_000, d, k, overlapping=True, dtype=dtype)
            for dtype in ("float64", "float32")
            for d, k in ((32, 32), (64, 32), (128, 64))
        ),
        Workload("full", 200_000, 16, 32, overlapping=True),
    )
}
NARROW = {w.name: w for w in (Workload("full", 1_000_000, d, 8, overlapping=True) for d in (1, 2, 3, 4))}
WIDE = Workload("full", 50_000, 128, 64)


class Kernel:
    """The kernels bound to a workload's rows, at the parameters the rows were drawn from."""

    def __init__(self, workload):
        self.workload = workload
        self.X = make_rows(workload)
        weights, means, covariances = true_parameters(workload)
        if workload.covariance_type in ("full", "tied"):
            factors = np.ascontiguousarray(np.swapaxes(np.linalg.inv(np.linalg.cholesky(covariances)), -1, -2))
        else:
            factors = 1.0 / np.sqrt(covariances)
        self.parameters = MixtureParameters(workload.covariance_type, weights, means, covariances, factors)
        self.out = np.empty(len(self.X), self.X.dtype)

    @property
    def flops(self):
        """Of the full-covariance E-step."""
        n, d, k = self.workload.n_samples, self.workload.n_features, self.workload.n_components
        return float(n) * k * d * (d + 1)

    def e_step(self):
        """Write every row's log density."""
        kernels.log_density(self.X, self.parameters, self.out)

    def fused_pass(self):
        """Add every row to new statistics."""
        kernels.accumulate(
            self.X, None, self.parameters, SufficientStatistics.zeros(self.parameters.structure, self.parameters.means)
        )


def shares_of_gemm(workload, repeats):
    """Return the E-step's and the fused pass's flops per second as shares of the matrix product's."""
    kernel = Kernel(workload)
    seconds = interleaved_medians(
        {
            "product": gemm_call(workload.dtype, GEMM_SIZE),
            "E-step": kernel.e_step,
            "pass": kernel.fused_pass,
        },
        repeats,
    )
    rate = 2.0 * GEMM_SIZE**3 / seconds["product"]
    return kernel.flops / seconds["E-step"] / rate, 2.0 * kernel.flops / seconds["pass"] / rate, rate


def exponentials(workload, repeats):
    """Return rows times components per second of the fused pass, and core cycles for each."""
    kernel = Kernel(workload)
    seconds = interleaved_medians({"pass": kernel.fused_pass}, repeats)["pass"]
    count = workload.n_samples * workload.n_components
    return count / seconds, seconds * clock_hz() * config.n_threads() / count


def dense_over_separated(repeats, workload=WIDE):
    """Return how many times longer a pass takes over overlapping rows than over separated ones of the same size."""
    calls = {
        "separated": Kernel(workload).fused_pass,
        "dense": Kernel(replace(workload, overlapping=True)).fused_pass,
    }
    seconds = interleaved_medians(calls, repeats)
    return seconds["dense"] / seconds["separated"]


def figure(quick):
    """Return figure 3: shares of the matrix product's rate, cycles per exponential, what skipping gains."""
    repeats, factor = (3, 5) if quick else (9, 1)
    for workload in DENSE.values():
        e_step, fused, rate = shares_of_gemm(workload.shrunk(factor), repeats)
        detail = f"of {rate / 1e9:.0f} GFLOP/s "
        if workload.n_features >= 32:
            yield at_least(f"E-step, {workload.name}", 100 * e_step, 80, "%", detail)
            yield at_least(f"fused pass, {workload.name}", 100 * fused, 65, "%", detail)
        else:
            yield reported(f"E-step, {workload.name}", f"{detail}{100 * e_step:.3g}%")
            yield reported(f"fused pass, {workload.name}", f"{detail}{100 * fused:.3g}%")
    for workload in NARROW.values():
        rate, cycles = exponentials(workload.shrunk(factor), repeats)
        yield reported(f"fused pass, {workload.name}", f"{rate / 1e6:.0f}M/s, {cycles:.1f} cycles/exp")
    yield at_least(f"dense over separated, {WIDE.name}", dense_over_separated(repeats, WIDE.shrunk(factor)), 3)


class TimeKernels:
    """The E-step alone and the fused pass, in seconds."""

    params = ((*DENSE, *NARROW, WIDE.name),)
    param_names = ("workload",)
    timeout = 600

    def setup(self, workload):
        self.kernel = Kernel({**DENSE, **NARROW, WIDE.name: WIDE}[workload])
        self.kernel.e_step()

    def time_e_step(self, workload):
        self.kernel.e_step()

    def time_fused_pass(self, workload):
        self.kernel.fused_pass()


class ShareOfMatrixProduct:
    """Flops per second as a percentage of NumPy's matrix product in the same dtype, run in turn."""

    params = (tuple(DENSE),)
    param_names = ("workload",)
    timeout = 600
    unit = "% of GEMM"

    def track_e_step_share(self, workload):
        return 100 * shares_of_gemm(DENSE[workload], 5)[0]

    def track_fused_pass_share(self, workload):
        return 100 * shares_of_gemm(DENSE[workload], 5)[1]


class Exponentials:
    """Few features: what a row and component cost."""

    params = (tuple(NARROW),)
    param_names = ("workload",)
    timeout = 600

    def track_row_components_per_second(self, workload):
        return exponentials(NARROW[workload], 5)[0]

    track_row_components_per_second.unit = "1/s"

    def track_cycles_per_exponential(self, workload):
        return exponentials(NARROW[workload], 5)[1]

    track_cycles_per_exponential.unit = "cycles"


def track_dense_over_separated():
    """Return the ratio of pass times."""
    return dense_over_separated(5)


track_dense_over_separated.unit = "times"
track_dense_over_separated.timeout = 600
