"""Passes over many components that ask only those within reach of a row: the answers of passes that ask all."""

import numpy as np
import pytest

from fastgmm import GaussianMixture, config_context, kernels
from fastgmm.model import SufficientStatistics
from fastgmm.model.moments import Components

N_ROWS, N_COMPONENTS = 8000, 900
#: In two dimensions components and rows must be many for it to be worth it.
N_IN_PLANE = 3000
#: So few rows at a time are asked about all components.
FEW = 2000
SHAPES = ("full", "tied", "diag", "spherical")


def mixture(shape, n_features, spread, seed=0):
    """Return components of unequal shapes, and rows of them."""
    rng = np.random.default_rng(seed)
    n_components = N_IN_PLANE if n_features == 2 else N_COMPONENTS
    n_rows = 2 * N_ROWS if n_features == 2 else N_ROWS
    means = rng.normal(scale=spread, size=(n_components, n_features))
    scales = rng.uniform(0.6, 1.5, (n_components, n_features))
    labels = rng.permutation(np.arange(n_rows) % n_components)
    X = means[labels] + rng.normal(size=(n_rows, n_features)) / scales[labels]
    skew = np.triu(rng.normal(scale=0.1, size=(n_components, n_features, n_features)), 1)
    factor = {
        "full": scales[:, :, None] * np.eye(n_features) + skew,
        "tied": np.diag(scales[0]) + skew[0],
        "diag": scales,
        "spherical": scales[:, 0].copy(),
    }[shape]
    log_offset = rng.normal(-5.0, 1.0, n_components)
    return X, kernels.bind(Components(shape, log_offset, means, np.ascontiguousarray(factor)))


def statistics_of(X, density, weight=None, leading=None, at_once=None, n_threads=1):
    """Return the statistics of one pass, or of one for every `at_once` rows."""
    statistics = SufficientStatistics.zeros(density.structure, density.means)
    step = at_once or len(X)
    with config_context(engine="compiled", n_threads=n_threads):
        for at in range(0, len(X), step):
            part = slice(at, at + step)
            kernels.accumulate(X[part], None if weight is None else weight[part], density, statistics, leading)
    return statistics


def answers_of(X, density, at_once=None):
    """Return log densities, responsibilities and components of rows, `at_once` at a time."""
    step, found = at_once or len(X), []
    with config_context(engine="compiled", n_threads=1):
        for at in range(0, len(X), step):
            rows = X[at : at + step]
            found.append(
                (
                    kernels.log_density(rows, density, np.empty(len(rows), dtype=X.dtype)),
                    kernels.responsibilities(rows, density, np.empty((len(rows), density.n_components), dtype=X.dtype)),
                    kernels.assign(rows, density, np.empty(len(rows), dtype=np.int64)),
                )
            )
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def assert_same(found, expected, rtol):
    """Statistics agree up to rounding of what was added up."""
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=rtol)
    for name in ("counts", "sums", "scatter"):
        a, b = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * max(1.0, np.abs(b).max()))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("n_features", "spread"), [(2, 250.0), (8, 30.0), (13, 30.0)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_statistics_are_those_of_all_components(shape, n_features, spread, dtype):
    X, density = mixture(shape, n_features, spread)
    X = X.astype(dtype)
    weight = np.random.default_rng(1).uniform(0.0, 2.0, len(X))
    weight[::7] = 0.0
    rtol = 1e-10 if dtype == np.float64 else 2e-4
    for weights in (None, weight):
        expected = statistics_of(X, density, weights, at_once=FEW)
        leading = np.full(len(X), -1, dtype=np.int32)
        assert_same(statistics_of(X, density, weights, leading), expected, rtol)
        # Means so far apart that float32 would lose digits are asked in another order.
        assert (leading >= 0).all() or (dtype == np.float32 and n_features == 2), "another pass was made"
        assert_same(statistics_of(X, density, weights, leading), expected, rtol)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_answers_are_those_of_all_components(shape, dtype):
    X, density = mixture(shape, 5, 30.0)
    X = X.astype(dtype)
    X[0] = 1e6
    tolerance = {"rtol": 1e-11, "atol": 1e-9} if dtype == np.float64 else {"rtol": 1e-3, "atol": 1e-2}
    for found, expected in zip(answers_of(X, density), answers_of(X, density, FEW), strict=True):
        np.testing.assert_allclose(found, expected, **tolerance)


def test_components_that_overlap_in_part_keep_every_share_above_the_floor():
    """Where neighbours overlap, shares down to 2^-80 are kept: a component missed would leave its share out."""
    X, density = mixture("diag", 2, 250.0)
    leading = np.full(len(X), -1, dtype=np.int32)
    found, expected = statistics_of(X, density, None, leading), statistics_of(X, density, at_once=FEW)
    assert (leading >= 0).all(), "another pass was made"
    shared = expected.counts < 1.0
    np.testing.assert_allclose(found.counts, expected.counts, rtol=1e-10)
    np.testing.assert_allclose(found.counts[shared], expected.counts[shared], rtol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_threads_give_the_same_bits(shape):
    X, density = mixture(shape, 6, 30.0)
    passes = [statistics_of(X, density, None, None, n_threads=n_threads) for n_threads in (1, 2, 7)]
    for other in passes[1:]:
        assert other.log_likelihood == passes[0].log_likelihood
        for name in ("counts", "sums", "scatter"):
            np.testing.assert_array_equal(getattr(other, name), getattr(passes[0], name))


def test_any_leading_component_will_do():
    X, density = mixture("diag", 4, 30.0)
    expected = statistics_of(X, density, at_once=FEW)
    rng = np.random.default_rng(3)
    for leading in (rng.integers(-1, N_COMPONENTS + 5, N_ROWS), np.full(N_ROWS, 3), np.arange(N_ROWS) % 2 - 1):
        leading = leading.astype(np.int32)
        assert_same(statistics_of(X, density, None, leading), expected, 1e-10)
        np.testing.assert_array_equal(leading, answers_of(X, density, FEW)[2])


def test_components_without_weight_and_rows_out_of_reach():
    X, density = mixture("diag", 3, 30.0)
    density.log_offset[5:40] = -np.inf
    X[3], X[4] = 1e9, np.nan
    X[5] = 1e200
    found, expected = answers_of(X, density)[0], answers_of(X, density, FEW)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-11)
    keep = np.isfinite(expected)
    X = np.ascontiguousarray(X[keep])
    assert_same(statistics_of(X, density), statistics_of(X, density, at_once=FEW), 1e-10)


def test_a_fit_of_few_rows_at_a_time_is_that_of_all():
    X, density = mixture("diag", 4, 30.0)
    start = {"means_init": density.means, "weights_init": np.full(N_COMPONENTS, 1 / N_COMPONENTS)}
    start["precisions_init"] = np.ones((N_COMPONENTS, 4))
    model = GaussianMixture(N_COMPONENTS, covariance_type="diag", max_iter=3, tol=0.0, acceleration=None, **start)
    with pytest.warns(UserWarning, match="did not converge"):
        model.fit(X)
    means, factor = density.means, np.ones((N_COMPONENTS, 4))
    log_offset = np.full(N_COMPONENTS, -np.log(N_COMPONENTS) - 2.0 * np.log(2.0 * np.pi))
    for _ in range(3):
        asked = kernels.bind(Components("diag", log_offset, means, factor))
        statistics = statistics_of(X, asked, at_once=FEW)
        shift = statistics.sums / statistics.counts[:, None]
        means = means + shift
        factor = 1.0 / np.sqrt(statistics.scatter / statistics.counts[:, None] - shift**2 + model.reg_covar)
        log_offset = np.log(statistics.counts / len(X)) - 2.0 * np.log(2.0 * np.pi) + np.log(factor).sum(axis=1)
    np.testing.assert_allclose(model.means_, means, rtol=1e-8, atol=1e-8)
