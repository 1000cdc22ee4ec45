"""BayesianGaussianMixture per iteration, beside scikit-learn's: as many iterations of both from the same start."""

import warnings

import numpy as np
import sklearn.mixture

from benchmarks.workloads import asked, draw_rows, workload
from fastgmm import BayesianGaussianMixture

LIBRARIES = {"fastgmm": BayesianGaussianMixture, "scikit-learn": sklearn.mixture.BayesianGaussianMixture}
N_ITERATIONS = 2


class FromLabels:
    """A library's fit from the posterior that labels give; scikit-learn is given it by hand."""

    def __init__(self, library, name):
        warnings.simplefilter("ignore")
        chosen = workload(name)
        self.library, self.n_components = library, chosen.n_components
        self.X, self.labels = draw_rows(chosen)
        self.options = {"n_components": chosen.n_components, "covariance_type": chosen.covariance_type, "tol": 0.0}

    def run(self, n_iterations):
        """Return the model after so many iterations."""
        cls, options = LIBRARIES[self.library], {**self.options, "max_iter": n_iterations}
        if self.library == "fastgmm":
            return cls(**options, init_params=self.labels).fit(self.X)
        model = cls(**options, warm_start=True)
        model._check_parameters(self.X)
        model._initialize(self.X, np.eye(self.n_components)[self.labels])
        model.converged_, model.lower_bound_ = False, -np.inf
        return model.fit(self.X)


class Iterations:
    """Two iterations without a convergence check; the start is a pass over given labels."""

    params = (asked("bayesian"), tuple(LIBRARIES))
    param_names = ("workload", "library")
    timeout = 600
    warmup_time = 0

    def setup(self, name, library):
        self.fit = FromLabels(library, name)

    def time_two_iterations(self, name, library):
        self.fit.run(N_ITERATIONS)

    def peakmem_two_iterations(self, name, library):
        self.fit.run(N_ITERATIONS)


class Reached:
    """The bound after twenty iterations."""

    params = (asked("bayesian"),)
    param_names = ("workload",)
    timeout = 600
    unit = "nats/row"

    def track_elbo(self, name):
        fit = FromLabels("fastgmm", name)
        return fit.run(20).elbo_ / len(fit.X)


class TimePredictive:
    """Scoring rows under the posterior predictive density and under the variational one."""

    params = ("variational", "student-t")
    param_names = ("predictive",)

    def setup(self, predictive):
        fit = FromLabels("fastgmm", "full 100k x 16 K=16 overlapping")
        self.X, self.model = fit.X, fit.run(2).set_params(predictive=predictive)

    def time_score_samples(self, predictive):
        self.model.score_samples(self.X)


class SearchForComponents:
    """The search for the number of components from one and from fifty: eight Gaussians in an asterisk."""

    params = (1, 50)
    param_names = ("n_components_init",)
    timeout = 600
    warmup_time = 0

    def setup(self, n_begun):
        rng = np.random.default_rng(0)
        angles = rng.choice(8, size=25_000, p=np.array([1.0, 2.0] * 4) / 12.0) * (np.pi / 4.0)
        along, across = 1.0 + rng.normal(scale=0.25, size=25_000), rng.normal(scale=0.025, size=25_000)
        x, y = np.cos(angles), np.sin(angles)
        self.X = np.column_stack([x * along - y * across, y * along + x * across])
        self.model = BayesianGaussianMixture(n_components="auto", n_components_init=n_begun, random_state=0)

    def time_search(self, n_begun):
        self.model.fit(self.X)

    def track_components(self, n_begun):
        return self.model.fit(self.X).n_components_

    def track_passes(self, n_begun):
        return self.model.fit(self.X).n_passes_

    def track_elbo(self, n_begun):
        return self.model.fit(self.X).elbo_ / len(self.X)
