"""Whether a new fastgmm is slower than an old one: both installed, their runs in turn, ratios of medians.

    python asv_bench/compare_versions.py OLD NEW [--only TEXT ...] [--processes 3] [--rounds 15] [--threads 2] [--cpu]

OLD and NEW are Pythons; each imports its own fastgmm, or that of a folder written behind it: ``python=FOLDER``. Both
run the same small set of this folder's benchmarks, which use the public interface only: an EM iteration, whole fits,
small work, the scorer, import. A run of the old one is followed by a run of the new one, and the other way round in
the next round; each pair of processes is replaced by a new one, as the place of data in memory matters. What comes out
above the limit is measured again with twice the rounds and judged by all of them. Ratios are new over old: of medians,
of the shortest runs, and the quartiles over single rounds, which say how noisy the machine was: a median above the
limit is called unclear where a quarter of the rounds found the new one quicker. The status is 1 if a median is above
the limit. Runs are short, as those fall between two turns of other programs; where a machine is busy all the same,
--cpu --threads 1 compares processor time.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from benchmarks.peers.install import clean
from benchmarks.peers.session import Session
from benchmarks.running import Single
from benchmarks.timing import SETTINGS, machine, seconds, text
from benchmarks.workloads import asked
from tables import Table

LIMIT = 1.03
#: Benchmarks, ``file.Class.method``, and their parameters.
CORE = (
    *(("bench_iterations.Iterations.time_three_iterations", (name, "fastgmm")) for name in asked("version")),
    *(("bench_fit.DefaultFit.time_fit", (name, "fastgmm")) for name in asked("version-fit")),
    ("bench_small.SmallWork.time_fit_300_rows", ("fastgmm",)),
    ("bench_small.SmallWork.time_predict_proba_one_row", ("fastgmm",)),
    ("bench_small.Scorer.time_scorer_predict_proba_one_row", ()),
    ("bench_small.Scorer.time_scorer_score_samples_one_row", ()),
    ("bench_small.Scorer.time_scorer_batch_into_out", ()),
    ("bench_import.Import.track_fastgmm_after_sklearn_base", ()),
)
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
NAMES = [", ".join((benchmark.partition("_")[2], *params[:1])) for benchmark, params in CORE]


def work(clock: str) -> None:
    """Answer ``setup I``, and ``run I N`` with the seconds of benchmark I, the mean of N runs, until input ends."""
    SETTINGS.repeats = 1
    print("ready", flush=True)
    for line in sys.stdin:
        request, number, *count = line.split()
        name, params = CORE[int(number)]
        benchmark, _, method = name.rpartition(".")
        if request == "setup" or method.startswith("track_"):
            prepared = Single(benchmark, params)
        if request == "setup":
            prepared.call(method)()
            print("0", flush=True)
        elif method.startswith("track_"):
            print(prepared.measure(method)[0], flush=True)
        else:
            print(seconds(prepared.call(method), int(count[0]), CLOCKS[clock]), flush=True)


def begin(python: str, clock: str) -> Session:
    """Start a worker on a Python, with the fastgmm of the folder behind it if there is one."""
    command, _, folder = python.partition("=")
    environment = {name: value for name, value in clean(SETTINGS.n_threads).items() if name != "PYTHONPATH"}
    return Session([command, __file__, "--worker", clock], environment | ({"PYTHONPATH": folder} if folder else {}))


def measure(number: int, arguments: argparse.Namespace, n_rounds: int) -> list[tuple[float, float]]:
    """Return the seconds of a benchmark in each round, old and new."""
    pairs = []
    for _ in range(arguments.processes):
        sessions = [begin(python, "cpu" if arguments.cpu else "wall") for python in (arguments.old, arguments.new)]
        try:
            for session in sessions:
                session.ask(f"setup {number}")
            once = min(session.ask(f"run {number} 1")[0] for session in sessions)
            count = max(1, round(SETTINGS.least_seconds / max(once, 1e-7)))
            elapsed = seconds(lambda both=sessions, count=count: [one.ask(f"run {number} {count}") for one in both])
            for turn in range(n_rounds if elapsed < 1.0 else max(3, n_rounds // 3)):
                order = (0, 1) if turn % 2 == 0 else (1, 0)
                taken = {i: sessions[i].ask_rested(f"run {number} {count}")[0] for i in order}
                pairs.append((taken[0], taken[1]))
        finally:
            for session in sessions:
                session.close()
    return pairs


def ratio(pairs: list[tuple[float, float]], summary=statistics.median) -> float:
    """Return new over old of a summary."""
    old, new = (summary(column) for column in zip(*pairs, strict=True))
    return new / old


def main() -> int:
    """Print a line per benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", help="a Python, or PYTHON=FOLDER")
    parser.add_argument("new")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="benchmarks whose name holds one of these")
    parser.add_argument("--processes", type=int, default=3, help="pairs of processes (3)")
    parser.add_argument("--rounds", type=int, default=15, help="in each pair (15)")
    parser.add_argument("--threads", type=int, default=2, help="of both (2)")
    parser.add_argument("--cpu", action="store_true", help="compare processor time")
    arguments = parser.parse_args()
    SETTINGS.n_threads, SETTINGS.least_seconds = arguments.threads, 0.01
    chosen = [i for i, name in enumerate(NAMES) if not arguments.only or any(part in name for part in arguments.only)]
    if not chosen:
        parser.error("no benchmark's name holds that; they are: " + "; ".join(NAMES))
    print(f"{machine()}; {arguments.threads} threads", flush=True)
    table = Table("benchmark", "old", "new", "new / old", "of the shortest", "quartiles", "")
    slower = 0
    for number in chosen:
        pairs = measure(number, arguments, arguments.rounds)
        if ratio(pairs) > LIMIT:
            pairs += measure(number, arguments, 2 * arguments.rounds)
        single = [new / old for old, new in pairs]
        quartiles = statistics.quantiles(single, n=4) if len(single) > 1 else single * 3
        is_above = ratio(pairs) > LIMIT
        slower += is_above
        table.row(
            NAMES[number],
            *(text(statistics.median(column), "s") for column in zip(*pairs, strict=True)),
            f"{ratio(pairs):.3f}",
            f"{ratio(pairs, min):.3f}",
            f"{quartiles[0]:.2f} to {quartiles[2]:.2f}",
            ("SLOWER" if quartiles[0] > 1.0 else "unclear") if is_above else "",
        )
    print(f"\n{slower} of {len(chosen)} benchmarks are more than {LIMIT - 1:.0%} slower in the median")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(work(sys.argv[2]) if sys.argv[1:2] == ["--worker"] else main())
