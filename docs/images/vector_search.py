"""Measures the tables of the page on vector search: recall against the number of distances computed.

Run by ``python docs/images/vector_search.py``; needs faiss-cpu.

The vectors are patches of scikit-learn's two photographs. An inverted file scans the lists of the cells that a query
probes. FAISS's k-means and the soft quantiser have as many cells, and all that is counted are distances: to the centres
of the cells and to the vectors in the lists that are scanned.
"""

import sys
import time

import faiss
import numpy as np
from sklearn.datasets import load_sample_images

from fastgmm import GaussianMixture

N_VECTORS, N_QUERIES, N_CELLS, N_FOUND = 100_000, 500, 1024, 10


FAMILY = sys.argv[1] if len(sys.argv) > 1 else "EII"


def patches(n, side=6):
    """Grey patches of some contrast, without their mean brightness and of length one."""
    rng = np.random.default_rng(0)
    found = []
    for image in load_sample_images().images:
        windows = np.lib.stride_tricks.sliding_window_view(image.mean(axis=2) / 255, (side, side))
        at = rng.integers(0, windows.shape[:2], (2 * n, 2))
        found.append(windows[at[:, 0], at[:, 1]].reshape(len(at), -1))
    X = np.concatenate(found)
    X -= X.mean(axis=1, keepdims=True)
    X = rng.permutation(X[X.std(axis=1) > 0.02])[:n]
    return np.ascontiguousarray(X / np.linalg.norm(X, axis=1, keepdims=True), dtype=np.float32)


def lists_of(cells):
    """Numbers of the vectors in each cell; `cells` (n, m) are those of each vector, negative for none."""
    vectors = np.repeat(np.arange(len(cells)), cells.shape[1])[cells.ravel() >= 0]
    of = cells.ravel()[cells.ravel() >= 0]
    order = np.argsort(of, kind="stable")
    return np.split(vectors[order], np.searchsorted(of[order], np.arange(1, N_CELLS)))


def measure(X, queries, truth, lists, probed):
    """Recall and distances per query where each one's `probed` lists are scanned."""
    hits = scanned = 0
    for query, cells, wanted in zip(queries, probed, truth, strict=True):
        entries = np.concatenate([lists[cell] for cell in cells])
        scanned += len(entries)
        entries = np.unique(entries)
        distances = ((X[entries] - query) ** 2).sum(axis=1)
        best = entries[np.argsort(distances, kind="stable")[:N_FOUND]]
        hits += len(np.intersect1d(best, wanted))
    return hits / (N_FOUND * len(queries)), N_CELLS + scanned / len(queries)


def main():
    """Print recall and distances of both quantisers."""
    everything = patches(N_VECTORS + N_QUERIES)
    X, queries = everything[:N_VECTORS], everything[N_VECTORS:]
    flat = faiss.IndexFlatL2(X.shape[1])
    flat.add(X)
    truth = flat.search(queries, N_FOUND)[1]

    begin = time.process_time()
    kmeans = faiss.Kmeans(X.shape[1], N_CELLS, niter=20, seed=1, max_points_per_centroid=N_VECTORS)
    kmeans.train(X)
    print(f"k-means: {time.process_time() - begin:.1f} s")
    begin = time.process_time()
    model = GaussianMixture(
        N_CELLS, covariance_type=FAMILY, responsibilities="truncated", max_iter=20, random_state=0
    ).fit(X)
    print(f"mixture: {time.process_time() - begin:.1f} s, gap {model.truncation_gap_:.3f}")

    hard = lists_of(kmeans.index.search(X, 1)[1])
    components, probabilities = model.predict_topk(X, 2)
    one = lists_of(components[:, :1])
    two = lists_of(np.where(probabilities >= [[0.0, 0.2]], components, -1))
    print(f"vectors in two lists: {(probabilities[:, 1] >= 0.2).mean():.2f}")
    for n_probed in (1, 2, 4, 8, 16, 32):
        near = kmeans.index.search(queries, n_probed)[1]
        likely = model.predict_topk(queries, n_probed)[0]
        for name, lists, probed in (("k-means", hard, near), ("mixture", one, likely), ("in two", two, likely)):
            recall, distances = measure(X, queries, truth, lists, probed)
            print(f"{name:8} {n_probed:3} lists: recall {recall:.3f}, {distances:7.0f} distances", flush=True)


if __name__ == "__main__":
    main()
