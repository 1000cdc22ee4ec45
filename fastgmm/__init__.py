"""Gaussian mixture models on CPUs: scikit-learn's interface on compiled, fused kernels.

`GaussianMixture` is the estimator to start from; `set_config` and `config_context` choose engine and threads;
`show_config` tells what was built and what runs.
"""

from fastgmm.bayesian_mixture import BayesianGaussianMixture
from fastgmm.classifier import GaussianMixtureClassifier
from fastgmm.config import config_context, get_config, set_config
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.outlier_detector import GaussianMixtureOutlierDetector
from fastgmm.persistence import load, save
from fastgmm.regressor import GaussianMixtureRegressor
from fastgmm.selection import GaussianMixtureSearch
from fastgmm.show_config import show_config

__version__ = "0.1.0"

__all__ = [
    "BayesianGaussianMixture",
    "GaussianMixture",
    "GaussianMixtureClassifier",
    "GaussianMixtureOutlierDetector",
    "GaussianMixtureRegressor",
    "GaussianMixtureSearch",
    "__version__",
    "config_context",
    "get_config",
    "load",
    "save",
    "set_config",
    "show_config",
]
