"""Rows that are read in every pass: the same bits as from an array, and errors that say where."""

import _thread
import gc
import pickle
import re
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from mixtures import random_parameters, random_rows
from numpy.testing import assert_allclose, assert_array_equal

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureSearch, config_context
from fastgmm.data import ArrayRows, batches, block_rows, parquet, sliced, source_of
from fastgmm.data.e_steps import Plain
from fastgmm.data.prefetch import read_ahead

FITTED = ("weights_", "means_", "covariances_", "precisions_cholesky_", "lower_bounds_", "n_iter_", "n_features_in_")
SOURCES = ("batches", "arrow batches", "parquet file", "parquet folder", "sliced memory map", "sliced")


class Stored:
    """What HDF5 and Zarr arrays have in common: shape, dtype and slices by rows, each a new array."""

    def __init__(self, X):
        self._X, self.shape, self.dtype = X, X.shape, X.dtype

    def __getitem__(self, key):
        return self._X[key].copy()


def cut(X, sizes=(1, 700, 5, 40_000, 33)):
    """Yield X in batches of these sizes, over and over."""
    start = i = 0
    while start < len(X):
        yield X[start : start + sizes[i % len(sizes)]]
        start, i = start + sizes[i % len(sizes)], i + 1


def memory_map(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def make_source(kind, X, folder):
    if kind == "batches":
        return batches(lambda: cut(X))
    if kind == "sliced memory map":
        return sliced(memory_map(X, folder))
    if kind == "sliced":
        return sliced(Stored(X), batch_rows=1009)
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    def table(rows):
        return pa.table({f"x{j}": rows[:, j] for j in range(rows.shape[1])})

    if kind == "arrow batches":
        return batches(lambda: (table(part).to_batches()[0] for part in cut(X)))
    if kind == "parquet file":
        pq.write_table(table(X), folder / "x.parquet", row_group_size=70_000)
        return parquet(folder / "x.parquet", batch_rows=30_000)
    middle = len(X) // 3
    for name, rows in (("a", X[:middle]), ("b", X[middle:])):
        pq.write_table(table(rows), folder / f"{name}.parquet")
    (folder / "_metadata.parquet").write_bytes(b"no rows")
    return parquet(str(folder))


def assert_same_bits(a, b):
    for name in FITTED:
        assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


@pytest.fixture(scope="module")
def mixture():
    return random_parameters("full", 3, 2, np.random.default_rng(0), spread=2.0)


@pytest.fixture(scope="module")
def many(mixture):
    """One block and a bit."""
    return random_rows(mixture, block_rows(2) + 12_345, np.random.default_rng(1), np.float32)


@pytest.fixture(scope="module")
def few(mixture):
    return random_rows(mixture, 4000, np.random.default_rng(2))


def started(structure, **options):
    """A model whose start does not depend on the rows."""
    start = random_parameters(structure, 3, 2, np.random.default_rng(3), spread=2.0)
    precisions = {"full": lambda c: np.linalg.inv(c), "tied": lambda c: np.linalg.inv(c)}
    return GaussianMixture(
        3,
        covariance_type=structure,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=precisions.get(structure, np.reciprocal)(start.covariances),
        **{"tol": 1e9, "max_iter": 4, **options},
    )


# The same bits.


@pytest.mark.parametrize("kind", SOURCES)
def test_from_one_start_every_source_gives_the_bits_of_the_array(kind, many, tmp_path):
    expected = started("full").fit(many)
    model = started("full").fit(make_source(kind, many, tmp_path))
    assert_same_bits(model, expected)


def test_a_batch_cut_is_no_part_of_the_answer(structure, many):
    expected = started(structure).fit(many)
    for sizes in ((block_rows(2),), (262_143, 1), (50_001,)):
        assert_same_bits(started(structure).fit(batches(lambda sizes=sizes: cut(many, sizes))), expected)


@pytest.mark.parametrize("kind", SOURCES)
def test_rows_of_one_block_start_as_the_array_does(kind, few, tmp_path, structure):
    for cls in (GaussianMixture, BayesianGaussianMixture):
        options = {"n_components": 3, "covariance_type": structure, "random_state": 5, "tol": 1e9, "n_init": 2}
        source = make_source(kind, few, tmp_path)
        assert_same_bits(cls(**options).fit(source), cls(**options).fit(few))


def test_a_memory_map_is_an_array(few, tmp_path):
    options = {"n_components": 3, "random_state": 5, "tol": 1e9}
    expected = GaussianMixture(**options).fit(few)
    mapped = memory_map(few, tmp_path)
    assert_same_bits(GaussianMixture(**options).fit(mapped), expected)
    assert_array_equal(expected.predict(mapped), expected.predict(few))


def test_the_array_in_blocks_is_the_array_whole_to_rounding(structure, many):
    parameters = random_parameters(structure, 3, 2, np.random.default_rng(3), spread=2.0)
    rows = many.astype(np.float64)
    weight = np.random.default_rng(4).uniform(size=len(rows))
    in_blocks = ArrayRows(rows, weight).accumulate(parameters)
    half = len(rows) // 2
    whole = ArrayRows(rows[:half], weight[:half]).accumulate(parameters)
    whole.merge(ArrayRows(rows[half:], weight[half:]).accumulate(parameters))
    for name in ("counts", "sums", "scatter", "log_likelihood"):
        scale = np.abs(getattr(whole, name)).max()
        assert_allclose(getattr(in_blocks, name), getattr(whole, name), rtol=1e-12, atol=1e-12 * scale)


def test_the_number_of_threads_is_no_part_of_the_answer(many):
    models = []
    for n_threads in (1, 3):
        with config_context(n_threads=n_threads):
            models.append(started("full").fit(batches(lambda: cut(many))))
    assert_same_bits(*models)


def test_a_start_from_a_sample_ends_where_all_rows_do(many):
    options = {"n_components": 3, "random_state": 0, "tol": 1e-7, "max_iter": 500}
    model = GaussianMixture(**options).fit(batches(lambda: cut(many)))
    # Both are within some tol of the same maximum.
    assert_allclose(model.lower_bound_, GaussianMixture(**options).fit(many).lower_bound_, atol=1e-5)


# Weights.


def weighted_source(kind, X, weight, folder):
    if kind == "batches":
        column = weight[:, None]
        return batches(lambda: ((a, b[:, 0]) for a, b in zip(cut(X), cut(column), strict=True)))
    if kind == "sliced":
        return sliced(Stored(X), batch_rows=1009, weights=weight)
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    table = pa.table({"x0": X[:, 0], "w": weight, "x1": X[:, 1]})
    pq.write_table(table, folder / "w.parquet", row_group_size=70_000)
    return parquet(folder / "w.parquet", weights="w")


@pytest.mark.parametrize("kind", ["batches", "sliced", "parquet"])
def test_weights_come_with_the_rows(kind, few, many, tmp_path):
    rng = np.random.default_rng(7)
    for X, make in ((few, lambda: GaussianMixture(3, random_state=5, tol=1e9)), (many, lambda: started("full"))):
        weight = rng.integers(0, 4, size=len(X)).astype(float)
        source = weighted_source(kind, X, weight, tmp_path)
        model, expected = make().fit(source), make().fit(X, sample_weight=weight)
        assert_same_bits(model, expected)
        assert model.n_samples_seen_ == weight.sum()
        # Means of float32 are summed in another order.
        assert_allclose(model.score(source), expected.score(X, sample_weight=weight), rtol=1e-6)
        assert_array_equal(model.predict(source), expected.predict(X))
        assert_allclose(model.bic(source), expected.bic(X, sample_weight=weight), rtol=1e-6)


def test_a_weighted_sample_stands_for_all_rows():
    """Sums over the sample, in the weights that its rows stand for, are those over all rows on average."""
    X, rng = np.arange(300.0)[:, None], np.random.default_rng(0)
    weight = np.where(rng.uniform(size=300) < 0.3, 0.0, rng.exponential(size=300))
    weight[7] = 40.0  # what an eighth of all weigh is in every sample
    source = batches(lambda: ((a, b[:, 0]) for a, b in zip(cut(X, (70,)), cut(weight[:, None], (70,)), strict=True)))
    random_state, totals, sums = np.random.RandomState(0), [], []
    for _ in range(400):
        rows = source.sample(40, random_state)
        assert len(rows.X) == 40
        assert (np.diff(rows.X[:, 0]) > 0).all()
        assert 7.0 in rows.X[:, 0]
        assert (weight[rows.X[:, 0].astype(int)] > 0).all()
        totals.append(rows.sample_weight.sum())
        sums.append(rows.sample_weight @ rows.X[:, 0])
    for found, expected in ((totals, weight.sum()), (sums, weight @ X[:, 0])):
        # Five standard errors of the mean.
        assert abs(np.mean(found) - expected) < 5.0 * np.std(found) / np.sqrt(len(found))


def test_a_weighted_sample_does_not_depend_on_the_batches(few):
    weight = np.random.default_rng(0).exponential(size=len(few))
    samples = []
    for sizes in ((17,), (1500, 1), (4000,)):
        pairs = zip(cut(few, sizes), cut(weight[:, None], sizes), strict=True)
        pairs = [(a, b[:, 0]) for a, b in pairs]
        samples.append(batches(lambda pairs=pairs: iter(pairs)).sample(500, np.random.RandomState(0)))
    for sample in samples[1:]:
        assert_array_equal(sample.X, samples[0].X)
        assert_array_equal(sample.sample_weight, samples[0].sample_weight)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (lambda X: X, "block 1 has no weights, unlike those before"),
        (
            lambda X: (X, np.ones(3)),
            r"weights of X, batches, block 1 have shape \(3,\).*expected numbers of shape \(4000,\)",
        ),
        (lambda X: (X, np.where(np.arange(4000) == 7, np.nan, 1.0)), "block 1, row 7: nan; expected finite numbers"),
        (lambda X: (X, np.where(np.arange(4000) == 7, -1, 1)), r"block 1, row 7: -1\.0; expected finite numbers"),
    ],
)
def test_wrong_weights_are_named_by_block_and_row(second, message, few):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2).fit(batches(lambda: iter([(few, np.ones(4000)), second(few)])))


def test_weights_of_sources_are_checked(few, tmp_path):
    with pytest.raises(ValueError, match="are zero everywhere"):
        GaussianMixture(2).fit(batches(lambda: iter([(few, np.zeros(4000))])))
    with pytest.raises(ValueError, match=r"weights has shape \(3,\); expected \(n_samples,\) = \(4000,\)"):
        sliced(few, weights=np.ones(3))
    make_source("parquet file", few, tmp_path)
    for arguments in ({"weights": "w"}, {"weights": "x0", "columns": ["x0", "x1"]}):
        with pytest.raises(ValueError, match=r"weights is .*expected a column of .* that is not in columns"):
            parquet(tmp_path / "x.parquet", **arguments)


# The search.


@pytest.mark.parametrize("kind", ["batches", "parquet file"])
def test_a_search_of_a_source_is_that_of_the_array(kind, few, tmp_path):
    source = make_source(kind, few, tmp_path)
    options = {"n_components": [1, 3], "covariance_type": ["EII", "VVV"], "random_state": 0}
    expected, search = GaussianMixtureSearch(**options).fit(few), GaussianMixtureSearch(**options).fit(source)
    assert search.best_params_ == expected.best_params_
    for name in ("log_likelihood", "bic", "icl"):
        assert_allclose(search.results_[name], expected.results_[name], rtol=1e-12)
    assert_array_equal(search.predict(source), expected.predict(few))
    assert hasattr(search, "feature_names_in_") == (kind == "parquet file")


def test_a_search_reads_a_source_once_for_all_starts(many):
    passes = []

    def factory():
        passes.append(1)
        yield many

    search = GaussianMixtureSearch([1, 2], ["EII"], criterion=lambda model, X: model.score(X), random_state=0)
    search.fit(batches(factory))
    read_by_fits = sum(c.n_passes_ for c in [search.best_estimator_])
    assert len(passes) > read_by_fits
    with pytest.raises(ValueError, match="criterion is 'cv_log_likelihood' and X is a source"):
        GaussianMixtureSearch([1], criterion="cv_log_likelihood").fit(batches(factory))
    with pytest.raises(ValueError, match="init_params is ndarray and X is a source"):
        GaussianMixtureSearch([1], init_params=np.zeros(len(many))).fit(batches(factory))


# Predictions.


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples"])
def test_predictions_are_those_of_the_array(method, many):
    model = started("full").fit(many)
    source = batches(lambda: cut(many))
    expected = getattr(model, method)(many)
    found = getattr(model, method)(source)
    # Rows that a kernel takes together depend on their number, and with them a log density's last bit of float32.
    assert_allclose(found, expected, rtol=3e-7, atol=3e-7)
    in_blocks = list(model.predict_blocks(source, method))
    assert [len(block) for block in in_blocks] == [block_rows(2), 12_345]
    assert_array_equal(np.concatenate(in_blocks), found)
    assert_allclose(np.concatenate(list(model.predict_blocks(many, method))), expected, rtol=3e-7, atol=3e-7)


def test_scores_and_labels_of_a_fit_are_those_of_the_array(few):
    source = batches(lambda: cut(few))
    for model in (GaussianMixture(3, random_state=0), BayesianGaussianMixture(n_components=3, random_state=0)):
        labels = model.set_params(tol=1e9).fit_predict(source)
        assert_array_equal(labels, model.predict(few))
        assert_allclose(model.score(source), model.score(few), rtol=1e-12)


def test_criteria_are_those_of_the_array(many):
    model = started("full").fit(many.astype(np.float64))
    source = batches(lambda: cut(many.astype(np.float64)))
    for criterion in ("aic", "bic", "icl"):
        assert_allclose(
            getattr(model, criterion)(source), getattr(model, criterion)(many.astype(np.float64)), rtol=1e-12
        )


def test_column_names_are_the_models(few, tmp_path):
    pd = pytest.importorskip("pandas")
    source = make_source("parquet file", few, tmp_path)
    model = GaussianMixture(2, random_state=0, tol=1e9).fit(source)
    assert model.feature_names_in_.tolist() == ["x0", "x1"]
    assert_array_equal(model.predict(pd.DataFrame(few, columns=["x0", "x1"])), model.predict(source))
    swapped = parquet(tmp_path / "x.parquet", columns=["x1", "x0"])
    with pytest.raises(ValueError, match="has columns x1, x0; expected x0, x1"):
        model.predict(swapped)
    model.fit(few)
    assert not hasattr(model, "feature_names_in_")


# The sample.


def test_a_sample_does_not_depend_on_the_batches(few):
    samples = [
        batches(lambda s=sizes: cut(few, s)).sample(500, np.random.RandomState(0)).X
        for sizes in ((17,), (1500, 1), (4000,))
    ]
    assert_array_equal(samples[0], samples[1])
    assert_array_equal(samples[0], samples[2])
    # In order, each row once.
    position = {row.tobytes(): i for i, row in enumerate(few)}
    numbers = [position[row.tobytes()] for row in samples[0]]
    assert numbers == sorted(set(numbers))


def test_every_row_is_as_likely_in_a_sample():
    X = np.arange(50.0)[:, None]
    source, random_state = batches(lambda: cut(X, (7,))), np.random.RandomState(0)
    drawn = np.zeros(50)
    for _ in range(500):
        drawn[source.sample(10, random_state).X[:, 0].astype(int)] += 1
    # Binomial(500, 0.2): the largest of 50 deviations is beyond 4.5 sd once in 3000 seeds.
    assert np.abs(drawn - 100).max() < 4.5 * np.sqrt(500 * 0.2 * 0.8)


def test_all_rows_are_the_sample_of_a_short_source(few):
    state = np.random.RandomState(0)
    assert_array_equal(batches(lambda: cut(few)).sample(4000, state).X, few)
    assert state.uniform() == np.random.RandomState(0).uniform()


# Errors.


def spoiled(X, row, column, value):
    X = X.copy()
    X[row, column] = value
    return X


@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_a_value_that_is_not_finite_is_named_by_block_and_row(few, value, name):
    X = spoiled(few, 1207, 1, value)
    with pytest.raises(ValueError, match=rf"batches, block 2, row 207 \(row 1207 of all\), column 1: {name}"):
        GaussianMixture(2).fit(batches(lambda: cut(X, (500,))))


def test_a_missing_value_is_named_by_block_column_and_row(tmp_path):
    pa = pytest.importorskip("pyarrow")
    batch = pa.record_batch({"a": [1.0, 2.0, None], "b": [1, 2, 3]})
    with pytest.raises(ValueError, match="block 0, column 'a', row 2: the value is missing"):
        GaussianMixture().fit(batches(lambda: iter([batch])))
    texts = pa.record_batch({"a": ["u", "v"]})
    with pytest.raises(ValueError, match="block 0, column 'a' is of type string; expected numbers"):
        GaussianMixture().fit(batches(lambda: iter([texts])))


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (np.zeros((3, 4)), "block 1 has 4 features; expected 2"),
        (np.zeros((3, 2), dtype=np.float32), "block 1 is computed in float32; expected float64"),
        (np.zeros(3), r"block 1 has shape \(3,\); expected \(rows, n_features\)"),
        (np.array([["a", "b"]]), "block 1 has dtype <U1; expected real numbers"),
    ],
)
def test_batches_that_disagree_are_refused(few, second, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2).fit(batches(lambda: iter([few, second])))


@pytest.mark.parametrize(
    ("later", "message"),
    [
        (lambda X: X[:-1], "has changed since the first pass: 3999 rows; expected 4000"),
        (lambda X: np.concatenate([X, X]), "has changed since the first pass: more than 4000 rows"),
        (lambda X: X[:, :1], "has 1 features; expected 2"),
        (lambda X: X.astype(np.float32), "is computed in float32; expected float64"),
        (lambda X: spoiled(X, 5, 0, np.nan), r"block 0, row 5 .*NaN"),
        (lambda X: X[:0], "0 rows; expected 4000 as before. Its iterator may be used up"),
    ],
)
def test_a_source_that_changes_between_passes_is_an_error_and_leaves_the_model_alone(few, later, message):
    passes = []

    def factory():
        passes.append(1)
        yield few if len(passes) < 3 else later(few)

    model = GaussianMixture(2, tol=0, random_state=0)
    with pytest.raises(ValueError, match=message):
        model.fit(batches(factory))
    assert len(passes) == 3
    assert not hasattr(model, "means_")


def test_what_a_source_cannot_have_is_named(few):
    source = batches(lambda: cut(few))
    with pytest.raises(ValueError, match="sample_weight is given and X is a source"):
        GaussianMixture(2).fit(source, sample_weight=np.ones(4000))
    with pytest.raises(ValueError, match="labels has 3999 entries; expected at least 4000"):
        GaussianMixture(2).fit(source, labels=np.zeros(3999))
    with pytest.raises(ValueError, match="noise is a mask of rows and X is a source"):
        GaussianMixture(2, noise=np.zeros(4000, dtype=bool)).fit(source)
    with pytest.raises(ValueError, match="init_params are memberships"):
        GaussianMixture(2, init_params=np.zeros(4000)).fit(source)
    with pytest.raises(ValueError, match="sample_weight is given"):
        GaussianMixture(2, tol=1e9).fit(source).score(source, sample_weight=np.ones(4000))
    with pytest.raises(ValueError, match="batches, has 2 features; expected 1"):
        GaussianMixture().fit(few[:, :1]).predict(source)
    with pytest.raises(ValueError, match="has no rows"):
        GaussianMixture().fit(batches(lambda: iter([])))


def test_arguments_are_checked_when_a_source_is_made(tmp_path, few):
    with pytest.raises(TypeError, match="factory is of type list; expected a callable"):
        batches([few])
    with pytest.raises(TypeError, match="X is of type list"):
        sliced([[1.0]])
    with pytest.raises(ValueError, match=r"X has shape \(3,\)"):
        sliced(np.zeros(3))
    with pytest.raises(ValueError, match="batch_rows is 0; expected a positive int"):
        sliced(few, batch_rows=0)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        parquet(tmp_path / "nowhere.parquet")
    with pytest.raises(FileNotFoundError, match="no file"):
        parquet(tmp_path)
    make_source("parquet file", few, tmp_path)
    with pytest.raises(ValueError, match=r"columns has 'y', which .* has not; expected some of x0, x1"):
        parquet(tmp_path / "x.parquet", columns=["x0", "y"])
    (tmp_path / "x.parquet").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="cannot be read as Parquet"):
        parquet(tmp_path / "x.parquet")


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'fastgmm\[parquet\]'"):
        parquet(tmp_path)


def test_arrays_of_hdf5_and_zarr_are_known_by_their_module(few):
    for module in ("h5py._hl.dataset", "zarr.core.array"):
        dataset = type("Dataset", (Stored,), {"__module__": module})(few)
        assert_array_equal(source_of(dataset).sample().X, few)
        model = GaussianMixture(2, random_state=0, tol=1e9).fit(dataset)
        assert_same_bits(model, GaussianMixture(2, random_state=0, tol=1e9).fit(few))
    assert source_of(few) is None
    assert source_of(few.tolist()) is None


# The reading thread.


def reading_threads():
    return [thread for thread in threading.enumerate() if thread.name == "fastgmm-read-ahead"]


@pytest.mark.thread_unsafe(reason="threads of the whole process are counted")
def test_reading_goes_on_while_an_item_is_worked_on():
    read = [threading.Event() for _ in range(6)]

    def items():
        for i in range(5):
            yield i
            read[i + 1].set()  # asked for the next one: the one before has been handed over

    for item in read_ahead(items):
        # Were reading to wait for the work, this would never come.
        assert read[item + 1].wait(timeout=30)
    assert not reading_threads()


def test_reading_is_never_further_ahead_than_it_may():
    made, taken = [], []

    def items():
        for i in range(200):
            made.append(i)
            assert len(made) - len(taken) <= 4  # two in the queue, one in each hand
            yield i

    for item in read_ahead(items, depth=2):
        taken.append(item)
    assert taken == list(range(200))


@pytest.mark.thread_unsafe(reason="threads of the whole process are counted")
def test_an_error_of_the_source_is_raised_as_it_is_after_the_rows_before_it(few):
    class Unplugged(Exception):
        pass

    def factory():
        yield few
        raise Unplugged("disk 7")

    with pytest.raises(Unplugged, match="disk 7"):
        GaussianMixture(2).fit(batches(factory))
    assert not reading_threads()


@pytest.mark.thread_unsafe(reason="interrupts reach the main thread")
@pytest.mark.parametrize("moment", [0, 1, 64, 65, 66, 130, 200])
def test_an_interrupt_ends_the_thread_and_closes_the_source(few, moment):
    """65 batches fill a block: before, while and after the first ones are handed over."""
    closed = []

    def factory():
        try:
            for i in range(10**9):
                if i == moment:
                    _thread.interrupt_main()
                if i > moment + 200_000:
                    raise RuntimeError("the interrupt was lost")
                yield few
        finally:
            closed.append(True)

    model = GaussianMixture(2)
    before = dict(vars(model))
    with pytest.raises(KeyboardInterrupt):  # which keeps the traceback, and all its frames
        model.fit(batches(factory))
    assert vars(model) == before
    assert closed == [True]
    assert not reading_threads()


@pytest.mark.thread_unsafe(reason="threads of the whole process are counted")
def test_an_error_while_computing_ends_the_thread(few, monkeypatch):
    def fail(*arguments):
        raise MemoryError("no room")

    source = batches(lambda: iter([few] * 1000))
    monkeypatch.setattr("fastgmm.kernels.accumulate", fail)
    with pytest.raises(MemoryError) as failure:
        Plain().prepare(source).accumulate(random_parameters("full", 3, 2, np.random.default_rng(0)))
    assert not reading_threads()
    assert failure.traceback  # held until here, with the frame of the pass


@pytest.mark.thread_unsafe(reason="threads of the whole process are counted")
def test_predictions_that_nobody_finishes_end_the_thread(many):
    model = started("full").fit(many[:1000])
    some = model.predict_blocks(batches(lambda: cut(np.concatenate([many] * 4))))
    assert len(next(some)) == block_rows(2)
    del some
    gc.collect()
    assert not reading_threads()


def test_a_batchs_memory_may_be_used_again(few):
    def factory():
        buffer = np.empty((100, 2))
        for start in range(0, len(few), 100):
            buffer[:] = few[start : start + 100]
            yield buffer

    assert_array_equal(batches(factory).sample().X, few)


def test_a_model_fitted_to_a_source_is_pickled_without_it(few):
    model = GaussianMixture(2, tol=1e9).fit(batches(lambda: cut(few)))
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(few), model.predict(few))


# The documentation.


def test_the_examples_of_the_docs_run(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    pytest.importorskip("dask.array")
    text = (Path(__file__).parent.parent / "docs" / "big_data.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 7
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for example in examples:
        exec(compile(example, "docs/big_data.md", "exec"), names)
    X, score, stream = names["X"], names["model"].score(names["rows"]), names["stream"]
    assert abs(score - stream.score(X)) < 0.001
    assert abs(names["total"].log_likelihood / len(X) - score) < 0.001
