"""What benchmarks measure below the public interface, in one place: when the package's inside changes, this does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.peers.libraries import precisions_cholesky_of
from benchmarks.workloads import Workload, make_rows, true_parameters
from fastgmm import GaussianMixture, kernels
from fastgmm.data import ArrayRows
from fastgmm.data.e_steps import Plain
from fastgmm.families import Gaussian, get_covariance
from fastgmm.model import MixtureParameters, SufficientStatistics
from fastgmm.starts import kmeans, kmeans_plusplus
from fastgmm.starts.hierarchical import cluster_hierarchically

__all__ = ["Kernel", "em_pass", "kmeans_labels", "kmeans_start", "log_density", "m_step", "seeding", "spurious", "tree"]


class Kernel:
    """The kernels bound to a workload's rows, at the parameters the rows were drawn from."""

    def __init__(self, workload: Workload) -> None:
        self.workload, self.X = workload, make_rows(workload)
        weights, means, covariances = true_parameters(workload)
        factors = precisions_cholesky_of(workload.covariance_type, covariances)
        self.parameters = MixtureParameters(workload.covariance_type, weights, means, covariances, factors)
        self.out = np.empty(len(self.X), self.X.dtype)

    @property
    def flops(self) -> float:
        """Of the full-covariance E-step."""
        n, d, k = self.workload.n_samples, self.workload.n_features, self.workload.n_components
        return float(n) * k * d * (d + 1)

    def e_step(self) -> None:
        """Write every row's log density."""
        kernels.log_density(self.X, self.parameters, self.out)

    def fused_pass(self) -> None:
        """Add every row to new statistics."""
        statistics = SufficientStatistics.zeros(self.parameters.structure, self.parameters.means)
        kernels.accumulate(self.X, None, self.parameters, statistics)


def em_pass(model: GaussianMixture, source) -> Callable[[], object]:
    """Return a call that makes one pass of EM, from a fitted model, over an array or a source of rows."""
    density = model._density()
    passes = Plain().prepare(ArrayRows(source) if isinstance(source, np.ndarray) else source)
    return lambda: passes.accumulate(density)


def log_density(model: GaussianMixture, X: np.ndarray, out: np.ndarray) -> Callable[[], object]:
    """Return a call of the kernel alone."""
    density = model._density()
    return lambda: kernels.log_density(X, density, out)


def seeding(X: np.ndarray, n_clusters: int) -> Callable[[], object]:
    """Return a call of k-means++ with swaps."""
    return lambda: kmeans_plusplus(ArrayRows(X), n_clusters, np.random.RandomState(0), n_swaps=2 * n_clusters + 8)


def kmeans_start(X: np.ndarray, n_clusters: int) -> Callable[[], object]:
    """Return a call of k-means."""
    return lambda: kmeans(ArrayRows(X), n_clusters, np.random.RandomState(0))


def kmeans_labels(X: np.ndarray, n_clusters: int, seed: int) -> np.ndarray:
    """Return the clusters of the rows that k-means makes."""
    return kmeans(ArrayRows(X), n_clusters, np.random.RandomState(seed))[1]


def tree(X: np.ndarray) -> Callable[[], object]:
    """Return a call of the hierarchical clustering that starts a search."""
    return lambda: cluster_hierarchically(ArrayRows(X), np.random.RandomState(0))


def m_step(covariance_type: str, scatter: np.ndarray, counts: np.ndarray) -> Callable[[], object]:
    """Return a call that estimates a family's covariances from nothing; scatter is (K, D, D)."""
    family = get_covariance(covariance_type)
    scatter = np.einsum("kdd->kd", scatter).copy() if covariance_type == "VEI" else scatter
    return lambda: family.estimate(scatter, counts, None)


def spurious(model, n_samples: int) -> bool:
    """Return whether a fitted mixture, scikit-learn's too, has a component that is an accident of a few rows."""
    family = Gaussian(get_covariance(model.covariance_type), model.reg_covar)
    parts = (model.weights_, model.means_, model.covariances_, model.precisions_cholesky_)
    return family.is_spurious(MixtureParameters(family.shape.name, *parts), n_samples)
