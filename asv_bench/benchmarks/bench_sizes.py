"""Fits of every size beside scikit-learn, from two rows of one feature on: where is it slower?

Both start by k-means and make two iterations, with acceleration of no use to so few. One row is no size: both refuse
to fit it.
"""

import warnings
from functools import partial

import numpy as np
import sklearn.mixture

from benchmarks.timing import SETTINGS, interleaved, text
from benchmarks.workloads import COVARIANCE_TYPES
from fastgmm import GaussianMixture

#: Rows x features, components: few of either, many of one, many of both.
SIZES = (
    "2 x 1 K=1",
    "10 x 4 K=2",
    "300 x 2 K=3",
    "20k x 1 K=2",
    "2000 x 16 K=8",
    "1000 x 100 K=8",
    "60 x 256 K=4",
    "200 x 400 K=4",
    "1000 x 1000 K=2",
    "60 x 1536 K=4",
    "20 x 4000 K=2",
    "5000 x 2000 K=2",
    "10k x 4000 K=1",
)
LIBRARIES = {"fastgmm": GaussianMixture, "scikit-learn": sklearn.mixture.GaussianMixture}
N_ITERATIONS = 2
#: Of every fit: with scikit-learn's 1e-6 its float32 covariances of fewer rows than features have no factor.
REG_COVAR = 1e-2
#: Operations of a fit that takes seconds rather than milliseconds, and is measured fewer times.
LONG = 1e10


def parse(size):
    """Return rows, features and components of a size's name."""
    n_samples, _, n_features, n_components = size.split()
    n_samples = int(n_samples.rstrip("k")) * (1000 if n_samples.endswith("k") else 1)
    return n_samples, int(n_features), int(n_components.removeprefix("K="))


def operations(size, covariance_type):
    """Return about how many multiplications an iteration takes."""
    n_samples, n_features, n_components = parse(size)
    per_row = n_features if covariance_type in ("full", "tied") else 1
    return n_components * n_features * per_row * (n_samples + per_row)


class OverScikitLearn:
    """How many times longer scikit-learn takes, runs in turn."""

    params = (SIZES, COVARIANCE_TYPES, ("float64", "float32"))
    param_names = ("size", "covariance_type", "dtype")
    timeout = 1800

    def setup(self, size, covariance_type, dtype):
        self.is_long = operations(size, covariance_type) > LONG
        if self.is_long and SETTINGS.shrink > 1:
            raise NotImplementedError("takes minutes: left out where fewer rows are asked for")
        n_samples, n_features, n_components = parse(size)
        rng = np.random.default_rng(SETTINGS.seed)
        owners = rng.integers(0, n_components, size=(n_samples, 1))
        self.X = (rng.normal(size=(n_samples, n_features)) + 3 * owners).astype(dtype)
        self.n_components = n_components

    def fit(self, library, covariance_type):
        """Return the library's model of the rows."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return LIBRARIES[library](
                self.n_components,
                covariance_type=covariance_type,
                reg_covar=REG_COVAR,
                tol=0,
                max_iter=N_ITERATIONS,
                random_state=0,
            ).fit(self.X)

    def track_times_faster(self, size, covariance_type, dtype):
        calls = {library: partial(self.fit, library, covariance_type) for library in LIBRARIES}
        repeats, least = (1, 0.0) if self.is_long else (None, min(SETTINGS.least_seconds, 0.03))
        seconds = interleaved(calls, repeats=repeats, least_seconds=least)
        self.detail = text(seconds["fastgmm"], "s")
        return seconds["scikit-learn"] / seconds["fastgmm"]

    track_times_faster.unit = "x"
