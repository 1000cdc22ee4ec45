"""Measures the codebook of image patches on the page on many components, and draws some of its words.

Run by ``python docs/images/codebook.py``, which writes codebook.csv and codebook.png beside itself; some minutes.

Patches of 8 x 8 grey values without their mean brightness, of scikit-learn's two photographs. A codebook of K words
replaces a patch by one of them. The words of the mixture are the means of its components; a patch gets that of its most
probable component, or the nearest one. Held out are patches that no fit saw.
"""

import csv
import time
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import MiniBatchKMeans
from sklearn.datasets import load_sample_images

import fastgmm
from fastgmm import GaussianMixture

HERE = Path(__file__).parent
N_PATCHES, N_HELD_OUT, SIDE, N_WORDS = 200_000, 20_000, 8, 4096


def patches(n):
    """Return patches of both photographs in random order, without their means."""
    rng = np.random.default_rng(0)
    found = []
    for image in load_sample_images().images:
        windows = np.lib.stride_tricks.sliding_window_view(image.mean(axis=2) / 255, (SIDE, SIDE))
        at = rng.integers(0, windows.shape[:2], (n // 2, 2))
        found.append(windows[at[:, 0], at[:, 1]].reshape(n // 2, -1))
    X = rng.permutation(np.concatenate(found))
    return X - X.mean(axis=1, keepdims=True) + rng.normal(scale=1 / 255, size=X.shape)


def nearest(rows, words):
    """Return the word nearest to each row."""
    products = rows @ words.T - 0.5 * np.einsum("kd,kd->k", words, words)
    return products.argmax(axis=1)


def main():
    """Fit, measure and draw."""
    X = patches(N_PATCHES + N_HELD_OUT)
    X, held_out = np.ascontiguousarray(X[:N_PATCHES]), X[N_PATCHES:]
    lines = []

    def add(name, seconds, words, chosen, note=""):
        error = ((held_out - words[chosen]) ** 2).mean()
        lines.append([name, f"{seconds:.1f}", f"{-10 * np.log10(error):.2f}", note])
        print(*lines[-1], flush=True)

    with fastgmm.config_context(n_threads=1):
        for name, family in (("mixture, one variance each", "spherical"), ("mixture, a variance per feature", "diag")):
            begin = time.process_time()
            model = GaussianMixture(
                N_WORDS, covariance_type=family, responsibilities="truncated", tol=0.01, random_state=0
            ).fit(X)
            seconds = time.process_time() - begin
            note = f"{model.score(held_out):.1f} nats held out; gap {model.truncation_gap_:.2f}"
            add(f"{name}, probable", seconds, model.means_, model.predict(held_out), note)
            add(f"{name}, nearest", seconds, model.means_, nearest(held_out, model.means_))
    weights, words = model.weights_, model.means_
    begin = time.process_time()
    kmeans = MiniBatchKMeans(N_WORDS, random_state=0, n_init=1).fit(X)
    add("MiniBatchKMeans", time.process_time() - begin, kmeans.cluster_centers_, kmeans.predict(held_out))
    with (HERE / "codebook.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([["codebook", "cpu_seconds", "psnr_db", "note"], *lines])

    order = np.argsort(-weights)[:: N_WORDS // 96][:96]
    figure, axes = plt.subplots(6, 16, figsize=(8, 3), layout="constrained")
    for axis, word in zip(axes.flat, words[order], strict=True):
        axis.imshow(word.reshape(SIDE, SIDE), cmap="gray", interpolation="nearest")
        axis.set_axis_off()
    figure.savefig(HERE / "codebook.png", dpi=80)


if __name__ == "__main__":
    main()
