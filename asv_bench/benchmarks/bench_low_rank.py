"""Components with few factors: iterations beside full covariances, and what many features take of memory."""

import warnings

import numpy as np

from fastgmm import GaussianMixture

N_ROWS, N_COMPONENTS, N_FACTORS, N_ITERATIONS = 6000, 10, 10, 3


def rows(n_samples, n_features, n_components=N_COMPONENTS, dtype=np.float64):
    """Return rows of factor analysers that overlap, and their components."""
    rng = np.random.default_rng(0)
    y = rng.integers(n_components, size=n_samples)
    means, loadings = rng.normal(size=(n_components, n_features)) / 4, rng.normal(size=(n_components, n_features, 3))
    X = np.empty((n_samples, n_features), dtype)
    for k in range(n_components):
        members = y == k
        factors = rng.normal(size=(np.count_nonzero(members), 3))
        X[members] = means[k] + factors @ loadings[k].T + rng.normal(size=(len(factors), n_features))
    return X, y


class Iterations:
    """Three iterations without a convergence check, started at the truth."""

    params = (("factor", "ppca", "full"), (64, 784))
    param_names = ("covariance_type", "n_features")
    timeout = 600

    def setup(self, covariance_type, n_features):
        """Draw the rows."""
        warnings.simplefilter("ignore")
        self.X, self.y = rows(N_ROWS, n_features)

    def time_iterations(self, covariance_type, n_features):
        """Time of the start and three iterations."""
        options = {"n_factors": N_FACTORS, "tol": 0.0, "max_iter": N_ITERATIONS, "acceleration": None}
        GaussianMixture(N_COMPONENTS, covariance_type=covariance_type, init_params=self.y, **options).fit(self.X)


class ManyFeatures:
    """A hundred components of ten factors in 12,288 features."""

    timeout = 900

    def setup(self):
        """Draw the rows."""
        warnings.simplefilter("ignore")
        self.X, self.y = rows(1500, 12_288, 100, np.float32)

    def peakmem_fit(self):
        """Peak memory of a fit, its rows included."""
        options = {"covariance_type": "ppca", "n_factors": 10, "tol": 0.0, "max_iter": 2}
        GaussianMixture(100, init_params=self.y, random_state=0, **options).fit(self.X)
