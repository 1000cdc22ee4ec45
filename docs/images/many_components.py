"""Measures and draws the picture of the page on many components: the time of an iteration against their number.

Run by ``python docs/images/many_components.py``.
"""

import time
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np

import fastgmm
from fastgmm import kernels
from fastgmm.data.e_steps.truncated import RANDOM_NEIGHBORS, SEARCH_SHARE
from fastgmm.model import SufficientStatistics
from fastgmm.model.component_neighbors import near_components
from fastgmm.model.moments import Components
from fastgmm.plotting.palette import COLOURS

N_ROWS, N_FEATURES, N_CANDIDATES, N_NEIGHBORS = 100_000, 16, 3, 15
NUMBERS, MOST_EXACT = (250, 500, 1000, 2000, 4000, 8000, 16_000), 2000


def least_time(action, times=4):
    """Processor time of the fastest of some runs, in seconds."""
    taken = []
    for _ in range(times):
        begin = time.process_time()
        action()
        taken.append(time.process_time() - begin)
    return min(taken)


def measure(n_components):
    """Seconds of an exact iteration, or None, and of a truncated one, from the components that made the data."""
    rng = np.random.default_rng(0)
    means = rng.normal(scale=2.0, size=(n_components, N_FEATURES))
    labels = rng.integers(n_components, size=N_ROWS)
    X = means[labels] + rng.normal(size=(N_ROWS, N_FEATURES))
    offsets = np.full(n_components, -np.log(n_components))
    density = kernels.bind(Components("diag", offsets, means, np.ones(means.shape)))
    neighbors = near_components(means, N_NEIGHBORS)
    candidates = np.full((N_ROWS, N_CANDIDATES), -1, dtype=np.int32)
    candidates[:, 0] = labels

    def exact():
        kernels.accumulate(X, None, density, SufficientStatistics.zeros("diag", means))

    def truncated():
        statistics = SufficientStatistics.zeros("diag", means)
        kernels.accumulate_truncated(X, None, density, neighbors, candidates, 1, 2, 0, statistics)

    truncated()
    search = least_time(lambda: kernels.refine_neighbors(density, neighbors, RANDOM_NEIGHBORS, 1))
    passes = max(1, np.ceil(n_components * (N_NEIGHBORS + 1) / (N_ROWS * N_CANDIDATES) / SEARCH_SHARE))
    return least_time(exact, 2) if n_components <= MOST_EXACT else None, least_time(truncated) + search / passes


def main():
    """Measure, print and draw."""
    with fastgmm.config_context(n_threads=1):
        times = [measure(number) for number in NUMBERS]
    for number, (exact, truncated) in zip(NUMBERS, times, strict=True):
        print(number, exact, truncated)
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    few = [number for number in NUMBERS if number <= MOST_EXACT]
    axes.loglog(few, [exact for exact, _ in times[: len(few)]], "o-", color=COLOURS[0], label="exact")
    axes.loglog(NUMBERS, [truncated for _, truncated in times], "o-", color=COLOURS[1], label="truncated")
    axes.set(xlabel="components", ylabel="seconds of an iteration")
    axes.set_xticks(NUMBERS, [f"{number:,}" for number in NUMBERS], minor=False)
    axes.legend(frameon=False)
    figure.savefig(Path(__file__).parent / "many_components.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
