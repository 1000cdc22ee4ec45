"""Missing values: published results, EM row by row in long double, and laws of a likelihood of what is there."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from combinations import WORKING, data_for, made
from mixtures import random_parameters, random_rows
from numpy.testing import assert_allclose, assert_array_equal
from row_kinds import without

from fastgmm import (
    BayesianGaussianMixture,
    GaussianMixture,
    GaussianMixtureClassifier,
    GaussianMixtureOutlierDetector,
    GaussianMixtureRegressor,
    GaussianMixtureSearch,
    StudentMixture,
    kernels,
)
from fastgmm.data import ArrayRows, incomplete
from fastgmm.data.e_steps import Incomplete, Plain
from fastgmm.data.incomplete import Marginalised
from fastgmm.exceptions import MissingValuesWarning
from fastgmm.families import COVARIANCES
from fastgmm.model import SufficientStatistics
from fastgmm.model.noise import Box, MixtureWithNoise
from fastgmm.model.student import StudentParameters

DATA = Path(__file__).parent / "data"
REAL = np.longdouble
TO_THE_END = {"reg_covar": 0.0, "tol": 1e-13, "max_iter": 5000, "missing": "marginalise"}


def table(name):
    return np.genfromtxt(DATA / f"{name}.csv", delimiter=",", skip_header=1)


def with_holes(X, share=0.3, seed=0):
    """Return rows with values missing at random, whole rows among them."""
    X = np.array(X)
    X[np.random.default_rng(seed).uniform(size=X.shape) < share] = np.nan
    return X


# Published results.


def test_apples_of_little_and_rubin():
    model = GaussianMixture(**TO_THE_END).fit(table("apple"))
    assert_allclose(model.means_[0], [14.72222, 49.33333], atol=1e-5)
    covariance = model.covariances_[0]
    assert_allclose([covariance[0, 0], covariance[0, 1], covariance[1, 1]], [89.534, -90.697, 114.695], atol=1e-3)
    assert_allclose(18 * model.lower_bound_, -101.785632, atol=1e-6)


def test_cement_of_draper_and_smith():
    model = GaussianMixture(**TO_THE_END).fit(table("missvals"))
    assert_allclose(model.means_[0], [6.655166, 49.965259, 11.769231, 27.047092, 95.423077], atol=1e-6)
    variances = np.diagonal(model.covariances_[0])
    assert_allclose(variances, [21.8256, 238.0124, 37.8698, 294.1830, 208.9049], atol=1e-4)
    assert_allclose(13 * model.lower_bound_, -132.925250, atol=1e-6)


@pytest.mark.parametrize(("covariance_type", "log_likelihood"), [("full", -174.15893804), ("tied", -241.33110195)])
def test_iris_with_holes(covariance_type, log_likelihood):
    X = table("iris")
    i, j = np.indices(X.shape)
    X[(4 * i + j) % 7 == 0] = np.nan
    species = np.repeat([0, 1, 2], 50)
    model = GaussianMixture(3, covariance_type=covariance_type, init_params=species, **TO_THE_END).fit(X)
    assert_allclose(150 * model.lower_bound_, log_likelihood, atol=1e-8)
    assert_allclose(150 * model.score(X), log_likelihood, atol=1e-8)


# Against the mathematics, row by row.


def inverse_and_log_det(matrix):
    """Return the inverse and the log-determinant of a positive definite matrix, in long double."""
    n = len(matrix)
    work, log_det = np.concatenate([np.array(matrix, dtype=REAL), np.eye(n, dtype=REAL)], axis=1), REAL(0)
    for k in range(n):
        log_det += np.log(work[k, k])
        work[k] /= work[k, k]
        for i in range(n):
            if i != k:
                work[i] -= work[i, k] * work[k]
    return work[:, n:], log_det


def oracle(X, weight, weights, means, covariances, dof=None, noise=None):
    """Return counts, sums and scatter about the means, expected row by row, and log densities of rows."""
    n_components, d = means.shape
    counts, sums = np.zeros(n_components, dtype=REAL), np.zeros((n_components, d), dtype=REAL)
    scatter, densities = np.zeros((n_components, d, d), dtype=REAL), []
    for row, w in zip(X, weight, strict=True):
        o, m = np.flatnonzero(~np.isnan(row)), np.flatnonzero(np.isnan(row))
        joint, found = [], []
        for k in range(n_components):
            covariance = covariances[k].astype(REAL)
            precision, log_det = inverse_and_log_det(covariance[np.ix_(o, o)])
            away = row[o].astype(REAL) - means[k, o]
            gain = covariance[np.ix_(m, o)] @ precision
            square, n = away @ precision @ away, len(o)
            value = np.log(REAL(weights[k])) - (log_det + n * np.log(2 * REAL(np.pi)) + square) / 2
            u = REAL(1)
            if dof is not None:
                from scipy.special import gammaln

                value = np.log(REAL(weights[k])) + gammaln((dof[k] + n) / 2) - gammaln(dof[k] / 2) - log_det / 2
                value -= n / 2 * np.log(dof[k] * np.pi) + (dof[k] + n) / 2 * np.log1p(square / dof[k])
                u = (dof[k] + n) / (dof[k] + square)
            whole, rest = np.zeros(d, dtype=REAL), np.zeros((d, d), dtype=REAL)
            whole[o], whole[m] = away, gain @ away
            rest[np.ix_(m, m)] = covariance[np.ix_(m, m)] - gain @ covariance[np.ix_(o, m)]
            joint.append(value)
            found.append((u, whole, rest))
        if noise is not None:
            joint.append(np.log(REAL(noise[0])) - np.log(noise[1][o].astype(REAL)).sum())
        joint = np.array(joint)
        best = joint.max()
        densities.append(best + np.log(np.exp(joint - best).sum()))
        if len(o) == 0:
            continue
        for k, (u, whole, rest) in enumerate(found):
            r = w * np.exp(joint[k] - densities[-1])
            counts[k] += r
            sums[k] += r * u * whole
            scatter[k] += r * (u * np.outer(whole, whole) + rest)
    return counts, sums, scatter, np.array(densities)


def as_kept(scatter, structure):
    if structure == "tied":
        return scatter.sum(axis=0)
    if structure == "full":
        return scatter
    diagonals = np.diagonal(scatter, axis1=1, axis2=2)
    return diagonals if structure == "diag" else diagonals.sum(axis=1)


@pytest.mark.parametrize("worth", [1, 10**9], ids=["by pattern", "by row"])
@pytest.mark.parametrize("kind", ["gaussian", "student", "beside a background"])
@pytest.mark.parametrize("structure", ["full", "tied", "diag", "spherical"])
def test_a_pass_is_that_of_rows_one_by_one(structure, kind, worth, monkeypatch):
    monkeypatch.setattr(incomplete, "rows_worth_a_pass", lambda *sizes: worth)
    rng = np.random.default_rng(3)
    mixture = density = random_parameters(structure, 3, 4, rng)
    X, weight = with_holes(random_rows(mixture, 150, rng), 0.4), rng.uniform(0.2, 2.0, size=150)
    X[7] = np.nan
    dof = noise = None
    if kind == "student":
        dof = np.array([3.0, 5.0, 40.0])
        density = StudentParameters.of(mixture, dof)
    elif kind != "gaussian":
        low, high = np.nanmin(X, axis=0), np.nanmax(X, axis=0)
        noise = 0.2, high - low
        density = MixtureWithNoise(mixture, 0.2, Box(np.eye(4), low, high))
    covariances = mixture.shape.full(mixture.covariances, 3, 4)
    *expected, densities = oracle(X, weight, mixture.weights, mixture.means, covariances, dof, noise)
    statistics = SufficientStatistics.zeros(density.structure, density.means, getattr(density, "tail", None))
    kernels.accumulate(X, weight, Marginalised(density), statistics)
    scatter = as_kept(expected[2], "full" if noise and structure == "tied" else structure)
    assert_allclose(statistics.counts[:3], expected[0].astype(float), rtol=1e-11)
    assert_allclose(statistics.sums[:3], expected[1].astype(float), rtol=1e-11, atol=1e-9)
    own = statistics.scatter[:3] if noise else statistics.scatter
    assert_allclose(own, scatter.astype(float), rtol=1e-10, atol=1e-9)
    present = ~np.isnan(X).all(axis=1)
    assert_allclose(statistics.log_likelihood, float(weight[present] @ densities[present]), rtol=1e-12)
    found = kernels.log_density(X, Marginalised(density), np.empty(len(X)))
    if noise is None:
        densities[~present] = 0.0
        assert_allclose(found, densities.astype(float), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["gaussian", "student", "beside a background"])
def test_tails_and_answers_by_row_are_those_by_pattern(engine, structure, kind, monkeypatch):
    rng = np.random.default_rng(5)
    mixture = density = random_parameters(structure, 3, 5, rng)
    X = with_holes(random_rows(mixture, 300, rng), 0.4)
    if kind == "student":
        density = StudentParameters.of(mixture, np.array([3.0, 5.0, 40.0]))
    elif kind != "gaussian":
        density = MixtureWithNoise(mixture, 0.2, Box(np.eye(5), np.nanmin(X, axis=0), np.nanmax(X, axis=0)))
    statistics, answers = [], []
    for worth in (1, 10**9):
        monkeypatch.setattr(incomplete, "rows_worth_a_pass", lambda *sizes, worth=worth: worth)
        empty = SufficientStatistics.zeros(density.structure, density.means, getattr(density, "tail", None))
        kernels.accumulate(X, None, Marginalised(density), empty)
        statistics.append(empty)
        shares = np.empty((len(X), density.means.shape[0]))
        kernels.responsibilities(X, Marginalised(density), shares)
        answers.append((shares, kernels.assign(X, Marginalised(density), np.empty(len(X), np.int64))))
    for found, expected in zip(statistics[1].totals, statistics[0].totals, strict=True):
        # A background has no sums that mean anything.
        own = slice(0, 3) if found.shape[0] == 4 and found.ndim > 1 else slice(None)
        assert_allclose(found[own], expected[own], rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    assert_allclose(answers[1][0], answers[0][0], rtol=1e-9, atol=1e-12)
    assert_array_equal(answers[1][1], answers[0][1])


@pytest.mark.parametrize("structure", ["full", "tied", "diag", "spherical"])
def test_rows_that_miss_many_values_stand_beside_rows_that_miss_few(structure):
    # Of a few rows, one vector of the kernels holds all: they differ in how many values they miss by up to five.
    rng = np.random.default_rng(8)
    mixture = random_parameters(structure, 2, 6, rng)
    for n_rows in (1, 7, 8, 13):
        X = random_rows(mixture, n_rows, rng)
        for i, row in enumerate(X):
            row[rng.permutation(6)[: i % 6]] = np.nan
        covariances = mixture.shape.full(mixture.covariances, 2, 6)
        *expected, densities = oracle(X, np.ones(n_rows), mixture.weights, mixture.means, covariances)
        statistics = SufficientStatistics.zeros(structure, mixture.means)
        kernels.accumulate(X, None, Marginalised(mixture), statistics)
        assert_allclose(statistics.log_likelihood, float(densities.sum()), rtol=1e-12)
        assert_allclose(statistics.scatter, as_kept(expected[2], structure).astype(float), rtol=1e-9, atol=1e-9)
        found = kernels.log_density(X, Marginalised(mixture), np.empty(n_rows))
        assert_allclose(found, densities.astype(float), rtol=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "VVE", "EII"])
def test_the_gradient_of_the_likelihood_is_zero_in_the_end(covariance_type):
    rng = np.random.default_rng(5)
    X = with_holes(random_rows(random_parameters("full", 2, 3, rng, spread=3.0), 300, rng))
    model = GaussianMixture(2, covariance_type=covariance_type, random_state=0, **TO_THE_END).fit(X)
    state, step = model._fitted_state(), 1e-5

    def mean_log_density(means=state.means, scale=1.0):
        moved = GaussianMixture.from_parameters(
            state.weights, means, state.covariances * scale, covariance_type=covariance_type
        ).set_params(missing="marginalise")
        return moved.score(X)

    for k in range(2):
        for j in range(3):
            at = np.zeros_like(state.means)
            at[k, j] = step
            slope = (mean_log_density(state.means + at) - mean_log_density(state.means - at)) / (2 * step)
            assert abs(slope) < 1e-6
    assert abs(mean_log_density(scale=1 + step) - mean_log_density(scale=1 - step)) / (2 * step) < 1e-6


@pytest.mark.parametrize("covariance_type", [n for n, row in COVARIANCES.items() if row.n_features.stop > 2])
def test_em_never_descends_in_any_family(covariance_type):
    rng = np.random.default_rng(6)
    X = with_holes(random_rows(random_parameters("full", 3, 4, rng, spread=3.0), 400, rng))
    options = {"reg_covar": 0.0, "tol": 1e-8, "max_iter": 200, "missing": "marginalise", "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = GaussianMixture(3, covariance_type=covariance_type, acceleration=None, **options).fit(X)
        quick = GaussianMixture(3, covariance_type=covariance_type, **options).fit(X)
    assert np.diff(plain.lower_bounds_).min() > -1e-12
    assert quick.lower_bound_ > plain.lower_bound_ - 1e-5


# What it comes to in cases that are known.


MIXTURES = ("GaussianMixture", "BayesianGaussianMixture", "StudentMixture")
TAKING = [cell for cell in WORKING if cell[0] in MIXTURES and cell[1] in ("plain", "labelled")]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cell", TAKING, ids="-".join)
def test_where_nothing_is_missing_it_is_the_ordinary_fit(cell):
    data = data_for(*cell[:2], weighted=True)
    model, expected = (
        made(*cell, missing=missing).fit(data["X"], **without(data, "X")) for missing in ("marginalise", "error")
    )
    for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
        assert_array_equal(getattr(model, name), getattr(expected, name))
    assert_array_equal(model.predict_proba(data["X"]), expected.predict_proba(data["X"]))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cell", [c for c in TAKING if c[2] != "background" and c[0] != "StudentMixture"], ids="-".join)
def test_rows_that_miss_everything_are_rows_that_are_not_there(cell):
    data = data_for(*cell[:2], weighted=True)
    X = data["X"].copy()
    X[::5] = np.nan
    absent = {**data, "sample_weight": np.where(np.isnan(X[:, 0]), 0.0, data["sample_weight"])}
    model = made(*cell, missing="marginalise").fit(X, **without(data, "X"))
    expected = made(*cell).fit(data["X"], **without(absent, "X"))
    for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
        assert_allclose(getattr(model, name), getattr(expected, name), rtol=1e-7, atol=1e-7)
    assert_allclose(model.score_samples(data["X"]), expected.score_samples(data["X"]), rtol=1e-5, atol=1e-5)


def test_rows_that_miss_everything_have_density_one_and_the_weights_for_posterior():
    model = GaussianMixture(3, random_state=0, missing="marginalise").fit(table("iris"))
    nothing = np.full((2, 4), np.nan)
    assert_array_equal(model.score_samples(nothing), 0.0)
    assert_allclose(model.predict_proba(nothing), [model.weights_, model.weights_], rtol=1e-12)
    assert_array_equal(model.predict(nothing), model.weights_.argmax())


def test_rows_that_miss_everything_are_not_counted_by_criteria():
    X = table("iris")
    more = np.concatenate([X, np.full((50, 4), np.nan)])
    model = GaussianMixture(2, random_state=0, missing="marginalise").fit(X)
    for criterion in ("aic", "bic", "icl", "score"):
        assert_allclose(getattr(model, criterion)(more), getattr(model, criterion)(X), rtol=1e-12)


def test_one_value_per_column_is_enough():
    X = np.full((6, 3), np.nan)
    X[0, 0], X[1, 1], X[2, 2] = 1.0, 2.0, 3.0
    model = GaussianMixture(covariance_type="diag", reg_covar="auto", missing="marginalise").fit(X)
    assert_allclose(model.means_[0], [1.0, 2.0, 3.0], atol=1e-3)


@pytest.mark.parametrize("names", [None, ["height", "width", "depth"]])
def test_a_column_that_misses_everything_is_named(names):
    X = np.random.default_rng(0).normal(size=(20, 3))
    X[:, 1] = np.nan
    if names is not None:
        X = pytest.importorskip("pandas").DataFrame(X, columns=names)
    with pytest.raises(ValueError, match=r"column (1|'width') of X is missing in every row"):
        GaussianMixture(missing="marginalise").fit(X)


def test_columns_never_seen_together_are_named():
    X = np.random.default_rng(0).normal(size=(40, 3))
    X[:20, 0], X[20:, 2] = np.nan, np.nan
    with pytest.warns(MissingValuesWarning, match="no row of X has both of columns 0 and 2: nothing"):
        GaussianMixture(missing="marginalise").fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", MissingValuesWarning)
        GaussianMixture(covariance_type="diag", reg_covar="auto", missing="marginalise").fit(X)


@pytest.mark.parametrize("estimator", [GaussianMixture, StudentMixture, BayesianGaussianMixture])
def test_nothing_may_be_missing_unless_it_is_asked_for(estimator):
    X = with_holes(table("iris"))
    with pytest.raises(ValueError, match="Input X contains NaN"):
        estimator().fit(X)
    assert not estimator().__sklearn_tags__().input_tags.allow_nan
    assert estimator(missing="marginalise").__sklearn_tags__().input_tags.allow_nan
    X[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        estimator(missing="marginalise").fit(X)


def test_single_precision_is_near_double():
    X = with_holes(table("iris"))
    options = {"n_components": 3, "random_state": 0, "max_iter": 20, "tol": 0.0, "missing": "marginalise"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, expected = GaussianMixture(**options).fit(X.astype(np.float32)), GaussianMixture(**options).fit(X)
    assert model.means_.dtype == model.score_samples(X.astype(np.float32)).dtype == np.float32
    assert_allclose(model.means_, expected.means_, rtol=1e-2)


def test_scaling_the_data_scales_the_answer():
    X = with_holes(table("iris"))
    options = {"n_components": 2, "random_state": 0, **TO_THE_END}
    model, scaled = GaussianMixture(**options).fit(X), GaussianMixture(**options).fit(X * 1024.0)
    assert_allclose(scaled.means_, 1024.0 * model.means_, rtol=1e-6)
    assert_allclose(scaled.predict_proba(X * 1024.0), model.predict_proba(X), atol=1e-6)


def test_the_same_bits_at_any_number_of_threads():
    from fastgmm import config_context

    rng = np.random.default_rng(0)
    X = rng.normal(size=(10_003, 4))
    X[rng.uniform(size=10_003) < 0.5, 1] = np.nan
    X[::3, 2] = np.nan
    found = []
    for n_threads in (1, 2, 7):
        with config_context(n_threads=n_threads), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(GaussianMixture(3, random_state=0, max_iter=5, tol=0.0, missing="marginalise").fit(X))
    for other in found[1:]:
        assert_array_equal(other.covariances_, found[0].covariances_)


# What is asked of models.


def fitted_iris(estimator=GaussianMixture, **options):
    return estimator(n_components=3, random_state=0, missing="marginalise", **options).fit(table("iris"))


@pytest.mark.parametrize("estimator", [GaussianMixture, StudentMixture])
def test_conditioning_on_values_with_holes_is_conditioning_on_those_there_are(estimator):
    model = fitted_iris(estimator)
    values = np.array([[5.0, 3.0, np.nan], [np.nan, 3.1, 1.5], [6.0, 3.0, 4.0], [np.nan] * 3])
    found = model.condition([0, 1, 2], values)
    rows = np.array([[0.3], [0.2], [1.2], [1.0]])
    for i, columns in enumerate(([0, 1], [1, 2], [0, 1, 2])):
        wanted = model.condition(columns, values[i, columns])
        at = [list(range(4))[j] for j in range(4) if j not in columns].index(3)
        assert_allclose(found.mean()[i], wanted.mean()[0, [at]], rtol=1e-10)
        assert_allclose(found.covariance()[i], wanted.covariance()[0][[at]][:, [at]], rtol=1e-10)
        assert_allclose(found[i].score_samples(rows), wanted[0].marginal(at).score_samples(rows), rtol=1e-10)
    assert_allclose(found.log_density(rows)[3], model.marginal(3).score_samples(rows[3:])[0], rtol=1e-10)
    draws = found.sample(4000, random_state=0)
    assert_allclose(np.median(draws[2]), np.median(found[2].sample(4000, random_state=1)[0]), atol=0.05)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_the_predictive_density_is_integrated_over_what_is_missing(covariance_type):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(40, 2)), rng.normal(5.0, 1.0, size=(40, 2))])
    model = BayesianGaussianMixture(
        n_components=2, covariance_type=covariance_type, predictive="student-t", random_state=0, missing="marginalise"
    ).fit(X)
    grid = np.linspace(-300.0, 300.0, 60_001)
    for row in ([1.0, np.nan], [np.nan, 4.0]):
        filled = np.where(np.isnan(row), grid[:, None], row)
        expected = np.log(np.exp(model.score_samples(filled)).sum() * (grid[1] - grid[0]))
        assert_allclose(model.score_samples([row])[0], expected, atol=1e-4)


def test_rows_with_holes_are_as_often_outliers_as_others():
    rng = np.random.default_rng(0)
    X = rng.multivariate_normal([0.0, 0.0, 0.0], [[2.0, 1.0, 0.5], [1.0, 2.0, 0.3], [0.5, 0.3, 1.0]], size=4000)
    X[rng.uniform(size=X.shape) < 0.3] = np.nan
    far = X[:100].copy()
    far[:, 0], far[:, 1] = 9.0, -9.0
    training = np.concatenate([X, far])
    for robust in ("trimming", "noise", None):
        model = GaussianMixtureOutlierDetector(1, robust=robust, random_state=0, missing="marginalise")
        pvalues = model.fit(X if robust is None else training).pvalue(X)
        for n_missing in (0, 1, 2):
            some = np.isnan(X).sum(axis=1) == n_missing
            assert_allclose((pvalues[some] < 0.1).mean(), 0.1, atol=0.03)
        assert (model.predict(far) == -1).all()
        assert_allclose((model.predict(X) == -1).mean(), 0.01, atol=0.008)


def test_a_row_is_regressed_on_what_it_has():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 2)) @ [[1.0, 0.6], [0.0, 0.8]]
    y = X @ [1.0, 2.0] + 0.1 * rng.normal(size=500)
    X = with_holes(X, 0.2)
    model = GaussianMixtureRegressor(1, missing="marginalise").fit(X, y)
    assert_allclose(model.predict([[1.0, 1.0]]), [3.0], atol=0.05)
    # Where x_2 is missing it is 0.6 x_1 in the mean, x_1 then 0.6 x_2.
    assert_allclose(model.predict([[1.0, np.nan], [np.nan, 1.0], [np.nan] * 2]), [2.2, 2.6, y.mean()], atol=0.1)
    spread = model.predict_covariance([[1.0, 1.0], [1.0, np.nan], [np.nan, np.nan]])
    assert (np.diff(spread) > 0.1).all()
    assert np.isfinite(model.log_density(X, y)).all()
    assert model.score(X, y) > 0.7


def test_a_row_is_classified_by_what_it_has():
    X, y = with_holes(table("iris"), 0.3), np.repeat([0, 1, 2], 50)
    model = GaussianMixtureClassifier(missing="marginalise", random_state=0).fit(X, y)
    assert model.score(X, y) > 0.9
    prior = model.predict_proba(np.full((1, 4), np.nan))
    assert_allclose(prior, [model.priors_], rtol=1e-6)
    by_two = model.predict_proba([[np.nan, np.nan, 1.4, 0.2]])
    assert_allclose(by_two[0], [1.0, 0.0, 0.0], atol=1e-3)


@pytest.mark.filterwarnings("ignore::fastgmm.exceptions.SelectionWarning")
@pytest.mark.parametrize("criterion", ["bic", "cv_log_likelihood"])
def test_a_search_finds_what_rows_with_holes_are_of(criterion):
    rng = np.random.default_rng(2)
    X = np.concatenate([rng.normal(size=(150, 3)), rng.normal(6.0, 1.0, size=(150, 3))])
    X = np.concatenate([with_holes(X), np.full((3, 3), np.nan)])
    search = GaussianMixtureSearch([1, 2, 3], ["EII", "VVV"], criterion=criterion, missing="marginalise").fit(X)
    assert search.best_params_["n_components"] == 2
    best = search.best_estimator_
    assert_allclose(search.results_["bic"][search.results_["score"].index(search.best_score_)], best.bic(X), rtol=1e-9)


def test_distances_are_those_in_the_features_a_row_has():
    model = fitted_iris()
    X = with_holes(table("iris"))[:20]
    found = model.mahalanobis(X)
    for i, row in enumerate(X):
        has = np.flatnonzero(~np.isnan(row))
        if len(has):
            assert_allclose(found[i], model.marginal(has).mahalanobis(row[None, has])[0], rtol=1e-9)


def test_statistics_are_those_of_a_pass():
    X, model = with_holes(table("iris")), fitted_iris()
    statistics = model.statistics(X)
    assert_allclose(statistics.log_likelihood, model.score_samples(X).sum(), rtol=1e-12)
    assert_allclose(statistics.counts.sum(), (~np.isnan(X).all(axis=1)).sum(), rtol=1e-12)


# Streams.


def test_a_stream_of_batches_with_holes_learns():
    rng = np.random.default_rng(1)
    model = GaussianMixture(2, random_state=0, missing="marginalise")
    for _ in range(40):
        batch = rng.normal(size=(200, 3)) + rng.choice([-4.0, 4.0], size=(200, 1))
        batch[rng.uniform(size=batch.shape) < 0.3] = np.nan
        model.partial_fit(batch)
    assert_allclose(np.sort(model.means_, axis=0), [[-4.0] * 3, [4.0] * 3], atol=0.15)
    assert_allclose(model.covariances_, np.array([np.eye(3)] * 2), atol=0.15)


def test_passes_are_counted_over_rows_that_have_something():
    X = np.array([[1.0, np.nan], [np.nan, np.nan], [2.0, 3.0]])
    passes = Incomplete(Plain()).prepare(ArrayRows(X, np.array([1.0, 0.0, 1.0])))
    assert passes.total_weight == 2.0


def test_a_background_alone_has_the_same_density_at_rows_of_rare_patterns():
    """Asked for by itself, it leaves no component to any kernel."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(400, 4))
    X[rng.random(X.shape) < 0.4] = np.nan
    X = X[~np.isnan(X).all(axis=1)]
    for model in (
        GaussianMixture(2, noise=0.1, missing="marginalise", random_state=0),
        StudentMixture(2, noise=0.1, missing="marginalise", random_state=0),
    ):
        joint = model.fit(X).component_log_density(X)
        assert_allclose(np.logaddexp.reduce(joint, axis=1), model.score_samples(X), rtol=1e-9)
