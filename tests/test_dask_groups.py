"""Tasks of a pass over a dask collection hold several blocks, and nothing of that is in the result."""

import weakref

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from test_dask import OPTIONS, assert_same_bits, collection, rows_of_a_mixture

from fastgmm import GaussianMixture
from fastgmm.data import DaskRows

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
callbacks = pytest.importorskip("dask.callbacks")

pytestmark = [
    pytest.mark.thread_unsafe(reason="dask's configuration is the whole process's"),
    pytest.mark.filterwarnings("ignore:Best performing initialization did not converge"),
]


@pytest.fixture(scope="module")
def X():
    return rows_of_a_mixture()


def add_rows(block, total):
    total += len(block.rows)


def count(source):
    return source.fold(zero, add_rows)[0]


def zero():
    return np.zeros(1)


def test_a_pass_has_as_many_tasks_as_threads_can_use_not_as_many_as_blocks(X):
    ran = []
    source = DaskRows(da.from_array(X, chunks=(50, -1)).map_blocks(np.copy))
    with dask.config.set(num_workers=3), callbacks.Callback(pretask=lambda key, *_: ran.append(str(key))):
        assert count(source) == len(X)
    assert len([key for key in ran if key.startswith("fastgmm-pass")]) == 6
    assert len(ran) < 10


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_blocks_of_a_task_are_made_one_after_another(scheduler, X):
    alive, most = weakref.WeakSet(), []

    class Held(np.ndarray):
        """An array that can be watched."""

    def made(rows):
        block = rows.copy().view(Held)
        alive.add(block)
        most.append(len(alive))
        return block

    Held.__hash__ = object.__hash__
    source = DaskRows(collection("rows", X).map_blocks(made, meta=X[:0]))
    with dask.config.set(scheduler=scheduler, num_workers=1):
        assert count(source) == len(X)
        assert list(source.map(len_of)) == [700] * 7 + [100]
    assert len(most) == 16
    assert max(most) == 1


def len_of(block):
    return len(block.rows)


def test_work_that_blocks_share_is_done_once_in_a_pass(X):
    loads = []

    def load():
        loads.append(1)
        return X

    whole = da.from_delayed(dask.delayed(load)(), X.shape, X.dtype)
    source = DaskRows(whole.rechunk((700, -1)))
    assert count(source) == len(X)
    assert len(loads) == 1
    assert_array_equal(np.concatenate(list(source.blocks())), X)
    assert len(loads) == 2


def test_the_grouping_is_no_part_of_the_bits(X, monkeypatch):
    models = []
    for n_workers in (1, 2, 4):
        with dask.config.set(num_workers=n_workers):
            models.append(GaussianMixture(**OPTIONS).fit(collection("rows", X)))
    monkeypatch.setattr("fastgmm.data.dask_groups.TASKS_PER_THREAD", 100)
    models.append(GaussianMixture(**OPTIONS).fit(collection("rows", X)))
    whole = da.from_delayed(dask.delayed(lambda: X)(), X.shape, X.dtype)
    models.append(GaussianMixture(**OPTIONS).fit(whole.rechunk((700, -1))))
    for model in models[1:]:
        assert_same_bits(model, models[0])


def test_a_file_that_all_blocks_are_read_from_is_opened_by_none_of_them_alone(X):
    class File:
        """Sliced as HDF5 or Zarr arrays are."""

        shape, dtype, ndim = X.shape, X.dtype, 2

        def __getitem__(self, item):
            return X[item]

    source = DaskRows(da.from_array(File(), chunks=(700, -1)))
    ran = []
    with dask.config.set(num_workers=2), callbacks.Callback(pretask=lambda key, *_: ran.append(str(key))):
        assert count(source) == len(X)
    assert len([key for key in ran if key.startswith("fastgmm-pass")]) == 4
