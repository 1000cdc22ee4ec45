"""Components with factors in many features: statistics along the loadings, and no D x D matrix anywhere."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from test_low_rank import simulated

import fastgmm
from fastgmm import GaussianMixture
from fastgmm.data import ArrayRows, batches
from fastgmm.families import Gaussian, get_covariance, sketched
from fastgmm.families.sketched import Sketched, gaussian_family
from fastgmm.model.parameters import with_whole_matrices

REGRESSIONS = ("factor", "ppca", "hddc", "UCU", "UCC", "UCUU", "UUCU")


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


@pytest.mark.parametrize("name", REGRESSIONS)
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


@pytest.mark.parametrize("name", ["factor", "ppca", "hddc", "UCU", "UCC"])
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
    with pytest.raises(ValueError, match="partial_fit and adapt take up to 10 features"):
        model.partial_fit(X)
    # A prior's matrix is whole, and so is the scatter it is added to.
    assert type(gaussian_family(get_covariance("factor", 2), 12, 0.0, 0.0, object())) is Gaussian
    for name in ("ABQkD", "CUU"):
        assert type(gaussian_family(get_covariance(name, 2), 12, 0.0)) is Gaussian
