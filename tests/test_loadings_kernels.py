"""Passes over components with few factors, on every engine and instruction set, against long double."""

import warnings

import numpy as np
import pytest
from conftest import running
from numpy.testing import assert_allclose, assert_array_equal

from fastgmm import GaussianMixture, kernels
from fastgmm.kernels import StudentTail
from fastgmm.kernels.bound_mixture import BoundMixture
from fastgmm.model import SufficientStatistics
from fastgmm.model.shapes import low_rank
from fastgmm.model.shapes.low_rank import packed

# Rounding of the rows' type times the terms of a distance.
RTOL = {"float64": 1e-11, "float32": 2e-4}


def mixture_of(n_components, n_features, n_factors, rng, spread=1.0, noise=1.0, tail=None):
    """Return a mixture and rows of it."""
    means = rng.normal(size=(n_components, n_features)) * spread
    loadings = rng.normal(size=(n_components, n_features, n_factors))
    variances = noise * rng.uniform(0.5, 2.0, size=(n_components, n_features))
    shape = low_rank(n_factors)
    factor = shape.factorise(packed(loadings, variances))
    offset = np.log(rng.dirichlet(np.ones(n_components)))
    offset += shape.half_log_det(factor, n_components, n_features) - 0.5 * n_features * np.log(2 * np.pi)
    return BoundMixture(shape.name, offset, means, factor, tail)


def rows_of(p, n_samples, rng, dtype):
    n_features, n_factors = p.precisions_cholesky.shape[1], p.precisions_cholesky.shape[2] - 1
    k = rng.integers(len(p.means), size=n_samples)
    root = p.precisions_cholesky[..., -1]
    loadings = p.precisions_cholesky[..., :-1] / root[..., None] ** 2
    factors = rng.normal(size=(n_samples, n_factors))
    noise = rng.normal(size=(n_samples, n_features)) / root[k]
    return (p.means[k] + np.einsum("ndq,nq->nd", loadings[k], factors) + noise).astype(dtype)


def oracle(X, weight, p):
    """Return log weighted densities, counts, sums, scatter, tail sums and log-likelihood in long double."""
    wide = np.longdouble
    weight = np.ones(len(X)) if weight is None else weight
    scaled, root = p.precisions_cholesky[..., :-1].astype(wide), p.precisions_cholesky[..., -1].astype(wide)
    spread = 1 / (1 + ((scaled / root[..., None]) ** 2).sum(axis=1))
    away = X[None].astype(wide) - p.means[:, None].astype(wide)
    products = np.stack([away[k] @ scaled[k] for k in range(len(p.means))])
    squares = ((away * root[:, None]) ** 2).sum(axis=2) - (products**2 * spread[:, None]).sum(axis=2)
    values = p.log_offset[:, None] - squares / 2
    u = np.ones_like(squares)
    if p.tail is not None:
        dof = p.tail.degrees_of_freedom[:, None]
        values = p.log_offset[:, None] - (dof + X.shape[1]) / 2 * np.log1p(squares / dof)
        u = (dof + X.shape[1]) / (dof + squares)
    best = values.max(axis=0)
    density = best + np.log(np.exp(values - best).sum(axis=0))
    shares = np.exp(values - density) * weight
    tails = np.stack([(shares * u).sum(axis=1), (shares * (np.log(u) - u)).sum(axis=1)])
    weighed = shares * u
    sums = np.einsum("kn,knd->kd", weighed, away)
    sketch = np.einsum("kn,knd,knq->kdq", weighed, away, products * spread[:, None])
    scatter = np.concatenate([sketch, np.einsum("kn,knd->kd", weighed, away**2)[..., None]], axis=2)
    return values, shares.sum(axis=1), sums, scatter, tails, (weight * density).sum()


def accumulate(X, weight, p, n_threads=1):
    s = SufficientStatistics.zeros(p.structure, p.means, p.tail)
    tails = () if p.tail is None else (s.tail_sums,)
    mixture = p.on_engine("accumulate")
    s.log_likelihood = mixture.accumulate(X, weight, s.counts, s.sums, s.scatter, n_threads, *tails)
    return s


def assert_right(X, weight, p, rtol):
    values, counts, sums, scatter, tails, log_likelihood = (np.asarray(each, float) for each in oracle(X, weight, p))
    s, dtype = accumulate(X, weight, p), X.dtype
    total, size = s.counts.sum() + 1e-300, np.abs(scatter).max() + 1e-300
    assert_allclose(s.counts, counts, rtol=rtol, atol=rtol * total)
    assert_allclose(s.sums, sums, atol=rtol * np.sqrt(size * total))
    assert_allclose(s.scatter, scatter, atol=rtol * size)
    assert_allclose(s.log_likelihood, log_likelihood, rtol=rtol)
    if p.tail is not None:
        assert_allclose(s.tail_sums, tails, rtol=rtol, atol=rtol * total)
    density = np.empty(len(X), dtype)
    p.on_engine("log_density").log_density(X, density, 1)
    best = values.max(axis=0)
    assert_allclose(density, best + np.log(np.exp(values - best).sum(axis=0)), rtol=rtol)
    shares = np.empty((len(X), len(p.means)), dtype)
    p.on_engine("responsibilities").responsibilities(X, shares, 1)
    expected = np.exp(values - best) / np.exp(values - best).sum(axis=0)
    assert_allclose(shares, expected.T, atol=rtol * np.abs(best).max())
    labels = np.empty(len(X), np.int64)
    p.on_engine("assign").assign(X, labels, 1)
    assert_allclose(values[labels, np.arange(len(X))], best, rtol=rtol)


@pytest.mark.parametrize("n_features", [1, 3, 17, 95, 130, 209])
@pytest.mark.parametrize("n_factors", [0, 1, 3, 8, 11])
def test_passes_are_the_oracle(engine, dtype, n_features, n_factors):
    rng = np.random.default_rng([n_features, n_factors])
    p = mixture_of(3, n_features, n_factors, rng)
    X = rows_of(p, 263, rng, dtype)
    weight = rng.choice([0.0, 0.5, 1.0, 3.0], size=len(X))
    for weights in (None, weight):
        assert_right(X, weights, p, RTOL[dtype.name])


@pytest.mark.parametrize("n_samples", [1, 2, 23, 25, 239, 241, 1921])
def test_every_number_of_rows(engine, dtype, n_samples):
    rng = np.random.default_rng(n_samples)
    p = mixture_of(2, 40, 2, rng)
    assert_right(rows_of(p, n_samples, rng, dtype), None, p, RTOL[dtype.name])


def test_components_with_tails(engine, dtype):
    rng = np.random.default_rng(0)
    p = mixture_of(3, 50, 4, rng, tail=StudentTail(np.array([2.0, 5.0, 30.0])))
    assert_right(rows_of(p, 500, rng, dtype), rng.uniform(size=500), p, RTOL[dtype.name])


@pytest.mark.parametrize("spread", [1e3, 1e6])
def test_means_far_apart_lose_nothing(engine, spread):
    rng = np.random.default_rng(1)
    p = mixture_of(3, 60, 3, rng, spread=spread)
    X = rows_of(p, 300, rng, np.float64)
    assert_right(X, None, p, 1e-15 * spread + 1e-11)


def test_strong_factors_of_single_precision_are_evaluated_in_double(engine):
    # Variances along the loadings are a million times those of the noise.
    rng = np.random.default_rng(2)
    p = mixture_of(3, 250, 4, rng, noise=1e-4)
    X = rows_of(p, 5000, rng, np.float32)
    values = np.asarray(oracle(X, None, p)[0], float)
    density = np.empty(len(X), np.float32)
    p.on_engine("log_density").log_density(X, density, 1)
    assert_allclose(density, values.max(axis=0), rtol=1e-6)
    ours, double = accumulate(X, None, p), accumulate(X.astype(np.float64), None, p)
    assert_allclose(ours.log_likelihood, double.log_likelihood, rtol=1e-12)
    assert_allclose(ours.scatter, double.scatter, rtol=1e-9, atol=1e-9 * np.abs(double.scatter).max())


def test_a_background_without_factors_has_distance_zero(engine, dtype):
    rng = np.random.default_rng(3)
    p = mixture_of(3, 30, 2, rng)
    p.precisions_cholesky[2] = 0.0
    X = rng.normal(size=(100, 30)).astype(dtype)
    density = np.empty(100, dtype)
    p.log_offset[:2] = -np.inf
    p.on_engine("log_density").log_density(X, density, 1)
    assert_allclose(density, p.log_offset[2], rtol=1e-6)


def test_threads_change_no_bit(dtype):
    pytest.importorskip("fastgmm.kernels._compiled")
    rng = np.random.default_rng(4)
    p = mixture_of(4, 70, 5, rng)
    X = rows_of(p, 10_003, rng, dtype)
    one = accumulate(X, None, p)
    for n_threads in (2, 7):
        other = accumulate(X, None, p, n_threads)
        assert other.log_likelihood == one.log_likelihood
        assert_array_equal(other.scatter, one.scatter)
        assert_array_equal(other.sums, one.sums)


def test_passes_over_loadings_are_compiled_where_the_extension_is():
    pytest.importorskip("fastgmm.kernels._compiled")
    for action in ("accumulate", "log_density", "responsibilities", "assign"):
        assert kernels.engine_for(action, "low_rank:7").describe()["engine"] == "compiled"


@pytest.mark.thread_unsafe(reason="the engine that runs is set for the whole process")
def test_fits_of_the_compiled_and_the_plain_engine_agree():
    pytest.importorskip("fastgmm.kernels._compiled")
    rng = np.random.default_rng(5)
    p = mixture_of(3, 300, 4, rng)
    X = rows_of(p, 600, rng, np.float64)
    found = []
    for name in ("compiled", "plain"):
        with running(name), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            options = {"covariance_type": "factor", "n_factors": 4, "max_iter": 6, "tol": 0.0, "random_state": 0}
            found.append(GaussianMixture(3, **options).fit(X))
    assert_allclose(found[0].lower_bounds_, found[1].lower_bounds_, rtol=1e-11)
    assert_allclose(found[0].noise_variances_, found[1].noise_variances_, rtol=1e-7)
