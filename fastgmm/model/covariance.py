"""The names that version 0.1 had here: the covariance families and their M-step are in `fastgmm.families` now.

Nothing in the library imports this file, which stands for programs that do.
"""

from importlib import import_module
from typing import Any

__all__ = ["maximise"]

#: Old names, and those of `fastgmm.families.covariance`.
MOVED = {"STRUCTURES": "COVARIANCES", "CovarianceStructure": "CovarianceFamily", "get_structure": "get_covariance"}


def __getattr__(name: str) -> Any:
    if name not in MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("fastgmm.families"), MOVED[name])


def maximise(
    statistics: Any,
    structure: Any,
    reg_covar: float,
    count_floor: float,
    previous: Any = None,
    prior: Any = None,
) -> Any:
    """Return the parameters that maximise the expected log-likelihood given the statistics.

    Takes a covariance family as `get_structure` returns it; see `fastgmm.families.Gaussian.maximise`.
    """
    gaussian = import_module("fastgmm.families").Gaussian(structure, reg_covar, count_floor, prior)
    return gaussian.maximise(statistics, previous)
