"""Rows far from everything, scales near the limits of numbers, and fits with hardly a row left."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fastgmm import GaussianMixture, GaussianMixtureClassifier, GaussianMixtureSearch, StudentMixture


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_class_probabilities_of_a_row_far_from_all_classes_sum_to_one(rng):
    X, y = np.vstack([rng.normal(size=(20, 3)), rng.normal(size=(20, 3)) + 5.0]), np.repeat([0, 1], 20)
    model = GaussianMixtureClassifier(covariance_type="tied").fit(X, y)
    far = np.array([[1e25, 1e25, 1e25], [-1e25, 1.0, 1.0]])
    assert_allclose(model.predict_proba(far).sum(axis=1), 1.0)
    near = model.predict_log_proba(X)
    assert_allclose(np.exp(near), model.predict_proba(X), rtol=1e-12)


def test_trimming_that_leaves_no_row_says_so(rng):
    with pytest.raises(ValueError, match=r"trim is 0\.4 and leaves no row, as their weights sum to 1"):
        GaussianMixture(trim=0.4).fit(rng.normal(size=(3, 2)), sample_weight=[0.0, 1.0, 0.0])


def test_a_background_that_took_every_row_leaves_nothing_to_ask_about(rng):
    X = rng.normal(size=(50, 2)) * 1e-100
    model = GaussianMixture(2, noise=0.1, random_state=0).fit(X)
    assert model.weights_[:2].sum() == 0.0
    with pytest.raises(ValueError, match="the background took every row"):
        model.condition([0], X[:3, :1])


def test_a_relative_reg_covar_is_summarised(rng):
    X = np.column_stack([rng.normal(size=(30, 2)), np.zeros(30)])
    assert "reg_covar" in str(GaussianMixture(2, reg_covar="auto", random_state=0).fit(X).summary())


@pytest.mark.parametrize("scale", [1e-150, 1e140])
@pytest.mark.parametrize("distribution", ["normal", "student"])
def test_a_search_over_tiny_or_huge_values_warns_of_no_arithmetic(rng, scale, distribution):
    X = np.vstack([rng.normal(size=(40, 2)), rng.normal(size=(40, 2)) + 6.0])
    sizes = {"n_components": [1, 2], "covariance_type": ["EEE", "VVI"], "distribution": distribution}
    plain = GaussianMixtureSearch(**sizes).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        scaled = GaussianMixtureSearch(**sizes).fit(X * scale)
    best = [(search.best_estimator_.covariance_type, search.best_estimator_.n_components) for search in (plain, scaled)]
    assert best[0] == best[1]


def test_infinite_covariances_of_heavy_tails_hold_no_nan(rng):
    X = rng.standard_cauchy(size=(300, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for covariance_type in ("tied", "diag", "EEI", "ppca"):
            model = StudentMixture(df=1.5, covariance_type=covariance_type, n_factors=0).fit(X)
            assert not np.isnan(model.covariances_).any()
