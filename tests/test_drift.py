"""Laws of drift: p-values are even without it and small with it; a callback sees batches before they are learned."""

import numpy as np
import pytest
from mixtures import random_parameters
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from fastgmm import BayesianGaussianMixture, GaussianMixture, StudentMixture
from fastgmm.callbacks import DriftAlarm
from fastgmm.data import sliced
from fastgmm.exceptions import DriftWarning
from fastgmm.inference.drift import _pearson, drift_of


def source(n_features=3, seed=0):
    p = random_parameters("full", 3, n_features, np.random.default_rng(seed))
    return GaussianMixture.from_parameters(p.weights, p.means, p.covariances, random_state=0)


def batches_of(model, n_batches, n_rows, seed=1):
    X, _ = model.sample(n_batches * n_rows, random_state=seed)
    return np.random.default_rng(seed).permutation(X).reshape(n_batches, n_rows, -1)


@pytest.mark.parametrize("n_rows", [5, 50, 400])
def test_p_values_are_even_without_drift(n_rows):
    truth = source()
    expected = truth.score_samples(truth.sample(30_000, random_state=5)[0])
    found = [drift_of(truth.score_samples(X), None, expected).p_value for X in batches_of(truth, 500, n_rows)]
    # 500 values: evenly spread by Kolmogorov and Smirnov, and as many small ones as there should be.
    assert stats.kstest(found, "uniform").pvalue > 1e-3
    assert np.count_nonzero(np.array(found) < 0.01) <= 15


def test_p_values_of_one_gaussian_are_those_of_chi_squared():
    truth = GaussianMixture.from_parameters([1.0], np.zeros((1, 3)), np.eye(3)[None])
    expected = truth.score_samples(truth.sample(400_000, random_state=0)[0])
    for scale in (0.3, 1.0, 1.6):
        X = np.random.default_rng(0).normal(size=(4, 3)) * scale
        below = stats.chi2(12).sf((X**2).sum())
        found = drift_of(truth.score_samples(X), None, expected).p_value
        # Far in the tail, moments of 400,000 draws say the logarithm to a few per cent.
        assert_allclose(np.log(found), np.log(2 * min(below, 1 - below)), rtol=0.1)


@pytest.mark.parametrize("z", [-3.0, -0.5, 0.0, 2.0])
def test_tails_are_those_of_a_pearson_distribution(z):
    for skewness in (-2.0, -0.3, 1e-3, 0.7):
        law = stats.pearson3(skewness)
        assert_allclose(_pearson(z, skewness), [law.cdf(z), law.sf(z)], rtol=1e-6, atol=1e-14)


def test_a_fit_to_few_rows_raises_no_false_alarm():
    # New rows score 60 / 400 nats below draws of the model, eight standard errors of a batch of 2000.
    truth, found = source(5), []
    for seed in range(40):
        rows, *others = batches_of(truth, 6, 400, seed=seed + 10)
        model = GaussianMixture(3, random_state=0, max_iter=500).fit(rows)
        found.append(model.drift(np.concatenate(others)).p_value)
    assert np.mean(np.array(found) < 0.01) < 0.2
    assert np.median(found) > 0.1


@pytest.mark.parametrize("cls", [GaussianMixture, StudentMixture, BayesianGaussianMixture])
def test_drift_is_seen_whichever_way_it_goes(cls):
    truth = source()
    X = np.random.default_rng(0).permutation(truth.sample(4000, random_state=0)[0])
    model = cls(n_components=3, random_state=0, max_iter=2000).fit(X[:3000])
    rest = X[3000:]
    assert model.drift(rest).p_value > 1e-3
    moved, narrow = model.drift(rest + 1.0), model.drift(model.means_[[0] * 100] + 0.1 * rest[:100])
    assert moved.p_value < 1e-6
    assert moved.score < moved.expected
    assert narrow.p_value < 1e-3
    assert narrow.score > narrow.expected
    assert moved.n_rows == 1000


def test_weights_count_rows_and_a_background_is_expected():
    truth = source()
    X = batches_of(truth, 1, 300)[0]
    weight = np.random.default_rng(0).integers(0, 3, size=300).astype(float)
    assert_allclose(truth.drift(X, weight).score, truth.score(X, sample_weight=weight))
    assert_allclose(truth.drift(X, np.full(300, 7.0)).p_value, truth.drift(X).p_value, rtol=1e-9)
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(2000, 2)), rng.uniform(-10, 10, (200, 2))])
    rng.shuffle(rows)
    model = GaussianMixture(1, noise=0.1, random_state=0).fit(rows[:1500])
    assert model.drift(rows[1500:]).p_value > 1e-3


def test_reference_rows_say_what_is_expected_where_the_model_is_not_right():
    # Heavy tails: a Gaussian expects other log densities than it meets.
    X = np.random.default_rng(0).standard_t(4, size=(6000, 2))
    model = GaussianMixture(1, random_state=0).fit(X[:2000])
    assert model.drift(X[4000:]).score == pytest.approx(model.score(X[4000:]))
    assert model.drift(X[4000:], reference=X[2000:4000]).p_value > 0.01
    assert model.drift(X[4000:] * 1.3, reference=X[2000:4000]).p_value < 1e-4


def test_drift_draws_the_same_every_time_and_leaves_incomplete_rows_aside():
    truth = source()
    X = batches_of(truth, 1, 300)[0]
    assert truth.drift(X) == truth.drift(X)
    model = GaussianMixture(3, missing="marginalise", random_state=0).fit(X)
    holes = X.copy()
    holes[:50, 1] = np.nan
    assert model.drift(holes) == model.drift(X[50:])


def test_bad_input_is_named():
    model, X = source(), np.zeros((4, 3))
    with pytest.raises(ValueError, match="X is a source"):
        model.drift(sliced(X))
    with pytest.raises(ValueError, match="reference has 1 row"):
        model.drift(X, reference=X[:1])
    with pytest.raises(ValueError, match="n_simulations is 1"):
        model.drift(X, n_simulations=1)
    with pytest.raises(ValueError, match=r"threshold is 1\.5"):
        DriftAlarm(1.5)
    with pytest.raises(TypeError, match="action is a str"):
        DriftAlarm(action="stop")


# Streams.


def test_an_alarm_looks_at_batches_before_they_are_learned_and_may_leave_them_out():
    truth = source()
    parts = batches_of(truth, 12, 500)
    parts[8] += 4.0
    seen = []

    def act(model, X, drift):
        seen.append((drift.p_value, model.n_iter_))
        return True

    alarm = DriftAlarm(action=act)
    watched = GaussianMixture(3, random_state=0).set_callbacks(alarm)
    plain = GaussianMixture(3, random_state=0)
    for i, X in enumerate(parts):
        watched.partial_fit(X)
        if i != 8:
            plain.partial_fit(X)
    assert len(alarm.drifts_) == 11
    assert [n for _, n in seen] == [8]
    assert seen[0][0] < 1e-4
    assert_array_equal(watched.means_, plain.means_)  # as if the batch had never been


def test_an_action_may_change_how_the_stream_goes_on():
    truth = source()
    parts = batches_of(truth, 40, 300)
    parts[20:] += 3.0

    def forget(model, X, drift):
        model.set_params(forgetting=0.3)

    models = [GaussianMixture(3, random_state=0) for _ in range(2)]
    models[0].set_callbacks(DriftAlarm(action=forget))
    for X in parts:
        for model in models:
            model.partial_fit(X)
    new = batches_of(truth, 1, 2000, seed=9)[0] + 3.0
    assert models[0].score(new) > models[1].score(new) + 0.05


def test_without_an_action_a_warning_names_the_batch_and_an_error_leaves_the_model_as_it_was():
    parts = batches_of(source(), 3, 500)
    model = GaussianMixture(3, random_state=0).set_callbacks(DriftAlarm()).partial_fit(parts[0]).partial_fit(parts[1])
    with pytest.warns(DriftWarning, match="batch 3 of the stream has a mean log density of") as caught:
        model.partial_fit(parts[2] + 5.0)
    assert caught[0].filename == __file__

    def fail(model, X, drift):
        model.forgetting = 0.5
        raise RuntimeError("stop")

    model.set_callbacks(DriftAlarm(action=fail))
    before = model.means_.copy()
    with pytest.raises(RuntimeError, match="stop"):
        model.partial_fit(parts[2] - 9.0)
    assert model.forgetting == 0.0
    assert_array_equal(model.means_, before)
