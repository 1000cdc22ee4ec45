"""What a pass on a dask cluster costs beside the kernel: overhead, weak scaling, bytes and tasks.

    python asv_bench/measure_dask.py [--blocks 4] [--rows 1562500] [--repeats 3]

Starts workers of one thread each on this machine. The bare kernel is one process with as many threads as there are
workers, on blocks of the same rows. Runs of both alternate, and the medians are printed; so is the load, as other
work on the machine is part of every figure.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

import numpy as np
from benchmarks.internals import em_pass
from benchmarks.timing import seconds
from benchmarks.workloads import Workload, make_rows, make_start

from fastgmm import GaussianMixture, config_context
from fastgmm.data import DaskRows

OPTIONS = {"threads_per_worker": 1, "dashboard_address": ":0", "memory_limit": 0}


def shape(n_rows: int) -> Workload:
    """Return what a block of rows looks like."""
    return Workload("full", n_rows, 16, 16, overlapping=True, dtype="float32")


def model() -> GaussianMixture:
    """Return the mixture that passes start from."""
    return GaussianMixture.from_parameters(*make_start(shape(1)))


def block(number: int, n_rows: int) -> np.ndarray:
    """Return a block of rows."""
    return make_rows(shape(n_rows), number)


def distributed_blocks(client, n_blocks: int, n_rows: int):
    """Return a dask array whose blocks lie on the workers, as many on each."""
    import dask
    import dask.array as da

    workers = list(client.scheduler_info()["workers"])
    parts = []
    for i in range(n_blocks):
        held = client.submit(block, i, n_rows, workers=[workers[i % len(workers)]], pure=False)
        parts.append(da.from_delayed(dask.delayed(held), (n_rows, shape(1).n_features), np.float32))
        if n_rows > 10_000:
            held.result().shape  # noqa: B018  (one at a time: making them takes more memory than keeping them)
    return da.concatenate(parts).persist()


def received(client) -> int:
    """Return the bytes that all workers have received from each other."""
    return sum(client.run(lambda dask_worker: sum(t["total"] for t in dask_worker.transfer_incoming_log)).values())


def compare(n_workers: int, n_blocks: int, n_rows: int, repeats: int) -> float:
    """Print seconds per pass of the bare kernel and of the cluster; return the latter."""
    from distributed import Client, LocalCluster, wait

    passes = [em_pass(model(), block(i, n_rows)) for i in range(n_blocks)]

    def bare() -> None:
        with config_context(n_threads=n_workers):
            for one_pass in passes:
                one_pass()

    with LocalCluster(n_workers=n_workers, **OPTIONS) as cluster, Client(cluster) as client:
        X = distributed_blocks(client, n_blocks, n_rows)
        wait(X)
        cluster_pass = em_pass(model(), DaskRows(X))
        cluster_pass()
        before = received(client)
        times = [(seconds(bare), seconds(cluster_pass)) for _ in range(repeats)]
        moved = (received(client) - before) / repeats
    kernel, distributed = (statistics.median(column) for column in zip(*times, strict=True))
    ratios = ", ".join(f"{b / a - 1:+.0%}" for a, b in times)
    print(
        f"{n_workers} workers, {n_blocks} blocks of {n_rows} rows: kernel {kernel:.2f} s, cluster {distributed:.2f} s "
        f"per pass ({distributed / kernel - 1:+.0%}; pairs {ratios}); workers received {moved / 1e3:.0f} kB per pass; "
        f"load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return distributed


def tasks(n_blocks: int, repeats: int) -> None:
    """Print what a block costs that has no work: graph, scheduler, transfers of statistics."""
    import dask.array as da
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, **OPTIONS) as cluster, Client(cluster):
        X = da.zeros((10 * n_blocks, shape(1).n_features), chunks=(10, -1), dtype=np.float32).persist()
        one_pass = em_pass(model(), DaskRows(X))
        one_pass()
        time_per_pass = statistics.median(seconds(one_pass) for _ in range(repeats))
        # The scheduler is in this process, as the client is.
        cpu = seconds(one_pass, repeats, clock=time.process_time)
    print(
        f"{n_blocks} blocks of 10 rows: {time_per_pass:.2f} s per pass, {1e3 * time_per_pass / n_blocks:.2f} ms per "
        f"block, of which client and scheduler {1e3 * cpu / n_blocks:.2f} ms of CPU; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=4, help="of each worker")
    parser.add_argument("--rows", type=int, default=1_562_500, help="of a block (100 MB of float32)")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    one = compare(1, arguments.blocks, arguments.rows, arguments.repeats)
    two = compare(2, 2 * arguments.blocks, arguments.rows, arguments.repeats)
    print(f"weak scaling: twice the rows on 2 workers take {two / one:.2f} times as long as on 1")
    for n_blocks in (500, 2000):
        tasks(n_blocks, arguments.repeats)


if __name__ == "__main__":
    main()
