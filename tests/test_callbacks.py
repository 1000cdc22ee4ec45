"""Callbacks: who is told what, how a fit is ended early, and what a fault leaves behind."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

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
from fastgmm.callbacks import Callback, CallbackSupport, TimeLimit, context, support
from fastgmm.datasets import load_faithful

sklearn_callback = pytest.importorskip("sklearn.callback") if hasattr(support, "with_callbacks") else None
KINDS = ["own", *(["sklearn"] if sklearn_callback else [])]


@pytest.fixture(params=KINDS)
def kind(request, monkeypatch):
    """Let estimators support callbacks by scikit-learn's classes, and by those that stand in for them."""
    if request.param == "own":
        for name in ("set_callbacks", "_init_callback_context"):
            monkeypatch.setattr(CallbackSupport, name, getattr(context.CallbackSupportMixin, name))
        monkeypatch.setattr(support, "tear_down", context.tear_down)
    return request.param


@pytest.fixture(scope="module")
def X():
    return load_faithful()


class Diary(Callback):
    """Writes down what it is told; returns True at the ends listed in `stop_at`."""

    def __init__(self, stop_at=()):
        self.entries, self.contexts, self.stop_at = [], [], set(stop_at)

    def setup(self, estimator, context):
        self.entries.append(("setup", context.task_name))

    def teardown(self, estimator, context):
        self.entries.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context):
        self.entries.append(("begin", *path_of(context)))

    def on_fit_task_end(self, estimator, context):
        self.entries.append(("end", *path_of(context)))
        self.contexts.append(context)
        return path_of(context) in self.stop_at

    def ended(self, task_name):
        return [context for context in self.contexts if context.task_name == task_name]


class DiaryOfAll(Diary):
    max_propagation_depth = None


def path_of(context):
    own = (context.task_name, context.task_id)
    return own if context.parent is None else (*path_of(context.parent), *own)


class Fault(Callback):
    def __init__(self, hook, task_name):
        self.hook, self.task_name = hook, task_name
        self.n_teardowns = 0

    def teardown(self, estimator, context):
        self.n_teardowns += 1
        self._raise("teardown", context)

    def _raise(self, hook, context):
        if (hook, context.task_name) == (self.hook, self.task_name):
            raise RuntimeError("a fault of the callback")

    def on_fit_task_begin(self, estimator, context):
        self._raise("begin", context)

    def on_fit_task_end(self, estimator, context):
        self._raise("end", context)


@pytest.mark.parametrize("cls", [GaussianMixture, BayesianGaussianMixture])
def test_a_fit_is_a_tree_of_runs_and_iterations(cls, X, kind):
    diary = Diary()
    model = cls(n_components=2, n_init=2, random_state=0).set_callbacks(diary).fit(X)
    entries = diary.entries
    assert entries[0] == ("setup", "fit")
    assert entries[1] == ("begin", "fit", 0)
    assert entries[-2:] == [("end", "fit", 0), ("teardown", "fit")]
    # Every task that begins ends, and inside the one that it is a part of.
    open_tasks = []
    for what, *path in entries[1:-1]:
        if what == "begin":
            assert path[:-2] == (open_tasks[-1] if open_tasks else [])
            open_tasks.append(path)
        else:
            assert open_tasks.pop() == path
    runs = diary.ended("run")
    assert [run.task_id for run in runs] == [0, 1]
    iterations = [context for context in diary.ended("iteration") if context.parent.task_id == runs[0].task_id]
    assert len(iterations) == runs[0].n_iter
    assert runs[0].converged
    best = max(runs, key=lambda run: run.lower_bound)
    bounds = [context.lower_bound for context in diary.ended("iteration") if context.parent is best]
    assert bounds == model.lower_bounds_
    assert not model.stopped_


def test_callbacks_change_nothing_in_the_model(X, kind):
    plain = GaussianMixture(3, n_init=2, random_state=0).fit(X)
    watched = GaussianMixture(3, n_init=2, random_state=0).set_callbacks(Diary()).fit(X)
    for name, value in vars(plain).items():
        assert_array_equal(value, getattr(watched, name), err_msg=name)
    assert set(vars(watched)) - set(vars(plain)) == {"_skl_callbacks"}


def test_the_first_true_ends_the_run_and_a_later_run_may_win(X, kind):
    third = ("fit", 0, "run", 0, "iteration", 2)
    model = GaussianMixture(2, n_init=2, tol=1e-6, random_state=0).set_callbacks(Diary([third])).fit(X)
    assert model.converged_
    assert not model.stopped_
    only = GaussianMixture(2, tol=1e-6, random_state=0).set_callbacks(Diary([third])).fit(X)
    assert only.n_iter_ == 3
    assert only.stopped_
    assert not only.converged_


def test_what_a_stopped_fit_leaves_is_the_fit_of_as_many_iterations(X, kind):
    model = GaussianMixture(3, tol=0.0, random_state=0)
    model.set_callbacks(Diary([("fit", 0, "run", 0, "iteration", 4)]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # ending it was the user's wish: no warning
        model.fit(X)
    with pytest.warns(ConvergenceWarning):
        limited = GaussianMixture(3, tol=0.0, max_iter=5, random_state=0).fit(X)
    assert_array_equal(model.means_, limited.means_)
    assert model.lower_bounds_ == limited.lower_bounds_
    assert_array_equal(model.predict(X), limited.predict(X))


def test_true_after_a_run_leaves_the_other_starts_out(X, kind):
    diary = Diary([("fit", 0, "run", 1)])
    model = GaussianMixture(2, n_init=5, random_state=0).set_callbacks(diary).fit(X)
    assert [run.task_id for run in diary.ended("run")] == [0, 1]
    assert model.stopped_
    assert model.converged_  # the best run had


def test_a_hook_gets_what_it_asks_for(X, kind):
    class Asking(Callback):
        scores = ()

        def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
            if context.task_name == "iteration":
                assert not hasattr(estimator, "means_")
                self.scores = (*self.scores, fitted_estimator.score(X, sample_weight=metadata["sample_weight"]))
                assert fitted_estimator.n_iter_ == context.task_id + 1
                assert y == "y"

    asking, weight = Asking(), np.arange(len(X)) + 1.0
    model = GaussianMixture(2, random_state=0).set_callbacks(asking)
    model.fit(X, "y", sample_weight=weight)
    # A state's own score is the bound that the next iteration reports; the last has no next.
    assert_allclose(asking.scores[:-1], model.lower_bounds_[1:], rtol=1e-12)


def test_a_hook_that_asks_for_something_else_is_told_so(X, kind):
    class Wrong(Callback):
        def on_fit_task_begin(self, estimator, context, *, colour):
            pass

    with pytest.raises(TypeError, match="colour"):
        GaussianMixture(2).set_callbacks(Wrong()).fit(X)


@pytest.mark.parametrize(
    ("hook", "task"),
    [
        *((hook, task) for hook in ("begin", "end") for task in ("fit", "run", "iteration")),
        ("teardown", "fit"),
    ],
)
def test_a_callback_that_raises_leaves_the_estimator_as_it_was(hook, task, X, kind):
    model = GaussianMixture(2, n_init=2, random_state=0).fit(X[:100])
    fault = Fault(hook, task)
    model.set_callbacks(fault)
    before = dict(vars(model))
    with pytest.raises(RuntimeError, match="a fault of the callback"):
        model.fit(X)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    assert fault.n_teardowns == 1


def fits(X):
    """Return unfitted estimators of the other classes, with the arguments of their fits."""
    labels = (X[:, 0] > 3).astype(int)
    return {
        "search": (GaussianMixtureSearch([1, 2], ["EII", "VVV"]), (X,)),
        "classifier": (GaussianMixtureClassifier(1, covariance_type=["diag", "full"]), (X, labels)),
        "clusterer": (GaussianMixtureClusterer(max_components=2, random_state=0), (X,)),
        "detector": (GaussianMixtureOutlierDetector(max_components=2, random_state=0), (X,)),
        "regressor": (GaussianMixtureRegressor(max_components=2, random_state=0), (X[:, :1], X[:, 1])),
    }


@pytest.mark.parametrize("which", ["search", "classifier", "clusterer", "detector", "regressor"])
def test_every_estimator_tells_of_its_candidates_and_can_be_ended(which, X, kind):
    estimator, arguments = fits(X)[which]
    task = "run" if which == "classifier" else "candidate"
    n_tasks = {"search": 4}.get(which, 2)
    diary = Diary()
    estimator.set_callbacks(diary).fit(*arguments)
    assert [context.task_id for context in diary.ended(task)] == list(range(n_tasks))
    assert not estimator.stopped_
    stopped = clone(estimator).set_callbacks(Diary([("fit", 0, task, 0)])).fit(*arguments)
    assert stopped.stopped_
    assert len(stopped.predict(arguments[0])) == len(X)


@pytest.mark.parametrize("which", ["search", "classifier", "clusterer", "detector", "regressor"])
def test_a_fault_leaves_every_estimator_as_it_was(which, X, kind):
    estimator, arguments = fits(X)[which]
    estimator.fit(*arguments)
    estimator.set_callbacks(Fault("end", "run" if which == "classifier" else "candidate"))
    before = dict(vars(estimator))
    with pytest.raises(RuntimeError, match="a fault of the callback"):
        estimator.fit(*arguments)
    assert vars(estimator) == before


def test_a_search_names_its_candidates_at_any_number_of_threads(X, kind):
    told = {}
    for n_jobs in (None, 2):
        diary = Diary()
        search = GaussianMixtureSearch([1, 2], ["EII", "VVV"], n_jobs=n_jobs).set_callbacks(diary).fit(X)
        told[n_jobs] = [
            (context.candidate.n_components, context.candidate.covariance_type) for context in diary.ended("candidate")
        ]
        assert told[n_jobs] == list(
            zip(search.results_["n_components"], search.results_["covariance_type"], strict=True)
        )
    assert told[None] == told[2]


def test_callbacks_that_go_down_follow_the_candidates_of_a_search(X, kind):
    diary = DiaryOfAll()
    search = GaussianMixtureSearch([1, 2], ["VVV"]).set_callbacks(diary).fit(X)
    candidates = [context for context in diary.contexts if context.source_task_name == "candidate"]
    assert [context.estimator_name for context in candidates] == ["GaussianMixture"] * 2
    iterations = diary.ended("iteration")
    assert {context.parent.parent.task_id for context in iterations} == {0, 1}
    assert {context.root_uuid for context in iterations} == {diary.ended("fit")[-1].root_uuid}
    assert "_skl_callbacks" not in vars(search.best_estimator_)


def test_a_candidate_that_is_ended_may_end_the_search(X, kind):
    class First(DiaryOfAll):
        def on_fit_task_end(self, estimator, context):
            return context.task_name in ("iteration", "run") or context.source_task_name == "candidate"

    search = GaussianMixtureSearch([1, 2, 3], ["VVV"]).set_callbacks(First()).fit(X)
    assert search.results_["n_components"] == [1]
    assert search.stopped_


def test_a_time_limit_keeps_the_best_so_far(X, kind, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr("fastgmm.callbacks.time_limit.time.monotonic", lambda: next(clock))
    model = GaussianMixture(2, tol=0, n_init=100, random_state=0).set_callbacks(TimeLimit(5)).fit(X)
    assert model.n_iter_ == 5
    assert model.stopped_
    with pytest.raises(ValueError, match="seconds is -1; expected a number of at least 0"):
        TimeLimit(-1)


@pytest.mark.parametrize("cls", [GaussianMixture, BayesianGaussianMixture])
def test_the_search_for_a_start_is_told_of_and_changes_nothing_by_it(cls, X, kind):
    options = {"n_components": 4, "init_params": "multistart", "max_iter": 1000, "random_state": 0}
    diary = Diary()
    plain, watched = cls(**options).fit(X), cls(**options).set_callbacks(diary).fit(X)
    assert_array_equal(plain.means_, watched.means_)
    trials = diary.ended("trial")
    assert len(trials) > 6
    assert all(trial.parent.task_name == "run" for trial in trials)
    names = [entry[-2] for entry in diary.entries if entry[0] == "end"]
    assert names.index("iteration") > max(i for i, name in enumerate(names) if name == "trial")
    assert max(trial.lower_bound for trial in trials) > trials[0].lower_bound


def test_true_after_a_trial_ends_the_search_for_a_start_only(X, kind):
    diary = Diary([("fit", 0, "run", 0, "trial", 1)])
    model = GaussianMixture(4, init_params="multistart", random_state=0).set_callbacks(diary).fit(X)
    assert len(diary.ended("trial")) == 2
    assert model.converged_
    assert not model.stopped_


def test_a_time_limit_ends_a_search_for_a_start(X, kind):
    diary = Diary()
    model = GaussianMixture(6, init_params="multistart", n_init=3, random_state=0)
    model.set_callbacks(TimeLimit(0), diary).fit(X)
    assert [len(diary.ended(name)) for name in ("trial", "iteration", "run")] == [1, 1, 1]
    assert model.stopped_


def test_sources_are_followed_pass_by_pass(X, kind):
    diary = Diary()
    source = fastgmm.data.batches(lambda: (X[start : start + 50] for start in range(0, len(X), 50)))
    model = GaussianMixture(2, random_state=0).set_callbacks(diary).fit(source)
    assert len(diary.ended("iteration")) == model.n_iter_


@pytest.mark.parametrize("wrong", [Diary, object(), "diary"])
def test_what_is_no_callback_is_refused(wrong, kind):
    with pytest.raises(TypeError, match="callbacks must be instances"):
        GaussianMixture().set_callbacks(wrong)


def test_none_takes_them_away_and_models_with_them_can_be_kept(X, kind, tmp_path):
    diary = Diary()
    model = GaussianMixture(2, random_state=0).set_callbacks(diary).fit(X)
    fastgmm.save(model, tmp_path / "model.npz")
    assert_array_equal(fastgmm.load(tmp_path / "model.npz").predict(X), model.predict(X))
    n_entries = len(diary.entries)
    model.set_callbacks().fit(X)
    assert len(diary.entries) == n_entries


@pytest.mark.skipif(sklearn_callback is None, reason="this scikit-learn has no callbacks")
def test_scikit_learns_own_callbacks_work(X, capsys):
    pytest.importorskip("rich")
    monitor = sklearn_callback.ScoringMonitor(scoring={"bound": lambda model, X, y: model.score(X)})
    model = GaussianMixture(2, random_state=0).set_callbacks(monitor, sklearn_callback.ProgressBar())
    model.fit(X, np.zeros(len(X)))
    logged = [row["bound"] for row in monitor.get_logs().data if row["task_name"] == "iteration"]
    assert_allclose(logged[:-1], model.lower_bounds_[1:], rtol=1e-12)
    assert "GaussianMixture - run #0" in capsys.readouterr().out


@pytest.mark.skipif(sklearn_callback is None, reason="this scikit-learn has no callbacks")
def test_scikit_learns_searches_hand_callbacks_down(X):
    from sklearn.model_selection import GridSearchCV

    diary = DiaryOfAll()
    grid = GridSearchCV(GaussianMixture(random_state=0), {"n_components": [1, 2]}, cv=2)
    grid.set_callbacks(diary).fit(X)
    assert {context.estimator_name for context in diary.ended("iteration")} == {"GaussianMixture"}
