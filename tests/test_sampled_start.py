"""The default start on many rows: better than k-means where components differ, and k-means where rows are few."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm.data import ArrayRows
from fastgmm.families import Gaussian, get_covariance
from fastgmm.starts import kmeans
from fastgmm.starts.sampled import MANY_ROWS, start_from_sample

MANY = 12_000


def unequal(seed, n_samples=MANY, n_components=8, n_features=3, spread=2.0):
    """Overlapping components of unequal weights and shapes."""
    rng = np.random.default_rng(seed)
    weights, means = rng.dirichlet(np.full(n_components, 0.7)), rng.normal(size=(n_components, n_features)) * spread
    parts = []
    for mean, count in zip(means, rng.multinomial(n_samples, weights), strict=True):
        a = rng.normal(size=(n_features, n_features))
        parts.append(mean + rng.normal(size=(count, n_features)) @ (a / np.sqrt(n_features) + 0.3 * np.eye(n_features)))
    return rng.permutation(np.vstack(parts))


def sticks(n_samples=MANY, n_components=5):
    """Parallel sticks side by side: k-means cuts them across."""
    rng = np.random.default_rng(0)
    k = rng.integers(n_components, size=n_samples)
    return rng.normal(size=(n_samples, 2)) * [3.0, 0.2] + np.column_stack([np.zeros(n_samples), k])


def start(X, n_components=8, name="full", seed=0, weight=None, reg_covar=1e-6):
    family = Gaussian(get_covariance(name), reg_covar, 10.0 * np.finfo(X.dtype).eps)
    return start_from_sample(ArrayRows(X, weight), n_components, family, np.random.RandomState(seed))


def from_kmeans(X, n_components, seed, **options):
    """Fit from the k-means clusters that the same seed gives."""
    labels = kmeans(ArrayRows(X), n_components, np.random.RandomState(seed))[1]
    return GaussianMixture(n_components, init_params=labels, **options).fit(X)


# What it finds.


@pytest.mark.parametrize("name", ["full", "diag"])
def test_mean_likelihood_over_seeds_is_above_that_from_kmeans(name):
    differences = []
    for data in range(4):
        X = unequal(data)
        for seed in range(3):
            model = GaussianMixture(8, covariance_type=name, random_state=seed).fit(X)
            differences.append(model.score(X) - from_kmeans(X, 8, seed, covariance_type=name).score(X))
    assert np.mean(differences) > 0.002


@pytest.mark.parametrize("seed", range(3))
def test_sticks_that_kmeans_cuts_across_are_better_told_apart(seed):
    X = sticks()
    assert GaussianMixture(5, random_state=seed).fit(X).score(X) > from_kmeans(X, 5, seed).score(X) + 0.005


def test_fewer_passes_over_all_rows_than_from_kmeans():
    X = unequal(1, 40_000)
    passes = [GaussianMixture(8, random_state=seed).fit(X).n_passes_ for seed in range(4)]
    from_clusters = [from_kmeans(X, 8, seed).n_passes_ for seed in range(4)]
    assert np.mean(passes) < np.mean(from_clusters)


# Where it is k-means.


@pytest.mark.parametrize("name", ["full", "tied", "diag", "spherical"])
def test_few_rows_start_from_kmeans(name):
    X = unequal(2, MANY_ROWS - 1, 4)
    fitted = GaussianMixture(4, covariance_type=name, random_state=3).fit(X)
    assert_allclose(fitted.means_, from_kmeans(X, 4, 3, covariance_type=name).means_, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("options", [{"prior": "default"}, {"means_init": np.zeros((4, 3)) + np.arange(4)[:, None]}])
def test_what_else_is_asked_for_starts_from_kmeans(options):
    X = unequal(2, n_components=4)
    fitted = GaussianMixture(4, random_state=3, **options).fit(X)
    assert_allclose(fitted.means_, from_kmeans(X, 4, 3, **options).means_, rtol=1e-8, atol=1e-8)


def test_rows_that_coincide_start_from_kmeans():
    X = np.repeat(np.random.default_rng(0).normal(size=(6, 3)), 2000, axis=0)
    assert start(X, 4) is None
    assert GaussianMixture(4, random_state=0).fit(X).converged_


def test_sample_not_much_smaller_than_the_rows_is_not_worth_it():
    X = np.random.default_rng(0).normal(size=(MANY_ROWS, 40))
    assert start(X, 8) is None
    assert start(X[:, :2].copy(), 8) is not None


def test_a_singularity_is_not_returned():
    # A tenth of the rows are one point, to which a component would shrink without end.
    X = unequal(0)
    X[::10] = X[0]
    found = start(X, reg_covar=0.0)
    assert found is None or np.linalg.eigvalsh(found.covariances).min() > 1e-8
    assert np.isfinite(GaussianMixture(8, random_state=0).fit(X).lower_bound_)


# What holds of every start.


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_same_bits_at_any_thread_count(dtype):
    X = unequal(0, 30_000).astype(dtype)
    found = []
    for n_threads in (1, 2, 7):
        with fastgmm.config_context(n_threads=n_threads):
            found.append(GaussianMixture(8, random_state=5).fit(X))
    assert found[0].means_.dtype == dtype
    for other in found[1:]:
        assert_array_equal(other.means_, found[0].means_)
        assert_array_equal(other.lower_bounds_, found[0].lower_bounds_)


@pytest.mark.parametrize("scale", [2.0**-900, 1024.0, 2.0**900])
@pytest.mark.parametrize("init_params", ["kmeans", "multistart"])
def test_scale_of_weights_does_not_matter(scale, init_params):
    X = unequal(0, 9000)
    weight = np.random.default_rng(1).integers(0, 3, size=len(X)).astype(float)
    one, many = (
        GaussianMixture(8, random_state=0, init_params=init_params, max_iter=0).fit(X, sample_weight=w)
        for w in (weight, weight * scale)
    )
    assert_array_equal(many.means_, one.means_)
    assert_array_equal(many.covariances_, one.covariances_)


def test_rows_without_weight_are_not_seen():
    X = unequal(0)
    weight = np.ones(len(X))
    weight[::3] = 0.0
    elsewhere = X.copy()
    elsewhere[::3] = 1e3
    assert_array_equal(start(elsewhere, weight=weight).means, start(X, weight=weight).means)


def test_moved_and_scaled_rows_move_and_scale_the_start():
    # A power of two and offsets that lose no digit: the same roundings.
    X = np.round(unequal(0) * 2**20) / 2**20
    found, moved = start(X, reg_covar=0.0), start(4.0 * X + 2.0, reg_covar=0.0)
    assert_allclose(moved.means, 4.0 * found.means + 2.0, rtol=1e-6, atol=1e-6)
    assert_allclose(moved.covariances, 16.0 * found.covariances, rtol=1e-5, atol=1e-6)


def test_each_start_of_several_is_another():
    X = unequal(0)
    first, best = (GaussianMixture(8, random_state=0, n_init=n).fit(X) for n in (1, 5))
    assert best.lower_bound_ >= first.lower_bound_
    assert best.n_passes_ > first.n_passes_


@pytest.mark.parametrize("name", ["full", "tied", "diag", "spherical", "VEV", "EEE"])
def test_start_is_a_state_of_the_family(name):
    X = unequal(3)
    found = start(X, name=name)
    family = Gaussian(get_covariance(name), 1e-6)
    assert found.covariances.shape == family.shape.dims(8, 3)
    assert_allclose(found.weights.sum(), 1.0, rtol=1e-12)
    assert GaussianMixture(8, covariance_type=name, random_state=0, max_iter=300).fit(X).converged_


def test_variational_mixture_still_starts_from_kmeans():
    X = unequal(0)
    labels = kmeans(ArrayRows(X), 4, np.random.RandomState(0))[1]
    options = {"random_state": 0, "max_iter": 5, "tol": 0.0}
    one, other = (BayesianGaussianMixture(n_components=4, init_params=i, **options) for i in ("kmeans", labels))
    with pytest.warns(match="did not converge"):
        one.fit(X)
    with pytest.warns(match="did not converge"):
        other.fit(X)
    assert_allclose(one.means_, other.means_, rtol=1e-9, atol=1e-9)


def test_components_far_apart_start_from_their_rows():
    # The nearest mean tells them: the parameters are those of the labelled rows, of all of them.
    rng = np.random.default_rng(4)
    k = rng.integers(3, size=MANY)
    X = rng.normal(size=(MANY, 4)) + 20.0 * np.eye(4)[k]
    order = np.argsort(-start(X, 3).means[:, :3], axis=0)[0]
    assert_allclose(start(X, 3).means[order], [X[k == j].mean(axis=0) for j in range(3)], rtol=1e-9, atol=1e-9)
