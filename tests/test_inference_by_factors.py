"""Conditionals of t components and derivatives, along loadings, are those of whole matrices."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_low_rank import simulated

from fastgmm import GaussianMixture, StudentMixture
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
