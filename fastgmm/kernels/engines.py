"""Which engine runs what: the configured one, or the best installed; what that one declines, the plain one runs."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

from fastgmm import config
from fastgmm.exceptions import EngineError
from fastgmm.kernels import extension

__all__ = ["engine_for", "in_force", "load"]


def _numba() -> Any:
    try:
        from fastgmm.kernels import numba
    except ImportError as error:
        raise ImportError(f"{error}; run pip install 'fastgmm[numba]'") from error
    return numba.ENGINE


def _plain() -> Any:
    from fastgmm.kernels import plain

    return plain.ENGINE


# Loaded when first wanted: Numba alone takes a second to import.
_LOADERS = {"compiled": extension.load, "numba": _numba, "plain": _plain}


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
        raise EngineError(f"engine {name!r} is not available: {error}") from error


@cache
def _best_installed() -> Any:
    # Only an engine that was not built is passed over; one that refuses its settings says so.
    try:
        return _import("compiled")
    except ImportError as error:
        missing = error
    try:
        numba = _import("numba")
    except ImportError as error:
        warnings.warn(
            "fastgmm runs in plain NumPy, where a pass takes 4 to 130 times as long. There is no compiled engine: "
            f"{missing}. There is no Numba: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
        return _import("plain")
    if isinstance(missing, extension.OtherExtensionError):
        warnings.warn(f"fastgmm runs on Numba instead of the compiled engine: {missing}", RuntimeWarning, stacklevel=2)
    return numba


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
