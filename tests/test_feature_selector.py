"""Features that tell of clusters: clustvarsel's vignette, and laws of the search for them."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from fastgmm import GaussianMixture, GaussianMixtureFeatureSelector, GaussianMixtureSearch
from fastgmm.data import ArrayRows, batches
from fastgmm.selection.feature_evidence import FeatureEvidence

DATA = Path(__file__).parent / "data"

#: clustvarsel 2.3.5, the vignette's five columns: step, feature, BIC, structure, components, difference, accepted.
#: BICs are mclust's times minus one; mclust stops EM earlier, by up to 0.04.
FORWARD = [
    ("add", "X2", 822.6398, "E", 2, 11.17931, True),
    ("add", "X1", 1482.8408, "VEV", 2, 85.19530, True),
    ("add", "X3", 2047.7064, "EEV", 2, -14.91130, False),
    ("remove", "X1", 822.6398, "E", 2, 85.19530, False),
]
BACKWARD = [
    ("remove", "X3", 2925.4851, "EVE", 2, -38.09195, True),
    ("remove", "X4", 2067.0668, "EVE", 2, -23.50212, True),
    ("remove", "X5", 1482.8408, "VEV", 2, -16.25831, True),
    ("add", "X3", 2047.7064, "EEV", 2, -14.91130, False),
    # clustvarsel starts the one feature that is left otherwise here, and ends at V with 833.0019.
    ("remove", "X1", 822.6398, "E", 2, 85.19530, False),
    ("add", "X3", 2047.7064, "EEV", 2, -14.91130, False),
]


def vignette():
    pd = pytest.importorskip("pandas")
    return pd.read_csv(DATA / "clustvarsel.csv")


def quick(sizes=range(1, 4)):
    return GaussianMixtureSearch(sizes, ["EEE", "VVV"])


def mixed(n_samples=200, seed=0):
    """Return two informative features, one that follows from the first, and noise."""
    rng = np.random.default_rng(seed)
    side = rng.integers(2, size=(n_samples, 1))
    informative = rng.normal(size=(n_samples, 2)) + 4.0 * side
    follows = 2.0 * informative[:, :1] + 0.5 * rng.normal(size=(n_samples, 1))
    return np.column_stack([rng.normal(size=n_samples), informative, follows, rng.normal(size=n_samples)])


def rows_of(steps):
    columns = ("step", "feature", "bic", "covariance_type", "n_components", "bic_difference", "accepted")
    return list(zip(*(steps[column] for column in columns), strict=True))


@pytest.mark.parametrize(
    ("direction", "method", "expected"),
    [("forward", "greedy", FORWARD), ("forward", "headlong", FORWARD), ("backward", "greedy", BACKWARD)],
)
def test_the_vignette_of_clustvarsel(direction, method, expected):
    # The winners among all fourteen families, which take eight times as long.
    search = GaussianMixtureSearch(range(1, 4), ["VEV", "EEV", "EVE", "EEE"])
    selector = GaussianMixtureFeatureSelector(search, direction=direction, method=method).fit(vignette())
    assert selector.get_feature_names_out().tolist() == ["X1", "X2"]
    found = rows_of(selector.steps_)
    assert [(*row[:2], *row[3:5], row[6]) for row in found] == [(*row[:2], *row[3:5], row[6]) for row in expected]
    assert_allclose([row[2] for row in found], [row[2] for row in expected], atol=0.05)
    assert_allclose([row[5] for row in found], [row[5] for row in expected], atol=0.05)


@pytest.mark.parametrize("method", ["greedy", "headlong"])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_what_follows_from_others_and_noise_stay_out(direction, method):
    selector = GaussianMixtureFeatureSelector(quick(), direction=direction, method=method).fit(mixed())
    assert_array_equal(selector.get_support(indices=True), [1, 2])
    assert selector.search_.best_params_["n_components"] == 2
    steps = selector.steps_
    inside = set() if direction == "forward" else set(range(5))
    for feature, step, accepted in zip(steps["feature"], steps["step"], steps["accepted"], strict=True):
        if accepted:
            inside = inside | {feature} if step == "add" else inside - {feature}
    assert inside == {1, 2}


def test_ten_columns_of_noise_end_at_one_cluster():
    X = np.random.default_rng(0).normal(size=(200, 10))
    selector = GaussianMixtureFeatureSelector(quick()).fit(X)
    assert selector.search_.best_params_["n_components"] == 1


def test_the_evidence_is_the_difference_of_the_two_models():
    X = mixed()
    evidence = FeatureEvidence(ArrayRows(X), quick(), [2, 3])
    together = quick([2, 3]).fit(X[:, [1, 2]]).best_score_
    alone = GaussianMixtureSearch([2, 3], ["E", "V"]).fit(X[:, [1]]).best_score_
    best = np.inf
    for columns in ([], [1]):
        design = np.column_stack([np.ones(len(X)), X[:, columns]])
        residual = X[:, 2] - design @ np.linalg.lstsq(design, X[:, 2], rcond=None)[0]
        log_likelihood = -0.5 * len(X) * (np.log(2 * np.pi * np.mean(residual**2)) + 1.0)
        best = min(best, -2.0 * log_likelihood + (len(columns) + 2) * np.log(len(X)))
    assert evidence.difference(2, [1]) == pytest.approx(alone + best - together, abs=1e-6)


def test_many_predictors_are_left_out_one_by_one_as_well_as_by_all_subsets():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 12))
    X[:, 0] = X[:, 3] - 2.0 * X[:, 7] + rng.normal(size=300)
    evidence = FeatureEvidence(ArrayRows(X), quick(), [2])
    assert evidence.regression(0, list(range(1, 12))) <= evidence.regression(0, [3, 7])
    assert evidence.regression(0, list(range(1, 11))) <= evidence.regression(0, [3, 7])


def test_the_answer_does_not_depend_on_units_and_an_integer_weight_is_a_repeated_row():
    X = mixed()
    plain = GaussianMixtureFeatureSelector(quick()).fit(X)
    scaled = GaussianMixtureFeatureSelector(quick()).fit(X * 2.0 ** np.array([-20, 10, 3, 0, 12]) + 100.0)
    assert scaled.steps_["feature"] == plain.steps_["feature"]
    assert_allclose(scaled.steps_["bic_difference"], plain.steps_["bic_difference"], atol=0.01)
    twice = GaussianMixtureFeatureSelector(quick()).fit(X, sample_weight=np.full(len(X), 2.0))
    repeated = GaussianMixtureFeatureSelector(quick()).fit(np.tile(X, (2, 1)))
    assert twice.steps_["feature"] == repeated.steps_["feature"]
    assert_allclose(twice.steps_["bic_difference"], repeated.steps_["bic_difference"], atol=0.5)


def test_copies_and_constant_columns_are_never_selected():
    X = mixed()
    X = np.column_stack([X, np.full(len(X), 3.0), X[:, 2]])
    selector = GaussianMixtureFeatureSelector(quick()).fit(X)
    chosen = selector.get_support(indices=True)
    assert 5 not in chosen
    assert len({2, 6} & set(chosen)) == 1


def test_the_search_of_the_features_selected_knows_their_names():
    X = vignette()
    selector = GaussianMixtureFeatureSelector(quick()).fit(X)
    assert len(selector.search_.predict(X[selector.get_feature_names_out()])) == len(X)


def test_in_a_pipeline():
    X = mixed()
    model = make_pipeline(GaussianMixtureFeatureSelector(quick()), GaussianMixture(2, random_state=0)).fit(X)
    assert model[-1].n_features_in_ == 2
    assert len(model.predict(X)) == len(X)


def test_estimator_checks():
    selector = GaussianMixtureFeatureSelector(GaussianMixtureSearch(range(1, 3), ["EII"]))
    results = check_estimator(selector, on_fail=None, on_skip=None)
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []
    assert sum(r["status"] == "passed" for r in results) >= 40


def test_bad_arguments_are_refused_by_name():
    X = mixed()
    with pytest.raises(ValueError, match="n_components of search is 1; expected a number of at least two"):
        GaussianMixtureFeatureSelector(GaussianMixtureSearch(1)).fit(X)
    with pytest.raises(ValueError, match="the criterion of search is 'icl'; expected 'bic'"):
        GaussianMixtureFeatureSelector(GaussianMixtureSearch(criterion="icl")).fit(X)
    with pytest.raises(ValueError, match="no mixture of two or more components can be fitted to any feature"):
        GaussianMixtureFeatureSelector(quick()).fit(np.ones((50, 3)))
    with pytest.raises(ValueError, match="takes rows in memory"):
        GaussianMixtureFeatureSelector(quick()).fit(batches(lambda: iter([X])))
