"""Model-based hierarchical clustering: mclust's trees, and the law that every merge is the cheapest one."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastgmm import GaussianMixture
from fastgmm.data import ArrayRows
from fastgmm.starts.hierarchical import cluster_hierarchically

DATA = Path(__file__).parent / "data"


def tree_of(X, weight=None, max_rows=2000):
    """Return the tree of rows."""
    weight = None if weight is None else np.asarray(weight, dtype=np.float64)
    rows = ArrayRows(np.ascontiguousarray(X), weight)
    return cluster_hierarchically(rows, np.random.RandomState(0), max_rows)


@pytest.mark.parametrize("name", ["faithful", "iris"])
def test_mclusts_partitions_are_reproduced(name):
    X = np.loadtxt(DATA / f"{name}.csv", delimiter=",", skiprows=1)
    expected = np.loadtxt(DATA / f"{name}_hclass.csv", delimiter=",", skiprows=1, dtype=np.int64)
    tree = tree_of(X)
    for k in (1, 2, 3, 4):
        assert_array_equal(tree.labels(k) + 1, expected[:, k - 1])


def _cost(Z, alpha):
    n, p = Z.shape
    W = (Z - Z.mean(axis=0)).T @ (Z - Z.mean(axis=0))
    flat = (np.trace(W) + alpha) / n
    return n * np.log((np.linalg.det(W / n) if n > p else 0.0) + flat)


@pytest.mark.parametrize("n_features", [1, 2, 3, 6])
def test_every_merge_is_the_cheapest(n_features):
    rng = np.random.default_rng(n_features)
    X = rng.normal(size=(30, n_features)) @ rng.normal(size=(n_features, n_features))
    tree = tree_of(X)
    centred = (X - X.mean(axis=0)) / X.std(axis=0, ddof=1)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    Z = centred @ axes.T / np.sqrt(singular)
    alpha = (Z**2).sum() / Z.size
    for k in range(30, 1, -1):
        before, after = tree.labels(k), tree.labels(k - 1)
        groups = [Z[before == c] for c in range(k)]
        costs = [_cost(group, alpha) for group in groups]
        rises = {
            (a, b): _cost(np.concatenate([groups[a], groups[b]]), alpha) - costs[a] - costs[b]
            for a in range(k)
            for b in range(a)
        }
        taken = sum(_cost(Z[after == c], alpha) for c in range(k - 1)) - sum(costs)
        # Determinants below a millionth of the trace are left out.
        assert taken <= min(rises.values()) + 1e-6 * len(X)


def test_a_weight_is_repeated_rows_and_zero_an_absent_one():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(60, 2)) + 4 * rng.integers(0, 2, size=(60, 1))
    weight = rng.integers(0, 4, size=60)
    weighted, repeated = tree_of(X, weight), tree_of(X.repeat(weight, axis=0))
    for k in (2, 3, 5):
        labels = weighted.labels(k)
        assert_array_equal(labels.repeat(weight), repeated.labels(k))
        assert (labels[weight == 0] == -1).all()


def test_many_features_are_clustered_by_their_first_principal_axes(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 30)) + 5.0 * np.kron(np.eye(3), np.ones((20, 10)))
    whole = tree_of(X)
    monkeypatch.setattr("fastgmm.starts.hierarchical.MAX_SCATTER", 60 * 5**2)
    assert_array_equal(tree_of(X).labels(3), np.repeat([0, 1, 2], 20))
    monkeypatch.setattr("fastgmm.starts.hierarchical.MAX_SCATTER", 60 * 30**2)
    assert_array_equal(tree_of(X).merges, whole.merges)


def test_more_rows_than_the_limit_are_sub_sampled():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(900, 2)) + 8 * rng.integers(0, 2, size=(900, 1))
    labels = tree_of(X, max_rows=200).labels(2)
    clustered = labels >= 0
    assert 180 < clustered.sum() <= 200
    assert len({*zip((X[clustered].sum(axis=1) > 8).tolist(), labels[clustered].tolist(), strict=True)}) == 2


def test_more_components_than_distinct_rows_are_refused():
    X = np.repeat(np.random.default_rng(5).normal(size=(4, 2)), 5, axis=0)
    with pytest.raises(ValueError, match="n_components is 5; expected at most 4, the distinct rows"):
        GaussianMixture(5, init_params="hc").fit(X)
    assert tree_of(X).labels(4).tolist() == np.repeat(np.arange(4), 5).tolist()
