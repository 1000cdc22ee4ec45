"""The search for a start: good optima, no singular ones, the same for the same seed."""

import warnings

import numpy as np
import pytest
import sklearn.mixture
from mixtures import factorise, random_parameters
from numpy.testing import assert_allclose
from sklearn.datasets import load_iris

from fastgmm import BayesianGaussianMixture, GaussianMixture, kernels
from fastgmm.data import ArrayRows
from fastgmm.em.run import Run, best_run
from fastgmm.families import COVARIANCES, Gaussian, get_covariance
from fastgmm.families.spurious import is_spurious
from fastgmm.model import MixtureParameters, get_shape
from fastgmm.starts.grouping import SmallClusters
from fastgmm.starts.multistart import multistart
from fastgmm.starts.short_runs import Candidate, ShortRuns
from fastgmm.starts.split_merge import merge_to, split, union

COUNT_FLOOR = 10.0 * np.finfo(np.float64).eps


def search(X, n_components, name="full", seed=0, weight=None, reg_covar=1e-6):
    rows = ArrayRows(X, weight)
    random_state = np.random.RandomState(seed)
    family = Gaussian(get_covariance(name), reg_covar, COUNT_FLOOR)
    return multistart(rows, n_components, family, random_state)


def mixture(covariances, counts, structure="full"):
    covariances = np.array(covariances, dtype=float)
    n_features = covariances.shape[1] if covariances.ndim > 1 else 2
    weights = np.array(counts, dtype=float) / np.sum(counts)
    means = np.zeros((len(weights), n_features))
    return MixtureParameters(structure, weights, means, covariances, factorise(covariances, structure))


def sticks(n_components=4, length=3.0, seed=0):
    """Parallel sticks side by side: k-means cuts them across."""
    rng = np.random.RandomState(seed)
    parts = [rng.standard_normal((300, 2)) * [length, 0.2] + [0.0, k] for k in range(n_components)]
    return np.vstack(parts)


def grid(side, seed, per_cell=60, sd=0.1):
    rng = np.random.RandomState(seed)
    centres = np.array([[i, j] for i in range(side) for j in range(side)], dtype=float)
    return np.repeat(centres, per_cell, axis=0) + rng.standard_normal((side**2 * per_cell, 2)) * sd, centres


# What it finds.


@pytest.mark.parametrize("seed", range(5))
def test_grid_is_recovered_whole(seed):
    X, centres = grid(6, seed)
    model = GaussianMixture(36, init_params="multistart", random_state=seed).fit(X)
    distances = np.linalg.norm(model.means_[:, None] - centres, axis=2)
    assert sorted(distances.argmin(axis=1)) == list(range(36))
    assert distances.min(axis=1).max() < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_elongated_components_are_told_apart(seed):
    X = sticks(seed=seed)
    truth = np.arange(len(X)) // 300
    best = GaussianMixture(4, init_params=truth, tol=1e-8, max_iter=500).fit(X).lower_bound_
    model = GaussianMixture(4, init_params="multistart", random_state=seed).fit(X)
    # Half a nat of 1200 rows: the optimum that the truth leads to, or a better one.
    assert model.score(X) > best - 5e-4
    # scikit-learn's start ends far below, so the problem is one.
    assert GaussianMixture(4, random_state=seed).fit(X).score(X) < best - 0.05


def test_is_at_least_scikit_learns_best_of_twenty():
    X = load_iris().data
    for n_components, covariance_type in ((4, "tied"), (5, "diag"), (6, "spherical")):
        options = {"covariance_type": covariance_type, "random_state": 0}
        best = sklearn.mixture.GaussianMixture(n_components, n_init=20, **options).fit(X).score(X)
        assert GaussianMixture(n_components, init_params="multistart", **options).fit(X).score(X) > best


@pytest.mark.parametrize("name", [name for name in COVARIANCES if len(name) > 1])
def test_every_structure_has_a_search(name):
    X = sticks(3)
    model = GaussianMixture(3, covariance_type=name, init_params="multistart", random_state=0).fit(X)
    kmeans = GaussianMixture(3, covariance_type=name, random_state=0, tol=1e-5, max_iter=1000).fit(X)
    assert model.score(X) > kmeans.score(X) - 1e-3


@pytest.mark.parametrize("shape", [(6, 1), (40, 3), (5, 2)])
def test_few_rows(shape):
    X = np.random.RandomState(0).standard_normal(shape)
    model = GaussianMixture(2, covariance_type="diag", init_params="multistart", random_state=0).fit(X)
    assert np.isfinite(model.lower_bound_)


@pytest.mark.parametrize("name", ["full", "diag", "VEV"])
def test_rows_without_any_spread_have_a_start(name):
    options = {"covariance_type": name, "init_params": "multistart", "random_state": 0}
    assert_allclose(GaussianMixture(1, **options).fit(np.ones((20, 2))).means_, [[1.0, 1.0]])
    two = GaussianMixture(2, **options).fit(np.repeat([[0.0, 0.0], [5.0, 5.0]], 20, axis=0))
    assert_allclose(np.sort(two.means_, axis=0), [[0.0, 0.0], [5.0, 5.0]], atol=1e-12)
    assert_allclose(two.weights_, 0.5)


def test_one_component_is_the_moments():
    X = sticks()
    model = GaussianMixture(1, init_params="multistart", random_state=0).fit(X)
    assert_allclose(model.means_[0], X.mean(axis=0), atol=1e-12)
    assert_allclose(model.covariances_[0], np.cov(X.T, bias=True) + 1e-6 * np.eye(2), rtol=1e-10)


def test_float32_and_variational_fits_take_it():
    X = sticks()
    model = GaussianMixture(4, init_params="multistart", random_state=0).fit(X.astype(np.float32))
    assert model.means_.dtype == np.float32
    assert model.score(X) == pytest.approx(
        GaussianMixture(4, init_params="multistart", random_state=0).fit(X).score(X), abs=1e-3
    )
    model = BayesianGaussianMixture(n_components=4, init_params="multistart", random_state=0, max_iter=500).fit(X)
    assert np.isfinite(model.score(X))


# Seeds and weights.


def test_same_seed_same_bits():
    X = sticks()
    first, second = (search(X, 4, seed=7) for _ in range(2))
    assert np.array_equal(first.means, second.means)
    assert np.array_equal(first.covariances, second.covariances)


def test_rows_are_not_written_to():
    X = sticks()
    X.setflags(write=False)
    search(X, 3)


@pytest.mark.parametrize("name", ["full", "tied", "diag", "spherical"])
def test_integer_weights_are_repeated_rows(name):
    X = sticks()
    weight = np.random.RandomState(0).randint(0, 4, len(X)).astype(float)
    weighted = search(X, 4, name, weight=weight)
    repeated = search(np.repeat(X, weight.astype(int), axis=0), 4, name)
    # Draws are the same; sums over rows are rounded in another order, and EM carries that on at its rate.
    assert_allclose(weighted.weights, repeated.weights, atol=1e-6)
    assert_allclose(weighted.means, repeated.means, atol=1e-6)


def test_integer_weights_are_repeated_rows_when_rows_are_drawn():
    # More weight than `rows_enough`: both are searched on the same 4000 rows.
    X = sticks()
    weight = np.random.RandomState(0).randint(3, 8, len(X)).astype(float)
    assert weight.sum() > 5000
    weighted = search(X, 4, weight=weight)
    repeated = search(np.repeat(X, weight.astype(int), axis=0), 4)
    assert_allclose(weighted.means, repeated.means, atol=1e-6)


# Singular solutions.


def point_mass_trap(n_repeats, seed=0):
    """Overlapping components, and rows that coincide: a component on these has no upper bound."""
    rng = np.random.RandomState(seed)
    left, right = rng.standard_normal((2, 150, 2))
    return np.vstack([left, right + np.array([2.5, 0.0]), np.full((n_repeats, 2), [1.2, 0.3])])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_repeats", [3, 8])
def test_restarts_do_not_win_by_collapsing(n_repeats, seed):
    X = point_mass_trap(n_repeats, seed)
    collapsed = np.r_[np.zeros(150), np.ones(150), np.full(n_repeats, 2)].astype(int)
    trap = GaussianMixture(3, init_params=collapsed, reg_covar=1e-9).fit(X)
    model = GaussianMixture(3, init_params="multistart", n_init=3, reg_covar=1e-9, random_state=seed).fit(X)
    # The trap is there, and better by its likelihood.
    assert trap.score(X) > model.score(X) + 0.01
    assert np.linalg.eigvalsh(trap.covariances_).min() < 1e-6
    assert np.linalg.eigvalsh(model.covariances_).min() > 1e-4
    assert model.weights_.min() * len(X) > 4


def test_spurious_runs_win_only_among_themselves():
    runs = [Run("a", [1.0]), Run("b", [9.0]), Run("c", [2.0]), Run("d", [8.0])]
    ways = [lambda run=run: run for run in runs]
    assert best_run(ways, lambda run: run.state in "bd").state == "c"
    assert best_run(ways[::-1], lambda run: run.state in "bd").state == "c"
    assert best_run(ways, lambda run: True).state == "b"
    assert best_run(ways).state == "b"


def test_what_is_spurious():
    eye = np.eye(2)
    assert not is_spurious(mixture([eye, eye], [50, 50]), 100)
    assert not is_spurious(mixture([eye, 1e-5 * eye], [500, 500]), 1000)  # tight, of many rows
    assert is_spurious(mixture([eye, 1e-8 * eye], [500, 500]), 1000)  # a point
    assert is_spurious(mixture([eye, np.diag([1.0, 1e-8])], [500, 500]), 1000)  # a line
    assert is_spurious(mixture([eye, 1e-6 * eye + 1e-9 * eye], [500, 500]), 1000, reg_covar=1e-6)
    assert is_spurious(mixture([eye, eye], [97, 3]), 100)  # too few rows for its covariance
    assert is_spurious(mixture([eye, 1e-4 * eye], [92, 8]), 100)  # few rows, and thin
    assert not is_spurious(mixture([eye, 0.01 * eye], [92, 8]), 100)
    assert is_spurious(mixture([1.0, 1e-8], [50, 50], "spherical"), 100)
    assert is_spurious(mixture([[1.0, 1.0], [1.0, 1e-8]], [50, 50], "diag"), 100)


def test_spurious_is_the_same_in_any_units():
    rng = np.random.default_rng(0)
    parameters = random_parameters("full", 3, 3, rng)
    thin = parameters.covariances.copy()
    values, axes = np.linalg.eigh(thin[0])
    A = rng.standard_normal((3, 3)) * [1e2, 1.0, 1e-2]
    for least, expected in ((1e-9, True), (1e-3, False)):
        thin[0] = (axes * [values[0] * least, *values[1:]]) @ axes.T
        for covariances in (thin, A @ thin @ A.T):
            covariances = 0.5 * (covariances + covariances.transpose(0, 2, 1))
            state = MixtureParameters("full", parameters.weights, parameters.means, covariances, covariances)
            assert is_spurious(state, 10_000) is expected


# Splitting and merging.


def total_moments(parameters):
    weights, means = parameters.weights, parameters.means
    mean = weights @ means
    shaped = {1: lambda v: v * np.eye(means.shape[1]), 2: np.diag, 3: lambda c: c}[parameters.covariances.ndim]
    second = sum(
        w * (shaped(c) + np.outer(m, m)) for w, m, c in zip(weights, means, parameters.covariances, strict=True)
    )
    return weights.sum(), mean, second


@pytest.mark.parametrize("random", [False, True])
@pytest.mark.parametrize("structure", ["full", "diag", "spherical"])
def test_split_keeps_weight_and_mean_and_merging_undoes_it(structure, random):
    parameters = random_parameters(structure, 4, 3, np.random.default_rng(0), spread=50.0)
    which = np.array([1, 3])
    state = np.random.RandomState(0) if random else None
    larger = split(parameters, which, state)
    assert larger.n_components == 6
    assert_allclose(total_moments(larger)[0], 1.0, rtol=1e-12)
    assert_allclose(total_moments(larger)[1], total_moments(parameters)[1], rtol=1e-9)
    if structure == "full":
        assert_allclose(total_moments(larger)[2], total_moments(parameters)[2], rtol=1e-9)
    merged = merge_to(larger, 4)
    assert_allclose(merged.weights, parameters.weights, rtol=1e-12)
    assert_allclose(merged.means, parameters.means, rtol=1e-9)
    if structure == "full":
        assert_allclose(merged.covariances, parameters.covariances, rtol=1e-8)


def test_shared_covariance_stays_in_a_split():
    parameters = random_parameters("tied", 3, 2, np.random.default_rng(0), spread=50.0)
    larger = split(parameters, np.arange(3))
    assert larger.covariances is parameters.covariances
    assert_allclose(merge_to(larger, 3).means, parameters.means, rtol=1e-9)


def test_search_never_ends_below_its_own_start():
    # k-means on the small clusters is one of the starts, so moves that lose would show.
    X = sticks(5, length=5.0)
    rows = ArrayRows(X)
    found = search(X, 5)
    small = SmallClusters(rows, 40, 5, get_shape("full"), np.random.RandomState(0))
    statistics = small.statistics(small.nearest(np.arange(5)), 5, get_shape("full"))
    labels = np.empty(len(X), dtype=np.int64)
    labels[:] = small.nearest(np.arange(5))[small.labels]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = GaussianMixture(5, init_params=labels, max_iter=30).fit(X)
    assert statistics.counts.sum() == pytest.approx(len(X))
    assert rows.accumulate(found).log_likelihood / len(X) > start.lower_bound_ - 1e-3


@pytest.mark.parametrize("kernel", ["full", "diag", "spherical"])
def test_agglomeration_finds_separated_groups(kernel):
    X, _ = grid(3, 0)
    rows = ArrayRows(X)
    small = SmallClusters(rows, 40, 9, get_shape(kernel), np.random.RandomState(0))
    group = small.agglomerate(9)[small.labels]
    truth = np.repeat(np.arange(9), 60)
    assert len(set(zip(group, truth, strict=True))) == 9


def merged_by_cost(X, labels, n_groups):
    """Merge the two groups whose union costs least, each cost computed from the rows: what `agglomerate` says."""
    n_features = X.shape[1]
    extra = n_features + 1.0
    groups = [X[labels == k] for k in range(labels.max() + 1)]
    pooled = sum(scatter(rows) for rows in groups) / len(X) * extra

    def cost(rows):
        n = len(rows)
        return n * np.linalg.slogdet((scatter(rows) + pooled) / (n + extra))[1] - 2.0 * n * np.log(n)

    while len(groups) > n_groups:
        pairs = [(i, j) for j in range(len(groups)) for i in range(j)]
        rises = [cost(np.vstack([groups[i], groups[j]])) - cost(groups[i]) - cost(groups[j]) for i, j in pairs]
        i, j = pairs[int(np.argmin(rises))]
        groups[i] = np.vstack([groups[i], groups.pop(j)])
    return {frozenset(map(tuple, rows)) for rows in groups}


def scatter(rows):
    centred = rows - rows.mean(axis=0)
    return centred.T @ centred


@pytest.mark.parametrize("seed", range(4))
def test_agglomeration_is_greedy_in_its_cost_with_the_extra_rows(seed):
    # Small clusters of one to a few rows, so that the extra rows say which pairs merge.
    X = np.random.RandomState(seed).standard_normal((60, 3)) * [1.0, 2.0, 5.0]
    small = SmallClusters(ArrayRows(X), 25, 4, get_shape("full"), np.random.RandomState(seed))
    group = small.agglomerate(4)[small.labels]
    assert {frozenset(map(tuple, X[group == k])) for k in range(4)} == merged_by_cost(X, small.labels, 4)


# Its parts.


@pytest.mark.parametrize("structure", ["full", "diag", "spherical", "tied"])
def test_union_has_the_mean_density_of_both(structure):
    rng = np.random.default_rng(0)
    one, other = (random_parameters(structure, 3, 2, rng) for _ in range(2))
    if structure == "tied":
        other = MixtureParameters(structure, other.weights, other.means, one.covariances, one.precisions_cholesky)
    X = rng.normal(size=(50, 2)) * 3
    densities = []
    for parameters in (one, other, union(one, other)):
        out = np.empty(len(X))
        kernels.log_density(X, parameters, out)
        densities.append(np.exp(out))
    assert_allclose(densities[2], (densities[0] + densities[1]) / 2, rtol=1e-10)


def test_singularities_are_kept_only_where_there_is_nothing_else():
    X = np.random.default_rng(0).normal(size=(200, 2))
    runs = ShortRuns(ArrayRows(X), Gaussian(get_covariance("full"), 0.0))
    fine, poorer, thin = (Candidate(mixture([np.eye(2), c * np.eye(2)], [100, 100])) for c in (1.0, 2.0, 1e-9))
    fine.bound, poorer.bound, thin.bound = -3.0, -4.0, -1.0
    assert runs.best([thin, poorer, fine], 1) == [fine]
    assert runs.best([thin, poorer, fine], 2) == [fine, poorer]
    assert runs.best([thin], 2) == [thin]


def test_runs_that_came_to_one_bound_count_once():
    X = np.random.default_rng(0).normal(size=(200, 2))
    runs = ShortRuns(ArrayRows(X), Gaussian(get_covariance("full"), 0.0))
    first, second, third = (Candidate(mixture([np.eye(2)] * 2, [100, 100])) for _ in range(3))
    first.bound, second.bound, third.bound = -3.0, -3.0 - 1e-9, -3.1
    assert runs.best([third, second, first], 3) == [first, third]
