"""The search: mclust's choices, honest failures, and the laws of its bookkeeping."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from fastgmm import GaussianMixture
from fastgmm.selection import GaussianMixtureSearch, candidates

DATA = Path(__file__).parent / "data"


def load(name):
    return np.ascontiguousarray(np.loadtxt(DATA / f"{name}.csv", delimiter=",", skiprows=1))


@pytest.fixture(scope="module")
def faithful_search():
    return GaussianMixtureSearch(random_state=0).fit(load("faithful"))


@pytest.fixture(scope="module")
def iris_search():
    return GaussianMixtureSearch(random_state=0).fit(load("iris"))


def test_faithful_has_mclusts_model_or_a_better_one(faithful_search):
    assert faithful_search.best_params_ == {"n_components": 3, "covariance_type": "EEE"}
    assert faithful_search.best_score_ <= 2314.3165
    # The same start run to the end in R: 2314.2957.
    assert faithful_search.best_score_ == pytest.approx(2314.2957, abs=1e-3)


def test_iris_has_mclusts_model_and_its_runners_up(iris_search):
    assert iris_search.best_params_ == {"n_components": 2, "covariance_type": "VEV"}
    assert iris_search.best_score_ == pytest.approx(561.7285, abs=1e-3)
    assert [(tie["n_components"], tie["covariance_type"]) for tie in iris_search.near_ties_] == [(3, "VEV")]
    assert iris_search.near_ties_[0]["difference"] == pytest.approx(562.5522 - 561.7285, abs=2e-3)


def test_numbers_of_the_table_are_pythons_own(iris_search):
    # NumPy's would be printed as np.float64(0.82).
    columns = [name for name, values in iris_search.results_.items() if isinstance(values[0], float)]
    assert {"log_likelihood", "bic", "icl", "aic", "score", "difference"} <= set(columns)
    for name in columns:
        assert {type(value) for value in iris_search.results_[name]} <= {float, int}, name
    assert type(iris_search.best_score_) is float
    assert type(iris_search.near_ties_[0]["difference"]) is float


def test_unbounded_likelihoods_are_reported_and_not_chosen(iris_search):
    results = iris_search.results_
    failures = {
        (name, k): failure
        for name, k, failure in zip(
            results["covariance_type"], results["n_components"], results["failure"], strict=True
        )
        if failure
    }
    # Where mclust has NA; EM may stop before it finds out that EVV, 5 has no maximum.
    assert set(failures) | {("EVV", 5)} == {("VEE", 5), ("VEE", 7), ("VEE", 9), ("EVV", 5), ("EVV", 6)}
    assert all(failure.startswith("component ") for failure in failures.values())
    for i, failure in enumerate(results["failure"]):
        assert np.isnan(results["bic"][i]) == bool(failure)


def test_results_are_what_each_candidate_is(iris_search):
    X, results = load("iris"), iris_search.results_
    assert len({len(column) for column in results.values()}) == 1
    assert len(results["bic"]) == 14 * 9
    best = iris_search.best_estimator_
    row = next(
        i
        for i in range(126)
        if (results["covariance_type"][i], results["n_components"][i]) == (best.covariance_type, best.n_components)
    )
    assert results["bic"][row] == pytest.approx(best.bic(X), rel=1e-12)
    assert results["icl"][row] == pytest.approx(best.icl(X), rel=1e-12)
    assert results["aic"][row] == pytest.approx(best.aic(X), rel=1e-12)
    assert results["log_likelihood"][row] == pytest.approx(best.score(X) * 150, rel=1e-12)
    assert results["n_parameters"][row] == 26
    assert results["difference"][row] == 0.0
    assert np.nanmin(results["difference"]) == 0.0
    assert iris_search.best_score_ == results["score"][row]


def test_results_make_a_table(iris_search):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(iris_search.results_)
    assert list(table.columns) == list(candidates.COLUMNS)
    # mclust's own table; candidates far from the best are not continued.
    bic = table[(table.covariance_type == "EEE") & (table.n_components == 3)].bic.item()
    assert bic == pytest.approx(632.9647, abs=0.01)


def test_the_winner_predicts(iris_search):
    X, best = load("iris"), iris_search.best_estimator_
    assert_array_equal(iris_search.predict(X), best.predict(X))
    assert_array_equal(iris_search.predict_proba(X), best.predict_proba(X))
    assert_array_equal(iris_search.score_samples(X), best.score_samples(X))
    assert iris_search.bic(X) == best.bic(X)
    assert iris_search.score(X) == best.score(X)
    assert iris_search.sample(7, random_state=1)[0].shape == (7, 4)
    assert not best.warm_start


def small_search(**options):
    settings = dict(n_components=[1, 2, 3], covariance_type=["EII", "VVI", "VVV"], random_state=0) | options
    return GaussianMixtureSearch(**settings)


def groups():
    rng = np.random.default_rng(7)
    return np.concatenate([rng.normal(size=(150, 2)) * [1, 0.2], rng.normal(size=(150, 2)) * [0.2, 1] + 3])


def test_jobs_do_not_change_the_outcome():
    serial, parallel = small_search().fit(groups()), small_search(n_jobs=2).fit(groups())
    for column in ("covariance_type", "n_components", "bic", "icl", "failure"):
        assert serial.results_[column] == parallel.results_[column]


@pytest.mark.parametrize("criterion", ["bic", "icl", "aic"])
def test_the_criterion_chooses(criterion):
    search = small_search(criterion=criterion).fit(groups())
    assert search.best_score_ == min(search.results_[criterion])


def test_held_out_likelihood_is_maximised():
    search = small_search(criterion="cv_log_likelihood").fit(groups())
    assert search.best_score_ == max(search.results_["score"])
    assert search.best_params_["n_components"] == 2
    # Rows held out are less likely than rows fitted to, and not by much here.
    for score, fitted in zip(search.results_["score"], search.results_["log_likelihood"], strict=True):
        assert fitted / 300 - 0.1 < score < fitted / 300


def test_a_callable_is_minimised():
    def minus_bic(estimator, X):
        return -estimator.bic(X)

    search = small_search(criterion=minus_bic).fit(groups())
    assert search.best_score_ == -max(search.results_["bic"])


def test_an_integer_weight_is_a_repeated_row():
    X = groups()
    weight = np.random.default_rng(8).integers(0, 3, size=len(X))
    weighted, repeated = small_search().fit(X, sample_weight=weight), small_search().fit(X.repeat(weight, axis=0))
    assert weighted.best_params_ == repeated.best_params_
    assert_allclose(weighted.results_["bic"], repeated.results_["bic"], rtol=1e-6)


def test_one_feature_has_two_families():
    X = groups()[:, :1]
    search = GaussianMixtureSearch(range(1, 4), random_state=0).fit(X)
    assert set(search.results_["covariance_type"]) == {"E", "V"}
    assert search.best_params_["n_components"] == 2


def test_a_groups_name_is_its_members():
    X = load("iris")
    basic = ["spherical", "diag", "tied", "full"]
    by_name, listed = (GaussianMixtureSearch([1, 2], names, random_state=0).fit(X) for names in ("basic", basic))
    assert by_name.results_["covariance_type"] == listed.results_["covariance_type"]
    assert by_name.results_["bic"] == listed.results_["bic"]
    several = GaussianMixtureSearch(1, ["VVV", "basic", "all"], random_state=0).fit(X).results_["covariance_type"]
    assert several[:5] == ["VVV", *basic]
    assert len(several) == len(set(several)) == 18
    assert set(GaussianMixtureSearch(1, "basic").fit(X[:, :1]).results_["covariance_type"]) == {"tied", "full"}


@pytest.mark.parametrize(
    ("group", "number", "names"),
    [("pgmm", 12, {"UUU", "CCC", "CUCU"}), ("hdclassif", 14, {"AkjBkQkDk", "AkjBQkD", "ABQD"})],
)
def test_groups_of_models_with_factors(group, number, names):
    search = GaussianMixtureSearch(2, group, n_factors=1, random_state=0).fit(load("iris"))
    found = search.results_["covariance_type"]
    assert len(found) == number
    assert names <= set(found)
    assert search.best_params_["n_factors"] == 1


def test_noise_and_prior_reach_the_candidates():
    rng = np.random.default_rng(9)
    X = np.concatenate([groups(), rng.uniform(-10, 10, size=(30, 2))])
    assert small_search(noise=0.1).fit(X).best_estimator_.noise_weight_ > 0.03
    search = small_search(prior="default").fit(groups())
    assert search.best_score_ > small_search().fit(groups()).best_score_


def test_large_data_are_clustered_in_part_and_fitted_whole():
    rng = np.random.default_rng(10)
    X = np.concatenate([rng.normal(size=(3000, 2)), rng.normal(size=(3000, 2)) + 5])
    search = small_search(covariance_type=["EII"]).fit(X)
    assert search.best_params_["n_components"] == 2
    assert search.best_estimator_.weights_ == pytest.approx([0.5, 0.5], abs=0.01)


def test_an_interrupted_search_keeps_what_it_has(monkeypatch):
    import fastgmm.selection.search as module

    calls = []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return candidates.fit_candidate(*arguments)

    monkeypatch.setattr(module, "fit_candidate", interrupted)
    search = small_search()
    with pytest.raises(KeyboardInterrupt):
        search.fit(groups())
    assert len(search.results_["bic"]) == 3
    assert search.best_score_ == min(search.results_["bic"])
    assert np.isfinite(search.score(groups()))


def test_all_failing_is_an_error_that_gives_reasons():
    X = np.repeat(np.random.default_rng(11).normal(size=(2, 3)), 5, axis=0)
    search = GaussianMixtureSearch([2], ["VVV", "EEE"], random_state=0)
    with pytest.raises(ValueError, match=r"all 2 candidates failed \(VVV, 2: .*; EEE, 2: .*reduce"):
        search.fit(X)
    assert all(search.results_["failure"])
    assert not hasattr(search, "best_estimator_")
    with pytest.raises(ValueError, match="not fitted"):
        search.predict(X)


def test_more_components_than_distinct_rows_are_a_failure_not_a_crash():
    X = np.repeat(groups()[:5], 4, axis=0)
    search = GaussianMixtureSearch([1, 8], ["EII"], random_state=0).fit(X)
    assert "expected at most 5, the distinct rows" in search.results_["failure"][1]


@pytest.mark.parametrize("init_params", ["hc", "kmeans", "multistart"])
def test_sizes_that_rows_do_not_suffice_for_are_failures(init_params):
    X = groups()[:8]
    search = GaussianMixtureSearch(covariance_type=["EII"], init_params=init_params, random_state=0).fit(X)
    assert search.results_["failure"][0] is None
    assert "n_components" in search.results_["failure"][8]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(n_components=[400]), "all 3 candidates failed .*n_components is 400; expected at most 300"),
        (dict(n_components=[]), "n_components is"),
        (dict(n_components=[0]), "n_components is"),
        (dict(covariance_type=["VVX"]), "'VVX' .did you mean 'VVV'.*; expected one of full"),
        (dict(covariance_type=["V"]), "covariance_type is 'V', for data of one feature"),
        (
            dict(criterion="bicc"),
            "criterion is 'bicc' .did you mean 'bic'..; expected one of bic, icl, aic, cv_",
        ),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small_search(**options).fit(groups())


def test_weights_that_sum_to_one_count_no_rows():
    X = groups()
    weight = np.full(len(X), 1.0 / len(X))
    with pytest.raises(ValueError, match="sample_weight sums to 1; expected the number of rows"):
        small_search().fit(X, sample_weight=weight)
    with pytest.raises(ValueError, match="sample_weight sums to 1; expected the number of rows"):
        GaussianMixture(2).fit(X, sample_weight=weight).bic(X, sample_weight=weight)
    # Held-out likelihood knows no number of rows.
    options = {"criterion": "cv_log_likelihood", "n_components": [1, 3], "init_params": "kmeans"}
    chosen = small_search(**options).fit(X, sample_weight=weight).best_params_
    assert chosen == small_search(**options).fit(X).best_params_


def test_a_search_is_an_estimator():
    search = small_search()
    assert clone(search).get_params() == search.get_params()
    assert isinstance(search.fit(groups()).best_estimator_, GaussianMixture)


def test_columns_with_names_are_read_without_a_warning():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(groups(), columns=["a", "b"])
    search = small_search().fit(X)
    assert_array_equal(search.predict(X), small_search().fit(groups()).predict(groups()))
    assert search.feature_names_in_.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="feature names"):
        search.predict(X.rename(columns={"a": "c"}))


def test_single_precision_rows_are_searched_in_single_precision():
    search = small_search().fit(groups().astype(np.float32))
    double = small_search().fit(groups())
    assert search.best_params_ == double.best_params_
    assert search.best_estimator_.means_.dtype == np.float32
    assert search.best_score_ == pytest.approx(double.best_score_, abs=0.05)


def test_a_constant_feature_leaves_only_the_families_that_allow_it():
    X = np.column_stack([groups(), np.full(300, 7.0)])
    search = GaussianMixtureSearch([1, 2], random_state=0).fit(X)
    failed = dict.fromkeys(search.results_["covariance_type"], False)
    for name, failure in zip(search.results_["covariance_type"], search.results_["failure"], strict=True):
        failed[name] |= failure is not None
    assert [name for name, value in failed.items() if not value] == ["EII", "VII"]


@pytest.mark.parametrize("column", [0, 1])
def test_one_feature_starts_from_quantiles_and_reaches_mclusts_choice(column):
    # mclust: faithful's eruptions V, 4 with BIC 576.660, its waiting times E, 2 with 2090.427.
    expected, bic = [({"n_components": 4, "covariance_type": "V"}, 576.6601), ({"n_components": 2}, 2090.4273)][column]
    search = GaussianMixtureSearch(random_state=0).fit(load("faithful")[:, [column]])
    assert expected.items() <= search.best_params_.items()
    assert search.best_score_ <= bic + 1e-3


def test_quantiles_cut_weighted_rows_like_repeated_ones():
    from fastgmm.data import ArrayRows
    from fastgmm.starts.quantiles import quantile_labels

    rng = np.random.default_rng(12)
    X = rng.integers(0, 30, size=(80, 1)).astype(np.float64)
    weight = rng.integers(0, 4, size=80)
    for k in (1, 2, 5, 9):
        weighted = quantile_labels(ArrayRows(X, weight.astype(np.float64)), k)
        repeated = quantile_labels(ArrayRows(X.repeat(weight, axis=0)), k)
        assert_array_equal(weighted.repeat(weight), repeated)
        assert (weighted[weight == 0] == -1).all()
        assert set(repeated) == set(range(k))
        # Equal values are never parted, and labels rise with them.
        assert (np.diff(repeated[np.argsort(X.repeat(weight, axis=0)[:, 0], kind="stable")]) >= 0).all()
    few = ArrayRows(np.repeat([[1.0], [2.0], [9.0]], [50, 3, 1], axis=0))
    assert_array_equal(np.unique(quantile_labels(few, 3)), [0, 1, 2])
    with pytest.raises(ValueError, match="n_components is 4; expected at most 3, the distinct values"):
        quantile_labels(few, 4)
