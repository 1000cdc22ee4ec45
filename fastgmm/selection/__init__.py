"""Choosing a model: how many components and which covariance structure, and how sure that is.

`search` tries combinations and keeps the best (`candidates` fits one, `criteria` judges it); `bootstrap` tests numbers
of components and gives standard errors; `trimming` tells how many rows to leave out; `merging` joins components into
clusters that need not be Gaussian.
"""

from fastgmm.selection.bootstrap import BootstrapLRT, ParameterBootstrap, bootstrap_lrt, bootstrap_parameters
from fastgmm.selection.merging import ComponentMerge, merge_components
from fastgmm.selection.search import GaussianMixtureSearch
from fastgmm.selection.trimming import trimming_curves

__all__ = [
    "BootstrapLRT",
    "ComponentMerge",
    "GaussianMixtureSearch",
    "ParameterBootstrap",
    "bootstrap_lrt",
    "bootstrap_parameters",
    "merge_components",
    "trimming_curves",
]
