"""Scoring a million rows, beside scikit-learn, and the memory it takes above its answer."""

from dataclasses import replace
from functools import partial

import numpy as np
import sklearn.mixture

from benchmarks.libraries import precisions_of
from benchmarks.targets import at_least, at_most
from benchmarks.timing import extra_peak_bytes, interleaved_medians
from benchmarks.workloads import Workload, make_rows, true_parameters
from fastgmm import GaussianMixture

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("full", 1_000_000, 2, 8),
        Workload("full", 1_000_000, 16, 16, overlapping=True),
        Workload("full", 1_000_000, 8, 10, dtype="float32"),
        Workload("tied", 1_000_000, 16, 16),
        Workload("diag", 1_000_000, 16, 32, overlapping=True),
        Workload("spherical", 1_000_000, 8, 16),
    )
}
METHODS = ("predict", "predict_proba", "score_samples")
LIBRARIES = {"fastgmm": GaussianMixture, "scikit-learn": sklearn.mixture.GaussianMixture}
#: Components between which memory is compared.
FEW, MANY = 8, 128


def fitted(library, workload):
    """Return a model with the parameters the rows were drawn from, as a fit in their dtype would leave it."""
    weights, means, covariances = (part.astype(workload.dtype) for part in true_parameters(workload))
    model = LIBRARIES[library](workload.n_components, covariance_type=workload.covariance_type)
    model.weights_, model.means_, model.covariances_ = weights, means, covariances
    precisions = precisions_of(workload.covariance_type, covariances)
    if workload.covariance_type in ("full", "tied"):
        factors = np.swapaxes(np.linalg.inv(np.linalg.cholesky(covariances)), -1, -2)
    else:
        factors = np.sqrt(precisions)
    model.precisions_, model.precisions_cholesky_ = precisions, np.ascontiguousarray(factors)
    model.n_features_in_ = workload.n_features
    model.converged_, model.n_iter_, model.lower_bound_ = True, 1, 0.0
    return model


def extra_memory(method, n_components, n_samples=1_000_000):
    """Return the bytes that scoring takes above the model, the rows and its answer."""
    workload = Workload("full", n_samples, 4, n_components, overlapping=True)
    X, call = make_rows(workload), getattr(fitted("fastgmm", workload), method)
    answer = call(X[:1000])
    answer_bytes = answer.nbytes * (n_samples // 1000)
    return max(0, extra_peak_bytes(lambda: call(X)) - answer_bytes)


def figure(quick):
    """Return figure 6: scoring over scikit-learn's, and memory by the number of components."""
    for workload in WORKLOADS.values():
        workload = workload.shrunk(10 if quick else 1)
        X = make_rows(workload)
        models = {library: fitted(library, workload) for library in LIBRARIES}
        for method in METHODS:
            calls = {name: partial(getattr(model, method), X) for name, model in models.items()}
            seconds = interleaved_medians(calls, 3 if quick else 5)
            ratio = seconds["scikit-learn"] / seconds["fastgmm"]
            detail = f"{1e3 * seconds['fastgmm']:.3g} ms "
            yield at_least(f"{method}, {workload.name}", ratio, 10, "x", detail)
    n_samples = 100_000 if quick else 1_000_000
    for method in METHODS:
        few, many = (extra_memory(method, k, n_samples) for k in (FEW, MANY))
        growth = (many - few) / 2**20
        yield at_most(f"{method}, memory above its answer, K={MANY} over K={FEW}", growth, 4, " MiB")


class ScoreRows:
    """Seconds for a million rows."""

    params = (
        tuple(WORKLOADS),
        tuple(METHODS),
        tuple(LIBRARIES),
    )
    param_names = (
        "workload",
        "method",
        "library",
    )
    timeout = 600
    warmup_time = 0

    def setup(self, workload, method, library):
        workload = WORKLOADS[workload]
        self.X = make_rows(workload)
        self.call = getattr(fitted(library, workload), method)
        self.call(self.X[:1000])

    def time_score_million_rows(self, workload, method, library):
        self.call(self.X)

    def peakmem_score_million_rows(self, workload, method, library):
        self.call(self.X)


class MemoryByComponents:
    """Bytes above rows, model and answer: flat in the number of components."""

    params = (
        tuple(METHODS),
        (FEW, MANY),
    )
    param_names = (
        "method",
        "n_components",
    )
    timeout = 600
    unit = "bytes"

    def track_extra_memory(self, method, n_components):
        return extra_memory(method, n_components)


class CrossCheck:
    """How far the two libraries' log densities lie apart on the rows that are timed."""

    params = (tuple(WORKLOADS),)
    param_names = ("workload",)
    unit = "nats"

    def track_largest_difference(self, workload):
        workload = replace(WORKLOADS[workload], n_samples=20_000)
        X = make_rows(workload)
        ours, theirs = (fitted(library, workload).score_samples(X) for library in LIBRARIES)
        return float(np.abs(ours - theirs).max())
