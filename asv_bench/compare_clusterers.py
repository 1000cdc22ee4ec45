"""Agreement of clusterings with reference labels: adjusted Rand index and normalised clustering accuracy.

Run as ``python asv_bench/compare_clusterers.py [FOLDER [n_seeds]]``. FOLDER holds the sets of the clustering-benchmarks
suite, version 1 (https://github.com/gagolews/clustering-data-v1, fetched by whoever runs this: they are for research
and not shipped here); 73 of them, of up to 10,000 rows, are used as Gagolews does: columns centred and all divided by
one common standard deviation, a noise of 1e-6 added, rows marked as noise left out of the comparison, and of several
reference labelings the one that a method meets best. Without FOLDER, shapes that scikit-learn generates.

Every method is told the number of clusters and nothing else; HDBSCAN, which cannot be told, and 'auto' find it. Each
has one setting for all data. Genie takes part where PyPI's genieclust is installed. Times are CPU time of all fits.

References
----------
Gagolews (2022), A framework for benchmarking clustering algorithms, SoftwareX 20; Gagolews (2025), Normalised
clustering accuracy, Journal of Classification 42.
"""

import sys
import time
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn import datasets
from sklearn.cluster import HDBSCAN, KMeans, SpectralClustering
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture as SklearnMixture
from tables import Table

import fastgmm
from fastgmm import GaussianMixture, GaussianMixtureClusterer

#: Battery, and the number of its sets of up to 10,000 rows.
BATTERIES = {"fcps": 9, "graves": 10, "other": 8, "sipu": 16, "uci": 8, "wut": 22}
MOST_ROWS = 10_000


def suite(folder):
    """Yield battery, name, rows and reference labelings (0 for noise, clusters from 1) of the sets in a folder."""
    for battery in BATTERIES:
        for path in sorted((Path(folder) / battery).glob("*.data.gz")):
            labels = sorted(path.parent.glob(path.name.removesuffix(".data.gz") + ".labels*.gz"))
            references = [np.loadtxt(label, dtype=np.int64, ndmin=1) for label in labels]
            if not references or len(references[0]) > MOST_ROWS:
                continue
            X = np.loadtxt(path, ndmin=2)
            X = X[:, X.var(axis=0) > 0]
            X = (X - X.mean(axis=0)) / X.std(ddof=1)
            yield battery, path.name, X + np.random.default_rng(123).normal(0.0, 1e-6, X.shape), references


def shapes():
    """Yield the same of generated shapes."""
    rng = np.random.default_rng(0)
    moons, circles = (
        datasets.make_moons(800, noise=0.07, random_state=0),
        datasets.make_circles(800, noise=0.05, factor=0.5),
    )
    blobs = datasets.make_blobs(900, cluster_std=[0.5, 1.5, 1.0], random_state=170)
    turned = blobs[0] @ [[0.6, -0.6], [-0.4, 0.8]]
    side = rng.integers(4, size=600)
    along = rng.uniform(-1, 1, 600)
    frame = np.where(
        (side < 2)[:, None], np.column_stack([along, 2.0 * side - 1]), np.column_stack([2.0 * side - 5, along])
    )
    frame = np.concatenate([3 * frame, rng.normal(scale=0.6, size=(200, 2))]) + rng.normal(scale=0.08, size=(800, 2))
    for name, (X, y) in {
        "moons": moons,
        "circles": circles,
        "blobs of three sizes": blobs,
        "stretched blobs": (turned, blobs[1]),
        "frame and blob": (frame, np.repeat([0, 1], [600, 200])),
    }.items():
        yield "shapes", name, (X - X.mean(axis=0)) / X.std(), [y + 1]


def normalised_accuracy(reference, found):
    """Return the mean share of a reference cluster that its own found one holds, 0 for chance and 1 at best."""
    shares = np.zeros((reference.max() + 1, max(found.max(), reference.max()) + 1))
    np.add.at(shares, (reference, found), 1.0)
    shares = shares / shares.sum(axis=1, keepdims=True)
    held = shares[linear_sum_assignment(-shares)].mean()
    return (held - 1 / len(shares)) / (1 - 1 / len(shares))


def agreement(references, found):
    """Return both measures, of the best reference labeling; `found` are labels by number of clusters, or of any."""
    scores = []
    for reference in references:
        labels = found.get(int(reference.max()), found.get(None))
        kept = reference > 0
        numbered = np.unique(labels[kept], return_inverse=True)[1]
        scores.append(
            (
                adjusted_rand_score(reference[kept], labels[kept]),
                normalised_accuracy(np.unique(reference[kept], return_inverse=True)[1], numbered),
            )
        )
    return np.max(scores, axis=0)


def methods(seed):
    """Return what is compared: name to a function of the number of clusters; None is to find it."""
    made = {
        "fastgmm GaussianMixtureClusterer(k)": lambda k: GaussianMixtureClusterer(k, random_state=seed),
        "fastgmm GaussianMixtureClusterer()": lambda k: None if k else GaussianMixtureClusterer(random_state=seed),
        "fastgmm GaussianMixture(k)": lambda k: GaussianMixture(k, random_state=seed),
        "scikit-learn GaussianMixture(k)": lambda k: SklearnMixture(k, random_state=seed),
        "scikit-learn KMeans(k, n_init=10)": lambda k: KMeans(k, n_init=10, random_state=seed),
        "scikit-learn SpectralClustering(k), nearest neighbours": lambda k: SpectralClustering(
            k, affinity="nearest_neighbors", random_state=seed
        ),
        "scikit-learn HDBSCAN(15)": lambda k: None if k else HDBSCAN(15, copy=True),
    }
    try:
        import genieclust
    except ImportError:
        return made
    return made | {"genieclust Genie(k)": lambda k: genieclust.Genie(n_clusters=k)}


def main(folder=None, n_seeds=1):
    """Print a table."""
    fastgmm.set_config(n_threads=1)
    warnings.simplefilter("ignore")
    scores = defaultdict(lambda: defaultdict(list))
    times, n_sets = defaultdict(float), defaultdict(int)
    for battery, name, X, references in suite(folder) if folder else shapes():
        n_sets[battery] += 1
        sizes = {int(reference.max()) for reference in references}
        for seed in range(int(n_seeds)):
            for method, make in methods(seed).items():
                finds = method.endswith(("Clusterer()", "HDBSCAN(15)"))
                began = time.process_time()
                found = {k: make(k).fit_predict(X) for k in ((None,) if finds else sizes)}
                times[method] += time.process_time() - began
                scores[method][name if folder is None else battery].append(agreement(references, found))
    if folder and dict(n_sets) != BATTERIES:
        print(f"the folder has {dict(n_sets)} sets; the published means are of {BATTERIES}\n")
    columns = list(dict.fromkeys(column for rows in scores.values() for column in rows))
    table = Table("ARI / NCA", *columns, "all", "seconds")
    for method, rows in scores.items():
        every = np.concatenate([rows[column] for column in columns])
        cells = [np.mean(rows[column], axis=0) for column in columns] + [every.mean(axis=0)]
        table.row(method, *(f"{ari:.3f} / {nca:.3f}" for ari, nca in cells), f"{times[method]:.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
