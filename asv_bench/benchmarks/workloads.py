"""Data and starts of any size, separated or heavily overlapping, and the one table of what is measured on them.

Nothing here imports fastgmm, so a process that measures a peer stays free of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from benchmarks.timing import SETTINGS

__all__ = ["Parameters", "Workload", "asked", "draw_rows", "make_rows", "make_start", "true_parameters", "workload"]

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

    @classmethod
    def parse(cls, name: str) -> Workload:
        """Return the workload of a name, such as `name` gives."""
        covariance_type, rows, _, n_features, n_components, kind, *single = name.split()
        n_samples = int(rows.rstrip("kM")) * {"k": 1_000, "M": 1_000_000}.get(rows[-1], 1)
        sizes = n_samples, int(n_features), int(n_components.removeprefix("K="))
        return cls(covariance_type, *sizes, kind == "overlapping", single[0] if single else "float64")

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


def make_rows(workload: Workload, *part: int) -> np.ndarray:
    """Return the rows, (n_samples, n_features) of the workload's dtype, in random order; each part has its own."""
    return draw_rows(workload, *part)[0]


def draw_rows(workload: Workload, *part: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the same and the component that each row is from, (n_samples,)."""
    weights, means, covariances = true_parameters(workload)
    rng = np.random.default_rng([workload.seed, 2, *part])
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
    return np.ascontiguousarray(X, dtype=workload.dtype), labels


def make_start(workload: Workload) -> Parameters:
    """Return parameters to start EM from: the true ones, off by enough that many iterations still move them."""
    _, means, covariances = true_parameters(workload)
    rng = np.random.default_rng([workload.seed, 3])
    k = workload.n_components
    off = rng.normal(size=means.shape) * (0.3 if workload.overlapping else 0.8) / np.sqrt(workload.n_features)
    return Parameters(np.full(k, 1.0 / k), means + off, 1.3 * covariances)


#: Every workload by name, and the questions it is asked for: a benchmark takes what `asked` returns for its own.
#: Names that are no sizes are data sets of `problems`, fitted with that many components.
WORKLOADS = {
    "full 1M x 1 K=3 separated": "iterations",
    "full 500k x 1 K=5 overlapping": "peers",
    "full 1M x 1 K=8 overlapping": "narrow",
    "full 20k x 2 K=5 separated": "fit version-fit",
    "full 1M x 2 K=8 separated": "peers scoring",
    "full 1M x 2 K=8 overlapping": "iterations peers narrow version engines page",
    "full 1M x 3 K=8 separated": "iterations regimes threads version",
    "full 1M x 3 K=8 separated float32": "iterations peers page",
    "full 1M x 3 K=8 overlapping": "iterations regimes narrow",
    "full 1M x 3 K=8 overlapping float32": "iterations",
    "full 150k x 4 K=3 overlapping": "fit",
    "full 60k x 4 K=8 overlapping": "refits",
    "full 1M x 4 K=8 overlapping": "narrow",
    "full 500k x 4 K=16 separated float32": "iterations",
    "full 1M x 8 K=10 separated float32": "scoring",
    "full 200k x 8 K=16 separated": "fit version-fit",
    "full 200k x 8 K=16 overlapping": "peers stream page",
    "full 200k x 8 K=100 overlapping": "iterations version",
    "full 2M x 16 K=16 overlapping float32": "sources",
    "full 1M x 16 K=16 overlapping": "scoring",
    "full 200k x 16 K=32 separated": "iterations regimes peers version engines page",
    "full 200k x 16 K=32 separated float32": "iterations peers",
    "full 200k x 16 K=32 overlapping": "iterations regimes peers product threads bayesian version engines page",
    "full 200k x 16 K=32 overlapping float32": "iterations version",
    "full 100k x 16 K=32 overlapping": "fit",
    "full 50k x 32 K=20 separated float32": "fit",
    "full 100k x 32 K=32 overlapping": "product",
    "full 100k x 32 K=32 overlapping float32": "product",
    "full 20k x 64 K=10 separated": "fit",
    "full 50k x 64 K=20 overlapping": "iterations",
    "full 100k x 64 K=32 overlapping": "product",
    "full 100k x 64 K=32 overlapping float32": "product engines",
    "full 50k x 64 K=32 overlapping": "peers page",
    "full 50k x 128 K=64 separated": "iterations regimes peers skipping threads version",
    "full 50k x 128 K=64 separated float32": "iterations",
    "full 50k x 128 K=64 overlapping": "iterations regimes peers product",
    "full 50k x 128 K=64 overlapping float32": "iterations product",
    "tied 500k x 2 K=30 separated float32": "iterations page",
    "tied 5k x 5 K=4 overlapping": "search",
    "tied 1M x 16 K=16 separated": "scoring",
    "tied 200k x 32 K=64 separated": "iterations regimes peers threads version engines page",
    "tied 200k x 32 K=64 separated float32": "iterations",
    "tied 200k x 32 K=64 overlapping": "iterations regimes",
    "tied 200k x 32 K=64 overlapping float32": "iterations",
    "tied 50k x 128 K=100 overlapping": "iterations",
    "diag 1M x 1 K=5 overlapping": "iterations version",
    "diag 500k x 4 K=16 overlapping": "peers page",
    "diag 500k x 4 K=64 separated float32": "iterations",
    "diag 1M x 16 K=32 overlapping": "scoring",
    "diag 64k x 16 K=100 separated": "start",
    "diag 64k x 16 K=1000 separated": "start",
    "diag 64k x 16 K=2000 separated": "start truncated",
    "diag 200k x 32 K=64 separated": "peers page",
    "diag 200k x 32 K=64 separated float32": "peers",
    "diag 200k x 40 K=256 separated": "iterations regimes",
    "diag 200k x 40 K=256 separated float32": "iterations",
    "diag 200k x 40 K=256 overlapping": "iterations regimes peers threads bayesian version engines",
    "diag 200k x 40 K=256 overlapping float32": "iterations peers page",
    "diag 100k x 64 K=1000 separated": "iterations peers truncated",
    "diag 100k x 64 K=1000 separated float32": "peers",
    "diag 100k x 128 K=16 overlapping": "iterations",
    "spherical 1M x 2 K=3 separated float32": "iterations page",
    "spherical 1M x 8 K=16 separated": "scoring",
    "spherical 100k x 16 K=1000 separated": "iterations",
    "spherical 200k x 32 K=64 separated": "iterations regimes peers version engines page",
    "spherical 200k x 32 K=64 separated float32": "iterations",
    "spherical 200k x 32 K=64 overlapping": "iterations regimes",
    "spherical 200k x 32 K=64 overlapping float32": "iterations",
    "spherical 100k x 100 K=50 overlapping": "iterations page",
    "breast cancer K=2": "fit",
    "digits K=10": "fit version-fit",
    "faithful": "search",
    "iris": "search",
    "iris K=3": "fit version-fit",
}


def asked(*questions: str) -> tuple[str, ...]:
    """Return the names of the workloads on which any of the questions is asked."""
    return tuple(name for name, known in WORKLOADS.items() if set(questions) & set(known.split()))


def workload(name: str) -> Workload:
    """Return the workload of a name, with the seed and as many rows as the settings want."""
    return replace(Workload.parse(name), seed=SETTINGS.seed).shrunk(SETTINGS.shrink)
