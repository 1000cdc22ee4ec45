"""Gaussian mixture models on CPUs: scikit-learn's interface on compiled, fused kernels.

`GaussianMixture` is the estimator to start from; `set_config` and `config_context` choose engine and threads;
`show_config` tells what was built and what runs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastgmm.config import config_context, get_config, set_config
from fastgmm.start_up import patch_as_asked as _patch_as_asked

if TYPE_CHECKING:
    from fastgmm.bayesian_mixture import BayesianGaussianMixture
    from fastgmm.classifier import GaussianMixtureClassifier
    from fastgmm.clusterer import GaussianMixtureClusterer
    from fastgmm.coresets import coreset
    from fastgmm.encoders import FisherVectorEncoder, VLADEncoder
    from fastgmm.feature_selector import GaussianMixtureFeatureSelector
    from fastgmm.gaussian_mixture import GaussianMixture
    from fastgmm.imputer import GaussianMixtureImputer
    from fastgmm.installation import show_config
    from fastgmm.many_fits import fit_many
    from fastgmm.matching import match_components
    from fastgmm.outlier_detector import GaussianMixtureOutlierDetector
    from fastgmm.persistence import load, save
    from fastgmm.regressor import GaussianMixtureRegressor
    from fastgmm.scikit_learn import from_sklearn, patch_sklearn, unpatch_sklearn
    from fastgmm.selection import GaussianMixtureSearch
    from fastgmm.student_mixture import StudentMixture
    from fastgmm.tables import read_table
    from fastgmm.verification import linear_scores, log_likelihood_ratio, supervectors
    from fastgmm.windows import fit_windows

__version__ = "0.2.0"

__all__ = [
    "BayesianGaussianMixture",
    "FisherVectorEncoder",
    "GaussianMixture",
    "GaussianMixtureClassifier",
    "GaussianMixtureClusterer",
    "GaussianMixtureFeatureSelector",
    "GaussianMixtureImputer",
    "GaussianMixtureOutlierDetector",
    "GaussianMixtureRegressor",
    "GaussianMixtureSearch",
    "StudentMixture",
    "VLADEncoder",
    "__version__",
    "config_context",
    "coreset",
    "fit_many",
    "fit_windows",
    "from_sklearn",
    "get_config",
    "linear_scores",
    "load",
    "log_likelihood_ratio",
    "match_components",
    "patch_sklearn",
    "read_table",
    "save",
    "set_config",
    "show_config",
    "supervectors",
    "unpatch_sklearn",
]

# Imported when first used: a program pays for the estimators it has.
_HOMES = {
    "BayesianGaussianMixture": "bayesian_mixture",
    "FisherVectorEncoder": "encoders",
    "GaussianMixture": "gaussian_mixture",
    "GaussianMixtureClassifier": "classifier",
    "GaussianMixtureClusterer": "clusterer",
    "GaussianMixtureFeatureSelector": "feature_selector",
    "GaussianMixtureImputer": "imputer",
    "GaussianMixtureOutlierDetector": "outlier_detector",
    "GaussianMixtureRegressor": "regressor",
    "GaussianMixtureSearch": "selection",
    "StudentMixture": "student_mixture",
    "VLADEncoder": "encoders",
    "coreset": "coresets",
    "fit_many": "many_fits",
    "fit_windows": "windows",
    "from_sklearn": "scikit_learn",
    "linear_scores": "verification",
    "load": "persistence",
    "log_likelihood_ratio": "verification",
    "match_components": "matching",
    "patch_sklearn": "scikit_learn",
    "read_table": "tables",
    "save": "persistence",
    "show_config": "installation",
    "supervectors": "verification",
    "unpatch_sklearn": "scikit_learn",
}
_ROOMS = (
    "callbacks",
    "data",
    "datasets",
    "exceptions",
    "inference",
    "kernels",
    "model",
    "plotting",
    "selection",
    "tables",
)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"fastgmm.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'fastgmm' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"fastgmm.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})


_patch_as_asked()
