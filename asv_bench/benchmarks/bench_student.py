"""Student mixtures: one pass beside the Gaussian one, and whole fits beside Gaussian fits of the same rows."""

import warnings

import numpy as np

from fastgmm import GaussianMixture, StudentMixture, config_context, kernels
from fastgmm.model import MixtureParameters, SufficientStatistics, get_shape
from fastgmm.model.student import StudentParameters

SIZES = {
    "full 50k x 2, K=8": ("full", 50_000, 2, 8),
    "full 50k x 8, K=8": ("full", 50_000, 8, 8),
    "full 50k x 16, K=8": ("full", 50_000, 16, 8),
    "full 20k x 32, K=16": ("full", 20_000, 32, 16),
    "tied 50k x 16, K=8": ("tied", 50_000, 16, 8),
    "diag 50k x 40, K=64": ("diag", 50_000, 40, 64),
}


class StudentPass:
    """One pass over overlapping components, on one thread."""

    params = (tuple(SIZES), ("student", "gaussian"))
    param_names = ("size", "components")

    def setup(self, size, components):
        name, n_rows, n_features, n_components = SIZES[size]
        rng = np.random.default_rng(0)
        means = rng.normal(scale=0.3, size=(n_components, n_features))
        self.X = means[rng.integers(n_components, size=n_rows)] + rng.normal(size=(n_rows, n_features))
        shape = get_shape(name)
        covariances = np.ones(shape.dims(n_components, n_features))
        if shape.is_matrix:
            covariances = 0.1 + np.broadcast_to(np.eye(n_features), covariances.shape)
        weights = np.full(n_components, 1 / n_components)
        self.mixture = MixtureParameters(name, weights, means, covariances, shape.factorise(covariances))
        if components == "student":
            self.mixture = StudentParameters.of(self.mixture, rng.uniform(3, 20, n_components))

    def time_pass(self, size, components):
        tail = getattr(self.mixture, "tail", None)
        statistics = SufficientStatistics.zeros(self.mixture.structure, self.mixture.means, tail)
        with config_context(n_threads=1):
            kernels.accumulate(self.X, None, self.mixture, statistics)


class StudentFit:
    """A whole fit at default tolerance of clusters with tails, and of the same by normal components."""

    params = (("full", "diag"), ("student", "gaussian"))
    param_names = ("covariance_type", "components")

    def setup(self, covariance_type, components):
        rng = np.random.default_rng(1)
        means = rng.normal(scale=4.0, size=(8, 8))
        rows = rng.standard_t(5, size=(100_000, 8))
        self.X = means[rng.integers(8, size=len(rows))] + rows

    def time_fit(self, covariance_type, components):
        estimator = {"student": StudentMixture, "gaussian": GaussianMixture}[components]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator(8, covariance_type=covariance_type, random_state=0).fit(self.X)
