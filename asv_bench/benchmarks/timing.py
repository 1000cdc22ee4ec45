"""Medians of interleaved runs, how many and how long; the machine's own rates; memory above what was there."""

from __future__ import annotations

import ctypes
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = [
    "SETTINGS",
    "clock_hz",
    "extra_peak_bytes",
    "gemm_call",
    "interleaved",
    "machine",
    "read_bandwidth",
    "rounds",
    "seconds",
    "shortest",
    "text",
]

#: Seconds without work before a timed call, where there are threads to come to rest.
REST = 0.3
#: What seconds are counted by: the clock, or the processor time of this process, which other work on the machine
#: changes less.
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


@dataclass
class Settings:
    """What every benchmark reads while it is set up: asv takes it as it is here, the scripts one folder up change it.

    Attributes
    ----------
    shrink : int
        Workloads have this many times fewer rows than their names say.
    repeats : int
        Rounds in which calls that are compared take turns.
    least_seconds : float
        A call shorter than this is repeated within a round until it has taken that long.
    seed : int
        Of the data.
    n_threads : int
        Of every library that runs in a process of its own.
    cache : Path or None
        Where peers are built.
    clock : {'wall', 'processor'}
        What seconds of runs that are compared are counted by.
    """

    shrink: int = 1
    repeats: int = 5
    least_seconds: float = 0.1
    seed: int = 0
    n_threads: int = 2
    cache: Path | None = None
    clock: str = "wall"


SETTINGS = Settings()


def rounds(
    calls: Mapping[str, Callable[[], object]], repeats: int | None = None, least_seconds: float = 0.0
) -> dict[str, list[float]]:
    """Return the seconds of each call in each round, run in turn so that whatever slows the machine slows all of them.

    Parameters
    ----------
    calls : mapping of str to callable
        Each is run once beforehand, untimed.
    repeats : int or None
        Rounds; None: those of the settings.
    least_seconds : float
        A call shorter than this is repeated within a round until it has taken that long.

    Before each timed call the process rests: threads of the library that ran before it wait for more work with their
    cores busy, OpenBLAS's longest, and would slow down whoever comes next.
    """
    clock, number = CLOCKS[SETTINGS.clock], {}
    for name, call in calls.items():
        call()
        number[name] = max(1, math.ceil(least_seconds / max(seconds(call), 1e-7))) if least_seconds else 1
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats or SETTINGS.repeats):
        for name, call in calls.items():
            time.sleep(REST if SETTINGS.n_threads > 1 else 0.0)
            taken[name].append(seconds(call, number[name], clock))
    return taken


def interleaved(
    calls: Mapping[str, Callable[[], object]], repeats: int | None = None, least_seconds: float = 0.0
) -> dict[str, float]:
    """Return the median seconds of each call over `rounds`."""
    return {name: statistics.median(values) for name, values in rounds(calls, repeats, least_seconds).items()}


def seconds(call: Callable[[], object], number: int = 1, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return how long a call takes, the mean of so many in a row; ``time.process_time`` counts processor time."""
    start = clock()
    for _ in range(number):
        call()
    return (clock() - start) / number


def shortest(call: Callable[[], object], repeats: int = 3) -> float:
    """Return the shortest of several runs, after one that is not timed."""
    call()
    return min(seconds(call) for _ in range(repeats))


def gemm_call(dtype: str, size: int = 2000) -> Callable[[], object]:
    """Return a call that multiplies two square matrices with NumPy's BLAS: ``2 size^3`` flops."""
    rng = np.random.default_rng(0)
    left, right = (rng.normal(size=(size, size)).astype(dtype) for _ in range(2))
    out = np.empty_like(left)
    return lambda: np.matmul(left, right, out=out)


def read_bandwidth() -> float:
    """Return the bytes per second at which one core reads an array that no cache holds."""
    values = np.ones(16_000_000)
    return values.nbytes / shortest(values.max)


def clock_hz() -> float:
    """Return the clock of a busy core, from a chain of instructions that each wait for the one before.

    What /proc/cpuinfo says is often the nominal clock; it is the answer only where Numba is not installed.
    """
    try:
        import numba
    except ImportError:
        with suppress(OSError), open("/proc/cpuinfo") as lines:
            return max(float(line.split(":")[1]) * 1e6 for line in lines if line.startswith("cpu MHz"))
        return float("nan")

    @numba.njit
    def shifted(value, count):
        for _ in range(count):
            value ^= value << np.uint64(13)
            value ^= value >> np.uint64(7)
            value ^= value << np.uint64(17)
        return value

    count, cycles_each = 20_000_000, 6
    return count * cycles_each / shortest(lambda: shifted(np.uint64(1), count))


def extra_peak_bytes(call: Callable[[], object]) -> int:
    """Return how far `call` raised the resident set of this process above what it was, its result included.

    Raises
    ------
    NotImplementedError
        Where Linux's /proc does not let the peak be reset.
    """
    # Memory freed but not given back would be used again unseen.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    try:
        with open("/proc/self/clear_refs", "w") as handle:
            handle.write("5")
    except OSError as error:
        raise NotImplementedError("the peak of the resident set cannot be reset here") from error
    before = _status_bytes("VmRSS")
    kept = call()
    after = _status_bytes("VmHWM")
    del kept
    return max(0, after - before)


def _status_bytes(field: str) -> int:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


def machine() -> str:
    """Return processor, cores, system and Python in a line, and whether something else is running."""
    model = platform.processor() or platform.machine()
    with suppress(OSError, StopIteration), open("/proc/cpuinfo") as lines:
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    busy = f"; BUSY (load average {load:.1f}: times are not to be trusted)" if load > 0.5 else ""
    return f"{model}, {cores} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}{busy}"


def text(value: float, unit: str) -> str:
    """Return a value to three digits in a unit that suits it."""
    scales = {"s": ((1, "s"), (1e-3, "ms"), (1e-6, "us")), "bytes": ((2**20, "MiB"),)}.get(unit, ((1, unit),))
    scale, unit = next((pair for pair in scales if abs(value) >= pair[0]), scales[-1])
    return f"{value / scale:.3g}{'' if unit in ('x', '%') else ' '}{unit}"
