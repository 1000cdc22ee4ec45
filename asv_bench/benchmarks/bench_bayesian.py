"""BayesianGaussianMixture per iteration, beside scikit-learn's: fixed iterations from the same start."""

import warnings

import numpy as np
import sklearn.mixture

from fastgmm import BayesianGaussianMixture

# (covariance type, rows, features, components)
CASES = {
    "full 200k x 16 K=32": ("full", 200_000, 16, 32),
    "diag 200k x 40 K=256": ("diag", 200_000, 40, 256),
}


def overlapping(n_samples, n_features, n_components, spread=1.0):
    """Return rows of components whose means lie about `spread` standard deviations apart per feature, and labels."""
    rng = np.random.default_rng(0)
    means = rng.normal(size=(n_components, n_features)) * spread
    labels = rng.integers(n_components, size=n_samples)
    return means[labels] + rng.normal(size=(n_samples, n_features)), labels


def fit_iterations(cls, X, labels, covariance_type, n_components, n_iter):
    """Run `n_iter` iterations from the posterior of `labels`; scikit-learn is given it by hand."""
    options = {"n_components": n_components, "covariance_type": covariance_type, "max_iter": n_iter, "tol": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if cls is BayesianGaussianMixture:
            return cls(**options, init_params=labels).fit(X)
        model = cls(**options, warm_start=True)
        model._check_parameters(X)
        model._initialize(X, np.eye(n_components)[labels])
        model.converged_, model.lower_bound_ = False, -np.inf
        return model.fit(X)


class TimeIterations:
    """Twenty iterations without a convergence check; the start is a pass over given labels."""

    params = tuple(CASES)
    param_names = ("case",)
    timeout = 600

    def setup(self, case):
        self.covariance_type, n_samples, n_features, self.n_components = CASES[case]
        self.X, self.labels = overlapping(n_samples, n_features, self.n_components)
        fit_iterations(BayesianGaussianMixture, self.X, self.labels, self.covariance_type, self.n_components, 1)

    def time_iterations(self, case):
        fit_iterations(BayesianGaussianMixture, self.X, self.labels, self.covariance_type, self.n_components, 20)

    def peakmem_iterations(self, case):
        fit_iterations(BayesianGaussianMixture, self.X, self.labels, self.covariance_type, self.n_components, 2)

    def track_elbo(self, case):
        model = fit_iterations(
            BayesianGaussianMixture, self.X, self.labels, self.covariance_type, self.n_components, 20
        )
        return model.elbo_ / len(self.X)

    track_elbo.unit = "nats per row"


class ScikitLearnIterations:
    """scikit-learn's iteration on the same rows, at two iterations: it takes tens of seconds."""

    params = tuple(CASES)
    param_names = ("case",)
    timeout = 600
    number = repeat = 1

    def setup(self, case):
        self.covariance_type, n_samples, n_features, self.n_components = CASES[case]
        self.X, self.labels = overlapping(n_samples, n_features, self.n_components)

    def time_iterations(self, case):
        cls = sklearn.mixture.BayesianGaussianMixture
        fit_iterations(cls, self.X, self.labels, self.covariance_type, self.n_components, 2)


class TimePredictive:
    """Scoring rows under the posterior predictive density and under the variational one."""

    params = ("variational", "student-t")
    param_names = ("predictive",)

    def setup(self, predictive):
        self.X, labels = overlapping(100_000, 16, 16)
        model = fit_iterations(BayesianGaussianMixture, self.X, labels, "full", 16, 2)
        self.model = model.set_params(predictive=predictive)

    def time_score_samples(self, predictive):
        self.model.score_samples(self.X)
