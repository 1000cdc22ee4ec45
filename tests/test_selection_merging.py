"""Merged components: mclust's clustCombi, and the law that each merge lowers the entropy most."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastgmm import GaussianMixture, GaussianMixtureSearch
from fastgmm.selection import merge_components

DATA = Path(__file__).parent / "data"


def fitted(name, n_components):
    X = np.ascontiguousarray(np.loadtxt(DATA / f"{name}.csv", delimiter=",", skiprows=1))
    start = np.loadtxt(DATA / f"{name}_hclass.csv", delimiter=",", skiprows=1, dtype=np.int64)[:, n_components - 1] - 1
    settings = dict(covariance_type="VVV", reg_covar=0.0, tol=1e-12, max_iter=10_000, init_params=start)
    return X, GaussianMixture(n_components, **settings).fit(X)


# mclust 6.0.0: clustCombi(Mclust(X, G=4, modelNames="VVV", control=emControl(tol=1e-10))).
@pytest.mark.parametrize(
    ("name", "entropies", "sizes"),
    [
        ("faithful", [0.0, 0.5806282514, 26.52753314, 53.00553209], [[175, 97], [175, 42, 55], [25, 42, 150, 55]]),
        ("iris", [0.0, 0.0, 2.895580944, 7.768827664], [[50, 100], [39, 11, 100], [39, 11, 45, 55]]),
    ],
)
def test_mclusts_clusters_are_found(name, entropies, sizes):
    X, model = fitted(name, 4)
    merge = merge_components(model, X)
    # EM converges slowly for faithful and stopped there at 1e-10 of the log-likelihood; ours goes on.
    assert_allclose(merge.entropies, entropies, atol=0.03)
    for n_clusters, expected in zip((2, 3, 4), sizes, strict=True):
        assert sorted(np.bincount(merge.labels(n_clusters))) == sorted(expected)
    assert merge.suggested_n_clusters == 2


def test_each_merge_lowers_the_entropy_most():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2)) * [3, 1]
    model = GaussianMixture(5, random_state=0, max_iter=500).fit(X)
    merge = merge_components(model, X)

    def entropy(clusters):
        return -np.sum(clusters * np.log(np.maximum(clusters, 1e-300)))

    for n_clusters in (5, 4, 3, 2):
        now = merge.responsibilities(n_clusters)
        assert merge.entropies[n_clusters - 1] == pytest.approx(entropy(now), abs=1e-9)
        options = [
            entropy(np.column_stack([np.delete(now, [i, j], axis=1), now[:, i] + now[:, j]]))
            for i in range(n_clusters)
            for j in range(i)
        ]
        assert merge.entropies[n_clusters - 2] == pytest.approx(min(options), abs=1e-9)
    assert np.diff(merge.entropies).min() >= -1e-9


def test_clusters_are_sums_of_components():
    X, model = fitted("faithful", 4)
    merge = merge_components(model, X)
    assert_array_equal(merge.responsibilities(4), model.predict_proba(X))
    for n_clusters in (1, 2, 3, 4):
        clusters = merge.cluster_of_component(n_clusters)
        assert set(clusters) == set(range(n_clusters))
        assert_allclose(merge.responsibilities(n_clusters).sum(axis=1), 1.0)
    # A level only joins clusters of the one before.
    fine, coarse = merge.cluster_of_component(3), merge.cluster_of_component(2)
    assert len({*zip(fine.tolist(), coarse.tolist(), strict=True)}) == 3


def test_an_integer_weight_is_a_repeated_row():
    X, model = fitted("faithful", 3)
    weight = np.random.default_rng(1).integers(0, 3, size=len(X))
    weighted, repeated = merge_components(model, X, weight), merge_components(model, X.repeat(weight, axis=0))
    assert_array_equal(weighted.merges, repeated.merges)
    assert_allclose(weighted.entropies, repeated.entropies, atol=1e-9)
    assert_allclose(weighted.merged_weights, repeated.merged_weights)


def test_bad_arguments_are_refused():
    X, model = fitted("faithful", 3)
    with pytest.raises(ValueError, match="n_clusters is 4; expected 1 to n_components = 3"):
        merge_components(model, X).labels(4)
    with pytest.raises(ValueError, match="background component"):
        merge_components(GaussianMixture(2, noise=0.1, random_state=0).fit(X), X)


def test_the_background_of_a_search_is_no_cluster_either():
    X = np.concatenate([np.random.default_rng(0).normal(size=(60, 2)), [[9.0, 9.0], [-9.0, 9.0]]])
    search = GaussianMixtureSearch([2], ["EII"], noise=0.1).fit(X)
    with pytest.raises(ValueError, match="background component"):
        merge_components(search, X)
    search = GaussianMixtureSearch([2], ["EII"]).fit(X)
    assert_array_equal(merge_components(search, X).entropies, merge_components(search.best_estimator_, X).entropies)


def bands(seed=0):
    """Return two bands of three components each, far apart, and a model of them."""
    rng = np.random.default_rng(seed)
    X = np.concatenate([rng.uniform(-4, 4, (300, 1)) * [1, 0] + [0, side] for side in (-3, 3)])
    X += rng.normal(scale=0.3, size=X.shape)
    return X, GaussianMixture(6, random_state=seed, max_iter=500).fit(X)


@pytest.mark.parametrize("method", ["entropy", "overlap", "modes"])
def test_bands_are_two_clusters_by_every_method(method):
    X, model = bands()
    merge = merge_components(model, X, method=method, per_row=True)
    labels = merge.labels(2)
    assert_array_equal(labels == labels[0], X[:, 1] < 0)
    assert merge.method == method
    assert len(merge.strengths) == 5
    if method == "overlap":
        assert merge.suggested_n_clusters == 2


def test_overlap_is_what_the_responsibilities_share():
    X, model = bands()
    merge, weight = merge_components(model, X, method="overlap"), len(X)
    for n_clusters in (6, 5, 4, 3):
        now = merge.responsibilities(n_clusters)
        shared, counts = now.T @ now, now.sum(axis=0)
        lift = weight * shared / np.outer(counts, counts)
        np.fill_diagonal(lift, 0.0)
        assert np.exp(merge.strengths[6 - n_clusters]) == pytest.approx(lift.max(), rel=1e-9)


def test_the_fall_per_row_is_the_largest_of_all_pairs():
    X, model = bands()
    merge = merge_components(model, X, per_row=True)

    def entropy(clusters):
        return -np.sum(clusters * np.log(np.maximum(clusters, 1e-300)))

    now = merge.responsibilities(4)
    falls = [
        (entropy(now[:, [i, j]]) - entropy(now[:, i] + now[:, j])) / (now[:, i] + now[:, j]).sum()
        for i in range(4)
        for j in range(i)
    ]
    assert merge.strengths[2] == pytest.approx(max(falls), rel=1e-9)


def test_modes_of_two_components_are_one_until_they_are_two_deviations_apart():
    # Two equal normal components have one mode up to a distance of two standard deviations.
    for distance, n_modes in ((1.8, 1), (2.6, 2)):
        model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [distance]], [[[1.0]]] * 2)
        X = model.sample(50, random_state=0)[0]
        assert merge_components(model, X, method="modes").suggested_n_clusters == n_modes


def test_the_lightest_join_first_where_a_weight_is_asked_for():
    X, model = bands()
    far = np.concatenate([X, [[50.0, 50.0], [50.1, 50.0], [50.0, 50.1]]])
    model = GaussianMixture(7, random_state=0, max_iter=500).fit(far)
    assert np.bincount(merge_components(model, far, method="overlap").labels(2)).min() == 3
    labels = merge_components(model, far, method="overlap", min_weight=0.05).labels(2)
    assert_array_equal(labels[:600] == labels[0], X[:, 1] < 0)


def test_bad_methods_are_refused():
    X, model = fitted("faithful", 3)
    with pytest.raises(ValueError, match="method is 'density'; expected 'entropy', 'overlap' or 'modes'"):
        merge_components(model, X, method="density")
    with pytest.raises(ValueError, match=r"min_weight is 1\.5; expected a share"):
        merge_components(model, X, min_weight=1.5)
