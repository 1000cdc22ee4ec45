"""Summaries: what they say is true of the model."""

import pickle
from inspect import signature
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

import fastgmm
from fastgmm import (
    BayesianGaussianMixture,
    GaussianMixture,
    GaussianMixtureClassifier,
    GaussianMixtureOutlierDetector,
    GaussianMixtureRegressor,
    GaussianMixtureSearch,
)
from fastgmm.callbacks import TimeLimit
from fastgmm.datasets import load_faithful
from fastgmm.summary import overlap_bound


def test_a_summary_says_what_the_model_is():
    X = load_faithful()
    model = GaussianMixture(2, covariance_type="VEV", random_state=0).fit(X)
    text = model.summary(X)
    assert text.startswith("GaussianMixture: 2 components, full covariance (VEV), 2 features\n")
    assert f"{model._n_parameters()} free ones" in text
    assert f"converged after {model.n_iter_} iterations" in text
    for k, row in enumerate(text.splitlines()[-2:]):
        assert row.split()[:3] == [str(k), f"{model.weights_[k]:.4f}", str(np.sum(model.predict(X) == k))]


def test_a_summary_shows_itself_as_lines_at_a_prompt_and_as_tables_in_a_notebook():
    frame = pd.DataFrame(load_faithful(), columns=["eruptions <min>", "waiting"])
    for model in (GaussianMixture(2, random_state=0), GaussianMixtureSearch([1, 2, 3], ["EEE"])):
        summary = model.fit(frame).summary(frame)
        assert repr(summary) == str(summary)
        page = ElementTree.fromstring(f"<div>{summary._repr_html_()}</div>")
        assert " ".join(page.itertext()).split() == summary.split()
        *_, table = page.iter("table")
        assert [cell.text for cell in table.find("thead/tr")][-2:] == ["mean eruptions <min>", "mean waiting"]
        assert [row[0].text for row in table.find("tbody")] == [str(k) for k in range(len(table.find("tbody")))]
        again = pickle.loads(pickle.dumps(summary))
        assert (again, again._repr_html_()) == (summary, summary._repr_html_())


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        (2.0, "components 0 and 1 overlap: up to 30% of their rows may be assigned to the wrong one"),
        (10.0, "fewer than 0.01% of the rows may be assigned to the wrong component"),
    ],
)
def test_the_overlap_is_a_share_of_rows(gap, words):
    model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [gap]], [1.0, 1.0], covariance_type="spherical")
    assert f"\noverlap      {words}\n" in model.summary()


@pytest.mark.parametrize("gap", [0.0, 1.0, 2.0, 4.0])
def test_the_overlap_bounds_the_error_of_the_best_choice(gap):
    """Two components with one variance: the error of the best choice is known."""
    model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [gap]], [1.0, 1.0], covariance_type="spherical")
    error = stats.norm.sf(gap / 2.0)
    bound = overlap_bound(model)[0, 1]
    assert error <= bound <= 0.5 + 1e-15
    assert bound <= np.sqrt(error * (1 - error)) + 1e-12  # what the same paper says from the other side


def test_components_too_far_apart_for_any_error_have_no_overlap():
    model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [1000.0]], [[[1.0]], [[1.0]]])
    assert "overlap      no two components overlap" in model.summary()


def test_the_overlap_does_not_depend_on_units():
    X = load_faithful()
    model = GaussianMixture(3, random_state=0).fit(X)
    scale = np.array([1e3, 1e-3])
    other = GaussianMixture.from_parameters(
        model.weights_, model.means_ * scale + 5.0, model.covariances_ * np.outer(scale, scale)
    )
    bound = overlap_bound(model)
    assert_allclose(overlap_bound(other), bound, rtol=1e-7)
    assert_array_equal(bound, bound.T)


def test_effective_components_count_equal_ones():
    means = np.arange(4.0)[:, None]
    model = GaussianMixture.from_parameters(np.full(4, 0.25), means, np.ones(4), covariance_type="spherical")
    assert "as even as those of 4.00 equal components" in model.summary()


def test_what_to_beware_of_is_said():
    X = load_faithful()
    model = GaussianMixture(2, random_state=0, max_iter=1, tol=0.0)
    with pytest.warns(UserWarning, match="did not converge"):
        model.fit(X)
    assert "EM did not converge; increase max_iter" in model.summary()
    collapsed = GaussianMixture(2, init_params="k-means++", random_state=0).fit(
        np.concatenate([np.zeros((5, 2)), np.ones((5, 2))])
    )
    assert "made up of reg_covar = 1e-06 alone" in collapsed.summary()
    few = GaussianMixture.from_parameters([0.5, 0.5], np.zeros((2, 3)), [np.eye(3)] * 2)
    assert "component 1 has no more rows than there are features" in few.summary(np.zeros((4, 3)))
    narrow = GaussianMixture.from_parameters([1.0], [[0.0, 0.0]], [np.diag([1.0, 1e-14])])
    assert "condition number" in narrow.summary()


def test_every_mixture_has_one():
    X = load_faithful()
    variational = BayesianGaussianMixture(n_components=2, random_state=0, max_iter=500).fit(X)
    assert variational.summary().startswith("BayesianGaussianMixture: 2 components")
    assert "noise" in GaussianMixture(2, noise=0.1, random_state=0).fit(X).summary()
    with pytest.raises(ValueError, match="not fitted"):
        GaussianMixture().summary()


def test_a_search_says_what_it_chose_and_what_failed():
    X = load_faithful()
    search = GaussianMixtureSearch([1, 2, 3], ["EEE", "VVV"]).fit(X)
    text = search.summary(X)
    assert text.startswith(
        "GaussianMixtureSearch: 6 candidates, chosen by bic\nbest         EEE, 3 components; bic 2314.3"
    )
    assert text.endswith(search.best_estimator_.summary(X))
    assert "failed" not in text
    line = np.random.default_rng(0).normal(size=(60, 1))
    flat = GaussianMixtureSearch([1], ["EII", "VVV"]).fit(np.hstack([line, line]))
    assert [reason is None for reason in flat.results_["failure"]] == [True, False]
    assert "\nfailed       1 candidate: " in flat.summary()


def test_a_classifier_names_the_class_of_each_component():
    X, y = load_iris(return_X_y=True)
    model = GaussianMixtureClassifier([1, 2, 1], random_state=0).fit(X, np.array(["a", "b", "c"])[y])
    lines = model.summary(X).splitlines()
    assert lines[0] == "GaussianMixtureClassifier: 3 classes, 4 components, full covariance, 4 features"
    assert "a 33.3%; b 33.3%; c 33.3%" in lines[1]
    assert [line.split()[1] for line in lines[-4:]] == ["a", "b", "b", "c"]


def test_an_outlier_detector_says_its_threshold_and_counts():
    X = load_faithful()
    model = GaussianMixtureOutlierDetector(2, contamination=0.05, random_state=0).fit(X)
    text = model.summary(X)
    assert (
        f"rows with a log density below {model.offset_:.6g} are anomalies; so are 0.05 of the rows it was fitted to"
        in text
    )
    assert f"anomalies    {np.count_nonzero(model.predict(X) < 0)} of 272 rows" in text
    assert f"converged after {model.n_iter_} iterations" in text


def test_a_regressor_gives_means_in_the_units_of_the_data():
    X = load_faithful()
    model = GaussianMixtureRegressor(1).fit(X[:, :1], X[:, 1])
    head, row = model.summary().splitlines()[-2:]
    assert head.split() == ["component", "weight", "mean", "y", "mean", "x0"]
    assert_allclose([float(cell) for cell in row.split()[2:]], X.mean(axis=0)[::-1], rtol=1e-4)  # five digits


def test_a_fit_that_a_callback_ended_says_so_and_is_no_failure():
    model = GaussianMixture(3, tol=0.0, random_state=0).set_callbacks(TimeLimit(0)).fit(load_faithful())
    assert "a callback ended EM after 1 iteration" in model.summary()
    assert "did not converge" not in model.summary()


@pytest.mark.parametrize(
    "estimator",
    [
        GaussianMixtureSearch(),
        GaussianMixtureClassifier(),
        GaussianMixtureOutlierDetector(),
        GaussianMixtureRegressor(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_before_a_fit_there_is_nothing_to_say(estimator):
    with pytest.raises(NotFittedError):
        estimator.summary()


CLASSES = {name: getattr(fastgmm, name) for name in fastgmm.__all__ if isinstance(getattr(fastgmm, name), type)}


@pytest.mark.parametrize("name", [name for name, cls in CLASSES.items() if "reg_covar" in signature(cls).parameters])
def test_every_estimator_shows_its_parameters_as_scikit_learns_do(name):
    estimator = getattr(fastgmm, name)(reg_covar=0.25)
    assert repr(estimator) == f"{name}(reg_covar=0.25)"
    assert "0.25" in estimator._repr_html_()
