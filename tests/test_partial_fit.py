"""Streams: what a stepwise fit comes to, that it is kept, and that no batch can spoil it."""

import copy
import pickle

import numpy as np
import pytest
from mixtures import maximise, random_parameters
from numpy.testing import assert_allclose, assert_array_equal

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm.data import ArrayRows, batches
from fastgmm.em.stepwise import bounded_weight, step_size
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.families import Gaussian, get_covariance

CLASSES = (GaussianMixture, BayesianGaussianMixture)
FITTED = ("weights_", "means_", "covariances_", "precisions_cholesky_", "lower_bound_", "n_iter_", "n_samples_seen_")


def mixture_and_rows(seed, n_samples, structure="full", spread=2.0):
    parameters = random_parameters(structure, 4, 3, np.random.default_rng(seed), spread)
    truth = GaussianMixture.from_parameters(
        parameters.weights, parameters.means, parameters.covariances, covariance_type=structure
    )
    X = truth.sample(n_samples, random_state=seed)[0]
    return truth, X[np.random.default_rng(seed).permutation(n_samples)]


def streamed(model, X, size=500):
    for start in range(0, len(X), size):
        model.partial_fit(X[start : start + size])
    return model


def assert_same_model(a, b):
    for name in FITTED:
        assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    assert a.statistics_.to_bytes() == b.statistics_.to_bytes()


@pytest.fixture(scope="module")
def stream():
    return mixture_and_rows(0, 30_000)


# What it comes to.


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cls", CLASSES)
def test_one_pass_comes_close_to_the_batch_fit(cls, seed):
    _, X = mixture_and_rows(seed, 60_000, spread=3.0)
    train, held_out = X[:50_000], X[50_000:]
    options = {"n_components": 4, "random_state": seed}
    model = streamed(cls(**options), train)
    # The variational bound is a total over rows.
    tol = 1e-5 if cls is GaussianMixture else 0.5
    batch_fit = cls(**options, tol=tol, max_iter=1000).fit(train)
    # 50,000 rows in batches of 500; 1,000,000 in batches of 1000 come closer (docs/big_data.md).
    assert batch_fit.score(held_out) - model.score(held_out) < 0.01
    assert model.n_iter_ == 100
    assert model.n_samples_seen_ == 50_000
    assert_allclose(model.weights_.sum(), 1.0, rtol=1e-12)


def test_every_structure_learns(structure):
    truth, X = mixture_and_rows(3, 40_000, structure)
    model = streamed(GaussianMixture(4, covariance_type=structure, random_state=3, n_init=3), X[:30_000])
    assert truth.score(X[30_000:]) - model.score(X[30_000:]) < 0.01


@pytest.mark.parametrize("name", ["EII", "EEV", "VVE", "EVI"])
def test_mclusts_families_learn(name, stream):
    _, X = stream
    model = streamed(GaussianMixture(4, covariance_type=name, random_state=0), X[:10_000])
    batch_fit = GaussianMixture(4, covariance_type=name, random_state=0, tol=1e-6, max_iter=1000).fit(X[:10_000])
    assert batch_fit.score(X[10_000:]) - model.score(X[10_000:]) < 0.03


def test_float32_stays_float32(stream):
    X = stream[1].astype(np.float32)
    model = streamed(GaussianMixture(4, random_state=0), X)
    assert model.means_.dtype == np.float32
    assert_allclose(model.score(X), streamed(GaussianMixture(4, random_state=0), stream[1]).score(X), atol=1e-3)


def test_the_first_batch_is_fitted_as_fit_does(stream):
    X = stream[1][:2000]
    for cls in CLASSES:
        options = {"n_components": 4, "random_state": 0, "tol": 1e-3, "max_iter": 1000}
        a, b = cls(**options).partial_fit(X), cls(**options, n_init=5).fit(X)
        assert a.n_init == 1
        # Where nothing is to be kept of what is forgotten, no refit follows.
        c, d = cls(**options, forgetting=0.01).partial_fit(X), cls(**options, n_init=10).fit(X)
        for name in ("weights_", "means_", "covariances_"):
            assert_array_equal(getattr(a, name), getattr(b, name))
            assert_array_equal(getattr(c, name), getattr(d, name))


def test_an_integer_weight_is_a_repeated_row(structure, stream):
    X = stream[1]
    a = GaussianMixture(4, covariance_type=structure, random_state=0, tol=1e-8, max_iter=1000)
    b = copy.deepcopy(a)
    rng = np.random.default_rng(0)
    for start in range(0, 3000, 500):
        part, weight = X[start : start + 500], rng.integers(0, 3, size=500)
        a.partial_fit(part, sample_weight=weight)
        b.partial_fit(np.repeat(part, weight, axis=0))
    # Of two starts that end in one maximum, rounding says which is better: components may have changed places.
    order_a, order_b = np.argsort(a.weights_), np.argsort(b.weights_)
    for name in ("weights_", "means_", "covariances_"):
        parts = getattr(a, name), getattr(b, name)
        if not (name == "covariances_" and structure == "tied"):
            parts = parts[0][order_a], parts[1][order_b]
        assert_allclose(*parts, rtol=1e-7, atol=1e-8)
    assert a.n_samples_seen_ == b.n_samples_seen_


def test_an_affine_map_of_the_stream_maps_the_model(stream):
    X = stream[1][:5000]
    a = streamed(GaussianMixture(4, random_state=0, reg_covar=0), X)
    b = streamed(GaussianMixture(4, random_state=0, reg_covar=0), 8.0 * X + 1000.0)
    assert_allclose(b.means_, 8.0 * a.means_ + 1000.0, rtol=1e-8)
    assert_allclose(b.covariances_, 64.0 * a.covariances_, rtol=1e-6, atol=1e-6)


def test_a_prior_holds_components_without_spread(stream):
    X = np.repeat(np.arange(4.0)[:, None], 50, axis=0)
    model = GaussianMixture(4, reg_covar=0, prior="default", random_state=0)
    for _ in range(20):
        model.partial_fit(X)
    fitted = GaussianMixture(4, reg_covar=0, prior="default", random_state=0).fit(X)
    # The prior's scale is that of the data, and its weight stays while that of the rows grows.
    assert (model.covariances_ > 0).all()
    assert (model.covariances_ < fitted.covariances_).all()


# Step sizes and forgetting.


def test_step_sizes_are_those_documented():
    n = np.arange(1.0, 2000.0)
    steps = np.array([step_size(1000.0, 1000.0 * i, 100, 0.0) for i in n])
    assert_allclose(steps[20:], 2.0 * n[20:] ** -0.6, rtol=1e-12)
    assert steps.max() == 0.5
    assert step_size(1.0, 1e9, 100, 0.03) == 0.03
    # One row of a million: 2 (1e-6)^0.6 is 0.0005; of ten thousand it would be 0.008, a memory of 125 rows.
    assert step_size(1.0, 1e4, 1000, 0.0) == 0.0005
    assert step_size(1.0, 100.0, 1000, 0.0) == 0.01


def test_rows_one_by_one_do_not_spoil_a_model(stream, structure):
    _, X = mixture_and_rows(0, 12_000, structure)
    model = GaussianMixture(4, covariance_type=structure, random_state=0).partial_fit(X[:1000])
    before = model.score(X[2000:])
    streamed(model, X[1000:1500], size=1)
    assert before - model.score(X[2000:]) < 0.01


@pytest.mark.parametrize("cls", CLASSES)
def test_forgetting_follows_a_drift_that_a_model_without_loses(cls):
    rng = np.random.default_rng(0)
    models = {forgetting: cls(n_components=2, random_state=0, forgetting=forgetting) for forgetting in (0.0, 0.05)}
    for t in range(300):
        batch = rng.normal(size=(200, 1)) + np.where(rng.uniform(size=(200, 1)) < 0.5, -4.0, 4.0) + 0.1 * t
        for model in models.values():
            model.partial_fit(batch)
    now = rng.normal(size=(5000, 1)) + np.where(rng.uniform(size=(5000, 1)) < 0.5, -4.0, 4.0) + 30.0
    truth = GaussianMixture.from_parameters([0.5, 0.5], [[26.0], [34.0]], [[[1.0]], [[1.0]]])
    # At a lag of 1 / 0.05 batches the means are 2 behind, and the spread takes that in.
    assert truth.score(now) - models[0.05].score(now) < 1.0
    assert models[0.05].score(now) - models[0.0].score(now) > 0.4
    assert models[0.05].statistics_.counts.sum() < 200 / 0.05 * 1.01


def test_the_memory_speaks_for_all_rows_seen(structure, stream):
    model = streamed(GaussianMixture(4, covariance_type=structure, n_init=10, random_state=0), stream[1][:5000])
    # Rows beyond one in 10^9 would be missing; there are none.
    assert_allclose(model.statistics_.counts.sum(), 5000.0, rtol=1e-6)


# Going on.


@pytest.mark.parametrize("keep", ["pickle", "deepcopy", "save"])
@pytest.mark.parametrize("cls", CLASSES)
def test_a_stream_goes_on_where_it_was_kept(cls, keep, stream, structure, tmp_path):
    X = stream[1]
    model = streamed(cls(n_components=4, covariance_type=structure, random_state=0), X[:3000])
    if keep == "pickle":
        kept = pickle.loads(pickle.dumps(model))
    elif keep == "deepcopy":
        kept = copy.deepcopy(model)
    else:
        fastgmm.save(model, tmp_path / "model.npz")
        kept = fastgmm.load(tmp_path / "model.npz")
    assert_same_model(streamed(kept, X[3000:6000]), streamed(model, X[3000:6000]))


def test_statistics_of_parameters_bring_the_parameters_back(structure):
    parameters = random_parameters(structure, 4, 3, np.random.default_rng(0))
    statistics = Gaussian(get_covariance(structure), 1e-6).statistics_of(parameters, 1000.0)
    back = maximise(statistics, get_covariance(structure), 1e-6, 0.0)
    for name in ("weights", "means", "covariances"):
        assert_allclose(getattr(back, name), getattr(parameters, name), rtol=1e-12)


@pytest.mark.parametrize("cls", CLASSES)
def test_a_fitted_model_goes_on_as_if_its_rows_had_been_a_stream(cls, stream):
    _, X = stream
    model = cls(n_components=4, random_state=0, tol=1e-4, max_iter=1000).fit(X[:20_000])
    before = model.score(X[20_000:])
    streamed(model, X[:500])
    # One batch of 500 replaces 2.4% of 20,500 rows ^ 0.7 = 7%: hardly more noise than there was.
    assert before - model.score(X[20_000:]) < 0.005
    assert model.n_samples_seen_ == 20_500


def test_known_parameters_go_on_as_one_batch(stream):
    truth, X = stream
    model = GaussianMixture.from_parameters(truth.weights_, truth.means_, truth.covariances_)
    streamed(model, X[:10_000])
    assert model.n_samples_seen_ == 10_500
    assert truth.score(X[10_000:]) - model.score(X[10_000:]) < 0.01


def test_fit_forgets_the_stream(stream):
    X = stream[1]
    model = streamed(GaussianMixture(4, random_state=0, tol=1e-2, max_iter=500), X[:3000]).fit(X[:2000])
    assert not hasattr(model, "statistics_")
    assert_array_equal(model.means_, GaussianMixture(4, random_state=0, tol=1e-2, max_iter=500).fit(X[:2000]).means_)


# Bad batches.


def bad_batch(kind, X, model):
    if kind == "at a mean":
        return np.repeat(model.means_[:1], 500, axis=0)
    if kind == "far":
        return X[:500] + 1e6
    if kind == "beyond squares":
        return np.full((500, X.shape[1]), 1e200)
    if kind == "one outlier":
        return np.concatenate([X[:499], X[:1] + 1e5])
    # At the distance where a row's influence is largest.
    return model.means_[np.zeros(500, dtype=int)] + 7.0 * np.sqrt(np.diag(np.atleast_2d(np.cov(X.T))))


@pytest.mark.parametrize("kind", ["at a mean", "far", "beyond squares", "one outlier", "rather far"])
@pytest.mark.parametrize(
    ("cls", "n_before"), [(GaussianMixture, 1), (GaussianMixture, 12), (BayesianGaussianMixture, 12)]
)
def test_a_bad_batch_cannot_destroy_a_component(cls, kind, n_before, structure):
    _, X = mixture_and_rows(0, 15_000, structure)
    model = streamed(cls(n_components=4, covariance_type=structure, random_state=0), X[: 500 * n_before])
    before = copy.deepcopy(model)
    model.partial_fit(bad_batch(kind, X, model))
    for name in ("weights_", "means_", "covariances_"):
        assert np.isfinite(getattr(model, name)).all()
    assert model.weights_.min() >= 0.45 * before.weights_.min()
    # In units of what they were, covariances stay above a half and below D + 1 (the whole trace in one direction,
    # and the step of the mean).
    n_features = X.shape[1]
    growth = relative_covariances(model, before)
    assert growth.min() > 0.49
    assert growth.max() < 2.0 * n_features + 1.0
    streamed(model, X[500 * n_before : 10_000])
    expected = streamed(before, X[500 * n_before : 10_000])
    assert expected.score(X[10_000:]) - model.score(X[10_000:]) < 0.05


def relative_covariances(model, before):
    """Eigenvalues of the covariances in units of those before."""
    new, old = model.covariances_, before.covariances_
    if model.covariance_type in ("diag", "spherical"):
        return (new / old).ravel()
    return np.linalg.eigvals(np.linalg.solve(old, new)).real.ravel()


def test_only_outlying_rows_weigh_less(structure):
    parameters = random_parameters(structure, 3, 2, np.random.default_rng(0))
    X = np.random.default_rng(1).normal(size=(1000, 2)) * 0.1 + parameters.means[0]
    assert bounded_weight(X, None, parameters) is None
    X[7] += 1e4
    weight = bounded_weight(X, None, parameters)
    assert (np.delete(weight, 7) == 1.0).all()
    assert 0.0 < weight[7] < 1e-4
    # In proportion to the squared distance: what the row adds to the scatter is the same however far it is.
    X[7] += 9e4
    assert_allclose(bounded_weight(X, None, parameters)[7], weight[7] / 100.0, rtol=0.05)


@pytest.mark.parametrize("cls", CLASSES)
def test_a_refused_batch_leaves_the_model_alone(cls, stream):
    X = stream[1]
    model = streamed(cls(n_components=4, random_state=0), X[:1000])
    before = pickle.dumps(model)
    for batch, message in (
        (np.full((3, 3), np.nan), "NaN"),
        (X[:3, :2], "2 features, but"),
        (batches(lambda: iter([X])), "X is a source"),
    ):
        with pytest.raises(ValueError, match=message):
            model.partial_fit(batch)
    with pytest.raises(ValueError, match="sample_weight has shape"):
        model.partial_fit(X[:3], sample_weight=[1.0])
    assert pickle.dumps(model) == before


def test_a_first_batch_that_cannot_start_is_refused(stream):
    X = stream[1]
    with pytest.raises(ValueError, match="n_samples >= n_components"):
        GaussianMixture(4).partial_fit(X[:3])
    with pytest.raises(ComponentCollapseError):
        GaussianMixture(4, reg_covar=0).partial_fit(np.repeat(X[:4], 3, axis=0))
    with pytest.raises(ValueError, match="noise is given and rows come in batches"):
        GaussianMixture(4, noise=0.1).partial_fit(X)
    with pytest.raises(ValueError, match="'forgetting' parameter"):
        GaussianMixture(4, forgetting=0.6).partial_fit(X)


def test_a_damaged_memory_is_named(stream):
    model = streamed(GaussianMixture(4, random_state=0), stream[1][:1000])
    model.statistics_.scatter = model.statistics_.scatter[:2]
    with pytest.raises(ValueError, match=r"statistics_.scatter has shape \(2, 3, 3\).*expected \(4, 3, 3\)"):
        model.partial_fit(stream[1][:500])


def test_shards_learned_apart_merge(stream):
    """One start, two streams, one model: what statistics are public for."""
    _, X = stream
    start = GaussianMixture(4, random_state=0).partial_fit(X[:2000])
    shards = [streamed(copy.deepcopy(start), part) for part in (X[2000:10_000], X[10_000:18_000])]
    merged = shards[0].statistics_
    merged.merge(type(merged).from_bytes(shards[1].statistics_.to_bytes()))
    parameters = maximise(merged, get_covariance("full"), 1e-6, 0.0)
    total = ArrayRows(X[18_000:]).accumulate(parameters).log_likelihood / 12_000
    assert total > max(shard.score(X[18_000:]) for shard in shards) - 0.002
