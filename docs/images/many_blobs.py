"""Measures and draws the density of thousands of blobs for the page on many components.

Run by ``python docs/images/many_blobs.py``.
"""

import time
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.neighbors import KernelDensity
from threadpoolctl import threadpool_limits

import fastgmm
from fastgmm import GaussianMixture

N_BLOBS, N_ROWS, N_HELD_OUT, SIDE = 3000, 300_000, 5000, 100.0
BANDWIDTHS = (0.1, 0.14, 0.2)
WINDOW, N_PIXELS = (40.0, 55.0), 300


def drawn():
    """Blobs of many sizes and orientations in a square, as the mixture that they are."""
    rng = np.random.default_rng(0)
    means = rng.uniform(0.0, SIDE, (N_BLOBS, 2))
    angles, sds = rng.uniform(0.0, np.pi, N_BLOBS), np.exp(rng.normal(-1.2, 0.5, (N_BLOBS, 2)))
    turns = np.moveaxis(np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]]), 2, 0)
    covariances = (turns * (sds**2)[:, None]) @ turns.transpose(0, 2, 1)
    return GaussianMixture.from_parameters(rng.dirichlet(np.full(N_BLOBS, 2.0)), means, covariances, random_state=0)


def main():
    """Measure, print and draw."""
    truth = drawn()
    # Draws come component by component.
    X = np.random.default_rng(0).permutation(truth.sample(N_ROWS + N_HELD_OUT)[0])
    X, held_out = X[:N_ROWS], X[N_ROWS:]
    at = np.linspace(*WINDOW, N_PIXELS)
    grid = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
    models = [(f"kernels of {width}", KernelDensity(bandwidth=width, rtol=1e-4)) for width in BANDWIDTHS]
    models.append(("mixture", GaussianMixture(N_BLOBS, responsibilities="truncated", random_state=0)))
    print("truth", truth.score(held_out))
    with fastgmm.config_context(n_threads=1), threadpool_limits(1):
        for name, model in models:
            times = [time.process_time()]
            model.fit(X)
            times.append(time.process_time())
            found = model.score_samples(held_out).mean()
            times.append(time.process_time())
            print(name, found, "nats; fit and scores of 5000 rows in seconds:", np.diff(times))
    figure, panels = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
    shown = [truth.score_samples(grid), models[-1][1].score_samples(grid)]
    counts, _, _ = np.histogram2d(X[:, 1], X[:, 0], bins=60, range=[WINDOW, WINDOW])
    highest = np.exp(shown[0]).max()
    panels[0].imshow(counts**0.5, origin="lower", cmap="magma", extent=WINDOW * 2)
    panels[0].set_title("rows counted in squares")
    for axes, values, title in zip(panels[1:], shown, ("the density", "3000 components fitted"), strict=True):
        picture = np.exp(values).reshape(N_PIXELS, N_PIXELS)
        axes.imshow(picture**0.5, origin="lower", cmap="magma", extent=WINDOW * 2, vmax=highest**0.5)
        axes.set_title(title)
    for axes in panels:
        axes.set(xticks=np.arange(40, 55, 5), yticks=np.arange(40, 55, 5))
    figure.savefig(Path(__file__).parent / "many_blobs.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
