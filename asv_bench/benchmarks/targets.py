"""A line of a figure: what was measured, its value, and the target beside it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Line", "at_least", "at_most", "geometric_mean_at_least", "reported", "unavailable"]


@dataclass(frozen=True)
class Line:
    """`reached` is None where there is no target, or nothing was measured."""

    what: str
    value: str
    target: str = ""
    reached: bool | None = None

    def __str__(self) -> str:
        verdict = {True: "pass", False: "MISS", None: ""}[self.reached]
        return f"  {self.what:<58} {self.value:>26}  {self.target:<22} {verdict}".rstrip()


def at_least(what: str, value: float, target: float, unit: str = "x", detail: str = "") -> Line:
    """Return a line that is reached by a value no smaller than the target."""
    return Line(what, f"{detail}{value:.3g}{unit}", f">= {target:g}{unit}", bool(value >= target))


def at_most(what: str, value: float, target: float, unit: str, detail: str = "") -> Line:
    """Return a line that is reached by a value no larger than the target."""
    return Line(what, f"{detail}{value:.3g}{unit}", f"<= {target:g}{unit}", bool(value <= target))


def geometric_mean_at_least(what: str, values: Iterable[float], target: float) -> Line:
    """Return a line for the geometric mean of ratios."""
    values = list(values)
    if not values:
        return unavailable(what, "nothing measured")
    return at_least(what, statistics.geometric_mean(values), target)


def reported(what: str, value: str) -> Line:
    """Return a line without a target."""
    return Line(what, value)


def unavailable(what: str, reason: str) -> Line:
    """Return a line for what could not be measured, with the reason."""
    return Line(what, "not measured", reason)
