"""Seconds per EM iteration of fastgmm beside scikit-learn, oneDAL, Armadillo and VLFeat, in one run.

    python asv_bench/compare_peers.py [--quick] [--workloads TEXT ...] [--repeats N] [--threads N]

Every library gets the same rows and the same start; their runs take turns, and medians are compared. An iteration is
counted when it was made, not when it was asked for: oneDAL, Armadillo and VLFeat stop early. What a run costs besides
its iterations is left out for all of them. After its iterations each library's model is scored by scikit-learn and
compared with fastgmm's after as many: a library that is not where the others are has not done the same work, and its
ratio is marked. scikit-learn runs the loop of its fit; oneDAL (daal4py) is installed into an environment of its own
and the C++ drivers are compiled at the first run, both under --cache. A peer that cannot be had is named with what to
install. `figures.py --only 2` holds the same measurements against their targets.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import statistics
import sys
from pathlib import Path

from benchmarks.peers.install import PEERS, default_cache
from benchmarks.peers.measure import AGREEMENT, Comparison, compare_libraries
from benchmarks.timing import SETTINGS, machine, text
from benchmarks.workloads import asked, workload
from tables import Table


def cell(result: Comparison, peer: str) -> str:
    """Return one library's entry of the table."""
    if peer in result.failed:
        return "failed"
    if peer not in result.measured:
        return "-"
    measured = result.measured[peer]
    shown = text(measured.seconds, "s")
    if peer != "fastgmm" and "fastgmm" in result.measured:
        shown += f" ({result.ratio(peer):.1f}x)"
    if not result.agrees(peer):
        shown += f" !{measured.disagreement:.1g}"
    if measured.iterations < measured.asked:
        shown += f" [{measured.iterations}/{measured.asked}]"
    return shown


def print_summaries(table: Table, results: list[Comparison], peers: list[str]) -> None:
    """Print the least and the mean ratio of each library, and over the fastest compiled one."""
    both = [result for result in results if "fastgmm" in result.measured]
    columns = [[result.ratio(peer) for result in both if peer in result.measured] for peer in peers[1:]]
    columns.append([result.ratio(result.fastest()) for result in both if result.fastest()])
    for label, summary in (("least", min), ("geometric mean", statistics.geometric_mean)):
        table.row(label, "", *(f"{summary(ratios):.2f}x" if ratios else "-" for ratios in columns))


def notes(results: list[Comparison], where: str) -> list[str]:
    """Return what a reader of the table must know: the machine, the marks, what is missing and what failed."""
    version = importlib.metadata.version
    lines = [
        f"{where}; {SETTINGS.n_threads} threads; scikit-learn {version('scikit-learn')}, NumPy {version('numpy')}",
        "(x): times fastgmm's. [made/asked]: the library stopped early; seconds are per iteration made. '-': it has no "
        "such model (VLFeat is compared in float32 only).",
    ]
    if all(result.agrees(peer) for result in results for peer in result.measured):
        lines.append(
            "Every library's log-likelihood agrees with fastgmm's after as many iterations, within "
            f"{AGREEMENT['float64']:g} (float32: {AGREEMENT['float32']:g}) nats per row."
        )
    else:
        lines.append(
            "!: after as many iterations the model's mean log-likelihood differs from fastgmm's by this many nats per "
            "row: not the same work, so the ratio is not a fair one (VLFeat drops responsibilities below 0.01)."
        )
    lines += dict.fromkeys(f"missing: {line}" for result in results for line in result.missing.values())
    lines += [f"failed: {peer} on {r.workload.name}: {reason}" for r in results for peer, reason in r.failed.items()]
    return lines


def main() -> int:
    """Run the comparison the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the rows, fewer repeats: about a minute")
    parser.add_argument("--workloads", nargs="+", metavar="TEXT", help="only those whose name holds one of these")
    parser.add_argument(
        "--engine", action="store_true", help="the six sizes of the benchmarks, with and without overlap"
    )
    parser.add_argument("--repeats", type=int, help="rounds; medians are taken over them (7, quick: 3)")
    parser.add_argument("--threads", type=int, default=2, help="for every library (2)")
    parser.add_argument("--seed", type=int, default=0, help="of the data")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where peers are built (%(default)s)")
    arguments = parser.parse_args()

    everything = asked("regimes" if arguments.engine else "peers")
    names = [n for n in everything if not arguments.workloads or any(part in n for part in arguments.workloads)]
    if not names:
        parser.error("no workload's name holds that; they are: " + ", ".join(everything))
    SETTINGS.seed, SETTINGS.n_threads, SETTINGS.cache = arguments.seed, arguments.threads, arguments.cache
    SETTINGS.repeats = arguments.repeats or (3 if arguments.quick else 7)
    if arguments.quick:
        SETTINGS.shrink, SETTINGS.least_seconds = 20, 0.025
    # Before the run itself is what loads the machine.
    where, peers, results = machine(), list(PEERS), []
    table = Table("seconds per EM iteration", *peers, "fastest compiled peer")
    for name in names:
        result = compare_libraries(workload(name), peers)
        results.append(result)
        last = f"{result.ratio(result.fastest()):.1f}x" if result.fastest() else "-"
        table.row(result.workload.name, *(cell(result, peer) for peer in peers), last)
    print_summaries(table, results, peers)
    print()
    for line in notes(results, where):
        print(f"- {line}")
    return 1 if any("fastgmm" in result.failed for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
