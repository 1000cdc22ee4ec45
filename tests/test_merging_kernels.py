"""Greedy merging of Gaussian groups, every engine and instruction set: the pairs and moments of the definition."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastgmm
from fastgmm import kernels

STRUCTURES = ("full", "diag", "spherical")


def groups(structure, n, d, rng):
    """Return counts, means and matrices of random groups."""
    a = rng.normal(size=(n, d, d))
    matrices = {"full": a @ a.transpose(0, 2, 1) + 0.1 * np.eye(d), "diag": rng.uniform(0.2, 3, (n, d))}
    matrices["spherical"] = rng.uniform(0.2, 3, n)
    return rng.uniform(1, 9, n), 2 * rng.normal(size=(n, d)), matrices[structure]


def union(structure, p, q, floor, a):
    (ni, x, mi), (nj, y, mj) = p, q
    n, shift = ni + nj, y - x
    spread = {"full": np.outer(shift, shift), "diag": shift**2, "spherical": (shift**2).mean()}[structure]
    matrix = ((ni + a) * mi + (nj + a) * mj - floor + ni * nj / n * spread) / (n + a)
    return n, x + nj / n * shift, matrix


def cost(structure, group, b):
    n, mean, matrix = group
    log_det = {
        "full": lambda: np.linalg.slogdet(matrix)[1],
        "diag": lambda: np.log(matrix).sum(),
        "spherical": lambda: len(mean) * np.log(matrix),
    }[structure]()
    return n * (log_det - b * np.log(n))


def merged_by_definition(structure, counts, means, matrices, n_groups, floor, a, b):
    alive = {i: (counts[i], means[i], matrices[i]) for i in range(len(counts))}
    labels = np.arange(len(counts))

    def gain(pair):
        p, q = alive[pair[0]], alive[pair[1]]
        both = union(structure, p, q, floor, a)
        return cost(structure, both, b) - cost(structure, p, b) - cost(structure, q, b)

    while len(alive) > n_groups:
        i, j = min(itertools.combinations(sorted(alive), 2), key=gain)
        alive[i] = union(structure, alive[i], alive.pop(j), floor, a)
        labels[labels == j] = i
    return labels, alive


@pytest.mark.parametrize(("extra_count", "entropy"), [(0.0, 0.0), (3.0, 2.0)])
@pytest.mark.parametrize("n_features", [1, 2, 7])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_cheapest_pairs_are_merged(engine, structure, n_features, extra_count, entropy):
    rng = np.random.default_rng(20)
    counts, means, matrices = groups(structure, 23, n_features, rng)
    floor = 0.05 * (matrices[0] if extra_count else 0 * matrices[0])
    expected, alive = merged_by_definition(structure, counts, means, matrices, 4, floor, extra_count, entropy)
    labels = np.empty(23, np.int64)
    counts, means, matrices = counts.copy(), means.copy(), matrices.copy()
    kernels.merge(
        structure,
        counts,
        means,
        matrices,
        4,
        labels,
        floor=np.asarray(floor),
        extra_count=extra_count,
        entropy=entropy,
    )
    assert_array_equal(labels, expected)
    for place, (count, mean, matrix) in alive.items():
        assert_allclose(counts[place], count, rtol=1e-13)
        assert_allclose(means[place], mean, rtol=1e-12, atol=1e-13)
        upper = np.triu(matrices[place]) if structure == "full" else matrices[place]
        assert_allclose(upper, np.triu(matrix) if structure == "full" else matrix, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_threads_do_not_change_what_is_merged(engine, structure):
    outcomes = []
    for n_threads in (1, 2, 7):
        counts, means, matrices = groups(structure, 300, 8, np.random.default_rng(21))
        labels = np.empty(300, np.int64)
        with fastgmm.config_context(n_threads=n_threads):
            kernels.merge(structure, counts, means, matrices, 30, labels)
        outcomes.append((labels, counts, means, matrices))
    for outcome in outcomes[1:]:
        for one, other in zip(outcomes[0], outcome, strict=True):
            assert_array_equal(one, other)


def test_a_shared_matrix_stays(engine):
    counts, means, matrices = groups("full", 6, 3, np.random.default_rng(22))
    matrices[:] = matrices[0]
    labels = np.empty(6, np.int64)
    before = matrices[0].copy()
    kernels.merge("full", counts, means, matrices, 2, labels, shared=True)
    for place in np.unique(labels):
        assert_array_equal(matrices[place], before)


def test_groups_without_a_density_are_merged_last(engine):
    counts, means, matrices = groups("diag", 6, 2, np.random.default_rng(23))
    matrices[4:] = 0.0
    labels = np.empty(6, np.int64)
    kernels.merge("diag", counts, means, matrices, 3, labels)
    assert len(np.unique(labels)) == 3
    assert {4, 5} <= set(np.unique(labels))


def test_wrong_numbers_of_groups_are_refused(engine):
    counts, means, matrices = groups("diag", 6, 2, np.random.default_rng(24))
    for n_groups in (0, 7):
        with pytest.raises(ValueError, match="n_groups is"):
            kernels.merge("diag", counts, means, matrices, n_groups, np.empty(6, np.int64))
