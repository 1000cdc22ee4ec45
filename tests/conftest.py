"""Fixtures shared by all tests: every engine and instruction set that this machine can run."""

import numpy as np
import pytest

from fastgmm import config


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
    return engines


ENGINES = _engines()


@pytest.fixture(params=ENGINES)
def engine(request):
    """Run the test on one engine and instruction set; the value is the kernel module."""
    name, _, isa = request.param.partition("-")
    before = config.get_config()["engine"]
    config.set_config(engine=name)
    module = config.engine_module()
    if not isa:
        yield module
    else:
        module.set_isa(isa)
        try:
            yield module
        finally:
            module.set_isa(None)
    config.set_config(engine=before)


@pytest.fixture(params=["float64", "float32"])
def dtype(request):
    """Dtype of the rows."""
    return np.dtype(request.param)


@pytest.fixture(params=["full", "tied", "diag", "spherical"])
def structure(request):
    """Kernel structure, which is also a covariance type."""
    return request.param
