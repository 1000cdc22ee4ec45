"""Fits and predictions on dask collections: the answer of memory, where the blocks are, whatever happens to workers."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from mixtures import random_parameters, random_rows
from numpy.testing import assert_allclose, assert_array_equal

from fastgmm import BayesianGaussianMixture, GaussianMixture, config, config_context
from fastgmm.data import ArrayRows, DaskRows
from fastgmm.exceptions import ComponentCollapseError

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("distributed")
pd = pytest.importorskip("pandas")

CLASSES = (GaussianMixture, BayesianGaussianMixture)
FITTED = ("weights_", "means_", "covariances_", "lower_bounds_", "n_iter_")
OPTIONS = {"n_components": 3, "random_state": 0, "tol": 1e-6, "max_iter": 20}
KINDS = ("rows", "rows and columns", "unknown lengths", "frame")

# Fits are cut off before they have converged: what is compared is the way there.
pytestmark = pytest.mark.filterwarnings("ignore:Best performing initialization did not converge")


@pytest.fixture(scope="module")
def X():
    mixture = random_parameters("full", 3, 4, np.random.default_rng(0), spread=2.0)
    return random_rows(mixture, 5000, np.random.default_rng(1))


def collection(kind, X):
    """X in blocks of 700 rows."""
    if kind == "rows":
        return da.from_array(X, chunks=(700, -1))
    if kind == "rows and columns":
        return da.from_array(X, chunks=(700, 3))
    frame = dd.from_pandas(pd.DataFrame(X, columns=list("abcd")[: X.shape[1]]), chunksize=700, sort=False)
    return frame if kind == "frame" else frame.to_dask_array()


def assert_same(model, expected, rtol=1e-10):
    for name in FITTED:
        found, wanted = np.asarray(getattr(model, name)), np.asarray(getattr(expected, name))
        assert_allclose(found, wanted, rtol=rtol, atol=rtol * np.abs(wanted).max(), err_msg=name)


def assert_same_bits(model, expected):
    for name in FITTED:
        assert_array_equal(getattr(model, name), getattr(expected, name), err_msg=name)


# The answer of memory.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cls", CLASSES)
def test_a_fit_is_that_of_memory(cls, kind, X):
    source = collection(kind, X)
    model, expected = cls(**OPTIONS).fit(source), cls(**OPTIONS).fit(X)
    assert_same(model, expected)
    assert_allclose(model.score(source), expected.score(X), rtol=1e-12)
    assert_array_equal(model.predict(source).compute(), expected.predict(X))
    assert model.n_features_in_ == 4
    assert hasattr(model, "feature_names_in_") == (kind == "frame")


def test_every_structure_fits(structure, X):
    options = {**OPTIONS, "covariance_type": structure}
    assert_same(GaussianMixture(**options).fit(collection("rows", X)), GaussianMixture(**options).fit(X))


def test_float32_stays_float32(X):
    single = X.astype(np.float32)
    for kind in ("rows", "frame"):
        model = GaussianMixture(**OPTIONS).fit(collection(kind, single))
        assert model.means_.dtype == np.float32
        # Attributes are rounded to float32.
        assert_same(model, GaussianMixture(**OPTIONS).fit(single), rtol=1e-6)
        assert model.score_samples(collection(kind, single)).dtype == np.float32
    integers = da.from_array((10 * X).astype(np.int16), chunks=(700, -1))
    assert_same(GaussianMixture(**OPTIONS).fit(integers), GaussianMixture(**OPTIONS).fit((10 * X).astype(np.int16)))


@pytest.mark.parametrize("kind", ["rows", "unknown lengths", "frame"])
def test_weights_are_those_of_memory(kind, X):
    weight = np.random.default_rng(2).integers(0, 4, size=len(X))
    weight[:700] = 0  # a whole block
    source = collection(kind, X)
    given = weight if kind == "rows" else dd.from_pandas(pd.Series(weight), chunksize=700, sort=False)
    if kind == "unknown lengths":
        given = given.to_dask_array()
    model, expected = GaussianMixture(**OPTIONS).fit(source, sample_weight=given), GaussianMixture(**OPTIONS)
    assert_same(model, expected.fit(X, sample_weight=weight))
    assert model.n_samples_seen_ == weight.sum()
    for name in ("score", "aic", "bic", "icl"):
        found = getattr(model, name)(source, sample_weight=given)
        assert_allclose(found, getattr(expected, name)(X, sample_weight=weight), rtol=1e-12)


def test_criteria_are_those_of_memory(X):
    source = collection("frame", X)
    model = GaussianMixture(**OPTIONS).fit(source)
    for name in ("aic", "bic", "icl"):
        assert_allclose(getattr(model, name)(source), getattr(model, name)(pd.DataFrame(X, columns=list("abcd"))))


def test_blocks_without_rows_change_nothing(X):
    chunks = ((0, 3000, 0, 2000, 0), (4,))
    source = da.map_blocks(lambda block_info=None: _slice_of(X, block_info), chunks=chunks, dtype=float, meta=X[:0])
    assert_same(GaussianMixture(**OPTIONS).fit(source), GaussianMixture(**OPTIONS).fit(X))
    assert GaussianMixture(**OPTIONS).fit(source).predict_proba(source).compute().shape == (5000, 3)


def _slice_of(X, block_info):
    (start, stop), _ = block_info[None]["array-location"]
    return X[start:stop]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_rows", [1, 100, 4999, 5000])
def test_a_sample_is_the_one_that_memory_draws(weighted, n_rows, X):
    weight = np.random.default_rng(3).integers(0, 3, size=len(X)).astype(float) if weighted else None
    source = DaskRows(collection("rows", X), weight)
    found = source.sample(n_rows, np.random.RandomState(0))
    expected = ArrayRows(X, weight).sample(n_rows, np.random.RandomState(0))
    assert_array_equal(found.X, expected.X)
    if n_rows == 5000 and weighted:
        assert_array_equal(found.sample_weight, weight)


def test_the_same_chunks_give_the_same_bits_whatever_the_scheduling(X):
    models = []
    for options in ({"scheduler": "synchronous"}, {"scheduler": "threads", "num_workers": 3}):
        with dask.config.set(**options):
            models.append(GaussianMixture(**OPTIONS).fit(collection("rows", X)))
    with config_context(n_threads=3):
        models.append(GaussianMixture(**OPTIONS).fit(collection("rows", X)))
    for model in models[1:]:
        assert_same_bits(model, models[0])


def test_a_task_has_one_thread_unless_more_are_asked_for(X):
    source = DaskRows(collection("rows", X))
    n_blocks = 8
    assert source.sum_over_blocks(_threads) == n_blocks
    with config_context(n_threads=3):
        assert source.sum_over_blocks(_threads) == 3 * n_blocks


def _threads(rows, weight):
    return (config.n_threads(),)


# Predictions.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples"])
def test_predictions_are_lazy_and_those_of_memory(method, kind, X):
    model = GaussianMixture(**OPTIONS).fit(X)
    expected = getattr(model, method)(X)
    read = []
    source = collection("rows", X).map_blocks(lambda block: read.append(1) or block, meta=X[:0])
    if kind != "rows":
        source = collection(kind, X)
        if kind == "frame":
            model.fit(source)
    found = getattr(model, method)(source)
    assert isinstance(found, da.Array)
    assert not read
    assert found.dtype == expected.dtype
    assert found.ndim == expected.ndim
    # What a later fit does to the model is no part of it.
    model.fit(X[:100])
    assert_allclose(found.compute(), expected, rtol=1e-10)
    assert len(found.chunks[0]) == 8


def test_predictions_come_block_by_block_too(X):
    source = collection("rows", X)
    model = GaussianMixture(**OPTIONS)
    labels = model.fit_predict(source)
    assert isinstance(labels, da.Array)
    blocks = list(model.predict_blocks(source))
    assert [len(block) for block in blocks] == [700] * 7 + [100]
    assert_array_equal(np.concatenate(blocks), labels.compute())


def test_a_background_is_marked(X):
    model = GaussianMixture(3, noise=0.05, random_state=0).fit(X)
    far = X + 100.0 * (np.arange(len(X)) % 50 == 0)[:, None]
    assert_array_equal(model.predict(collection("rows", far)).compute(), model.predict(far))
    assert (model.predict(far) == -1).any()


# Errors.


def spoiled(X, row, column, value=np.nan):
    X = X.copy()
    X[row, column] = value
    return X


def test_a_value_that_is_not_finite_is_named_by_block_and_row(X):
    where = "dask array of 8 blocks of 4 columns, block 3, row 17, column 2: NaN; expected finite"
    with pytest.raises(ValueError, match=where):
        GaussianMixture(2).fit(collection("rows", spoiled(X, 2117, 2)))
    where = "dask frame of 8 blocks of 4 columns, block 3, row 17, column 'c': infinity"
    with pytest.raises(ValueError, match=where):
        GaussianMixture(2).fit(collection("frame", spoiled(X, 2117, 2, np.inf)))
    labels = GaussianMixture(2, random_state=0).fit(X).predict(collection("rows", spoiled(X, 2117, 2)))
    with pytest.raises(ValueError, match="block 3, row 17, column 2: NaN"):
        labels.compute()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda X: da.from_array(X[:, 0], chunks=700), ValueError, r"a dask array, has shape \(5000,\)"),
        (lambda X: da.from_array(X.astype(complex)), ValueError, "dtype complex128; expected real numbers"),
        (lambda X: dask.delayed(X), TypeError, "X is a dask Delayed.*; expected a dask.array or a dask.dataframe"),
        (
            lambda X: dd.from_pandas(pd.DataFrame({"a": X[:, 0], "b": ["text"] * len(X)}), npartitions=2),
            ValueError,
            "a dask frame, has column 'b', not of numbers",
        ),
        (lambda X: da.from_array(X[:0], chunks=700), ValueError, "has no rows"),
        (lambda X: da.from_array(X[:1], chunks=700), ValueError, "has 1 row; expected at least 2"),
    ],
)
def test_what_is_no_matrix_of_numbers_is_refused(make, error, message, X):
    with pytest.raises(error, match=message):
        GaussianMixture(2).fit(make(X))


def test_weights_are_checked(X):
    model, source = GaussianMixture(2), collection("rows", X)
    with pytest.raises(ValueError, match=r"sample_weight has shape \(4999,\); expected \(5000,\)"):
        model.fit(source, sample_weight=np.ones(4999))
    with pytest.raises(ValueError, match=r"block 2, row 3: -1\.0; expected finite numbers of at least 0"):
        model.fit(source, sample_weight=np.where(np.arange(5000) == 1403, -1, 1))
    with pytest.raises(ValueError, match="zero everywhere"):
        model.fit(source, sample_weight=np.zeros(5000))
    unknown = collection("unknown lengths", X)
    with pytest.raises(ValueError, match="blocks of X are of unknown length; expected a dask array or series"):
        model.fit(unknown, sample_weight=np.ones(5000))
    with pytest.raises(ValueError, match="1 blocks of unknown length; expected 8"):
        model.fit(unknown, sample_weight=dd.from_pandas(pd.Series(np.ones(5000)), npartitions=1).to_dask_array())
    shorter = dd.from_pandas(pd.Series(np.ones(4960)), npartitions=8).to_dask_array()
    with pytest.raises(ValueError, match=r"block \d have shape \(620,\) and dtype float64; expected numbers of shape"):
        model.fit(unknown, sample_weight=shorter)


def test_what_a_collection_cannot_have_is_named(X):
    source = collection("rows", X)
    with pytest.raises(ValueError, match="labels is given and X is a source"):
        GaussianMixture(2).fit(source, labels=np.zeros(5000))
    with pytest.raises(ValueError, match="noise is given and X is a source"):
        GaussianMixture(2, noise=0.1).fit(source)
    with pytest.raises(ValueError, match="has 4 features; expected 1"):
        GaussianMixture(2).fit(X[:, :1]).predict(source)
    with pytest.raises(ValueError, match="has columns a, b, c, d; expected d, c, b, a"):
        GaussianMixture(2).fit(pd.DataFrame(X, columns=list("dcba"))).predict(collection("frame", X))
    with pytest.raises(ValueError, match="X is a source"):
        GaussianMixture(2).partial_fit(source)


def test_a_block_that_changes_between_passes_is_an_error_and_leaves_the_model_alone(X):
    reads = []

    def block(rows):
        reads.append(1)
        return rows[: len(rows) - (len(reads) > 20)]

    model = GaussianMixture(2, tol=0)
    with (
        dask.config.set(scheduler="synchronous"),
        pytest.raises(ValueError, match="has changed since the first pass: 699 rows; expected 700"),
    ):
        model.fit(collection("rows", X).map_blocks(block, meta=X[:0]))
    assert not hasattr(model, "means_")


def test_a_collapse_is_told_as_it_is_in_memory(X):
    few = np.repeat(X[:4], 100, axis=0)
    with pytest.raises(ComponentCollapseError):
        GaussianMixture(4, reg_covar=0).fit(da.from_array(few, chunks=(70, -1)))


def test_a_model_is_pickled_without_the_collection(X):
    model = GaussianMixture(**OPTIONS).fit(collection("rows", X))
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))


# A cluster of two processes on this machine.


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", memory_limit=0
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
        source = client.persist(collection("rows", X))
        distributed.wait(source)
        before = client.who_has()
        assert {len(workers) for workers in before.values()} == {1}
        assert len({worker for workers in before.values() for worker in workers}) == 2
        model = GaussianMixture(**OPTIONS).fit(source)
        assert_same_bits(model, expected)
        labels = model.predict(source)
        assert isinstance(labels, da.Array)
        assert_array_equal(labels.compute(), expected.predict(X))
        assert_allclose(model.score(source), expected.score(X), rtol=1e-12)
        # A block that had been sent to another worker would be held by both.
        assert client.who_has(source) == {key: before[key] for key in client.who_has(source)}


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
from test_dask import noted

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
        assert client.run_on_scheduler(_n_tasks) > 0
    finally:
        process.kill()
        process.wait()
    until(lambda: client.run_on_scheduler(_n_tasks) == 0)


def _n_tasks(dask_scheduler):
    return len(dask_scheduler.tasks)
