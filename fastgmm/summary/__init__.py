"""Fitted models in words.

`mixture` describes a mixture: size, weights, overlap, convergence, and what to beware of; `estimators` the models that
hold one: a search, a classifier, an outlier detector, a regressor.
"""

from fastgmm.summary.estimators import summary
from fastgmm.summary.mixture import facts_of, full_covariances, overlap_bound

__all__ = ["facts_of", "full_covariances", "overlap_bound", "summary"]
