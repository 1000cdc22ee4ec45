"""Laws of the search for the number of components: starts, rises of the bound, units, weights, and what it refuses."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator

import fastgmm
from fastgmm import BayesianGaussianMixture
from fastgmm.data import batches
from fastgmm.families.variational import OpenVariational

PRIOR_TYPES = ["dirichlet_process", "dirichlet_distribution"]


def asterisk(n_samples=1200, seed=0):
    """Return rows of eight long Gaussians about a ring that point to its centre, every other one twice as heavy."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(8, size=n_samples, p=np.array([1.0, 2.0] * 4) / 12.0)
    angles = labels * np.pi / 4.0
    along, across = rng.normal(size=(2, n_samples)) * [[0.25], [0.025]]
    axes = np.cos(angles), np.sin(angles)
    X = [axes[0] * (1.0 + along) - axes[1] * across, axes[1] * (1.0 + along) + axes[0] * across]
    return np.round(np.column_stack(X) * 2.0**16) / 2.0**16, labels


def auto(**options):
    return BayesianGaussianMixture(
        **{"n_components": "auto", "expected_log_precision": "exact", "random_state": 0, **options}
    )


@pytest.mark.parametrize("prior_type", PRIOR_TYPES)
def test_few_and_many_components_at_the_start_end_in_the_same(prior_type):
    X, _ = asterisk()
    options = {"weight_concentration_prior_type": prior_type}
    models = [auto(n_components_init=k, random_state=k, **options).fit(X) for k in (1, 3, 30)]
    assert [model.n_components_ for model in models] == [8, 8, 8]
    for model in models[1:]:
        # Runs end within `tol` per pass of one optimum.
        assert_allclose(model.elbo_, models[0].elbo_, atol=0.05)
        assert_allclose(model.means_, models[0].means_, atol=1e-3)
    assert np.all(np.diff(models[0].weights_) <= 0)


def test_arms_that_meet_in_a_star_are_found_from_one_component():
    """Two or three parts of it are no better than the whole, which is a round cloud."""
    rng = np.random.default_rng(0)
    angles = np.arange(8) * np.pi / 4.0
    turns = np.array([[np.cos(angles), np.sin(angles)], [-np.sin(angles), np.cos(angles)]]).transpose(2, 1, 0)
    X = np.concatenate([(rng.normal(size=(100, 2)) * [1.0, 0.1] + [1.8, 0.0]) @ turn for turn in turns])
    bounds = [auto(n_components_init=k, random_state=seed).fit(X).elbo_ for k in (1, 20) for seed in range(2)]
    assert_allclose(bounds, max(bounds), atol=0.05)


@pytest.mark.parametrize("concentration", [1e-3, 1.0, 10.0])
def test_the_concentration_of_the_prior_does_not_decide(concentration):
    assert auto(weight_concentration_prior=concentration).fit(asterisk()[0]).n_components_ == 8


@pytest.mark.parametrize("expected", ["exact", "wishart"])
@pytest.mark.parametrize("n_begun", [1, 20])
def test_no_move_lowers_the_bound(structure, expected, n_begun):
    X, _ = asterisk(600)
    model = auto(covariance_type=structure, n_components_init=n_begun, expected_log_precision=expected, max_iter=500)
    model.fit(X)
    kinds, numbers, bounds = zip(*model.moves_, strict=True)
    assert kinds[0] == "start"
    assert len(kinds) > 1
    assert set("+".join(kinds).split("+")) <= {"start", "split", "merge", "delete", "refit", "regrow"}
    assert np.diff(bounds).min() > 0
    assert numbers[-1] == model.n_components_ == len(model.weights_) == model.n_effective_components_
    if expected == "exact":
        assert model.elbo_ >= bounds[-1] - 1e-9 * abs(bounds[-1])
        assert model.lower_bound_ == model.elbo_


@pytest.mark.parametrize("n_begun", [1, 12])
def test_one_gaussian_stays_one(structure, n_begun):
    X = np.random.default_rng(1).normal(size=(800, 3))
    model = auto(covariance_type=structure, n_components_init=n_begun).fit(X)
    assert model.n_components_ == 1
    one = BayesianGaussianMixture(covariance_type=structure, weight_concentration_prior=1.0).fit(X)
    assert_allclose(model.elbo_, one.elbo_, rtol=1e-10)


def test_what_is_found_is_better_than_what_any_given_number_comes_to():
    X, _ = asterisk(1000)
    found = auto().fit(X)
    with pytest.warns(ConvergenceWarning):
        given = [
            BayesianGaussianMixture(
                n_components=k, weight_concentration_prior=1.0, max_iter=50, init_params="k-means++", random_state=k
            ).fit(X)
            for k in range(1, 15)
        ]
    # Under a Dirichlet process a number of components is a bound on q only, so these are bounds on the same evidence.
    assert found.elbo_ > max(model.elbo_ for model in given) - 0.05


def test_integer_weight_is_a_repeated_row():
    X, _ = asterisk(800)
    weight = np.random.default_rng(4).integers(0, 4, size=800)
    weighted, repeated = auto().fit(X, sample_weight=weight), auto().fit(np.repeat(X, weight, axis=0))
    assert weighted.n_components_ == repeated.n_components_ == 8
    assert_allclose(weighted.elbo_, repeated.elbo_, atol=0.05)


def test_units_and_offsets_do_not_matter():
    X, _ = asterisk(1000)
    near = auto(reg_covar=0.0).fit(X)
    moved = auto(reg_covar=0.0).fit(X * [4.0, 0.125] + [256.0, -32.0])
    assert near.n_components_ == moved.n_components_ == 8
    assert_allclose(moved.elbo_, near.elbo_ - len(X) * np.log(4.0 * 0.125), atol=0.05)


def test_any_number_of_threads_gives_the_same_bits():
    X, _ = asterisk(9000)
    models = []
    for n_threads in (1, 2, 5):
        with fastgmm.config_context(n_threads=n_threads):
            models.append(auto().fit(X))
    for model in models[1:]:
        assert model.moves_ == models[0].moves_
        assert_array_equal(model.means_, models[0].means_)
        assert_array_equal(model.covariances_, models[0].covariances_)


def test_few_distinct_rows_end_in_as_many_components():
    X = np.repeat([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], 100, axis=0)
    assert auto().fit(X).n_components_ == 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sources_are_searched_as_arrays_are(dtype):
    X = asterisk()[0].astype(dtype)
    model = auto().fit(X)
    source = auto().fit(batches(lambda: iter([X[:1000], X[1000:]])))
    assert model.n_components_ == source.n_components_ == 8
    assert model.means_.dtype == np.float64
    assert_allclose(source.elbo_, model.elbo_, atol=0.05)


def test_more_rows_than_moves_are_sought_on(monkeypatch):
    monkeypatch.setattr("fastgmm.starts.evidence_moves.MOST_ROWS", 1000)
    X, _ = asterisk(8000)
    assert auto().fit(X).n_components_ == auto(n_components_init=20).fit(X).n_components_ == 8


def test_rows_may_miss_values():
    rng = np.random.default_rng(2)
    X = np.concatenate([rng.normal(size=(200, 3)) + centre for centre in ([0, 0, 0], [9, 0, 9], [0, 9, -9])])
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    assert auto(missing="marginalise").fit(X).n_components_ == 3


def test_a_model_is_cloned_pickled_saved_and_continued(tmp_path):
    X, _ = asterisk(1000)
    model = auto(n_components_init=4, warm_start=True).fit(X)
    assert clone(model).get_params() == model.get_params()
    fastgmm.save(model, tmp_path / "model.npz")
    for other in (pickle.loads(pickle.dumps(model)), fastgmm.load(tmp_path / "model.npz")):
        assert other.moves_ == model.moves_
        assert other.n_components_ == 8
        assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    before = model.elbo_
    assert model.fit(X).elbo_ >= before - 1e-9 * abs(before)
    assert model.moves_[0][:2] == ["start", 8]
    # A stream goes on with the components that were found, or that its first batch asks for.
    assert model.partial_fit(X[:200]).n_components_ == 8
    assert auto().partial_fit(X).partial_fit(X).n_components_ == 8
    assert auto(expected_log_precision="wishart").fit(X).to_sklearn().n_components == 8


def test_a_fit_that_fails_leaves_the_model_as_it_was(monkeypatch):
    X, _ = asterisk(500)
    model = auto().fit(X)
    before, maximise, left = dict(vars(model)), OpenVariational.maximise, [8]

    def fails(self, statistics, state):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return maximise(self, statistics, state)

    monkeypatch.setattr(OpenVariational, "maximise", fails)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X * 2.0)
    assert vars(model) == before


def test_a_callback_ends_the_search_with_the_best_so_far():
    X, _ = asterisk(1000)
    model = auto().set_callbacks(fastgmm.callbacks.TimeLimit(1e-9)).fit(X)
    assert model.stopped_
    assert model.n_components_ < 8


def test_what_makes_no_sense_is_refused_by_name():
    X, labels = asterisk(200)
    with pytest.raises(ValueError, match="labels name the components of rows and n_components is 'auto'"):
        auto().fit(X, labels=labels)
    with pytest.raises(ValueError, match="n_components = 300"):
        auto(n_components_init=300).fit(X)
    for wrong in ("automatic", 0, 2.5, None):
        with pytest.raises(ValueError, match="n_components"):
            auto(n_components=wrong).fit(X)
    assert not hasattr(auto(n_components=3).fit(X), "moves_")


@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_accepts_it():
    check_estimator(BayesianGaussianMixture(n_components="auto"))
