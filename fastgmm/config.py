"""Library-wide settings: which engine runs, and on how many threads."""

from __future__ import annotations

import contextlib
import contextvars
import importlib
import os
from collections.abc import Iterator
from typing import Any

from fastgmm.exceptions import did_you_mean

__all__ = ["config_context", "get_config", "set_config"]

_ENGINES = ("auto", "compiled", "numba", "plain")
_KEYS = ("engine", "n_threads")

_defaults: dict[str, Any] = {"engine": "auto", "n_threads": None}
# A context overrides the process-wide defaults for the current thread and task only.
_overrides: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("fastgmm_config", default=None)


def _validated(settings: dict[str, Any]) -> dict[str, Any]:
    for key, value in settings.items():
        if key == "engine":
            if value not in _ENGINES:
                raise ValueError(
                    f"engine is {value!r}{did_you_mean(value, _ENGINES)}; expected one of "
                    f"{', '.join(map(repr, _ENGINES))}"
                )
            if value != "auto":
                # By its name: a setting stands below what it sets, and is refused at once all the same.
                importlib.import_module("fastgmm.kernels.engines").load(value)
        elif key == "n_threads":
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"n_threads is {value!r}; expected a positive int, or None for all allowed cores")
        else:
            raise TypeError(f"unknown setting {key!r}; expected one of {', '.join(_KEYS)}")
    return settings


def get_config() -> dict[str, Any]:
    """Return the settings in force as a new dict with keys ``engine`` and ``n_threads``.

    See Also
    --------
    set_config : Changes the settings.
    show_config : Tells what is installed and which engine runs.
    """
    return {**_defaults, **(_overrides.get() or {})}


def set_config(**settings: Any) -> None:
    """Change settings for the whole process.

    Parameters
    ----------
    engine : {'auto', 'compiled', 'numba', 'plain'}
        Which kernels run. 'auto' takes the compiled extension, or Numba if it was not built, or plain NumPy with a
        warning if Numba is not installed either. What an engine does not have runs in plain NumPy; `show_config` tells.
    n_threads : int or None
        How many threads a pass uses. None means all cores that this process may use.

    Raises
    ------
    ValueError
        If a value is not valid.
    EngineError
        If the engine is not installed.

    See Also
    --------
    config_context : The same for the time of a ``with`` block.
    get_config : Returns the settings.

    Examples
    --------
    >>> import fastgmm
    >>> fastgmm.set_config(n_threads=2)
    >>> fastgmm.get_config()["n_threads"]
    2
    >>> fastgmm.set_config(n_threads=None)
    """
    _defaults.update(_validated(settings))


@contextlib.contextmanager
def config_context(**settings: Any) -> Iterator[None]:
    """Change settings within a ``with`` block, for this thread only.

    Takes the arguments of `set_config`.

    See Also
    --------
    set_config : The same for good.
    """
    token = _overrides.set({**(_overrides.get() or {}), **_validated(settings)})
    try:
        yield
    finally:
        _overrides.reset(token)


def engine() -> str:
    """Return the setting of the engine: 'auto', or a name."""
    override = _overrides.get()
    return _defaults["engine"] if override is None else override.get("engine", _defaults["engine"])


_cached_default: tuple[int, int] | None = None


def default_n_threads() -> int:
    """Return the number of cores this process may use.

    The smallest of: processors in the affinity mask, the control group's CPU quota (rounded up) and
    OMP_NUM_THREADS; hyper-threads of one core count once.
    """
    global _cached_default
    pid = os.getpid()
    if _cached_default is None or _cached_default[0] != pid:
        _cached_default = (pid, _count_cores())
    return _cached_default[1]


def _count_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        allowed = os.sched_getaffinity(0)
        cores = {_core_of(cpu) for cpu in allowed}
        count = max(1, len(cores))
    else:
        count = os.cpu_count() or 1
    quota = _cgroup_quota()
    if quota is not None:
        count = min(count, max(1, quota))
    with contextlib.suppress(KeyError, ValueError):
        count = min(count, max(1, int(os.environ["OMP_NUM_THREADS"].split(",")[0])))
    return count


def _core_of(cpu: int) -> str:
    try:
        with open(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") as handle:
            return handle.read().strip()
    except OSError:
        return str(cpu)


def _cgroup_quota() -> int | None:
    """Return the control group's CPU quota in whole cores (rounded up), or None without one."""
    with contextlib.suppress(OSError, ValueError):
        with open("/sys/fs/cgroup/cpu.max") as handle:
            quota, period = handle.read().split()
        return None if quota == "max" else -(-int(quota) // int(period))
    with contextlib.suppress(OSError, ValueError):
        with open("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") as handle:
            legacy = int(handle.read())
        with open("/sys/fs/cgroup/cpu/cpu.cfs_period_us") as handle:
            return None if legacy <= 0 else -(-legacy // int(handle.read()))
    return None


def n_threads() -> int:
    """Return the number of threads a pass may use now."""
    override = _overrides.get()
    value = _defaults["n_threads"] if override is None else override.get("n_threads", _defaults["n_threads"])
    return default_n_threads() if value is None else value
