"""Fitted models in words.

`mixture` describes a mixture: size, weights, overlap, convergence, and what to beware of; `estimators` the models that
hold one: a search, a classifier, an outlier detector, a regressor; `text` is what they return.
"""

from fastgmm.summary.estimators import summary
from fastgmm.summary.mixture import facts_of, full_covariances, overlap_bound
from fastgmm.summary.text import Summary

__all__ = ["Summary", "facts_of", "full_covariances", "overlap_bound", "summary"]
