"""scikit-learn's own mixture tests, read from the installed package, run against our classes.

Each test module is executed from its source with our classes in place of scikit-learn's, in both precisions.
"""

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import sklearn.mixture
from sklearn.utils.estimator_checks import check_estimator

import fastgmm

# Read when scikit-learn's conftest is imported: which random seeds its tests run with.
os.environ.setdefault("SKLEARN_TESTS_GLOBAL_RANDOM_SEED", "42")

# scikit-learn runs these tests without turning its own warnings into errors.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::fastgmm.exceptions.RegularisationWarning"),
]

OURS = {name: getattr(fastgmm, name) for name in ("GaussianMixture", "BayesianGaussianMixture")}

#: Tests left out, by name, with the reason. Each exercises a private function of scikit-learn's.
LEFT_OUT = {
    "test_suffstat_sk_full": "private _estimate_gaussian_covariances_full; the class is never used",
    "test_suffstat_sk_tied": "private _estimate_gaussian_covariances_tied; the class is never used",
    "test_suffstat_sk_diag": "private _estimate_gaussian_covariances_diag; the class is never used",
    "test_gaussian_suffstat_sk_spherical": "private _estimate_gaussian_covariances_spherical; the class is never used",
    "test_compute_log_det_cholesky": "private _compute_log_det_cholesky; the class is never used",
    "test_gaussian_mixture_log_probabilities": "private _estimate_log_gaussian_prob; the class is never used",
    "test_gaussian_mixture_precisions_init": "private methods _initialize and _set_parameters",
    "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters": (
        "replaces the private _estimate_gaussian_parameters and counts its calls"
    ),
    "test_log_dirichlet_norm": "private _log_dirichlet_norm; the class is never used",
    "test_log_wishart_norm": "private _log_wishart_norm; the class is never used",
    "test_compare_covar_type": "private methods _check_parameters and _initialize_parameters",
}


def _tests_of(module_name):
    """Execute an installed test module with our classes and return its tests by name."""
    path = Path(sklearn.mixture.__file__).parent / "tests" / f"{module_name}.py"
    spec = importlib.util.spec_from_file_location(f"sklearn_{module_name}", path)
    module = importlib.util.module_from_spec(spec)
    theirs = {name: getattr(sklearn.mixture, name) for name in OURS}
    sys.modules[spec.name] = module
    try:
        for name, ours in OURS.items():
            setattr(sklearn.mixture, name, ours)
        spec.loader.exec_module(module)
    finally:
        for name, original in theirs.items():
            setattr(sklearn.mixture, name, original)
    return {name: test for name, test in vars(module).items() if name.startswith("test_") and name not in LEFT_OUT}


globals().update(_tests_of("test_gaussian_mixture"))
globals().update(_tests_of("test_mixture"))
globals().update(_tests_of("test_bayesian_mixture"))


@pytest.fixture(params=["float64", "float32"])
def global_dtype(request):
    """scikit-learn's fixture of this name, both dtypes always."""
    return np.dtype(request.param).type


@pytest.fixture(params=[0, 42])
def global_random_seed(request):
    """scikit-learn's fixture of this name, two seeds always."""
    return request.param


@pytest.mark.parametrize("name", [*sorted(OURS), "StudentMixture"])
def test_estimator_checks(name):
    estimator = getattr(fastgmm, name)()
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []
    assert sum(r["status"] == "passed" for r in results) >= 40
