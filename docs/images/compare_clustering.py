"""Draws the picture of the page on comparing clustering methods, and prints its table.

Run by ``python docs/images/compare_clustering.py``.

Each method runs at its defaults, told the number of clusters if it takes one, and at the best of a few settings, chosen
with the true labels: no method could choose so well by itself, and all have the same help.
"""

import itertools
import warnings
from io import BytesIO
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn import datasets
from sklearn.cluster import HDBSCAN, KMeans, SpectralClustering
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from fastgmm import GaussianMixture, GaussianMixtureClusterer
from fastgmm.plotting.palette import COLOURS

HERE = Path(__file__).parent
# Spectral clustering's graph of neighbours falls into parts where clusters are far apart.
warnings.filterwarnings("ignore", message="Graph is not fully connected")


def in_noise():
    """Three dense clusters of different size, and as many rows spread evenly."""
    rng = np.random.default_rng(0)
    middles, deviations = [[-4, -4], [4, -3], [0, 5]], [0.3, 0.5, 0.8]
    clusters = [rng.normal(m, s, (150, 2)) for m, s in zip(middles, deviations, strict=True)]
    X = np.concatenate([*clusters, rng.uniform(-10, 10, (450, 2))])
    return X, np.repeat([0, 1, 2, -1], [150, 150, 150, 450])


def moons_in_noise():
    """Two moons, and as many rows spread evenly."""
    moons, which = datasets.make_moons(500, noise=0.05, random_state=0)
    noise = np.random.default_rng(0).uniform(-9, 9, (500, 2))
    return np.concatenate([4.0 * (moons - moons.mean(axis=0)), noise]), np.concatenate([which, np.full(500, -1)])


def overlapping():
    """Three ellipses that share rows."""
    rng = np.random.default_rng(0)
    covariances = [[[1.0, 0.8], [0.8, 1.0]], [[1.5, -1.0], [-1.0, 1.2]], [[0.3, 0.0], [0.0, 2.0]]]
    means = [[0, 0], [2.5, 2.0], [3.5, -1.5]]
    X = [rng.multivariate_normal(m, c, 300) for m, c in zip(means, covariances, strict=True)]
    return np.concatenate(X), np.repeat([0, 1, 2], 300)


def toy_data():
    """The data of scikit-learn's comparison of clustering methods, and three more."""
    blobs = datasets.make_blobs(500, random_state=8)
    stretched, which = datasets.make_blobs(500, random_state=170)
    return {
        "circles": datasets.make_circles(500, factor=0.5, noise=0.05, random_state=170),
        "moons": datasets.make_moons(500, noise=0.05, random_state=170),
        "three sizes": datasets.make_blobs(500, cluster_std=[1.0, 2.5, 0.5], random_state=170),
        "stretched": (stretched @ [[0.6, -0.6], [-0.4, 0.8]], which),
        "blobs": blobs,
        "overlapping": overlapping(),
        "half noise": in_noise(),
        "moons in noise": moons_in_noise(),
    }


def methods(k):
    """Return for each method its default and the settings to choose from."""
    kinds = ("full", "tied", "diag", "spherical")
    mixtures = [
        GaussianMixture(k, covariance_type=kind, noise=noise, random_state=0)
        for kind, noise in itertools.product(kinds, (None, 0.1, 0.5))
    ]
    clusterers = [
        GaussianMixtureClusterer(n, noise=noise, random_state=0)
        for n, noise in itertools.product((k, "auto"), (None, 0.1, 0.5))
    ]
    return {
        "KMeans": (KMeans(k, random_state=0), [KMeans(k, n_init=50, random_state=0)]),
        "SpectralClustering": (
            SpectralClustering(k, random_state=0),
            [SpectralClustering(k, gamma=g, random_state=0) for g in (0.1, 1.0, 10.0, 50.0)]
            + [
                SpectralClustering(k, affinity="nearest_neighbors", n_neighbors=n, random_state=0)
                for n in (5, 10, 20, 40)
            ],
        ),
        "HDBSCAN": (
            HDBSCAN(copy=True),
            [HDBSCAN(size, min_samples=m, copy=True) for size in (5, 10, 20, 40, 80) for m in (5, 15)],
        ),
        "GaussianMixture": (GaussianMixture(k, random_state=0), mixtures),
        "GaussianMixtureClusterer": (GaussianMixtureClusterer(random_state=0), clusterers),
    }


def labels_of(method, X):
    """Return a method's labels, -1 where it calls a row noise."""
    return method.fit(X).predict(X) if isinstance(method, GaussianMixture) else method.fit_predict(X)


def agreement(truth, labels):
    """Return the adjusted Rand index to two digits, without a sign before zero."""
    return round(adjusted_rand_score(truth, labels), 2) + 0.0


def main():
    """Fit all, draw the defaults, and print both figures of each."""
    data, names = toy_data(), list(methods(2))
    fig, axes = plt.subplots(len(data), len(names), figsize=(9.5, 13.8), layout="constrained", dpi=100)
    palette = np.array([matplotlib.colors.to_rgb(colour) for colour in COLOURS])
    print("| default, tuned |", " | ".join(names), "|")
    print("|---|" + "---:|" * len(names))
    for row, (title, (X, truth)) in zip(axes, data.items(), strict=True):
        X, cells = StandardScaler().fit_transform(X), []
        for ax, (default, others) in zip(row, methods(truth.max() + 1).values(), strict=True):
            labels = labels_of(default, X)
            ari = agreement(truth, labels)
            tuned = max([ari, *(agreement(truth, labels_of(other, X)) for other in others)])
            colours = np.where((labels < 0)[:, None], 0.75, palette[labels % len(palette)])
            ax.scatter(*X.T, s=3, c=colours)
            ax.set(xticks=[], yticks=[])
            ax.set_xlabel(f"{ari:.2f}, tuned {tuned:.2f}", fontsize=8)
            cells.append(f"{ari:.2f}, {tuned:.2f}")
        row[0].set_ylabel(title)
        print(f"| {title} |", " | ".join(cells), "|", flush=True)
    for ax, name in zip(axes[0], names, strict=True):
        ax.set_title(name, fontsize=9)
    with BytesIO() as drawn:
        fig.savefig(drawn)
        Image.open(drawn).convert("RGB").quantize(64).save(HERE / "comparing.png", optimize=True)


if __name__ == "__main__":
    main()
