"""The search over covariance families and sizes, its hierarchical start, and the M-steps that iterate.

`compare_mclust.py`, one folder up, runs R's mclust beside it.
"""

import warnings

import numpy as np

from benchmarks.internals import m_step, tree
from benchmarks.problems import rows_and_components
from benchmarks.workloads import Workload, asked, make_rows
from fastgmm.selection import GaussianMixtureSearch, bootstrap_parameters


class TimeSearch:
    """Fourteen families, one to nine components, default settings."""

    params = (asked("search"),)
    param_names = ("data",)
    timeout = 300

    def setup(self, data):
        self.X = rows_and_components(data)[0]
        GaussianMixtureSearch([2], random_state=0).fit(self.X)

    def time_search(self, data):
        GaussianMixtureSearch(random_state=0).fit(self.X)

    def track_bic(self, data):
        return GaussianMixtureSearch(random_state=0).fit(self.X).best_score_

    def track_failures(self, data):
        failures = GaussianMixtureSearch(random_state=0).fit(self.X).results_["failure"]
        return sum(reason is not None for reason in failures)


class TimeHierarchical:
    """The tree that starts every candidate."""

    params = (500, 2000)
    param_names = ("n_samples",)

    def setup(self, n_samples):
        self.tree = tree(make_rows(Workload("tied", n_samples, 5, 4, overlapping=True)))

    def time_tree(self, n_samples):
        self.tree()

    def peakmem_tree(self, n_samples):
        self.tree()


class TimeFirstMStep:
    """An M-step from nothing, of samples that share no structure."""

    params = (["VEI", "VEE", "VEV", "EVE", "VVE"], [2, 10, 50])
    param_names = ("covariance_type", "n_features")

    def setup(self, covariance_type, n_features):
        rng = np.random.default_rng(0)
        counts = np.array([200.0, 300.0, 400.0, 500.0])
        maps = rng.normal(size=(4, n_features, n_features)) / np.sqrt(n_features) + np.eye(n_features)
        self.m_step = m_step(covariance_type, maps @ maps.transpose(0, 2, 1) * counts[:, None, None], counts)

    def time_estimate(self, covariance_type, n_features):
        self.m_step()


class TimeBootstrap:
    """Standard errors from a hundred replicates of faithful."""

    def setup(self):
        self.X = rows_and_components("faithful")[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.model = GaussianMixtureSearch([2], ["VVV"], random_state=0).fit(self.X).best_estimator_

    def time_nonparametric(self):
        bootstrap_parameters(self.model, self.X, n_bootstrap=100, random_state=0)
