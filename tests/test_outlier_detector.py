"""Laws of the outlier detector: thresholds, p-values, robustness, what it tells of its fit."""

import warnings

import numpy as np
import pytest
from mixtures import maximise, random_parameters, random_rows
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import check_estimator

from fastgmm import GaussianMixture, GaussianMixtureOutlierDetector
from fastgmm.callbacks import Callback
from fastgmm.data import ArrayRows, batches
from fastgmm.data.e_steps import Trimmed
from fastgmm.em import run_em
from fastgmm.estimator.reweighting import consistency_factor
from fastgmm.families import Gaussian, get_covariance
from fastgmm.starts import Start, initial_parameters
from fastgmm.starts.units import StartInUnits, memberships_in_units, relative_reg_covar

ROBUST = ["trimming", "noise", None]


def two_clusters(n_samples=600, seed=0):
    rng = np.random.default_rng(seed)
    side = rng.integers(2, size=n_samples) * 10.0 - 5.0
    return np.column_stack([side, side]) + rng.normal(size=(n_samples, 2))


@pytest.mark.parametrize("robust", ROBUST)
def test_estimator_checks(robust):
    expected = {}
    if robust == "noise":
        # It fits few distinct rows, repeated; an even background needs rows that fill a volume.
        expected["check_sample_weight_equivalence_on_dense_data"] = "rows without volume"
    results = check_estimator(
        GaussianMixtureOutlierDetector(robust=robust),
        expected_failed_checks=expected,
        on_fail=None,
        on_skip=None,
    )
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []
    assert sum(r["status"] == "passed" for r in results) >= 50


# Thresholds and p-values.


@pytest.mark.parametrize("robust", ROBUST)
@pytest.mark.parametrize("contamination", [0.02, 0.1, 0.5])
def test_contamination_is_the_share_of_the_training_rows(robust, contamination):
    X = two_clusters()
    model = GaussianMixtureOutlierDetector(2, contamination=contamination, robust=robust, random_state=0).fit(X)
    assert np.mean(model.predict(X) == -1) == pytest.approx(contamination, abs=1 / len(X))
    assert_array_equal(model.predict(X), np.where(model.decision_function(X) < 0, -1, 1))
    assert_allclose(model.score_samples(X) - model.offset_, model.decision_function(X), rtol=1e-12)
    assert_array_equal(GaussianMixtureOutlierDetector(**model.get_params()).fit_predict(X), model.predict(X))


def test_pvalue_of_one_component_is_exact():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 3))
    model = GaussianMixtureOutlierDetector(1, robust=None, reg_covar=0.0).fit(X)
    centred = X - X.mean(axis=0)
    covariance = np.cov(X.T, bias=True)
    distances = np.einsum("nd,nd->n", centred @ np.linalg.inv(covariance), centred)
    assert_allclose(model.pvalue(X), stats.chi2.sf(distances, 3), rtol=1e-9)
    # The automatic threshold is where the p-value is `significance`.
    assert_array_equal(model.predict(X) == -1, model.pvalue(X) < model.significance)


@pytest.mark.parametrize("n_components", [1, 3])
@pytest.mark.parametrize("robust", [None, "trimming"])
def test_pvalues_of_regular_rows_are_uniform(n_components, robust):
    rng = np.random.default_rng(2)
    truth = random_parameters("full", 3 if n_components > 1 else 1, 2, rng)
    k = rng.choice(truth.n_components, p=truth.weights, size=20_000)
    X = np.array(truth.means[k])
    for j in range(truth.n_components):
        X[k == j] += rng.multivariate_normal(np.zeros(2), truth.covariances[j], size=np.count_nonzero(k == j))
    # Trimming cuts a tenth of regular rows off, and gives back what that takes from the spread.
    model = GaussianMixtureOutlierDetector(n_components, robust=robust, random_state=0).fit(X[:10_000])
    # 10,000 rows, 10,000 simulations and a fit of 10,000: the largest gap of distributions is below 0.025 in
    # 999 of 1000 draws.
    assert stats.kstest(model.pvalue(X[10_000:]), "uniform").statistic < 0.025
    assert np.mean(model.predict(X[10_000:]) == -1) == pytest.approx(0.01, abs=0.005)


def test_pvalue_falls_with_the_density():
    X = two_clusters()
    model = GaussianMixtureOutlierDetector(2, random_state=0).fit(X)
    far = np.array([[5.0, 5.0], [6.5, 5.0], [8.0, 5.0], [0.0, 0.0], [100.0, 100.0]])
    order = np.argsort(model.score_samples(far))
    assert (np.diff(model.pvalue(far)[order]) >= 0).all()
    assert model.pvalue(far)[-1] == pytest.approx(1 / 10_001)


# Robustness.


def test_pass_over_trimmed_rows_is_that_over_the_kept_ones(structure):
    rng = np.random.default_rng(3)
    parameters = random_parameters(structure, 3, 2, rng)
    X = random_rows(parameters, 100, rng)
    source = Trimmed(0.15).prepare(ArrayRows(X))
    density = np.array([ArrayRows(X[n : n + 1]).accumulate(parameters).log_likelihood for n in range(100)])
    kept = ArrayRows(X[np.sort(np.argsort(density)[15:])]).accumulate(parameters)
    found = source.accumulate(parameters)
    assert_allclose(found.counts, kept.counts, rtol=1e-12)
    assert_allclose(found.scatter, kept.scatter, rtol=1e-12)
    assert_allclose(found.log_likelihood, kept.log_likelihood, rtol=1e-12)
    assert source.total_weight == 85.0


def test_trimmed_likelihood_never_falls(structure):
    rng = np.random.default_rng(4)
    X = np.concatenate([two_clusters(300), rng.uniform(-30, 30, size=(40, 2))])
    weight = rng.uniform(0.5, 2.0, size=len(X))
    source = Trimmed(0.1).prepare(ArrayRows(X, weight))
    state, path = random_parameters(structure, 2, 2, rng), []
    for _ in range(40):
        statistics = source.accumulate(state)
        path.append(statistics.log_likelihood / source.total_weight)
        state = maximise(statistics, get_covariance(structure), 0.0, 1e-15)
    assert np.diff(path).min() >= -1e-12
    assert_allclose(source.kept_weight(state).sum(), source.total_weight, rtol=1e-12)


@pytest.mark.parametrize("kept", [0.65, 0.9, 0.99, 1.0])
def test_consistency_factor_gives_back_what_a_cut_takes(kept):
    X = np.random.default_rng(8).normal(size=(200_000, 3))
    distances = (X**2).sum(axis=1)
    central = X[distances <= np.quantile(distances, kept)]
    # Three variances from 130,000 rows or more.
    assert central.var(axis=0) * consistency_factor(kept, 3) == pytest.approx([1.0] * 3, abs=0.015)


@pytest.mark.parametrize("robust", ["trimming", "noise"])
def test_anomalies_do_not_shape_the_components(robust):
    rng = np.random.default_rng(5)
    clean = two_clusters(900)
    X = np.concatenate([clean, rng.uniform(-40, 40, size=(100, 2))])
    options = {"n_components": 2, "random_state": 0, "robust_share": 0.12, "n_init": 3}
    robustly = GaussianMixtureOutlierDetector(robust=robust, **options).fit(X)
    plainly = GaussianMixtureOutlierDetector(robust=None, **options).fit(X)
    # True variances are one; their standard error from 450 rows is 0.07.
    variances = np.diagonal(robustly.mixture_.covariances_, axis1=1, axis2=2)
    assert variances.min() > 0.7
    assert variances.max() < 1.3
    assert np.diagonal(plainly.mixture_.covariances_, axis1=1, axis2=2).max() > 5.0
    truth = np.repeat([0, 1], [900, 100])
    assert roc_auc_score(truth, -robustly.score_samples(X)) > 0.97


def test_bic_finds_the_clusters():
    model = GaussianMixtureOutlierDetector(random_state=0).fit(two_clusters())
    assert model.n_components_ == 2
    assert model.mixture_.n_components == 2


@pytest.mark.parametrize("robust", ["trimming", None])
def test_integer_weight_is_a_repeated_row(robust):
    X = two_clusters(150)
    weight = np.random.default_rng(6).integers(0, 4, size=150)
    options = {"n_components": 1, "contamination": 0.1, "robust": robust}
    weighted = GaussianMixtureOutlierDetector(**options).fit(X, sample_weight=weight)
    repeated = GaussianMixtureOutlierDetector(**options).fit(np.repeat(X, weight, axis=0))
    assert_allclose(weighted.mixture_.means_, repeated.mixture_.means_, rtol=1e-9)
    assert_allclose(weighted.mixture_.covariances_, repeated.mixture_.covariances_, rtol=1e-9)
    assert_allclose(weighted.offset_, repeated.offset_, rtol=1e-9)
    scores = repeated.score_samples(np.repeat(X, weight, axis=0))
    for contamination in np.linspace(0.01, 0.5, 50):
        threshold = weighted.set_params(contamination=contamination)._threshold(ArrayRows(X, weight.astype(float)))
        assert_allclose(threshold, np.quantile(scores, contamination), rtol=1e-9)


def test_single_precision_and_offsets_change_nothing():
    X = np.round(two_clusters() * 64) / 64
    base = GaussianMixtureOutlierDetector(2, contamination=0.1, random_state=0).fit(X)
    far = GaussianMixtureOutlierDetector(2, contamination=0.1, random_state=0).fit(X + 1e6)
    single = GaussianMixtureOutlierDetector(2, contamination=0.1, random_state=0).fit(X.astype(np.float32))
    assert_allclose(far.score_samples(X + 1e6), base.score_samples(X), rtol=1e-6)
    assert_array_equal(far.predict(X + 1e6), base.predict(X))
    assert_allclose(single.score_samples(X), base.score_samples(X), rtol=1e-2)


# What it tells of its fit.


RUN = ("converged_", "n_iter_", "n_passes_", "lower_bound_", "lower_bounds_", "log_likelihood_gap_", "n_samples_seen_")


@pytest.mark.parametrize("noise", [0.1, None])
def test_its_mixture_tells_how_the_fit_of_that_mixture_went(noise):
    X = two_clusters()
    options = {"tol": 1e-6, "random_state": 0}
    model = GaussianMixtureOutlierDetector(2, robust="noise" if noise else None, **options).fit(X)
    # The detector's start and regularisation are in units of the columns.
    in_units = {"reg_covar": "auto", "init_params": StartInUnits("kmeans")}
    expected = GaussianMixture(2, noise=noise, **in_units, **options).fit(X)
    assert expected.converged_
    for name in RUN:
        assert_array_equal(getattr(model.mixture_, name), getattr(expected, name), err_msg=name)
    assert model.n_iter_ == expected.n_iter_


@pytest.mark.parametrize("max_iter", [3, 100])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_its_mixture_tells_how_the_trimmed_run_went(max_iter):
    X = np.concatenate([two_clusters(), np.random.default_rng(1).uniform(-20.0, 20.0, size=(60, 2))])
    model = GaussianMixtureOutlierDetector(2, robust_share=0.1, tol=1e-6, max_iter=max_iter, random_state=0).fit(X)
    rows, random_state = ArrayRows(X), np.random.RandomState(0)
    family = Gaussian(get_covariance("full"), relative_reg_covar(rows), 10.0 * np.finfo(float).eps)
    memberships = memberships_in_units(rows, "kmeans", 2, random_state)
    start = initial_parameters(rows, 2, family, Start(memberships), random_state)
    run = run_em(rows, Trimmed(0.1), family, start, tol=1e-6, max_iter=max_iter)
    assert (run.n_iter == max_iter) != run.converged
    expected = (run.converged, run.n_iter, run.n_iter, run.lower_bound, run.lower_bounds, run.gap, 0.9 * len(X))
    for name, value in zip(RUN, expected, strict=True):
        assert_array_equal(getattr(model.mixture_, name), value, err_msg=name)


@pytest.mark.parametrize("robust", ROBUST)
@pytest.mark.parametrize("n_components", [2, "bic"])
def test_a_fit_that_did_not_converge_is_warned_of_once_at_its_caller(robust, n_components):
    X = two_clusters()
    model = GaussianMixtureOutlierDetector(n_components, robust=robust, tol=0.0, max_iter=2, random_state=0)
    with pytest.warns(ConvergenceWarning, match="EM did not converge in max_iter=2 iterations; increase") as warned:
        model.fit(X)
    assert [warning.filename for warning in warned] == [__file__]
    assert not model.mixture_.converged_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.set_params(tol=1e-3, max_iter=100).fit(X).mixture_.converged_


def test_a_fit_that_a_callback_ended_is_not_warned_of():
    class Enough(Callback):
        max_propagation_depth = None

        def on_fit_task_end(self, estimator, context):
            return context.task_name == "iteration"

    model = GaussianMixtureOutlierDetector(2, robust=None, tol=0.0, random_state=0).set_callbacks(Enough())
    model.fit(two_clusters())
    assert (model.mixture_.stopped_, model.mixture_.converged_) == (True, False)


@pytest.mark.parametrize("robust", ROBUST)
def test_a_start_from_a_sample_ends_where_all_rows_do(robust, monkeypatch):
    monkeypatch.setattr("fastgmm.data.streamed_rows.block_rows", lambda n_features: 300)
    X = two_clusters(2000)
    options = {"robust": robust, "tol": 1e-8, "max_iter": 500, "random_state": 0}
    expected = GaussianMixtureOutlierDetector(2, **options).fit(X)
    model = GaussianMixtureOutlierDetector(2, **options).fit(batches(lambda: iter(np.array_split(X, 8))))
    # Each is within some `tol` of the same maximum.
    assert_allclose(np.sort(model.mixture_.means_, axis=0), np.sort(expected.mixture_.means_, axis=0), atol=1e-3)
    assert_allclose(model.mixture_.lower_bound_, expected.mixture_.lower_bound_, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"contamination": 0.0}, "contamination"),
        ({"contamination": 0.6}, "contamination"),
        ({"contamination": "some"}, "contamination"),
        ({"robust": "median"}, "robust"),
        ({"robust_share": 0.7}, "robust_share"),
        ({"significance": 1.0}, "significance"),
        ({"n_components": "aic"}, "n_components"),
        ({"n_components": 6, "robust_share": 0.3}, "trimming leaves 4.2 rows; reduce n_components"),
    ],
)
def test_bad_parameters_are_named(options, message):
    X = np.random.default_rng(7).normal(size=(6, 2))
    with pytest.raises(ValueError, match=message):
        GaussianMixtureOutlierDetector(**options).fit(X)
