"""Exceptions and signals at any moment of a call: what was fitted stays as it was, and nothing is left behind."""

import inspect
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import sklearn
from sklearn.base import clone

import fastgmm
from fastgmm import (
    BayesianGaussianMixture,
    GaussianMixture,
    GaussianMixtureClassifier,
    GaussianMixtureClusterer,
    GaussianMixtureOutlierDetector,
    GaussianMixtureRegressor,
    GaussianMixtureSearch,
)

pytestmark = [
    pytest.mark.thread_unsafe(reason="signals and traces of the whole process"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

PACKAGE = str(Path(fastgmm.__file__).parent)


class Interruption(BaseException):
    """Like KeyboardInterrupt no Exception, and nobody else's."""


@contextmanager
def interrupted_at(place):
    """Raise in the call number `place` of a function of the package; count calls for a negative one."""
    calls = [0]

    def trace(frame, event, argument):
        # Python itself drops an exception from a generator that is being thrown away.
        is_generator = frame.f_code.co_flags & inspect.CO_GENERATOR
        # And scikit-learn asks for an attribute when a fit is complete.
        passed_over = is_generator or frame.f_code.co_name == "__getattr__"
        if event == "call" and not passed_over and frame.f_code.co_filename.startswith(PACKAGE):
            calls[0] += 1
            if calls[0] == place:
                raise Interruption
        return None  # lines are of no interest

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield calls
    finally:
        sys.settrace(before)


def rows():
    rng = np.random.default_rng(0)
    return np.r_[rng.normal(size=(80, 2)), rng.normal(size=(80, 2)) + 3]


def snapshot(model):
    return dict(vars(model))


def assert_unchanged(model, before):
    assert vars(model).keys() == before.keys()
    for name, value in before.items():
        assert getattr(model, name) is value, name


ACTIONS = {
    "fit": lambda model, X: model.fit(X),
    "fit_predict": lambda model, X: model.fit_predict(X),
    "weighted fit": lambda model, X: model.fit(X, sample_weight=np.arange(len(X), dtype=float)),
    "partial_fit": lambda model, X: model.partial_fit(X[:40]),
    "fit from batches": lambda model, X: model.fit(fastgmm.data.batches(lambda: iter([X[:50], X[50:]]))),
}
MODELS = {
    "GaussianMixture": lambda: GaussianMixture(2, random_state=0, max_iter=5),
    "multistart": lambda: GaussianMixture(2, random_state=0, max_iter=5, init_params="multistart"),
    "BayesianGaussianMixture": lambda: BayesianGaussianMixture(n_components=2, random_state=0, max_iter=5),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("kind", MODELS)
def test_an_exception_at_any_call_leaves_the_model_as_it_was(kind, action):
    X, act = rows(), ACTIONS[action]
    model = MODELS[kind]().fit(X[:100])
    fresh = MODELS[kind]().fit(X[:100])
    # What is found out once is kept, so that every run that follows makes as many calls.
    act(MODELS[kind]().fit(X[:100]), X)
    for each in (model, fresh):
        each.predict(X)
    with interrupted_at(-1) as calls:
        act(fresh, X)
    assert calls[0] > 20
    for place in np.unique(np.linspace(1, calls[0], 25).astype(int)):
        before = snapshot(model)
        with pytest.raises(Interruption), interrupted_at(place):
            act(model, X)
        assert_unchanged(model, before)
        model.predict(X)


OTHER_ESTIMATORS = {
    "search": (GaussianMixtureSearch([1, 2], ["EII", "VVV"], random_state=0), ()),
    "classifier": (GaussianMixtureClassifier(n_components=2, random_state=0), (np.arange(160) // 80,)),
    "clusterer": (GaussianMixtureClusterer(n_components=3, random_state=0), ()),
    "outlier detector": (GaussianMixtureOutlierDetector(n_components=2, random_state=0), ()),
    "regressor": (GaussianMixtureRegressor(n_components=2, random_state=0), (rows()[:, 0] ** 2,)),
}


@pytest.mark.parametrize("kind", OTHER_ESTIMATORS)
def test_an_exception_at_any_call_leaves_any_estimator_as_it_was(kind):
    X, (estimator, targets) = rows(), OTHER_ESTIMATORS[kind]
    estimator = clone(estimator).fit(X, *targets)
    expected = estimator.predict(X)
    with interrupted_at(-1) as calls:
        estimator.fit(X, *targets)
    assert calls[0] > 20
    for place in np.unique(np.linspace(1, calls[0], 25).astype(int)):
        before = snapshot(estimator)
        with pytest.raises(Interruption), interrupted_at(place):
            estimator.fit(X, *targets)
        assert_unchanged(estimator, before)
    assert np.array_equal(estimator.predict(X), expected)


def test_an_exception_at_any_call_of_save_leaves_the_old_file(tmp_path):
    X, path = rows(), tmp_path / "model.npz"
    model, other = GaussianMixture(2, random_state=0).fit(X), GaussianMixture(3, random_state=0).fit(X)
    fastgmm.save(model, path)
    whole = path.read_bytes()
    with interrupted_at(-1) as calls:
        fastgmm.save(other, tmp_path / "other.npz")
    (tmp_path / "other.npz").unlink()
    for place in range(1, calls[0] + 1, max(1, calls[0] // 60)):
        with pytest.raises(Interruption), interrupted_at(place):
            fastgmm.save(other, path)
        assert path.read_bytes() == whole
        assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_parameters_are_still_checked_after_a_signal_at_the_very_end(monkeypatch):
    """scikit-learn turns its check off during a fit: a signal while it turns it on again may not leave it off."""
    places = []

    def set_config(**settings):
        places.append(settings)
        if len(places) == 2:
            raise Interruption
        sklearn.set_config(**settings)

    monkeypatch.setattr("sklearn._config.set_config", set_config)
    with pytest.raises(Interruption):
        GaussianMixture(2, random_state=0).fit(rows())
    monkeypatch.undo()
    assert len(places) == 2
    with pytest.raises(ValueError, match="'tol' parameter"):
        GaussianMixture(2, tol=-1.0).fit(rows())


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer")
@pytest.mark.parametrize("kind", MODELS)
def test_a_signal_at_any_moment_leaves_a_whole_model(kind):
    """Whenever the signal comes, the model is the old one or the new one; compiled passes are interrupted as well."""
    rng = np.random.default_rng(1)
    X = np.r_[rng.normal(size=(4000, 6)), rng.normal(size=(4000, 6)) + 2]
    model, new = MODELS[kind]().fit(X[::7]), MODELS[kind]().fit(X)
    old_means, interrupted = model.means_, 0

    def handler(number, frame):
        raise Interruption

    before = signal.signal(signal.SIGALRM, handler)
    try:
        for moment in rng.uniform(1e-4, 2e-2, size=40):
            try:
                signal.setitimer(signal.ITIMER_REAL, moment)
                model.fit(X)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Interruption:
                interrupted += 1
                if model.means_ is not old_means:
                    assert np.array_equal(model.means_, new.means_)  # it came after the last step
                    assert np.array_equal(model.covariances_, new.covariances_)
            assert model.lower_bound_ == model.lower_bounds_[-1]
            assert model.n_features_in_ == model.means_.shape[1] == 6
            model = MODELS[kind]().fit(X[::7])
            old_means = model.means_
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted > 0  # a fit of 8000 rows takes longer than the earliest of them
