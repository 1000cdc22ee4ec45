"""Laws of inference on a known mixture: marginals, conditionals, distances, bounds, regions, regression."""

import numpy as np
import pytest
from mixtures import random_parameters
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate, stats
from sklearn.linear_model import LinearRegression
from sklearn.utils.estimator_checks import check_estimator

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureRegressor
from fastgmm.data import batches
from fastgmm.exceptions import ComponentCollapseError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def model_of(structure, n_components, n_features, seed=0, **options):
    p = random_parameters(structure, n_components, n_features, np.random.default_rng(seed), **options)
    return GaussianMixture.from_parameters(p.weights, p.means, p.covariances, covariance_type=structure, random_state=0)


def matrices(model):
    k, d = model.means_.shape
    return {
        "full": lambda c: c,
        "tied": lambda c: np.array([c] * k),
        "diag": lambda c: np.array([np.diag(v) for v in c]),
        "spherical": lambda c: np.array([v * np.eye(d) for v in c]),
    }[model.covariance_type](model.covariances_)


# Marginals and conditionals.


def test_marginal_is_the_mixture_of_marginals(structure):
    model = model_of(structure, 3, 4)
    columns = [3, 1]
    X = np.random.default_rng(1).normal(size=(20, 2)) * 3.0
    expected = sum(
        w * stats.multivariate_normal(m[columns], c[np.ix_(columns, columns)]).pdf(X)
        for w, m, c in zip(model.weights_, model.means_, matrices(model), strict=True)
    )
    assert_allclose(model.marginal(columns).score_samples(X), np.log(expected), rtol=1e-10)
    single = model.marginal(2)
    assert single.means_.shape == (3, 1)
    assert_array_equal(single.means_[:, 0], model.means_[:, 2])


def test_joint_is_marginal_times_conditional(structure):
    model = model_of(structure, 3, 4)
    X = model.sample(50, random_state=0)[0]
    for given, free in (([0], [1, 2, 3]), ([3, 1], [0, 2]), ([1, 2, 3], [0])):
        conditional = model.condition(given, X[:, given])
        total = model.marginal(given).score_samples(X[:, given]) + conditional.log_density(X[:, free])
        assert_allclose(total, model.score_samples(X), rtol=1e-9)
        assert len(conditional) == 50
        assert_allclose(conditional.weights.sum(axis=1), 1.0, rtol=1e-12)


def test_a_covariance_without_rank_is_named_when_its_conditional_is_asked_for():
    model = model_of("full", 2, 3)
    model.covariances_ = np.ones_like(model.covariances_)
    with pytest.raises(ComponentCollapseError, match="a covariance is singular, up to rounding"):
        model.condition([0], [[0.5]])


def test_moments_of_the_conditional_are_those_of_its_draws():
    model = model_of("full", 3, 3)
    conditional = model.condition([0], [[0.5]])
    many = model.condition([0], np.full((100_000, 1), 0.5)).sample(random_state=np.random.RandomState(0))
    # Five standard errors of 100,000 draws.
    sd = np.sqrt(np.diag(conditional.covariance()[0]))
    assert_allclose(many.mean(axis=0), conditional.mean()[0], atol=(5 * sd / 316).max())
    assert_allclose(np.cov(many.T), conditional.covariance()[0], atol=5 * 3 * (sd**2).max() / 316)
    one = conditional[0]
    assert_allclose(one.weights_ @ one.means_, conditional.mean()[0], rtol=1e-12)


def test_an_item_of_the_conditional_is_a_mixture_with_the_density_of_its_row(structure):
    model = model_of(structure, 3, 4)
    X = model.sample(5, random_state=0)[0]
    conditional = model.condition([2, 0], X[:, [2, 0]])
    free = X[:, [1, 3]]
    assert_allclose(
        [m.score_samples(row[None])[0] for m, row in zip(conditional, free, strict=True)],
        conditional.log_density(free),
        rtol=1e-9,
    )
    assert_allclose(conditional[-1].score_samples(free[-1:]), conditional.log_density(free.tolist())[-1:], rtol=1e-9)
    with pytest.raises(IndexError):
        conditional[5]
    with pytest.raises(ValueError, match=r"values has shape \(2, 2\); expected \(n_rows, n_free\) = \(5, 2\)"):
        conditional.log_density(free[:2])


def test_draws_of_the_conditional_follow_the_seed():
    model = model_of("full", 3, 3)
    conditional = model.condition(0, [[0.5], [1.0]])
    drawn = conditional.sample(random_state=3)
    assert_array_equal(drawn, conditional.sample(random_state=np.random.RandomState(3)))
    seeded = model.set_params(random_state=3).condition(0, [[0.5], [1.0]])
    assert_array_equal(seeded.sample(), drawn)
    assert_array_equal(seeded[0].sample(4)[0], seeded[0].sample(4)[0])


def test_parts_keep_the_names_of_their_columns():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(np.random.default_rng(2).normal(size=(50, 3)), columns=["a", "b", "c"])
    model = GaussianMixture().fit(X)
    # scikit-learn warns of names where a model has none, and refuses others.
    part = model.marginal(["c", "a"])
    assert part.score_samples(X[["c", "a"]]).shape == (50,)
    assert part.marginal("a").means_[0] == model.means_[0, 0]
    assert model.condition("b", [1.0])[0].score_samples(X[["a", "c"]]).shape == (50,)


def test_conditioning_stays_definite_on_nearly_collinear_features():
    covariance = np.array([[1.0, 1.0], [1.0, 1.0 + 1e-14]])
    model = GaussianMixture.from_parameters([1.0], [[1e8, 1e8]], [covariance])
    conditional = model.condition(0, [1e8 + 1.0])
    assert 0 < conditional.covariances[0, 0, 0] < 1e-12
    assert_allclose(conditional.mean(), 1e8 + 1.0, rtol=1e-15)


def test_columns_go_by_name():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(np.random.default_rng(2).normal(size=(50, 3)), columns=["a", "b", "c"])
    model = GaussianMixture().fit(X)
    assert_array_equal(model.marginal(["c", "a"]).means_, model.marginal([2, 0]).means_)
    assert_allclose(model.condition("b", [1.0]).mean(), model.condition(1, [1.0]).mean())
    with pytest.raises(ValueError, match="columns has 'd'"):
        model.marginal("d")


@pytest.mark.parametrize(
    ("columns", "values", "message"),
    [
        ([], [], "columns is empty; expected at least one"),
        ([0, 1, 2], [0.0] * 3, "columns names all 3 features"),
        ([3], [0.0], r"columns is \[3\]; expected distinct numbers from 0 to 2"),
        ([0, 0], [0.0] * 2, "expected distinct numbers"),
        ([0.5], [0.0], "expected whole numbers"),
        ([0, 1], [0.0], r"values has shape \(1, 1\); expected \(n_rows, 2\)"),
        ([0], [np.nan], "NaN"),
    ],
)
def test_bad_columns_and_values_are_named(columns, values, message):
    with pytest.raises(ValueError, match=message):
        model_of("full", 2, 3).condition(columns, values)


# Distances and bounds.


def test_mahalanobis_is_the_distance_in_standard_deviations(structure, dtype):
    model = model_of(structure, 3, 4)
    X = (np.random.default_rng(3).normal(size=(30, 4)) * 4.0).astype(dtype)
    difference = X[:, None, :].astype(np.float64) - model.means_
    expected = np.einsum("nkd,kde,nke->nk", difference, np.linalg.inv(matrices(model)), difference)
    assert_allclose(model.mahalanobis(X), np.sqrt(expected), rtol=1e-10)


def gaussian_kl(m0, c0, m1, c1):
    inverse = np.linalg.inv(c1)
    terms = np.trace(inverse @ c0) + (m1 - m0) @ inverse @ (m1 - m0) - len(m0)
    return 0.5 * (terms + np.linalg.slogdet(c1)[1] - np.linalg.slogdet(c0)[1])


def test_bounds_of_single_components_are_exact(structure):
    p, q = model_of(structure, 1, 3, seed=1), model_of(structure, 1, 3, seed=2)
    cp, cq = matrices(p)[0], matrices(q)[0]
    entropy = stats.multivariate_normal(p.means_[0], cp).entropy()
    assert_allclose(p.entropy_bounds(), [entropy, entropy], rtol=1e-12)
    exact = gaussian_kl(p.means_[0], cp, q.means_[0], cq)
    lower, upper = p.kl_bounds(q)
    assert lower <= exact
    assert_allclose(upper, exact, rtol=1e-10)
    root = np.linalg.cholesky(cp)
    cross = np.sqrt(np.linalg.eigvals(root.T @ cq @ root).real).sum()
    squared = ((p.means_ - q.means_) ** 2).sum() + np.trace(cp) + np.trace(cq) - 2 * cross
    assert_allclose(p.wasserstein_bounds(q), [np.sqrt(squared)] * 2, rtol=1e-9)


@pytest.mark.parametrize("spread", [0.3, 1.0, 5.0])
def test_bounds_enclose_entropy_and_divergence(structure, spread):
    p, q = (model_of(structure, 3, 2, seed=seed, spread=spread) for seed in (3, 4))
    X = p.sample(200_000, random_state=1)[0]
    log_p, log_q = p.score_samples(X), q.score_samples(X)
    # Five standard errors of the estimates from draws.
    slack = 5.0 * log_p.std() / np.sqrt(len(X))
    lower, upper = p.entropy_bounds()
    assert lower - slack < -log_p.mean() < upper + slack
    assert upper - lower < np.log(3) + 1e-9
    slack = 5.0 * (log_p - log_q).std() / np.sqrt(len(X))
    lower, upper = p.kl_bounds(q)
    assert 0 <= lower < (log_p - log_q).mean() + slack
    assert (log_p - log_q).mean() - slack < upper
    assert_allclose(p.kl_bounds(p), 0.0, atol=1e-12)


def test_bounds_enclose_the_wasserstein_distance_in_one_dimension():
    p, q = model_of("full", 3, 1, seed=5), model_of("full", 2, 1, seed=6)
    # Quantile against quantile is the best transport on a line.
    a = np.sort(p.sample(400_000, random_state=2)[0][:, 0])
    b = np.sort(q.sample(400_000, random_state=3)[0][:, 0])
    distance = np.sqrt(np.mean((a - b) ** 2))
    lower, upper = p.wasserstein_bounds(q)
    assert lower - 0.02 < distance < upper + 0.02
    assert lower < upper
    assert_allclose(q.wasserstein_bounds(p), [lower, upper], rtol=1e-9)
    scaled = [GaussianMixture.from_parameters(m.weights_, m.means_ * 1e6, m.covariances_ * 1e12) for m in (p, q)]
    assert_allclose(scaled[0].wasserstein_bounds(scaled[1]), [1e6 * lower, 1e6 * upper], rtol=1e-8)
    assert_allclose(p.wasserstein_bounds(p), 0.0, atol=1e-6)


def test_two_estimators_can_be_compared():
    X = np.random.default_rng(7).normal(size=(200, 2))
    plain = GaussianMixture().fit(X)
    bayesian = BayesianGaussianMixture().fit(X)
    lower, upper = plain.kl_bounds(bayesian)
    assert 0 <= lower <= upper < 0.1
    with pytest.raises(TypeError, match="other is a list; expected a fitted mixture"):
        plain.kl_bounds([])
    with pytest.raises(ValueError, match="other has 3 features; expected 2"):
        plain.wasserstein_bounds(model_of("full", 2, 3))


# Regions.


@pytest.mark.parametrize("n_components", [1, 3])
@pytest.mark.parametrize("coverage", [0.5, 0.95])
def test_region_holds_its_probability(structure, n_components, coverage):
    model = model_of(structure, n_components, 3)
    level = model.highest_density_level(coverage, random_state=1)
    X = model.sample(100_000, random_state=2)[0]
    # Draws of 100,000 on both sides: six standard errors of their difference.
    error = 6 * np.sqrt(2 * coverage * (1 - coverage) / 100_000)
    assert np.mean(model.score_samples(X) >= level) == pytest.approx(coverage, abs=error)


@pytest.mark.parametrize("coverage", [0.1, 0.5, 0.95])
def test_intervals_hold_their_probability_at_one_density(coverage):
    model = GaussianMixture.from_parameters([0.3, 0.7], [[-4.0], [3.0]], [0.25, 1.0], covariance_type="spherical")
    intervals = model.highest_density_intervals(coverage)
    mass = sum(integrate.quad(lambda x: np.exp(model.score_samples([[x]])[0]), *ends)[0] for ends in intervals)
    assert mass == pytest.approx(coverage, abs=1e-7)
    assert np.ptp(model.score_samples(intervals.reshape(-1, 1))) < 1e-6
    assert (np.diff(intervals.ravel()) > 0).all()


def test_bad_coverage_is_named():
    model = model_of("full", 2, 2)
    for coverage in (0.0, 1.0, 95):
        with pytest.raises(ValueError, match=r"coverage is .*; expected a probability between 0 and 1"):
            model.highest_density_level(coverage)
    with pytest.raises(ValueError, match="the model has 2 features; expected 1"):
        model.highest_density_intervals()


# Regression.


def test_one_component_is_linear_regression():
    rng = np.random.default_rng(8)
    X = rng.normal(size=(300, 3)) + 1e6
    y = X @ rng.normal(size=(3, 2)) + rng.normal(size=(300, 2)) * 0.3
    model = GaussianMixtureRegressor(1, reg_covar=0.0).fit(X, y)
    linear = LinearRegression().fit(X, y)
    assert_allclose(model.predict(X), linear.predict(X), rtol=1e-9)
    residuals = y - linear.predict(X)
    expected = residuals.T @ residuals / len(X)
    assert_allclose(model.predict_covariance(X), np.broadcast_to(expected, (300, 2, 2)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_conditional_density_integrates_to_one_about_the_prediction(covariance_type):
    rng = np.random.default_rng(9)
    x = rng.uniform(-3, 3, size=500)
    y = 5.0 + 40.0 * np.abs(x) + rng.normal(size=500)
    model = GaussianMixtureRegressor(3, covariance_type=covariance_type, random_state=0).fit(x[:, None], y)
    grid = np.linspace(-300.0, 500.0, 80_001)
    density = np.exp(model.log_density(np.full((len(grid), 1), 1.3), grid))
    step = grid[1] - grid[0]
    assert_allclose(density.sum() * step, 1.0, rtol=1e-6)
    mean = (grid * density).sum() * step
    assert_allclose(mean, model.predict([[1.3]])[0], rtol=1e-6)
    variance = ((grid - mean) ** 2 * density).sum() * step
    assert_allclose(variance, model.predict_covariance([[1.3]])[0], rtol=1e-5)
    conditional = model.condition([[1.3]])
    assert_allclose(conditional.mean()[0, 0], model.predict([[1.3]])[0], rtol=1e-12)
    assert_allclose(conditional.log_density(np.array([[60.0]])), model.log_density([[1.3]], [60.0]), rtol=1e-9)
    draws = model.sample(np.full((20_000, 1), 1.3), random_state=0)
    assert draws.mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / 20_000))


def test_units_of_the_columns_do_not_matter():
    rng = np.random.default_rng(10)
    x = rng.uniform(-3, 3, size=(300, 2))
    y = np.abs(x[:, 0]) + 0.1 * rng.normal(size=300)
    plain = GaussianMixtureRegressor(3, random_state=0).fit(x, y)
    scaled = GaussianMixtureRegressor(3, random_state=0).fit(x * [2.0**20, 2.0**-20] + [0.0, 1.0], y * 2.0**30)
    assert_allclose(
        scaled.predict(x * [2.0**20, 2.0**-20] + [0.0, 1.0]) / 2.0**30, plain.predict(x), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_source_of_far_off_and_constant_columns_is_regressed_as_an_array(dtype):
    rng = np.random.default_rng(12)
    X = rng.normal(size=(400, 3)) * [1.0, 1e-3, 0.0] + [1e4, 0.0, 1e4 / 3.0]
    X = X.astype(dtype)
    y = np.abs(X[:, 0] - 1e4) + 0.1 * rng.normal(size=400)
    source = batches(lambda: ({"X": X[i : i + 90], "y": y[i : i + 90]} for i in range(0, 400, 90)))
    model, expected = (GaussianMixtureRegressor(3, random_state=0).fit(*given) for given in ((source,), (X, y)))
    assert_allclose(model.centre_, expected.centre_, rtol=1e-12)
    assert_allclose(model.scale_, expected.scale_, rtol=1e-9)
    assert model.scale_[2] == 1.0
    # Columns lose four digits beside their means.
    assert_allclose(model.predict(source), expected.predict(X), rtol=1e-7)
    assert_allclose(model.predict_covariance(source), expected.predict_covariance(X), rtol=1e-6)


def test_a_regressors_start_from_a_sample_ends_where_all_rows_do(monkeypatch):
    for module in ("rows", "streamed_rows"):
        monkeypatch.setattr(f"fastgmm.data.{module}.block_rows", lambda n_features: 500)
    rng = np.random.default_rng(13)
    x = rng.uniform(-3.0, 3.0, size=(4000, 1))
    y = np.abs(x[:, 0]) + 0.1 * rng.normal(size=4000)
    source = batches(lambda: ({"X": x[i : i + 300], "y": y[i : i + 300]} for i in range(0, 4000, 300)))
    options = {"tol": 1e-8, "max_iter": 500, "random_state": 0}
    model, expected = (GaussianMixtureRegressor(2, **options).fit(*given) for given in ((source,), (x, y)))
    # Each is within some `tol` of the same maximum.
    assert_allclose(model.mixture_.lower_bound_, expected.mixture_.lower_bound_, atol=1e-6)
    assert_allclose(model.predict(source), expected.predict(x), atol=1e-3)


def test_bic_finds_the_bend():
    x = np.linspace(-3, 3, 600)
    y = np.abs(x) + 0.05 * np.random.default_rng(11).normal(size=600)
    model = GaussianMixtureRegressor(random_state=0).fit(x[:, None], y)
    assert model.n_components_ >= 2
    assert np.abs(model.predict(x[:, None]) - np.abs(x)).mean() < 0.05


@pytest.mark.filterwarnings("ignore:X has:fastgmm.exceptions.RegularisationWarning")  # some have few rows
def test_regressor_passes_the_estimator_checks():
    results = check_estimator(GaussianMixtureRegressor(), on_fail=None, on_skip=None)
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []
    assert sum(r["status"] == "passed" for r in results) >= 55


def test_targets_of_another_shape_are_named():
    model = GaussianMixtureRegressor(1).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.5])
    with pytest.raises(ValueError, match=r"y has shape \(1, 2\); expected \(n_samples, n_targets\) = \(1, 1\)"):
        model.log_density([[0.0]], [[1.0, 2.0]])


def test_targets_of_another_shape_are_not_read_as_if_they_had_the_right_one():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(40, 2))
    y = x @ [[1.0, 2.0], [0.0, 1.0]] + rng.normal(size=(40, 2))
    model = GaussianMixtureRegressor(1).fit(x, y)
    assert model.log_density(x[:3], y[:3].tolist()).shape == (3,)
    for wrong in (y[:3].T, y[:3].ravel(), y[:2], y[:3, 0]):
        with pytest.raises(ValueError, match=r"y has shape .*; expected \(n_samples, n_targets\) = \(3, 2\)"):
            model.log_density(x[:3], wrong)
    with pytest.raises(ValueError, match="y contains NaN"):
        model.log_density(x[:2], [[0.0, np.nan], [0.0, 1.0]])


def test_the_order_of_components_is_no_divergence(structure):
    model = model_of(structure, 4, 3)
    order = [2, 0, 3, 1]
    covariances = model.covariances_ if structure == "tied" else model.covariances_[order]
    other = GaussianMixture.from_parameters(
        model.weights_[order], model.means_[order], covariances, covariance_type=structure
    )
    assert_allclose(model.kl_bounds(other), 0.0, atol=1e-12)
    empty = GaussianMixture.from_parameters([0.0, 1.0], [[1.0], [0.0]], [1.0, 2.0], covariance_type="spherical")
    swapped = GaussianMixture.from_parameters([1.0, 0.0], [[0.0], [1.0]], [2.0, 1.0], covariance_type="spherical")
    assert_allclose(empty.kl_bounds(swapped), 0.0, atol=1e-12)
