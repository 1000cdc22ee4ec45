"""Pictures: what is drawn has the geometry of the model."""

import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate, stats

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.collections import EllipseCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from fastgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureSearch
from fastgmm.datasets import load_faithful
from fastgmm.plotting import (
    plot_clusters,
    plot_convergence,
    plot_criteria,
    plot_density,
    plot_histogram,
    plot_outlier_scores,
    plot_pairs,
    plot_posterior,
    plot_segmentation,
    report_figure,
)
from fastgmm.plotting.clusters import radius_of
from fastgmm.plotting.density import plane_density
from fastgmm.plotting.moments import moments_of
from fastgmm.plotting.palette import COLOURS, colour, marker
from fastgmm.plotting.segmentation import segment
from fastgmm.plotting.views import between_view, pca_view

pytestmark = pytest.mark.thread_unsafe(reason="figures are not safe in threads")


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def X():
    return load_faithful()


@pytest.fixture(scope="module")
def model(X):
    return GaussianMixture(3, covariance_type="full", random_state=0).fit(X)


@pytest.fixture(scope="module")
def wide():
    """Five features, three components of different shapes."""
    rng = np.random.RandomState(0)
    parts = [rng.normal(size=(n, 5)) @ rng.normal(size=(5, 5)) + shift for n, shift in ((80, 0), (120, 60), (60, -70))]
    X = np.concatenate(parts)
    return GaussianMixture(3, random_state=0).fit(X), X


@pytest.fixture
def axes():
    """Axes of a figure that no window has."""
    return Figure().subplots()


def ellipses(ax):
    return [patch for patch in ax.patches if isinstance(patch, Ellipse)]


def covariance_of(ellipse, probability):
    """Return the covariance whose `probability` ellipse this is."""
    angle = np.deg2rad(ellipse.angle)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    half = np.array([ellipse.width, ellipse.height]) / 2.0 / np.sqrt(stats.chi2(2).ppf(probability))
    return rotation @ np.diag(half**2) @ rotation.T


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "VEV"])
def test_ellipses_are_those_of_the_covariances(covariance_type, X, axes):
    model = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
    plot_clusters(model, X, probabilities=(0.5, 0.95), ax=axes)
    moments, drawn = moments_of(model), ellipses(axes)
    assert len(drawn) == 6
    for k in range(3):
        for ellipse, probability in zip(drawn[2 * k : 2 * k + 2], (0.5, 0.95), strict=True):
            assert_allclose(ellipse.center, model.means_[k])
            assert_allclose(covariance_of(ellipse, probability), moments.covariances[k], rtol=1e-9, atol=1e-9)


def test_an_ellipse_holds_the_share_that_it_names():
    rng = np.random.RandomState(0)
    distance = np.linalg.norm(rng.normal(size=(100_000, 2)), axis=1)
    for probability in (0.1, 0.5, 0.95):
        # Four standard errors of a share of 100,000.
        assert_allclose(np.mean(distance < radius_of(probability)), probability, atol=4 * 0.5 / np.sqrt(100_000))
    with pytest.raises(ValueError, match=r"probability is 1\.0"):
        radius_of(1.0)


def test_every_row_is_drawn_once_by_its_component_and_larger_the_less_certain(model, X, axes):
    plot_clusters(model, X, ax=axes)
    labels, uncertainty = model.predict(X), 1.0 - model.predict_proba(X).max(axis=1)
    assert len(axes.collections) == 3
    for k, points in enumerate(axes.collections):
        assert_array_equal(points.get_offsets(), X[labels == k])
        assert_allclose(points.get_facecolors()[0][:3], to_rgb(colour(k)))
        sizes = points.get_sizes()
        assert_array_equal(np.argsort(sizes, kind="stable"), np.argsort(uncertainty[labels == k], kind="stable"))
    low, high = np.array(axes.axis()).reshape(2, 2).T
    assert (low <= X.min(axis=0)).all()
    assert (high >= X.max(axis=0)).all()


def test_noise_is_drawn_apart(X, axes):
    model = GaussianMixture(2, noise=0.1, random_state=0).fit(X)
    plot_clusters(model, X, ax=axes)
    by_label = {points.get_label(): points.get_offsets() for points in axes.collections}
    assert_array_equal(by_label["noise"], X[model.predict(X) == -1])
    assert sum(map(len, by_label.values())) == len(X)
    assert "noise" in axes.get_legend().get_texts()[-1].get_text()


def test_many_rows_are_drawn_by_a_sample_always_the_same(model, X):
    big = np.tile(X, (10, 1))
    drawn = []
    for _ in range(2):
        axes = Figure().subplots()
        plot_clusters(model, big, max_points=500, ax=axes)
        drawn.append(np.concatenate([points.get_offsets() for points in axes.collections]))
    assert len(drawn[0]) == 500
    assert_array_equal(drawn[0], drawn[1])


@pytest.mark.parametrize("view", ["pca", "between", (1, 3)])
def test_a_view_of_a_mixture_is_the_distribution_of_the_view_of_its_rows(view, wide, axes):
    """Ellipses of drawn rows, viewed, are the ellipses of the viewed mixture."""
    model, X = wide
    plot_clusters(model, X, view=view, probabilities=(0.5,), ax=axes)
    for points, ellipse in zip(axes.collections, ellipses(axes), strict=True):
        seen = np.asarray(points.get_offsets())
        # Components are far apart: each one's rows give its mean and covariance, up to reg_covar.
        assert_allclose(ellipse.center, seen.mean(axis=0), atol=1e-6)
        assert_allclose(covariance_of(ellipse, 0.5), np.cov(seen.T, bias=True), rtol=1e-3, atol=1e-4)


def test_the_principal_view_has_the_largest_variance_and_no_correlation(wide):
    model, X = wide
    seen = pca_view(moments_of(model)).rows(X)
    values = np.linalg.eigvalsh(np.cov(X.T, bias=True))[::-1][:2]
    assert_allclose(np.cov(seen.T, bias=True), np.diag(values), rtol=1e-3, atol=1e-2)


def test_the_between_view_finds_the_plane_in_which_components_differ():
    """Three equal spheres in six dimensions differ in the plane of their means, and nowhere else."""
    rng = np.random.RandomState(3)
    means = rng.normal(size=(3, 2)) @ rng.normal(size=(2, 6)) * 4.0
    model = GaussianMixture.from_parameters([0.3, 0.3, 0.4], means, np.ones(3), covariance_type="spherical")
    axes = between_view(moments_of(model)).axes
    span = np.linalg.qr((means - means.mean(axis=0)).T)[0][:, :2]
    assert_allclose(span @ (span.T @ axes), axes, atol=1e-8)


def test_the_between_view_finds_differences_of_covariance_alone():
    covariances = np.stack([np.diag([1.0, 1, 1, 1]), np.diag([1.0, 1, 25, 1])])
    model = GaussianMixture.from_parameters([0.5, 0.5], np.zeros((2, 4)), covariances)
    first = between_view(moments_of(model)).axes[:, 0]
    assert_allclose(np.abs(first) / np.abs(first).max(), [0, 0, 1, 0], atol=1e-10)


def test_a_view_does_not_depend_on_units_between_components(wide):
    """Directions between components are invariant under scaling a feature."""
    model, X = wide
    scale = np.array([1.0, 100.0, 0.01, 3.0, 7.0])
    other = GaussianMixture.from_parameters(
        model.weights_, model.means_ * scale, model.covariances_ * np.outer(scale, scale)
    )
    seen = between_view(moments_of(model)).rows(X)
    scaled = between_view(moments_of(other)).rows(X * scale)
    assert_allclose(np.abs(scaled), np.abs(seen), rtol=1e-6, atol=1e-8)


def test_density_contours_hold_the_shares_of_rows(model, X, axes):
    plot_density(model, X, shares=(0.9, 0.5), ax=axes)
    levels = axes.collections[0].levels
    density = np.exp(model.score_samples(X))
    for level, share in zip(levels, (0.9, 0.5), strict=False):
        assert_allclose(np.mean(density >= level), share, atol=1.5 / len(X))


def test_the_density_in_the_plane_is_the_models(model, X):
    assert_allclose(np.log(plane_density(moments_of(model), X)), model.score_samples(X), rtol=1e-10)


def test_histogram_densities_integrate_to_the_weights(model, X, axes):
    plot_histogram(model, X, feature=1, ax=axes)
    whole, *parts = axes.lines
    assert len(parts) == 3
    for line, weight in zip([whole, *parts], [1.0, *model.weights_], strict=True):
        # The margins of the picture cut off tails of a few per mille.
        assert_allclose(integrate.trapezoid(line.get_ydata(), line.get_xdata()), weight, atol=0.01)
    assert_allclose(sum(line.get_ydata() for line in parts), whole.get_ydata())
    bars = sum(patch.get_width() * patch.get_height() for patch in axes.patches)
    assert_allclose(bars, 1.0)


def test_a_narrow_component_is_not_missed_by_the_grid(axes):
    X = np.linspace(0, 1000, 50)[:, None]
    model = GaussianMixture.from_parameters([0.5, 0.5], [[500.0], [400.0]], [1e4, 1e-4], covariance_type="spherical")
    plot_histogram(model, X, ax=axes)
    assert_allclose(axes.lines[2].get_ydata().max(), 0.5 / np.sqrt(2 * np.pi * 1e-4), rtol=1e-6)


def test_criteria_draw_each_value_and_ring_the_lowest(axes):
    curves = {"full": {1: 30.0, 2: 10.0, 3: 12.0}, "diag": {1: 31.0, 2: np.nan, 3: 9.5}}
    plot_criteria(curves, ax=axes)
    assert_array_equal(axes.lines[0].get_ydata(), [30.0, 10.0, 12.0])
    assert_array_equal(axes.lines[1].get_ydata(), [31.0, np.nan, 9.5])
    assert axes.lines[2].get_xydata().tolist() == [[3.0, 9.5]]
    low, high = axes.get_ylim()
    assert low < 9.5 < high


def test_a_hopeless_structure_does_not_flatten_the_others(axes):
    plot_criteria({"a": {k: 100.0 + k for k in range(1, 6)}, "b": {1: 1e6, 2: 104.0}, "c": {1: 1e6, 2: 1e5}}, ax=axes)
    low, high = axes.get_ylim()
    assert low < 101.0
    assert high < 1000.0
    # What is out of the picture is said to be.
    assert [text.get_text() for text in axes.get_legend().get_texts()].count("c (above)") == 1


def test_criteria_of_a_search_are_those_of_its_table(X, axes):
    search = GaussianMixtureSearch(range(1, 4), ["EEE", "VVV"]).fit(X)
    for criterion in ("BIC", "ICL"):
        axes.clear()
        plot_criteria(search, criterion=criterion, ax=axes)
        for line, name in zip(axes.lines, ["EEE", "VVV"], strict=False):
            held = [
                value
                for value, owner in zip(
                    search.results_[criterion.lower()], search.results_["covariance_type"], strict=True
                )
                if owner == name
            ]
            assert_array_equal(line.get_ydata(), held)
        assert criterion in axes.get_ylabel()
    with pytest.raises(ValueError, match="criterion is 'cake'"):
        plot_criteria(search, criterion="cake", ax=axes)


def test_empty_components_are_not_drawn(axes):
    """A variational fit leaves components empty, where the prior put them."""
    rng = np.random.RandomState(0)
    X = np.concatenate([rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + 10.0])
    model = GaussianMixture.from_parameters([0.5, 1e-5, 0.49999], [[0, 0], [5, 5], [10, 10]], [np.eye(2)] * 3)
    plot_clusters(model, X, ax=axes)
    assert [ellipse.center for ellipse in ellipses(axes)] == [(0, 0), (0, 0), (10, 10), (10, 10)]
    assert [text.get_text()[0] for text in axes.get_legend().get_texts()] == ["0", "2"]


def test_criteria_without_a_value_are_refused(axes):
    with pytest.raises(ValueError, match="no finite value"):
        plot_criteria({"a": {1: np.nan}}, ax=axes)


def test_convergence_draws_the_bounds_and_never_descends(model, axes):
    plot_convergence(model, ax=axes)
    assert_array_equal(axes.lines[0].get_ydata(), model.lower_bounds_)
    assert axes.lines[0].get_xdata()[0] == 1
    gap = plot_convergence({"a": model, "b": model}, gap=True, ax=Figure().subplots())
    assert len(gap.lines) == 2
    assert np.nanmin(gap.lines[0].get_ydata()) > 0
    assert gap.get_yscale() == "log"


def test_outlier_scores_mark_the_fraction(model, X, axes):
    plot_outlier_scores(model, X, fraction=0.05, names=[f"row {i}" for i in range(len(X))], ax=axes)
    rest, outliers = (points.get_offsets() for points in axes.collections)
    density = np.sort(model.score_samples(X))
    assert len(rest) + len(outliers) == len(X)
    assert_array_equal(outliers[:, 1], density[: len(outliers)])
    assert abs(len(outliers) - 0.05 * len(X)) <= 1
    lowest = f"row {model.score_samples(X).argmin()}"
    assert axes.texts[0].get_text() == lowest
    # Without names, as the command line numbers rows.
    numbered = plot_outlier_scores(model, X, ax=Figure().subplots())
    assert numbered.texts[0].get_text() == str(model.score_samples(X).argmin() + 1)


def test_the_posterior_shows_every_row_in_blocks(model, X, axes):
    plot_posterior(model, X, ax=axes)
    shown = np.asarray(axes.images[0].get_array())
    assert shown.shape == (len(X), 3)
    assert_allclose(shown.sum(axis=1), 1.0)
    assert (np.diff(shown.argmax(axis=1)) >= 0).all()
    assert_array_equal(np.sort(shown.max(axis=1)), np.sort(model.predict_proba(X).max(axis=1)))


def test_a_segmentation_has_the_colours_of_the_components():
    image = np.zeros((6, 8, 3))
    image[:, 4:] = [0.9, 0.5, 0.1]
    model = GaussianMixture.from_parameters(
        [0.5, 0.5], [[0, 0, 0], [0.9, 0.5, 0.1]], [1e-3, 1e-3], covariance_type="spherical"
    )
    shown = segment(model, image)
    assert_allclose(shown[:, :4], np.broadcast_to(to_rgb(COLOURS[0]), (6, 4, 3)), atol=1e-12)
    assert_allclose(shown[:, 4:], np.broadcast_to(to_rgb(COLOURS[1]), (6, 4, 3)), atol=1e-12)
    axes = plot_segmentation(model, image, colours="means", ax=Figure().subplots())
    assert_allclose(axes.images[0].get_array(), image, atol=1e-12)
    with pytest.raises(ValueError, match=r"image has shape \(6, 8\); expected \(height, width, n_features\)"):
        segment(model, image[..., 0])


def test_pairs_are_a_matrix_of_pictures(wide):
    model, X = wide
    grid = plot_pairs(model, X, features=[0, 2, 4])
    assert grid.shape == (3, 3)
    assert len(ellipses(grid[0, 1])) == 6
    seen = np.concatenate([points.get_offsets() for points in grid[2, 0].collections])
    assert_array_equal(np.sort(seen, axis=0), np.sort(X[:, [0, 4]], axis=0))
    with pytest.raises(ValueError, match=r"ax has shape \(2, 2\); expected a matrix of axes, \(3, 3\)"):
        plot_pairs(model, X, features=[0, 2, 4], ax=Figure().subplots(2, 2))


def words_of(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_pairs_have_one_legend(wide):
    model, X = wide
    expected = [f"{k}  ({weight:.0%})" for k, weight in enumerate(model.weights_)]
    grid = plot_pairs(model, X, features=[0, 1])
    assert [panel.get_legend() for panel in grid.ravel()] == [None] * 4
    (beside,) = grid[0, 0].figure.legends
    assert words_of(beside) == expected
    grid = plot_pairs(model, X, features=[0, 1], ax=Figure().subplots(2, 2))
    assert words_of(grid[0, 1].get_legend()) == expected
    assert not plot_pairs(model, X, features=[0, 1], legend=False)[0, 0].figure.legends


def test_the_shades_of_a_density_say_what_share_of_the_rows_they_hold(model, X, axes):
    plot_density(model, X, shares=[0.5, 0.9], ax=axes)
    assert words_of(axes.get_legend()) == ["90%", "50%"]
    shades = [handle.get_facecolor() for handle in axes.get_legend().legend_handles]
    (drawn,) = [c for c in axes.collections if hasattr(c, "levels") and len(c.get_facecolor()) == 2]
    assert_allclose(shades, drawn.get_facecolor())
    at = plane_density(moments_of(model), X)
    assert_allclose([np.mean(at >= level) for level in drawn.levels[:2]], [0.9, 0.5], atol=1 / len(X))


def test_bins_are_narrow_enough_for_the_narrowest_component(axes):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, 500), rng.normal(30, 0.5, 300), rng.normal(60, 5, 200)])[:, None]
    model = GaussianMixture(3, random_state=0).fit(X)
    plot_histogram(model, X, ax=axes)
    width = axes.patches[0].get_width()
    assert width < np.sqrt(model.covariances_.min())
    assert len(plot_histogram(model, X * 1e3 + 1e9 * (X > 20), ax=Figure().subplots()).patches) <= 200


def test_a_direction_names_the_features_that_load_on_it(axes):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)) * [1.0, 100.0, 1.0, 1e-3]
    X[:150, 1] += 2000.0
    X[:150, 3] -= 0.02
    means, covariances = [X[:150].mean(axis=0), X[150:].mean(axis=0)], [np.diag([1.0, 1e4, 1.0, 1e-6])] * 2
    model = GaussianMixture.from_parameters([0.5, 0.5], means, covariances)
    plot_clusters(model, X, names=["age", "income", "height", "rate"], ax=axes)
    first, second = axes.get_xlabel(), axes.get_ylabel()
    assert first in (
        "direction 1 between components\nmostly income, \N{MINUS SIGN}rate",
        "direction 1 between components\nmostly rate, \N{MINUS SIGN}income",
    )
    assert second.startswith("direction 2 between components\nmostly ")
    long = [f"the {j}th of several features with long names" for j in range(4)]
    label = plot_clusters(model, X, names=long, view="pca", ax=Figure().subplots()).get_xlabel()
    assert label.splitlines()[1] == f"mostly {long[1]}"


def test_criteria_may_have_a_legend_of_columns_or_none(axes):
    curves = {f"s{j}": {1: float(j), 2: 2.0 * j} for j in range(14)}
    assert plot_criteria(curves, ax=axes).get_legend()._ncols == 2
    assert plot_criteria(curves, ncols=4, ax=Figure().subplots()).get_legend()._ncols == 4
    assert plot_criteria(curves, legend=False, ax=Figure().subplots()).get_legend() is None


@pytest.mark.parametrize("criterion", ["bic", "icl"])
def test_the_report_of_a_search_is_made_of_the_search(criterion, X):
    frame = pd.DataFrame(X, columns=["eruptions", "waiting"])
    search = GaussianMixtureSearch([1, 2, 3], ["EEE", "VVV"], criterion=criterion, random_state=0).fit(frame)
    left, right = report_figure(search, X).axes
    assert left.get_ylabel() == f"{criterion.upper()} (lower is better)"
    best = search.best_params_
    assert left.get_legend().get_title().get_text() == f"ringed: {best['covariance_type']}, {best['n_components']}"
    assert (right.get_xlabel(), right.get_ylabel()) == ("eruptions", "waiting")
    assert len(ellipses(right)) == 2 * best["n_components"]


def test_the_report_has_a_panel_for_the_search_and_one_for_the_winner(model, X):
    figure = report_figure(model, X, {"full": {2: 5.0, 3: 4.0}}, title="title")
    left, right = figure.axes
    assert "BIC" in left.get_ylabel()
    assert len(ellipses(right)) == 6
    one = GaussianMixture(2, random_state=0).fit(X[:, :1])
    figure = report_figure(one, X[:, :1], {"full": {2: 5.0}}, names=["minutes"])
    assert figure.axes[1].get_xlabel() == "minutes"


PICTURES = [plot_clusters, plot_density, plot_histogram, plot_outlier_scores, plot_posterior]


@pytest.mark.parametrize("plot", PICTURES, ids=lambda plot: plot.__name__)
def test_each_takes_axes_and_returns_them_and_renders(plot, model, X, axes):
    assert plot(model, X, ax=axes) is axes
    assert len(plt.get_fignums()) == 0
    axes.figure.canvas.draw()
    fresh = plot(model, X)
    assert plt.get_fignums() == [fresh.figure.number]


@pytest.mark.parametrize("plot", PICTURES, ids=lambda plot: plot.__name__)
def test_each_names_what_is_wrong(plot, model, X, axes):
    with pytest.raises(ValueError, match=r"X has shape \(272, 1\); expected \(n_samples, n_features\) = \(n, 2\)"):
        plot(model, X[:, :1], ax=axes)
    with pytest.raises(ValueError, match="not fitted"):
        plot(GaussianMixture(), X, ax=axes)


@pytest.mark.parametrize(
    "make",
    [
        lambda: BayesianGaussianMixture(n_components=3, random_state=0, max_iter=500),
        lambda: GaussianMixtureSearch(range(1, 4), ["EEE"]),
        lambda: SklearnGaussianMixture(3, random_state=0),
    ],
    ids=["bayesian", "search", "scikit-learn"],
)
def test_other_mixtures_are_drawn_too(make, X, axes):
    plot_clusters(make().fit(X), X, ax=axes)
    assert len(ellipses(axes)) == 6


def test_a_frame_gives_its_names(X, axes):
    frame = pd.DataFrame(X, columns=["eruptions", "waiting"])
    plot_clusters(GaussianMixture(2, random_state=0).fit(frame), frame, ax=axes)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("eruptions", "waiting")


def test_features_go_by_name():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 3)), columns=["a", "b", "c"])
    model = GaussianMixture(2, random_state=0).fit(frame)
    axes = model.plot(frame, view=("c", "a"), ax=Figure().subplots())
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("c", "a")
    assert model.plot(frame, kind="histogram", feature="b", ax=Figure().subplots()).get_xlabel() == "b"
    panels = model.plot(frame, kind="pairs", features=["c", 0], ax=Figure().subplots(2, 2))
    assert [panel.get_xlabel() for panel in panels[-1]] == ["c", "a"]
    with pytest.raises(ValueError, match="features has 'd'; expected a number from 0 to 2, or one of the names a, b"):
        model.plot(frame, kind="pairs", features=["d"])


def test_the_short_way_chooses_the_picture(model, X):
    one = GaussianMixture(2, random_state=0).fit(X[:, :1])
    assert one.plot(X[:, :1]).get_ylabel() == "density"
    assert len(ellipses(model.plot(X))) == 6
    assert model.plot(X, kind="posterior").images
    with pytest.raises(ValueError, match="kind is 'cake'; expected one of clusters"):
        model.plot(X, kind="cake")


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ("cake", "view is 'cake'"),
        ((0, 9), "view has 9; expected a number from 0 to"),
        (("x0", "cake"), "view has 'cake'"),
        ((0, 1, 2), "expected a pair"),
    ],
)
def test_views_that_are_none_are_refused(view, expected, wide, axes):
    model, X = wide
    with pytest.raises(ValueError, match=expected):
        plot_clusters(model, X, view=view, ax=axes)


def test_no_two_of_49_components_look_alike():
    assert len({(colour(k), marker(k)) for k in range(49)}) == 49


def test_without_matplotlib_the_remedy_is_named(model, X, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'fastgmm\[plot\]'"):
        model.plot(X)


def test_contours_are_darker_the_denser(model, X, axes):
    plot_density(model, X, ax=axes)
    filled = next(collection for collection in axes.collections if len(collection.get_facecolor()) > 2)
    lightness = filled.get_facecolor()[:, :3].mean(axis=1)
    assert (np.diff(lightness) < 0).all()


# Rows that miss a coordinate, and rows measured with errors.


def test_rows_that_miss_a_coordinate_are_ticks_on_the_axis_of_the_other(X, axes):
    holes = X.copy()
    holes[:7, 0], holes[7:12, 1] = np.nan, np.nan
    model = GaussianMixture(2, missing="marginalise", random_state=0).fit(holes)
    labels = model.predict(holes)
    plot_clusters(model, holes, ax=axes)
    for marker_, j, rows in (("_", 1, slice(0, 7)), ("|", 0, slice(7, 12))):
        ticks = [line for line in axes.lines if line.get_marker() == marker_]
        for tick in ticks:
            k = [colour(k) for k in range(2)].index(tick.get_color())
            found = (tick.get_ydata(), tick.get_xdata())[1 - j]
            assert_array_equal(found, holes[rows, j][labels[rows] == k])
        assert sum(len(tick.get_xdata()) for tick in ticks) == rows.stop - rows.start
    assert sum(len(points.get_offsets()) for points in axes.collections) == len(X) - 12
    plot_density(model, holes, ax=Figure().subplots())


def test_a_pair_of_features_shows_rows_that_miss_others():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    X[:20, 2] = np.nan
    model = GaussianMixture(1, missing="marginalise", random_state=0).fit(X)
    ax = plot_clusters(model, X, view=(0, 1), ax=Figure().subplots())
    assert_array_equal(ax.collections[0].get_offsets(), X[:, :2])
    ax = plot_clusters(model, X, view="pca", ax=Figure().subplots())
    assert len(ax.collections[0].get_offsets()) == 40


@pytest.mark.parametrize("kind", ["variances", "covariances", "common"])
def test_errors_are_ellipses_of_one_standard_deviation(kind, X, axes):
    rng = np.random.default_rng(0)
    variances = rng.uniform(0.1, 2.0, size=X.shape) * X.var(axis=0)
    roots = rng.normal(size=(len(X), 2, 2)) * X.std(axis=0)[:, None] / 3.0
    covariances = roots @ roots.transpose(0, 2, 1)
    errors = {"variances": variances, "covariances": covariances, "common": covariances[0]}[kind]
    model = GaussianMixture(2, random_state=0).fit(X, errors=errors)
    plot_clusters(model, X, errors=errors, ax=axes)
    drawn = [found for found in axes.collections if isinstance(found, EllipseCollection)]
    labels = model.predict(X, errors=errors)
    wanted = {"variances": variances[:, :, None] * np.eye(2), "covariances": covariances}.get(kind)
    wanted = np.broadcast_to(covariances[0], (len(X), 2, 2)) if wanted is None else wanted
    for k, ellipses_ in enumerate(drawn):
        assert_array_equal(ellipses_.get_offsets(), X[labels == k])
        angle = np.deg2rad(ellipses_.get_angles())
        turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=1).reshape(-1, 2, 2)
        half = np.stack([ellipses_.get_widths(), ellipses_.get_heights()], axis=1) / 2.0
        found = turn @ (half[:, :, None] ** 2 * np.eye(2)) @ turn.transpose(0, 2, 1)
        assert_allclose(found, wanted[labels == k], rtol=1e-9, atol=1e-9 * np.abs(wanted).max())


def test_what_was_not_measured_is_a_tick(X, axes):
    errors = np.full(X.shape, 0.01)
    errors[:5, 1] = np.inf
    model = GaussianMixture(2, random_state=0).fit(X, errors=errors)
    plot_clusters(model, X, errors=errors, ax=axes)
    ticks = np.concatenate([line.get_xdata() for line in axes.lines if line.get_marker() == "|"])
    assert_array_equal(np.sort(ticks), np.sort(X[:5, 0]))
