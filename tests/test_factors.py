"""Factors of large matrices, every engine and instruction set: made by blocks, and what LAPACK gives."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import cholesky, solve_triangular

import fastgmm
from fastgmm import kernels
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.model.shapes.full import FULL
from fastgmm.model.shapes.tied import TIED

#: On both sides of where blocks begin (24 features), of a panel of every instruction set, of a block of rows (96), and
#: of where products are made in parts (512) and by more panels at once (1024).
SIZES = (23, 24, 25, 48, 61, 95, 96, 97, 193, 400, 609, 1033)


def covariances_of(n_components, n_features, seed=0):
    """Return covariances whose condition is near 1e4, as those of strongly correlated features are."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_components, n_features, 9))
    return factors @ factors.transpose(0, 2, 1) + 0.05 * np.eye(n_features)


def factors_of(covariances, n_threads=1):
    """Return what the engine says (-1, or the first that has none) and its factors."""
    factors = np.full_like(covariances, np.nan)
    with fastgmm.config_context(n_threads=n_threads):
        return kernels.factorise_precisions(covariances, factors), factors


@pytest.mark.parametrize("n_features", SIZES)
def test_a_factor_is_lapacks(engine, n_features):
    covariances = covariances_of(2, n_features)
    failed, factors = factors_of(covariances)
    assert failed == -1
    identity = np.eye(n_features)
    for covariance, factor in zip(covariances, factors, strict=True):
        expected = solve_triangular(cholesky(covariance), identity)
        # Both lose a condition number's digits of double's sixteen.
        assert_allclose(factor, expected, rtol=0, atol=1e-11 * np.abs(expected).max())
        assert_array_equal(factor, np.triu(factor))


@pytest.mark.parametrize("n_components", [1, 3])
@pytest.mark.parametrize("n_features", [97, 400, 1033])
def test_a_factor_does_not_depend_on_threads(engine, n_components, n_features):
    covariances = covariances_of(n_components, n_features)
    _, one = factors_of(covariances)
    for n_threads in (2, 7):
        assert_array_equal(factors_of(covariances, n_threads)[1], one)


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
@pytest.mark.parametrize("feature", [0, 23, 24, 95, 96, 150, 199])
def test_a_matrix_without_a_factor_is_named_wherever_it_fails(engine, feature, value):
    covariances = covariances_of(4, 200)
    covariances[2, feature, feature] = value
    assert factors_of(covariances, 2)[0] == 2


@pytest.mark.parametrize("n_features", [40, 120])
def test_a_singular_covariance_has_no_estimate(engine, n_features):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(300, n_features))
    X[:, -1] = X[:, :3] @ [1.0, -2.0, 0.5]
    with pytest.raises(ComponentCollapseError, match="component 0"):
        FULL.factorise(np.cov(X.T)[None])
    with pytest.raises(ComponentCollapseError, match="shared covariance"):
        TIED.factorise(np.cov(X.T))


@pytest.mark.parametrize("n_features", [255, 256, 321])
def test_precisions_are_the_factor_times_its_transpose(n_features):
    _, factors = factors_of(covariances_of(2, n_features))
    before = factors.copy()
    precisions = FULL.precisions(factors)
    expected = factors @ factors.transpose(0, 2, 1)
    assert_allclose(precisions, expected, rtol=0, atol=1e-13 * np.abs(expected).max())
    assert_array_equal(precisions, precisions.transpose(0, 2, 1))
    assert_array_equal(TIED.precisions(factors[0]), precisions[0])
    assert_array_equal(factors, before)
