"""What a Gaussian mixture is, independent of any data source.

`parameters` holds a mixture's weights, means and precision factors; `statistics` the sums that one pass over
the data leaves behind; `covariance` turns the second into the first (the M-step) for every covariance structure.
Everything here costs O(n_components n_features^2) and knows neither rows nor engines' internals.
"""

from fastgmm.model.covariance import STRUCTURES, CovarianceStructure, get_structure
from fastgmm.model.parameters import MixtureParameters
from fastgmm.model.statistics import SufficientStatistics

__all__ = ["STRUCTURES", "CovarianceStructure", "MixtureParameters", "SufficientStatistics", "get_structure"]
