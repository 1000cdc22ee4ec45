"""Every engine and instruction set against the long-double oracle, kernel by kernel."""

from dataclasses import replace

import numpy as np
import oracle
import pytest
from mixtures import random_parameters, random_rows
from numpy.testing import assert_allclose, assert_array_equal

from fastgmm import kernels
from fastgmm.model import MixtureParameters, SufficientStatistics

# Rows of a register block on the widest and narrowest vectors, tiles, and strips: one less, exact, one more.
SIZES = [1, 2, 7, 47, 48, 49, 479, 480, 481, 961, 1921, 4000]
# In units of the moment's own size: rounding of the rows' type times the terms of a distance.
RTOL = {"float64": 2e-12, "float32": 2e-4}


def mixture_of(p):
    return kernels.engine().Mixture(p.structure, p.log_offset, p.means, p.precisions_cholesky)


def evaluate(action, X, p, out, n_threads=1):
    getattr(mixture_of(p), action)(X, out, n_threads)
    return out


def accumulate(X, weight, p, n_threads=1):
    s = SufficientStatistics.zeros(p.structure, p.means)
    s.log_likelihood = mixture_of(p).accumulate(X, weight, s.counts, s.sums, s.scatter, n_threads)
    return s


def assert_statistics(s, X, weight, p, rtol):
    counts, sums, scatter, log_likelihood = oracle.accumulate(
        X, weight, p.log_offset, p.means, p.precisions_cholesky, p.structure
    )
    total = 1.0 if len(X) == 0 else float(len(X) if weight is None else weight.sum())
    # Sums cancel, so they are measured against the sum of the absolute values' bound by Cauchy-Schwarz.
    diagonal = scatter if scatter.ndim < 3 else np.diagonal(scatter, axis1=1, axis2=2)
    size = float(np.max(np.abs(diagonal), initial=0)) + 1e-300
    assert_allclose(s.counts, counts.astype(float), rtol=rtol, atol=rtol * total)
    assert_allclose(s.scatter, scatter.astype(float), rtol=rtol, atol=rtol * size)
    assert_allclose(s.sums, sums.astype(float), rtol=rtol, atol=rtol * np.sqrt(size * total))
    assert_allclose(s.log_likelihood, float(log_likelihood), rtol=rtol, atol=rtol * total)


@pytest.mark.parametrize("n_features", [1, 2, 3, 5, 8, 9, 16, 19, 33])
@pytest.mark.parametrize("n_components", [1, 3, 17])
@pytest.mark.parametrize("weighted", [False, True])
def test_accumulate_is_the_oracle(engine, structure, dtype, n_features, n_components, weighted):
    rng = np.random.default_rng([n_features, n_components])
    p = random_parameters(structure, n_components, n_features, rng)
    X = random_rows(p, 523, rng, dtype)
    weight = rng.choice([0.0, 0.5, 1.0, 3.0], size=len(X)) if weighted else None
    assert_statistics(accumulate(X, weight, p), X, weight, p, RTOL[dtype.name])


@pytest.mark.parametrize("n_samples", SIZES)
@pytest.mark.parametrize("n_features", [3, 12])
def test_every_number_of_rows(engine, structure, dtype, n_samples, n_features):
    rng = np.random.default_rng(n_samples)
    p = random_parameters(structure, 4, n_features, rng)
    X = random_rows(p, n_samples, rng, dtype)
    assert_statistics(accumulate(X, None, p), X, None, p, RTOL[dtype.name])
    expected = oracle.log_density(X, p.log_offset, p.means, p.precisions_cholesky, structure).astype(float)
    assert_allclose(evaluate("log_density", X, p, np.empty(n_samples, dtype)), expected, rtol=RTOL[dtype.name])
    shares = evaluate("responsibilities", X, p, np.empty((n_samples, 4), dtype))
    reference = oracle.responsibilities(X, p.log_offset, p.means, p.precisions_cholesky, structure).astype(float)
    assert_allclose(shares, reference, rtol=RTOL[dtype.name] * 10, atol=RTOL[dtype.name])
    assert_allclose(shares.sum(axis=1), 1, rtol=8 * np.finfo(dtype).eps)
    values = oracle.log_weighted(X, p.log_offset, p.means, p.precisions_cholesky, structure).astype(float)
    chosen = evaluate("assign", X, p, np.empty(n_samples, np.int64))
    # A near-tie may fall either way, but what is chosen is the best to rounding.
    assert_allclose(values[np.arange(n_samples), chosen], values.max(axis=1), rtol=RTOL[dtype.name])


def test_no_rows_change_nothing(engine, structure, dtype):
    p = random_parameters(structure, 3, 4, np.random.default_rng(0))
    s = accumulate(np.empty((0, 4), dtype), None, p)
    assert s.log_likelihood == 0
    for part in (s.counts, s.sums, s.scatter):
        assert_array_equal(part, np.zeros_like(part))


def test_weight_zero_is_an_absent_row_and_weight_two_a_repeated_one(engine, structure, dtype):
    rng = np.random.default_rng(1)
    p = random_parameters(structure, 5, 11, rng)
    X = random_rows(p, 700, rng, dtype)
    weight = rng.integers(0, 4, size=len(X)).astype(float)
    X[weight == 0] *= 1e6
    s = accumulate(X, weight, p)
    t = accumulate(np.repeat(X, weight.astype(int), axis=0), None, p)
    rtol = 1e-11 if dtype == np.float64 else 1e-4
    assert_allclose(s.counts, t.counts, rtol=rtol)
    assert_allclose(s.scatter, t.scatter, rtol=rtol, atol=rtol * np.abs(t.scatter).max())
    assert_allclose(s.log_likelihood, t.log_likelihood, rtol=rtol)


def test_rows_without_weight_may_overflow(engine, structure, dtype):
    rng = np.random.default_rng(15)
    p = random_parameters(structure, 5, 11, rng)
    X = random_rows(p, 700, rng, dtype)
    weight = np.ones(700)
    weight[::7] = 0
    reference = accumulate(X[weight > 0], None, p)
    X[::7] = np.finfo(dtype).max / 4
    s = accumulate(X, weight, p)
    rtol = 1e-11 if dtype == np.float64 else 1e-4
    assert_allclose(s.counts, reference.counts, rtol=rtol)
    assert_allclose(s.scatter, reference.scatter, rtol=rtol, atol=rtol * np.abs(reference.scatter).max())
    assert_allclose(s.log_likelihood, reference.log_likelihood, rtol=rtol)


def test_all_weights_zero(engine, structure, dtype):
    rng = np.random.default_rng(2)
    p = random_parameters(structure, 3, 5, rng)
    s = accumulate(random_rows(p, 300, rng, dtype), np.zeros(300), p)
    assert s.log_likelihood == 0
    assert_array_equal(s.counts, 0)


def test_read_only_rows(engine, structure, dtype):
    rng = np.random.default_rng(3)
    p = random_parameters(structure, 3, 6, rng)
    X = random_rows(p, 300, rng, dtype)
    s = accumulate(X, None, p)
    X.flags.writeable = False
    t = accumulate(X, None, p)
    assert_array_equal(s.scatter, t.scatter)
    evaluate("log_density", X, p, np.empty(300, dtype))


def test_component_without_weight_takes_nothing(engine, structure, dtype):
    rng = np.random.default_rng(4)
    p = random_parameters(structure, 4, 10, rng)
    p.log_offset[[0, 2]] = -np.inf
    X = random_rows(p, 400, rng, dtype)
    s = accumulate(X, None, p)
    assert_array_equal(s.counts[[0, 2]], 0)
    assert_statistics(s, X, None, p, RTOL[dtype.name])
    shares = evaluate("responsibilities", X, p, np.empty((400, 4), dtype))
    assert_array_equal(shares[:, [0, 2]], 0)
    assert set(evaluate("assign", X, p, np.empty(400, np.int64))) <= {1, 3}


def test_rows_without_density(engine, structure, dtype):
    rng = np.random.default_rng(5)
    p = random_parameters(structure, 4, 10, rng)
    p.log_offset[:] = -np.inf
    X = random_rows(p, 100, rng, dtype)
    assert_array_equal(evaluate("log_density", X, p, np.empty(100, dtype)), -np.inf)
    assert_array_equal(evaluate("responsibilities", X, p, np.empty((100, 4), dtype)), dtype.type(0.25))
    s = accumulate(X, None, p)
    assert s.log_likelihood == -np.inf
    assert_array_equal(s.counts, 0)


def test_components_that_first_features_rule_out(engine, structure, dtype):
    # So many components and rows that those far away are left unfinished; half of them lie close together.
    rng = np.random.default_rng(11)
    p = random_parameters(structure, 150, 20, rng)
    p.means[:] = rng.normal(scale=4.0, size=p.means.shape)
    p.means[::2] /= 8.0
    X = random_rows(p, 1930, rng, dtype)
    s = accumulate(X, None, p)
    assert_statistics(s, X, None, p, RTOL[dtype.name])
    assert_array_equal(accumulate(X, None, p, n_threads=3).scatter, s.scatter)
    labels = evaluate("assign", X, p, np.empty(len(X), np.int64))[:100]
    log_weighted = oracle.log_weighted(X[:100], p.log_offset, p.means, p.precisions_cholesky, structure).astype(float)
    rtol = RTOL[dtype.name]
    assert_allclose(log_weighted[np.arange(100), labels], log_weighted.max(axis=1), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("n_features", [2, 13])
def test_far_rows_keep_their_responsibilities(engine, structure, dtype, n_features):
    rng = np.random.default_rng(6)
    p = random_parameters(structure, 3, n_features, rng)
    X = random_rows(p, 500, rng, dtype)
    X[::50] *= 1e9 if dtype == np.float64 else 1e5
    s = accumulate(X, None, p)
    assert_statistics(s, X, None, p, RTOL[dtype.name])
    shares = evaluate("responsibilities", X, p, np.empty((500, 3), dtype))
    assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)


def test_far_rows_between_components_have_responsibilities(engine, structure, dtype):
    # So far away, log densities of components differ by whole rounding units, each more than an exponential takes.
    far = 1e5 if dtype == np.float32 else 1e10
    n_components = 17
    means = np.zeros((n_components, 2))
    means[:, 0] = np.arange(n_components) * 10.0 * np.finfo(dtype).eps * far
    factor = {
        "full": np.broadcast_to(np.eye(2), (n_components, 2, 2)).copy(),
        "tied": np.eye(2),
        "diag": np.ones((n_components, 2)),
        "spherical": np.ones(n_components),
    }[structure]
    X = np.zeros((300, 2), dtype=dtype)
    X[:, 0] = np.geomspace(far / 100, far, 300)
    weights = np.full(n_components, 1 / n_components)
    p = MixtureParameters(structure, weights, means, 1 / factor if factor.ndim < 2 else factor, factor)
    shares = evaluate("responsibilities", X, p, np.empty((300, n_components), dtype))
    assert shares.min() >= 0
    assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    s = accumulate(X, None, p)
    assert s.counts.min() >= 0
    assert_allclose(s.counts.sum(), 300, rtol=1e-5)


@pytest.mark.parametrize("n_features", [2, 13])
def test_data_far_from_the_origin(engine, structure, n_features):
    rng = np.random.default_rng(7)
    p = random_parameters(structure, 3, n_features, rng, offset=1e8)
    X = random_rows(p, 2500, rng)
    assert_statistics(accumulate(X, None, p), X, None, p, 2e-12)


@pytest.mark.parametrize("scale", [1e-100, 1e100])
@pytest.mark.parametrize("n_features", [2, 13])
def test_scale_of_the_data(engine, structure, n_features, scale):
    rng = np.random.default_rng(8)
    p = random_parameters(structure, 3, n_features, rng, scale=scale)
    X = random_rows(p, 500, rng)
    counts, sums, scatter, log_likelihood = oracle.accumulate(
        X, None, p.log_offset, p.means, p.precisions_cholesky, structure
    )
    s = accumulate(X, None, p)
    assert_allclose(s.counts, counts.astype(float), rtol=1e-11)
    assert_allclose(s.sums / scale, (sums / scale).astype(float), rtol=1e-9, atol=1e-9)
    assert_allclose(s.scatter / scale**2, (scatter / np.longdouble(scale) ** 2).astype(float), rtol=1e-11, atol=1e-9)
    assert_allclose(s.log_likelihood, float(log_likelihood), rtol=1e-12)


@pytest.mark.parametrize("power", [-0.96, -0.7, 0.7, 0.96])
@pytest.mark.parametrize("n_features", [2, 13])
def test_densities_at_the_ends_of_the_range(engine, structure, dtype, n_features, power):
    """The rows are of the type's range, and their squares are not."""
    rng = np.random.default_rng(6)
    p = random_parameters(structure, 3, n_features, rng)
    X = random_rows(p, 200, rng, dtype)
    expected = evaluate("log_density", X, p, np.empty(200, dtype))
    scale = 2.0 ** int(power * np.log2(float(np.finfo(dtype).max)))
    q = MixtureParameters.with_log_offset(
        structure, p.weights, p.means * scale, p.covariances, p.precisions_cholesky / scale, p.log_offset
    )
    scaled = evaluate("log_density", X * dtype.type(scale), q, np.empty(200, dtype))
    assert_allclose(scaled, expected, rtol=RTOL[dtype.name])


@pytest.mark.parametrize("n_features", [1, 2, 7, 16, 40])
def test_threads_give_the_same_bits(engine, structure, dtype, n_features):
    rng = np.random.default_rng(9)
    p = random_parameters(structure, 6, n_features, rng)
    X = random_rows(p, 30_011, rng, dtype)
    one = accumulate(X, None, p)
    for n_threads in (2, 3, 7):
        many = accumulate(X, None, p, n_threads)
        assert one.log_likelihood == many.log_likelihood
        for part in ("counts", "sums", "scatter"):
            assert_array_equal(getattr(one, part), getattr(many, part))


@pytest.mark.parametrize("n_features", [2, 12])
def test_labels_are_hard_responsibilities(engine, structure, dtype, n_features):
    rng = np.random.default_rng(10)
    p = random_parameters(structure, 4, n_features, rng)
    X = random_rows(p, 5000, rng, dtype)
    labels = rng.integers(-1, 4, size=5000)
    weight = rng.uniform(0, 2, size=5000)
    shares = (labels[:, None] == np.arange(4)) * weight[:, None]
    s = SufficientStatistics.zeros(structure, p.means)
    kernels.accumulate_labels(X, weight, labels, s)
    counts, sums, scatter = oracle.moments(X, shares, p.means, structure)
    rtol = RTOL[dtype.name]
    assert_allclose(s.counts, counts.astype(float), rtol=rtol)
    assert_allclose(s.sums, sums.astype(float), rtol=rtol, atol=rtol * 5000)
    assert_allclose(s.scatter, scatter.astype(float), rtol=rtol, atol=rtol * float(np.abs(scatter).max()))


@pytest.mark.parametrize("n_features", [1, 3, 20])
@pytest.mark.parametrize("n_components", [1, 5, 23])
def test_nearest_centres(engine, dtype, n_features, n_components):
    rng = np.random.default_rng(11)
    X = np.ascontiguousarray(rng.normal(size=(3001, n_features)) + 100, dtype=dtype)
    centres = np.ascontiguousarray(X[:n_components], dtype=np.float64)
    weight = rng.uniform(size=3001)
    labels, counts, sums = np.empty(3001, np.int64), np.zeros(n_components), np.zeros(centres.shape)
    inertia = kernels.assign_nearest(X, weight, centres, labels, counts, sums)
    distances = ((X[:, None].astype(float) - centres) ** 2).sum(axis=2)
    rtol = 1e-10 if dtype == np.float64 else 1e-4
    assert_allclose(distances[np.arange(3001), labels], distances.min(axis=1), rtol=rtol, atol=rtol)
    assert_allclose(inertia, weight @ distances.min(axis=1), rtol=rtol)
    shares = (labels[:, None] == np.arange(n_components)) * weight[:, None]
    assert_allclose(counts, shares.sum(axis=0), rtol=1e-12)
    assert_allclose(sums, shares.T @ (X.astype(float)) - counts[:, None] * centres, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("n_features", [1, 4, 21])
def test_seeding_distances(engine, dtype, n_features):
    rng = np.random.default_rng(12)
    X = np.ascontiguousarray(rng.normal(size=(2777, n_features)) + 50, dtype=dtype)
    candidates = np.ascontiguousarray(X[5:12], dtype=np.float64)
    distances = np.full(len(X), np.finfo(dtype).max, dtype=dtype)
    kernels.update_distances(X, candidates[0], distances)
    exact = ((X[:, None].astype(float) - candidates) ** 2).sum(axis=2)
    rtol = 1e-9 if dtype == np.float64 else 1e-3
    assert_allclose(distances, exact[:, 0], rtol=rtol, atol=rtol)
    potentials = np.empty(7)
    weight = rng.uniform(size=len(X))
    kernels.candidate_potentials(X, weight, candidates, distances, potentials)
    expected = weight @ np.minimum(exact, exact[:, :1])
    assert_allclose(potentials, expected, rtol=rtol)


@pytest.mark.parametrize("n_features", [1, 2, 9, 40])
def test_factors_of_the_precision(engine, n_features):
    rng = np.random.default_rng(13)
    a = rng.normal(size=(4, n_features, n_features))
    covariances = a @ a.transpose(0, 2, 1) + np.eye(n_features)
    factor = np.full_like(covariances, np.nan)
    assert kernels.factorise_precisions(covariances, factor) == -1
    assert_array_equal(factor, np.triu(factor))
    identity = factor.transpose(0, 2, 1) @ covariances @ factor
    assert_allclose(identity, np.broadcast_to(np.eye(n_features), identity.shape), atol=1e-11)
    covariances[2] -= 2 * np.trace(covariances[2]) * np.eye(n_features)
    assert kernels.factorise_precisions(covariances, factor) == 2


def test_wrong_arrays_are_refused(engine):
    p = random_parameters("diag", 2, 3, np.random.default_rng(14))
    out = np.empty(5)
    with pytest.raises(TypeError, match="X has dtype int64"):
        evaluate("log_density", np.zeros((5, 3), int), p, out)
    with pytest.raises(ValueError, match="contiguous"):
        evaluate("log_density", np.zeros((5, 6))[:, ::2], p, out)
    with pytest.raises((TypeError, ValueError), match="X has"):
        evaluate("log_density", np.zeros((5, 3), np.dtype(float).newbyteorder()), p, out)
    with pytest.raises(ValueError, match="aligned"):
        evaluate("log_density", np.zeros(121, np.uint8)[1:].view(float).reshape(5, 3), p, out)
    with pytest.raises(ValueError, match="no features"):
        evaluate("log_density", np.zeros((5, 0)), p, out)
    with pytest.raises(TypeError, match="X is"):
        evaluate("log_density", None, p, out)
    with pytest.raises(ValueError, match="means"):
        evaluate("log_density", np.zeros((5, 4)), p, out)
    with pytest.raises(ValueError, match="out"):
        evaluate("log_density", np.zeros((5, 3)), p, np.empty(4))


def test_what_is_written_to_is_writeable(engine):
    p = random_parameters("diag", 2, 3, np.random.default_rng(19))
    X, frozen = np.zeros((5, 3)), np.zeros(10)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="out is read-only"):
        evaluate("responsibilities", X, p, frozen.reshape(5, 2))
    s = SufficientStatistics.zeros("diag", p.means)
    for name in ("counts", "sums", "scatter"):
        broken = replace(s, **{name: frozen[: getattr(s, name).size].reshape(getattr(s, name).shape)})
        with pytest.raises(ValueError, match=f"{name} is read-only"):
            kernels.accumulate(X, None, p, broken)
    with pytest.raises(ValueError, match="distances is read-only"):
        kernels.update_distances(X, p.means[0].copy(), frozen[:5])


@pytest.mark.parametrize("overlapping", [False, True])
@pytest.mark.parametrize("n_features", [17, 70])
def test_what_bounds_leave_out_changes_nothing(engine, dtype, n_features, overlapping):
    # Enough rows that bounds are tried; in 70 features eight columns of a factor tell components apart too little.
    rng = np.random.default_rng(18)
    p = random_parameters("full", 5, n_features, rng)
    means = np.ascontiguousarray(p.means + (0.0 if overlapping else 3.0) * rng.normal(size=p.means.shape))
    p = MixtureParameters("full", p.weights, means, p.covariances, p.precisions_cholesky)
    X = p.means[rng.integers(5, size=2500)] + 0.5 * rng.normal(size=(2500, n_features))
    X[7] += 500.0  # far from every component
    X = np.ascontiguousarray(X, dtype=dtype)
    assert_statistics(accumulate(X, None, p), X, None, p, RTOL[np.dtype(dtype).name])


@pytest.mark.parametrize("n_features", [9, 16, 19, 33, 64])
@pytest.mark.parametrize("n_components", [4, 9])
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_that_count_for_every_component(engine, dtype, n_features, n_components, weighted):
    # Their moments are summed about one centre, as matrix products, and moved to the means; one component is far off.
    rng = np.random.default_rng([19, n_features, n_components])
    p = random_parameters("full", n_components, n_features, rng, spread=2.0 / n_features)
    shared = np.ascontiguousarray(np.broadcast_to(p.covariances[0], p.covariances.shape))
    factors = np.ascontiguousarray(np.broadcast_to(p.precisions_cholesky[0], shared.shape))
    means = p.means + 7.0
    means[1] += 5.0 / np.sqrt(n_features)
    p = MixtureParameters("full", p.weights, means, shared, factors)
    X = random_rows(p, 1100, rng, dtype)
    weight = rng.choice([0.0, 0.5, 3.0], size=len(X)) if weighted else None
    if weighted:
        X[weight == 0] = np.finfo(dtype).max / 4
    rows, counted = (X, None) if weight is None else (X[weight > 0], weight[weight > 0])
    assert_statistics(accumulate(X, weight, p), rows, counted, p, RTOL[np.dtype(dtype).name])


def test_exponentials_are_exact_to_a_unit_and_a_quarter(engine, dtype):
    if not hasattr(kernels.engine(), "_transcendental"):
        pytest.skip("the other engines take NumPy's")
    rng = np.random.default_rng(20)
    lowest = -700.0 if dtype == np.float64 else -86.0
    x = np.concatenate([-rng.exponential(size=20_000) * scale for scale in (0.01, 1.0, 30.0, 200.0)])
    x = np.concatenate([x[x > lowest], [0.0, -0.0, lowest]]).astype(dtype)
    expected = np.exp(x.astype(np.longdouble))
    error = np.abs(kernels.engine()._transcendental("exp", x) - expected) / np.spacing(expected.astype(dtype))
    assert error.max() <= 1.25
    assert np.isnan(kernels.engine()._transcendental("exp", np.array([np.nan], dtype)))[0]
