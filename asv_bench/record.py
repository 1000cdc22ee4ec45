"""The figures of docs/benchmarks.md: measured, written as CSV, from which pages.py makes the tables and plots.

    python asv_bench/record.py [--threads N] [--clock wall|processor] [--rounds N] [--shrink N] [--only TABLE ...]
                               [--out FOLDER] [--cache FOLDER]

`bash ci/benchmarks.sh` installs the peers, runs this and rewrites the pages. Every library gets the same rows; runs
that are compared take turns, and every round is written down. --clock processor counts the processor time of each
library's process, for a machine that does other work too; it needs --threads 1. --shrink N takes an N-th of the rows,
to see that everything runs. --only measures these tables again and keeps the others. A table takes the place of what
was recorded before when it is complete, so that a run may be stopped.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "docs" / "benchmarks"
MEASURES = ("table", "work", "library", "measure", "round", "value")


def main() -> None:
    """Measure the tables asked for and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="of every library (1)")
    parser.add_argument("--clock", choices=("wall", "processor"), default="processor")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shrink", type=int, default=1, help="divides the numbers of rows")
    parser.add_argument("--only", nargs="+", metavar="TABLE")
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--cache", type=Path, help="where peers are built")
    arguments = parser.parse_args()
    if arguments.clock == "processor" and arguments.threads > 1:
        parser.error("--clock processor adds up the time of all threads: it needs --threads 1")
    # Thread pools read these when NumPy is loaded, and OpenBLAS its tuning: so nothing above has imported it.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(arguments.threads)
    from benchmarks.timing import SETTINGS
    from recorded_tables import TABLES

    import fastgmm

    unknown = set(arguments.only or ()) - set(TABLES)
    if unknown:
        parser.error(f"no tables {sorted(unknown)}; they are {', '.join(TABLES)}")
    fastgmm.set_config(n_threads=arguments.threads)
    SETTINGS.n_threads, SETTINGS.clock, SETTINGS.repeats = arguments.threads, arguments.clock, arguments.rounds
    SETTINGS.shrink, SETTINGS.cache = arguments.shrink, arguments.cache
    chosen = arguments.only or list(TABLES)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path, begin = arguments.out / "measurements.csv", time.perf_counter()
    facts, now = {row["fact"]: row["value"] for row in read(arguments.out / "run.csv")}, run_facts(arguments, 0.0)
    if differ := [name for name in ("machine", "threads", "clock") if facts.get(name, now[name]) != now[name]]:
        if arguments.only:
            known = ", ".join(f"{name} {facts[name]}" for name in differ)
            parser.error(f"the other tables of {arguments.out} were measured with {known}: measure all, or use --out")
        facts = {}
    kept = [row for row in read(path) if row["table"] in TABLES] if facts else []
    order, failed = {name: number for number, name in enumerate(TABLES)}, []
    for table in chosen:
        try:
            rows = list(measured(table, TABLES[table]))
        except Exception:
            # A table that cannot be had must not cost the others.
            traceback.print_exc()
            failed.append(table)
            continue
        # Only whole tables take the place of what was recorded before: a run may be stopped at any time.
        kept = [row for row in kept if row["table"] != table]
        kept += (dict(zip(MEASURES, row, strict=True)) for row in rows)
        write(path, MEASURES, sorted(kept, key=lambda row: order.get(row["table"], len(order))))
        facts |= run_facts(arguments, (time.perf_counter() - begin) / 60)
        facts |= {f"{fact} of {table}": value for fact, value in table_facts(arguments).items()}
        run = [{"fact": fact, "value": value} for fact, value in facts.items()]
        write(arguments.out / "run.csv", ("fact", "value"), run)
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


def measured(table: str, works: Callable[[], Iterator]) -> Iterator[tuple]:
    """Yield the rows of a table, and tell of them on standard error."""
    for work, library, measure, values in works():
        shown = " ".join(f"{value:.4g}" for value in values)
        print(f"{table}: {work}, {library}, {measure}: {shown}", file=sys.stderr, flush=True)
        for number, value in enumerate(values):
            yield table, work, library, measure, number, f"{value:.6g}"


def read(path: Path) -> list[dict]:
    """Return the rows of a CSV file, none where there is no file."""
    with suppress(FileNotFoundError), open(path, newline="") as file:
        return list(csv.DictReader(file))
    return []


def write(path: Path, names: Sequence[str], rows: list[dict]) -> None:
    """Write a CSV file, which is the old one or the new one at any time."""
    part = path.with_suffix(".part")
    with open(part, "w", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)


def table_facts(arguments: argparse.Namespace) -> dict[str, str]:
    """Return what may differ from table to table."""
    return {
        "rows": "all" if arguments.shrink == 1 else f"1/{arguments.shrink}",
        "date": datetime.date.today().isoformat(),
        "rounds": str(arguments.rounds),
        "load average": f"{os.getloadavg()[1]:.1f}" if hasattr(os, "getloadavg") else "unknown",
    }


def run_facts(arguments: argparse.Namespace, minutes: float) -> dict[str, str]:
    """Return what a reader must know of the machine and the libraries of the last run."""
    import fastgmm

    model = platform.machine()
    with suppress(OSError, StopIteration), open("/proc/cpuinfo") as lines:
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    known = fastgmm.show_config(mode="dict")
    facts = {
        "machine": model,
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": str(arguments.threads),
        "clock": arguments.clock,
        "minutes": f"{minutes:.0f}",
        "fastgmm": f"{fastgmm.__version__} ({known['engine']}, {known.get('isa', '-')})",
        "Python": platform.python_version(),
    }
    for package in ("numpy", "scipy", "scikit-learn", "studenttmixture", "astroML", "vamm"):
        with suppress(importlib.metadata.PackageNotFoundError):
            facts[package] = importlib.metadata.version(package)
    from benchmarks.peers.install import ONEDAL_REQUIREMENTS

    facts["daal4py (oneDAL)"] = ONEDAL_REQUIREMENTS[0].partition("==")[2]
    with suppress(OSError, subprocess.CalledProcessError):
        script = "cat(R.version$major, R.version$minor, as.character(packageVersion('mclust')))"
        done = subprocess.run(["Rscript", "-e", script], check=True, capture_output=True, text=True)
        major, minor, mclust = done.stdout.split()
        facts |= {"R": f"{major}.{minor}", "mclust": mclust}
    return facts


if __name__ == "__main__":
    main()
