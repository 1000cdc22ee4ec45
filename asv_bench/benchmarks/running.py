"""Runs benchmarks outside of asv, as asv would: a class set up with parameters, its methods timed or asked."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence

from benchmarks.timing import SETTINGS, interleaved, text

__all__ = ["InTurn", "Single", "axes"]


def _class(benchmark: str) -> type:
    module, name = benchmark.split(".")
    return getattr(importlib.import_module(f"benchmarks.{module}"), name)


def axes(benchmark: str) -> tuple[Sequence, ...]:
    """Return the values of each parameter of ``file.Class``."""
    params = getattr(_class(benchmark), "params", ())
    return params if not params or isinstance(params[0], (tuple, list)) else (params,)


class Single:
    """A benchmark set up with its parameters, all its methods on the same data.

    Raises
    ------
    NotImplementedError
        Where it cannot be measured here.
    """

    def __init__(self, benchmark: str, params: tuple) -> None:
        self.params, self.benchmark = params, _class(benchmark)()
        if hasattr(self.benchmark, "setup"):
            self.benchmark.setup(*params)
        #: What cannot be had here, and how it can.
        self.notes = getattr(self.benchmark, "notes", ())

    def call(self, method: str) -> Callable[[], object]:
        """Return the method with its parameters."""
        bound = getattr(self.benchmark, method)
        return lambda: bound(*self.params)

    def measure(self, method: str, ratio: None = None) -> tuple[float, str, str]:
        """Return what ``track_`` answers, or the median seconds of ``time_``; its unit, and what to show beside it."""
        if method.startswith("time_"):
            return interleaved({method: self.call(method)}, least_seconds=SETTINGS.least_seconds)[method], "s", ""
        value = float(self.call(method)())
        unit = getattr(getattr(self.benchmark, method), "unit", getattr(self.benchmark, "unit", ""))
        return value, unit, self.benchmark.__dict__.pop("detail", "")


class InTurn:
    """A benchmark set up with several values of its last parameter, timed in turn."""

    notes = ()

    def __init__(self, benchmark: str, params: tuple, last: Sequence) -> None:
        self.benchmarks = {value: Single(benchmark, (*params, value)) for value in last}
        self.seconds: dict[str, dict[object, float]] = {}

    def measure(self, method: str, ratio: tuple[object, object]) -> tuple[float, str, str]:
        """Return the ratio of the medians with the last parameters named, and the second's time to show beside it."""
        if method not in self.seconds:
            self.seconds[method] = interleaved({value: one.call(method) for value, one in self.benchmarks.items()})
        above, below = (self.seconds[method][value] for value in ratio)
        return above / below, "x", text(below, "s")
