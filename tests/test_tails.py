"""Student components: whatever engine has them, against long double and SciPy."""

from types import SimpleNamespace

import numpy as np
import oracle
import pytest
from mixtures import random_parameters, random_rows
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import gammaln
from scipy.stats import multivariate_t

import fastgmm
from fastgmm import kernels
from fastgmm.model import SufficientStatistics

DOF = np.array([1.5, 4.0, 60.0])


def student_parameters(structure, n_features, rng):
    """Return parameters with a tail, and their weights and scale matrices."""
    p = random_parameters(structure, 3, n_features, rng)
    # The normaliser of a Gaussian density makes way for Student's.
    normaliser = gammaln((DOF + n_features) / 2) - gammaln(DOF / 2) - 0.5 * n_features * np.log(DOF * np.pi)
    log_offset = p.log_offset + 0.5 * n_features * np.log(2 * np.pi) + normaliser
    tailed = SimpleNamespace(
        structure=structure,
        log_offset=log_offset,
        means=p.means,
        precisions_cholesky=p.precisions_cholesky,
        tail=kernels.StudentTail(DOF),
    )
    factors = oracle.factors(structure, p.precisions_cholesky, 3, n_features).astype(float)
    return tailed, p.weights, np.linalg.inv(factors @ factors.swapaxes(1, 2))


def zero_statistics(p):
    statistics = SufficientStatistics.zeros(p.structure, p.means)
    statistics.tail_sums = np.zeros((2, 3))
    return statistics


@pytest.mark.parametrize("n_features", [1, 4])
def test_densities_are_scipys(structure, dtype, n_features):
    rng = np.random.default_rng(40)
    p, weights, scales = student_parameters(structure, n_features, rng)
    X = random_rows(random_parameters(structure, 3, n_features, rng, spread=9.0), 300, rng, dtype)
    joint = np.array(
        [w * multivariate_t(m, s, nu).pdf(X) for w, m, s, nu in zip(weights, p.means, scales, DOF, strict=True)]
    ).T
    rtol = 1e-10 if dtype == np.float64 else 1e-4
    for parameters in (p, kernels.bind(p)):
        assert_allclose(kernels.log_density(X, parameters, np.empty(300, dtype)), np.log(joint.sum(axis=1)), rtol=rtol)
        shares = kernels.responsibilities(X, parameters, np.empty((300, 3), dtype))
        assert_allclose(shares, joint / joint.sum(axis=1, keepdims=True), rtol=rtol, atol=rtol)
        assert_array_equal(kernels.assign(X, parameters, np.empty(300, np.int64)), joint.argmax(axis=1))


def test_a_pass_weighs_rows_by_their_distance(structure):
    rng = np.random.default_rng(41)
    p, _, scales = student_parameters(structure, 3, rng)
    X = random_rows(random_parameters(structure, 3, 3, rng, spread=9.0), 500, rng)
    weight = rng.choice([0.0, 1.0, 2.5], size=500)
    away = X[:, None] - p.means
    squares = np.einsum("nki,kij,nkj->nk", away, np.linalg.inv(scales), away)
    u = (DOF + 3) / (DOF + squares)
    r = kernels.responsibilities(X, p, np.empty((500, 3))) * weight[:, None]
    statistics = zero_statistics(p)
    kernels.accumulate(X, weight, p, statistics)
    assert_allclose(statistics.counts, r.sum(axis=0), rtol=1e-11)
    assert_allclose(statistics.tail_sums, [(r * u).sum(axis=0), (r * (np.log(u) - u)).sum(axis=0)], rtol=1e-10)
    _, sums, scatter = oracle.moments(X, r * u, p.means, structure)
    assert_allclose(statistics.sums, sums.astype(float), rtol=1e-10, atol=1e-9)
    assert_allclose(statistics.scatter, scatter.astype(float), rtol=1e-10, atol=1e-9)
    density = kernels.log_density(X, p, np.empty(500))
    assert_allclose(statistics.log_likelihood, weight @ density, rtol=1e-12)


def test_many_degrees_of_freedom_are_gaussian(structure):
    rng = np.random.default_rng(42)
    p = random_parameters(structure, 3, 4, rng)
    X = random_rows(p, 300, rng)
    tailed = kernels.BoundMixture(
        structure, p.log_offset, p.means, p.precisions_cholesky, kernels.StudentTail(np.full(3, 1e12))
    )
    one, other = SufficientStatistics.zeros(structure, p.means), zero_statistics(p)
    kernels.accumulate(X, None, p, one)
    kernels.accumulate(X, None, tailed, other)
    assert_allclose(other.scatter, one.scatter, rtol=1e-8, atol=1e-8)
    assert_allclose(other.log_likelihood, one.log_likelihood, rtol=1e-9)


@pytest.mark.parametrize("n_features", [2, 9, 21])
@pytest.mark.parametrize("n_components", [3, 40])
def test_a_compiled_pass_is_the_plain_one(structure, dtype, n_features, n_components):
    # Sizes on both sides of every path: lanes or queues, one factor or many, products, several tiles, a last short one.
    rng = np.random.default_rng(n_features)
    p = random_parameters(structure, n_components, n_features, rng)
    X = random_rows(p, 3011, rng, dtype)
    X[::50] *= 30.0
    weight = rng.choice([0.0, 1.0, 2.5], size=len(X))
    tail = kernels.StudentTail(rng.uniform(1.5, 30.0, n_components))
    bound = kernels.BoundMixture(structure, p.log_offset, p.means, p.precisions_cholesky, tail)
    found = []
    for engine in ("plain", "auto"):
        with fastgmm.config_context(engine=engine):
            statistics = SufficientStatistics.zeros(structure, p.means, tail)
            kernels.accumulate(X, weight, bound, statistics)
            shares = kernels.responsibilities(X, bound, np.empty((len(X), n_components), dtype))
            density = kernels.log_density(X, bound, np.empty(len(X), dtype))
            found.append((*statistics.totals, statistics.log_likelihood, shares, density))
    rtol = 1e-10 if dtype == np.float64 else 3e-4
    for plain, other in zip(*found, strict=True):
        assert_allclose(other, plain, rtol=rtol, atol=rtol * np.abs(plain).max())


def test_the_number_of_threads_changes_no_bit(structure):
    rng = np.random.default_rng(43)
    p = random_parameters(structure, 5, 6, rng)
    X = random_rows(p, 20_000, rng)
    tail = kernels.StudentTail(rng.uniform(1.5, 30.0, 5))
    bound = kernels.BoundMixture(structure, p.log_offset, p.means, p.precisions_cholesky, tail)
    found = []
    for n_threads in (1, 2, 5):
        statistics = SufficientStatistics.zeros(structure, p.means, tail)
        with fastgmm.config_context(n_threads=n_threads):
            kernels.accumulate(X, None, bound, statistics)
        found.append((*statistics.totals, np.array(statistics.log_likelihood)))
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            assert_array_equal(one, same)


@pytest.mark.parametrize("engine", ["auto", "plain"])
def test_far_rows_nan_and_vanished_components(engine, dtype):
    means, factors = np.array([[0.0, 0.0], [3.0, 0.0]]), np.ones((2, 2))
    tail = kernels.StudentTail(np.array([2.0, 1e16]))
    with fastgmm.config_context(engine=engine):
        bound = kernels.BoundMixture("diag", np.array([0.0, -np.inf]), means, factors, tail)
        X = np.array([[0.0, 0.0], [1e15, 0.0], [np.nan, 0.0]], dtype)
        density = kernels.log_density(X, bound, np.empty(3, dtype))
        assert density[0] == 0.0
        assert density[1] == pytest.approx(-2.0 * np.log(1e30 / 2.0), rel=1e-6)
        assert density[2] == -np.inf  # what has no number is not asked of kernels; a pass leaves it out
        statistics = SufficientStatistics.zeros("diag", means, tail)
        kernels.accumulate(X[:2], None, bound, statistics)
    assert_allclose(statistics.counts, [2.0, 0.0])
    assert_allclose(statistics.tail_sums[0], [2.0 + 4.0 / 1e30, 0.0], rtol=1e-6)  # u is (2 + 2) / (2 + distance^2)


def test_gaussian_components_stay_where_they_were():
    tail = kernels.StudentTail(DOF)
    assert kernels.engine_for("accumulate", "full") is kernels.engine()
    if kernels.engine().describe()["engine"] == "numba":
        assert kernels.engine_for("accumulate", "full", tail).describe()["engine"] == "plain"
    with fastgmm.config_context(engine="plain"), pytest.raises(ValueError, match="degrees_of_freedom"):
        kernels.BoundMixture("spherical", np.zeros(2), np.zeros((2, 1)), np.ones(2), tail)
