"""The M-step's kernels, every engine and instruction set: parameters from statistics by the textbook."""

from dataclasses import replace

import numpy as np
import pytest
from mixtures import factorise
from numpy.testing import assert_allclose, assert_array_equal

import fastgmm
from fastgmm import kernels
from fastgmm.model import MixtureParameters, SufficientStatistics

STRUCTURES = kernels.STRUCTURES


def moments_of(structure, k, d, rng):
    """Return statistics of random rows and what they come to by the textbook, in long double."""
    rows = [rng.normal(size=(5 * d + 7, d)) + 10 * rng.normal(size=d) for _ in range(k)]
    centres = np.array([r.mean(axis=0) for r in rows]) + 0.1 * rng.normal(size=(k, d))
    moved = [(r - c).astype(np.longdouble) for r, c in zip(rows, centres, strict=True)]
    scatter = np.array([m.T @ m for m in moved])
    centred = np.array([(m - m.mean(axis=0)).T @ (m - m.mean(axis=0)) for m in moved])
    parts = {
        "full": (scatter, centred / len(rows[0])),
        "tied": (scatter.sum(axis=0), centred.sum(axis=0) / (k * len(rows[0]))),
        "diag": (np.einsum("kdd->kd", scatter), np.einsum("kdd->kd", centred) / len(rows[0])),
        "spherical": (np.einsum("kdd->k", scatter), np.einsum("kdd->k", centred) / (d * len(rows[0]))),
    }
    given, expected = (np.ascontiguousarray(part, dtype=np.float64) for part in parts[structure])
    sums = np.array([m.sum(axis=0) for m in moved], dtype=np.float64)
    statistics = SufficientStatistics(structure, centres, np.full(k, float(len(rows[0]))), sums, given)
    return statistics, np.array([r.mean(axis=0) for r in rows]), expected


def estimate(statistics, reg_covar=0.0, count_floor=0.0):
    """Return (found, weights, means, covariances, factor, log_offset)."""
    k, shape = len(statistics.counts), statistics.scatter.shape
    out = [np.full(s, np.nan) for s in ((k,), statistics.sums.shape, shape, shape, (k,))]
    return kernels.estimate(statistics, reg_covar, count_floor, *out), *out


@pytest.mark.parametrize("n_features", [1, 2, 5, 40])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_estimates_are_the_textbooks(engine, structure, n_features):
    statistics, expected_means, expected = moments_of(structure, 3, n_features, np.random.default_rng(15))
    found, weights, means, covariances, factor, log_offset = estimate(statistics, reg_covar=0.25)
    assert found
    assert_allclose(weights, 1 / 3, rtol=1e-15)
    assert_allclose(means, expected_means, rtol=1e-12, atol=1e-12)
    expected = expected + 0.25 * (np.eye(n_features) if structure in ("full", "tied") else 1.0)
    # Scatter about a centre a tenth of a standard deviation off loses a percent of a digit, not more.
    assert_allclose(covariances, expected, rtol=1e-12, atol=1e-13)
    parameters = MixtureParameters(structure, weights, means, covariances, factorise(expected, structure))
    assert_allclose(factor, parameters.precisions_cholesky, rtol=1e-10, atol=1e-12)
    assert_allclose(log_offset, parameters.log_offset, rtol=1e-12)
    if structure in ("full", "tied"):
        assert_array_equal(covariances, np.swapaxes(covariances, -1, -2))


@pytest.mark.parametrize("structure", STRUCTURES)
def test_there_is_no_estimate_of_collapsed_components(engine, structure):
    statistics, _, _ = moments_of(structure, 3, 2, np.random.default_rng(16))
    assert estimate(statistics)[0]
    for name, value in (("counts", 0.0), ("scatter", 0.0), ("scatter", np.nan), ("sums", np.inf)):
        broken = replace(statistics, **{name: getattr(statistics, name).copy()})
        getattr(broken, name)[...] = value
        assert not estimate(broken)[0]


def test_estimates_do_not_depend_on_threads(engine):
    statistics, _, _ = moments_of("full", 20, 70, np.random.default_rng(17))
    outcomes = []
    for n_threads in (1, 2, 7):
        with fastgmm.config_context(n_threads=n_threads):
            outcomes.append(estimate(statistics))
    for outcome in outcomes[1:]:
        for one, other in zip(outcomes[0], outcome, strict=True):
            assert_array_equal(one, other)


def test_a_variance_near_the_smallest_number_has_a_factor():
    covariances = np.array([[[4e-309, 0.0], [0.0, 0.5]]])
    assert_allclose(factorise(covariances, "full")[0].diagonal(), [4e-309**-0.5, 0.5**-0.5], rtol=1e-12)
