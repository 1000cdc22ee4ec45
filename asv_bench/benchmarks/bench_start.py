"""The start by k-means where there are many components, and default fits of kinds of data from many seeds."""

import warnings

import numpy as np
import sklearn.mixture
from sklearn.cluster import KMeans

from benchmarks.internals import kmeans_start, seeding
from benchmarks.problems import MANY_ROWS, rows_of
from benchmarks.workloads import asked, make_rows, workload
from fastgmm import GaussianMixture


class ManyClusters:
    """Rows of 16 features in as many clusters as the workload has components."""

    params = (asked("start"),)
    param_names = ("workload",)
    timeout = 600

    def setup(self, name):
        chosen = workload(name)
        X = make_rows(chosen)
        self.seeding, self.kmeans = seeding(X, chosen.n_components), kmeans_start(X, chosen.n_components)

    def time_kmeans_plusplus_with_swaps(self, name):
        self.seeding()

    def time_kmeans(self, name):
        self.kmeans()


class DefaultStarts:
    """Default fits of a kind of data, from several seeds."""

    params = (("K=12, Dirichlet(0.7) weights", "K=10, diag", "china pixels, K=8"),)
    param_names = ("problem",)
    timeout = 600
    n_seeds = 8

    def setup(self, problem):
        warnings.simplefilter("ignore")
        makes, self.n_components, self.covariance_type = MANY_ROWS[problem]
        self.X = rows_of(makes[0])

    def mean_log_likelihood(self, library):
        options = {"n_components": self.n_components, "covariance_type": self.covariance_type}
        fits = [library(**options, random_state=seed).fit(self.X) for seed in range(self.n_seeds)]
        return float(np.mean([model.score(self.X) for model in fits]))

    def time_fit(self, problem):
        GaussianMixture(self.n_components, covariance_type=self.covariance_type, random_state=0).fit(self.X)

    def time_kmeans_of_scikit_learn(self, problem):
        KMeans(self.n_components, n_init=1, random_state=0).fit(self.X)

    def track_log_likelihood_above_scikit_learn(self, problem):
        return self.mean_log_likelihood(GaussianMixture) - self.mean_log_likelihood(sklearn.mixture.GaussianMixture)

    track_log_likelihood_above_scikit_learn.unit = "nats"
