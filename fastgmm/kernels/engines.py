"""Which engine runs what: the configured one, or the best installed; what that one declines, the plain one runs."""

from __future__ import annotations

import importlib
import warnings
from functools import cache
from typing import Any

from fastgmm import config
from fastgmm.exceptions import EngineError
from fastgmm.kernels import extension

__all__ = ["engine_for", "in_force", "load"]

# Loaded when first wanted: Numba alone takes a second to import.
_LOADERS = {
    "compiled": extension.load,
    "numba": lambda: importlib.import_module("fastgmm.kernels.numba").ENGINE,
    "plain": lambda: importlib.import_module("fastgmm.kernels.plain").ENGINE,
}
_REMEDIES = {
    "compiled": "install fastgmm with a C++ compiler and without FASTGMM_NO_EXT",
    "numba": "pip install 'fastgmm[numba]'",
}


@cache
def _import(name: str) -> Any:
    return _LOADERS[name]()


def load(name: str) -> Any:
    """Return an engine by its name.

    Raises
    ------
    EngineError
        If it is not installed.
    """
    try:
        return _import(name)
    except ImportError as error:
        raise EngineError(f"engine {name!r} is not available ({error}); {_REMEDIES[name]}") from error


@cache
def _best_installed() -> Any:
    # Only an engine that was not built is passed over; one that refuses its settings says so.
    try:
        return _import("compiled")
    except ImportError as error:
        missing = f"{error}; {_REMEDIES['compiled']}"
        if isinstance(error, extension.OtherExtensionError):
            warnings.warn(f"the compiled engine is not used: {missing}", RuntimeWarning, stacklevel=2)
    try:
        return _import("numba")
    except ImportError as error:
        warnings.warn(
            f"fastgmm runs on plain NumPy, which takes 10 to 100 times as long: the compiled engine is missing "
            f"({missing}) and so is Numba ({error}; {_REMEDIES['numba']})",
            RuntimeWarning,
            stacklevel=2,
        )
    return _import("plain")


@cache
def _choice(setting: str, action: str, shape: str | None, tail: str | None) -> Any:
    preferred = _best_installed() if setting == "auto" else load(setting)
    if preferred.supports(action, shape, tail):
        return preferred
    # Numba is not asked: its functions are twins of compiled ones, and what the compiled engine declines is not there.
    if load("plain").supports(action, shape, tail):
        return load("plain")
    raise EngineError(f"no engine runs {action!r} on the shape {shape!r} and the tail {tail!r}")


def in_force() -> Any:
    """Return the engine that the settings ask for, whatever it declines."""
    setting = config.engine()
    return _best_installed() if setting == "auto" else load(setting)


def engine_for(action: str, shape: str | None = None, tail: Any = None) -> Any:
    """Return the engine that runs an action on covariances of a shape and components with a tail.

    Parameters
    ----------
    action : str
        A key of `fastgmm.kernels.ACTIONS`.
    shape : str, optional
        None for actions that know no covariances.
    tail : object with a name, optional
        None for Gaussian components.

    Raises
    ------
    EngineError
        If no engine does, or the one that the settings name is not installed.
    """
    return _choice(config.engine(), action, shape, None if tail is None else tail.name)
