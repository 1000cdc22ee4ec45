"""Every figure of speed measured in one run, its target beside it.

    python asv_bench/figures.py [--quick] [--only N ...] [--threads N] [--repeats N] [--seed N] [--cache FOLDER]

1 an EM iteration over scikit-learn's; 2 over the fastest of oneDAL, Armadillo and VLFeat; 3 the kernels against the
machine; 4 default fits; 5 small work; 6 scoring; 7 threads; 8 import; 9 the Numba engine. Runs that are compared take
turns, and medians are compared. --quick takes fewer rows and rounds, about two minutes without peers to build; it shows
that everything runs, and not what the targets mean: they are stated for the full sizes and an idle machine.
"""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

DESCRIPTION = __doc__
TITLES = {
    1: "EM iteration, times faster than scikit-learn",
    2: "EM iteration, times faster than the fastest of oneDAL, Armadillo and VLFeat",
    3: "Kernels against the machine",
    4: "Whole default fit",
    5: "Small work",
    6: "Scoring",
    7: "Threads",
    8: "Import",
    9: "Numba engine over the compiled one",
}


def iterations_over_scikit_learn(arguments) -> Iterator:
    """Return figure 1."""
    from benchmarks.bench_iterations import WORKLOADS
    from benchmarks.targets import at_least, geometric_mean_at_least, unavailable
    from peers.install import peer_command
    from peers.measure import compare

    commands = {peer: peer_command(peer, arguments.cache) for peer in ("fastgmm", "scikit-learn")}
    workloads = WORKLOADS
    if arguments.quick:
        # One of each kind: a sixth of the sizes, and few rows.
        workloads = [workload.shrunk(50) for workload in WORKLOADS[::6] if workload.n_components < 1000]
    ratios = []
    for workload in workloads:
        workload = replace(workload, seed=arguments.seed)
        repeats, least = (2, 0.02) if arguments.quick else (arguments.repeats, 0.2)
        result = compare(workload, commands, repeats, arguments.threads, least)
        if len(result.measured) < 2:
            yield unavailable(workload.name, "; ".join(f"{peer}: {text}" for peer, text in result.failed.items()))
            continue
        ratio = result.ratio("scikit-learn")
        ratios.append(ratio)
        is_tied = workload.covariance_type == "tied"
        detail = f"{1e3 * result.measured['fastgmm'].seconds:.3g} ms "
        yield at_least(workload.name, ratio, 40 if is_tied else 5, "x", detail)
        disagreement = result.measured["scikit-learn"].disagreement
        if disagreement > (1e-3 if workload.dtype == "float32" else 1e-5):
            yield unavailable("  the same work", f"log-likelihoods differ by {disagreement:.1g} nats per row")
    yield geometric_mean_at_least("geometric mean", ratios, 25)


def iterations_over_peers(arguments) -> Iterator:
    """Return figure 2."""
    from benchmarks.targets import at_least, geometric_mean_at_least, unavailable
    from compare_peers import COMPILED_PEERS, WORKLOADS, agrees, available, fastest_ratio
    from peers.install import can_do
    from peers.measure import compare

    commands, missing = available(arguments.cache)
    for line in missing:
        yield unavailable("missing", line)
    commands.pop("scikit-learn", None)
    workloads = [w for w in WORKLOADS if any(can_do(peer, w.covariance_type, w.dtype) for peer in COMPILED_PEERS)]
    if arguments.quick:
        workloads = [workload.shrunk(50) for workload in workloads[::3] if workload.n_features < 100]
    ratios = []
    for workload in workloads:
        workload = replace(workload, seed=arguments.seed)
        repeats, least = (2, 0.02) if arguments.quick else (arguments.repeats, 0.2)
        result = compare(workload, commands, repeats, arguments.threads, least)
        ratio = fastest_ratio(result)
        for peer, text in result.failed.items():
            yield unavailable(f"{workload.name}, {peer}", text)
        if ratio is None:
            continue
        ratios.append(ratio)
        fastest = min((peer for peer in COMPILED_PEERS if peer in result.measured), key=result.ratio)
        note = "" if agrees(result, fastest) else "(unequal work) "
        yield at_least(workload.name, ratio, 2, "x", f"{note}{fastest} ")
    yield geometric_mean_at_least("geometric mean", ratios, 3)


def benchmark_figure(module: str):
    """Return a figure that a benchmark file measures itself."""

    def figure(arguments) -> Iterator:
        import importlib

        yield from importlib.import_module(f"benchmarks.{module}").figure(arguments.quick)

    return figure


FIGURES = {
    1: iterations_over_scikit_learn,
    2: iterations_over_peers,
    3: benchmark_figure("bench_kernels"),
    4: benchmark_figure("bench_fit"),
    5: benchmark_figure("bench_small"),
    6: benchmark_figure("bench_scoring"),
    7: benchmark_figure("bench_threads"),
    8: benchmark_figure("bench_import"),
    9: benchmark_figure("bench_engines"),
}


def main() -> int:
    """Print the figures the command line asks for; the status is 1 if a target was missed or a figure failed."""
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rows and rounds")
    parser.add_argument("--only", type=int, nargs="+", choices=list(FIGURES), default=list(FIGURES), metavar="N")
    parser.add_argument("--threads", type=int, default=2, help="for every library (2)")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of figures 1 and 2 (5)")
    parser.add_argument("--seed", type=int, default=0, help="of the data of figures 1 and 2")
    parser.add_argument("--cache", type=Path, help="where peers are built")
    arguments = parser.parse_args()

    # Thread pools read these when NumPy is loaded, and OpenBLAS its tuning: so nothing above has imported it.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(arguments.threads)
    import benchmarks  # noqa: F401  (drops OpenBLAS's tuning from the environment)
    from peers.install import default_cache

    arguments.cache = arguments.cache or default_cache()
    from benchmarks.timing import machine

    import fastgmm

    facts = fastgmm.show_config(mode="dict")
    print(f"{machine()}; {facts['engine']} engine, {facts.get('isa', '-')}, {facts['n_threads']} threads", flush=True)
    reached = missed = failed = 0
    for number in arguments.only:
        print(f"\nFigure {number}: {TITLES[number]}", flush=True)
        try:
            for line in FIGURES[number](arguments):
                print(line, flush=True)
                reached += line.reached is True
                missed += line.reached is False
        except Exception:
            # One figure that cannot be had must not cost the others.
            failed += 1
            print("  failed:")
            print(textwrap.indent(traceback.format_exc(), "    "), flush=True)
    print(f"\n{reached} targets reached, {missed} missed" + (f"; {failed} figures failed" if failed else ""))
    return 1 if missed or failed else 0


if __name__ == "__main__":
    sys.exit(main())
