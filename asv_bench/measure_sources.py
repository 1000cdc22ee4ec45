"""A fit of data larger than its memory: peak memory and throughput of a Parquet file and of a memory map.

    python asv_bench/measure_sources.py FOLDER [--gigabytes 8] [--limit 1] [--iterations 3] [--threads N] [--keep]

Writes as many gigabytes of float32, 16 columns, to a Parquet file and to a .npy file in FOLDER, which needs room for
both, and fits 16 full components to each in a process of its own, under a hard limit of its memory (RLIMIT_DATA: what
it allocates; pages of the file that the map shows are the system's, and part of the peak that is printed). The pass
over an array in memory, of an eighth of the rows, is what throughput is compared with.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from benchmarks.bench_sources import write_files
from benchmarks.timing import seconds
from benchmarks.workloads import Workload

N_FEATURES, N_COMPONENTS = 16, 16


def fit(kind: str, folder: Path, iterations: int, threads: int | None) -> None:
    """Fit in this process and print what it took as JSON."""
    from benchmarks.internals import em_pass

    import fastgmm
    from fastgmm import GaussianMixture
    from fastgmm.data import parquet, sliced

    warnings.simplefilter("ignore")
    fastgmm.set_config(n_threads=threads)
    source = mapped = np.load(folder / "rows.npy", mmap_mode="r")
    model = GaussianMixture(N_COMPONENTS, random_state=0, tol=0.0, max_iter=iterations, acceleration=None)
    facts, n_rows, n_passes = {}, len(mapped), 1
    if kind == "array":
        n_rows, n_passes = len(mapped) // 8, 3
        source = np.array(mapped[:n_rows])
        model.fit(source[: 1 << 18])
    else:
        source = parquet(folder / "rows.parquet") if kind == "parquet" else sliced(mapped)
        facts["seconds of the fit"] = seconds(lambda: model.fit(source))
        facts["passes"] = model.n_passes_ + 1
    one_pass, before = em_pass(model, source), time.process_time()
    facts["seconds per million rows"] = 1e6 * seconds(one_pass, n_passes) / n_rows
    facts["CPU seconds per million rows"] = 1e6 * (time.process_time() - before) / n_passes / n_rows
    facts["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(facts))


def run(kind: str, folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Run `fit` in a process under the limit and return what it printed."""
    limit = None if kind == "array" else int(arguments.limit * 1e9)

    def prepare() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    command = [sys.executable, __file__, str(folder), "--kind", kind, "--iterations", str(arguments.iterations)]
    if arguments.threads:
        command += ["--threads", str(arguments.threads)]
    done = subprocess.run(command, preexec_fn=prepare, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{kind}: the process ended with status {done.returncode}")
    facts = json.loads(done.stdout)
    limited = "" if limit is None else f" under {arguments.limit:g} GB"
    print(f"{kind}{limited}: " + ", ".join(f"{name} {value:.4g}" for name, value in facts.items()), flush=True)
    return facts


def main() -> None:
    """Make the data and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gigabytes", type=float, default=8.0)
    parser.add_argument("--limit", type=float, default=1.0, help="gigabytes of memory")
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--keep", action="store_true", help="leave the files for another run")
    parser.add_argument("--kind", choices=("array", "parquet", "memmap"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.kind:
        fit(arguments.kind, arguments.folder, arguments.iterations, arguments.threads)
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    n_rows = int(arguments.gigabytes * 1e9 / (4 * N_FEATURES))
    needed, free = 1.1 * 2 * 4 * N_FEATURES * n_rows, shutil.disk_usage(arguments.folder).free
    if not (arguments.folder / "rows.parquet").exists() and free < needed:
        raise SystemExit(
            f"{arguments.folder} has {free / 1e9:.1f} GB free; {needed / 1e9:.1f} GB are needed. Choose another folder "
            "or fewer --gigabytes"
        )
    write_files(arguments.folder, Workload("full", n_rows, N_FEATURES, N_COMPONENTS, overlapping=True, dtype="float32"))
    print(f"{n_rows} rows of {N_FEATURES} float32; load {os.getloadavg()[0]:.1f}", flush=True)
    array = run("array", arguments.folder, arguments)
    for kind in ("memmap", "parquet"):
        facts = run(kind, arguments.folder, arguments)
        share = array["seconds per million rows"] / facts["seconds per million rows"]
        print(f"{kind}: {share:.0%} of the throughput of the array; load {os.getloadavg()[0]:.1f}", flush=True)
    if not arguments.keep:
        for name in ("rows.npy", "rows.parquet"):
            (arguments.folder / name).unlink()


if __name__ == "__main__":
    main()
