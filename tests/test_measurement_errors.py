"""Rows measured with errors: extreme deconvolution gives the mixture of the true values."""

import csv
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from mixtures import random_parameters, random_rows
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from fastgmm import GaussianMixture, StudentMixture, config_context, kernels
from fastgmm.data import ArrayRows, batches, parquet, sliced
from fastgmm.data.e_steps import ERRORS, LABELS, Labelled, Plain, WithErrors
from fastgmm.data.e_steps.errors import components_of_true_values
from fastgmm.model import MixtureParameters, SufficientStatistics
from fastgmm.model.errors import of_true_values

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
DATA = Path(__file__).parent / "data"
STATISTICS = ("counts", "sums", "scatter")


def galaxies(band):
    """Return line widths and magnitudes of the Tully-Fisher galaxies, and the variances of their errors."""
    with (DATA / "tully_fisher.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row[band]]
    values = [[float(row["logW20"]) - 2.5, float(row[band])] for row in rows]
    errors = [[float(row["logW20_err"]), float(row[f"{band}_err"])] for row in rows]
    return np.array(values), np.square(errors)


def problem(structure="full", n=400, d=4, k=3, seed=0, dtype=np.float64):
    """Return a mixture, rows measured with errors, variances of these and covariances of others."""
    rng = np.random.default_rng(seed)
    p = random_parameters(structure, k, d, rng)
    X = random_rows(p, n, rng, dtype)
    variances = rng.gamma(1.0, size=(n, d)).astype(dtype)
    axes = rng.normal(size=(n, d, d))
    return p, X, variances, (axes @ axes.transpose(0, 2, 1) / d).astype(dtype)


def passed(p, X, errors, weight=None, **options):
    """Return the statistics of one pass."""
    errors = np.asarray(errors)
    rows = ArrayRows(X, weight, {ERRORS: errors, **options.pop("along", {})})
    return WithErrors(**options).prepare(rows).accumulate(p)


def assert_same(found, expected, rtol=1e-10):
    for name in STATISTICS:
        wanted = np.asarray(getattr(expected, name))
        assert_allclose(getattr(found, name), wanted, rtol=rtol, atol=rtol * np.abs(wanted).max(), err_msg=name)
    assert_allclose(found.log_likelihood, expected.log_likelihood, rtol=rtol)


def oracle(p, X, errors, weight=None, labels=None):
    """Return the statistics of one pass row by row, by the formulas of the paper, over what was measured."""
    k, d = p.means.shape
    V = p.shape.full(p.covariances, k, d).astype(np.longdouble)
    statistics = SufficientStatistics.zeros("full", p.means)
    for n, (x, S) in enumerate(zip(X.astype(np.longdouble), errors, strict=True)):
        S = np.diag(S) if S.ndim == 1 else S
        o = np.isfinite(np.diag(S))
        T = V[:, o][:, :, o] + S[o][:, o]
        inverse = np.linalg.inv(T.astype(float)).astype(np.longdouble)
        for _ in range(3):  # to long double
            inverse = inverse @ (2 * np.eye(o.sum()) - T @ inverse)
        away = x[o] - p.means[:, o]
        g = np.einsum("kij,kj->ki", inverse, away)
        log_det = np.linalg.slogdet(T.astype(float))[1]
        joint = np.log(p.weights) - 0.5 * ((g * away).sum(axis=1) + log_det + o.sum() * np.log(2 * np.pi))
        if labels is not None and labels[n] >= 0:
            joint[np.arange(k) != labels[n]] = -np.inf
        density = joint.max() + np.log(np.exp(joint - joint.max()).sum())
        w = 1.0 if weight is None else weight[n]
        r = w * np.exp(joint - density)
        b = np.einsum("kij,kj->ki", V[:, :, o], g)
        B = V - V[:, :, o] @ inverse @ V[:, o]
        statistics.log_likelihood += w * density
        statistics.counts += r
        statistics.sums += r[:, None] * b
        statistics.scatter += r[:, None, None] * (b[:, :, None] * b[:, None, :] + B)
    return kept(statistics, p)


def kept(statistics, p):
    """Return whole scatter as the shape of p keeps it."""
    shape = p.shape
    parts = [shape.features_per_variance(p.n_features) * shape.of_matrix(S) for S in statistics.scatter]
    return SufficientStatistics(
        p.structure,
        statistics.centres,
        statistics.counts,
        statistics.sums,
        shape.tie(np.array(parts)),
        float(statistics.log_likelihood),
    )


@pytest.mark.parametrize("kind", ["variances", "covariances"])
@pytest.mark.parametrize("holes", [False, True])
def test_a_pass_is_the_papers(structure, kind, holes):
    for d, n in ((1, 60), (2, 90), (4, 150), (7, 90), (11, 90), (17, 50)):
        p, X, variances, covariances = problem(structure, n, d, 3, seed=d)
        errors, rng = {"variances": variances, "covariances": covariances}[kind].copy(), np.random.default_rng(d)
        if holes:
            X, missing = X.copy(), rng.uniform(size=X.shape) < 0.3
            X[missing] = np.nan
            if kind == "variances":
                errors[missing] = np.inf
            else:
                errors[:, np.arange(d), np.arange(d)] += np.where(missing, np.inf, 0.0)
        weight, labels = rng.integers(0, 3, n).astype(float), rng.integers(-1, 3, n)
        assert_same(passed(p, X, errors), oracle(p, X, errors))
        known = Labelled(tuple(slice(k, k + 1) for k in range(3)))
        found = passed(p, X, errors, weight, along={LABELS: labels}, known=known)
        assert_same(found, oracle(p, X, errors, weight, labels))


def test_errors_of_zero_are_none(structure):
    p, X, variances, _ = problem(structure)
    for weight in (None, variances[:, 0].copy()):
        assert_same(passed(p, X, np.zeros_like(variances), weight), Plain().prepare(ArrayRows(X, weight)).accumulate(p))


def test_one_covariance_of_all_rows_is_that_of_each(structure):
    p, X, variances, covariances = problem(structure)
    weight = variances[:, 1].copy()
    for S, each in (
        (covariances[0], np.tile(covariances[0], (len(X), 1, 1))),
        (np.diag(variances[0]), np.tile(variances[0], (len(X), 1))),
    ):
        assert_same(WithErrors(S).prepare(ArrayRows(X, weight)).accumulate(p), passed(p, X, each, weight))


def test_the_same_bits_at_any_number_of_threads(structure, dtype):
    p, X, variances, covariances = problem(structure, 10_003, 5, 4, dtype=dtype)
    variances[::7, 2] = np.inf
    for errors in (variances, covariances):
        found = []
        for n_threads in (1, 2, 7):
            with config_context(n_threads=n_threads):
                found.append(passed(p, X, errors))
        for other in found[1:]:
            assert other.log_likelihood == found[0].log_likelihood
            for name in STATISTICS:
                assert_array_equal(getattr(other, name), getattr(found[0], name))


def test_engines_agree(structure, dtype):
    rng = np.random.default_rng(3)
    for d in (2, 3, 8, 9, 20):
        p, X, variances, covariances = problem(structure, 700, d, 5, seed=d, dtype=dtype)
        variances[rng.uniform(size=variances.shape) < 0.1] = np.inf
        for errors in (variances, covariances):
            with config_context(engine="plain"):
                expected = passed(p, X, errors)
            assert_same(passed(p, X, errors), expected, rtol=1e-11)
            components = components_of_true_values(p, errors.ndim == 2 and not p.shape.is_matrix)
            for question, out in (
                ("log_density", np.empty(700, dtype)),
                ("responsibilities", np.empty((700, 5), dtype)),
                ("assign", np.empty(700, np.int64)),
            ):
                with config_context(engine="plain"):
                    expected = kernels.answer_with_errors(question, X, errors, components, out.copy())
                found = kernels.answer_with_errors(question, X, errors, components, out.copy())
                tolerance = 1e-11 if dtype == np.float64 else 1e-6
                assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("engine", ["auto", "plain"])
def test_without_errors_rows_are_completed_where_they_have_nan(engine, structure):
    p, X, variances, _ = problem(structure)
    missing = variances < 0.3
    X[missing] = np.nan
    for diagonal in (False, *[True] * (not p.shape.is_matrix)):
        components = components_of_true_values(p, diagonal)
        whole = replace(p, structure="diag" if diagonal else "full", covariances=components[2])
        found = []
        for errors in (None, np.where(missing, np.inf, 0.0)):
            found.append(SufficientStatistics.zeros(whole.structure, p.means))
            with config_context(engine=engine):
                kernels.accumulate_with_errors(X, errors, None, None, components, found[-1])
        # Without errors rows are completed at once.
        assert_same(found[0], of_true_values(found[1], whole), rtol=1e-11)


def test_rows_side_by_side_may_miss_different_numbers_of_values(dtype):
    rng = np.random.default_rng(0)
    for n, d in ((1, 2), (2, 4), (3, 9), (8, 5), (9, 3), (21, 12)):
        p, X, _, _ = problem(n=max(n, 2), d=d, seed=n, dtype=dtype)
        X = X[:n].copy()
        if n > 1:
            X[rng.uniform(size=X.shape) < 0.5] = np.nan
        components, found = components_of_true_values(p, False), []
        for engine in ("auto", "plain"):
            with config_context(engine=engine):
                found.append(SufficientStatistics.zeros("full", p.means))
                kernels.accumulate_with_errors(X, None, None, None, components, found[-1])
                shares = kernels.answer_with_errors("responsibilities", X, None, components, np.empty((n, 3), dtype))
            assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-6)
        assert_same(*found, rtol=1e-11)


def test_rows_beyond_every_component_count_for_nothing():
    p, X, variances, _ = problem(n=50, d=3)
    X[7] = 1e300
    found = passed(p, X, variances)
    assert found.log_likelihood == -np.inf
    rest = np.arange(50) != 7
    expected = passed(p, X[rest], variances[rest])
    for name in STATISTICS:
        assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12, atol=1e-12)


# Fits.


@pytest.mark.parametrize(
    ("band", "slope", "zero_point"),
    [("B", -8.04, -19.77), ("V", -8.86, -20.33), ("R", -8.79, -20.64), ("I", -9.26, -21.12), ("H", -11.03, -21.73)],
)
def test_the_tully_fisher_relation_is_the_one_published(band, slope, zero_point):
    X, errors = galaxies(band)
    model = GaussianMixture(1, reg_covar=0.0, tol=1e-5, acceleration=None, max_iter=1000).fit(X, errors=errors)
    axis = np.linalg.eigh(model.covariances_[0])[1][:, 1]
    found = axis[1] / axis[0]
    # They stopped by the same rule at another start: what is printed is theirs to two units of the last digit.
    assert_allclose([found, model.means_[0, 1] - found * model.means_[0, 0]], [slope, zero_point], atol=0.025)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "VVE", "EEI"])
def test_a_fit_with_errors_of_zero_is_the_ordinary_one(covariance_type, dtype):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(900, 3)) + 4.0 * rng.integers(3, size=(900, 1))).astype(dtype)
    options = {"covariance_type": covariance_type, "random_state": 0, "tol": 0.0, "max_iter": 15, "acceleration": None}
    plain = GaussianMixture(3, **options).fit(X, sample_weight=np.arange(900) % 4)
    model = GaussianMixture(3, **options).fit(X, sample_weight=np.arange(900) % 4, errors=np.zeros_like(X))
    tolerance = 1e-8 if dtype == np.float64 else 1e-4
    for name in ("weights_", "means_", "covariances_"):
        assert_allclose(getattr(model, name), getattr(plain, name), rtol=tolerance, atol=tolerance)


def test_errors_that_all_rows_have_widen_the_covariances():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(2000, 2)) * [2.0, 1.5] + np.where(rng.uniform(size=(2000, 1)) < 0.4, 0.0, 9.0)
    options = {"n_components": 2, "random_state": 0, "tol": 1e-13, "max_iter": 2000, "reg_covar": 0.0}
    plain = GaussianMixture(**options).fit(X)
    for errors in (np.full(X.shape, 0.25), 0.25 * np.eye(2)):
        model = GaussianMixture(**options).fit(X, errors=errors)
        assert_allclose(model.covariances_ + 0.25 * np.eye(2), plain.covariances_, atol=2e-5)
        assert_allclose(model.means_, plain.means_, atol=2e-5)
        assert_allclose(model.score(X, errors=errors), plain.score(X), atol=1e-9)


@pytest.mark.parametrize("accelerated", [None, "quasi-newton"])
def test_the_likelihood_of_what_was_measured_never_falls(accelerated):
    _, X, variances, covariances = problem(n=600)
    for errors in (variances, covariances, covariances[0]):
        model = GaussianMixture(3, random_state=0, tol=0.0, max_iter=40, reg_covar=0.0, acceleration=accelerated)
        model.fit(X, errors=errors)
        assert np.diff(model.lower_bounds_).min() > -1e-10
        assert model.score(X, errors=errors) >= model.lower_bound_ - 1e-10


def test_the_mixture_of_the_true_values_is_recovered():
    rng = np.random.default_rng(5)
    n = 20_000
    weights, means = np.array([0.3, 0.7]), np.array([[0.0, 0.0], [3.0, 1.0]])
    covariances = np.array([[[1.0, 0.6], [0.6, 0.5]], [[0.3, -0.2], [-0.2, 0.8]]])
    truth = GaussianMixture.from_parameters(weights, means, covariances)
    errors = rng.gamma(1.0, size=(n, 2))
    errors[rng.uniform(size=(n, 2)) < 0.1] = np.inf
    X, _ = truth.sample(n, random_state=0, errors=errors)
    assert_array_equal(np.isnan(X), np.isinf(errors))
    model = GaussianMixture(2, random_state=0, tol=1e-8, max_iter=500, reg_covar=0.0).fit(X, errors=errors)
    order = np.argsort(model.means_[:, 0])
    within = 10.0 / np.sqrt(n)
    assert_allclose(model.weights_[order], weights, atol=within)
    assert_allclose(model.means_[order], means, atol=within)
    assert_allclose(model.covariances_[order], covariances, atol=within)
    # An ordinary fit finds the widths of what was measured.
    seen = np.isfinite(errors).all(axis=1)
    wide = GaussianMixture(2, random_state=0).fit(X[seen])
    assert np.linalg.det(wide.covariances_).min() > 2 * np.linalg.det(covariances).max()


def test_an_integer_weight_is_a_repeated_row():
    _, X, variances, _ = problem(n=200)
    weight = np.arange(200) % 3
    start = {"means_init": X[:3], "random_state": 0, "tol": 0.0, "max_iter": 5, "init_params": np.arange(200) // 3 % 3}
    model = GaussianMixture(3, **start).fit(X, sample_weight=weight, errors=variances)
    start["init_params"] = np.repeat(np.arange(200) // 3 % 3, weight)
    repeated = GaussianMixture(3, **start).fit(
        np.repeat(X, weight, axis=0), errors=np.repeat(variances, weight, axis=0)
    )
    assert_allclose(model.means_, repeated.means_, rtol=1e-9)
    assert_allclose(model.covariances_, repeated.covariances_, rtol=1e-9)


def test_labelled_rows_stay_in_their_component():
    _, X, variances, _ = problem(n=300)
    labels = np.where(np.arange(300) % 2, np.arange(300) % 3, -1)
    options = {"random_state": 0, "tol": 0.0, "max_iter": 5}
    zero = GaussianMixture(3, **options).fit(X, labels=labels, errors=np.zeros_like(X))
    plain = GaussianMixture(3, **options).fit(X, labels=labels)
    assert_allclose(zero.means_, plain.means_, rtol=1e-8)
    one = GaussianMixture(3, **options).fit(X, labels=labels, errors=np.diag(variances[0]))
    each = GaussianMixture(3, **options).fit(X, labels=labels, errors=np.tile(variances[0], (300, 1)))
    assert_allclose(one.means_, each.means_, rtol=1e-8)


# Questions.


def fitted(structure="full", **options):
    p, X, variances, covariances = problem(structure, **options)
    model = GaussianMixture.from_parameters(p.weights, p.means, p.covariances, covariance_type=structure)
    return model, X, variances, covariances


def test_questions_with_errors_of_zero_are_the_ordinary_ones(structure):
    model, X, variances, covariances = fitted(structure)
    for errors in (np.zeros_like(variances), np.zeros_like(covariances), np.zeros((4, 4))):
        for name in ("score_samples", "predict_proba", "predict", "score", "aic", "bic"):
            question = getattr(model, name)
            assert_allclose(question(X, errors=errors), question(X), rtol=1e-9, atol=1e-9)
        means, left = model.denoise(X, errors)
        assert_allclose(means, X, atol=1e-9)
        assert_allclose(left, 0.0, atol=1e-9)


def test_errors_widen_the_density_of_a_row(structure):
    model, X, variances, covariances = fitted(structure)
    V = model._covariance.shape.full(model.covariances_, 3, 4)
    for errors, S in ((variances[5], np.diag(variances[5])), (covariances[5], covariances[5])):
        wider = GaussianMixture.from_parameters(model.weights_, model.means_, V + S)
        for name in ("score_samples", "predict_proba", "predict"):
            found = getattr(model, name)(X[5:6], errors=errors[None])
            assert_allclose(found, getattr(wider, name)(X[5:6]), rtol=1e-10)


def test_what_was_not_measured_has_no_part_in_the_answer():
    model, X, variances, covariances = fitted()
    X, variances, covariances = X.copy(), variances.copy(), covariances.copy()
    X[:, 1] = np.nan
    variances[:, 1] = covariances[:, 1, 1] = np.inf
    rest = [0, 2, 3]
    part = model.marginal(rest)
    for errors, others in ((variances, variances[:, rest]), (covariances, covariances[:, rest][:, :, rest])):
        assert_allclose(
            model.score_samples(X, errors=errors), part.score_samples(X[:, rest], errors=others), rtol=1e-10
        )
        means, left = model.denoise(X, errors)
        found, small = part.denoise(X[:, rest], others)
        assert_allclose(means[:, rest], found, rtol=1e-9)
        assert_allclose(left[:, rest][:, :, rest], small, rtol=1e-9, atol=1e-12)
        assert (left[:, 1, 1] > 0).all()


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_missing_values_may_be_nan_beside_errors(covariance_type):
    p, X, variances, covariances = problem(covariance_type, k=2)
    missing = np.random.default_rng(0).uniform(size=X.shape) < 0.2
    start = {
        "weights_init": p.weights,
        "means_init": p.means,
        "precisions_init": p.shape.precisions(p.precisions_cholesky),
    }
    holed, options = np.where(missing, np.nan, X), {**start, "tol": 0.0, "max_iter": 4}
    for errors in (variances, covariances, np.diag(variances[0])):
        model = GaussianMixture(2, covariance_type=covariance_type, missing="marginalise", **options)
        model.fit(holed, errors=errors)
        whole = np.broadcast_to(errors, (len(X), 4, 4)) if errors.shape == (4, 4) else errors
        given = without(whole, missing)
        expected = GaussianMixture(2, covariance_type=covariance_type, **options).fit(X, errors=given)
        assert_allclose(model.means_, expected.means_, rtol=1e-7)
        found = model.score_samples(holed, errors=errors)
        assert_allclose(found, expected.score_samples(X, errors=given), rtol=1e-7)


def without(errors, missing):
    """Return errors that are infinite for missing values."""
    errors = np.array(errors)
    (errors if errors.ndim == 2 else np.einsum("ndd->nd", errors))[missing] = np.inf
    return errors


def test_denoising_is_conditioning_the_true_values_on_the_measured_ones():
    model, X, _, covariances = fitted()
    V, S = model.covariances_, covariances[0]
    # True values beside measured ones, as one mixture.
    together = GaussianMixture.from_parameters(
        model.weights_, np.tile(model.means_, 2), np.array([np.block([[v, v], [v, v + S]]) for v in V])
    )
    expected = together.condition([4, 5, 6, 7], X)
    for errors in (S, np.tile(S, (len(X), 1, 1))):
        means, left = model.denoise(X, errors)
        assert_allclose(means, expected.mean(), rtol=1e-8)
        assert_allclose(left, expected.covariance(), rtol=1e-7, atol=1e-9)


def test_conditioning_on_measured_values():
    model, X, variances, _ = fitted(n=40)
    given, free = [0, 2], [1, 3]
    values, errors = X[:, given], variances[:, given]
    found = model.condition(given, values, errors=errors)
    for row in (0, 17):
        V = model.covariances_.copy()
        V[:, given, given] += errors[row]
        wider = GaussianMixture.from_parameters(model.weights_, model.means_, V)
        expected = wider.condition(given, values[row])
        assert_allclose(found.mean()[row], expected.mean()[0], rtol=1e-10)
        assert_allclose(found.covariance()[row], expected.covariance()[0], rtol=1e-9)
        assert_allclose(found[row].score_samples(X[:1, free]), expected[0].score_samples(X[:1, free]), rtol=1e-9)
        common = model.condition(given, values[row : row + 1], errors=np.diag(errors[row]))
        assert_allclose(common.mean()[0], expected.mean()[0], rtol=1e-10)
    each = [found[row].score_samples(X[row : row + 1, free])[0] for row in range(40)]
    assert_allclose(found.log_density(X[:, free]), each, rtol=1e-9)
    draws = found.sample(20_000, random_state=0)
    assert_allclose(draws.mean(axis=1), found.mean(), atol=0.1)
    assert_allclose(np.cov(draws[3].T), found.covariance()[3], rtol=0.1, atol=0.05)


def test_samples_are_measured_with_their_errors():
    model = GaussianMixture.from_parameters([1.0], [[1.0, 2.0]], [[[1.0, 0.0], [0.0, 1.0]]])
    S = np.array([[2.0, 1.0], [1.0, 3.0]])
    n = 40_000
    for errors in (S, np.tile(S, (n, 1, 1))):
        X, y = model.sample(n, random_state=0, errors=errors)
        assert X.shape == (n, 2)
        assert y.shape == (n,)
        assert_allclose(np.cov(X.T), S + np.eye(2), atol=0.1)


# What is refused.


def refused(match, error=ValueError):
    return pytest.raises(error, match=match)


def test_errors_that_are_none_are_refused():
    model, X, variances, covariances = fitted(n=30)
    for errors, match in (
        (variances[:-1], r"errors have shape \(29, 4\); expected variances .* = \(30, 4\), covariances"),
        (-variances, r"errors, row 0, feature 0: a variance of -.*; expected a number of at least 0"),
        (np.where(variances == variances[3, 2], np.nan, variances), "errors, row 3, feature 2: a variance of nan"),
        (covariances - 5.0 * np.eye(4), "a variance of -"),
        (covariances * np.tri(4), "errors, row 0, are not a covariance"),
        (np.eye(4) + 3.0 * np.eye(4)[::-1], "errors, row 0, are not a covariance; .* squared"),
        (np.full((30, 4), "a"), "errors have dtype"),
        (np.diag([1.0, np.inf, 1.0, 1.0]), "never measured; leave it out"),
    ):
        with refused(match):
            GaussianMixture(2).fit(X, errors=errors)
        with refused(match):
            model.score_samples(X, errors=errors)


def test_a_shape_that_can_be_read_in_two_ways_is_refused():
    model, X, variances, _ = fitted()
    with refused("as many rows as features"):
        model.predict(X[:4], errors=np.eye(4))
    assert_array_equal(model.predict(X[:4], errors=variances[:4]), model.predict(X, errors=variances)[:4])


def test_what_errors_do_not_go_with_is_refused():
    _, X, variances, _ = problem()
    with refused("errors are given and noise is 0.1; expected one of the two"):
        GaussianMixture(2, noise=0.1).fit(X, errors=variances)
    with refused("errors are given and X is a source, batches; denoise answers for rows in memory only"):
        GaussianMixture(2, random_state=0).fit(X).denoise(batches(lambda: iter([X])), variances)
    with refused(r"errors are given, trim is 0\.1 and likelihood 'mixture'; expected errors=None"):
        GaussianMixture(2, trim=0.1).fit(X, errors=variances)
    noisy = GaussianMixture(2, noise=0.1, random_state=0).fit(X)
    with refused("errors are given to predict of a model with a background"):
        noisy.predict(X, errors=variances)
    with refused("unexpected keyword argument 'errors'", TypeError):
        StudentMixture(2).fit(X, errors=variances)
    X[3, 1] = np.nan
    with refused("NaN"):
        GaussianMixture(2).fit(X, errors=variances)
    with refused("NaN"):
        GaussianMixture(2, random_state=0).fit(X[4:]).predict(X, errors=variances)


def test_names_of_columns_are_kept():
    pd = pytest.importorskip("pandas")
    _, X, variances, _ = problem(d=2)
    variances[3, 1] = np.inf
    frame = pd.DataFrame(X, columns=["width", "magnitude"])
    frame.iloc[3, 1] = np.nan
    model = GaussianMixture(2, random_state=0).fit(frame, errors=pd.DataFrame(variances))
    assert model.feature_names_in_.tolist() == ["width", "magnitude"]
    assert model.predict(frame, errors=variances).shape == (400,)
    assert_array_equal(model.condition("width", frame[["width"]], errors=variances[:, :1]).mean().shape, (400, 1))


def test_inputs_are_left_as_they_are():
    _, X, variances, covariances = problem()
    variances[2, 1] = np.inf
    X[2, 1] = np.nan
    for array in (X, variances, covariances):
        array.flags.writeable = False
    model = GaussianMixture(2, random_state=0).fit(X, errors=variances)
    model.denoise(X, variances)
    assert isinstance(model._density(), MixtureParameters)


# Rows that lie elsewhere, and rows that have the same errors.


def sources_of(X, errors, tmp_path):
    """Return the same rows as sources, each with what is to be given as `errors` beside it."""
    da, pa = pytest.importorskip("dask.array"), pytest.importorskip("pyarrow")
    dd, pd = pytest.importorskip("dask.dataframe"), pytest.importorskip("pandas")
    import pyarrow.parquet

    names, spread = ["a", "b", "c", "d"], ["sa", "sb", "sc", "sd"]
    columns = {name: np.concatenate([X, errors], axis=1)[:, j] for j, name in enumerate(names + spread)}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "rows.parquet")
    parts = [slice(0, 130), slice(130, None)]

    def frame(values, names):
        return dd.from_pandas(pd.DataFrame(values, columns=names), npartitions=3)

    return {
        "batches": (batches(lambda: iter([X[part] for part in parts])), errors),
        "pairs": (batches(lambda: ({"X": X[part], "errors": errors[part]} for part in parts)), None),
        "sliced": (sliced(X, errors=errors), None),
        "parquet": (parquet(tmp_path / "rows.parquet", names, errors=spread), None),
        "dask": (da.from_array(X, chunks=(150, 4)), errors),
        "two dask arrays": (da.from_array(X, chunks=(150, 4)), da.from_array(errors, chunks=(90, 4))),
        "dask frames": (frame(X, names), frame(errors, names)),
    }


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_a_source_is_measured_as_its_rows_are(covariance_type, tmp_path):
    p, X, variances, _ = problem(covariance_type, k=2)
    missing = np.random.default_rng(2).uniform(size=X.shape) < 0.1
    X, variances = np.where(missing, np.nan, X), np.where(missing, np.inf, variances)
    precisions = p.shape.precisions(p.precisions_cholesky)
    start = {"weights_init": p.weights, "means_init": p.means, "precisions_init": precisions}
    new = partial(GaussianMixture, 2, covariance_type=covariance_type, tol=0.0, max_iter=5, **start)
    expected = new().fit(X, errors=variances)
    for name, (source, errors) in sources_of(X, variances, tmp_path).items():
        model = new().fit(source, errors=errors)
        for attribute in ("weights_", "means_", "covariances_"):
            assert_allclose(
                getattr(model, attribute), getattr(expected, attribute), rtol=1e-8, atol=1e-10, err_msg=name
            )
        for method in ("predict", "predict_proba", "score_samples", "score", "aic", "bic", "icl"):
            found = np.asarray(getattr(model, method)(source, errors=errors))
            wanted = getattr(expected, method)(X, errors=variances)
            assert_allclose(found, wanted, rtol=1e-7, atol=1e-9, err_msg=f"{name}, {method}")
        blocks = np.concatenate(list(model.predict_blocks(source, "score_samples", errors=errors)))
        assert_allclose(blocks, expected.score_samples(X, errors=variances), rtol=1e-7, err_msg=name)
        assert_array_equal(new().fit_predict(source, errors=errors), expected.predict(X, errors=variances), name)


def test_covariances_ride_along_as_variances_do():
    da = pytest.importorskip("dask.array")
    _, X, _, covariances = problem()
    model = GaussianMixture(3, random_state=0, max_iter=5).fit(X, errors=covariances)
    for source, errors in (
        (
            batches(
                lambda: iter([{"X": X[:100], "errors": covariances[:100]}, {"X": X[100:], "errors": covariances[100:]}])
            ),
            None,
        ),
        (da.from_array(X, chunks=(150, 4)), covariances),
    ):
        assert_allclose(model.bic(source, errors=errors), model.bic(X, errors=covariances), rtol=1e-12)
        found = np.asarray(model.predict_proba(source, errors=errors))
        assert_allclose(found, model.predict_proba(X, errors=covariances), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("missing", ["error", "marginalise"])
def test_errors_of_all_rows_are_those_of_any_source(missing):
    da = pytest.importorskip("dask.array")
    _, X, variances, covariances = problem(k=2)
    if missing == "marginalise":
        X = np.where(np.random.default_rng(0).uniform(size=X.shape) < 0.2, np.nan, X)
    for common in (covariances[0], variances[0]):
        whole = common if common.ndim == 2 else np.diag(common)
        expected = GaussianMixture(2, random_state=0, missing=missing, max_iter=5).fit(X, errors=whole)
        each = np.broadcast_to(whole, (len(X), 4, 4))
        for source in (X, batches(lambda: iter([X[:150], X[150:]])), da.from_array(X, chunks=(150, 4))):
            model = GaussianMixture(2, random_state=0, missing=missing, max_iter=5).fit(source, errors=common)
            assert_allclose(model.means_, expected.means_, rtol=1e-8)
            assert_allclose(model.icl(source, errors=common), expected.icl(X, errors=each), rtol=1e-10)
            found = np.asarray(model.predict_proba(source, errors=common))
            assert_allclose(found, expected.predict_proba(X, errors=each), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("kind", ["variances", "covariances"])
def test_rows_of_the_same_errors_are_taken_together(structure, kind, monkeypatch):
    p, X, variances, covariances = problem(structure, 600, 4, 3)
    errors, rng = {"variances": variances, "covariances": covariances}[kind].copy(), np.random.default_rng(1)
    errors[:500] = errors[rng.integers(0, 5, 500)]
    seen = errors if kind == "variances" else np.einsum("ndd->nd", errors)
    seen[errors.reshape(600, -1)[:, 0] == errors.reshape(600, -1)[0, 0], 2] = np.inf
    X = np.where(np.isinf(seen), np.nan, X)
    weight, labels = rng.integers(0, 3, 600).astype(float), rng.integers(-1, 3, 600)
    options = {"along": {LABELS: labels}, "known": Labelled(tuple(slice(k, k + 1) for k in range(3)))}
    each = passed(p, X, errors, weight, **options)
    monkeypatch.setattr("fastgmm.data.e_steps.errors.rows_worth_a_pass", lambda *sizes: 20.0)
    passes = []
    monkeypatch.setattr(kernels, "accumulate", counting(kernels.accumulate, passes))
    assert_same(passed(p, X, errors, weight, **options), each)
    assert len(passes) >= 5
    assert_same(passed(p, X, errors), oracle(p, X, errors))


def counting(function, calls):
    def counted(*arguments):
        calls.append(arguments)
        return function(*arguments)

    return counted


def test_a_source_whose_errors_are_wrong_is_refused():
    _, X, variances, _ = problem()
    for errors, match in (
        (-variances, "a variance of -"),
        (variances[:, :2], r"errors have shape \(400, 2\); expected variances .* = \(400, 4\)"),
        (np.where(np.arange(4) == 1, np.inf, variances), "infinite in feature 1 of every row"),
    ):
        with refused(match):
            GaussianMixture(2).fit(batches(lambda: iter([X])), errors=errors)
    with refused(r"errors have shape \(3,\); expected variances of all rows"):
        GaussianMixture(2).fit(batches(lambda: iter([X])), errors=variances[0, :3])
    with refused("brings errors with its rows; expected one of the two"):
        GaussianMixture(2).fit(sliced(X, errors=variances), errors=variances[0])
    with refused("brings errors, those of measurement, and StudentMixture takes none"):
        StudentMixture(2).fit(sliced(X, errors=variances))
    X[3, 1] = np.nan
    with refused("contains NaN; expected finite numbers where the variance in errors is finite"):
        GaussianMixture(2).fit(sliced(X, errors=variances))


def test_rows_of_a_source_miss_values_and_have_errors_at_once():
    rng = np.random.default_rng(5)
    X = np.concatenate([rng.normal(size=(80, 2)), rng.normal(size=(80, 2)) + 6.0])
    errors = rng.uniform(0.05, 0.5, X.shape)
    X[rng.random(X.shape) < 0.2] = np.nan
    model = GaussianMixture(2, missing="marginalise", random_state=0)
    expected = clone(model).fit(X, errors=errors)
    found = clone(model).fit(
        batches(lambda: ({"X": X[i : i + 40], "errors": errors[i : i + 40]} for i in range(0, 160, 40)))
    )
    assert_allclose(found.lower_bound_, expected.lower_bound_, rtol=1e-7)
    assert_allclose(found.means_, expected.means_, rtol=1e-5)
