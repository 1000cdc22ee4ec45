"""Fits and predictions on dask collections: the answer of memory."""

import pickle
from functools import partial

import numpy as np
import pytest
from mixtures import random_parameters, random_rows
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureSearch, config, config_context
from fastgmm.data import ArrayRows, DaskRows
from fastgmm.data.e_steps import Plain
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.model import Components

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
pd = pytest.importorskip("pandas")

CLASSES = (GaussianMixture, BayesianGaussianMixture)
FITTED = ("weights_", "means_", "covariances_", "lower_bounds_", "n_iter_")
OPTIONS = {"n_components": 3, "random_state": 0, "tol": 1e-6, "max_iter": 20}
KINDS = ("rows", "rows and columns", "unknown lengths", "frame")

# Fits are cut off before they have converged: what is compared is the way there.
pytestmark = pytest.mark.filterwarnings("ignore:Best performing initialization did not converge")


@pytest.fixture(scope="module")
def X():
    return rows_of_a_mixture()


def rows_of_a_mixture():
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


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_truncated_fits_are_those_of_memory(covariance_type, kind, weighted, X):
    # 30 components of rows of three: neighbours overlap, and candidates change from pass to pass.
    options = {"covariance_type": covariance_type, "responsibilities": "truncated", "n_candidates": 2, "n_neighbors": 4}
    model = GaussianMixture(30, random_state=0, tol=0.0, max_iter=8, n_random=2, **options)
    weight = np.random.default_rng(3).integers(0, 3, size=len(X)).astype(float) if weighted else None
    source = collection(kind, X)
    given = weight
    if weighted and kind in ("unknown lengths", "frame"):
        given = dd.from_pandas(pd.Series(weight), chunksize=700, sort=False)
    found, expected = clone(model).fit(source, sample_weight=given), clone(model).fit(X, sample_weight=weight)
    assert_same(found, expected)
    assert_allclose(found.truncation_gap_, expected.truncation_gap_, rtol=1e-9)
    assert found.truncation_gap_ > 0.0
    assert np.diff(found.lower_bounds_).min() >= -1e-10


def test_blocks_without_rows_change_nothing(X):
    chunks = ((0, 3000, 0, 2000, 0), (4,))
    source = da.map_blocks(lambda block_info=None: _slice_of(X, block_info), chunks=chunks, dtype=float, meta=X[:0])
    for options in (OPTIONS, {**OPTIONS, "responsibilities": "truncated"}):
        assert_same(GaussianMixture(**options).fit(source), GaussianMixture(**options).fit(X))
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


@pytest.mark.thread_unsafe(reason="dask's configuration is the whole process's")
@pytest.mark.parametrize("responsibilities", ["exact", "truncated"])
def test_the_same_chunks_give_the_same_bits_whatever_the_scheduling(responsibilities, X):
    models, of = [], {**OPTIONS, "responsibilities": responsibilities}
    for options in ({"scheduler": "synchronous"}, {"scheduler": "threads", "num_workers": 3}):
        with dask.config.set(**options):
            models.append(GaussianMixture(**of).fit(collection("rows", X)))
    with config_context(n_threads=3):
        models.append(GaussianMixture(**of).fit(collection("rows", X)))
    for model in models[1:]:
        assert_same_bits(model, models[0])


def test_a_task_has_one_thread_unless_more_are_asked_for(X):
    source = DaskRows(collection("rows", X))
    n_blocks = 8
    assert source.fold(partial(np.zeros, 1), _threads) == n_blocks
    with config_context(n_threads=3):
        assert source.fold(partial(np.zeros, 1), _threads) == 3 * n_blocks


def _threads(block, total):
    total += config.n_threads()


@pytest.mark.parametrize("kind", ["rows", "frame"])
def test_a_search_is_that_of_memory(kind, X):
    options = {"n_components": [1, 3], "covariance_type": ["EEI", "VVV", "EEV"], "random_state": 0, "max_iter": 200}
    source = collection(kind, X)
    expected = GaussianMixtureSearch(**options).fit(X)
    search = GaussianMixtureSearch(**options).fit(source)
    assert search.best_params_ == expected.best_params_
    for name in ("log_likelihood", "bic", "icl", "aic"):
        assert_allclose(search.results_[name], expected.results_[name], rtol=1e-10)
    assert_array_equal(search.predict(source).compute(), expected.predict(X))
    weight = np.arange(len(X)) % 3
    given = weight if kind == "rows" else dd.from_pandas(pd.Series(weight), chunksize=700, sort=False)
    assert_allclose(search.score(source, sample_weight=given), expected.score(X, sample_weight=weight), rtol=1e-10)
    assert_allclose(search.bic(source), expected.bic(X), rtol=1e-10)
    if kind == "frame":
        assert search.feature_names_in_.tolist() == list("abcd")
        with pytest.raises(ValueError, match="has columns d, c, b, a; expected a, b, c, d"):
            search.predict(source[list("dcba")])


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
    with pytest.raises(ValueError, match=r"labels has shape \(4999,\); expected \(5000,\)"):
        GaussianMixture(2).fit(source, labels=np.zeros(4999))
    with pytest.raises(ValueError, match="noise is a mask of rows and X is a source"):
        GaussianMixture(2, noise=np.zeros(5000, dtype=bool)).fit(source)
    with pytest.raises(ValueError, match="has 4 features; expected 1"):
        GaussianMixture(2).fit(X[:, :1]).predict(source)
    with pytest.raises(ValueError, match="has columns a, b, c, d; expected d, c, b, a"):
        GaussianMixture(2).fit(pd.DataFrame(X, columns=list("dcba"))).predict(collection("frame", X))
    with pytest.raises(ValueError, match="X is a source"):
        GaussianMixture(2).partial_fit(source)


@pytest.mark.thread_unsafe(reason="dask's configuration is the whole process's")
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


@pytest.mark.thread_unsafe(reason="dask's configuration is the whole process's")
def test_arrays_that_lie_at_odd_addresses_are_read(X):
    """As those do that came in a message from another process."""

    def at_odd_address(array):
        content = np.empty(array.nbytes + 1, dtype=np.uint8)[1:]
        moved = content.view(array.dtype).reshape(array.shape)
        moved[...] = array
        assert not moved.flags.aligned
        return moved

    source = collection("rows", X).map_blocks(at_odd_address, meta=X[:0])
    with dask.config.set(scheduler="synchronous"):
        model = GaussianMixture(**OPTIONS).fit(source, sample_weight=da.ones(5000).map_blocks(at_odd_address))
    assert_same(model, GaussianMixture(**OPTIONS).fit(X))
    state = model._fitted_state()
    sent = Components(state.structure, state.log_offset, state.means, state.precisions_cholesky)
    odd = {name: at_odd_address(part) for name, part in vars(sent).items() if isinstance(part, np.ndarray)}
    received = Components.__new__(Components)
    received.__setstate__({"structure": sent.structure, **odd})
    found, expected = (Plain().prepare(ArrayRows(X)).accumulate(each) for each in (received, sent))
    assert found.to_bytes() == expected.to_bytes()
