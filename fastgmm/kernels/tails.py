"""Tails of components: how a density falls with the squared distance from its mean. None stands for Gaussian ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

__all__ = ["StudentTail"]


@dataclass(frozen=True, eq=False)
class StudentTail:
    """Student components: ``log_offset - (df + D) / 2 log(1 + delta / df)`` at the squared distance delta.

    In sums and scatter a row counts ``u = (df + D) / (df + delta)`` times its responsibility r, in counts r. A pass
    adds the sums of ``r u`` and of ``r (log u - u)``, which the scale and the degrees of freedom are estimated from,
    to ``statistics.tail_sums`` of shape (2, n_components).

    Attributes
    ----------
    degrees_of_freedom : ndarray of shape (n_components,), float64
        Positive.
    """

    degrees_of_freedom: np.ndarray

    name: ClassVar[str] = "student"

    def take(self, chosen: Any) -> StudentTail:
        """Return the tail of the components `chosen`, an index array or slice."""
        return StudentTail(np.ascontiguousarray(self.degrees_of_freedom[chosen]))
