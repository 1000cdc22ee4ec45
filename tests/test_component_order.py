"""Laws of the numbers that components go by: reordering, matching, moving windows."""

import pickle

import numpy as np
import pytest
from mixtures import random_parameters
from numpy.testing import assert_allclose, assert_array_equal

from fastgmm import BayesianGaussianMixture, GaussianMixture, StudentMixture, fit_windows, load, match_components, save
from fastgmm.inference.divergence import bhattacharyya

ORDER = np.array([2, 0, 1])


def rows(n=600, seed=0, n_features=3):
    p = random_parameters("full", 3, n_features, np.random.default_rng(seed))
    model = GaussianMixture.from_parameters(p.weights, p.means, p.covariances, random_state=seed)
    return model.sample(n, random_state=seed)[0]


MODELS = [
    *(
        GaussianMixture(3, covariance_type=name, random_state=0)
        for name in ("full", "tied", "diag", "spherical", "VEV")
    ),
    GaussianMixture(3, covariance_type="factor", n_factors=1, random_state=0),
    GaussianMixture(3, noise=0.1, random_state=0),
    StudentMixture(3, random_state=0, max_iter=1000),
    StudentMixture(3, covariance_type="tied", random_state=0, max_iter=1000),
    BayesianGaussianMixture(
        n_components=3, weight_concentration_prior_type="dirichlet_distribution", random_state=0, max_iter=1000
    ),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: f"{type(m).__name__}-{m.covariance_type}")
def test_reordering_permutes_the_answers_and_changes_nothing_else(model, tmp_path):
    X = rows()
    model.fit(X)
    before = pickle.dumps(model)
    other = model.reorder(ORDER)
    assert pickle.dumps(model) == before
    assert_allclose(other.score_samples(X), model.score_samples(X), rtol=1e-12)
    assert_allclose(other.predict_proba(X)[:, :3], model.predict_proba(X)[:, ORDER], rtol=1e-9, atol=1e-12)
    assert_array_equal(other.means_, model.means_[ORDER])
    assert_allclose(other.mahalanobis(X[:5]), model.mahalanobis(X[:5])[:, ORDER], rtol=1e-12)
    back = other.reorder(np.argsort(ORDER))
    for name, value in vars(model).items():
        if isinstance(value, np.ndarray):
            assert_array_equal(getattr(back, name), value, err_msg=name)
    save(other, tmp_path / "model")
    assert_array_equal(load(tmp_path / "model").predict(X), other.predict(X))


def test_a_stream_goes_on_with_the_new_numbers():
    X = rows(3000)
    plain = GaussianMixture(3, random_state=0, forgetting=0.01).partial_fit(X[:1000])
    other = plain.reorder(ORDER)
    plain.partial_fit(X[1000:2000]).partial_fit(X[2000:])
    other.partial_fit(X[1000:2000]).partial_fit(X[2000:])
    assert_allclose(other.means_, plain.means_[ORDER], rtol=1e-9)
    assert_allclose(other.statistics_.scatter, plain.statistics_.scatter[ORDER], rtol=1e-9)


def test_order_by_orders_what_a_fit_finds_and_nothing_else():
    X = rows()
    plain = GaussianMixture(3, random_state=1).fit(X)
    volume = np.linalg.slogdet(plain.covariances_)[1]
    keys = {1: plain.means_[:, 1], "weight": -plain.weights_, "volume": volume}
    for by, key in keys.items():
        found = GaussianMixture(3, random_state=1, order_by=by).fit(X)
        assert_array_equal(found.means_, plain.means_[np.argsort(key)])
        assert found.lower_bound_ == plain.lower_bound_
        assert_array_equal(found.means_, plain.reorder(by=by).means_)
    by_function = GaussianMixture(3, random_state=1, order_by=lambda model: -model.means_[:, 0])
    assert_array_equal(by_function.fit_predict(X), by_function.predict(X))
    assert (np.diff(by_function.means_[:, 0]) < 0).all()
    student = StudentMixture(3, random_state=1, order_by=0, max_iter=1000).fit(X)
    assert (np.diff(student.means_[:, 0]) > 0).all()


def test_order_by_a_named_feature():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(rows(), columns=["a", "b", "weight"])
    found = GaussianMixture(3, random_state=0, order_by="b").fit(frame)
    assert (np.diff(found.means_[:, 1]) > 0).all()
    with pytest.raises(ValueError, match="'weight' is a feature and a property"):
        GaussianMixture(3, random_state=0, order_by="weight").fit(frame)
    with pytest.raises(ValueError, match=r"cannot be ordered by 'c'; .* among"):
        GaussianMixture(3, random_state=0, order_by="c").fit(frame)


def test_bad_orders_are_named():
    X = rows()
    model = GaussianMixture(3, random_state=0).fit(X)
    for order in ([0, 1], [0, 1, 1], [1, 2, 3], [0.0, 1.0, 2.0]):
        with pytest.raises(ValueError, match="each number from 0 to n_components - 1 = 2 once"):
            model.reorder(order)
    with pytest.raises(ValueError, match="exactly one"):
        model.reorder()
    with pytest.raises(ValueError, match="feature 3; expected 0 to n_features - 1 = 2"):
        GaussianMixture(3, order_by=3).fit(X)
    with pytest.raises(ValueError, match="labels number the components"):
        GaussianMixture(3, order_by=0).fit(X, labels=np.where(np.arange(600) == 0, 0, -1))
    with pytest.raises(ValueError, match=r"shape \(2,\); expected a number for each"):
        GaussianMixture(3, order_by=lambda model: [1.0, 2.0]).fit(X)
    with pytest.raises(ValueError, match="Dirichlet process"):
        BayesianGaussianMixture(n_components=3, random_state=0, max_iter=1000).fit(X).reorder(ORDER)


# Matching.


def test_bhattacharyya_is_minus_the_log_of_the_integral_of_the_root():
    a, b = (random_parameters("full", k, 1, np.random.default_rng(k)) for k in (2, 3))
    grid = np.linspace(-40, 40, 400_001)[:, None]

    def densities(p):
        return np.exp(-0.5 * (grid - p.means[:, 0]) ** 2 / p.covariances[:, 0, 0]) / np.sqrt(
            2 * np.pi * p.covariances[:, 0, 0]
        )

    integral = np.sqrt(densities(a)).T @ np.sqrt(densities(b)) * (grid[1, 0] - grid[0, 0])
    assert_allclose(bhattacharyya(a, b), -np.log(integral), rtol=1e-8)


def test_matching_undoes_a_permutation_in_any_units(structure):
    p = random_parameters(structure, 5, 3, np.random.default_rng(0))
    model = GaussianMixture.from_parameters(p.weights, p.means, p.covariances, covariance_type=structure)
    order = np.random.default_rng(1).permutation(5)
    shuffled = model.reorder(order)
    found = match_components(model, shuffled)
    assert_array_equal(shuffled.reorder(found).means_, model.means_)
    scaled = [
        GaussianMixture.from_parameters(m.weights_, 1e4 * m.means_, 1e8 * m.covariances_, covariance_type=structure)
        for m in (model, shuffled)
    ]
    assert_array_equal(match_components(*scaled), found)


def test_matching_is_the_best_of_all_pairings_and_extra_components_come_last():
    from itertools import permutations

    a, b = (random_parameters("full", k, 2, np.random.default_rng(k), spread=1.0) for k in (3, 5))
    models = [GaussianMixture.from_parameters(p.weights, p.means, p.covariances) for p in (a, b)]
    found = match_components(*models)
    costs = bhattacharyya(a, b)
    best = min(permutations(range(5), 3), key=lambda chosen: costs[[0, 1, 2], chosen].sum())
    assert_array_equal(found[:3], best)
    assert sorted(found) == list(range(5))
    assert b.weights[found[3]] >= b.weights[found[4]]
    with pytest.raises(ValueError, match="model has 3 components; expected at least 5"):
        match_components(models[1], models[0])
    with pytest.raises(TypeError, match="reference is a list"):
        match_components([], models[0])
    other = GaussianMixture.from_parameters([1.0], [[0.0]], [[[1.0]]])
    with pytest.raises(ValueError, match="model has 1 features; expected 2"):
        match_components(models[0], other)


# Windows.


def series(n=1500):
    rng = np.random.default_rng(0)
    regime = (np.arange(n) // 100) % 3
    return (rng.normal(size=n) * np.array([0.5, 1.0, 2.0])[regime] + np.array([0.0, 6.0, -8.0])[regime])[
        :, None
    ], regime


@pytest.mark.parametrize("start", ["previous", "fresh"])
def test_components_keep_their_numbers_from_window_to_window(start):
    X, regime = series()
    estimator = GaussianMixture(3, n_init=3, random_state=0, order_by="volume")
    fits = fit_windows(estimator, X, window=600, step=50, start=start)
    assert fits.models[-1].get_params()["order_by"] == "volume"
    assert not fits.models[-1].warm_start
    fresh = estimator.fit(X[-600:])  # a maximum as high
    assert fits.models[-1].score(X[-600:]) >= fresh.score(X[-600:]) - 1e-3
    assert len(fits) == 19
    assert_array_equal(fits.stops, np.arange(600, 1501, 50))
    for _, model in fits:
        assert np.abs(model.means_[:, 0] - [0, 6, -8]).max() < 1.0
    labels = fits.predict(X)
    assert (labels[:600] == -1).all()
    assert (labels[600:] == regime[600:]).mean() > 0.99


@pytest.mark.parametrize("expanding", [False, True])
def test_what_is_said_of_a_row_does_not_depend_on_it_or_on_what_comes_after(expanding):
    X, _ = series(900)
    estimator = GaussianMixture(3, random_state=0, order_by="volume")
    before = fit_windows(estimator, X, window=400, step=100, expanding=expanding)
    changed = X.copy()
    changed[650:] += 50.0
    after = fit_windows(estimator, changed, window=400, step=100, expanding=expanding)
    assert_array_equal(after.predict(changed)[:650], before.predict(X)[:650])
    probabilities = before.predict_proba(X)
    assert np.isnan(probabilities[:400]).all()
    assert not np.isnan(probabilities[400:]).any()
    first = before.models[0]
    assert_array_equal(before.score_samples(X)[400:500], first.score_samples(X[400:500]))
    if not expanding:
        assert_allclose(first.means_, GaussianMixture(3, random_state=0, order_by="volume").fit(X[:400]).means_)


def test_a_window_whose_component_collapses_begins_afresh():
    # No row of the second window is anywhere near the component at 100.
    first, second = np.random.default_rng(0).normal(size=(2, 200, 1))
    X = np.concatenate([first + np.repeat([0.0, 100.0], 100)[:, None], second])
    estimator = GaussianMixture(2, reg_covar=0.0, random_state=0)
    fits = fit_windows(estimator, X, window=200, step=200)
    assert_allclose(np.sort(fits.models[1].means_, axis=0), np.sort(estimator.fit(second).means_, axis=0))


def test_bad_windows_are_named():
    X, _ = series(300)
    for options, words in (
        ({"window": 301}, "window is 301 rows and X has 300"),
        ({"window": 0}, "window is 0; expected a positive number"),
        ({"window": 100, "start": "warm"}, "start is 'warm'; expected 'previous' or 'fresh'"),
        ({"window": 100, "step": 0.5}, "step is 0.5; expected a positive number"),
    ):
        with pytest.raises(ValueError, match=words):
            fit_windows(GaussianMixture(2), X, **options)
    with pytest.raises(TypeError, match="estimator is a dict"):
        fit_windows({}, X, window=100)
