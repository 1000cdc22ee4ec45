"""The start by k-means: every engine draws the rows it should, and swaps mend what k-means++ got wrong."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastgmm
from fastgmm import kernels
from fastgmm.data import ArrayRows
from fastgmm.starts import kmeans, kmeans_plusplus


def blobs(n_clusters, n_features, per_cluster, seed, distance=12.0):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(n_clusters, n_features))
    means *= distance / np.sqrt(2.0 * n_features)
    X = np.repeat(means, per_cluster, axis=0) + rng.normal(size=(n_clusters * per_cluster, n_features))
    return X, np.repeat(np.arange(n_clusters), per_cluster)


def nearest_distances(X, chosen):
    return ((X[:, None] - X[chosen]) ** 2).sum(axis=2).min(axis=1)


def chosen_by_definition(X, weight, positions, n_greedy, n_candidates, k):
    """Greedy k-means++ as its text says, in plain NumPy."""
    weight = np.ones(len(X)) if weight is None else weight
    chosen, at = [], 0
    for i in range(k):
        count = n_candidates if 0 < i < n_greedy else 1
        mass = weight if i == 0 else weight * nearest_distances(X, chosen)
        drawn = np.searchsorted(np.cumsum(mass), positions[at : at + count] * mass.sum(), side="right")
        at += count
        costs = [weight @ nearest_distances(X, [*chosen, row]) for row in drawn]
        chosen.append(int(drawn[int(np.argmin(costs))]))
    return chosen


@pytest.mark.parametrize("n_features", [1, 2, 3, 8, 13])
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_are_drawn_as_defined(engine, n_features, weighted):
    rng = np.random.default_rng(30)
    X = rng.normal(size=(1500, n_features)) + 20
    weight = rng.integers(0, 3, size=1500).astype(float) if weighted else None
    positions = rng.uniform(size=9 + 5 * 2)
    distances, chosen = np.full(1500, np.finfo(float).max), np.empty(9, np.int64)
    kernels.choose_centres(X, weight, positions, 6, 3, 0, distances, chosen)
    assert_array_equal(chosen, chosen_by_definition(X, weight, positions, 6, 3, 9))
    assert_allclose(distances, nearest_distances(X, chosen), rtol=1e-9, atol=1e-9)
    if weighted:
        assert weight[chosen].min() > 0


def swapped_by_definition(X, positions, chosen):
    """Swaps as their text says, every distance computed again for each."""
    chosen, k = list(chosen), len(chosen)
    failures = 0
    for position in positions:
        distances = nearest_distances(X, chosen)
        drawn = int(np.searchsorted(np.cumsum(distances), position * distances.sum(), side="right"))
        costs = [nearest_distances(X, [*chosen[:out], *chosen[out + 1 :], drawn]).sum() for out in range(k)]
        out = int(np.argmin(costs))
        if costs[out] < (1 - 0.25 / k) * distances.sum():
            chosen[out], failures = drawn, 0
        else:
            failures += 1
            if failures >= 8 + k:
                break
    return chosen


@pytest.mark.parametrize("k", [2, 3, 9, 25])
def test_swaps_are_made_as_defined(engine, k):
    rng = np.random.default_rng(k)
    X = np.concatenate([rng.normal(size=(40, 3)) + 3 * rng.normal(size=3) for _ in range(20)])
    positions = rng.uniform(size=k + 80)
    positions[:k] *= 0.05  # centres close to each other, nearly all of which are better elsewhere
    drawn, n_made = chosen_by_definition(X, None, positions[:k], 0, 1, k), 0
    for n_swaps in (1, 2, 80):
        distances, chosen = np.full(len(X), np.finfo(float).max), np.empty(k, np.int64)
        kernels.choose_centres(X, None, positions[: k + n_swaps], 0, 1, n_swaps, distances, chosen)
        assert_array_equal(chosen, swapped_by_definition(X, positions[k : k + n_swaps], drawn))
        assert_allclose(distances, nearest_distances(X, chosen), rtol=1e-9, atol=1e-9)
        n_made = (chosen != drawn).sum()
    assert n_made > 0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_swaps_only_lower_the_cost_and_report_it(engine, dtype):
    for seed in range(5):
        X, _ = blobs(12, 3, 100, seed)
        X = np.ascontiguousarray(X, dtype=dtype)
        positions = np.random.default_rng(seed).uniform(size=12 + 24)
        costs = []
        for n_swaps in (0, 24):
            distances, chosen = np.full(len(X), np.finfo(dtype).max, dtype), np.empty(12, np.int64)
            kernels.choose_centres(X, None, positions[: 12 + n_swaps], 0, 1, n_swaps, distances, chosen)
            # Squared distances of float32 rows lose some digits to the distance of the rows from their middle.
            assert_allclose(distances, nearest_distances(X.astype(float), chosen), rtol=1e-3, atol=1e-3)
            costs.append(distances.sum(dtype=np.float64))
        assert costs[1] <= costs[0] * (1 + 1e-6)


@pytest.mark.parametrize("n_features", [6, 10, 40])
def test_swaps_find_clusters_that_seeding_missed(n_features):
    # Plain greedy k-means++ covers all of them in a third to a half of the seeds.
    X, labels = blobs(20, n_features, 60, seed=1, distance=25.0)
    covered = {0: 0, 40: 0}
    for seed in range(20):
        for n_swaps in covered:
            chosen = kmeans_plusplus(ArrayRows(X), 20, np.random.RandomState(seed), n_swaps=n_swaps)
            covered[n_swaps] += len(set(labels[chosen])) == 20
    assert covered[40] >= 18
    assert covered[40] > covered[0]


def test_threads_and_engines_choose_alike():
    X, _ = blobs(30, 8, 700, seed=2)
    chosen = []
    for settings in ({"n_threads": 1}, {"n_threads": 2}, {"n_threads": 7}, {"engine": "numba"}):
        with fastgmm.config_context(**settings):
            chosen.append(kmeans_plusplus(ArrayRows(X), 30, np.random.RandomState(3), n_swaps=60))
    for other in chosen[1:]:
        assert_array_equal(other, chosen[0])


def test_rows_that_coincide(engine):
    X = np.repeat([[1.0, 2.0], [3.0, 4.0]], 50, axis=0)
    chosen = kmeans_plusplus(ArrayRows(X), 5, np.random.RandomState(0), n_swaps=10)
    assert len(np.unique(X[chosen], axis=0)) == 2
    centres, labels = kmeans(ArrayRows(X), 2, np.random.RandomState(0))
    assert_allclose(centres[labels], X)
