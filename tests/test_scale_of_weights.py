"""A fit with weights c w is the fit with w, whatever c."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fastgmm import GaussianMixture, GaussianMixtureClassifier

FACTORS = [1e-300, 1e-150, 1e-30, 1e-12, 1e-4, 3.0, 1e5, 1e30, 1e150, 1e300]


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(-1, 1, (150, 2)), rng.normal(2, 1, (150, 2))])
    return X, rng.uniform(0.1, 3.0, size=300) * (rng.uniform(size=300) > 0.1)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("options", [{}, {"noise": 0.1}, {"init_params": "random"}, {"covariance_type": "VVE"}])
def test_the_scale_of_weights_is_no_part_of_a_fit(options, dtype, factor, problem, structure):
    X, weight = problem
    X = X.astype(dtype)
    options = {"covariance_type": structure, "random_state": 0, "max_iter": 10, "tol": 0.0} | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = GaussianMixture(3, **options).fit(X, sample_weight=weight)
        scaled = GaussianMixture(3, **options).fit(X, sample_weight=weight * factor)
    # Roundings of a few iterations, in the precision of the rows.
    rtol = 2e-3 if dtype == np.float32 else 1e-9
    assert_allclose(scaled.means_, plain.means_, rtol=rtol, atol=rtol)
    assert_allclose(scaled.covariances_, plain.covariances_, rtol=rtol, atol=rtol)
    assert_allclose(scaled.lower_bound_, plain.lower_bound_, rtol=rtol)
    assert_allclose(scaled.n_samples_seen_, factor * plain.n_samples_seen_, rtol=1e-12)
    if dtype == np.float64 and "noise" not in options:
        assert np.diff(scaled.lower_bounds_).min() >= -1e-12


@pytest.mark.parametrize("factor", FACTORS)
def test_the_scale_of_weights_is_no_part_of_a_classifier(factor, problem):
    X, weight = problem
    y = np.repeat([0, 1], 150)
    y[::4] = -1
    plain = GaussianMixtureClassifier(tol=1e-8).fit(X, y, sample_weight=weight)
    scaled = GaussianMixtureClassifier(tol=1e-8).fit(X, y, sample_weight=weight * factor)
    assert_allclose(scaled.means_, plain.means_, rtol=1e-2)
