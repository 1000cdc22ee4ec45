"""Laws of slopes, modes, quantiles and regions: against differences of score_samples, quadrature and sampling."""

import numpy as np
import pytest
from mixtures import random_parameters
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.neighbors import KernelDensity

from fastgmm import BayesianGaussianMixture, GaussianMixture, StudentMixture
from fastgmm.data import sliced
from fastgmm.inference.modes import find_modes

DF = [3.0, 8.0, np.inf]


def gaussian(structure="full", n_components=3, n_features=3, seed=0, **options):
    p = random_parameters(structure, n_components, n_features, np.random.default_rng(seed), **options)
    return GaussianMixture.from_parameters(p.weights, p.means, p.covariances, covariance_type=structure, random_state=0)


def student(structure="full", n_features=3, seed=0, **options):
    p = random_parameters(structure, 3, n_features, np.random.default_rng(seed), **options)
    return StudentMixture.from_parameters(
        p.weights, p.means, p.covariances, df=DF, covariance_type=structure, random_state=0
    )


def noisy(n_features=3, cls=GaussianMixture):
    rng = np.random.default_rng(0)
    X = np.concatenate(
        [rng.normal(size=(300, n_features)) + rng.choice([-4, 4], (300, 1)), rng.uniform(-15, 15, (30, n_features))]
    )
    return cls(2, noise=0.1, random_state=0, max_iter=2000).fit(X)


def variational():
    X = gaussian().sample(500, random_state=0)[0]
    return BayesianGaussianMixture(n_components=3, random_state=0, max_iter=2000).fit(X)


def factors(cls):
    X = gaussian().sample(500, random_state=0)[0]
    return cls(3, covariance_type="factor", n_factors=1, random_state=0, max_iter=2000, tol=1e-4).fit(X)


MODELS = {
    **{name: lambda name=name: gaussian(name) for name in ("full", "tied", "diag", "spherical")},
    **{f"student {name}": lambda name=name: student(name) for name in ("full", "tied", "diag", "spherical")},
    "noise": noisy,
    "student with noise": lambda: noisy(cls=StudentMixture),
    "variational": variational,
    "factor": lambda: factors(GaussianMixture),
    "student factor": lambda: factors(StudentMixture),
}


@pytest.fixture(params=MODELS, ids=lambda name: name.replace(" ", "-"))
def model(request):
    return MODELS[request.param]()


def differences(function, X, h):
    """Return central differences of the fourth order along each feature, last axis."""
    columns = []
    for j in range(X.shape[1]):
        step = np.zeros(X.shape[1])
        step[j] = h
        outer, inner = function(X + 2 * step) - function(X - 2 * step), function(X + step) - function(X - step)
        columns.append((8 * inner - outer) / (12 * h))
    return np.stack(columns, axis=-1)


# Slopes.


def test_the_gradient_is_the_slope_of_the_log_density(model):
    X = np.random.default_rng(1).normal(size=(40, 3)) * 4.0
    # Rounding is eps * |log density| / h, about 1e-11; what the differences leave out, of h^4.
    assert_allclose(model.gradient(X), differences(model.score_samples, X, 1e-3), rtol=1e-7, atol=1e-8)


def test_the_hessian_is_the_slope_of_the_gradient_and_symmetric(model):
    X = np.random.default_rng(1).normal(size=(40, 3)) * 4.0
    found = model.hessian(X)
    assert_allclose(found, differences(model.gradient, X, 1e-3), rtol=1e-6, atol=1e-7)
    assert_allclose(found, np.swapaxes(found, 1, 2), rtol=1e-12, atol=1e-12)


def test_the_gradient_has_mean_zero_over_draws_and_its_square_is_minus_the_mean_hessian():
    model = gaussian()
    X = model.sample(200_000, random_state=0)[0]
    g = model.gradient(X)
    assert np.abs(g.mean(axis=0) / (g.std(axis=0) / len(X) ** 0.5)).max() < 4.5
    assert_allclose(g.T @ g / len(X), -model.hessian(X).mean(axis=0), atol=0.03)


def test_slopes_of_a_source_and_of_single_precision_are_those_of_its_rows():
    model = gaussian()
    X = model.sample(5000, random_state=0)[0]
    assert_array_equal(model.gradient(sliced(X)), model.gradient(X))
    single = model.gradient(X.astype(np.float32))
    assert single.dtype == np.float64
    assert_allclose(single, model.gradient(X), rtol=1e-4, atol=1e-4)


def test_far_from_everything_the_hessian_keeps_its_digits():
    model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [1.0]], [[[1.0]], [[1.0]]])
    # One component has all of the density there, and the square of its slope is 1e12.
    assert_allclose(model.hessian([[-1e6]]), [[[-1.0]]], rtol=1e-12)


# Modes.


def test_modes_are_where_the_slope_is_zero_and_the_density_bends_down(model):
    modes, labels = model.modes(return_labels=True)
    assert len(modes) >= len(set(labels)) >= 1
    assert set(labels) <= set(range(len(modes)))
    assert_allclose(model.gradient(modes), 0.0, atol=1e-6)
    assert np.linalg.eigvalsh(model.hessian(modes)).max() < 0
    heights = model.score_samples(modes)
    assert (np.diff(heights) <= 0).all()
    # A mean leads uphill, to a mode at least as high.
    assert (heights[labels] >= model.score_samples(model.means_) - 1e-12).all()


def test_modes_of_one_feature_are_all_of_those_on_a_grid():
    for seed in range(30):
        model = gaussian("spherical", 6, 1, seed=seed, spread=2.0)
        grid = np.linspace(-15, 15, 60_001)[:, None]
        height = model.score_samples(grid)
        peaks = grid[1:-1, 0][(height[1:-1] > height[:-2]) & (height[1:-1] > height[2:])]
        assert_allclose(np.sort(model.modes()[:, 0]), peaks, atol=1e-3, err_msg=str(seed))


def test_a_mean_on_a_saddle_goes_on_to_both_sides():
    # By symmetry the middle one's slope is zero where the density is lowest, between two high peaks.
    means = [[-3.0, 0.0], [0.0, 0.0], [3.0, 0.0]]
    covariances = [np.eye(2), 50 * np.eye(2), np.eye(2)]
    modes, labels = GaussianMixture.from_parameters([0.49, 0.02, 0.49], means, covariances).modes(return_labels=True)
    assert len(modes) == 2
    assert set(labels) == {0, 1}
    # Alone, it finds both peaks.
    model = GaussianMixture.from_parameters([0.49, 0.02, 0.49], means, covariances)
    found, _ = find_modes(model._fitted_state(), np.zeros((1, 2)))
    assert_allclose(np.sort(found[:, 0]), [-2.998, 2.998], atol=0.01)


def test_two_components_have_one_mode_up_to_two_standard_deviations():
    for distance, expected in ((1.9, 1), (2.1, 2)):
        model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [distance]], [[[1.0]], [[1.0]]])
        modes, labels = model.modes(return_labels=True)
        assert len(modes) == len(set(labels)) == expected
    # At two exactly the top is flat in three derivatives, and the climb slow.
    model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [2.0]], [[[1.0]], [[1.0]]])
    assert_allclose(model.modes(), 1.0, atol=0.05)


def test_modes_move_with_the_data_and_do_not_depend_on_order_or_a_background():
    model = gaussian(n_components=5, spread=1.5)
    a = np.array([[2.0, 0.3, 0.0], [0.0, 1e3, 5.0], [0.1, 0.0, 1e-2]])
    moved = GaussianMixture.from_parameters(model.weights_, model.means_ @ a.T + 7.0, a @ model.covariances_ @ a.T)
    modes, labels = model.modes(return_labels=True)
    other, other_labels = moved.modes(return_labels=True)
    assert_allclose((other - 7.0) @ np.linalg.inv(a).T, modes, atol=1e-5)
    assert_array_equal(other_labels, labels)
    order = np.array([3, 1, 4, 0, 2])
    again, again_labels = model.reorder(order).modes(return_labels=True)
    assert_allclose(again, modes, atol=1e-6)
    assert_array_equal(again_labels, labels[order])
    with_noise = noisy()
    parts = with_noise.weights_ / with_noise.weights_.sum()
    bare = GaussianMixture.from_parameters(parts, with_noise.means_, with_noise.covariances_)
    assert_allclose(with_noise.modes(), bare.modes(), atol=1e-6)


def test_climbs_from_many_rows_find_no_further_modes():
    rng, n_beyond = np.random.default_rng(0), 0
    for seed in range(60):
        # Long components in all directions, which cross each other.
        turned = np.linalg.qr(rng.normal(size=(4, 2, 2)))[0] * np.array([1.2, 0.2])
        covariances = turned @ np.swapaxes(turned, 1, 2)
        weights, means = rng.dirichlet(np.full(4, 8.0)), rng.normal(size=(4, 2))
        model = GaussianMixture.from_parameters(weights, means, covariances, random_state=seed)
        modes, labels = model.modes(return_labels=True)
        everything, _ = find_modes(model._fitted_state(), model.sample(300)[0])
        assert_allclose(everything, modes, atol=1e-6)
        n_beyond += len(modes) > len(set(labels))
    assert n_beyond >= 20  # mixtures with a mode that no mean leads to


def test_crossing_components_and_triangles_have_more_modes_than_components():
    cross = [np.diag([1.0, 0.05]), np.diag([0.05, 1.0])]
    modes, labels = GaussianMixture.from_parameters([0.5, 0.5], [[0.0, 0.0], [1.0, 1.0]], cross).modes(True)
    assert len(modes) == 3
    assert_allclose(modes[0], [1.0 / 1.05, 0.05 / 1.05], rtol=1e-9)  # where both curves of precision meet
    assert_array_equal(np.sort(labels), [1, 2])
    # At the middle the density bends down where the variance is above half the squared distance to the means.
    corners = np.exp(2j * np.pi * np.arange(3) / 3)
    means = np.column_stack([corners.real, corners.imag])
    for variance, expected in ((0.49, 3), (0.51, 4), (0.6, 1)):
        triangle = GaussianMixture.from_parameters([1 / 3] * 3, means, [variance] * 3, covariance_type="spherical")
        assert len(triangle.modes()) == expected


def test_modes_are_those_of_mean_shift():
    from sklearn.cluster import MeanShift

    X = np.concatenate([np.random.default_rng(0).normal(size=(20, 2)) + m for m in ([0, 0], [6, 0], [0, 7])])
    h = 1.1
    model = GaussianMixture.from_parameters(np.full(60, 1 / 60), X, np.full(60, h**2), covariance_type="spherical")
    assert_allclose(model.score_samples(X), KernelDensity(bandwidth=h).fit(X).score_samples(X), rtol=1e-10)
    modes, labels = model.modes(return_labels=True)
    assert len(modes) == 3
    # Three groups, as drawn; a flat kernel finds the same ones.
    assert_array_equal(labels[:20] != labels[20], True)
    assert len(MeanShift(bandwidth=3.0).fit(X).cluster_centers_) == 3


# One feature.


def one_feature(name):
    if name == "noise":
        return noisy(1)
    if name == "student with noise":
        return noisy(1, StudentMixture)
    return student("spherical", 1) if name == "student" else gaussian("full", 3, 1)


@pytest.mark.parametrize("name", ["gaussian", "student", "noise", "student with noise"])
def test_the_distribution_function_is_the_integral_of_the_density(name):
    model = one_feature(name)
    low, high = (
        (-15, 15)
        if "noise" not in name
        else np.sort(np.concatenate([model.noise_box_.low, model.noise_box_.high]) * model.noise_box_.axes[0, 0])
    )
    grid = np.linspace(low, high, 300_001)
    density = np.exp(model.score_samples(grid[:, None]))
    total = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1])) * (grid[1] - grid[0])])
    assert_allclose(model.cdf(grid) - model.cdf(grid[:1]), total, atol=1e-7)


@pytest.mark.parametrize("name", ["gaussian", "student", "noise", "student with noise"])
def test_quantiles_undo_the_distribution_function_far_into_the_tails(name):
    model = one_feature(name)
    p = np.concatenate([[1e-300, 1e-100, 1e-12, 1e-6], np.linspace(0.001, 0.999, 999)])
    values = model.quantile(p)
    # Neighbouring numbers are so far apart in probability.
    rounding = 4 * np.spacing(np.abs(values)) * np.exp(model.score_samples(values[:, None]))
    assert (np.abs(model.cdf(values) - p) <= 1e-9 * p + rounding).all()
    assert (np.diff(values) > 0).all()
    mirrored = values[-20:]
    assert_allclose(model.quantile(model.cdf(mirrored)), mirrored, rtol=1e-9)
    assert_array_equal(model.quantile([0.0, 1.0]), [-np.inf, np.inf])
    assert_allclose(model.cdf([-np.inf, np.inf]), [0.0, 1.0], atol=1e-15)


def test_quantiles_are_those_of_draws_and_of_one_component():
    model = gaussian("full", 3, 1)
    drawn = model.sample(400_000, random_state=0)[0][:, 0]
    p = np.array([0.01, 0.3, 0.5, 0.9])
    slope = np.exp(model.score_samples(model.quantile(p)[:, None]))
    error = np.sqrt(p * (1 - p) / 400_000) / slope
    assert (np.abs(np.quantile(drawn, p) - model.quantile(p)) < 5 * error).all()
    single = GaussianMixture.from_parameters([1.0], [[3.0]], [[[4.0]]])
    assert_allclose(single.quantile(p), stats.norm(3, 2).ppf(p), rtol=1e-13)
    assert_allclose(single.cdf(np.array([[1.0], [5.0]])), stats.norm(3, 2).cdf([1.0, 5.0]), rtol=1e-13)
    bayesian = BayesianGaussianMixture(n_components=2, random_state=0, max_iter=1000).fit(drawn[:500, None])
    assert_allclose(bayesian.cdf(bayesian.quantile(p)), p, rtol=1e-10)


# Regions.


@pytest.mark.parametrize("name", ["full", "diag", "student"])
def test_a_region_holds_its_probability_and_is_the_densest(name):
    model = student() if name == "student" else gaussian(name)
    region = model.hdr(0.8, n_simulations=200_000, random_state=1)
    drawn = model.sample(200_000, random_state=2)[0]
    inside = region.contains(drawn)
    assert inside.mean() == pytest.approx(0.8, abs=0.006)
    height = model.score_samples(drawn)
    assert height[inside].min() >= region.level > height[~inside].max()
    assert region.intervals is None


@pytest.mark.parametrize("name", ["gaussian", "student", "noise"])
def test_a_region_of_one_feature_has_intervals_of_that_probability(name):
    model = one_feature(name)
    region = model.hdr(0.9)
    assert_allclose(region.intervals, model.highest_density_intervals(0.9))
    if name != "noise":
        held = model.cdf(region.intervals[:, 1]) - model.cdf(region.intervals[:, 0])
        assert held.sum() == pytest.approx(0.9, abs=1e-6)
    points = np.concatenate([region.intervals.mean(axis=1), region.intervals[:, 1] + 1e-6])
    assert_array_equal(region.contains(points[:, None]), np.repeat([True, False], len(region.intervals)))


# Refusals.


def test_what_makes_no_sense_is_refused_naming_both_sides():
    model = gaussian()
    predictive = variational().set_params(predictive="student-t")
    for method in ("gradient", "hessian"):
        with pytest.raises(ValueError, match=f"{method} is known of .* predictive='student-t'"):
            getattr(predictive, method)(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="modes is known of"):
        predictive.modes()
    with pytest.raises(ValueError, match="X is a source"):
        model.hessian(sliced(np.zeros((4, 3))))
    for method in ("cdf", "quantile"):
        with pytest.raises(ValueError, match=f"3 features, and {method} is of one"):
            getattr(model, method)([0.5])
    single = gaussian(n_features=1)
    with pytest.raises(ValueError, match=r"q has values from 0\.5 to 1\.5"):
        single.quantile([0.5, 1.5])
    with pytest.raises(ValueError, match=r"x has shape .* or holds NaN"):
        single.cdf([np.nan])
    with pytest.raises(ValueError, match=r"coverage is 1\.5"):
        model.hdr(1.5)
    with pytest.raises(ValueError, match="n_simulations is 0"):
        model.hdr(0.5, n_simulations=0)
    with pytest.raises(ValueError, match=r"X has shape \(1, 2\); expected finite rows"):
        model.hdr(0.5, n_simulations=100).contains([[0.0, 0.0]])
    incomplete = GaussianMixture(2, missing="marginalise", random_state=0).fit(model.sample(100)[0])
    X = np.array([[0.0, np.nan, 1.0]])
    with pytest.raises(ValueError, match="X has missing values"):
        incomplete.gradient(X)
    assert_allclose(incomplete.gradient(X[:, [0, 2, 2]]).shape, (1, 3))
