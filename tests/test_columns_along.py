"""What rides along with the rows of a source: labels, classes and targets, of whatever type."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastgmm import GaussianMixture, GaussianMixtureClassifier, GaussianMixtureRegressor
from fastgmm.data import batches, distributed, parquet, rows, sliced, sources, streamed_rows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def clusters(n_samples=600, n_clusters=3, seed=0):
    """Return rows of clusters eight deviations apart, and the cluster of each."""
    rng = np.random.default_rng(seed)
    cluster = rng.integers(n_clusters, size=n_samples)
    return 8.0 * np.column_stack([cluster, cluster % 2]) + rng.normal(size=(n_samples, 2)), cluster


def hidden(cluster, n_known, unknown=-1):
    """Return labels of the last `n_known` rows of each cluster, the others unknown."""
    labels = np.full(len(cluster), unknown, dtype=np.result_type(cluster.dtype, type(unknown)))
    for k in np.unique(cluster):
        last = np.flatnonzero(cluster == k)[-n_known:]
        labels[last] = cluster[last]
    return labels


def in_batches(X, size=170, **along):
    """Return a source of batches of X and of what rides along."""
    return batches(
        lambda: (
            {"X": X[i : i + size], **{name: column[i : i + size] for name, column in along.items()}}
            for i in range(0, len(X), size)
        )
    )


def assert_same(model, expected):
    """Labelled rows of an array are summed apart: the same to rounding."""
    for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
        wanted = np.asarray(getattr(expected, name))
        assert_allclose(getattr(model, name), wanted, rtol=1e-10, atol=1e-10 * np.abs(wanted).max(), err_msg=name)


@pytest.fixture
def short_blocks(monkeypatch):
    """Blocks and samples of 300 rows."""
    for module in (rows, streamed_rows, distributed, sources):
        monkeypatch.setattr(module, "block_rows", lambda n_features: 300)


# Types.


def test_longer_names_in_a_later_batch_are_not_cut():
    X, cluster = clusters()
    order = np.argsort(cluster)
    X, names = X[order], np.array(["a", "ab", "abcdef"])[cluster[order]]
    expected = GaussianMixtureClassifier().fit(X, names)
    pairs = [(X[cluster[order] == k], ["a", "ab", "abcdef"][k]) for k in range(3)]
    source = batches(lambda: ({"X": part, "y": np.full(len(part), name)} for part, name in pairs))
    model = GaussianMixtureClassifier().fit(source)
    assert model.classes_.tolist() == ["a", "ab", "abcdef"]
    assert_same(model, expected)


@pytest.mark.parametrize("kind", ["int64", "float64", "string", "bool"])
def test_a_class_that_is_missing_in_parquet_is_not_known(kind, tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    X, cluster = clusters(n_clusters=2)
    y = hidden(cluster, 20)
    names = {"int64": [7, 9], "float64": [0.0, 2.0], "string": ["a", "bc"], "bool": [False, True]}[kind]
    # The first batches have none that is known, the last ones all kinds.
    column = pa.array([None if k < 0 else names[k] for k in y])
    pq.write_table(pa.table({"x0": X[:, 0], "x1": X[:, 1], "class": column}), tmp_path / "x.parquet")
    source = parquet(tmp_path / "x.parquet", batch_rows=100, y="class")
    model = GaussianMixtureClassifier().fit(source)
    assert model.classes_.tolist() == names
    assert_same(model, GaussianMixtureClassifier().fit(X, y))


def test_a_target_that_is_missing_is_an_error(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    X, _ = clusters()
    pq.write_table(pa.table({"x": X[:, 0], "y": [None, *X[1:, 1]]}), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=r"y of X, .*x\.parquet, is of dtype object or not finite; expected numbers"):
        GaussianMixtureRegressor(1).fit(parquet(tmp_path / "x.parquet", y="y"))


@pytest.mark.parametrize("as_given", ["list", "series", "missing"])
def test_labels_may_be_a_list_or_a_series_or_missing(as_given):
    X, cluster = clusters()
    labels = hidden(cluster, 20)
    expected = GaussianMixture(3, random_state=0).fit(X, labels=labels)
    given = labels.tolist()
    if as_given == "series":
        pd = pytest.importorskip("pandas")
        given = pd.Series(labels, index=np.arange(len(labels))[::-1])
    elif as_given == "missing":
        given = np.where(labels < 0, np.nan, labels)
        assert_array_equal(GaussianMixture(3, random_state=0).fit(X, labels=given).means_, expected.means_)
    assert_same(GaussianMixture(3, random_state=0).fit(in_batches(X), labels=given), expected)
    if as_given != "series":
        assert_same(GaussianMixture(3, random_state=0).fit(in_batches(X, labels=np.asarray(given))), expected)


def test_labels_of_a_dask_frame_may_be_missing():
    dd, pd = pytest.importorskip("dask.dataframe"), pytest.importorskip("pandas")
    X, cluster = clusters()
    labels = hidden(cluster, 20)
    frame = pd.DataFrame({"x": X[:, 0], "y": X[:, 1], "label": np.where(labels < 0, np.nan, labels)})
    frame = dd.from_pandas(frame, npartitions=4)
    model = GaussianMixture(3, random_state=0).fit(frame[["x", "y"]], labels=frame["label"])
    assert_same(model, GaussianMixture(3, random_state=0).fit(X, labels=labels))


# Which rows are known.


def test_labels_that_say_nothing_are_no_labels():
    X, _ = clusters()
    expected = GaussianMixture(3, init_params="random_from_data", random_state=0).fit(X)
    source = in_batches(X, labels=np.full(len(X), -1))
    model = GaussianMixture(3, init_params="random_from_data", random_state=0).fit(source)
    assert_array_equal(model.means_, expected.means_)
    assert model.lower_bounds_ == expected.lower_bounds_


@pytest.mark.parametrize("kind", ["batches", "dask"])
def test_a_start_from_a_sample_knows_the_labels_that_are_rare(kind, short_blocks):
    """Five labelled rows of each component in 6000, at the end: of 300 drawn at random, none on average."""
    X, cluster = clusters(6000)
    order = np.array([2, 0, 1])
    labels = hidden(order[cluster], 5)
    if kind == "dask":
        da = pytest.importorskip("dask.array")
        given = da.from_array(X, chunks=(1000, -1)), {"labels": da.from_array(labels, chunks=1000)}
    else:
        given = in_batches(X, labels=labels), {}
    for seed in range(5):
        model = GaussianMixture(3, random_state=seed).fit(given[0], **given[1])
        assert np.mean(model.predict(X) == order[cluster]) > 0.999


@pytest.mark.parametrize("kind", ["batches", "dask"])
def test_a_classifiers_start_from_a_sample_knows_the_classes_that_are_rare(kind, short_blocks):
    X, cluster = clusters(6000)
    y = hidden(cluster, 5)
    if kind == "dask":
        da = pytest.importorskip("dask.array")
        given = da.from_array(X, chunks=(1000, -1)), da.from_array(y, chunks=1000)
    else:
        given = (in_batches(X, y=y),)
    model = GaussianMixtureClassifier(random_state=0).fit(*given)
    assert model.score(X, cluster) > 0.999


def test_rows_of_no_weight_found_no_class_and_count_towards_none():
    X, cluster = clusters()
    weight = np.where((cluster == 2) | (np.arange(600) % 7 == 0), 0.0, 1.0)
    for given in ((X, cluster, weight), (in_batches(X, y=cluster, sample_weight=weight),)):
        with pytest.raises(ValueError, match="class 2 has no labelled row of positive sample_weight"):
            GaussianMixtureClassifier().fit(*given)
    y = np.where(cluster == 2, -1, cluster)
    expected = GaussianMixtureClassifier().fit(X, y, weight)
    model = GaussianMixtureClassifier().fit(in_batches(X, y=y, sample_weight=weight))
    assert_same(model, expected)
    assert_allclose(model.bic_, expected.bic_, rtol=1e-12)


# What is refused.


@pytest.mark.parametrize("labels", [np.full(600, 3), np.full(600, -2), np.full(600, 0.5)])
def test_labels_of_a_source_are_those_that_an_array_may_have(labels, short_blocks):
    X, _ = clusters()
    labels[:-1] = -1
    with pytest.raises(ValueError, match=r"whole numbers|the value"):
        GaussianMixture(3).fit(X, labels=labels)
    # Whether the sample has them, or a later pass finds them.
    for seed in range(3):
        with pytest.raises(ValueError, match=r"whole numbers|the value"):
            GaussianMixture(3, random_state=seed).fit(in_batches(X, labels=labels))


def test_what_is_given_twice_is_refused():
    X, cluster = clusters()
    for source in (in_batches(X, labels=cluster), sliced(X, labels=cluster)):
        for _ in range(2):  # before and after it has been read
            with pytest.raises(ValueError, match=r"labels is given and X, .*, brings labels with its rows"):
                GaussianMixture(3).fit(source, labels=cluster)
            GaussianMixture(3, max_iter=1).fit(source)
    with pytest.raises(ValueError, match="y is given and X, batches, brings y with its rows"):
        GaussianMixtureRegressor(1).fit(in_batches(X, y=X[:, 0]), X[:, 0])


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({}, "block 1 has no y, unlike those before; expected y of all rows or of none"),
        ({"y": np.zeros(5), "labels": np.zeros(5)}, "block 1 has labels, unlike those before"),
        ({"y": np.zeros(4)}, r"the y of X, batches, block 1 have shape \(4,\); expected 5 entries"),
        (
            {"y": np.zeros((5, 1))},
            r"the y of X, batches, block 1 have shape \(5, 1\); expected \(5,\), as those before",
        ),
    ],
)
def test_batches_that_disagree_about_what_rides_along_are_refused(second, message):
    X, cluster = clusters()
    source = batches(lambda: iter([{"X": X, "y": cluster}, {"X": X[:5], **second}]))
    with pytest.raises(ValueError, match=message):
        GaussianMixtureClassifier().fit(source)


def test_weights_of_a_source_that_stand_for_no_rows_have_no_bic():
    X, _ = clusters()
    weight = np.full(len(X), 1.0 / len(X))
    model = GaussianMixture(3, random_state=0).fit(in_batches(X, sample_weight=weight))
    with pytest.raises(ValueError, match="sample_weight sums to 1; expected the number of rows"):
        model.bic(in_batches(X, sample_weight=weight))
    assert_allclose(model.bic(in_batches(X, sample_weight=600 * weight)), model.bic(X), rtol=1e-12)
