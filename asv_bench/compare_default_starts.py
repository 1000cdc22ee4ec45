"""Log-likelihood of default fits of 5000 rows and more beside scikit-learn's, over seeds, and what they cost.

Run as ``python asv_bench/compare_default_starts.py [n_fits]``. Each kind of data is drawn several times; every set is
fitted from as many seeds as make `n_fits` fits of the kind, 20 unless given, by scikit-learn, by ours from the k-means
clusters of the same seed, and by ours as it is. Times are CPU seconds on one thread, in turn, in multiples of
scikit-learn's ``KMeans(K, n_init=1)``; a fit from k-means includes making the clusters. Prints Markdown.
"""

import os
import sys
import time
import warnings

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# The threads of BLAS are read when NumPy is imported.
# ruff: noqa: E402
import numpy as np
import sklearn.mixture
from benchmarks.internals import kmeans_labels
from benchmarks.problems import MANY_ROWS, rows_of
from benchmarks.timing import seconds
from sklearn.cluster import KMeans
from tables import Table

import fastgmm


def from_kmeans(X, seed, **options):
    """Return a fit by ours from the clusters that k-means of all rows makes."""
    labels = kmeans_labels(X, options["n_components"], seed)
    return fastgmm.GaussianMixture(**options, init_params=labels).fit(X)


def compare(makes, n_components, covariance_type, n_fits):
    """Return scores by scikit-learn, from k-means and by default, and seconds of the last two and of KMeans."""
    options = {"n_components": n_components, "covariance_type": covariance_type}
    results = []
    for make in makes:
        X = rows_of(make)
        for seed in range(-(-n_fits // len(makes))):
            calls = (
                lambda X=X, seed=seed: from_kmeans(X, seed, **options),
                lambda X=X, seed=seed: fastgmm.GaussianMixture(**options, random_state=seed).fit(X),
                lambda X=X, seed=seed: KMeans(n_components, n_init=1, random_state=seed).fit(X),
            )
            taken = [seconds(call, clock=time.process_time) for call in calls]
            theirs = sklearn.mixture.GaussianMixture(**options, random_state=seed).fit(X)
            results.append((theirs.score(X), calls[0]().score(X), calls[1]().score(X), *taken))
    return np.array(results)


def main(n_fits):
    """Print the table of kinds."""
    table = Table("problem", "rows", "from k-means", "default", "deviation", "time from k-means", "time", n_texts=2)
    for name, (makes, n_components, covariance_type) in MANY_ROWS.items():
        results = compare(makes, n_components, covariance_type, n_fits)
        theirs = results[:, 0].reshape(len(makes), -1)
        before, now = (results[:, 1:3] - results[:, :1]).mean(axis=0)
        times = np.median(results[:, 3:5], axis=0) / np.median(results[:, 5])
        texts = (
            f"{before:+.4f}",
            f"{now:+.4f}",
            f"{theirs.std(axis=1).mean():.4f}",
            *(f"{ratio:.2f}" for ratio in times),
        )
        table.row(name, "{} x {}".format(*rows_of(makes[0]).shape), *texts)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    fastgmm.set_config(n_threads=1)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
