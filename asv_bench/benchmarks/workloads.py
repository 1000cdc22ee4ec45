"""Data and starts of any size, separated or heavily overlapping, and the workloads that are compared everywhere.

Nothing here imports fastgmm, so a process that measures a peer stays free of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

__all__ = [
    "BREADTH",
    "ENGINE",
    "Parameters",
    "Workload",
    "make_rows",
    "make_start",
    "true_parameters",
]

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")


@dataclass(frozen=True)
class Workload:
    """A size, a structure and how far components overlap.

    Attributes
    ----------
    covariance_type : {'full', 'tied', 'diag', 'spherical'}
    n_samples, n_features, n_components : int
    overlapping : bool
        False: means some twelve standard deviations apart, so that nearly every row belongs to one component.
        True: means about two apart and covariances alike, so that every component has a share in most rows.
    dtype : {'float64', 'float32'}
    seed : int
    """

    covariance_type: str
    n_samples: int
    n_features: int
    n_components: int
    overlapping: bool = False
    dtype: str = "float64"
    seed: int = 0

    @property
    def name(self) -> str:
        """Such as ``full 200k x 16 K=32 separated float32``."""
        rows = f"{self.n_samples // 1000}k" if self.n_samples % 1000 == 0 else f"{self.n_samples}"
        rows = f"{rows[:-4]}M" if rows.endswith("000k") else rows
        kind = "overlapping" if self.overlapping else "separated"
        single = " float32" if self.dtype == "float32" else ""
        return f"{self.covariance_type} {rows} x {self.n_features} K={self.n_components} {kind}{single}"

    def shrunk(self, factor: int) -> Workload:
        """Return the same with fewer rows, though never so few that a component's covariance is singular."""
        per_component = max(20, 4 * self.n_features if self.covariance_type == "full" else 0)
        least = min(self.n_samples, max(2_000, per_component * self.n_components))
        return replace(self, n_samples=max(least, self.n_samples // factor))


class Parameters(NamedTuple):
    """Parameters of a mixture, float64; `covariances` in scikit-learn's shape for the type."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


def _means(workload: Workload, rng: np.random.Generator) -> np.ndarray:
    k, d = workload.n_components, workload.n_features
    if workload.overlapping:
        # Two independent means are sqrt(2 d) times the scale apart.
        return rng.normal(size=(k, d)) * (2.0 / np.sqrt(2.0 * d))
    if d > 4:
        return rng.normal(size=(k, d)) * max(2.0, 20.0 / np.sqrt(2.0 * d))
    # In few dimensions means drawn at random meet; a jittered lattice keeps them apart.
    side = int(np.ceil(k ** (1.0 / d) - 1e-9))
    cells = rng.choice(side**d, size=k, replace=False)
    lattice = np.stack(np.unravel_index(cells, (side,) * d), axis=1)
    return 12.0 * lattice + rng.uniform(-1.0, 1.0, size=(k, d))


def _covariances(workload: Workload, rng: np.random.Generator) -> np.ndarray:
    k, d = workload.n_components, workload.n_features
    # Differences in shape separate components too, by an amount that grows with the number of features.
    spread = 0.5 / np.sqrt(d) if workload.overlapping else 0.3
    if workload.covariance_type == "spherical":
        return np.exp(rng.normal(size=k) * spread / np.sqrt(d))
    if workload.covariance_type == "diag":
        return np.exp(rng.normal(size=(k, d)) * spread)
    count = 1 if workload.covariance_type == "tied" else k
    common = np.linalg.qr(rng.normal(size=(d, d)))[0]
    matrices = np.empty((count, d, d))
    for matrix in matrices:
        axes = common if workload.overlapping else np.linalg.qr(rng.normal(size=(d, d)))[0]
        matrix[:] = (axes * np.exp(rng.normal(size=d) * spread)) @ axes.T
        matrix[:] = 0.5 * (matrix + matrix.T)
    return matrices[0] if workload.covariance_type == "tied" else matrices


def true_parameters(workload: Workload) -> Parameters:
    """Return what the rows are drawn from."""
    rng = np.random.default_rng([workload.seed, 1])
    weights = rng.uniform(0.5, 1.5, size=workload.n_components)
    return Parameters(weights / weights.sum(), _means(workload, rng), _covariances(workload, rng))


def make_rows(workload: Workload) -> np.ndarray:
    """Return the rows, (n_samples, n_features) of the workload's dtype, in random order."""
    weights, means, covariances = true_parameters(workload)
    rng = np.random.default_rng([workload.seed, 2])
    labels = rng.choice(workload.n_components, size=workload.n_samples, p=weights)
    X = rng.normal(size=(workload.n_samples, workload.n_features))
    if workload.covariance_type == "tied":
        X = X @ np.linalg.cholesky(covariances).T
    elif workload.covariance_type == "full":
        order = np.argsort(labels, kind="stable")
        edges = np.searchsorted(labels[order], np.arange(workload.n_components + 1))
        for k, factor in enumerate(np.linalg.cholesky(covariances)):
            mine = order[edges[k] : edges[k + 1]]
            X[mine] = X[mine] @ factor.T
    elif workload.covariance_type == "diag":
        X *= np.sqrt(covariances)[labels]
    else:
        X *= np.sqrt(covariances)[labels, None]
    X += means[labels]
    return np.ascontiguousarray(X, dtype=workload.dtype)


def make_start(workload: Workload) -> Parameters:
    """Return parameters to start EM from: the true ones, off by enough that many iterations still move them."""
    _, means, covariances = true_parameters(workload)
    rng = np.random.default_rng([workload.seed, 3])
    k = workload.n_components
    off = rng.normal(size=means.shape) * (0.3 if workload.overlapping else 0.8) / np.sqrt(workload.n_features)
    return Parameters(np.full(k, 1.0 / k), means + off, 1.3 * covariances)


#: One per structure and regime: what every figure of speed is first read on.
ENGINE = (
    Workload("full", 1_000_000, 3, 8),
    Workload("full", 200_000, 16, 32),
    Workload("full", 50_000, 128, 64),
    Workload("diag", 200_000, 40, 256),
    Workload("tied", 200_000, 32, 64),
    Workload("spherical", 200_000, 32, 64),
)

#: From 1 to 128 features and 3 to 1000 components, both dtypes, where the ones above are not.
BREADTH = (
    Workload("full", 1_000_000, 1, 3),
    Workload("full", 1_000_000, 2, 8, overlapping=True),
    Workload("full", 500_000, 4, 16),
    Workload("full", 200_000, 8, 100, overlapping=True),
    Workload("full", 50_000, 64, 20, overlapping=True),
    Workload("tied", 500_000, 2, 30),
    Workload("tied", 50_000, 128, 100, overlapping=True),
    Workload("diag", 1_000_000, 1, 5, overlapping=True),
    Workload("diag", 500_000, 4, 64),
    Workload("diag", 100_000, 64, 1000),
    Workload("diag", 100_000, 128, 16, overlapping=True),
    Workload("spherical", 1_000_000, 2, 3),
    Workload("spherical", 100_000, 16, 1000),
    Workload("spherical", 100_000, 100, 50, overlapping=True),
)
