"""The bootstrap: mclust's tests and standard errors within the Monte Carlo error, and its laws."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureSearch
from fastgmm.selection import bootstrap_lrt, bootstrap_parameters

DATA = Path(__file__).parent / "data"


def faithful():
    return np.ascontiguousarray(np.loadtxt(DATA / "faithful.csv", delimiter=",", skiprows=1))


def two_components():
    settings = dict(covariance_type="VVV", reg_covar=0.0, tol=1e-6, init_params="hc", max_iter=1000)
    model = GaussianMixture(2, **settings).fit(faithful())
    return model, np.argsort(model.means_[:, 0])


def test_mclusts_number_of_components_of_faithful():
    # mclustBootstrapLRT(faithful, "VVV"): statistics 319.07 and 6.13, p-values 0.005 (199 replicates) and 0.58.
    test = bootstrap_lrt(faithful(), "VVV", n_bootstrap=99, random_state=0)
    assert test.chosen_n_components == 2
    assert_allclose(test.statistics, [319.0654, 6.13], rtol=0.02)
    assert test.p_values[0] == 0.01
    # A binomial of 99 with p = 0.58 has standard deviation 0.05.
    assert 0.38 < test.p_values[1] < 0.78
    assert test.replicates.shape == (2, 99)


# MclustBootstrap of VVV, 2 on faithful with 500 replicates: standard errors of the component with long eruptions.
@pytest.mark.parametrize(
    ("kind", "weight", "means", "variances"),
    [
        ("nonparametric", 0.0292, [0.0312, 0.458], [0.0193, 4.42]),
        ("weighted", 0.0303, [0.0344, 0.456], [0.0194, 4.56]),
        ("parametric", 0.0297, [0.0312, 0.459], [0.0171, 3.70]),
    ],
)
def test_mclusts_standard_errors_of_faithful(kind, weight, means, variances):
    model, order = two_components()
    errors = bootstrap_parameters(model, faithful(), kind=kind, n_bootstrap=300, random_state=0).standard_errors()
    long = order[1]
    # A standard error from 300 replicates has a relative error of 4%, mclust's 3%; three of both together: 15%.
    assert_allclose(errors["weights"][long], weight, rtol=0.15)
    assert_allclose(errors["means"][long], means, rtol=0.15)
    assert_allclose(np.diagonal(errors["covariances"][long]), variances, rtol=0.2)


def test_intervals_contain_the_estimate_and_widen_with_the_level():
    model, _ = two_components()
    bootstrap = bootstrap_parameters(model, faithful(), n_bootstrap=100, random_state=1)
    narrow, wide = bootstrap.intervals(0.8), bootstrap.intervals(0.99)
    for name, estimate in (("weights", model.weights_), ("means", model.means_), ("covariances", model.covariances_)):
        assert (wide[name][0] <= narrow[name][0]).all()
        assert (wide[name][1] >= narrow[name][1]).all()
        assert ((wide[name][0] <= estimate) & (estimate <= wide[name][1])).all()
    with pytest.raises(ValueError, match="level is 95"):
        bootstrap.intervals(95)


def test_processes_do_not_change_the_outcome():
    model, _ = two_components()
    serial = bootstrap_parameters(model, faithful(), n_bootstrap=12, random_state=2)
    parallel = bootstrap_parameters(model, faithful(), n_bootstrap=12, random_state=2, n_jobs=2)
    assert_array_equal(serial.means, parallel.means)


@pytest.mark.parametrize("covariance_type", ["tied", "diag", "spherical", "VEV"])
def test_every_structure_gives_whole_matrices(covariance_type):
    X = faithful()
    model = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(X)
    replicates = bootstrap_parameters(model, X, n_bootstrap=5, random_state=3)
    assert replicates.covariances.shape == (5, 2, 2, 2)
    assert np.linalg.eigvalsh(replicates.covariances).min() > 0


def test_replicates_that_collapse_are_drawn_again_and_counted():
    # One component of three rows: most draws with replacement leave it fewer.
    rng = np.random.default_rng(4)
    X = np.concatenate([rng.normal(size=(60, 2)), rng.normal(size=(3, 2)) + 40])
    model = GaussianMixture(2, init_params=np.r_[np.zeros(60, int), np.ones(3, int)], reg_covar=0.0).fit(X)
    bootstrap = bootstrap_parameters(model, X, n_bootstrap=40, random_state=5)
    assert bootstrap.n_failed > 20
    assert np.isfinite(bootstrap.weights).any()
    assert np.isfinite(bootstrap.standard_errors()["means"]).all()
    weighted = bootstrap_parameters(model, X, kind="weighted", n_bootstrap=40, random_state=5)
    assert weighted.n_failed == 0


def test_bootstraps_with_a_background_keep_it():
    rng = np.random.default_rng(6)
    X = np.concatenate([rng.normal(size=(200, 2)), rng.uniform(-9, 9, size=(40, 2))])
    model = GaussianMixture(1, noise=0.2, random_state=0, tol=1e-7, max_iter=500).fit(X)
    bootstrap = bootstrap_parameters(model, X, n_bootstrap=20, random_state=7)
    assert_allclose(bootstrap.weights.mean(), model.weights_[0], atol=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(kind="jackknife"), "kind is 'jackknife'; expected 'nonparametric', 'parametric' or 'weighted'"),
        (dict(n_bootstrap=0), "n_bootstrap is 0"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    model, _ = two_components()
    with pytest.raises(ValueError, match=message):
        bootstrap_parameters(model, faithful(), **options)


def test_bad_test_arguments_are_refused():
    with pytest.raises(ValueError, match="level is 5"):
        bootstrap_lrt(faithful(), level=5)
    with pytest.raises(ValueError, match="max_components is 0"):
        bootstrap_lrt(faithful(), max_components=0)
    with pytest.raises(ValueError, match="n_bootstrap is 0"):
        bootstrap_lrt(faithful(), n_bootstrap=0)


def test_whole_numbers_are_no_reason_to_round_what_is_drawn():
    X = np.random.default_rng(4).poisson(3.0, size=(400, 1))
    model = GaussianMixture().fit(X)
    options = {"kind": "parametric", "n_bootstrap": 50, "random_state": 0}
    of_integers, of_floats = (bootstrap_parameters(model, rows, **options) for rows in (X, X.astype(float)))
    assert_array_equal(of_integers.means, of_floats.means)


def test_the_best_of_a_search_is_bootstrapped():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(np.random.default_rng(5).normal(size=(60, 2)), columns=["a", "b"])
    search = GaussianMixtureSearch([1], ["VVI"]).fit(X)
    options = {"n_bootstrap": 3, "random_state": 0}
    expected = bootstrap_parameters(search.best_estimator_, X.to_numpy(), **options)
    assert_array_equal(bootstrap_parameters(search, X, **options).means, expected.means)


def test_other_rows_and_other_estimators_are_refused():
    X = np.random.default_rng(5).normal(size=(60, 2))
    model = GaussianMixture().fit(X)
    with pytest.raises(ValueError, match="X has 1 features, but GaussianMixture is expecting 2"):
        bootstrap_parameters(model, X[:, :1], n_bootstrap=3)
    with pytest.raises(ValueError, match="NaN"):
        bootstrap_parameters(model, np.where(X > 1.0, np.nan, X), n_bootstrap=3)
    with pytest.raises(TypeError, match="estimator is a BayesianGaussianMixture; expected a fitted GaussianMixture"):
        bootstrap_parameters(BayesianGaussianMixture().fit(X), X, n_bootstrap=3)
