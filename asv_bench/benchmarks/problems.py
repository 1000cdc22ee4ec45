"""Data sets of note, the same rows for every library: real ones, and what convergence and starts are measured on.

`SLOW` and `EASY` are fits whose plain EM takes hundreds of passes, or few; `STARTS` are fits with poor local optima;
`MANY_ROWS` are kinds of data of 5000 rows and more, on which default starts are compared.
Each entry is ``name: (make, n_components, covariance_type)`` with ``make() -> X``. `REAL` are rows as they come.
"""

from __future__ import annotations

from functools import cache, partial

import numpy as np
from sklearn import datasets

from benchmarks.workloads import make_rows, workload

__all__ = ["EASY", "MANY_ROWS", "REAL", "SLOW", "STARTS", "draw", "rows_and_components", "rows_of"]


def draw(seed, n_samples, means, covariances, weights=None):
    """Return rows of a Gaussian mixture, grouped by component; a covariance may be a matrix, variances or a number."""
    rng = np.random.RandomState(seed)
    means = np.asarray(means, dtype=float)
    n_components, n_features = means.shape
    weights = np.full(n_components, 1.0 / n_components) if weights is None else np.asarray(weights) / np.sum(weights)
    parts = []
    for mean, covariance, count in zip(means, covariances, rng.multinomial(n_samples, weights), strict=True):
        covariance = np.asarray(covariance, dtype=float)
        if covariance.ndim < 2:
            covariance = np.eye(n_features) * covariance
        parts.append(rng.multivariate_normal(mean, covariance, size=count))
    return np.vstack(parts)


def _principal(X, n_components, standardise=False):
    X = X - X.mean(axis=0)
    if standardise:
        X = X / X.std(axis=0)
    u, singular, _ = np.linalg.svd(X, full_matrices=False)
    return u[:, :n_components] * singular[:n_components]


def _random_covariances(seed, n_components, n_features, floor=0.1):
    A = np.random.RandomState(seed).standard_normal((n_components, n_features, n_features))
    return A @ A.transpose(0, 2, 1) / n_features + floor * np.eye(n_features)


def _means(seed, n_components, n_features, spread):
    return np.random.RandomState(seed).standard_normal((n_components, n_features)) * spread


def _grid(seed, side, per_cell, sd):
    means = np.array([[i, j] for i in range(side) for j in range(side)], dtype=float)
    return draw(seed, per_cell * side * side, means, [sd**2] * side**2)


def _pixels(name, step):
    return datasets.load_sample_image(name)[::step, ::step].reshape(-1, 3) / 255.0


def _faithful():
    from fastgmm.datasets import load_faithful

    return load_faithful()


def _iris():
    return datasets.load_iris().data


def _wine():
    return datasets.load_wine().data


def _digits(n_features):
    return _principal(datasets.load_digits().data, n_features)


def _cancer(n_features):
    return _principal(datasets.load_breast_cancer().data, n_features, standardise=True)


def _diabetes():
    X = datasets.load_diabetes().data[:, 2:9]
    return X / X.std(axis=0)


def _heavy_tails(seed, n_samples, n_features):
    return np.random.RandomState(seed).standard_t(3, size=(n_samples, n_features))


SLOW = {
    "two overlapping": (lambda: draw(0, 3000, [[0.0], [2.0]], [1, 1]), 2, "full"),
    "three overlapping": (
        lambda: draw(1, 3000, [[0, 0], [2, 0], [0, 2]], [1, [[1, 0.5], [0.5, 1]], [0.6, 1.5]]),
        3,
        "full",
    ),
    "concentric, sd 0.5 to 2": (lambda: draw(2, 3000, [[0, 0, 0], [0.3, 0, 0], [0, 0.5, 0]], [1, 4, 0.3]), 3, "full"),
    "five fitted to two": (lambda: draw(3, 2000, [[0, 0], [3, 1]], [1, [[1, 0.7], [0.7, 1]]]), 5, "full"),
    "near-singular, sd 1:100": (
        lambda: draw(
            4,
            3000,
            [[0, 0, 0, 0], [1.8, 0, 0, 0], [0, 1.8, 0, 0.01]],
            [[1, 1, 1, 1e-4], [2, 2, 2, 2e-4], [1, 1, 1, 1e-4]],
        ),
        3,
        "full",
    ),
    "tied fitted to three": (lambda: draw(6, 3000, [[0, 0, 0], [1.5, 0, 0], [0, 1.5, 0]], [1, 1, 1]), 4, "tied"),
    "diag on correlated": (
        lambda: draw(5, 3000, [[0, 0], [1, 1]], [[[1, 0.95], [0.95, 1]], [[1, -0.8], [-0.8, 1]]]),
        12,
        "diag",
    ),
    "ten overlapping": (
        lambda: draw(9, 5000, np.random.RandomState(9).uniform(-5, 5, (10, 2)), [1] * 10),
        10,
        "full",
    ),
    "ten features": (lambda: draw(10, 4000, _means(10, 4, 10, 0.6), [1, 1, 2, 0.5]), 4, "full"),
    "heavy tails": (lambda: _heavy_tails(8, 3000, 2), 4, "full"),
    "Old Faithful, K=4": (_faithful, 4, "full"),
    "Old Faithful, tied, K=5": (_faithful, 5, "tied"),
    "flower pixels, K=8": (lambda: _pixels("flower.jpg", 8), 8, "full"),
    "breast cancer, 3 features, K=6": (lambda: _cancer(3), 6, "full"),
    "digits, 2 features, K=12": (lambda: _digits(2), 12, "full"),
    "china pixels, K=8": (lambda: _pixels("china.jpg", 8), 8, "full"),
}

EASY = {
    "Old Faithful, K=2": (_faithful, 2, "full"),
    "iris, K=2": (_iris, 2, "full"),
    "iris, K=3": (_iris, 3, "full"),
    "iris, tied, K=3": (_iris, 3, "tied"),
    "wine, K=3": (_wine, 3, "full"),
    "wine, diag, K=3": (_wine, 3, "diag"),
    "digits, 10 features, K=10": (lambda: _digits(10), 10, "full"),
    "china pixels, K=5": (lambda: _pixels("china.jpg", 6), 5, "full"),
    "separated": (lambda: draw(0, 3000, [[0, 0], [6, 0], [0, 6]], [1, 1, 1]), 3, "full"),
    "separated, diag": (lambda: draw(1, 3000, _means(1, 5, 4, 6.0), [1] * 5), 5, "diag"),
}


def _elongated(seed, n_components, length):
    # Parallel sticks: k-means cuts them across.
    means = np.stack([np.zeros(n_components), np.arange(n_components) * 1.0], axis=1)
    return draw(seed, 400 * n_components, means, [[length**2, 0.04]] * n_components)


def _star(seed, n_components):
    angles = np.arange(n_components) * np.pi / n_components
    axes = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    covariances = [25.0 * np.outer(a, a) + 0.02 * np.eye(2) for a in axes]
    return draw(seed, 400 * n_components, np.zeros((n_components, 2)), covariances)


STARTS = {
    "iris, K=3": (_iris, 3, "full"),
    "iris, tied, K=4": (_iris, 4, "tied"),
    "wine, diag, K=3": (_wine, 3, "diag"),
    "wine, tied, K=4": (_wine, 4, "tied"),
    "wine, 4 features, K=4": (lambda: _principal(_wine(), 4, True), 4, "full"),
    "breast cancer, 4 features, K=4": (lambda: _cancer(4), 4, "full"),
    "breast cancer, diag, K=6": (lambda: _cancer(8), 6, "diag"),
    "digits, 8 features, K=10": (lambda: _digits(8), 10, "full"),
    "digits, 30 features, diag, K=10": (lambda: _digits(30), 10, "diag"),
    "digits, 16 features, tied, K=12": (lambda: _digits(16), 12, "tied"),
    "diabetes, K=3": (_diabetes, 3, "full"),
    "diabetes, spherical, K=6": (_diabetes, 6, "spherical"),
    "Old Faithful, K=3": (_faithful, 3, "full"),
    "china pixels, K=6": (lambda: _pixels("china.jpg", 6), 6, "full"),
    "flower pixels, K=10": (lambda: _pixels("flower.jpg", 6), 10, "full"),
    "grid 5 x 5": (lambda: _grid(0, 5, 100, 0.1), 25, "full"),
    "grid 5 x 5, spherical": (lambda: _grid(1, 5, 100, 0.15), 25, "spherical"),
    "grid 5 x 5, overlapping": (lambda: _grid(2, 5, 200, 0.25), 25, "full"),
    "grid 10 x 10": (lambda: _grid(3, 10, 100, 0.1), 100, "full"),
    "grid 10 x 10, diag": (lambda: _grid(4, 10, 60, 0.12), 100, "diag"),
    "weights 1:100": (
        lambda: draw(5, 5000, [[0, 0], [4, 0], [0, 4], [4, 4]], [1, 1, 1, 0.1], [100, 100, 50, 1]),
        4,
        "full",
    ),
    "weights 1:100, D=10": (
        lambda: draw(6, 6000, _means(6, 6, 10, 2.0), [1] * 6, [100, 60, 30, 10, 3, 1]),
        6,
        "full",
    ),
    "weights 1:100, D=1": (lambda: draw(7, 4000, [[0], [5], [7], [12]], [1, 0.1, 0.1, 2], [100, 10, 1, 50]), 4, "full"),
    "sticks, K=4": (lambda: _elongated(8, 4, 3.0), 4, "full"),
    "sticks, K=8": (lambda: _elongated(9, 8, 5.0), 8, "full"),
    "sticks, tied, K=6": (lambda: _elongated(10, 6, 4.0), 6, "tied"),
    "star, K=3": (lambda: _star(11, 3), 3, "full"),
    "star, K=5": (lambda: _star(12, 5), 5, "full"),
    "nested, D=2": (lambda: draw(13, 3000, [[0, 0], [0, 0], [0.5, 0]], [0.05, 1, 20]), 3, "full"),
    "nested, D=5": (lambda: draw(14, 3000, np.zeros((3, 5)), [0.1, 1, 10]), 3, "full"),
    "overlapping, D=2, K=8": (lambda: draw(15, 4000, _means(15, 8, 2, 3.0), _random_covariances(15, 8, 2)), 8, "full"),
    "overlapping, D=5, K=10": (
        lambda: draw(16, 6000, _means(16, 10, 5, 1.5), _random_covariances(16, 10, 5)),
        10,
        "full",
    ),
    "D=20, K=10": (lambda: draw(17, 5000, _means(17, 10, 20, 1.0), _random_covariances(17, 10, 20)), 10, "full"),
    "D=50, K=5": (lambda: draw(18, 4000, _means(18, 5, 50, 0.7), _random_covariances(18, 5, 50)), 5, "full"),
    "D=50, diag, K=20": (lambda: draw(19, 4000, _means(19, 20, 50, 1.0), [1] * 20), 20, "diag"),
    "D=1, K=6": (lambda: draw(20, 3000, [[0], [1.5], [4], [5], [9], [20]], [0.1, 0.3, 0.2, 0.1, 2, 9]), 6, "full"),
}


def _mixed(seed, n_samples, n_features, n_components, spread, concentration=None, diagonal=False):
    rng = np.random.RandomState(seed)
    weights = np.full(n_components, 1.0 / n_components)
    if concentration is not None:
        weights = rng.dirichlet(np.full(n_components, concentration))
    means, parts = rng.standard_normal((n_components, n_features)) * spread, []
    for mean, count in zip(means, rng.multinomial(n_samples, weights), strict=True):
        a = rng.standard_normal((n_features, n_features))
        covariance = a @ a.T / n_features + 0.1 * np.eye(n_features)
        if diagonal:
            covariance = np.diag(rng.gamma(2, 0.5, n_features) + 0.05)
        parts.append(rng.multivariate_normal(mean, covariance, size=count))
    return rng.permutation(np.vstack(parts))


def _kind(n_data, n_components, covariance_type, *sizes, **options):
    return [partial(_mixed, seed, *sizes, **options) for seed in range(n_data)], n_components, covariance_type


#: Each entry is ``name: (makes, n_components, covariance_type)``, several sets of data of one kind.
MANY_ROWS = {
    "K=12, Dirichlet(0.7) weights, overlapping": _kind(4, 12, "full", 40_000, 4, 12, 1.5, 0.7),
    "K=12, Dirichlet(0.7) weights": _kind(4, 12, "full", 40_000, 4, 12, 3.0, 0.7),
    "K=12, Dirichlet(0.7) weights, fewer rows": _kind(4, 12, "full", 10_000, 4, 12, 2.0, 0.7),
    "K=20, Dirichlet(1) weights": _kind(3, 20, "full", 20_000, 8, 20, 1.5, 1.0),
    "K=8, equal weights, D=2": _kind(4, 8, "full", 20_000, 2, 8, 3.0),
    "K=15, Dirichlet(0.5) weights": _kind(4, 15, "full", 20_000, 2, 15, 4.0, 0.5),
    "K=8, equal weights, D=16": _kind(3, 8, "full", 10_000, 16, 8, 1.0),
    "K=15, Dirichlet(1) weights": _kind(2, 15, "full", 15_000, 10, 15, 1.2, 1.0),
    "K=30, Dirichlet(1) weights": _kind(2, 30, "full", 30_000, 3, 30, 3.0, 1.0),
    "K=5, tied": _kind(4, 5, "tied", 12_000, 5, 5, 1.2, 1.0),
    "K=6, diag": _kind(2, 6, "diag", 10_000, 30, 6, 0.7, 1.0, diagonal=True),
    "K=10, spherical": _kind(3, 10, "spherical", 10_000, 8, 10, 1.2, 1.0, diagonal=True),
    "K=6, Dirichlet(0.7) weights": _kind(4, 6, "full", 6000, 8, 6, 1.0, 0.7),
    "K=8, Dirichlet(1) weights": _kind(4, 8, "full", 6000, 4, 8, 1.5, 1.0),
    "K=10, diag": _kind(4, 10, "diag", 5000, 5, 10, 1.5, 1.0, diagonal=True),
    "K=6, tied": _kind(4, 6, "tied", 5000, 3, 6, 2.0, 1.0),
    "K=10, spherical, fewer rows": _kind(4, 10, "spherical", 5000, 6, 10, 1.5, 1.0, diagonal=True),
    "china pixels, K=8": ([lambda: _pixels("china.jpg", 3)], 8, "full"),
    "flower pixels, diag, K=10": ([lambda: _pixels("flower.jpg", 3)], 10, "diag"),
    "Student's t(3), K=6": ([partial(_heavy_tails, seed, 10_000, 3) for seed in range(3)], 6, "full"),
}


@cache
def rows_of(make):
    """Return the rows of a problem, C-contiguous float64, made once."""
    return np.ascontiguousarray(make(), dtype=np.float64)


#: Blank pixels of the digits leave a covariance with reg_covar alone on its diagonal; every library fits it.
REAL = {
    "faithful": _faithful,
    "iris": _iris,
    "breast cancer": lambda: datasets.load_breast_cancer().data,
    "digits": lambda: datasets.load_digits().data,
}


def rows_and_components(name):
    """Return the rows of a workload and its number of components, or those of ``iris``, or of ``iris K=3``."""
    data, _, n_components = name.rpartition(" K=") if name not in REAL else (name, "", "0")
    if data in REAL:
        return rows_of(REAL[data]), int(n_components)
    chosen = workload(name)
    return make_rows(chosen), chosen.n_components
