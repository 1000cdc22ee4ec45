"""Fits on a cluster of two processes on this machine: where the blocks are, whatever happens to workers or clients."""

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from test_dask import OPTIONS, assert_same_bits, collection, rows_of_a_mixture, spoiled

from fastgmm import GaussianMixture, GaussianMixtureSearch
from fastgmm.data import DaskRows

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

pytestmark = [
    pytest.mark.thread_unsafe(reason="starts a cluster and kills workers"),
    pytest.mark.filterwarnings("ignore:Best performing initialization did not converge"),
]


@pytest.fixture(scope="module")
def X():
    return rows_of_a_mixture()


@pytest.fixture(scope="module")
def client():
    with (
        # Blocks of a few kilobytes are moved for any reason, in particular to a worker that is idle for a moment.
        dask.config.set({"distributed.scheduler.work-stealing": False}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1", memory_limit=0
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


def until(condition, seconds=60.0):
    """Wait for a condition of another process, which nothing announces."""
    tick, end = threading.Event(), time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        tick.wait(0.02)


def test_a_cluster_gives_the_bits_of_threads_and_leaves_blocks_where_they_are(client, X):
    expected = GaussianMixture(**OPTIONS).fit(collection("rows", X))
    with client.as_current():
        workers = list(client.scheduler_info()["workers"])
        parts = [X[start : start + 700] for start in range(0, len(X), 700)]
        held = [client.scatter(part, workers=[workers[i % 2]]) for i, part in enumerate(parts)]
        before = client.who_has(held)
        source = da.concatenate([da.from_delayed(f, p.shape, p.dtype) for f, p in zip(held, parts, strict=True)])
        model = GaussianMixture(**OPTIONS).fit(source)
        assert_same_bits(model, expected)
        labels = model.predict(source)
        assert isinstance(labels, da.Array)
        assert_array_equal(labels.compute(), expected.predict(X))
        assert_allclose(model.score(source), expected.score(X), rtol=1e-12)
        # A block that had been sent to another worker would be held by both.
        assert client.who_has(held) == before


def test_tasks_hold_the_blocks_that_lie_on_a_worker(client, X):
    with client.as_current():
        kept = client.persist(da.from_array(X, chunks=(50, -1)))
        # Not waited for: they may yet be on their way.
        source = DaskRows(kept)
        before = client.run_on_scheduler(_tasks)
        assert source.fold(partial(np.zeros, 1), add_rows) == len(X)
        ran = client.run_on_scheduler(_tasks) - before
    # Two for each of the two threads; one joins their results.
    assert sorted(name.rsplit("-", 1)[0] for name in ran) == ["fastgmm-join"] + 4 * ["fastgmm-pass"]


def add_rows(block, total):
    total += len(block.rows)


def _tasks(dask_scheduler):
    names = {str(entry[0]) for entry in dask_scheduler.transition_log}
    return {name for name in names if name.startswith(("fastgmm-pass", "fastgmm-join"))}


def test_a_search_runs_on_the_cluster(client, X):
    options = {"n_components": [2, 3], "covariance_type": ["EEE", "VVV"], "random_state": 0}
    expected = GaussianMixtureSearch(**options).fit(X)
    with client.as_current():
        search = GaussianMixtureSearch(**options).fit(client.persist(collection("rows", X)))
    assert search.best_params_ == expected.best_params_
    assert_allclose(search.results_["bic"], expected.results_["bic"], rtol=1e-10)


def test_a_cluster_names_what_is_wrong_by_block_and_row(client, X):
    with (
        client.as_current(),
        pytest.raises(ValueError, match="block 3, row 17, column 2: NaN; expected finite numbers"),
    ):
        GaussianMixture(2).fit(client.persist(collection("rows", spoiled(X, 2117, 2))))


def count(folder, what):
    """Note that something happened, in whichever process, and return how often it has."""
    (folder / f"{what}-{os.getpid()}-{time.monotonic_ns()}").touch()
    return len(list(folder.glob(f"{what}-*")))


def loaded(rows, folder):
    count(folder, "loaded")
    return rows


def deadly(rows, folder):
    """Kill this worker in the fourth pass."""
    if count(folder, "read") >= 8 * 3 + 4 and not list(folder.glob("killed-*")):
        count(folder, "killed")
        os.kill(os.getpid(), signal.SIGKILL)
    return rows


def test_a_worker_killed_during_a_pass_costs_its_blocks_and_not_the_fit(client, X, tmp_path):
    expected = GaussianMixture(**OPTIONS).fit(collection("rows", X))
    with client.as_current():
        kept = client.persist(collection("rows", X).map_blocks(loaded, tmp_path, meta=X[:0]))
        distributed.wait(kept)
        assert len(list(tmp_path.glob("loaded-*"))) == 8
        model = GaussianMixture(**OPTIONS).fit(kept.map_blocks(deadly, tmp_path, meta=X[:0]))
        assert len(list(tmp_path.glob("killed-*"))) == 1
        # The blocks that it held were made again from their source; those of the other worker were not.
        assert 8 < len(list(tmp_path.glob("loaded-*"))) < 16
        assert_same_bits(model, expected)
        client.wait_for_workers(2, timeout=60)


def noted(rows, folder):
    count(folder, "read")
    return rows


ENDLESS = """
import sys
from pathlib import Path
import dask.array as da, numpy as np
from distributed import Client
from fastgmm import GaussianMixture
from test_dask_cluster import noted

with Client(sys.argv[1]):
    X = da.from_array(np.random.default_rng(0).normal(size=(1000, 2)), chunks=(100, -1)).map_blocks(
        noted, Path(sys.argv[2]), meta=np.empty((0, 2))
    )
    GaussianMixture(2, tol=0, max_iter=10**9).fit(X)
"""


def test_a_client_that_dies_leaves_nothing_running(client, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, client.scheduler.address, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
    )
    try:
        until(lambda: len(list(tmp_path.glob("read-*"))) > 30 or process.poll() is not None)
        assert process.poll() is None, "the fit has no end"
        until(lambda: client.run_on_scheduler(_unfinished) > 0)
    finally:
        process.kill()
        process.wait()
    until(lambda: client.run_on_scheduler(_unfinished) == 0)
    assert client.run_on_scheduler(_clients) == [client.id]


def _unfinished(dask_scheduler):
    return sum(task.state not in ("memory", "erred") for task in dask_scheduler.tasks.values())


def _clients(dask_scheduler):
    return [name for name in dask_scheduler.clients if name != "fire-and-forget"]
