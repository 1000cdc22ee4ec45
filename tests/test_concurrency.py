"""Threads, forks, interruptions: the same bits, no hang, nothing lost."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

import fastgmm
from fastgmm import GaussianMixture, config, kernels
from fastgmm.callbacks import Callback
from fastgmm.exceptions import ComponentCollapseError, without_warnings

FITTED = ("weights_", "means_", "covariances_", "lower_bound_", "lower_bounds_")


@pytest.fixture(scope="module")
def many_rows():
    """Enough rows that seven threads have several strips each."""
    rng = np.random.default_rng(0)
    return np.r_[rng.normal(size=(60_000, 6)), rng.normal(size=(40_000, 6)) + 2]


def assert_same_bits(a, b):
    for name in FITTED:
        assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_same_bits_at_any_thread_count(structure, many_rows, dtype):
    X = many_rows.astype(dtype)
    kwargs = {"covariance_type": structure, "random_state": 0, "max_iter": 5}
    with fastgmm.config_context(n_threads=1):
        one = GaussianMixture(3, **kwargs).fit(X)
    for n_threads in (2, 3, 7):
        with fastgmm.config_context(n_threads=n_threads):
            many = GaussianMixture(3, **kwargs).fit(X)
            assert_same_bits(one, many)
            assert_array_equal(one.predict_proba(X[:5000]), many.predict_proba(X[:5000]))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fits_in_python_threads_that_run_at_once_come_to_what_each_does_alone(many_rows):
    expected = [GaussianMixture(3, random_state=seed, max_iter=4).fit(many_rows) for seed in range(4)]
    # Nobody's first iteration begins before all others' do.
    together = threading.Barrier(len(expected))

    class Together(Callback):
        def on_fit_task_begin(self, estimator, context):
            if (context.task_name, context.task_id) == ("iteration", 0):
                together.wait()

    def fit(seed):
        return GaussianMixture(3, random_state=seed, max_iter=4).set_callbacks(Together()).fit(many_rows)

    with ThreadPoolExecutor(len(expected)) as pool:
        for model, alone in zip(pool.map(fit, range(4)), expected, strict=True):
            assert_same_bits(model, alone)


@pytest.fixture(params=["compiled", "numba"])
def installed_engine(request):
    try:
        with config.config_context(engine=request.param):
            yield request.param
    except fastgmm.exceptions.EngineError:
        pytest.skip(f"engine {request.param} is not installed")


def run_python(code, **options):
    """Run a program in a process of its own, which imports what this one does."""
    return subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,  # a child that hangs would hang for ever
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
        **options,
    )


def test_a_forked_child_fits_too(installed_engine):
    code = f"""
        import os, sys, numpy as np, fastgmm
        fastgmm.set_config(engine={installed_engine!r}, n_threads=2)
        X = np.random.default_rng(0).normal(size=(60_000, 4))
        model = fastgmm.GaussianMixture(3, random_state=0, max_iter=3)
        here = model.fit(X).means_.copy()
        child = os.fork()
        if child == 0:
            there = model.fit(X).means_
            os._exit(0 if np.array_equal(here, there) else 3)
        _, status = os.waitpid(child, 0)
        again = model.fit(X).means_
        sys.exit(os.waitstatus_to_exitcode(status) or (0 if np.array_equal(here, again) else 4))
    """
    done = run_python(code)
    assert done.returncode == 0, done.stderr


@contextmanager
def ctrl_c_once(begun):
    """Press Ctrl-C, from another thread, as soon as `begun()` is true; what is done inside ends by it."""
    over = threading.Event()

    def press():
        while not over.is_set():
            if begun():
                os.kill(os.getpid(), signal.SIGINT)
                return
            os.sched_yield()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=press)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        over.set()
        thread.join()
        signal.signal(signal.SIGINT, before)


@pytest.mark.thread_unsafe(reason="signals reach the main thread")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_ends_a_pass_in_its_middle(installed_engine, n_threads):
    # Equal components, so that none is skipped: some 10^12 operations, of which few are made.
    n_components, n_features = 2000, 32
    covariances = np.tile(np.eye(n_features), (n_components, 1, 1))
    weights, means = np.full(n_components, 1 / n_components), np.zeros((n_components, n_features))
    model = GaussianMixture.from_parameters(weights, means, covariances)
    X = np.zeros((200_000, n_features))
    out = np.full(len(X), np.nan)
    with config.config_context(n_threads=n_threads), ctrl_c_once(lambda: not np.isnan(out).all()):
        kernels.log_density(X, model._density(), out)
    assert np.isnan(out).any()
    done = out[~np.isnan(out)]
    assert_allclose(done, model.score_samples(X[:1])[0], rtol=1e-14)


class Begun(Callback):
    """Knows whether an iteration has begun."""

    iteration = False

    def on_fit_task_begin(self, estimator, context):
        self.iteration |= context.task_name == "iteration"


@pytest.mark.thread_unsafe(reason="signals reach the main thread")
def test_ctrl_c_stops_a_fit_and_loses_nothing(many_rows):
    model = GaussianMixture(2, random_state=0).fit(many_rows[:1000])
    begun = Begun()
    model.set_params(n_components=24, tol=0, max_iter=10**9, init_params="random_from_data").set_callbacks(begun)
    before = dict(vars(model))
    with ctrl_c_once(lambda: begun.iteration):
        model.fit(many_rows)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    assert_array_equal(model.predict(many_rows[:10]), model.set_callbacks().predict(many_rows[:10]))


def test_a_failed_fit_leaves_the_estimator_as_it_was():
    rng = np.random.default_rng(1)
    model = GaussianMixture(2, random_state=0, reg_covar=0).fit(rng.normal(size=(100, 3)))
    before = dict(vars(model))
    # Equal rows of another width pass the checks, which note the width, and collapse after them.
    for bad in (np.full((50, 5), 1.0), np.full((50, 5), np.nan), np.zeros((1, 7))):
        with pytest.raises(ValueError):  # noqa: PT011  (three different messages)
            model.fit(bad)
        assert vars(model).keys() == before.keys()
        for name, value in before.items():
            assert getattr(model, name) is value
    assert isinstance(ComponentCollapseError("m", 1, "r"), ValueError)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_no_fit_changes_the_filters_of_the_process(monkeypatch):
    # Two fits at a time would leave a filter behind, or silence each other's warnings.
    found, original = [], warnings.catch_warnings

    class Seen(original):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            found.append(sys._getframe(1).f_globals["__name__"])

    monkeypatch.setattr(warnings, "catch_warnings", Seen)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)) + 5.0 * rng.integers(2, size=(200, 1))
    holes = np.where(rng.uniform(size=X.shape) < 0.1, np.nan, X)
    fastgmm.GaussianMixtureImputer(2, random_state=0).fit(holes)
    fastgmm.GaussianMixtureFeatureSelector(fastgmm.GaussianMixtureSearch([1, 2], ["full"])).fit(X)
    fastgmm.GaussianMixtureClassifier("bic", random_state=0).fit(X, X[:, 0] > 2.5)
    GaussianMixture(2, random_state=0, max_iter=1).partial_fit(X)
    fastgmm.fit_many(X.reshape(10, 20, 3), 2, random_state=0)
    assert [name for name in found if name.startswith("fastgmm")] == []


def test_a_warning_is_left_out_in_its_own_thread_alone():
    X = np.random.default_rng(0).normal(size=(300, 2))
    with without_warnings(ConvergenceWarning):
        GaussianMixture(3, max_iter=1, random_state=0).fit(X)
        with ThreadPoolExecutor(1) as other, pytest.warns(ConvergenceWarning):
            other.submit(GaussianMixture(3, max_iter=1, random_state=0).fit, X).result()
