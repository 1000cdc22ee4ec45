"""Student mixtures: published results, the likelihood they maximise, and what any mixture promises."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from mixtures import random_parameters, random_rows
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize, special
from scipy.stats import invwishart, multivariate_normal, multivariate_t

import fastgmm
from fastgmm import GaussianMixture, StudentMixture
from fastgmm.families import COVARIANCES, Gaussian, Student, get_covariance
from fastgmm.families.student import LARGEST_DF, SMALLEST_DF, solve_degrees_of_freedom
from fastgmm.model import SufficientStatistics
from fastgmm.model.student import StudentParameters, log_gamma_ratio
from fastgmm.plotting import plot_histogram
from fastgmm.plotting.density import plane_density
from fastgmm.starts.fenced import within_fences

NAMES = [name for name, row in COVARIANCES.items() if row.n_features.stop > 2]
CRABS = Path(__file__).parent / "data" / "crabs_blue.csv"


def two_tails(n_rows=1500, seed=0, df=(4.0, 12.0)):
    rng = np.random.default_rng(seed)
    scales = np.array([[[1.0, 0.5], [0.5, 2.0]], [[2.0, -0.5], [-0.5, 1.0]]])
    parts = [
        multivariate_t([0.0, 0.0], scales[0], df[0], seed=rng).rvs(n_rows),
        multivariate_t([8.0, 3.0], scales[1], df[1], seed=rng).rvs(n_rows),
    ]
    return np.concatenate(parts), np.repeat([0, 1], n_rows), scales


def crabs():
    with CRABS.open() as file:
        rows = list(csv.reader(file))
    return np.array([row[1:] for row in rows[1:]], dtype=float), np.array([row[0] for row in rows[1:]])


# Published results.


@pytest.mark.parametrize(
    ("shift", "errors", "df", "log_likelihood"),
    [
        (-15, 19, 5.78, None),
        (-10, 19, 6.68, None),
        (-5, 20, 10.71, None),
        (0, 18, 22.6, -556.6352),
        (5, 20, 13.06, None),
        (10, 20, 7.04, None),
        (15, 20, 5.95, None),
        (20, 20, 5.45, -587.3736),
    ],
)
def test_crabs_of_peel_and_mclachlan(shift, errors, df, log_likelihood):
    # Table 1: one measurement of one crab is moved; two components with one scale matrix and one df.
    X, sex = crabs()
    X[24, 1] += shift
    truth = (sex == sex[0]).astype(int)
    model = StudentMixture(
        2, covariance_type="tied", df="shared", init_params=truth, reg_covar=0.0, tol=1e-9, max_iter=2000
    ).fit(X)
    wrong = int((model.predict(X) != truth).sum())
    assert min(wrong, len(X) - wrong) == errors
    assert_allclose(model.df_, df, rtol=2e-3)
    if log_likelihood is not None:
        assert model.score(X) * len(X) == pytest.approx(log_likelihood, abs=2e-4)


def test_one_component_is_at_the_maximum_of_scipys_likelihood():
    X = multivariate_t([1.0, -2.0], [[1.0, 0.6], [0.6, 2.0]], 5.0, seed=3).rvs(400)
    model = StudentMixture(reg_covar=0.0, tol=1e-12, max_iter=5000).fit(X)

    def cost(values):
        factor = np.array([[np.exp(values[2]), 0.0], [values[3], np.exp(values[4])]])
        return -multivariate_t(values[:2], factor @ factor.T, np.exp(values[5])).logpdf(X).sum()

    best = optimize.minimize(cost, [1.0, -2.0, 0.0, 0.5, 0.3, 1.5], method="BFGS", options={"gtol": 1e-4})
    assert model.score(X) * len(X) == pytest.approx(-best.fun, abs=1e-5)
    assert_allclose(model.df_, np.exp(best.x[5]), rtol=1e-3)
    mine = multivariate_t(model.means_[0], model.scales_[0], model.df_[0])
    assert_allclose(model.score_samples(X), mine.logpdf(X), rtol=1e-11)


def test_df_and_means_are_recovered():
    X, _, scales = two_tails(20_000, df=(4.0, 10.0))
    model = StudentMixture(2, random_state=0, tol=1e-7).fit(X)
    order = np.argsort(model.means_[:, 0])
    assert_allclose(model.df_[order], [4.0, 10.0], rtol=0.1)
    assert_allclose(model.means_[order], [[0.0, 0.0], [8.0, 3.0]], atol=0.05)
    assert_allclose(model.scales_[order], scales, atol=0.08)
    assert_allclose(model.covariances_[order], scales * np.reshape([2.0, 1.25], (2, 1, 1)), rtol=0.2, atol=0.1)


def test_gross_outliers_do_not_move_means():
    rng = np.random.default_rng(5)
    X = np.concatenate([rng.normal(0, 1, (1900, 2)), rng.normal(6, 1, (1900, 2)), rng.uniform(-70, 70, (200, 2))])
    found = StudentMixture(2, random_state=0, tol=1e-7, max_iter=500).fit(X)
    normal = GaussianMixture(2, random_state=0, tol=1e-7, max_iter=500).fit(X)
    truth = np.array([[0.0, 0.0], [6.0, 6.0]])
    assert np.abs(found.means_[np.argsort(found.means_[:, 0])] - truth).max() < 0.1
    assert np.abs(normal.means_[np.argsort(normal.means_[:, 0])] - truth).max() > 1.0
    far = np.abs(X).max(axis=1) > 20
    assert found.tail_weights(X[far]).max() < 0.1 < 0.5 < np.median(found.tail_weights(X))


def test_rows_within_fences_are_left_alone():
    X, _, _ = two_tails(100)
    rows = fastgmm.data.ArrayRows(np.clip(X, -6, 12))
    assert within_fences(rows) is rows
    far = X.copy()
    far[3, 0] = 1e6
    inside = within_fences(fastgmm.data.ArrayRows(far)).X
    assert np.abs(inside).max() < 100.0
    constant = np.zeros((50, 1))
    constant[0] = 1e9  # half the rows and more have one value: there is no spread to measure by
    assert within_fences(fastgmm.data.ArrayRows(constant)).X[0] == 1e9
    apart = np.repeat([[0.0], [1.0], [1e6]], [300, 310, 280], axis=0) + np.random.default_rng(0).normal(size=(890, 1))
    rows = fastgmm.data.ArrayRows(apart)
    assert within_fences(rows) is rows


def test_a_summary_tells_of_tails():
    X, _, _ = two_tails(100)
    assert "5 degrees of freedom" in str(StudentMixture(2, df=5.0, random_state=0).fit(X).summary())


# The likelihood.


@pytest.mark.parametrize("df", ["free", "shared", 3.0])
@pytest.mark.parametrize("name", NAMES)
def test_the_likelihood_never_falls_and_ends_where_it_is_flat(name, df):
    X, labels, _ = two_tails(150)
    options = {"covariance_type": name, "df": df, "reg_covar": 0.0, "init_params": labels}
    model = StudentMixture(2, acceleration=None, tol=1e-10, max_iter=3000, **options).fit(X)
    assert np.diff(model.lower_bounds_).min() > -1e-12
    fast = StudentMixture(2, tol=1e-10, max_iter=3000, **options).fit(X)
    assert fast.lower_bound_ >= model.lower_bound_ - 1e-7
    assert fast.n_iter_ <= model.n_iter_
    # No neighbour in any scale, degree of freedom or mean is more likely: a family that binds scales allows one factor.
    best, n = fast.score(X), len(X)
    for factor in (0.99, 1.01):
        moved = StudentMixture.from_parameters(
            fast.weights_, fast.means_, fast.scales_ * factor, df=fast.df_, covariance_type=name
        )
        assert moved.score(X) * n < best * n
        if df != 3.0:
            moved = StudentMixture.from_parameters(
                fast.weights_, fast.means_, fast.scales_, df=fast.df_ * factor, covariance_type=name
            )
            assert moved.score(X) * n < best * n + 1e-9


@pytest.mark.parametrize("df", ["free", "shared", 3.0])
@pytest.mark.parametrize("name", ["full", "tied", "diag", "spherical", "VEV", "EVI", "EII"])
def test_an_m_step_is_a_gradient_step_in_its_metric(name, df):
    X, labels, _ = two_tails(400)
    family = Student(Gaussian(get_covariance(name)), df)
    model = StudentMixture(
        2, covariance_type=name, df=df, reg_covar=0.0, init_params=labels, tol=1e-10, max_iter=3000
    ).fit(X)
    best = family.state(vars(model))
    coordinates = family.coordinates(best)
    rng, values = np.random.default_rng(0), coordinates.encode(best)
    state = coordinates.decode(values + 1e-3 * rng.normal(size=values.shape), best)
    rows = fastgmm.data.ArrayRows(X)
    step = coordinates.encode(family.maximise(rows.accumulate(state), state)) - coordinates.encode(state)
    information = coordinates.information(state)
    gradient = information.apply(step)
    assert_allclose(information.solve(gradient), step, rtol=1e-8, atol=1e-12)

    # Of log weights the metric knows the direction alone in which their sum stays.
    direction, eps = step.copy(), 1e-4 / np.abs(step).max()
    at = coordinates.encode(state)
    ends = [rows.accumulate(coordinates.decode(at + s * eps * direction, state)).log_likelihood for s in (-1, 1)]
    assert (ends[1] - ends[0]) / (2 * eps * len(X)) == pytest.approx(float(gradient @ direction), rel=0.05)


def test_degrees_of_freedom_solve_their_equation():
    df = np.geomspace(SMALLEST_DF, LARGEST_DF * 0.99, 60)
    gap = np.array([float(_exact_gap(value / 2)) for value in df])
    assert_allclose(solve_degrees_of_freedom(gap), df, rtol=1e-10)
    held = solve_degrees_of_freedom(np.array([0.0, -1.0, 1e-9, 50.0]))
    assert_allclose(held, [np.inf, np.inf, np.inf, SMALLEST_DF], rtol=1e-14)


def _exact_gap(a):
    # log a - digamma(a), by its recurrence up to where four terms of the series are exact in long double.
    a, rest = np.longdouble(a), np.longdouble(0)
    base = a
    while a < 200:
        rest += 1 / a
        a += 1
    s = 1 / a
    series = s * (np.longdouble(1) / 2 + s / 12 - s**3 / 120 + s**5 / 252)
    return np.log(base) - (np.log(a) - series - rest)


def test_the_normaliser_loses_no_digits():
    for b in (0.5, 2.0, 60.0):
        a = np.geomspace(0.3, 5e5, 40)
        exact = special.gammaln(a + b) - special.gammaln(a) - b * np.log(a)
        assert_allclose(log_gamma_ratio(a, b), exact, rtol=1e-9, atol=3e-15 * np.abs(special.gammaln(a)).max())
    # b (b - 1) / (2 a) is the first term.
    assert_allclose(log_gamma_ratio(np.array([1e8, 1e12]), 3.0), [3e-8, 3e-12], rtol=0, atol=1e-15)
    assert log_gamma_ratio(np.array([np.inf]), 3.0)[0] == 0.0


def test_many_degrees_of_freedom_are_a_gaussian_mixture():
    X, labels, _ = two_tails()
    for name in ("full", "tied", "diag", "spherical"):
        options = {"covariance_type": name, "init_params": labels, "tol": 1e-8}
        normal = GaussianMixture(2, **options).fit(X)
        found = StudentMixture(2, df=1e8, **options).fit(X)
        assert_allclose(found.means_, normal.means_, rtol=1e-7, atol=1e-7)
        assert_allclose(found.scales_, normal.covariances_, rtol=1e-6)
        assert found.lower_bound_ == pytest.approx(normal.lower_bound_, abs=3e-7)
        endless = StudentMixture.from_parameters(
            normal.weights_, normal.means_, normal.covariances_, df=np.inf, covariance_type=name
        )
        assert_allclose(endless.score_samples(X), normal.score_samples(X), rtol=1e-13, atol=1e-12)


# Any mixture's promises.


def test_weights_are_repetitions_and_their_scale_does_not_count():
    X, labels, _ = two_tails(200)
    weight = np.random.default_rng(1).integers(0, 4, size=len(X))
    options = {"reg_covar": 0.0, "tol": 1e-10, "max_iter": 1000}
    weighted = StudentMixture(2, init_params=labels, **options).fit(X, sample_weight=weight)
    repeated = StudentMixture(2, init_params=np.repeat(labels, weight), **options).fit(np.repeat(X, weight, axis=0))
    scaled = StudentMixture(2, init_params=labels, **options).fit(X, sample_weight=weight * 1e-200)
    for other in (repeated, scaled):
        assert_allclose(1 / other.df_, 1 / weighted.df_, rtol=1e-5, atol=1e-7)
        assert_allclose(other.scales_, weighted.scales_, rtol=1e-6)


@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_units_change_nothing_but_units(unit):
    X, labels, _ = two_tails(200)
    options = {"reg_covar": 0.0, "tol": 1e-10, "max_iter": 1000, "init_params": labels}
    one, other = (StudentMixture(2, **options).fit(rows) for rows in (X, X * unit))
    assert_allclose(other.df_, one.df_, rtol=1e-5)
    assert_allclose(other.scales_, one.scales_ * unit**2, rtol=1e-5)
    assert_allclose(other.score_samples(X * unit), one.score_samples(X) - 2 * np.log(unit), rtol=1e-6, atol=1e-6)


def test_single_precision_gives_nearly_the_same():
    X, labels, _ = two_tails()
    one, other = (StudentMixture(2, init_params=labels, tol=1e-6).fit(rows) for rows in (X, X.astype(np.float32)))
    assert other.df_.dtype == other.scales_.dtype == np.float32
    assert_allclose(other.df_, one.df_, rtol=0.02)
    assert_allclose(other.means_, one.means_, atol=2e-3)


def test_known_rows_stay_in_their_component():
    X, labels, _ = two_tails(300)
    draw = np.random.default_rng(2).uniform(size=len(X))
    known = np.where(draw < 0.15, labels, np.where(draw < 0.3, 1 - labels, -1))
    model = StudentMixture(2, random_state=0, tol=1e-4, max_iter=500).fit(X, labels=known)
    free = StudentMixture(2, random_state=0, tol=1e-4, max_iter=500).fit(X)
    # Rows are held where they do not belong: the rows and their components are less likely together.
    assert model.lower_bound_ < free.lower_bound_ - 0.5
    agreed = StudentMixture(2, random_state=0, tol=1e-4, max_iter=500).fit(X, labels=np.where(known < 0, -1, labels))
    assert (agreed.predict(X) == labels).mean() > 0.99


def test_marginals_and_conditionals_make_up_the_joint():
    X, _, _ = two_tails(300)
    for name in ("full", "tied", "diag"):
        model = StudentMixture(2, covariance_type=name, random_state=0).fit(X)
        rows = X[:20]
        conditional = model.condition(0, rows[:, :1])
        joint = model.marginal(0).score_samples(rows[:, :1]) + conditional.log_density(rows[:, 1:])
        assert_allclose(joint, model.score_samples(rows), rtol=1e-10)
        of_one = conditional[3].score_samples(rows[3:4, 1:])
        assert_allclose(of_one, conditional.log_density(rows[:, 1:])[3], rtol=1e-10)
        draws = conditional.sample(4000, random_state=0)[0]
        assert draws.mean() == pytest.approx(conditional.mean()[0, 0], abs=0.2)
        assert draws.var() == pytest.approx(conditional.covariance()[0, 0, 0], rel=0.3)


def test_draws_and_regions_have_the_probability_they_say():
    model = StudentMixture.from_parameters([0.4, 0.6], [[0.0], [6.0]], [[[1.0]], [[2.0]]], df=[3.0, np.inf])
    drawn, component = model.sample(40_000, random_state=0)
    assert_allclose(np.bincount(component) / len(drawn), [0.4, 0.6], atol=0.01)
    intervals = model.highest_density_intervals(0.9)
    inside = ((drawn >= intervals[:, 0]) & (drawn <= intervals[:, 1])).any(axis=1).mean()
    assert inside == pytest.approx(0.9, abs=0.006)
    level = model.highest_density_level(0.9, random_state=1)
    assert (model.score_samples(drawn) >= level).mean() == pytest.approx(0.9, abs=0.006)
    single = StudentMixture.from_parameters([1.0], [[0.0, 0.0]], [np.eye(2)], df=3.0)
    rows = single.sample(40_000, random_state=0)[0]
    assert (single.score_samples(rows) >= single.highest_density_level(0.8)).mean() == pytest.approx(0.8, abs=0.008)


def test_files_scorers_and_attributes_set_by_hand(tmp_path):
    X, _, _ = two_tails(200)
    model = StudentMixture(2, covariance_type="tied", random_state=0).fit(X)
    expected = model.score_samples(X)
    fastgmm.save(model, tmp_path / "model.fgmm")
    assert_array_equal(fastgmm.load(tmp_path / "model.fgmm").score_samples(X), expected)
    assert_allclose(model.scorer().score_samples(X), expected, rtol=1e-13)
    other = StudentMixture(2, covariance_type="tied")
    other.weights_, other.means_, other.scales_, other.df_ = model.weights_, model.means_, model.scales_, model.df_
    assert_allclose(other.score_samples(X), expected, rtol=1e-10)
    before = model.df_.copy()
    model.df_ = before * 2
    assert np.abs(model.score_samples(X) - expected).max() > 1e-3
    model.df_ = before
    assert_array_equal(model.score_samples(X), expected)


def test_a_stream_learns_tails():
    X, _, _ = two_tails(10_000)
    X = X[np.random.default_rng(0).permutation(len(X))]
    model = StudentMixture(2, random_state=0)
    for start in range(0, len(X), 1000):
        model.partial_fit(X[start : start + 1000])
    assert model.score(X) > StudentMixture(2, random_state=0, tol=1e-7).fit(X).score(X) - 0.01
    assert_allclose(np.sort(model.df_), [4.0, 12.0], rtol=0.5)


def test_statistics_travel_with_their_tail():
    rng = np.random.default_rng(0)
    p = random_parameters("full", 3, 2, rng)
    state = StudentParameters.of(p, [3.0, 5.0, 9.0])
    X = random_rows(p, 300, rng)
    rows = fastgmm.data.ArrayRows
    whole, parts = rows(X).accumulate(state), [rows(X[:100]).accumulate(state), rows(X[100:]).accumulate(state)]
    back = SufficientStatistics.from_bytes(parts[0].to_bytes())
    assert_array_equal(back.tail_sums, parts[0].tail_sums)
    back.merge(parts[1])
    for one, other in zip(back.totals, whole.totals, strict=True):
        assert_allclose(one, other, rtol=1e-12, atol=1e-10)
    # About other centres, the M-step is the same.
    family = Student(Gaussian(get_covariance("full")), "free")
    moved = family.maximise(whole.about(p.means + 1.0), state)
    assert_allclose(moved.covariances, family.maximise(whole, state).covariances, rtol=1e-9)
    with pytest.raises(ValueError, match="with a tail"):
        back.merge(SufficientStatistics.zeros("full", p.means))


def test_what_student_mixtures_are_not():
    X, _, _ = two_tails(100)
    model = StudentMixture(2, random_state=0).fit(X)
    with pytest.raises(ValueError, match="scikit-learn has no mixture of Student"):
        model.to_sklearn()
    for ask in (model.entropy_bounds, lambda: model.kl_bounds(model), lambda: model.wasserstein_bounds(model)):
        with pytest.raises(ValueError, match="Gaussian components only"):
            ask()
    with pytest.raises(ValueError, match=r"The 'df' parameter of StudentMixture"):
        StudentMixture(2, df=0.5).fit(X)
    with pytest.raises(ValueError, match="df is"):
        StudentMixture.from_parameters([1.0], [[0.0]], [[[1.0]]], df=-1.0)


@pytest.mark.parametrize(("df", "n_parameters"), [("free", 13), ("shared", 12), (5.0, 11)])
def test_estimated_degrees_of_freedom_are_parameters(df, n_parameters):
    X, _, _ = two_tails(100)
    model = StudentMixture(2, df=df, random_state=0).fit(X)
    assert model.aic(X) == pytest.approx(2 * n_parameters - 2 * len(X) * model.score(X))


def test_infinite_variances_are_said_to_be_infinite():
    weights, means, df = [0.5, 0.5], np.zeros((2, 2)), [2.0, 4.0]
    model = StudentMixture.from_parameters(weights, means, np.ones((2, 2)), df=df, covariance_type="diag")
    assert_array_equal(model.covariances_, [[np.inf, np.inf], [2.0, 2.0]])
    full = StudentMixture.from_parameters([1.0], np.zeros((1, 2)), [np.eye(2)], df=1.5)
    assert_array_equal(full.covariances_[0], [[np.inf, 0.0], [0.0, np.inf]])


def test_a_search_tells_tails_from_normal_components():
    X, labels, _ = two_tails(1000, df=(3.0, 3.0))
    rng = np.random.default_rng(0)
    normal = np.concatenate([rng.normal(0, 1, (300, 2)), rng.normal(6, 1, (300, 2))])
    options = {"n_components": [1, 2, 3], "covariance_type": ["EII", "VVV"], "distribution": ["normal", "student"]}
    search = fastgmm.GaussianMixtureSearch(**options).fit(X)
    assert search.best_params_ == {"n_components": 2, "covariance_type": "VVV", "distribution": "student"}
    assert isinstance(search.best_estimator_, StudentMixture)
    agreement = (search.predict(X) == labels).mean()
    assert max(agreement, 1 - agreement) > 0.95
    assert len(search.results_["distribution"]) == 12
    assert "Student VVV, 2 components" in str(search.summary())
    other = fastgmm.GaussianMixtureSearch(**options).fit(normal)
    assert other.best_params_ == {"n_components": 2, "covariance_type": "EII", "distribution": "normal"}
    alone = fastgmm.GaussianMixtureSearch(**{**options, "distribution": "student"}).fit(X)
    assert alone.best_score_ == pytest.approx(search.best_score_)
    with pytest.raises(ValueError, match="distribution is 'cauchy'; expected 'normal', 'student'"):
        fastgmm.GaussianMixtureSearch(distribution="cauchy").fit(X)


@pytest.mark.parametrize(("n_features", "df"), [(1, 5.0), (2, 8.0), (5, 15.0)])
def test_df_is_estimated_at_the_default_tolerance(n_features, df):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((5000, n_features)) / np.sqrt(rng.chisquare(df, (5000, 1)) / df)
    found, best = StudentMixture(1).fit(X), StudentMixture(1, tol=1e-10, max_iter=3000).fit(X)
    assert found.score(X) * len(X) > best.score(X) * len(X) - 0.5


@pytest.mark.parametrize("init_params", ["kmeans", "multistart"])
@pytest.mark.parametrize("n_far", [40, 160])
def test_the_start_is_not_spoilt_by_outliers(init_params, n_far):
    rng = np.random.default_rng(2)
    groups = np.concatenate([rng.normal(0, 1, (300, 2)), rng.normal(8, 1, (300, 2))])
    X = np.concatenate([groups, rng.uniform(-100, 100, (n_far, 2))])
    truth = np.repeat([0, 1, -1], [300, 300, n_far])
    wanted = StudentMixture(2, init_params=truth, tol=1e-8, max_iter=2000).fit(X).score(X)
    assert (
        StudentMixture(2, init_params=init_params, random_state=0, tol=1e-6, max_iter=500).fit(X).score(X)
        > wanted - 0.02
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_where_reg_covar_binds_the_likelihood_still_rises():
    X, _, _ = two_tails(100)
    X[:, 1] = 3.0
    labels = np.zeros(len(X), dtype=int)
    for df in ("free", 2.5):
        model = StudentMixture(1, df=df, tol=0.0, max_iter=300, init_params=labels, acceleration=None).fit(X)
        assert np.diff(model.lower_bounds_).min() > -1e-12
        model = StudentMixture(1, df=df, tol=1e-9, max_iter=300, init_params=labels).fit(X)
        for factor in (0.97, 1.03):
            scales = model.scales_ * np.array([[factor, 1.0], [1.0, 1.0]])
            moved = StudentMixture.from_parameters([1.0], model.means_, scales, df=model.df_)
            assert moved.score(X) < model.score(X)


def test_a_continued_fit_follows_df():
    X, _, _ = two_tails(200)
    model = StudentMixture(2, random_state=0, warm_start=True).fit(X)
    assert_array_equal(model.set_params(df=7.0).fit(X).df_, [7.0, 7.0])
    even = np.random.default_rng(0).uniform(size=(500, 2))
    model = StudentMixture(1, warm_start=True, tol=1e-8, max_iter=500).fit(even)
    assert model.df_[0] > 1000
    assert model.fit(X).score(X) == pytest.approx(StudentMixture(1, tol=1e-8, max_iter=500).fit(X).score(X), abs=1e-5)


def test_pictures_show_tails():
    from fastgmm.plotting.clusters import radius_of
    from fastgmm.plotting.moments import moments_of

    model = StudentMixture.from_parameters([1.0], [[0.0, 1.0]], [[[1.0, 0.3], [0.3, 2.0]]], df=3.0)
    rows = model.sample(40_000, random_state=0)[0]
    for probability in (0.5, 0.95):
        inside = model.mahalanobis(rows)[:, 0] <= radius_of(probability, 3.0)
        assert inside.mean() == pytest.approx(probability, abs=0.012)
    assert radius_of(0.9, 1e9) == pytest.approx(radius_of(0.9), rel=1e-7)
    assert_allclose(plane_density(moments_of(model), rows[:50]), np.exp(model.score_samples(rows[:50])), rtol=1e-10)
    figure = Figure()
    lines = plot_histogram(model, rows[:2000], feature=0, ax=figure.subplots()).lines
    at, height = lines[0].get_data()
    assert_allclose(height, np.exp(model.marginal(0).score_samples(np.asarray(at)[:, None])), rtol=1e-9)


def test_the_command_line_shows_scales_and_df(tmp_path, capsys):
    from fastgmm.cli.main import main

    X, _, _ = two_tails(100)
    model = StudentMixture(2, covariance_type="tied", random_state=0).fit(X)
    model.df_[:] = [1.5, np.inf]
    fastgmm.save(model, tmp_path / "model.fgmm")
    assert not main(["show", str(tmp_path / "model.fgmm")])
    shown = capsys.readouterr().out
    assert "df" in shown
    assert "Scale of every component" in shown
    assert not main(["show", str(tmp_path / "model.fgmm"), "--json"])
    assert json.loads(capsys.readouterr().out)["best"]["df"] == [1.5, None]


def test_with_a_prior_the_fit_is_the_mode_of_the_posterior():
    """The mean is drawn to the prior's by its weight in rows that count by their tails, not by their number."""
    X = np.random.default_rng(0).standard_t(2, size=(60, 2)) + 3.0
    mean, scale, shrinkage, dof = np.zeros(2), np.array([[2.0, 0.3], [0.3, 1.0]]), 20.0, 6.0
    prior = {"mean": mean, "scale": scale, "shrinkage": shrinkage, "dof": dof}
    model = StudentMixture(1, df=4.0, prior=prior, reg_covar=0.0, tol=1e-12, max_iter=5000).fit(X)

    def log_posterior(parameters):
        center, spread = parameters[:2], parameters[[2, 3, 3, 4]].reshape(2, 2)
        return (
            multivariate_t.logpdf(X, center, spread, df=4).sum()
            + multivariate_normal.logpdf(center, mean, spread / shrinkage)
            + invwishart.logpdf(spread, dof, scale)
        )

    found = np.concatenate([model.means_[0], model.scales_[0][[0, 0, 1], [0, 1, 1]]])
    gradient = [(log_posterior(found + step) - log_posterior(found - step)) / 2e-5 for step in 1e-5 * np.eye(5)]
    assert_allclose(gradient, 0.0, atol=1e-4)
