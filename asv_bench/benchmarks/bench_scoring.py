"""Scoring a million rows, beside scikit-learn, and the memory it takes above its answer."""

from dataclasses import replace

import numpy as np
import sklearn.mixture

from benchmarks.peers.libraries import precisions_cholesky_of, precisions_of
from benchmarks.timing import SETTINGS, extra_peak_bytes
from benchmarks.workloads import Workload, asked, make_rows, true_parameters, workload
from fastgmm import GaussianMixture

METHODS = ("predict", "predict_proba", "score_samples")
LIBRARIES = {"fastgmm": GaussianMixture, "scikit-learn": sklearn.mixture.GaussianMixture}


def fitted(library, chosen):
    """Return a model with the parameters the rows were drawn from, as a fit in their dtype would leave it."""
    weights, means, covariances = (part.astype(chosen.dtype) for part in true_parameters(chosen))
    model = LIBRARIES[library](chosen.n_components, covariance_type=chosen.covariance_type)
    model.weights_, model.means_, model.covariances_ = weights, means, covariances
    model.precisions_ = precisions_of(chosen.covariance_type, covariances)
    model.precisions_cholesky_ = precisions_cholesky_of(chosen.covariance_type, covariances)
    model.n_features_in_ = chosen.n_features
    model.converged_, model.n_iter_, model.lower_bound_ = True, 1, 0.0
    return model


def extra_memory(method, n_components):
    """Return the bytes that scoring takes above the model, the rows and its answer."""
    n_samples = max(100_000, 1_000_000 // SETTINGS.shrink)
    chosen = Workload("full", n_samples, 4, n_components, overlapping=True)
    X, call = make_rows(chosen), getattr(fitted("fastgmm", chosen), method)
    answer_bytes = call(X[:1000]).nbytes * (n_samples // 1000)
    return max(0, extra_peak_bytes(lambda: call(X)) - answer_bytes)


class ScoreRows:
    """Seconds for a million rows."""

    params = (asked("scoring"), METHODS, tuple(LIBRARIES))
    param_names = ("workload", "method", "library")
    timeout = 600
    warmup_time = 0

    def setup(self, name, method, library):
        chosen = workload(name)
        self.X = make_rows(chosen)
        self.call = getattr(fitted(library, chosen), method)
        self.call(self.X[:1000])

    def time_score_million_rows(self, name, method, library):
        self.call(self.X)

    def peakmem_score_million_rows(self, name, method, library):
        self.call(self.X)


class Memory:
    """How far from flat in the number of components the bytes are that scoring takes above its answer."""

    params = (METHODS,)
    param_names = ("method",)
    timeout = 600
    unit = "bytes"

    def track_memory_128_components(self, method):
        return extra_memory(method, 128)

    def track_memory_128_components_less_8(self, method):
        return extra_memory(method, 128) - extra_memory(method, 8)


class CrossCheck:
    """How far the two libraries' log densities lie apart on the rows that are timed."""

    params = (asked("scoring"),)
    param_names = ("workload",)
    unit = "nats"

    def track_largest_difference(self, name):
        chosen = replace(workload(name), n_samples=20_000)
        X = make_rows(chosen)
        ours, theirs = (fitted(library, chosen).score_samples(X) for library in LIBRARIES)
        return float(np.abs(ours - theirs).max())
