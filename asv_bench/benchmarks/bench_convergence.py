"""Passes and seconds to a stated log-likelihood, ours and scikit-learn's, from the same k-means start."""

import warnings

import numpy as np
import sklearn.mixture

from benchmarks.problems import SLOW, STARTS, rows_of
from fastgmm import GaussianMixture, config_context

#: Nats per sample below the optimum at which a fit counts as arrived.
CLOSE = 1e-6
CHOSEN = ("two overlapping", "five fitted to two", "tied fitted to three", "ten features", "Old Faithful, K=4")


def passes_to(bounds, target):
    """Return the number of the first pass whose bound is at least `target`."""
    return int(np.argmax(np.asarray(bounds) >= target)) + 1


class Convergence:
    """From one start to within 1e-6 nats per sample of the optimum that plain EM has there."""

    params = (CHOSEN, ("fastgmm", "fastgmm, plain", "scikit-learn"))
    param_names = ("problem", "method")
    timeout = 600
    number = 1

    def setup(self, problem, method):
        make, self.n_components, self.covariance_type = SLOW[problem]
        self.X = rows_of(make)
        start = GaussianMixture(self.n_components, covariance_type=self.covariance_type, max_iter=0, random_state=0)
        start.fit(self.X)
        self.start = {
            "weights_init": start.weights_,
            "means_init": start.means_,
            "precisions_init": start.precisions_,
        }
        limit = self.fit("fastgmm, plain", tol=1e-12, max_iter=20_000).lower_bound_
        # What each method is asked for: the passes until it is there, and no more.
        bounds = self.fit(method, tol=1e-12, max_iter=20_000).lower_bounds_
        self.n_passes = passes_to(bounds, min(limit, max(bounds)) - CLOSE)

    def fit(self, method, tol, max_iter):
        options = {"covariance_type": self.covariance_type, "tol": tol, "max_iter": max_iter, **self.start}
        with warnings.catch_warnings(), config_context(n_threads=1):
            warnings.simplefilter("ignore")
            if method == "scikit-learn":
                return sklearn.mixture.GaussianMixture(self.n_components, **options).fit(self.X)
            acceleration = "quasi-newton" if method == "fastgmm" else None
            return GaussianMixture(self.n_components, acceleration=acceleration, **options).fit(self.X)

    def track_passes(self, problem, method):
        return self.n_passes

    track_passes.unit = "passes"

    def time_to_likelihood(self, problem, method):
        # The same tolerance as in `setup`: acceleration begins by it.
        self.fit(method, tol=1e-12, max_iter=self.n_passes)


class Starts:
    """One search for a start, beside one default fit by scikit-learn."""

    params = (("iris, tied, K=4", "grid 10 x 10", "sticks, K=4", "D=20, K=10"), ("multistart", "scikit-learn"))
    param_names = ("problem", "method")
    timeout = 600
    number = 1

    def setup(self, problem, method):
        make, n_components, covariance_type = STARTS[problem]
        self.X = rows_of(make)
        options = {"n_components": n_components, "covariance_type": covariance_type}
        self.model = sklearn.mixture.GaussianMixture(**options)
        if method == "multistart":
            self.model = GaussianMixture(**options, init_params="multistart")

    def fit(self, seed):
        with warnings.catch_warnings(), config_context(n_threads=1):
            warnings.simplefilter("ignore")
            return self.model.set_params(random_state=seed).fit(self.X)

    def time_fit(self, problem, method):
        self.fit(0)

    def track_log_likelihood(self, problem, method):
        return float(np.median([self.fit(seed).score(self.X) for seed in range(5)]))

    track_log_likelihood.unit = "nats/row"
