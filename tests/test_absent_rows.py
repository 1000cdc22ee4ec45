"""Rows with weight 0 are ignored, even if they contain NaN or infinity."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastgmm
from fastgmm import (
    BayesianGaussianMixture,
    GaussianMixture,
    GaussianMixtureClassifier,
    GaussianMixtureClusterer,
    GaussianMixtureFeatureSelector,
    GaussianMixtureImputer,
    GaussianMixtureOutlierDetector,
    GaussianMixtureRegressor,
    GaussianMixtureSearch,
    StudentMixture,
)
from fastgmm.data import batches, sliced
from fastgmm.selection import merge_components

BAD = np.array([3, 57, 119])


def problem():
    """Return rows, the same with NaN and infinity in some, and weights that are 0 there and at some others."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(-4, 1, (60, 2)), rng.normal(4, 1, (60, 2))])
    spoilt = X.copy()
    spoilt[BAD[0], 0], spoilt[BAD[1]], spoilt[BAD[2], 1] = np.nan, np.nan, np.inf
    weight = rng.uniform(0.5, 2.0, size=120)
    weight[[*BAD, 20]] = 0.0
    # What stands in for them is a row that counts.
    X[BAD] = X[0]
    return X, spoilt, weight


def attributes(model):
    return {name: value for name, value in vars(model).items() if name.endswith("_") and isinstance(value, np.ndarray)}


@pytest.mark.parametrize(
    "model",
    [
        GaussianMixture(2, random_state=0),
        GaussianMixture(2, noise=0.05, init_params="hc", random_state=0),
        GaussianMixture(2, trim=0.05, random_state=0),
        StudentMixture(2, random_state=0),
        BayesianGaussianMixture(n_components=2, random_state=0),
        GaussianMixtureClusterer(random_state=0),
        GaussianMixtureOutlierDetector(random_state=0),
        GaussianMixtureSearch(range(1, 3), ["full", "EEE"], random_state=0),
        GaussianMixtureFeatureSelector(),
    ],
    ids=lambda model: type(model).__name__,
)
def test_fit_is_that_of_any_numbers(model):
    X, spoilt, weight = problem()
    before = spoilt.copy()
    expected = attributes(model.fit(X, sample_weight=weight))
    found = attributes(model.fit(spoilt, sample_weight=weight))
    assert found.keys() == expected.keys()
    for name in set(found) - {"labels_"}:
        assert_array_equal(found[name], expected[name], err_msg=name)
    assert_array_equal(spoilt, before)


@pytest.mark.parametrize("kind", ["frame", "list", "float32"])
def test_rows_of_any_kind(kind):
    X, spoilt, weight = problem()
    as_kind = {"frame": pd.DataFrame, "list": np.ndarray.tolist, "float32": np.float32}[kind]
    expected = GaussianMixture(2, random_state=0).fit(as_kind(X), sample_weight=weight)
    found = GaussianMixture(2, random_state=0).fit(as_kind(spoilt), sample_weight=weight)
    assert_array_equal(found.means_, expected.means_)


def test_absent_rows_are_the_same_as_none():
    X, spoilt, weight = problem()
    start = (X[:, 0] > 0).astype(int)
    kept = weight > 0
    with_them = GaussianMixture(2, init_params=start, tol=1e-10).fit(spoilt, sample_weight=weight)
    without = GaussianMixture(2, init_params=start[kept], tol=1e-10).fit(X[kept], sample_weight=weight[kept])
    assert_allclose(with_them.means_, without.means_, rtol=1e-12)
    for question in ("score", "bic", "aic", "icl"):
        answers = [
            getattr(without, question)(rows, sample_weight=w) for rows, w in ((spoilt, weight), (X[kept], weight[kept]))
        ]
        assert_allclose(*answers, rtol=1e-12)
    statistics = [without.statistics(spoilt, weight), without.statistics(X[kept], weight[kept])]
    assert_allclose(statistics[0].scatter, statistics[1].scatter, rtol=1e-11)
    assert_allclose(without.drift(spoilt, sample_weight=weight).score, without.score(X[kept], None, weight[kept]))
    assert "rows" in without.summary(spoilt, weight)


def test_targets_and_classes_may_be_missing_too():
    X, spoilt, weight = problem()
    y, classes = X.sum(axis=1), (X[:, 0] > 0).astype(float)
    y[BAD], classes[BAD] = y[0], classes[0]
    hole, unknown = y.copy(), classes.copy()
    hole[BAD], unknown[BAD] = np.nan, np.nan
    regressors = [
        GaussianMixtureRegressor(2, random_state=0).fit(rows, of, sample_weight=weight)
        for rows, of in ((X, y), (spoilt, hole))
    ]
    assert_array_equal(regressors[0].mixture_.means_, regressors[1].mixture_.means_)
    assert regressors[0].score(spoilt, hole, weight) == regressors[0].score(X, y, weight)
    classifiers = [
        GaussianMixtureClassifier().fit(rows, of, sample_weight=weight)
        for rows, of in ((X, classes), (spoilt, unknown))
    ]
    assert_array_equal(classifiers[0].means_, classifiers[1].means_)
    assert classifiers[0].score(spoilt, unknown, weight) == 1.0


def test_errors_may_be_missing_too():
    X, spoilt, weight = problem()
    errors = np.full(X.shape, 0.1)
    unknown = errors.copy()
    unknown[BAD] = np.nan
    models = [
        GaussianMixture(2, random_state=0).fit(rows, sample_weight=weight, errors=of)
        for rows, of in ((X, errors), (spoilt, unknown))
    ]
    assert_array_equal(models[0].means_, models[1].means_)
    assert models[0].bic(spoilt, weight, unknown) == models[0].bic(X, weight, errors)


def test_labels_of_absent_rows():
    _, spoilt, weight = problem()
    labels = GaussianMixture(2, random_state=0).fit_predict(spoilt, sample_weight=weight)
    clusterer = GaussianMixtureClusterer(random_state=0).fit(spoilt, sample_weight=weight)
    for found in (labels, clusterer.labels_):
        assert_array_equal(np.flatnonzero(found < 0), BAD)


def test_streams_and_further_functions():
    X, spoilt, weight = problem()
    streams = [GaussianMixture(2, random_state=0) for _ in range(2)]
    for part in (slice(0, 100), slice(100, 120)):
        for stream, rows in zip(streams, (X, spoilt), strict=True):
            stream.partial_fit(rows[part], sample_weight=weight[part])
    assert_array_equal(streams[0].means_, streams[1].means_)
    drawn = [fastgmm.coreset(rows, 30, n_components=2, sample_weight=weight, random_state=0)[0] for rows in (X, spoilt)]
    assert_array_equal(*drawn)
    merged = [merge_components(streams[0], rows, sample_weight=weight).entropies for rows in (X, spoilt)]
    assert_array_equal(*merged)


@pytest.mark.parametrize("kind", ["batches", "sliced", "dask"])
def test_sources(kind):
    X, spoilt, weight = problem()

    def source(rows):
        if kind == "batches":
            return (batches(lambda: ((rows[i : i + 50], weight[i : i + 50]) for i in range(0, 120, 50))),)
        if kind == "sliced":
            return (sliced(rows, weights=weight),)
        dask = pytest.importorskip("dask.array")
        return dask.from_array(rows, chunks=(50, 2)), None, weight

    before = spoilt.copy()
    expected, found = (GaussianMixture(2, random_state=0).fit(*source(rows)) for rows in (X, spoilt))
    assert_allclose(found.means_, expected.means_, rtol=1e-12)
    assert_array_equal(spoilt, before)


def test_collections_that_are_not_in_memory_are_left_alone():
    frame = pytest.importorskip("dask.dataframe")
    X, _, weight = problem()
    rows = frame.from_pandas(pd.DataFrame(X, columns=["a", "b"]), npartitions=2)
    model = GaussianMixtureClassifier().fit(X, X[:, 0] > 0)
    assert model.score(rows.to_dask_array(lengths=True), X[:, 0] > 0, weight) == 1.0
    named = GaussianMixtureClassifier().fit(pd.DataFrame(X, columns=["a", "b"]), X[:, 0] > 0)
    assert named.score(rows, X[:, 0] > 0, weight) == 1.0


def test_imputed_rows_stay_what_they_are():
    _, spoilt, weight = problem()
    spoilt[~np.isfinite(spoilt)] = np.nan
    filled = GaussianMixtureImputer(random_state=0).fit(spoilt, sample_weight=weight).transform(spoilt)
    assert np.isfinite(filled).all()
    assert_array_equal(filled[~np.isnan(spoilt)], spoilt[~np.isnan(spoilt)])


def test_nan_that_counts_is_refused():
    _, spoilt, weight = problem()
    weight[BAD[0]] = 1e-300
    with pytest.raises(ValueError, match="contains NaN"):
        GaussianMixture(2).fit(spoilt, sample_weight=weight)
    with pytest.raises(ValueError, match="infinity or a value too large"):
        GaussianMixture(2, missing="marginalise").fit(spoilt)


def test_missing_values_keep_their_meaning():
    X, spoilt, weight = problem()
    spoilt[BAD[2]] = X[0]
    spoilt[BAD[0], 1] = 4.0
    model = GaussianMixture(2, missing="marginalise", init_params=(X[:, 0] > 0).astype(int))
    labels = model.fit_predict(spoilt, sample_weight=weight)
    assert labels[BAD[0]] == 1, "labelled by the value it has"
