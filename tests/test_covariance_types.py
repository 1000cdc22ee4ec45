"""Every covariance type, everywhere the estimator goes."""

import csv
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fastgmm import GaussianMixture
from fastgmm.families import COVARIANCES


@pytest.fixture(params=list(COVARIANCES))
def covariance_type(request):
    """Name of a covariance family."""
    return request.param


def rows_for(covariance_type, dtype=np.float64):
    """Return three overlapping groups, of one column for E and V."""
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(150, 3)) * sd + mean for sd, mean in ((1.0, 0.0), (0.5, 3.0), (2.0, -5.0))]
    X = np.concatenate(parts).astype(dtype)
    return X if len(covariance_type) > 1 else np.ascontiguousarray(X[:, :1])


def fitted(covariance_type, X, **options):
    """Return a mixture of three components fitted from a known partition."""
    settings = dict(init_params=np.arange(len(X)) // (len(X) // 3), tol=1e-8, max_iter=2000, random_state=0)
    return GaussianMixture(3, covariance_type=covariance_type, **(settings | options)).fit(X)


def test_an_integer_weight_is_a_repeated_row(covariance_type):
    X = rows_for(covariance_type)
    labels = np.arange(len(X)) // 150
    weight = np.random.default_rng(1).integers(0, 3, size=len(X))
    settings = dict(covariance_type=covariance_type, tol=1e-10, max_iter=5000)
    weighted = GaussianMixture(3, init_params=labels, **settings).fit(X, sample_weight=weight)
    repeated = GaussianMixture(3, init_params=labels.repeat(weight), **settings).fit(X.repeat(weight, axis=0))
    # The same sums in another order; EM and the inner iterations stop a little apart.
    assert_allclose(weighted.covariances_, repeated.covariances_, rtol=1e-5, atol=1e-6)
    assert_allclose(weighted.bic(X, weight), repeated.bic(X.repeat(weight, axis=0)), rtol=1e-9)


def test_a_warm_start_continues_and_never_descends(covariance_type):
    X = rows_for(covariance_type)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = fitted(covariance_type, X, max_iter=3, tol=0.0, warm_start=True)
        path = [model.score(X)]
        for _ in range(4):
            path.append(model.fit(X).score(X))
    assert np.diff(path).min() > -1e-11
    whole = fitted(covariance_type, X, tol=1e-11)
    continued = fitted(covariance_type, X, max_iter=3000, tol=1e-11, warm_start=True)
    assert_allclose(continued.fit(X).score(X), whole.score(X), atol=1e-8)


def test_single_precision_agrees_with_double(covariance_type):
    X = rows_for(covariance_type, np.float32)
    single, double = fitted(covariance_type, X), fitted(covariance_type, X.astype(np.float64))
    assert single.covariances_.dtype == single.means_.dtype == np.float32
    assert single.score_samples(X).dtype == np.float32
    # Rows in float32 densities: 2^-23 times the exponent, about 30.
    assert_allclose(single.score(X), double.score(X), atol=1e-4)


def test_parameters_make_the_same_model_here_and_in_scikit_learn(covariance_type):
    X = rows_for(covariance_type)
    model = fitted(covariance_type, X)
    rebuilt = GaussianMixture.from_parameters(
        model.weights_, model.means_, model.covariances_, covariance_type=covariance_type
    )
    assert_allclose(rebuilt.score_samples(X), model.score_samples(X), rtol=1e-10)
    assert_allclose(model.to_sklearn().score_samples(X), model.score_samples(X), rtol=1e-8)
    assert rebuilt.bic(X) == pytest.approx(model.bic(X), rel=1e-10)


def test_samples_have_the_covariance_they_are_drawn_from(covariance_type):
    model = fitted(covariance_type, rows_for(covariance_type))
    X, labels = model.sample(60_000, random_state=3)
    for k in range(3):
        found, expected = np.atleast_2d(np.cov(X[labels == k].T)), _matrix(model, k)
        sd = np.sqrt(np.diagonal(expected))
        # About 20,000 rows each: a correlation's standard error is 0.007, a variance's 0.01.
        assert_allclose(found / sd / sd[:, None], expected / sd / sd[:, None], atol=0.06)


def _matrix(model, k):
    covariances, n_features = model.covariances_, model.n_features_in_
    if covariances.ndim == 3:
        return covariances[k]
    if covariances.shape == (n_features, n_features) and COVARIANCES[model.covariance_type].shape.is_shared:
        return covariances
    return np.eye(n_features) * covariances[k]


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data", "hc"])
def test_every_start_goes_with_every_family(covariance_type, init_params):
    X = rows_for(covariance_type)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = GaussianMixture(3, covariance_type=covariance_type, init_params=init_params, random_state=0).fit(X)
    assert np.isfinite(model.score(X))
    assert np.diff(model.lower_bounds_).min() > -1e-4  # reg_covar is not part of the likelihood


def test_the_number_of_columns_must_fit_the_name():
    X = np.random.default_rng(2).normal(size=(50, 2))
    with pytest.raises(ValueError, match=r"covariance_type is 'VEV'.*1 feature; use 'V'"):
        GaussianMixture(2, covariance_type="VEV").fit(X[:, :1])
    with pytest.raises(ValueError, match="covariance_type is 'E', for data of one feature, and X has 2"):
        GaussianMixture(2, covariance_type="E").fit(X)
    with pytest.raises(ValueError, match="covariance_type is 'V', for data of one feature"):
        GaussianMixture.from_parameters([1.0], [[0.0, 0.0]], [1.0], covariance_type="V")


@pytest.mark.parametrize("name", [name for name in COVARIANCES if len(name) == 3])
def test_the_estimator_reaches_mclusts_results_from_its_starts(name):
    data = Path(__file__).parent / "data"
    with open(data / "mclust_tight.csv") as handle:
        rows = [row for row in csv.DictReader(handle) if row["model"] == name]
    assert len(rows) == 8
    for row in rows:
        X = np.loadtxt(data / f"{row['dataset']}.csv", delimiter=",", skiprows=1)
        starts = np.loadtxt(data / f"{row['dataset']}_hclass.csv", delimiter=",", skiprows=1, dtype=np.int64) - 1
        k = int(row["G"])
        # Plain EM: an accelerated one may end at another maximum.
        settings = dict(init_params=starts[:, k - 1], reg_covar=0.0, tol=1e-10, max_iter=20_000, acceleration=None)
        model = GaussianMixture(k, covariance_type=name, **settings).fit(X)
        assert model.score(X) * len(X) > float(row["loglik"]) - 1e-4
        assert model.bic(X) < -float(row["bic"]) + 2e-4
