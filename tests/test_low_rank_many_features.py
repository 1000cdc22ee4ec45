"""Components with factors in many features: statistics along the loadings, and no D x D matrix anywhere."""

import pickle
import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from test_low_rank import simulated

import fastgmm
from fastgmm import GaussianMixture, GaussianMixtureClassifier, StudentMixture
from fastgmm.data import ArrayRows, batches
from fastgmm.data.incomplete import Marginalised
from fastgmm.families import Gaussian, get_covariance, sketched
from fastgmm.families.sketched import Sketched, gaussian_family
from fastgmm.inference.divergence import bhattacharyya
from fastgmm.model.parameters import with_whole_matrices
from fastgmm.model.priors import ConjugatePrior
from fastgmm.model.shapes import FULL

REGRESSIONS = ("factor", "ppca", "hddc", "UCU", "UCC", "UCUU", "UUCU", "CUU", "CUC", "CCUU")


@pytest.fixture
def many(monkeypatch):
    """Take ten features for many."""
    monkeypatch.setattr(sketched, "MANY_FEATURES", 10)


def few_steps(X, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GaussianMixture(
            **{"n_components": 2, "n_factors": 2, "tol": 0.0, "max_iter": 5, "random_state": 0, **options}
        ).fit(X)


def test_statistics_are_those_of_whole_matrices_along_the_loadings():
    X, y = simulated()
    weight = np.random.default_rng(0).uniform(size=len(X))
    model = GaussianMixture(2, covariance_type="factor", n_factors=2, init_params=y).fit(X + 1e3)
    state = model._fitted_state()
    rows = ArrayRows(X + 1e3, weight)
    ours, theirs = rows.accumulate(state), rows.accumulate(with_whole_matrices(state))
    factors = state.shape.posterior(state.precisions_cholesky)[0]
    assert_allclose(ours.log_likelihood, theirs.log_likelihood, rtol=1e-11)
    assert_allclose(ours.counts, theirs.counts, rtol=1e-9)
    assert_allclose(ours.sums, theirs.sums, rtol=1e-6, atol=1e-7)
    assert_allclose(ours.scatter[..., :-1], theirs.scatter @ factors, rtol=1e-7, atol=1e-6)
    assert_allclose(ours.scatter[..., -1], np.einsum("kdd->kd", theirs.scatter), rtol=1e-8)


@pytest.mark.parametrize("name", REGRESSIONS[:7])
def test_a_step_is_a_regression_on_whole_matrices(name):
    X, y = simulated()
    with pytest.warns(match="did not converge"):
        model = GaussianMixture(2, covariance_type="factor", n_factors=2, init_params=y, max_iter=3, tol=0.0).fit(X)
    state, covariance = model._fitted_state(), get_covariance(name, 2)
    found = Sketched(covariance, 0.1).maximise(ArrayRows(X).accumulate(state), state)
    whole = ArrayRows(X).accumulate(with_whole_matrices(state))
    shift = whole.sums / whole.counts[:, None]
    per_row = whole.scatter / whole.counts[:, None, None] - shift[:, :, None] * shift[:, None, :] + 0.1 * np.eye(12)
    factors, spread = state.shape.posterior(state.precisions_cholesky)
    diagonal = np.einsum("kdd->kd", per_row)
    noise = state.covariances[..., -1]
    loadings, noise = covariance.regression.step(per_row @ factors, diagonal, factors, spread, noise, whole.counts)
    assert_allclose(found.means, state.means + shift, rtol=1e-12)
    whole = loadings @ loadings.transpose(0, 2, 1)
    assert_allclose(found.shape.full(found.covariances, 2, 12), whole + noise[:, :, None] * np.eye(12), rtol=1e-8)


@pytest.mark.parametrize("name", REGRESSIONS)
def test_the_likelihood_never_falls(many, name):
    X, y = simulated(600)
    model = few_steps(X, covariance_type=name, init_params=y, max_iter=40)
    assert isinstance(model._fitted_family(), Sketched)
    assert np.diff(model.lower_bounds_).min() > -1e-10


@pytest.mark.parametrize("name", ["factor", "ppca", "hddc", "UCU", "UCC", "CCU"])
def test_fits_end_where_those_of_whole_matrices_end(many, monkeypatch, name):
    X, y = simulated(noise=(0.4, 0.6))
    options = {"covariance_type": name, "n_factors": 2, "init_params": y, "tol": 1e-7, "max_iter": 3000}
    ours = GaussianMixture(2, **options).fit(X)
    monkeypatch.setattr(sketched, "MANY_FEATURES", 1000)
    theirs = GaussianMixture(2, **options).fit(X)
    assert type(theirs._fitted_family()) is Gaussian
    assert_allclose(ours.score(X), theirs.score(X), atol=1e-3)
    assert ours._n_parameters() == theirs._n_parameters()


@pytest.mark.parametrize("kind", ["plain", "weights", "labels", "background"])
def test_sources_and_what_rides_along_change_nothing(many, kind):
    X, y = simulated(900)
    rng = np.random.default_rng(0)
    along = {
        "plain": {},
        "weights": {"sample_weight": rng.uniform(0.5, 2.0, size=900)},
        "labels": {"labels": np.where(rng.uniform(size=900) < 0.3, y, -1)},
        "background": {},
    }[kind]
    options = {"noise": 0.05} if kind == "background" else {}
    model = GaussianMixture(2, covariance_type="factor", n_factors=2, random_state=0, max_iter=1000, **options)
    expected = model.fit(X, **along)
    assert np.diff(expected.lower_bounds_).min() > -1e-9
    if kind == "labels":
        known = along["labels"] >= 0
        assert_array_equal(expected.predict(X)[known], along["labels"][known])

    def parts():
        for start in range(0, 900, 300):
            rows = {"X": X[start : start + 300]}
            if kind == "weights":
                rows["sample_weight"] = along["sample_weight"][start : start + 300]
            if kind == "labels":
                rows["labels"] = along["labels"][start : start + 300]
            yield rows if len(rows) > 1 else rows["X"]

    if kind != "background":
        other = GaussianMixture(2, covariance_type="factor", n_factors=2, random_state=0, max_iter=1000).fit(
            batches(parts)
        )
        assert_allclose(other.score(X), expected.score(X), atol=0.02)


def test_weights_are_repeated_rows(many):
    X, y = simulated(400)
    weight = np.random.default_rng(0).integers(0, 3, size=400)
    options = {"covariance_type": "factor", "init_params": y}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = GaussianMixture(2, n_factors=2, tol=0.0, max_iter=5, **options).fit(X, sample_weight=weight)
        repeated = {**options, "init_params": np.repeat(y, weight)}
        theirs = GaussianMixture(2, n_factors=2, tol=0.0, max_iter=5, **repeated).fit(np.repeat(X, weight, axis=0))
    assert_allclose(ours.covariances_, theirs.covariances_, rtol=1e-6, atol=1e-6)


def test_offsets_lose_nothing_and_units_change_nothing(many):
    X, y = simulated()
    near = few_steps(X, covariance_type="factor", init_params=y, reg_covar=0.0)
    far = few_steps(X + 1e6, covariance_type="factor", init_params=y, reg_covar=0.0)
    assert_allclose(far.covariances_, near.covariances_, rtol=1e-6, atol=1e-6)
    units = 2.0 ** np.arange(-6, 6)
    scaled = few_steps(X * units, covariance_type="factor", init_params=y, reg_covar=0.0)
    assert_allclose(scaled.loadings_ / units[:, None], near.loadings_, rtol=1e-6, atol=1e-6)


def test_numbers_of_factors_are_chosen_by_the_start(many):
    X, y = simulated(4000, n_factors=(1, 3), noise=(0.5, 0.5))
    for name, how in (("ppca", "bic"), ("hddc", "cattell"), ("factor", "bic")):
        model = GaussianMixture(2, covariance_type=name, n_factors=how, init_params=y).fit(X)
        assert_array_equal(model.n_factors_, [1, 3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.thread_unsafe(reason="tracemalloc counts the whole process, and stopping it beside another thread crashes")
def test_thousands_of_features_need_no_matrix_of_them(dtype, tmp_path):
    rng = np.random.default_rng(0)
    n_features, y = 3000, np.repeat([0, 1, 2], 40)
    means, loadings = rng.normal(size=(3, n_features)), rng.normal(size=(3, n_features, 2))
    X = (
        means[y]
        + np.einsum("ndq,nq->nd", loadings[y], rng.normal(size=(120, 2)))
        + 0.3 * rng.normal(size=(120, n_features))
    )
    X = X.astype(dtype)
    tracemalloc.start()
    model = GaussianMixture(3, covariance_type="ppca", n_factors=2, random_state=0).fit(X)
    labels, drawn = model.predict(X), model.sample(10, random_state=0)[0]
    model.score(X), model.bic(X), model.transform(X), model.scorer().predict(X), model.mahalanobis(X)
    str(model.summary())
    marginal = model.marginal(np.arange(1500))
    conditional = model.condition(np.arange(1500), X[:5, :1500])
    filled, draws = conditional.mean(), conditional.sample(random_state=0)
    conditional.log_density(X[:5, 1500:])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.6 * 8 * n_features**2  # one matrix of float64 would be larger
    assert len(set(zip(labels.tolist(), y.tolist(), strict=True))) == 3
    assert drawn.shape == (10, n_features)
    assert filled.shape == draws.shape == (5, 1500)
    assert np.corrcoef(filled.ravel(), X[:5, 1500:].ravel())[0, 1] > 0.95
    assert marginal.loadings_.shape == (3, 1500, 2)
    fastgmm.save(model, tmp_path / "model")
    for other in (fastgmm.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert_array_equal(other.score_samples(X), model.score_samples(X))


def test_conditionals_and_marginals_of_loadings_are_those_of_whole_matrices(many):
    X, y = simulated()
    model = GaussianMixture(2, covariance_type="factor", n_factors=2, init_params=y).fit(X)
    whole = GaussianMixture.from_parameters(model.weights_, model.means_, model.covariances_)
    given, free = np.array([7, 0, 5, 11]), np.setdiff1d(np.arange(12), [7, 0, 5, 11])
    ours, theirs = (each.condition(given, X[:6][:, given]) for each in (model, whole))
    assert_allclose(ours.mean(), theirs.mean(), rtol=1e-8)
    assert_allclose(ours.covariance(), theirs.covariance(), rtol=1e-8, atol=1e-10)
    assert_allclose(ours.log_density(X[:6][:, free]), theirs.log_density(X[:6][:, free]), rtol=1e-8)
    assert_allclose(ours[2].covariances_, theirs[2].covariances_, rtol=1e-8, atol=1e-10)
    draws = model.condition(given, X[:1][:, given]).sample(40_000, random_state=0)[0]
    assert_allclose(np.cov(draws.T), theirs.covariance()[0], atol=0.15)
    part = model.marginal([3, 1, 4, 10])
    assert_allclose(part.covariances_, whole.marginal([3, 1, 4, 10]).covariances_, rtol=1e-10)
    assert_allclose(model.marginal(3).covariances_, whole.marginal(3).covariances_, rtol=1e-10)


def test_what_needs_whole_matrices_says_so_or_has_them(many):
    X, y = simulated(300)
    model = GaussianMixture(2, covariance_type="factor", n_factors=2, init_params=y).fit(X)
    assert type(model._fitted_family()) is Sketched
    for name in ("ABQkD", "AjBQD"):
        assert type(gaussian_family(get_covariance(name, 2), 12, 0.0)) is Gaussian
    classifier = {"covariance_type": "factor", "n_factors": 2, "shrinkage": 3.0}
    assert GaussianMixtureClassifier(1, **classifier).fit(X, y).score(X, y) == 1.0


def incomplete(n_samples=900):
    """Return rows that miss values by row, half of their features, everything, or nothing."""
    X, y = simulated(n_samples, noise=(0.5, 1.0))
    rng = np.random.default_rng(1)
    X[rng.uniform(size=X.shape) < 0.15] = np.nan
    X[:100, :6], X[100] = np.nan, np.nan
    return X, y


@pytest.mark.parametrize("cls", [GaussianMixture, StudentMixture])
def test_passes_over_missing_values_are_those_of_whole_matrices(cls):
    X, y = incomplete()
    weight = np.random.default_rng(2).uniform(size=len(X))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"covariance_type": "factor", "n_factors": [2, 0], "init_params": y, "max_iter": 2}
        model = cls(2, **options).fit(np.where(np.isnan(X), 0.0, X))
    state = model._fitted_state()
    rows = ArrayRows(X + 1e4, weight)
    rows.allows_missing = True
    state = replace(state, means=state.means + 1e4)
    ours, theirs = (rows.accumulate(Marginalised(each)) for each in (state, with_whole_matrices(state)))
    factors = state.shape.posterior(state.precisions_cholesky)[0]
    assert_allclose(ours.log_likelihood, theirs.log_likelihood, rtol=1e-10)
    assert_allclose(ours.counts, theirs.counts, rtol=1e-8)
    assert_allclose(ours.sums, theirs.sums, rtol=1e-7, atol=1e-7)
    assert_allclose(ours.scatter[..., :-1], theirs.scatter @ factors, rtol=1e-7, atol=1e-6)
    assert_allclose(ours.scatter[..., -1], np.einsum("kdd->kd", theirs.scatter), rtol=1e-7)
    if cls is StudentMixture:
        assert_allclose(ours.tail_sums, theirs.tail_sums, rtol=1e-8)


def test_what_is_missing_is_expected_and_drawn_as_by_whole_matrices():
    X, y = incomplete()
    model = GaussianMixture(2, covariance_type="factor", n_factors=2, init_params=y, missing="marginalise").fit(X)
    whole = GaussianMixture.from_parameters(model.weights_, model.means_, model.covariances_)
    assert_allclose(model.impute(X), whole.impute(X), rtol=1e-8, atol=1e-8)
    draws = model.impute(np.repeat(X[3:4], 20_000, axis=0), n_draws=1, random_state=0)[0][:, :6]
    theirs = whole.condition(np.flatnonzero(~np.isnan(X[3])), X[3:4][:, ~np.isnan(X[3])])
    missing = np.flatnonzero(np.isnan(X[3]))
    assert_array_equal(missing[:6], np.arange(6))
    assert_allclose(draws.mean(axis=0), theirs.mean()[0, :6], atol=0.08)
    assert_allclose(np.cov(draws.T), theirs.covariance()[0, :6, :6], atol=0.15)


@pytest.mark.parametrize("cls", [GaussianMixture, StudentMixture])
def test_fits_with_missing_values_end_where_those_of_whole_matrices_end(many, monkeypatch, cls):
    X, y = incomplete()
    options = {"covariance_type": "ppca", "n_factors": 2, "init_params": y, "tol": 1e-7, "max_iter": 3000}
    ours = cls(2, missing="marginalise", **options).fit(X)
    assert ours._fitted_family().shape.name == "full"
    assert np.diff(ours.lower_bounds_).min() > -1e-10
    monkeypatch.setattr(sketched, "MANY_FEATURES", 1000)
    theirs = cls(2, missing="marginalise", **options).fit(X)
    assert_allclose(ours.score(X), theirs.score(X), atol=1e-4)
    assert_array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("kind", ["tails", "prior", "matrix prior", "classifier"])
def test_other_fits_end_where_those_of_whole_matrices_end(many, monkeypatch, kind):
    X, y = simulated(noise=(0.5, 0.8))
    options = {"covariance_type": "ppca", "n_factors": 2, "tol": 1e-7, "max_iter": 3000}

    def fitted():
        if kind == "classifier":
            return GaussianMixtureClassifier(1, **options).fit(X, y)
        if kind == "tails":
            return StudentMixture(2, init_params=y, **options).fit(X)
        scale = {"scale": np.eye(12) + 0.5, "dof": 14.0} if kind == "matrix prior" else {"scale": 1.5, "dof": 14.0}
        return GaussianMixture(2, init_params=y, prior=scale, **options).fit(X)

    ours = fitted()
    assert np.diff(ours.lower_bounds_).min() > -1e-10 or kind.endswith("prior")
    monkeypatch.setattr(sketched, "MANY_FEATURES", 1000)
    theirs = fitted()
    assert_allclose(ours.score_samples(X), theirs.score_samples(X), atol=0.05)
    assert_allclose(ours.means_, theirs.means_, atol=0.01)


def test_a_step_under_a_prior_is_one_on_whole_matrices():
    X, y = simulated(400)
    state = few_steps(X, covariance_type="factor", init_params=y, max_iter=2)._fitted_state()
    scale = np.cov(np.random.default_rng(0).normal(size=(12, 40)))
    for matrix in (scale, np.diagonal(scale)):
        prior = ConjugatePrior(2.0, np.full(12, 0.5), 20.0, matrix)
        counts, weights, means = np.array([130.0, 270.0]), np.array([110.0, 260.0]), state.means + 0.3
        factors = state.shape.posterior(state.precisions_cholesky)[0]
        whole = replace(prior, scale=matrix if matrix.ndim == 2 else np.diag(matrix))
        expected, amended = whole.amend(FULL, False, np.zeros((2, 12, 12)), counts, weights, means)
        sketch, diagonal = prior.along(factors, weights, means)
        assert_allclose(sketch, expected @ factors, rtol=1e-10)
        assert_allclose(diagonal, np.einsum("kdd->kd", expected), rtol=1e-12)
        assert_allclose(prior.amended(counts, 12), amended)


@pytest.mark.parametrize("cls", [GaussianMixture, StudentMixture])
def test_streams_of_many_features_learn(many, cls, tmp_path):
    X = simulated(4000, noise=(0.5, 0.8))[0]
    options = {"covariance_type": "factor", "n_factors": 3, "random_state": 0}
    everything = cls(2, **options).fit(X)
    model = cls(2, **options).partial_fit(X[:200])
    first = model.score(X)
    for start in range(200, 4000, 200):
        model.partial_fit(X[start : start + 200])
    assert model._fitted_family().keeps_statistics is False
    assert model.score(X) > first + 0.05
    assert model.score(X) > everything.score(X) - 0.06
    fastgmm.save(model, tmp_path / "model")
    again = fastgmm.load(tmp_path / "model").partial_fit(X[:200])
    assert_array_equal(again.means_, model.partial_fit(X[:200]).means_)


def test_rows_distributed_as_the_model_leave_it_as_it_is(many):
    X, y = simulated(600)
    model = GaussianMixture(2, covariance_type="factor", n_factors=2, init_params=y).fit(X)
    state, family = model._fitted_state(), model._fitted_family()
    found = family.maximise(family.statistics_of(state, 600.0), state)
    assert_allclose(found.shape.full(found.covariances, 2, 12), model.covariances_, rtol=1e-8, atol=1e-8)
    adapted = model.adapt(X[:50] + 0.5, relevance=10.0)
    assert adapted.score(X[:50] + 0.5) > model.score(X[:50] + 0.5)


def test_divergences_of_loadings_are_those_of_whole_matrices():
    X, y = simulated()
    ours = [
        GaussianMixture(2, covariance_type="factor", n_factors=2, init_params=y).fit(X),
        GaussianMixture(3, covariance_type="ppca", n_factors=[3, 0, 1], random_state=0).fit(X + 0.3),
    ]
    theirs = [GaussianMixture.from_parameters(m.weights_, m.means_, m.covariances_) for m in ours]
    assert_allclose(bhattacharyya(*(m._gaussian() for m in ours)), bhattacharyya(*(m._gaussian() for m in theirs)))
    for a, b in ((0, 1), (1, 0), (0, 0)):
        assert_allclose(ours[a].kl_bounds(ours[b]), theirs[a].kl_bounds(theirs[b]), rtol=1e-9, atol=1e-9)
        assert_allclose(ours[a].entropy_bounds(), theirs[a].entropy_bounds(), rtol=1e-10)


@pytest.mark.thread_unsafe(reason="tracemalloc counts the whole process, and stopping it beside another thread crashes")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::fastgmm.exceptions.RegularisationWarning")
def test_thousands_of_features_with_missing_values_and_streams_need_no_matrix_of_them():
    rng = np.random.default_rng(0)
    n_features, y = 3000, np.repeat([0, 1], 40)
    X = rng.normal(size=(2, n_features))[y] + rng.normal(size=(80, 2)) @ rng.normal(size=(2, n_features))
    X += 0.3 * rng.normal(size=X.shape)
    whole, X = X.copy(), X.copy()
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    options = {"covariance_type": "ppca", "n_factors": 2, "random_state": 0}
    tracemalloc.start()
    model = GaussianMixture(2, missing="marginalise", **options).fit(X)
    filled = model.impute(X)
    StudentMixture(2, **options).fit(whole)
    GaussianMixture(2, **options).partial_fit(whole).partial_fit(whole).kl_bounds(model)
    GaussianMixtureClassifier(1, covariance_type="ppca", n_factors=2).fit(X := np.nan_to_num(filled), y).predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.6 * 8 * n_features**2
    missing = filled != whole
    assert np.corrcoef(filled[missing], whole[missing])[0, 1] > 0.9
