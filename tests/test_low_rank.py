"""Laws of covariances that are loadings and noise: factor analysers, principal subspaces, and their kernels."""

import pickle
import warnings
from contextlib import suppress

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA, FactorAnalysis

import fastgmm
from fastgmm import GaussianMixture, GaussianMixtureClassifier, GaussianMixtureSearch, StudentMixture
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.families import LOW_RANK, get_covariance
from fastgmm.families.low_rank import HDDC, PGMM
from fastgmm.model import MixtureParameters
from fastgmm.model.shapes import get_shape
from fastgmm.model.shapes.low_rank import canonical, packed

EXACT = {"tol": 1e-10, "max_iter": 5000, "reg_covar": 0.0}


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    return X, (X - X.mean(axis=0)) / X.std(axis=0), y


def simulated(n_samples=1500, n_features=12, n_factors=(2, 3), seed=0, noise=(0.3, 1.0)):
    """Return rows of factor analysers, one for each of `n_factors`, and their components."""
    rng = np.random.default_rng(seed)
    y = rng.integers(len(n_factors), size=n_samples)
    X = np.empty((n_samples, n_features))
    for k, q in enumerate(n_factors):
        loadings = 1.5 * rng.normal(size=(n_features, q))
        sd = np.sqrt(rng.uniform(*noise, size=n_features))
        members = y == k
        factors = rng.normal(size=(members.sum(), q))
        X[members] = 4.0 * k + factors @ loadings.T + sd * rng.normal(size=(members.sum(), n_features))
    return X, y


# Truth.


@pytest.mark.parametrize(("n_factors", "printed"), [(1, -3102.254), (2, -2995.334), (3, -2913.122)])
def test_wine_is_at_least_as_likely_as_mclachlan_and_peel_print(wine, n_factors, printed):
    X, _, y = wine
    options = {"covariance_type": "factor", "n_factors": n_factors, "init_params": y, **EXACT}
    model = GaussianMixture(3, **options).fit(X)
    assert model.score(X) * len(X) >= printed
    assert np.count_nonzero(model.predict(X) != y) <= 4


@pytest.mark.parametrize("n_factors", [1, 2])
def test_one_component_is_factor_analysis(n_factors):
    X, _ = simulated(400, n_factors=(2,))
    ours = GaussianMixture(1, covariance_type="factor", n_factors=n_factors, **EXACT).fit(X)
    theirs = FactorAnalysis(n_factors, tol=1e-8, max_iter=2000).fit(X)
    assert ours.score(X) >= theirs.score(X) - 1e-7
    assert_allclose(ours.score(X), theirs.score(X), rtol=0, atol=1e-4)


@pytest.mark.parametrize("n_factors", [0, 1, 3, 11])
def test_one_component_of_one_noise_is_tipping_and_bishops_principal_components(n_factors):
    X, _ = simulated(n_factors=(3,))
    model = GaussianMixture(1, covariance_type="ppca", n_factors=n_factors, **EXACT).fit(X)
    theirs = PCA(n_factors).fit(X)
    share = (len(X) - 1) / len(X)  # scikit-learn's variances have the divisor n - 1
    if n_factors:
        covariance = theirs.get_covariance() * share
    else:
        covariance = np.eye(12) * X.var(axis=0).mean()
    assert_allclose(model.covariances_[0], covariance, rtol=1e-9, atol=1e-9)
    assert_allclose(model.score(X), multivariate_normal(X.mean(axis=0), covariance).logpdf(X).mean(), rtol=1e-12)


def test_no_factors_are_diagonal_and_more_are_likelier_up_to_whole_matrices(wine):
    _, X, y = wine
    known = {"init_params": y, "acceleration": None, **EXACT}
    scores = [GaussianMixture(3, covariance_type="diag", **known).fit(X).score(X)]
    for q in range(6):
        scores.append(GaussianMixture(3, covariance_type="factor", n_factors=q, **known).fit(X).score(X))
    scores.append(GaussianMixture(3, covariance_type="full", **known).fit(X).score(X))
    assert_allclose(scores[0], scores[1], rtol=1e-7)
    assert (np.diff(scores[1:]) > 0).all()


@pytest.mark.parametrize("name", [*LOW_RANK])
def test_no_family_is_less_likely_from_step_to_step(wine, name):
    _, X, y = wine
    options = {"n_factors": 2, "init_params": y, "tol": 0.0, "max_iter": 40, "reg_covar": 1e-6}
    with pytest.warns(match="did not converge"):
        model = GaussianMixture(3, covariance_type=name, **options).fit(X)
    assert np.diff(model.lower_bounds_).min() > -1e-9
    joint = [multivariate_normal(m, c).logpdf(X) for m, c in zip(model.means_, model.covariances_, strict=True)]
    expected = logsumexp(np.log(model.weights_) + np.transpose(joint), axis=1)
    assert_allclose(model.score_samples(X), expected, rtol=1e-9)


@pytest.mark.parametrize("name", PGMM)
def test_letters_of_pgmm_say_what_components_share(wine, name):
    _, X, y = wine
    options = {"n_factors": 2, "init_params": y, "tol": 0.0, "max_iter": 5}
    with pytest.warns(match="did not converge"):
        model = GaussianMixture(3, covariance_type=name, **options).fit(X)
    explained, noise = model.loadings_ @ model.loadings_.transpose(0, 2, 1), model.noise_variances_
    assert np.allclose(explained[0], explained[1]) == (name[0] == "C")
    volume = np.log(noise).mean(axis=1)
    if len(name) == 3:
        assert np.allclose(noise[0], noise[1]) == (name[1] == "C")
        assert np.allclose(noise[:, 0], noise[:, 1]) == (name[2] == "C")
    else:
        assert np.allclose(volume[0], volume[1]) == (name[2] == "C")
        assert np.allclose(np.log(noise[0]) - volume[0], np.log(noise[1]) - volume[1]) == (name[1] == "C")


def test_numbers_of_parameters_are_those_of_the_papers():
    k, d, q = 3, 13, 2

    def count(name):
        return get_covariance(name, q).n_parameters(k, d)

    # McNicholas and Murphy (2008), table 1, and (2010); McLachlan and Peel's factor analysers are UUU.
    loadings = d * q - q * (q - 1) // 2
    expected = {
        **{"CCC": loadings + 1, "CCU": loadings + d, "CUC": loadings + k, "CUU": loadings + k * d},
        **{"UCC": k * loadings + 1, "UCU": k * loadings + d, "UUC": k * loadings + k, "UUU": k * (loadings + d)},
        **{"CCUU": loadings + k + d - 1, "UCUU": k * loadings + k + d - 1},
        **{"CUCU": loadings + 1 + k * (d - 1), "UUCU": k * loadings + 1 + k * (d - 1)},
    }
    assert {name: count(name) for name in PGMM} == expected
    assert count("factor") == count("UUU")
    assert count("ppca") == count("UUC")
    # HDclassif, with numbers of axes among the parameters.
    to = q * (d - (q + 1) / 2)
    tot = k * to
    assert {name: count(name) for name in HDDC} == {
        **{"AkjBkQkDk": tot + 2 * k + k * q, "AkBkQkDk": tot + 3 * k, "ABkQkDk": tot + 2 * k + 1},
        **{"AkjBQkDk": tot + k + k * q + 1, "AkBQkDk": tot + 2 * k + 1, "ABQkDk": tot + k + 2},
        **{"AkjBkQkD": k * (to + q + 1) + 1, "AkBkQkD": k * (to + 2) + 1, "ABkQkD": k * (to + 1) + 2},
        **{"AkjBQkD": k * (to + q) + 2, "AkBQkD": k * (to + 1) + 2, "ABQkD": k * to + 3},
        **{"AjBQD": to + q + 2, "ABQD": to + 3},
    }
    assert count("hddc") == count("AkjBkQkDk")
    model = GaussianMixture(3, covariance_type="factor", n_factors=2, random_state=0).fit(load_wine().data)
    assert model._n_parameters() == 2 + 3 * 13 + count("factor")


@pytest.mark.parametrize(("name", "how"), [("factor", "bic"), ("ppca", "bic"), ("hddc", "cattell")])
def test_numbers_of_factors_are_found(name, how):
    X, y = simulated(4000, n_factors=(1, 3), noise=(0.5, 0.5))
    model = GaussianMixture(2, covariance_type=name, n_factors=how, init_params=y).fit(X)
    assert_array_equal(model.n_factors_, [1, 3])
    known = GaussianMixture(2, covariance_type=name, n_factors=[1, 3], init_params=y).fit(X)
    assert_allclose(known.score(X), model.score(X), rtol=1e-9)
    assert known._n_parameters() == model._n_parameters()


# Numbers.


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kernels_of_few_factors_are_those_of_whole_matrices(dtype):
    rng = np.random.default_rng(0)
    loadings, noise = rng.normal(size=(3, 9, 2)), rng.uniform(0.1, 2.0, size=(3, 9))
    shape, whole = get_shape("low_rank:2"), get_shape("full")
    covariances = packed(canonical(loadings, noise)[0], noise)
    weights, means = np.array([0.2, 0.3, 0.5]), rng.normal(size=(3, 9))
    ours = MixtureParameters(shape.name, weights, means, covariances, shape.factorise(covariances))
    matrices = shape.full(covariances, 3, 9)
    theirs = MixtureParameters("full", weights, means, matrices, whole.factorise(matrices))
    assert_allclose(ours.log_offset, theirs.log_offset, rtol=1e-12)
    assert_allclose(shape.precisions(ours.precisions_cholesky), np.linalg.inv(matrices), rtol=1e-9, atol=1e-12)
    assert_allclose(shape.covariances_of(ours.precisions_cholesky), covariances, rtol=1e-12)
    assert_allclose(shape.full(shape.scaled(covariances, 2.0), 3, 9), 2.0 * matrices)
    X = (rng.normal(size=(4000, 9)) * 3).astype(dtype)
    rtol = 1e-10 if dtype == np.float64 else 1e-5
    for action, columns in (("log_density", ()), ("responsibilities", (3,))):
        run = getattr(fastgmm.kernels, action)
        out = [run(X, mixture, np.empty((len(X), *columns), dtype)) for mixture in (ours, theirs)]
        assert_allclose(*out, rtol=rtol, atol=rtol)
    labels = [fastgmm.kernels.assign(X, mixture, np.empty(len(X), np.int64)) for mixture in (ours, theirs)]
    assert_array_equal(*labels)


@pytest.mark.parametrize("name", ["factor", "ppca", "CUU"])
def test_an_offset_loses_nothing_and_units_change_nothing(name):
    X, y = simulated()
    options = {"covariance_type": name, "n_factors": 2, "init_params": y, "reg_covar": 0.0, "max_iter": 2000}
    near, far = (GaussianMixture(2, **options).fit(rows) for rows in (X, X + 1e6))
    assert_allclose(far.covariances_, near.covariances_, rtol=1e-4, atol=1e-5)
    large = GaussianMixture(2, **options).fit(X * 1024.0)
    assert_allclose(large.covariances_, near.covariances_ * 1024.0**2, rtol=1e-9)
    if name != "ppca":
        units = 2.0 ** np.arange(-6, 6)
        scaled = GaussianMixture(2, **options).fit(X * units)
        assert_allclose(scaled.loadings_ / units[:, None], near.loadings_, rtol=1e-5, atol=1e-5)


# What a fitted model answers.


def test_factors_are_those_of_factor_analysis():
    X, _ = simulated(n_factors=(2,))
    ours = GaussianMixture(1, covariance_type="factor", n_factors=2, **EXACT).fit(X)
    loadings, noise = ours.loadings_[0], ours.noise_variances_[0]
    strength = loadings.T @ (loadings / noise[:, None])
    assert_allclose(strength, np.diag(np.diagonal(strength)), atol=1e-8)
    theirs = FactorAnalysis(2, tol=1e-8, max_iter=2000).fit(X)
    there = theirs.transform(X)
    turn = np.linalg.lstsq(there, ours.transform(X), rcond=None)[0]
    assert_allclose(turn @ turn.T, np.eye(2), atol=1e-4)
    assert_allclose(there @ turn, ours.transform(X), atol=1e-3)
    rebuilt = ours.inverse_transform(ours.transform(X))
    assert ((rebuilt - X) ** 2).mean() < 0.6 * ((X - X.mean(axis=0)) ** 2).mean()


def test_factors_of_rows_come_back_as_rows_of_their_component():
    X, y = simulated(noise=(1e-6, 1e-6))
    model = GaussianMixture(2, covariance_type="ppca", n_factors=[2, 3], init_params=y, reg_covar=1e-9).fit(X)
    factors = model.transform(X)
    assert factors.shape == (len(X), 3)
    assert (factors[model.predict(X) == 0, 2] == 0).all()
    assert_allclose(model.inverse_transform(factors, model.predict(X)), X, atol=0.02)
    with pytest.raises(ValueError, match="labels is None and there are 2 components"):
        model.inverse_transform(factors)
    assert not hasattr(GaussianMixture(), "transform")


def test_questions_are_answered_as_whole_matrices_answer_them():
    X, y = simulated()
    model = GaussianMixture(2, covariance_type="factor", n_factors=2, init_params=y).fit(X)
    whole = GaussianMixture.from_parameters(model.weights_, model.means_, model.covariances_)
    assert_allclose(model.precisions_, whole.precisions_, rtol=1e-8, atol=1e-8)
    assert_allclose(model.marginal([3, 1]).covariances_, whole.marginal([3, 1]).covariances_)
    ours, theirs = (each.condition([0, 5], X[:5, [0, 5]]) for each in (model, whole))
    assert_allclose(ours.mean(), theirs.mean(), rtol=1e-8)
    assert_allclose(ours.covariance(), theirs.covariance(), rtol=1e-8)
    assert_allclose(model.entropy_bounds(), whole.entropy_bounds(), rtol=1e-8)
    assert model.kl_bounds(whole)[1] < 1e-8
    assert_allclose(model.mahalanobis(X), whole.mahalanobis(X), rtol=1e-8)
    assert_allclose(model.scorer().score_samples(X), model.score_samples(X), rtol=1e-10)
    drawn, labels = model.sample(60_000, random_state=0)
    assert_allclose(np.cov(drawn[labels == 0].T), model.covariances_[0], atol=0.25)
    assert "2 components, factor covariance of 2 factors" in str(model.summary())


def test_models_are_saved_pickled_and_made_of_parameters(tmp_path):
    X, y = simulated()
    model = GaussianMixture(2, covariance_type="factor", n_factors="bic", init_params=y).fit(X)
    fastgmm.save(model, tmp_path / "model")
    pair = (model.loadings_, model.noise_variances_)
    made = GaussianMixture.from_parameters(model.weights_, model.means_, pair, covariance_type="factor")
    for other in (fastgmm.load(tmp_path / "model"), pickle.loads(pickle.dumps(model)), made):
        assert_array_equal(other.score_samples(X), model.score_samples(X))
        assert other.bic(X) == model.bic(X)


def test_a_refit_leaves_no_attribute_of_another_type():
    X, y = simulated()
    model = GaussianMixture(2, covariance_type="factor", n_factors=1, init_params=y)
    assert not hasattr(model, "covariances_")
    model.fit(X)
    assert model.covariances_.shape == (2, 12, 12)
    assert "covariances_" not in vars(model)
    model.set_params(covariance_type="diag").fit(X)
    assert not hasattr(model, "loadings_")
    assert model.covariances_.shape == (2, 12)
    model.set_params(covariance_type="ppca").fit(X)
    assert model.covariances_.shape == (2, 12, 12)


def test_streams_go_on_from_loadings():
    X, y = simulated(4000)
    model = GaussianMixture(2, covariance_type="factor", n_factors=2, random_state=0)
    for start in range(0, 4000, 500):
        model.partial_fit(X[start : start + 500])
    whole = GaussianMixture(2, covariance_type="factor", n_factors=2, init_params=y).fit(X)
    assert model.score(X) > whole.score(X) - 0.05


def test_tails_without_tails_are_normal_and_few_outliers_move_nothing():
    X, y = simulated()
    options = {"covariance_type": "factor", "n_factors": 2, "init_params": y, "tol": 1e-6, "max_iter": 500}
    normal = GaussianMixture(2, **options).fit(X)
    student = StudentMixture(2, df=1e9, **options).fit(X)
    assert_allclose(student.score(X), normal.score(X), atol=1e-4)
    rows = np.concatenate([X, np.random.default_rng(0).normal(size=(30, 12)) * 200])
    tailed = StudentMixture(2, **{**options, "init_params": np.append(y, np.full(30, -1))}).fit(rows)
    assert np.diff(tailed.lower_bounds_).min() > -1e-8
    assert_allclose(tailed.means_, normal.means_, atol=0.5)
    assert_allclose(tailed.covariances_, tailed.scales_ * (tailed.df_ / (tailed.df_ - 2))[:, None, None])


def test_classes_have_factors_of_their_own():
    X, y = simulated(n_factors=(1, 3), noise=(0.5, 0.5))
    for shared in (True, False):
        model = GaussianMixtureClassifier(covariance_type="ppca", n_factors="bic", shared_covariance=shared).fit(X, y)
        assert_array_equal(model.n_factors_, [1, 3])
        assert model.score(X, y) > 0.99
        assert np.isfinite(model.bic_)
    several = GaussianMixtureClassifier(covariance_type=["diag", "factor"], n_factors=2).fit(X, y)
    assert several.covariance_type_ == "factor"


def test_a_search_tries_numbers_of_factors():
    X, _ = simulated(n_factors=(2, 2))
    search = GaussianMixtureSearch([1, 2], ["diag", "factor"], n_factors=[1, 2, 3], init_params="kmeans").fit(X)
    assert search.best_params_ == {"n_components": 2, "covariance_type": "factor", "n_factors": 2}
    assert search.results_["n_factors"] == [None, 1, 2, 3] * 2
    assert "n_factors" not in GaussianMixtureSearch(2, "EII", init_params="kmeans").fit(X).results_


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_factors": 12}, "whole numbers from 0 to 11, or 'bic'"),
        ({"n_factors": [1, 2, 3]}, "a list of n_components = 2 numbers"),
        ({"n_factors": "cattell"}, "expected a number or 'bic', or covariance_type='ppca' or 'hddc'"),
        ({"covariance_type": "CUU", "n_factors": [1, 2]}, "has the same loadings for all"),
        ({"n_factors": 1, "precisions_init": np.ones((2, 12, 12))}, "expected precisions_init=None"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    X, _ = simulated(100)
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2, **{"covariance_type": "factor", **options}).fit(X)


def test_pixels_that_never_change_do_not_end_a_fit():
    X = load_digits().data
    model = GaussianMixture(5, covariance_type="factor", n_factors=4, random_state=0).fit(X)
    assert model.converged_
    assert np.isfinite(model.score(X))


def test_components_are_renumbered_adapted_and_whitened():
    X, y = simulated(n_factors=(1, 3))
    model = GaussianMixture(2, covariance_type="factor", n_factors=[1, 3], init_params=y, order_by=0).fit(X)
    other = model.reorder([1, 0])
    assert_array_equal(other.n_factors_, [3, 1])
    assert_allclose(other.score_samples(X), model.score_samples(X), rtol=1e-12)
    assert other._n_parameters() == model._n_parameters()
    adapted = model.adapt(X[:50] + 1.0, update=("means", "covariances"))
    assert adapted.score(X[:50] + 1.0) > model.score(X[:50] + 1.0)
    assert_array_equal(adapted.n_factors_, [1, 3])
    state = model._fitted_state()
    away = np.random.default_rng(0).normal(size=(2, 12))
    white = state.shape.whitened(away, state.precisions_cholesky)
    assert_allclose((white**2).sum(axis=1), np.einsum("kd,kde,ke->k", away, model.precisions_, away))


def test_missing_values_are_integrated_out():
    X, y = simulated()
    holes = X.copy()
    holes[np.random.default_rng(0).uniform(size=X.shape) < 0.1] = np.nan
    model = GaussianMixture(2, covariance_type="factor", n_factors=2, random_state=0, missing="marginalise").fit(holes)
    whole = GaussianMixture.from_parameters(model.weights_, model.means_, model.covariances_)
    whole.missing = "marginalise"
    assert_allclose(model.score_samples(holes), whole.score_samples(holes), rtol=1e-9)
    assert np.diff(model.lower_bounds_).min() > -1e-9
    complete = GaussianMixture(2, covariance_type="factor", n_factors=2, init_params=y).fit(X)
    assert model.score(X) > complete.score(X) - 0.1


@pytest.mark.parametrize("covariance_type", ["factor", "UUC", "CCUU", "ppca"])
@pytest.mark.parametrize("n_factors", [2, "bic"])
def test_degenerate_rows_fail_in_words_of_the_model_and_warn_of_nothing_else(covariance_type, n_factors):
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(100, 2)) @ rng.normal(size=(2, 12))
    repeated = np.repeat(rng.normal(size=(6, 8)), 20, axis=0)
    constant = np.column_stack([rng.normal(size=(100, 6)), np.zeros((100, 3))])
    for X in (flat, repeated, constant):
        for n_components in (1, 3):
            options = {"n_factors": n_factors, "reg_covar": 0.0, "max_iter": 20, "random_state": 0}
            model = GaussianMixture(n_components, covariance_type=covariance_type, **options)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.simplefilter("error", RuntimeWarning)
                with suppress(ComponentCollapseError):
                    model.fit(X)
