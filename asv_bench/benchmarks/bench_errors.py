"""Rows with measurement errors: one pass beside that of rows without, whole fits, and the memory of one."""

import warnings

import numpy as np

from fastgmm import GaussianMixture, config_context
from fastgmm.data import ArrayRows
from fastgmm.data.e_steps import ERRORS, Plain, WithErrors
from fastgmm.model import MixtureParameters, get_shape

SIZES = {
    "full 20k x 4, K=10": ("full", 20_000, 4, 10),
    "full 50k x 2, K=8": ("full", 50_000, 2, 8),
    "full 50k x 8, K=8": ("full", 50_000, 8, 8),
    "full 20k x 16, K=8": ("full", 20_000, 16, 8),
    "diag 50k x 16, K=8": ("diag", 50_000, 16, 8),
}


def measured(n_rows, n_features, n_components, seed=0):
    """Return rows of overlapping components, variances of their errors, and the components' means."""
    rng = np.random.default_rng(seed)
    means = rng.normal(scale=2.0, size=(n_components, n_features))
    errors = rng.uniform(0.1, 0.5, size=(n_rows, n_features))
    rows = means[rng.integers(n_components, size=n_rows)] + rng.normal(size=errors.shape)
    return rows + np.sqrt(errors) * rng.normal(size=errors.shape), errors, means


class ErrorPass:
    """One pass on one thread: errors of each row, one covariance of all, a hole in every third value, and none."""

    params = (tuple(SIZES), ("variances", "covariances", "common", "holes", "none"))
    param_names = ("size", "errors")

    def setup(self, size, errors):
        name, n_rows, n_features, n_components = SIZES[size]
        X, variances, means = measured(n_rows, n_features, n_components)
        shape = get_shape(name)
        covariances = np.ones(shape.dims(n_components, n_features))
        if shape.is_matrix:
            covariances = 0.1 + np.broadcast_to(np.eye(n_features), covariances.shape)
        weights = np.full(n_components, 1 / n_components)
        self.mixture = MixtureParameters(name, weights, means, covariances, shape.factorise(covariances))
        e_step, along = WithErrors(), variances
        if errors == "covariances":
            e_step, along = WithErrors(), variances[:, :, None] * np.eye(n_features)
        elif errors == "holes":
            along = np.where(np.random.default_rng(1).uniform(size=X.shape) < 0.3, np.inf, 0.0)
        elif errors == "common":
            e_step = WithErrors(np.diag(variances[0]))
        elif errors == "none":
            e_step = Plain()
        self.passes = e_step.prepare(ArrayRows(X, None, {ERRORS: along}))

    def time_pass(self, size, errors):
        with config_context(n_threads=1):
            self.passes.accumulate(self.mixture)


class ErrorFit:
    """A whole fit at a tolerance that errors ask for."""

    def setup(self):
        self.X, self.errors, _ = measured(20_000, 4, 10)
        self.many, self.of_many, _ = measured(1_000_000, 4, 4)

    def _fit(self, X, errors, n_components, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            GaussianMixture(n_components, random_state=0, **options).fit(X, errors=errors)

    def time_fit(self):
        self._fit(self.X, self.errors, 10, tol=1e-5)

    def peakmem_fit(self):
        self._fit(self.many, self.of_many, 4, max_iter=5)

    def peakmem_data(self):
        assert self.many.shape == self.of_many.shape
