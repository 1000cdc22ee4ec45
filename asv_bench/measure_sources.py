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

N_FEATURES, N_COMPONENTS = 16, 16
CHUNK_ROWS = 1 << 20


def components(rng: np.random.Generator):
    """Return means (K, D) and factors (K, D, D) of the mixture that rows are drawn from."""
    return 2.0 * rng.normal(size=(N_COMPONENTS, N_FEATURES)), rng.normal(size=(N_COMPONENTS, N_FEATURES, N_FEATURES))


def chunk(number: int, n_rows: int) -> np.ndarray:
    """Return rows of a mixture that overlaps, float32."""
    means, factors = components(np.random.default_rng(0))
    rng = np.random.default_rng((1, number))
    labels = np.sort(rng.integers(N_COMPONENTS, size=n_rows))
    rows = rng.standard_normal((n_rows, N_FEATURES), dtype=np.float32)
    for k in range(N_COMPONENTS):
        part = slice(*np.searchsorted(labels, [k, k + 1]))
        rows[part] = rows[part] @ (0.3 * factors[k]).astype(np.float32) + means[k].astype(np.float32)
    return rows[rng.permutation(n_rows)]


def write(folder: Path, n_rows: int) -> None:
    """Write both files, unless they are there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    matrix, table = folder / "rows.npy", folder / "rows.parquet"
    if matrix.exists() and table.exists() and np.load(matrix, mmap_mode="r").shape[0] == n_rows:
        return
    needed, free = 2 * n_rows * N_FEATURES * 4, shutil.disk_usage(folder).free
    if free < 1.1 * needed:
        raise SystemExit(
            f"{folder} has {free / 1e9:.1f} GB free; {1.1 * needed / 1e9:.1f} GB are needed. Choose another folder, or "
            "fewer --gigabytes"
        )
    mapped = np.lib.format.open_memmap(matrix, mode="w+", dtype=np.float32, shape=(n_rows, N_FEATURES))
    schema = pa.schema([(f"x{j}", pa.float32()) for j in range(N_FEATURES)])
    with pq.ParquetWriter(table, schema, compression="none") as writer:
        for number, start in enumerate(range(0, n_rows, CHUNK_ROWS)):
            rows = chunk(number, min(CHUNK_ROWS, n_rows - start))
            mapped[start : start + len(rows)] = rows
            writer.write_table(pa.table({f"x{j}": rows[:, j] for j in range(N_FEATURES)}, schema))
    mapped.flush()


def fit(kind: str, folder: Path, iterations: int, threads: int | None) -> None:
    """Fit in this process and print what it took as JSON."""
    import fastgmm
    from fastgmm import GaussianMixture
    from fastgmm.data import ArrayRows, parquet, sliced

    warnings.simplefilter("ignore")
    fastgmm.set_config(n_threads=threads)
    mapped = np.load(folder / "rows.npy", mmap_mode="r")
    model = GaussianMixture(N_COMPONENTS, random_state=0, tol=0.0, max_iter=iterations, acceleration=None)
    facts = {}
    if kind == "array":
        rows = np.array(mapped[: len(mapped) // 8])
        state = model.fit(rows[: 1 << 18])._fitted_state()
        source, n_rows = ArrayRows(rows), len(rows)
    else:
        source = parquet(folder / "rows.parquet") if kind == "parquet" else sliced(mapped)
        begin = time.perf_counter()
        model.fit(source)
        facts["seconds of the fit"] = time.perf_counter() - begin
        facts["passes"] = model.n_passes_ + 1
        state, n_rows = model._fitted_state(), len(mapped)
    begin, before = time.perf_counter(), time.process_time()
    for _ in range(3 if kind == "array" else 1):
        source.accumulate(state)
    passes = 3 if kind == "array" else 1
    facts["seconds per million rows"] = (time.perf_counter() - begin) / passes / n_rows * 1e6
    facts["CPU seconds per million rows"] = (time.process_time() - before) / passes / n_rows * 1e6
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
    write(arguments.folder, n_rows)
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
