"""A fit with weights c w is the fit with w, whatever c; unless weights count rows beside something else."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fastgmm import (
    BayesianGaussianMixture,
    GaussianMixture,
    GaussianMixtureClassifier,
    GaussianMixtureOutlierDetector,
    GaussianMixtureSearch,
)
from fastgmm.data import sliced

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


@pytest.mark.parametrize("factor", [1e-300, 1e-30, 1e30, 1e300])
@pytest.mark.parametrize("options", [{}, {"noise": 0.1}, {"init_params": "random"}, {"prior": "default"}])
def test_a_source_of_such_weights_is_an_array_of_them(options, factor, problem):
    X, weight = problem
    model = GaussianMixture(3, random_state=0, max_iter=10, tol=0.0, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = model.fit(X, sample_weight=factor * weight).means_
        found = model.fit(sliced(X, weights=factor * weight)).means_
    assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("make", [lambda **o: GaussianMixture(3, prior="default", **o), BayesianGaussianMixture])
def test_beside_a_prior_weights_are_numbers_of_rows(make, problem):
    """Beside many rows a prior is nothing: at 1e30 and 1e200 rows the same model, that of none."""
    X, weight = problem
    models = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for factor in (1e30, 1e200):
            models.append(make(random_state=0, max_iter=10, tol=0.0).fit(X, sample_weight=factor * weight))
    assert_allclose(models[1].means_, models[0].means_, rtol=1e-9, atol=1e-9)
    assert_allclose(models[1].covariances_, models[0].covariances_, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("factor", [1e-3, 1e-30, 1e-40, 1e-300])
@pytest.mark.parametrize(
    "model",
    [
        BayesianGaussianMixture(n_components=2),
        GaussianMixtureOutlierDetector(2),
        GaussianMixtureSearch([1, 2], ["EII"]),
        GaussianMixtureClassifier("bic"),
    ],
    ids=lambda model: type(model).__name__,
)
def test_weights_that_count_no_rows_are_refused_where_rows_count(model, factor, problem):
    X, weight = problem
    y = np.repeat([0, 1], 150)
    with pytest.raises(ValueError, match=r"sample_weight sums to .*; expected"):
        model.fit(X, y, sample_weight=factor * weight / weight.sum())
