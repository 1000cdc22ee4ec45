"""Conditionals of t components and derivatives, along loadings, are those of whole matrices."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_low_rank import simulated

from fastgmm import GaussianMixture, GaussianMixtureImputer, StudentMixture
from fastgmm.families import sketched


def students():
    X, y = simulated(noise=(0.4, 0.8))
    ours = StudentMixture(2, covariance_type="factor", n_factors=2, init_params=y, df=5.0).fit(X)
    whole = ours.loadings_ @ ours.loadings_.transpose(0, 2, 1) + ours.noise_variances_[:, :, None] * np.eye(12)
    return X, ours, StudentMixture.from_parameters(ours.weights_, ours.means_, whole, df=ours.df_)


def test_conditionals_of_t_components_are_those_of_whole_matrices():
    X, ours, theirs = students()
    given, free = np.array([7, 0, 5, 11]), np.setdiff1d(np.arange(12), [7, 0, 5, 11])
    a, b = (model.condition(given, X[:6][:, given]) for model in (ours, theirs))
    assert a.shape.n_factors is not None
    assert_allclose(a.mean(), b.mean(), rtol=1e-8)
    assert_allclose(a.covariance(), b.covariance(), rtol=1e-8, atol=1e-10)
    assert_allclose(a.log_density(X[:6][:, free]), b.log_density(X[:6][:, free]), rtol=1e-8)
    assert_allclose(a[2].score_samples(X[:6][:, free]), b[2].score_samples(X[:6][:, free]), rtol=1e-8)
    draws = a.sample(40_000, random_state=0)[0]
    assert_allclose(np.cov(draws.T), a.covariance()[0], atol=0.15 * np.abs(a.covariance()[0]).max())


@pytest.mark.parametrize("cls", [GaussianMixture, StudentMixture])
def test_gradients_are_those_of_whole_matrices(monkeypatch, cls):
    monkeypatch.setattr(sketched, "MANY_FEATURES", 10)
    X, y = simulated(noise=(0.4, 0.8))
    model = cls(2, covariance_type="factor", n_factors=2, init_params=y, max_iter=500).fit(X)
    found, step = model.gradient(X[:20]), 1e-5
    for j in (0, 5, 11):
        moved = np.zeros(12)
        moved[j] = step
        slope = (model.score_samples(X[:20] + moved) - model.score_samples(X[:20] - moved)) / (2 * step)
        assert_allclose(found[:, j], slope, rtol=1e-5, atol=1e-5)


@pytest.mark.thread_unsafe(reason="tracemalloc counts the whole process, and stopping it beside another thread crashes")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::fastgmm.exceptions.RegularisationWarning")
def test_thousands_of_features_need_no_matrix_of_them():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 3000)) + 0.3 * rng.normal(size=(60, 3000))
    model = StudentMixture(1, covariance_type="ppca", n_factors=2, random_state=0).fit(X)
    tracemalloc.start()
    given = np.arange(1500)
    filled = model.condition(given, X[:5, :1500]).mean()
    model.gradient(X[:5])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.3 * 8 * 3000**2
    assert np.corrcoef(filled.ravel(), X[:5, 1500:].ravel())[0, 1] > 0.9


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("covariance_type", ["factor", "ppca"])
def test_the_imputer_fills_in_many_features_along_loadings(covariance_type):
    rng = np.random.default_rng(0)
    units = rng.uniform(0.1, 10.0, size=400)
    X = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 400)) + 0.5 * rng.normal(size=(200, 400))
    missing = rng.uniform(size=X.shape) < 0.2
    imputer = GaussianMixtureImputer(1, covariance_type=covariance_type, n_factors=3, random_state=0)
    filled = imputer.fit_transform(np.where(missing, np.nan, X * units + 7.0))
    assert ((filled - 7.0) / units - X)[missing].std() < 0.6  # the noise alone has 0.5
    assert imputer.mixture_.loadings_.shape == (1, 400, 3)
    draws = imputer.impute(np.where(missing, np.nan, X * units + 7.0)[:20], n_draws=2, random_state=0)
    assert 0.5 < ((draws - 7.0) / units - X[:20])[:, missing[:20]].std() < 0.9
    chosen = GaussianMixtureImputer(max_components=2, covariance_type=covariance_type, random_state=0)
    assert chosen.fit(np.where(missing, np.nan, X)).mixture_.n_factors_.max() <= 5
