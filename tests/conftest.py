"""Fixtures shared by all tests: every engine and instruction set that this machine can run.

Property tests draw the same examples every time, and few of them with ``--hypothesis-profile=few``;
``--hypothesis-profile=thorough`` draws many more, other ones each time, and keeps those that failed in `.hypothesis`.
"""

import signal
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from fastgmm import config, kernels

# Time is no part of a law, and a drawn array is large.
_ANY = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("repeatable", max_examples=400, derandomize=True, database=None, **_ANY)
settings.register_profile("few", max_examples=20, derandomize=True, database=None, **_ANY)
settings.register_profile("thorough", max_examples=10_000, **_ANY)
settings.load_profile("repeatable")

# Where a shell began the tests in the background, Ctrl-C is ignored, and so would be the interrupts that tests send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption("--at-most", type=int, metavar="N", help="as many tests, evenly spaced among those collected")


def pytest_collection_modifyitems(config, items):
    for item in items:
        if "path" in getattr(item, "fixturenames", ()):
            # Below tmp_path, which a fixture is given once for all threads.
            item.add_marker(pytest.mark.thread_unsafe(reason="all threads would write to the same file"))
    most = config.getoption("--at-most")
    if most and len(items) > most:
        kept = {number * len(items) // most for number in range(most)}
        config.hook.pytest_deselected(items=[item for number, item in enumerate(items) if number not in kept])
        items[:] = [item for number, item in enumerate(items) if number in kept]


def _engines():
    engines = []
    try:
        from fastgmm.kernels import _compiled

        engines += [f"compiled-{isa}" for isa in _compiled.available_isas()]
    except ImportError:
        pass
    try:
        import numba  # noqa: F401

        engines.append("numba")
    except ImportError:
        pass
    return [*engines, "plain"]


ENGINES = _engines()


@contextmanager
def running(name):
    """Run a block on one of `ENGINES`, which is the value."""
    name, _, isa = name.partition("-")
    before = config.get_config()["engine"]
    config.set_config(engine=name)
    module = kernels.engine()
    try:
        if isa:
            module.set_isa(isa)
        yield module
    finally:
        if isa:
            module.set_isa(None)
        config.set_config(engine=before)


@pytest.fixture(params=ENGINES)
def engine(request):
    """Run the test on one engine and instruction set, which is the value."""
    with running(request.param) as running_engine:
        yield running_engine


@pytest.fixture(params=["float64", "float32"])
def dtype(request):
    """Dtype of the rows."""
    return np.dtype(request.param)


@pytest.fixture(params=["full", "tied", "diag", "spherical"])
def structure(request):
    """Kernel structure, which is also a covariance type."""
    return request.param
