"""What an estimator that chooses for the user finds does not depend on the units of the columns."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastgmm import (
    GaussianMixture,
    GaussianMixtureClassifier,
    GaussianMixtureOutlierDetector,
    GaussianMixtureRegressor,
    GaussianMixtureSearch,
)
from fastgmm.exceptions import RegularisationWarning

SCALES = [1e-8, 1e-4, 1e4, 1e8, np.array([1e-8, 1e8]), np.array([1e5, 1e-3])]


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    regular = np.concatenate([rng.normal([-4, 0], [1, 2], (200, 2)), rng.normal([4, 2], [2, 1], (200, 2))])
    return np.concatenate([regular, rng.uniform([-30, 15], [30, 40], (20, 2))])


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("robust", ["trimming", "noise", None])
def test_anomalies_are_the_same_in_any_units(robust, scale, X):
    plain = GaussianMixtureOutlierDetector(robust=robust, max_components=4, random_state=0).fit(X)
    scaled = GaussianMixtureOutlierDetector(robust=robust, max_components=4, random_state=0).fit(X * scale)
    assert scaled.n_components_ == plain.n_components_
    assert_array_equal(scaled.predict(X * scale), plain.predict(X))
    assert_allclose(scaled.pvalue(X * scale), plain.pvalue(X), atol=2e-4)  # two of 10,000 draws
    change = np.log(np.broadcast_to(scale, 2)).sum()
    # Paths of EM that part by rounding end within its tolerance of each other.
    assert_allclose(scaled.score_samples(X * scale) + change, plain.score_samples(X), rtol=1e-6, atol=1e-6)
    if robust is not None:
        assert np.count_nonzero(plain.predict(X)[-20:] < 0) >= 18


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("options", [{}, {"n_components": 2}, {"n_components": "bic", "max_components": 3}])
def test_classes_are_the_same_in_any_units(options, scale, X):
    y = np.repeat([0, 1], [200, 220])
    y[::9] = -1
    plain = GaussianMixtureClassifier(**options, random_state=0).fit(X, y)
    scaled = GaussianMixtureClassifier(**options, random_state=0).fit(X * scale, y)
    assert_array_equal(scaled.predict(X * scale), plain.predict(X))
    assert_allclose(scaled.predict_proba(X * scale), plain.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("scale", SCALES)
def test_the_model_chosen_is_the_same_in_any_units(scale, X):
    names = ["VVV", "EEE", "VVI"]
    plain = GaussianMixtureSearch(range(1, 5), names).fit(X)
    scaled = GaussianMixtureSearch(range(1, 5), names).fit(X * scale)
    assert scaled.best_params_ == plain.best_params_
    assert_array_equal(scaled.predict(X * scale), plain.predict(X))


@pytest.mark.parametrize("scale", SCALES)
def test_targets_are_the_same_in_any_units(scale, X):
    y = np.sin(X[:, 0]) + 0.1 * X[:, 1]
    plain = GaussianMixtureRegressor(max_components=3, random_state=0).fit(X, y)
    scaled = GaussianMixtureRegressor(max_components=3, random_state=0).fit(X * scale, y * 1e6)
    assert_allclose(scaled.predict(X * scale), plain.predict(X) * 1e6, rtol=1e-6)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "VVV"])
def test_a_mixture_regularised_relative_to_the_data_is_the_same_in_any_units(covariance_type, scale, X):
    labels = np.repeat([0, 1], 210)
    options = {"covariance_type": covariance_type, "reg_covar": "auto", "init_params": labels, "tol": 0, "max_iter": 20}
    with pytest.warns(match="did not converge"):
        plain = GaussianMixture(2, **options).fit(X)
    with pytest.warns(match="did not converge"):
        scaled = GaussianMixture(2, **options).fit(X * scale)
    assert_allclose(scaled.means_ / scale, plain.means_, rtol=1e-9)
    assert_allclose(scaled.predict_proba(X * scale), plain.predict_proba(X), atol=1e-9)


def test_what_is_added_is_a_millionth_of_each_features_variance(structure, X):
    X = X * [1.0, 1e3]
    for scale in (1.0, 1e-6):
        model = GaussianMixture(1, covariance_type=structure, reg_covar="auto").fit(X * scale)
        assert_allclose(model.reg_covar_, 1e-6 * X.var(axis=0) * scale**2, rtol=1e-9)
        plain = GaussianMixture(1, covariance_type=structure, reg_covar=0.0).fit(X * scale)
        if structure == "spherical":
            added = [model.reg_covar_.mean()]
        else:
            added = np.diag(model.reg_covar_) if structure in ("full", "tied") else model.reg_covar_
        assert_allclose(
            model.covariances_ - plain.covariances_, np.reshape(added, model.covariances_.shape), atol=1e-9 * scale**2
        )


def test_a_stream_goes_on_with_what_the_first_batch_added(X):
    model = GaussianMixture(2, reg_covar="auto", random_state=0)
    model.partial_fit(X[:200] * 1e-5)
    added = model.reg_covar_.copy()
    model.partial_fit(X[200:] * 1e-5)
    assert_array_equal(model.reg_covar_, added)
    assert np.isfinite(model.score(X * 1e-5))


def test_a_regularisation_that_is_not_small_is_said_once(X):
    with pytest.warns(RegularisationWarning, match="reg_covar is 1e-06 and the variance of feature") as told:
        GaussianMixture(2, random_state=0).fit(X * 1e-4)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GaussianMixture(2, random_state=0).fit(X)
        GaussianMixture(2, random_state=0, reg_covar="auto").fit(X * 1e-4)
        # A column that is constant, and components that sit on equal rows, are no fault of the units.
        GaussianMixture(2, random_state=0).fit(np.column_stack([X, np.ones(len(X))]))
        GaussianMixture(2, random_state=0).fit(np.repeat([[0.0, 1.0], [5.0, 2.0]], 50, axis=0))
