"""Small data that the golden cases are fitted to: bundled, and drawn from frozen generators."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from fastgmm.datasets import load_faithful

__all__ = ["Data", "data"]

IRIS = Path(__file__).parents[1] / "data" / "iris.csv"


@dataclass(frozen=True)
class Data:
    """Rows, and what a case may know of them beside.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
    component : ndarray of shape (n_samples,), int64
        Which of the groups that the data are made of each row belongs to.
    """

    X: np.ndarray
    component: np.ndarray

    @property
    def n_groups(self):
        return int(self.component.max()) + 1

    @property
    def weight(self):
        """Real weights about one."""
        return np.random.RandomState(11).uniform(0.3, 1.7, size=len(self.X))

    @property
    def repeats(self):
        """Whole weights, a fifth of them zero."""
        return np.random.RandomState(12).randint(0, 5, size=len(self.X)).astype(np.float64)

    @property
    def few_labels(self):
        """The component of every sixth row, -1 for the others."""
        return np.where(np.arange(len(self.X)) % 6 == 0, self.component, -1)

    @property
    def responsibilities(self):
        """Memberships that are mostly those of the groups."""
        shares = np.random.RandomState(13).dirichlet(np.ones(self.n_groups), size=len(self.X))
        shares = 0.3 * shares + 0.7 * np.eye(self.n_groups)[self.component]
        return shares / shares.sum(axis=1, keepdims=True)

    @property
    def first_rows(self):
        """A row of each group, as means to start from."""
        return np.array([self.X[np.flatnonzero(self.component == k)[3]] for k in range(self.n_groups)], dtype=float)

    @property
    def isolated(self):
        """A mask of the twelve rows furthest from the middle."""
        distance = ((self.X - self.X.mean(axis=0)) ** 2 / self.X.var(axis=0)).sum(axis=1)
        return distance >= np.sort(distance)[-12]

    @property
    def asked(self):
        """The rows that predictions are recorded of."""
        return np.ascontiguousarray(self.X[:: len(self.X) // 8][:8])


def _groups(seed, sizes, n_features, spread):
    """Return groups of different sizes, each with a covariance of its own, in mixed order."""
    random = np.random.RandomState(seed)
    parts = []
    for size in sizes:
        axes = random.normal(size=(n_features, n_features)) / np.sqrt(n_features) + 0.6 * np.eye(n_features)
        parts.append(random.normal(size=(size, n_features)) @ axes + spread * random.normal(size=n_features))
    component = np.repeat(np.arange(len(sizes)), sizes)
    order = random.permutation(len(component))
    return np.concatenate(parts)[order], component[order]


def _iris():
    return np.loadtxt(IRIS, delimiter=",", skiprows=1), np.repeat(np.arange(3), 50)


def _faithful():
    X = load_faithful()
    return X, (X[:, 0] > 3.0).astype(np.int64)


def _spoiled():
    """Two groups and fifteen rows spread over a wide box."""
    X, component = _groups(5, (90, 75), 2, 4.0)
    far = np.random.RandomState(6).uniform(-25.0, 25.0, size=(15, 2))
    order = np.random.RandomState(7).permutation(180)
    return np.concatenate([X, far])[order], np.concatenate([component, np.zeros(15, dtype=np.int64)])[order]


_MAKERS = {
    "blobs": lambda: _groups(1, (90, 70, 50), 3, 3.0),
    "overlap": lambda: _groups(2, (130, 110), 2, 0.9),
    "line": lambda: _groups(3, (80, 60), 1, 3.0),
    "wide": lambda: _groups(4, (110, 90), 9, 2.0),
    "slow": lambda: _groups(22, (900, 700, 500), 3, 0.8),
    "large": lambda: _groups(9, (9000, 8000, 6000, 4000, 3000), 5, 4.0),
    "many": lambda: _groups(8, (800, 700, 600, 500), 2, 4.0),
    "spoiled": _spoiled,
    "iris": _iris,
    "faithful": _faithful,
}
#: Added to every number of "blobs".
_OFFSETS = {"far": 1e6, "aside": 1e3}


@cache
def data(name, dtype="float64"):
    """Return the data called `name`, with rows of `dtype`, read-only."""
    X, component = _MAKERS["blobs" if name in _OFFSETS else name]()
    X = np.ascontiguousarray(X + _OFFSETS.get(name, 0.0), dtype=dtype)
    X.flags.writeable = False
    return Data(X, component)
