"""Seconds per EM iteration of fastgmm beside scikit-learn, oneDAL, Armadillo and VLFeat, in one run.

    python asv_bench/compare_peers.py [--quick] [--workloads TEXT ...] [--repeats N] [--threads N] [--markdown]

Every library gets the same rows and the same start; their runs take turns, and medians are compared. An iteration is
counted when it was made, not when it was asked for: oneDAL, Armadillo and VLFeat stop early. What a run costs besides
its iterations is left out for all of them. After its iterations each library's model is scored by scikit-learn and
compared with fastgmm's after as many: a library that is not where the others are has not done the same work, and its
ratio is marked. scikit-learn runs the loop of its fit; oneDAL (daal4py) is installed into an environment of its own
and the C++ drivers are compiled at the first run, both under --cache. A peer that cannot be had is named with what to
install.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import statistics
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.timing import machine
from benchmarks.workloads import ENGINE, Workload
from peers.install import PEERS, MissingPeerError, default_cache, peer_command
from peers.measure import Comparison, compare

#: The field's usual sizes, with and without overlap, and shapes between them.
WORKLOADS = (
    Workload("full", 1_000_000, 2, 8),
    Workload("full", 1_000_000, 2, 8, overlapping=True),
    Workload("full", 1_000_000, 3, 8, dtype="float32"),
    Workload("full", 500_000, 1, 5, overlapping=True),
    Workload("full", 200_000, 8, 16, overlapping=True),
    Workload("full", 200_000, 16, 32),
    Workload("full", 200_000, 16, 32, overlapping=True),
    Workload("full", 200_000, 16, 32, dtype="float32"),
    Workload("full", 50_000, 64, 32, overlapping=True),
    Workload("full", 50_000, 128, 64),
    Workload("full", 50_000, 128, 64, overlapping=True),
    Workload("tied", 200_000, 32, 64),
    Workload("spherical", 200_000, 32, 64),
    Workload("diag", 500_000, 4, 16, overlapping=True),
    Workload("diag", 200_000, 40, 256, overlapping=True),
    Workload("diag", 200_000, 40, 256, overlapping=True, dtype="float32"),
    Workload("diag", 200_000, 32, 64),
    Workload("diag", 200_000, 32, 64, dtype="float32"),
    Workload("diag", 100_000, 64, 1000),
    Workload("diag", 100_000, 64, 1000, dtype="float32"),
)

#: Peers that figure 2 takes the fastest of.
COMPILED_PEERS = ("oneDAL", "Armadillo", "VLFeat")

# Nats per row, by dtype: more than rounding and differing variance floors give, less than an iteration does.
AGREEMENT = {"float64": 1e-5, "float32": 1e-3}


def available(cache: Path) -> tuple[dict[str, list[str]], list[str]]:
    """Return the commands of the libraries that can be run, and a line about each that cannot."""
    commands, missing = {}, []
    for peer in PEERS:
        try:
            commands[peer] = peer_command(peer, cache)
        except MissingPeerError as error:
            missing.append(str(error))
    return commands, missing


def agrees(result: Comparison, peer: str) -> bool:
    """Return whether the peer's model is as likely as fastgmm's after as many iterations."""
    return result.measured[peer].disagreement <= AGREEMENT[result.workload.dtype]


def fastest_ratio(result: Comparison) -> float | None:
    """Return the ratio to the fastest compiled peer, or None where none ran."""
    ratios = [result.ratio(peer) for peer in COMPILED_PEERS if peer in result.measured]
    return min(ratios) if ratios and "fastgmm" in result.measured else None


def seconds_text(seconds: float) -> str:
    """Return seconds to three digits, in milliseconds where shorter."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def cell(result: Comparison, peer: str) -> str:
    """Return one library's entry of the table."""
    if peer in result.failed:
        return "failed"
    if peer not in result.measured:
        return "-"
    measured = result.measured[peer]
    text = seconds_text(measured.seconds)
    if peer != "fastgmm":
        text += f" ({result.ratio(peer):.1f}x)"
    if not agrees(result, peer):
        text += f" !{measured.disagreement:.1g}"
    if measured.iterations < measured.asked:
        text += f" [{measured.iterations}/{measured.asked}]"
    return text


def table(results: list[Comparison], peers: list[str], markdown: bool) -> str:
    """Return the table of `results`, its last lines the minimum and geometric mean of the ratios."""
    rows = [["seconds per EM iteration", *peers, "fastest compiled peer"]]
    for result in results:
        fastest = fastest_ratio(result)
        last = "-" if fastest is None else f"{fastest:.1f}x"
        rows.append([result.workload.name, *(cell(result, peer) for peer in peers), last])
    for label, summary in (("minimum", min), ("geometric mean", statistics.geometric_mean)):
        line = [label]
        for peer in [*peers, None]:
            values = [
                fastest_ratio(result) if peer is None else result.ratio(peer)
                for result in results
                if (peer is None and fastest_ratio(result) is not None)
                or (peer in result.measured and "fastgmm" in result.measured)
            ]
            line.append("" if peer == "fastgmm" else f"{summary(values):.2f}x" if values else "-")
        rows.append(line)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if markdown:
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)


def notes(results: list[Comparison], missing: list[str], where: str, n_threads: int) -> list[str]:
    """Return what a reader of the table must know: the machine, the marks, what is missing and what failed."""
    version = importlib.metadata.version
    lines = [
        f"{where}; {n_threads} threads; scikit-learn {version('scikit-learn')}, NumPy {version('numpy')}",
        "(x): times fastgmm's. [made/asked]: the library stopped early; seconds are per iteration made. '-': it has no "
        "such model (VLFeat is compared in float32 only).",
    ]
    apart = [result for result in results for peer in result.measured if not agrees(result, peer)]
    if apart:
        lines.append(
            "!: after as many iterations the model's mean log-likelihood differs from fastgmm's by this many nats per "
            "row: not the same work, so the ratio is not a fair one (VLFeat drops responsibilities below 0.01)."
        )
    else:
        lines.append(
            "Every library's log-likelihood agrees with fastgmm's after as many iterations, within "
            f"{AGREEMENT['float64']:g} (float32: {AGREEMENT['float32']:g}) nats per row."
        )
    lines += [f"missing: {line}" for line in missing]
    lines += [f"failed: {peer} on {r.workload.name}: {text}" for r in results for peer, text in r.failed.items()]
    return lines


def select(workloads, patterns, quick: bool):
    """Return the workloads whose name holds any of the patterns, with fewer rows when `quick`."""
    chosen = [w for w in workloads if not patterns or any(pattern in w.name for pattern in patterns)]
    return [w.shrunk(20) for w in chosen] if quick else chosen


def main() -> int:
    """Run the comparison the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="a twentieth of the rows and fewer repeats: about a minute"
    )
    parser.add_argument("--workloads", nargs="+", metavar="TEXT", help="only those whose name holds one of these")
    parser.add_argument(
        "--engine", action="store_true", help="the six sizes of the benchmarks, with and without overlap"
    )
    parser.add_argument("--repeats", type=int, help="rounds; medians are taken over them (7, quick: 3)")
    parser.add_argument("--threads", type=int, default=2, help="for every library (2)")
    parser.add_argument("--seed", type=int, default=0, help="of the data")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where peers are built (%(default)s)")
    arguments = parser.parse_args()

    everything = WORKLOADS
    if arguments.engine:
        everything = [replace(w, overlapping=overlapping) for w in ENGINE for overlapping in (False, True)]
    workloads = select((replace(w, seed=arguments.seed) for w in everything), arguments.workloads, arguments.quick)
    if not workloads:
        parser.error("no workload's name holds that; they are: " + ", ".join(w.name for w in everything))
    # Before the run itself is what loads the machine.
    where = machine()
    commands, missing = available(arguments.cache)
    for line in missing:
        print(f"missing: {line}", file=sys.stderr)
    repeats = arguments.repeats or (3 if arguments.quick else 7)
    results = []
    for number, workload in enumerate(workloads, 1):
        result = compare(workload, commands, repeats, arguments.threads, 0.05 if arguments.quick else 0.3)
        results.append(result)
        cells = ", ".join(f"{peer} {cell(result, peer)}" for peer in commands if peer in result.measured)
        print(f"[{number}/{len(workloads)}] {workload.name}: {cells}", file=sys.stderr, flush=True)
    print(table(results, list(commands), arguments.markdown))
    print()
    for line in notes(results, missing, where, arguments.threads):
        print(f"- {line}" if arguments.markdown else line)
    return 1 if any("fastgmm" in result.failed for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
