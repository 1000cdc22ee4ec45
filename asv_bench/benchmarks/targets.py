"""The figures of speed: which benchmarks each is made of, and every target there is.

A benchmark is ``file.Class.method`` in this folder, and a figure measures it with all parameters of its class. Targets
are stated for the full sizes and an idle machine, in the unit of the benchmark; seconds for ``time_``.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.timing import text

__all__ = ["FIGURES", "Line", "Target"]

Limit = float | Callable[[str], float | None] | None


@dataclass(frozen=True)
class Line:
    """A line of a figure; `reached` is None where there is no target, or nothing was measured."""

    what: str
    value: str = ""
    target: str = ""
    reached: bool | None = None

    def __str__(self) -> str:
        verdict = {True: "pass", False: "MISS", None: ""}[self.reached]
        return f"  {self.what:<66} {self.value:>26}  {self.target:<22} {verdict}".rstrip()


@dataclass(frozen=True)
class Target:
    """What a benchmark has to come to; without limits it is reported.

    Attributes
    ----------
    at_least, at_most : float, callable or None
        A callable gets the first parameter, and returns None where there is no target.
    mean_at_least : float or None
        The target for the geometric mean over all parameters.
    median_at_least : float or None
        The target for their median.
    ratio : (object, object) or None
        Two values of the last parameter whose times are divided, run in turn; the value is the ratio.
    question : str or None
        Of the workloads that are taken, where the class is asked about more.
    """

    at_least: Limit = None
    at_most: Limit = None
    mean_at_least: float | None = None
    median_at_least: float | None = None
    ratio: tuple[object, object] | None = None
    question: str | None = None

    def line(self, method: str, params: tuple, value: float, unit: str, detail: str = "") -> Line:
        """Return the line of one value."""
        over = " over ".join(map(str, self.ratio)) + ", " if self.ratio else ""
        what = f"{readable(method)}, {over}" + ", ".join(map(str, params))
        shown = f"{detail} {text(value, unit)}".strip()
        for limit, sign, reached in ((self.at_least, ">=", value.__ge__), (self.at_most, "<=", value.__le__)):
            limit = limit(str(params[0])) if callable(limit) else limit
            if limit is not None:
                return Line(what.removesuffix(", "), shown, f"{sign} {text(limit, unit)}", reached(limit))
        return Line(what.removesuffix(", "), shown)

    def lines_of_all(self, method: str, values: list[float]) -> Iterator[Line]:
        """Yield the lines of what is asked of all values together."""
        asked = (
            ("geometric mean", statistics.geometric_mean, self.mean_at_least),
            ("median", statistics.median, self.median_at_least),
        )
        for what, summarise, limit in asked:
            if limit is None:
                continue
            what = f"{readable(method)}, {what}"
            if not values:
                yield Line(what, "not measured")
                continue
            value = summarise(values)
            yield Line(what, text(value, "x"), f">= {text(limit, 'x')}", value >= limit)


def readable(method: str) -> str:
    """Return what a method measures, in words."""
    return method.partition("_")[2].replace("_", " ")


def _tied(name: str) -> float:
    return 40 if name.startswith("tied") else 5


def _same_work(name: str) -> float:
    return 1e-3 if name.endswith("float32") else 1e-5


def _where_wide(limit: float) -> Callable[[str], float | None]:
    return lambda name: None if " x 16 " in name else limit


def _of_fastgmm(limit: float) -> Callable[[str], float | None]:
    return lambda library: limit if library == "fastgmm" else None


OVER_SKLEARN, NUMBA = ("scikit-learn", "fastgmm"), ("numba", "compiled")

#: A title, and targets by benchmark.
FIGURES: dict[int, tuple[str, list[tuple[str, Target]]]] = {
    1: (
        "EM iteration, times faster than scikit-learn",
        [
            ("bench_iterations.OverScikitLearn.track_times_faster", Target(at_least=_tied, mean_at_least=25)),
            ("bench_iterations.OverScikitLearn.track_disagreement", Target(at_most=_same_work)),
        ],
    ),
    2: (
        "EM iteration, times faster than the fastest of oneDAL, Armadillo and VLFeat",
        [("bench_iterations.OverPeers.track_times_faster", Target(at_least=2, mean_at_least=3))],
    ),
    3: (
        "Kernels against the machine",
        [
            ("bench_kernels.ShareOfMatrixProduct.track_e_step", Target(at_least=_where_wide(80))),
            ("bench_kernels.ShareOfMatrixProduct.track_fused_pass", Target(at_least=_where_wide(65))),
            ("bench_kernels.Exponentials.track_row_components_per_second", Target()),
            ("bench_kernels.Exponentials.track_cycles_per_exponential", Target()),
            ("bench_kernels.Skipping.track_dense_over_separated", Target(at_least=3)),
        ],
    ),
    4: (
        "Whole default fit",
        [
            ("bench_fit.DefaultFit.time_fit", Target(at_least=8, mean_at_least=20, ratio=OVER_SKLEARN)),
            ("bench_fit.DefaultFit.time_fit", Target(at_most=1, ratio=("fastgmm", "KMeans"))),
            ("bench_fit.Likelihood.track_log_likelihood_below_scikit_learn", Target(at_most=1e-3)),
        ],
    ),
    5: (
        "Small work",
        [
            ("bench_small.SmallWork.time_fit_300_rows", Target(at_most=_of_fastgmm(1e-3))),
            ("bench_small.SmallWork.time_predict_proba_one_row", Target(at_most=_of_fastgmm(50e-6))),
            ("bench_small.Scorer.time_scorer_predict_one_row", Target(at_most=5e-6)),
            ("bench_small.Scorer.time_scorer_predict_proba_one_row", Target(at_most=5e-6)),
            ("bench_small.Scorer.time_scorer_score_samples_one_row", Target(at_most=5e-6)),
            ("bench_small.Scorer.time_scorer_score_samples_one_row_into_out", Target(at_most=5e-6)),
            ("bench_small.Scorer.track_scorer_batch_over_kernel", Target(at_most=1.1)),
        ],
    ),
    6: (
        "Scoring",
        [
            ("bench_scoring.ScoreRows.time_score_million_rows", Target(at_least=10, ratio=OVER_SKLEARN)),
            ("bench_scoring.Memory.track_memory_128_components_less_8", Target(at_most=4 * 2**20)),
        ],
    ),
    7: (
        "Threads",
        [
            ("bench_threads.TwoThreads.track_speedup_of_two", Target(at_least=1.8)),
            ("bench_threads.TwoThreads.track_serial_fraction", Target()),
            ("bench_threads.TwoThreads.track_amdahl_bound_on_16", Target()),
            ("bench_threads.TwoThreads.track_amdahl_bound_on_64", Target()),
            ("bench_threads.TwoThreads.track_cores_that_one_read_rate_feeds", Target()),
            ("bench_threads.SmallFit.track_fit_on_all_threads_over_one", Target(at_most=1.05)),
        ],
    ),
    8: (
        "Import",
        [
            ("bench_import.Import.track_fastgmm_after_sklearn_base", Target(at_most=0.05)),
            ("bench_import.Import.track_fastgmm_less_sklearn_base", Target(at_most=0.05)),
            ("bench_import.Import.track_fastgmm", Target()),
            ("bench_import.Import.track_sklearn_base", Target()),
        ],
    ),
    9: (
        "Numba engine over the compiled one",
        [
            ("bench_kernels.Pass.time_fused_pass", Target(at_most=2.5, ratio=NUMBA, question="engines")),
            ("bench_kernels.Pass.time_e_step", Target(ratio=NUMBA, question="engines")),
            ("bench_import.FirstFit.track_first_fit_cached", Target()),
        ],
    ),
    10: (
        "Sizes, two iterations from k-means, times faster than scikit-learn",
        [("bench_sizes.OverScikitLearn.track_times_faster", Target(at_least=1, median_at_least=3))],
    ),
}
