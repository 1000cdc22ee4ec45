"""Clusters of any shape: what the clusterer finds, what it says of new rows, and that it is told nothing twice."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_circles, make_moons
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import check_estimator

from fastgmm import GaussianMixtureClusterer
from fastgmm.callbacks import Callback
from fastgmm.data import batches


def three_shapes(n_samples=900, seed=0):
    """Return a ring, a band and a ball, and which is which."""
    rng = np.random.default_rng(seed)
    size = n_samples // 3
    angle, along = rng.uniform(0, 2 * np.pi, size), rng.uniform(-4, 4, size)
    ring = 3.0 * np.column_stack([np.cos(angle), np.sin(angle)])
    band = np.column_stack([along, np.full(size, -6.0)])
    ball = np.zeros((n_samples - 2 * size, 2))
    X = np.concatenate([ring, band, ball]) + rng.normal(scale=0.25, size=(n_samples, 2))
    return X, np.repeat([0, 1, 2], [size, size, len(ball)])


SHAPES = {
    "moons": make_moons(600, noise=0.06, random_state=0),
    "circles": make_circles(600, noise=0.04, factor=0.5, random_state=0),
    "ring, band and ball": three_shapes(),
}


@pytest.mark.parametrize("n_clusters", [3, "auto"])
def test_estimator_checks(n_clusters):
    # Centres are drawn among rows, repeated or weighted: other draws, as scikit-learn says of its k-means.
    expected = {"check_sample_weight_equivalence_on_dense_data": "starts are drawn"}
    model = GaussianMixtureClusterer(n_clusters)
    results = check_estimator(model, expected_failed_checks=expected, on_fail=None, on_skip=None)
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []
    assert sum(r["status"] == "passed" for r in results) >= 50


@pytest.mark.parametrize("method", ["overlap", "modes"])
@pytest.mark.parametrize("name", SHAPES)
def test_shapes_that_are_not_gaussian_are_found(name, method):
    X, truth = SHAPES[name]
    model = GaussianMixtureClusterer(truth.max() + 1, method=method, random_state=0).fit(X)
    assert adjusted_rand_score(truth, model.labels_) > 0.99
    assert model.n_components_ > model.n_clusters_


@pytest.mark.parametrize("name", SHAPES)
def test_the_number_of_clusters_is_found(name):
    X, truth = SHAPES[name]
    model = GaussianMixtureClusterer(random_state=0).fit(X)
    assert model.n_clusters_ == truth.max() + 1
    assert adjusted_rand_score(truth, model.labels_) > 0.99


def test_one_cloud_is_one_cluster():
    X = np.random.default_rng(0).normal(size=(500, 3))
    assert GaussianMixtureClusterer(random_state=0).fit(X).n_clusters_ == 1
    # However many components it was given.
    assert GaussianMixtureClusterer(n_components=6, random_state=0).fit(X).n_clusters_ == 1


def test_new_rows_are_assigned_as_those_of_the_fit():
    X, _ = SHAPES["moons"]
    model = GaussianMixtureClusterer(2, random_state=0).fit(X)
    assert_array_equal(model.predict(X), model.labels_)
    shares = model.predict_proba(X)
    assert_allclose(shares.sum(axis=1), 1.0)
    assert_array_equal(shares.argmax(axis=1), model.labels_)
    assert_allclose(model.score_samples(X), model.mixture_.score_samples(X))
    assert_array_equal(model.predict(batches(lambda: iter([X[:100], X[100:]]))), model.labels_)
    fresh, expected = make_moons(400, noise=0.06, random_state=1)
    assert adjusted_rand_score(expected, model.predict(fresh)) > 0.98


def test_a_handful_of_outliers_is_no_cluster_where_the_number_is_known():
    X, truth = three_shapes()
    far = np.random.default_rng(1).normal(size=(8, 2)) * 0.2 + 40.0
    model = GaussianMixtureClusterer(3, random_state=0).fit(np.concatenate([X, far]))
    assert adjusted_rand_score(truth, model.labels_[: len(X)]) > 0.98
    alone = GaussianMixtureClusterer(3, min_cluster_size=0.0, random_state=0).fit(np.concatenate([X, far]))
    assert np.bincount(alone.labels_).min() == 8


def test_noise_has_the_label_minus_one():
    X, truth = three_shapes()
    rng = np.random.default_rng(2)
    even = rng.uniform(-12, 12, size=(150, 2))
    model = GaussianMixtureClusterer(3, noise=0.1, random_state=0).fit(np.concatenate([X, even]))
    noise = model.labels_ == -1
    assert noise[: len(X)].mean() < 0.05 < 0.6 < noise[len(X) :].mean()
    assert model.predict_proba(X).shape == (len(X), 4)
    assert adjusted_rand_score(truth, model.labels_[: len(X)]) > 0.9
    assert set(model.labels_) == {-1, 0, 1, 2}


def test_heavy_tails_are_fitted():
    rng = np.random.default_rng(3)
    truth = rng.integers(2, size=600)
    X = rng.standard_t(2.5, size=(600, 2)) + 14.0 * truth[:, None]
    model = GaussianMixtureClusterer(2, distribution="student", random_state=0).fit(X)
    assert type(model.mixture_).__name__ == "StudentMixture"
    assert adjusted_rand_score(truth, model.labels_) > 0.97


def test_clusters_do_not_depend_on_units_or_on_the_origin():
    X, _ = SHAPES["moons"]
    plain = GaussianMixtureClusterer(2, random_state=0).fit(X)
    moved = GaussianMixtureClusterer(2, random_state=0).fit(X * [2.0**-10, 2.0**14] + [5.0, 1e5])
    assert_array_equal(moved.labels_, plain.labels_)


def test_an_integer_weight_is_a_repeated_row():
    X, _ = SHAPES["circles"]
    weight = np.full(len(X), 3.0)
    weighted = GaussianMixtureClusterer(2, random_state=0).fit(X, sample_weight=weight)
    repeated = GaussianMixtureClusterer(2, random_state=0).fit(np.tile(X, (3, 1)))
    assert adjusted_rand_score(weighted.labels_, repeated.labels_[: len(X)]) == 1.0


def test_the_same_seed_gives_the_same_bits_and_callbacks_end_the_choice():
    X, _ = SHAPES["circles"]
    first, second = (GaussianMixtureClusterer(random_state=4).fit(X) for _ in range(2))
    assert_array_equal(first.predict_proba(X), second.predict_proba(X))

    class AtOnce(Callback):
        def on_fit_task_end(self, estimator, context, **_):
            return context.task_name == "candidate"

    stopped = GaussianMixtureClusterer(random_state=4).set_callbacks(AtOnce()).fit(X)
    assert stopped.n_components_ == 1


def test_rows_with_missing_values_are_clustered_by_what_they_have():
    X, truth = SHAPES["moons"]
    holes = X.copy()
    holes[::7, 0] = np.nan
    holes[3::11, 1] = np.nan
    model = GaussianMixtureClusterer(2, missing="marginalise", random_state=0).fit(holes)
    whole = np.isfinite(holes).all(axis=1)
    assert adjusted_rand_score(truth[whole], model.labels_[whole]) > 0.95
    assert_array_equal(model.predict(holes), model.labels_)


def test_clusters_are_numbered_by_size():
    X, _ = three_shapes()
    rng = np.random.default_rng(5)
    X = np.concatenate([X, X[:300] + rng.normal(scale=0.1, size=(300, 2))])
    model = GaussianMixtureClusterer(3, random_state=0).fit(X)
    sizes = np.bincount(model.labels_)
    assert sizes[0] == 600
    assert (np.diff(sizes) <= 0).all()


def test_bad_arguments_are_refused_by_name():
    X, _ = SHAPES["moons"]
    with pytest.raises(ValueError, match="n_clusters is 9; expected at most the number of rows of X, 5"):
        GaussianMixtureClusterer(9).fit(X[:5])
    with pytest.raises(ValueError, match="fit of GaussianMixtureClusterer takes rows in memory"):
        GaussianMixtureClusterer(3).fit(batches(lambda: iter([X])))


@pytest.mark.parametrize("n_clusters", [3, 5])
def test_no_cluster_asked_for_is_left_without_rows(n_clusters):
    rng = np.random.default_rng(0)
    # Two long groups that cross: a component of the middle lies under both.
    X = rng.normal(size=(2, 400, 2)) * [[[3.0, 0.1]], [[0.1, 3.0]]]
    model = GaussianMixtureClusterer(n_clusters, random_state=0).fit(X.reshape(-1, 2))
    assert_array_equal(np.unique(model.labels_), np.arange(n_clusters))
    assert_array_equal(np.unique(model.cluster_of_component_), np.arange(n_clusters))
