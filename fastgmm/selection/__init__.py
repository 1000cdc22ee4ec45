"""Choosing a model: how many components and which covariance structure, and how sure that is.

`search` tries combinations and keeps the best (`candidates` fits one, `criteria` judges it).
"""

from fastgmm.selection.search import GaussianMixtureSearch

__all__ = ["GaussianMixtureSearch"]
