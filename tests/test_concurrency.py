"""Threads, forks, interruptions: the same bits, no hang, nothing lost."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastgmm
from fastgmm import GaussianMixture, config
from fastgmm.exceptions import ComponentCollapseError

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
def test_two_fits_in_two_python_threads(many_rows):
    expected = {seed: GaussianMixture(3, random_state=seed, max_iter=4).fit(many_rows) for seed in range(4)}
    found, errors = {}, []

    def fit(seed):
        try:
            found[seed] = GaussianMixture(3, random_state=seed, max_iter=4).fit(many_rows)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=fit, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for seed, model in found.items():
        assert_same_bits(model, expected[seed])
    assert len(found) == 4


def run_python(code, **kwargs):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
        **kwargs,
    )


@pytest.mark.parametrize("name", ["compiled", "numba"])
def test_a_forked_child_fits_too(name):
    try:
        with config.config_context(engine=name):
            pass
    except fastgmm.exceptions.EngineError:
        pytest.skip(f"engine {name} is not installed")
    code = f"""
        import os, sys, numpy as np, fastgmm
        fastgmm.set_config(engine={name!r}, n_threads=2)
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


def test_ctrl_c_stops_a_fit_and_loses_nothing(tmp_path):
    code = """
        import sys, time, numpy as np, fastgmm
        X = np.random.default_rng(0).normal(size=(400_000, 24))
        model = fastgmm.GaussianMixture(2, random_state=0).fit(X[:1000])
        before = {name: value for name, value in vars(model).items()}
        model.set_params(n_components=24, tol=0, max_iter=100_000, init_params="random_from_data")
        before["n_components"] = 24
        print("ready", flush=True)
        try:
            model.fit(X)
        except KeyboardInterrupt:
            interrupted = time.time()
        else:
            sys.exit(3)
        for name, value in before.items():
            if name.endswith("_") and getattr(model, name) is not value:
                sys.exit(4)
        model.predict(X[:10])
        print(interrupted, flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-W", "ignore", "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert process.stdout.readline().strip() == "ready"
        time.sleep(2.0)  # into the fit: what is interrupted is a running pass
        sent = time.time()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, err
    # About a second is promised; a loaded machine gets some more.
    assert float(out) - sent < 5.0


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
