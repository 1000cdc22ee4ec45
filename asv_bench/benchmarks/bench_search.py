"""The search over covariance families and sizes, its hierarchical start, and the M-steps that iterate.

`asv_bench/compare_mclust.py` runs R's mclust beside it.
"""

import warnings
from pathlib import Path

import numpy as np

from fastgmm.data import ArrayRows
from fastgmm.starts.hierarchical import cluster_hierarchically
from fastgmm.model import get_structure
from fastgmm.selection import GaussianMixtureSearch, bootstrap_parameters

TESTS = Path(__file__).resolve().parents[2] / "tests" / "data"


def overlapping(n_samples, n_features, seed=0):
    """Return rows of four overlapping components that share a covariance."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(4, n_features)) * 3
    noise = rng.normal(size=(n_samples, n_features)) @ rng.normal(size=(n_features, n_features))
    return means[rng.integers(4, size=n_samples)] + noise


def load(name):
    """Return faithful, iris, or overlapping rows by their shape."""
    if "x" in name:
        return overlapping(*map(int, name.split("x")))
    return np.ascontiguousarray(np.loadtxt(TESTS / f"{name}.csv", delimiter=",", skiprows=1))


class TimeSearch:
    """Fourteen families, one to nine components, default settings."""

    params = ("faithful", "iris", "5000x5")
    param_names = ("data",)
    timeout = 300

    def setup(self, data):
        self.X = load(data)
        GaussianMixtureSearch([2], random_state=0).fit(self.X)

    def time_search(self, data):
        GaussianMixtureSearch(random_state=0).fit(self.X)

    def track_bic(self, data):
        return GaussianMixtureSearch(random_state=0).fit(self.X).best_score_

    def track_failures(self, data):
        return sum(
            reason is not None for reason in GaussianMixtureSearch(random_state=0).fit(self.X).results_["failure"]
        )


class TimeHierarchical:
    """The tree that starts every candidate."""

    params = (500, 2000)
    param_names = ("n_samples",)

    def setup(self, n_samples):
        self.rows = ArrayRows(overlapping(n_samples, 5))

    def time_tree(self, n_samples):
        cluster_hierarchically(self.rows, np.random.RandomState(0))

    def peakmem_tree(self, n_samples):
        cluster_hierarchically(self.rows, np.random.RandomState(0))


class TimeFirstMStep:
    """An M-step from nothing, of samples that share no structure."""

    params = (["VEI", "VEE", "VEV", "EVE", "VVE"], [2, 10, 50])
    param_names = ("covariance_type", "n_features")

    def setup(self, covariance_type, n_features):
        rng = np.random.default_rng(0)
        self.counts = np.array([200.0, 300.0, 400.0, 500.0])
        maps = rng.normal(size=(4, n_features, n_features)) / np.sqrt(n_features) + np.eye(n_features)
        scatter = maps @ maps.transpose(0, 2, 1) * self.counts[:, None, None]
        self.structure = get_structure(covariance_type)
        self.scatter = np.einsum("kdd->kd", scatter).copy() if covariance_type == "VEI" else scatter

    def time_estimate(self, covariance_type, n_features):
        self.structure.estimate(self.scatter, self.counts, None)


class TimeBootstrap:
    """Standard errors from a hundred replicates of faithful."""

    def setup(self):
        self.X = load("faithful")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.model = GaussianMixtureSearch([2], ["VVV"], random_state=0).fit(self.X).best_estimator_

    def time_nonparametric(self):
        bootstrap_parameters(self.model, self.X, n_bootstrap=100, random_state=0)
