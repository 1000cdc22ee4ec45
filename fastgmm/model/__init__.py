"""What a mixture consists of, independent of any data source and of how it is estimated.

`shapes` is the algebra of one matrix per component; `parameters` holds a mixture's weights, means and precision
factors, `variational` a posterior of them, `noise` the background beside them; `statistics` are the sums that one pass
over the data leaves behind, `moments` what they say without another one. Everything here costs
O(n_components n_features^2) and knows neither rows nor engines' internals.
"""

from importlib import import_module
from typing import Any

from fastgmm.model.moments import Components
from fastgmm.model.parameters import MixtureParameters
from fastgmm.model.shapes import SHAPES, Shape, get_shape
from fastgmm.model.statistics import SufficientStatistics

__all__ = ["SHAPES", "Components", "MixtureParameters", "Shape", "SufficientStatistics", "get_shape"]


def __getattr__(name: str) -> Any:
    # Old names of what is in `fastgmm.families` now.
    covariance = import_module("fastgmm.model.covariance")
    if name not in covariance.MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(covariance, name)
