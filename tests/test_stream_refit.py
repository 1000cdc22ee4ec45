"""Refits of streams: what the sample of rows is, that poor first batches are made good, and what stays as it was."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture, StudentMixture
from fastgmm.data import ArrayRows
from fastgmm.data.stream_sample import StreamSample
from fastgmm.estimator import stream_methods
from fastgmm.starts import refit
from fastgmm.starts.refit import are_refits_over, is_refit_due, sample_size

N_COMPONENTS, N_FEATURES = 8, 4


def overlapping(seed, n_rows=50_000):
    """A mixture with overlapping components, rows of it, and the component of each."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(N_COMPONENTS, 5.0))
    means = 2.0 * rng.normal(size=(N_COMPONENTS, N_FEATURES))
    factors = rng.normal(size=(N_COMPONENTS, N_FEATURES, N_FEATURES)) / np.sqrt(N_FEATURES)
    covariances = factors @ factors.transpose(0, 2, 1) + 0.3 * np.eye(N_FEATURES)
    truth = GaussianMixture.from_parameters(weights, means, covariances)
    X, component = truth.sample(n_rows, random_state=seed)
    order = np.random.default_rng(seed).permutation(n_rows)
    return truth, X[order], component[order]


def streamed(model, X, size=1000):
    for start in range(0, len(X), size):
        model.partial_fit(X[start : start + size])
    return model


def sample_of(X, size, seed, cut=100, sample_weight=None):
    sample = StreamSample.empty(size, X.shape[1], X.dtype, seed)
    for start in range(0, len(X), cut):
        part = slice(start, start + cut)
        sample = sample.with_rows(X[part], None if sample_weight is None else sample_weight[part])
    return sample


# The sample.


@pytest.mark.parametrize("weighted", [False, True])
def test_the_sample_depends_on_the_rows_and_not_on_the_batches(weighted):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 2))
    weight = rng.exponential(size=3000) if weighted else None
    expected = sample_of(X, 200, 5, 3000, weight).drawn()
    for cut in (1, 7, 250):
        for a, b in zip(sample_of(X, 200, 5, cut, weight).drawn(), expected, strict=True):
            assert_array_equal(a, b)
    assert not np.array_equal(sample_of(X, 200, 6, 250, weight).drawn()[0], expected[0])


def test_every_row_is_as_likely_to_be_kept():
    n_rows, size, n_seeds = 300, 60, 500
    X = np.arange(float(n_rows))[:, None]
    kept = np.zeros(n_rows)
    for seed in range(n_seeds):
        rows = sample_of(X, size, seed, 50).drawn()[0]
        assert len(rows) == size
        assert (np.diff(rows[:, 0]) > 0).all()
        kept[rows[:, 0].astype(int)] += 1
    deviations = (kept - n_seeds * 0.2) / np.sqrt(n_seeds * 0.2 * 0.8)
    # Of 300 rows: beyond 4.5 deviations one in 500 such tests. Their squares sum to about their number.
    assert abs(deviations).max() < 4.5
    assert abs((deviations**2).sum() - n_rows) < 5.0 * np.sqrt(2.0 * n_rows)
    # Early rows no more often than late ones.
    assert abs(np.corrcoef(deviations, np.arange(n_rows))[0, 1]) < 4.0 / np.sqrt(n_rows)


def test_weighted_rows_are_kept_in_proportion_and_stand_for_their_weight():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(400, 1))
    weight = rng.exponential(size=400) * rng.integers(0, 2, size=400)
    weight[7] = 1000.0
    sums = []
    for seed in range(400):
        rows, own, _, limit = sample_of(X, 50, seed, 64, weight).drawn()
        assert X[7] in rows
        assert (own > 0).all()
        sums.append(np.maximum(own, 1.0 / limit)[rows[:, 0] > 0].sum())
    expected = weight[X[:, 0] > 0].sum()
    assert abs(np.mean(sums) - expected) < 4.0 * np.std(sums) / np.sqrt(400)
    assert_allclose(sample_of(X, 50, 0, 64, weight).worth(123.0).total_weight, 123.0)


def test_a_sample_is_bounded_and_a_value():
    X = np.random.default_rng(0).normal(size=(5000, 3))
    sample = StreamSample.empty(200, 3, X.dtype, 0)
    for start in range(0, 5000, 37):
        before, was = sample, sample.drawn()[0].copy()
        sample = sample.with_rows(X[start : start + 37])
        assert_array_equal(before.drawn()[0], was)
        assert len(sample.held[0]) + len(sample.recent[0]) < 1.25 * 200
    assert sample.n_seen == 5000


# What it is for.


def test_streams_leave_the_optimum_of_a_first_batch():
    # From ten starts and without refits, all of these end 0.013 to 0.051 nats per row below the truth.
    seeds = (0, 4, 5, 6, 8, 9, 12, 17)
    gaps = []
    for seed in seeds:
        truth, X, _ = overlapping(seed)
        model = streamed(GaussianMixture(N_COMPONENTS, random_state=seed), X[:30_000])
        gaps.append(truth.score(X[30_000:]) - model.score(X[30_000:]))
    assert np.count_nonzero(np.array(gaps) > 0.01) <= 1


@pytest.mark.parametrize("cls", [GaussianMixture, BayesianGaussianMixture])
def test_streams_find_components_that_the_first_batch_hardly_had(cls):
    gaps = []
    for seed in range(4):
        truth, X, component = overlapping(seed)
        rare = np.isin(component, (0, 1))
        rows = np.arange(len(X))
        first = np.flatnonzero(~rare | (rows % 20 == 0))[:1000]
        order = np.concatenate([first, np.setdiff1d(rows, first)])
        model = streamed(cls(n_components=N_COMPONENTS, random_state=seed), X[order[:30_000]])
        gaps.append(truth.score(X[order[30_000:]]) - model.score(X[order[30_000:]]))
    # Without refits 0.04 to 0.26.
    assert np.median(gaps) < 0.01


def test_a_refit_keeps_components_in_their_places():
    truth, X, _ = overlapping(0)
    order = np.random.default_rng(0).permutation(N_COMPONENTS)
    other = GaussianMixture.from_parameters(truth.weights_[order], truth.means_[order], truth.covariances_[order])
    places = refit._places(ArrayRows(X), truth._fitted_state(), other._fitted_state())
    assert_array_equal(order[places], np.arange(N_COMPONENTS))


def test_a_gain_of_few_blocks_is_none():
    rows = ArrayRows(np.zeros((800, 1)))
    gains = np.full(800, -0.01)
    gains[100:400] = 50.0
    assert_allclose(refit._typical_gain(rows, gains), -8.0)


# When, and of what.


def test_refits_are_made_twice():
    size = sample_size(N_COMPONENTS, N_FEATURES)
    assert size == 4000
    ends = np.arange(1000, 400_000, 1000)
    assert [int(end) for end in ends if is_refit_due(size, end - 1000, end)] == [4000, 128_000]
    assert [are_refits_over(size, n_rows) for n_rows in (127_999, 128_000)] == [False, True]
    # One component has one optimum; a search for many in many dimensions would take longer than the stream.
    assert sample_size(1, 4) == sample_size(32, 16) == 0


def test_rows_are_held_until_the_last_refit_and_no_longer():
    X = np.random.default_rng(0).normal(size=(10_000, 1)) + np.array([[-4.0], [4.0]] * 5000)
    model = GaussianMixture(2, random_state=0)
    for _ in range(12):
        model.partial_fit(X)
    assert len(model._stream_sample.drawn()[0]) == 4000
    model.partial_fit(X)
    assert not hasattr(model, "_stream_sample")


@pytest.mark.parametrize(
    "given",
    [
        {"forgetting": 0.01},
        {"means_init": [[-1.0], [1.0]]},
        {"init_params": np.repeat([0, 1], 500)},
        {"init_params": lambda X, n_components, random_state: (X[:, 0] > 0).astype(int)},
    ],
    ids=["forgetting", "means", "labels", "callable"],
)
def test_no_row_is_kept_where_rows_are_forgotten_or_the_start_is_given(given):
    X = np.random.default_rng(0).normal(size=(1000, 1))
    assert not hasattr(GaussianMixture(2, random_state=0, **given).partial_fit(X), "_stream_sample")


def test_what_is_forgotten_stays_forgotten():
    _, X, _ = overlapping(0, 8000)
    model = streamed(GaussianMixture(N_COMPONENTS, random_state=0), X[:2000]).set_params(forgetting=0.02)
    streamed(model, X[2000:3000])
    assert not hasattr(model, "_stream_sample")
    model.set_params(forgetting=0.0).partial_fit(X[3000:4000])
    assert not hasattr(model, "_stream_sample")


def test_fit_lets_go_of_the_rows():
    _, X, _ = overlapping(0, 3000)
    model = streamed(GaussianMixture(N_COMPONENTS, random_state=0, tol=1e-2), X).fit(X)
    assert not hasattr(model, "_stream_sample")
    assert not hasattr(model.partial_fit(X), "_stream_sample")


# Going on.


def assert_same(a, b):
    for name in ("weights_", "means_", "covariances_", "n_samples_seen_"):
        assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.statistics_.to_bytes() == b.statistics_.to_bytes()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("keep", ["pickle", "deepcopy", "save"])
def test_a_stream_kept_before_a_refit_comes_to_the_same(keep, dtype, tmp_path):
    X = overlapping(1, 6000)[1].astype(dtype)
    model = streamed(GaussianMixture(N_COMPONENTS, random_state=0), X[:3000])
    if keep == "pickle":
        kept = pickle.loads(pickle.dumps(model))
    elif keep == "deepcopy":
        kept = copy.deepcopy(model)
    else:
        fastgmm.save(model, tmp_path / "model.npz")
        kept = fastgmm.load(tmp_path / "model.npz")
    assert_same(streamed(kept, X[3000:]), streamed(model, X[3000:]))
    assert model.means_.dtype == dtype


def test_refits_are_the_same_on_any_number_of_threads():
    _, X, _ = overlapping(1, 8000)
    models = []
    for n_threads in (1, 2, 7):
        with fastgmm.config_context(n_threads=n_threads):
            models.append(streamed(GaussianMixture(N_COMPONENTS, random_state=3), X))
    for other in models[1:]:
        assert_same(models[0], other)


@pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError])
def test_a_refit_that_is_interrupted_leaves_the_model_as_it_was(failure, monkeypatch):
    _, X, _ = overlapping(1, 5000)
    model = streamed(GaussianMixture(N_COMPONENTS, random_state=0), X[:3000])
    untouched, before = copy.deepcopy(model), pickle.dumps(model)

    def interrupted(*arguments):
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(stream_methods, "better_statistics", interrupted)
        with pytest.raises(failure):
            model.partial_fit(X[3000:4000])
    assert pickle.dumps(model) == before
    assert_same(streamed(model, X[3000:]), streamed(untouched, X[3000:]))


def test_a_sample_of_other_columns_is_named():
    _, X, _ = overlapping(1, 2000)
    model = GaussianMixture(N_COMPONENTS, random_state=0).partial_fit(X[:1000])
    model._stream_sample = StreamSample.empty(4000, 3, X.dtype, 0)
    with pytest.raises(ValueError, match="_stream_sample has rows of 3 features; expected 4"):
        model.partial_fit(X[1000:])


def test_a_stream_of_heavy_tails_leaves_a_poor_start_too():
    rng = np.random.default_rng(2)
    centres, labels = rng.uniform(-15, 15, size=(6, 2)), rng.integers(6, size=12_000)
    X = centres[labels] + rng.standard_t(4.0, size=(12_000, 2))
    model = StudentMixture(6, random_state=2)
    for batch in np.array_split(X, 100):
        model.partial_fit(batch)
    best = StudentMixture(6, init_params=labels).fit(X)
    assert model.score(X) > best.score(X) - 0.004
    # Components keep their numbers through the refit, and so do their tails.
    assert np.isfinite(model.df_).all()
    assert model.statistics_.tail_sums.shape == (2, 6)
