"""What a pass on a dask cluster costs beside the kernel: overhead, weak scaling, bytes and tasks.

    python asv_bench/measure_dask.py [--blocks 4] [--repeats 3]

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

from fastgmm import GaussianMixture, config_context
from fastgmm.data import ArrayRows, DaskRows

N_FEATURES, N_COMPONENTS = 16, 16
BLOCK_ROWS = 1_562_500  # 100 MB of float32


def parameters() -> object:
    """Return overlapping components in the unit of the rows."""
    rng = np.random.default_rng(0)
    covariances = np.array([np.cov(rng.normal(size=(N_FEATURES, 4 * N_FEATURES))) for _ in range(N_COMPONENTS)])
    weights = np.full(N_COMPONENTS, 1.0 / N_COMPONENTS)
    return GaussianMixture.from_parameters(weights, rng.normal(size=(N_COMPONENTS, N_FEATURES)), covariances)


def block(number: int, n_rows: int) -> np.ndarray:
    """Return a block of rows."""
    return np.random.default_rng(number).normal(size=(n_rows, N_FEATURES)).astype(np.float32)


def distributed_blocks(client, n_blocks: int, n_rows: int):
    """Return a dask array whose blocks lie on the workers, as many on each."""
    import dask
    import dask.array as da

    workers = list(client.scheduler_info()["workers"])
    parts = []
    for i in range(n_blocks):
        held = client.submit(block, i, n_rows, workers=[workers[i % len(workers)]], pure=False)
        parts.append(da.from_delayed(dask.delayed(held), (n_rows, N_FEATURES), np.float32))
        if n_rows > 10_000:
            held.result().shape  # noqa: B018  (one at a time: making them takes more memory than keeping them)
    return da.concatenate(parts).persist()


def seconds(action, repeats: int) -> float:
    """Return the median time of an action."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def received(client) -> int:
    """Return the bytes that all workers have received from each other."""
    return sum(client.run(lambda dask_worker: sum(t["total"] for t in dask_worker.transfer_incoming_log)).values())


def compare(n_workers: int, n_blocks: int, repeats: int) -> float:
    """Print seconds per pass of the bare kernel and of the cluster; return the latter."""
    from distributed import Client, LocalCluster, wait

    state = parameters()._fitted_state()
    kept = [block(i, BLOCK_ROWS) for i in range(n_blocks)]

    def bare() -> None:
        with config_context(n_threads=n_workers):
            for rows in kept:
                ArrayRows(rows).accumulate(state)

    options = {"threads_per_worker": 1, "dashboard_address": ":0", "memory_limit": 0}
    with LocalCluster(n_workers=n_workers, **options) as cluster, Client(cluster) as client:
        X = distributed_blocks(client, n_blocks, BLOCK_ROWS)
        wait(X)
        source = DaskRows(X)
        source.accumulate(state)
        before = received(client)
        times = [(seconds(bare, 1), seconds(lambda: source.accumulate(state), 1)) for _ in range(repeats)]
        moved = (received(client) - before) / repeats
    kernel, cluster_pass = (statistics.median(column) for column in zip(*times, strict=True))
    ratios = ", ".join(f"{b / a - 1:+.0%}" for a, b in times)
    print(
        f"{n_workers} workers, {n_blocks} blocks of 100 MB: kernel {kernel:.2f} s, cluster {cluster_pass:.2f} s per "
        f"pass ({cluster_pass / kernel - 1:+.0%}; pairs {ratios}); workers received {moved / 1e3:.0f} kB per pass; "
        f"load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return cluster_pass


def tasks(n_blocks: int, repeats: int) -> None:
    """Print what a block costs that has no work: graph, scheduler, transfers of statistics."""
    import dask.array as da
    from distributed import Client, LocalCluster

    state = parameters()._fitted_state()
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "memory_limit": 0}
    with LocalCluster(n_workers=2, **options) as cluster, Client(cluster):
        X = da.zeros((10 * n_blocks, N_FEATURES), chunks=(10, -1), dtype=np.float32).persist()
        source = DaskRows(X)
        source.accumulate(state)
        begin = time.process_time()
        time_per_pass = seconds(lambda: source.accumulate(state), repeats)
        # The scheduler is in this process, as the client is.
        cpu = (time.process_time() - begin) / repeats
    print(
        f"{n_blocks} blocks of 10 rows: {time_per_pass:.2f} s per pass, {1e3 * time_per_pass / n_blocks:.2f} ms per "
        f"block, of which client and scheduler {1e3 * cpu / n_blocks:.2f} ms of CPU; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=4, help="of each worker")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    one = compare(1, arguments.blocks, arguments.repeats)
    two = compare(2, 2 * arguments.blocks, arguments.repeats)
    print(f"weak scaling: twice the rows on 2 workers take {two / one:.2f} times as long as on 1")
    for n_blocks in (500, 2000):
        tasks(n_blocks, arguments.repeats)


if __name__ == "__main__":
    main()
