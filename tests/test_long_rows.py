"""Rows of many features: passes whose lanes are features give what those of tiles give, and what definitions say."""

from dataclasses import replace

import numpy as np
import pytest
from mixtures import random_parameters, random_rows
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp

import fastgmm
from fastgmm import GaussianMixture, kernels
from fastgmm.model import SufficientStatistics

#: Around where rows become long for distances (64) and for mixtures (128), where more centres are taken so (512), and
#: not of whole vectors.
WIDTHS = (63, 65, 129, 520)
RTOL = {"float64": 2e-12, "float32": 2e-4}


def statistics_of(X, weight, p, n_threads=1):
    """Return the statistics of one pass about the means of p."""
    s = SufficientStatistics.zeros(p.structure, p.means)
    with fastgmm.config_context(n_threads=n_threads):
        kernels.accumulate(X, weight, p, s)
    return s


def by_definition(X, weight, p):
    """Return the statistics, row by row in NumPy."""
    X, weight = X.astype(float), np.ones(len(X)) if weight is None else weight
    scale = np.reshape(p.precisions_cholesky, (p.n_components, -1)) * np.ones(p.n_features)
    away = X[:, None] - p.means
    log_weighted = p.log_offset - 0.5 * ((away * scale) ** 2).sum(axis=2)
    log_density = logsumexp(log_weighted, axis=1)
    shares = np.exp(log_weighted - log_density[:, None]) * weight[:, None]
    squares = np.einsum("nk,nkd->kd", shares, away**2)
    scatter = squares if p.structure == "diag" else squares.sum(axis=1)
    return shares.sum(axis=0), np.einsum("nk,nkd->kd", shares, away), scatter, float(weight @ log_density)


def fields(s):
    return s.counts, s.sums, s.scatter, np.float64(s.log_likelihood)


def distances_between(X, points):
    X, points = X.astype(np.longdouble), points.astype(np.longdouble)
    return np.array([((X - point) ** 2).sum(axis=1) for point in points]).astype(float)


@pytest.mark.parametrize("structure", ["diag", "spherical"])
@pytest.mark.parametrize("n_features", WIDTHS)
@pytest.mark.parametrize(("n_components", "n_samples"), [(1, 1), (3, 61), (8, 483), (9, 60)])
@pytest.mark.parametrize("weighted", [False, True])
def test_statistics_are_those_of_the_definition(
    engine, structure, dtype, n_features, n_components, n_samples, weighted
):
    rng = np.random.default_rng([n_features, n_components])
    p = random_parameters(structure, n_components, n_features, rng)
    # A density whose components meet: else every row has one, and moments of shares are not seen.
    p = replace(p, means=p.means.mean(axis=0) + 0.02 * (p.means - p.means.mean(axis=0)))
    X = random_rows(p, n_samples, rng, dtype)
    weight = rng.choice([0.0, 0.5, 3.0], size=n_samples) if weighted else None
    found = statistics_of(X, weight, p)
    counts, sums, scatter, log_likelihood = by_definition(X, weight, p)
    # Shares are exponentials of distances of n_features terms, whose rounding they inherit.
    rtol = RTOL[dtype.name] * n_features
    total, size = n_samples + 1.0, float(np.abs(scatter).max()) + 1e-300
    assert_allclose(found.counts, counts, rtol=rtol, atol=rtol * total)
    assert_allclose(found.scatter, scatter, rtol=rtol, atol=rtol * size)
    assert_allclose(found.sums, sums, rtol=rtol, atol=rtol * np.sqrt(size * total))
    assert_allclose(found.log_likelihood, float(log_likelihood), rtol=rtol, atol=rtol * total)


@pytest.mark.parametrize("structure", ["diag", "spherical"])
def test_statistics_do_not_depend_on_threads(engine, structure, dtype):
    rng = np.random.default_rng(5)
    p = random_parameters(structure, 5, 130, rng)
    X = random_rows(p, 8011, rng, dtype)
    one = fields(statistics_of(X, None, p))
    for n_threads in (2, 7):
        for found, expected in zip(fields(statistics_of(X, None, p, n_threads)), one, strict=True):
            assert_array_equal(found, expected)


@pytest.mark.parametrize("structure", ["diag", "spherical"])
def test_a_row_out_of_reach_leaves_moments_alone(engine, structure, dtype):
    rng = np.random.default_rng(6)
    p = random_parameters(structure, 3, 140, rng)
    X = random_rows(p, 90, rng, dtype)
    spoilt = np.vstack([X, np.full((1, 140), 1e30 if dtype == np.float32 else 1e200, dtype=dtype)])
    weight = np.append(np.ones(90), 0.0)
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    expected, found = statistics_of(X, np.ones(90), p), statistics_of(spoilt, weight, p)
    for a, b in zip(fields(found), fields(expected), strict=True):
        assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())


@pytest.mark.parametrize("n_features", WIDTHS)
@pytest.mark.parametrize(("n_clusters", "n_samples"), [(1, 5), (3, 61), (5, 130), (17, 140)])
def test_the_nearest_centre_is_the_nearest(engine, dtype, n_features, n_clusters, n_samples):
    rng = np.random.default_rng([n_features, n_clusters])
    centres = rng.normal(size=(n_clusters, n_features))
    owners = rng.integers(0, n_clusters, size=n_samples)
    X = (centres[owners] + 0.1 * rng.normal(size=(n_samples, n_features))).astype(dtype)
    labels, counts, sums = np.empty(n_samples, np.int64), np.zeros(n_clusters), np.zeros_like(centres)
    inertia = kernels.assign_nearest(X, None, centres, labels, counts, sums)
    distances = distances_between(X, centres)
    assert_array_equal(labels, distances.argmin(axis=0))
    assert_array_equal(counts, np.bincount(labels, minlength=n_clusters))
    # Numba sums differences in the rows' own type.
    tolerance = 1e-10 if dtype == np.float64 else 1e-5
    assert_allclose(inertia, distances.min(axis=0).sum(), rtol=tolerance)
    expected = [(X[labels == c].astype(float) - centres[c]).sum(axis=0) for c in range(n_clusters)]
    assert_allclose(sums, expected, rtol=tolerance, atol=tolerance * n_samples)


@pytest.mark.parametrize("n_features", WIDTHS)
@pytest.mark.parametrize("n_candidates", [1, 3, 5])
def test_potentials_are_sums_of_least_distances(engine, dtype, n_features, n_candidates):
    rng = np.random.default_rng(n_features)
    X = (rng.normal(size=(203, n_features)) + 50).astype(dtype)
    weight = rng.choice([0.0, 1.0, 2.5], size=203)
    known = distances_between(X, X[:1])[0].astype(dtype)
    candidates = X[rng.choice(203, n_candidates, replace=False)].astype(float)
    potentials = np.empty(n_candidates)
    kernels.candidate_potentials(X, weight, candidates, known.copy(), potentials)
    expected = np.minimum(distances_between(X, candidates), known.astype(float)) @ weight
    # Half the features' rounding each way, as sums of a type have; float32 sums 203 rows in its own type besides.
    assert_allclose(potentials, expected, rtol=1e-12 if dtype == np.float64 else 1e-4)
    updated = known.copy()
    kernels.update_distances(X, candidates[0], updated)
    least = np.minimum(distances_between(X, candidates[:1])[0], known)
    rtol, atol = (1e-12, 0) if dtype == np.float64 else (1e-4, 1e-3)
    assert_allclose(updated, least, rtol=rtol, atol=atol)


@pytest.mark.parametrize("n_features", [64, 600])
def test_centres_do_not_depend_on_threads(engine, dtype, n_features):
    X = np.random.default_rng(8).normal(size=(6003, n_features)).astype(dtype)
    found = []
    for n_threads in (1, 2, 7):
        positions = np.random.default_rng(9).uniform(size=6 + 5 * 2 + 20)
        distances, chosen = np.full(len(X), np.finfo(dtype).max, dtype=dtype), np.empty(6, np.int64)
        with fastgmm.config_context(n_threads=n_threads):
            kernels.choose_centres(X, None, positions, 6, 3, 20, distances, chosen)
        found.append((chosen, distances))
    for chosen, distances in found[1:]:
        assert_array_equal(chosen, found[0][0])
        assert_array_equal(distances, found[0][1])


@pytest.mark.parametrize("covariance_type", ["diag", "spherical"])
def test_what_a_fit_sums_and_what_it_scores_are_the_same(engine, covariance_type, dtype):
    # Fitting takes long rows as they are, scoring takes tiles.
    X = np.random.default_rng(10).normal(size=(200, 300)).astype(dtype) + 3
    model = GaussianMixture(3, covariance_type=covariance_type, random_state=0, max_iter=200, tol=1e-9).fit(X)
    assert_allclose(model.lower_bound_, model.score(X), rtol=1e-9 if dtype == np.float64 else 1e-5)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_features_in_another_order_give_the_same_fit(engine):
    rng = np.random.default_rng(11)
    X = rng.normal(size=(90, 333)) + 4 * rng.integers(0, 2, size=(90, 1))
    order = rng.permutation(333)
    labels = (X[:, 0] > 2).astype(int)
    one = GaussianMixture(2, covariance_type="diag", init_params=labels, max_iter=5, tol=0).fit(X)
    other = GaussianMixture(2, covariance_type="diag", init_params=labels, max_iter=5, tol=0).fit(X[:, order])
    assert_allclose(other.means_, one.means_[:, order], rtol=1e-10)
    assert_allclose(other.covariances_, one.covariances_[:, order], rtol=1e-10)
