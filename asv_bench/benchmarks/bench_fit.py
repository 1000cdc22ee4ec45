"""A whole default fit, raw rows to fitted model, beside scikit-learn's and the price of its k-means."""

import warnings
from functools import partial

import sklearn.mixture
from sklearn.cluster import KMeans

from benchmarks.problems import rows_and_components
from benchmarks.workloads import asked
from fastgmm import GaussianMixture

LIBRARIES = {
    "fastgmm": GaussianMixture,
    "scikit-learn": sklearn.mixture.GaussianMixture,
    "KMeans": partial(KMeans, n_init=1),
}


class DefaultFit:
    """Seconds of `fit` at default settings."""

    params = (asked("fit"), tuple(LIBRARIES))
    param_names = ("data", "library")
    timeout = 900
    warmup_time = 0

    def setup(self, data, library):
        warnings.simplefilter("ignore")
        self.X, n_components = rows_and_components(data)
        self.model = LIBRARIES[library](n_components, random_state=0)
        LIBRARIES[library](2, random_state=0).fit(self.X[:200])

    def time_fit(self, data, library):
        self.model.fit(self.X)

    def peakmem_fit(self, data, library):
        self.model.fit(self.X)


class Likelihood:
    """What a default fit comes to."""

    params = (asked("fit"),)
    param_names = ("data",)
    timeout = 900
    unit = "nats/row"

    def setup(self, data):
        warnings.simplefilter("ignore")
        self.X, self.n_components = rows_and_components(data)

    def score(self, library):
        """Return the mean log-likelihood of the rows under the library's default fit to them."""
        return float(LIBRARIES[library](self.n_components, random_state=0).fit(self.X).score(self.X))

    def track_log_likelihood(self, data):
        return self.score("fastgmm")

    def track_log_likelihood_below_scikit_learn(self, data):
        return self.score("scikit-learn") - self.score("fastgmm")
