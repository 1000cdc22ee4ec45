"""``model.plot``: the short way to a picture, on every estimator."""

import matplotlib
import numpy as np
import pytest
from numpy.testing import assert_allclose

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from sklearn.datasets import load_iris

from fastgmm import (
    GaussianMixtureClassifier,
    GaussianMixtureOutlierDetector,
    GaussianMixtureRegressor,
    GaussianMixtureSearch,
)
from fastgmm.datasets import load_faithful
from fastgmm.plotting import plot_classes, plot_regression
from fastgmm.plotting.palette import colour

pytestmark = pytest.mark.thread_unsafe(reason="figures are not safe in threads")


@pytest.fixture(scope="module")
def X():
    return load_faithful()


@pytest.fixture
def axes():
    return Figure().subplots()


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def ellipses(ax):
    return [patch for patch in ax.patches if isinstance(patch, Ellipse)]


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def test_a_search_draws_its_criterion_or_the_best_model(X):
    search = GaussianMixtureSearch(range(1, 4), ["EII", "EEE"]).fit(X)
    assert search.plot().get_ylabel() == "BIC (lower is better)"
    assert search.plot(kind="criteria", criterion="ICL").get_ylabel() == "ICL (lower is better)"
    assert len(ellipses(search.plot(X))) == 2 * search.best_params_["n_components"]
    with pytest.raises(ValueError, match="kind is 'pairs' and X is None; expected rows to draw"):
        search.plot(kind="pairs")


def test_a_classifier_draws_its_classes_and_rings_what_it_gets_wrong(iris, axes):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = GaussianMixtureClassifier([1, 2, 1], random_state=0).fit(X, names)
    assert model.plot(X, names, ax=axes) is axes
    *classes, rings = axes.collections
    assert [collection.get_label() for collection in classes] == list(model.classes_)
    predicted = model.predict(X)
    sizes = [len(collection.get_offsets()) for collection in classes]
    assert sizes == [np.count_nonzero(predicted == name) for name in model.classes_]
    assert len(rings.get_offsets()) == np.count_nonzero(predicted != names)
    # The two components of versicolor are in its colour.
    edges = [ellipse.get_edgecolor() for ellipse in ellipses(axes)]
    assert edges == [to_rgba(colour(c)) for c in (0, 0, 1, 1, 1, 1, 2, 2)]


def test_unlabelled_rows_are_not_called_wrong(iris, axes):
    X, y = iris
    model = GaussianMixtureClassifier(random_state=0).fit(X, y)
    plot_classes(model, X, np.where(model.predict(X) == y, y, -1), ax=axes)
    assert len(axes.collections[-1].get_offsets()) == 0
    with pytest.raises(ValueError, match=r"y has shape \(3,\); expected \(n_samples,\) = \(150,\)"):
        plot_classes(model, X, [0, 1, 2], ax=axes)


def test_an_outlier_detector_marks_what_it_finds(X):
    model = GaussianMixtureOutlierDetector(2, random_state=0).fit(X)
    marked = model.plot(X).collections[1]
    assert len(marked.get_offsets()) == np.count_nonzero(model.predict(X) < 0)
    assert len(ellipses(model.plot(X, kind="clusters"))) == 4


def test_a_regression_draws_its_prediction_and_spread(X, axes):
    model = GaussianMixtureRegressor(2, random_state=0).fit(X[:, :1], X[:, 1])
    assert model.plot(X[:, :1], X[:, 1], ax=axes) is axes
    at, mean = axes.lines[0].get_data()
    assert_allclose(mean, model.predict(at[:, None]), rtol=1e-12)
    low, high = axes.collections[1].get_paths()[0].vertices[:, 1].min(), mean.max()
    assert low < mean.min() < high
    covered = np.abs(X[:, 1] - model.predict(X[:, :1])) < 2 * np.sqrt(model.predict_covariance(X[:, :1]).ravel())
    assert covered.mean() > 0.9  # two standard deviations hold 95% of a Gaussian


def test_a_regression_on_several_features_sets_predictions_against_observations(iris, axes):
    X = iris[0]
    targets = X[:, 2:]
    model = GaussianMixtureRegressor(1).fit(X[:, :2], targets)
    plot_regression(model, X[:, :2], targets, target=1, ax=axes)
    drawn = np.asarray(axes.collections[1].get_offsets())
    assert_allclose(drawn, np.column_stack([model.predict(X[:, :2])[:, 1], targets[:, 1]]), rtol=1e-12)
    bars = np.asarray([segment[1, 0] - segment[0, 0] for segment in axes.collections[0].get_segments()])
    sd = np.sqrt(model.predict_covariance(X[:, :2])[:, 1, 1])
    assert_allclose(bars[0], 4 * sd[0], rtol=1e-12)  # one component: the same spread everywhere
    with pytest.raises(ValueError, match="target is 2; expected a number from 0 to 1"):
        plot_regression(model, X[:, :2], targets, target=2)
