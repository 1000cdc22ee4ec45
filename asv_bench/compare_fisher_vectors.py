"""Fisher vectors of bags of rows: time beside scikit-image's, and how far the two are apart.

Run as ``python asv_bench/compare_fisher_vectors.py``, with PyPI's scikit-image installed. Bags are patches of digits,
patches of a photograph of scikit-learn's along their principal components, and noise in which every row is shared among
all components. Both use the same mixture, all three parts, the root of every number and unit length. Times are CPU time
for each bag on one thread, the median ratio of three alternating runs. scikit-image's variances have the opposite sign,
which is undone before the comparison.
"""

import time

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from skimage.feature import fisher_vector
from sklearn.datasets import load_digits, load_sample_image
from sklearn.decomposition import PCA
from tables import Table
from threadpoolctl import threadpool_limits

import fastgmm
from fastgmm import FisherVectorEncoder, GaussianMixture

PARTS = ("weights", "means", "variances")


def digits():
    """Return the 4 x 4 patches of 900 digits, 25 each."""
    return [sliding_window_view(image, (4, 4)).reshape(-1, 16).copy() for image in load_digits().images[:900]]


def photograph():
    """Return the 8 x 8 patches of 200 pieces of a photograph, 361 each, along 32 principal components."""
    grey = load_sample_image("china.jpg").mean(axis=2) / 255
    pieces = [grey[i : i + 64, j : j + 64] for i in range(0, 360, 24) for j in range(0, 570, 24)]
    bags = [sliding_window_view(piece, (8, 8))[::3, ::3].reshape(-1, 64) for piece in pieces]
    pca = PCA(32, random_state=0).fit(np.concatenate(bags[::5]))
    return [np.ascontiguousarray(pca.transform(bag)) for bag in bags[:200]]


def noise(n_bags, n_rows, n_features):
    """Return bags of standard normal rows."""
    return list(np.random.default_rng(0).normal(size=(n_bags, n_rows, n_features)))


CASES = [
    ("noise", noise(1000, 50, 8), 8),
    *(("digits", digits(), k) for k in (8, 16, 64)),
    *(("photograph", photograph(), k) for k in (16, 64, 256)),
    ("noise", noise(500, 200, 64), 64),
]


def timed(function):
    """Return the CPU time that a call takes, in seconds, and what it returns."""
    start = time.process_time()
    found = function()
    return time.process_time() - start, found


def main():
    """Print the table."""
    table = Table("bags", "rows", "features", "K", "fastgmm us", "scikit-image us", "ratio", "largest difference")
    for name, bags, k in CASES:
        (n_rows, n_features), n_bags = bags[0].shape, len(bags)
        mixture = GaussianMixture(k, covariance_type="diag", max_iter=50, random_state=0).fit(np.concatenate(bags[::3]))
        encoder, theirs = FisherVectorEncoder(mixture, parts=PARTS), mixture.to_sklearn()
        times = []
        for _ in range(3):
            ours, vectors = timed(lambda encoder=encoder, bags=bags: encoder.transform(bags))
            other, expected = timed(
                lambda bags=bags, theirs=theirs: np.array([fisher_vector(bag, theirs, improved=True) for bag in bags])
            )
            times.append((ours / n_bags * 1e6, other / n_bags * 1e6, other / ours))
        expected[:, k * (1 + n_features) :] *= -1
        ours, other, ratio = np.median(times, axis=0)
        table.row(
            name,
            n_rows,
            n_features,
            k,
            f"{ours:.1f}",
            f"{other:.0f}",
            f"{ratio:.1f}",
            f"{np.abs(vectors - expected).max():.0e}",
        )


if __name__ == "__main__":
    with fastgmm.config_context(n_threads=1), threadpool_limits(1):
        main()
