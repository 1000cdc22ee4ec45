"""One pass of `partial_fit` beside `fit` on all rows, and what forgetting is for.

    python asv_bench/measure_streams.py [--seeds 5] [--rows 1000000] [--batch 1000]
    python asv_bench/measure_streams.py --mixtures 40 [--thin]
    python asv_bench/measure_streams.py --drift docs/images/drift.png

The first prints, for mixtures of 8 full components in 4 dimensions, how far the stream ends below the fit and how far
EM that goes on from the stream's end rises above it, in nats per held-out row. The second counts the mixtures with
overlapping components for which streams of 60,000 rows end more than 0.01 below the truth, below one fit to all rows
and below the best of five; with --thin, the first batch has a twentieth of the rows of two of the components. The third
draws a stream that drifts, as a model without forgetting and one with see it.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from benchmarks.timing import seconds
from tables import Table

from fastgmm import GaussianMixture

N_COMPONENTS, N_FEATURES, N_HELD_OUT = 8, 4, 50_000
SPREADS = {"separated": 3.0, "overlapping": 2.0}


def truth(spread: float, seed: int) -> GaussianMixture:
    """Return a mixture whose means lie `spread` deviations about the origin."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(N_COMPONENTS, 5.0))
    means = spread * rng.normal(size=(N_COMPONENTS, N_FEATURES))
    factors = rng.normal(size=(N_COMPONENTS, N_FEATURES, N_FEATURES)) / np.sqrt(N_FEATURES)
    covariances = factors @ factors.transpose(0, 2, 1) + 0.3 * np.eye(N_FEATURES)
    return GaussianMixture.from_parameters(weights, means, covariances)


def rows_of(model: GaussianMixture, n_rows: int, seed: int) -> np.ndarray:
    """Return rows in random order."""
    rows = model.sample(n_rows, random_state=seed)[0]
    return rows[np.random.default_rng(seed).permutation(n_rows)]


def learn(model: GaussianMixture, X: np.ndarray, batch: int) -> None:
    """Let a model see all rows once."""
    for start in range(0, len(X), batch):
        model.partial_fit(X[start : start + batch])


def compare(name: str, seed: int, n_rows: int, batch: int) -> tuple[object, ...]:
    """Return one row of the table."""
    known = truth(SPREADS[name], seed)
    X, held_out = rows_of(known, n_rows, seed), rows_of(known, N_HELD_OUT, seed + 1000)
    best = known.score(held_out)
    stream = GaussianMixture(N_COMPONENTS, random_state=seed)
    taken = seconds(lambda: learn(stream, X, batch), clock=time.process_time)
    fitted = GaussianMixture(N_COMPONENTS, random_state=seed, tol=1e-6, max_iter=5000).fit(X)
    on = GaussianMixture(
        N_COMPONENTS,
        weights_init=stream.weights_,
        means_init=stream.means_,
        precisions_init=stream.precisions_,
        tol=1e-6,
        max_iter=5000,
    ).fit(X)
    score = stream.score(held_out)
    gains = (fitted.score(held_out) - score, on.score(held_out) - score, best - score)
    return name, seed, *(f"{gain:.4f}" for gain in gains), f"{taken:.1f}"


def print_table(seeds: int, n_rows: int, batch: int) -> None:
    """Print the table."""
    print(f"{n_rows} rows in batches of {batch}; load {os.getloadavg()[0]:.1f}")
    head = ("fit less stream", "EM from the stream's end", "truth less stream", "CPU seconds")
    table = Table("components", "seed", *head)
    for name in SPREADS:
        for seed in range(seeds):
            table.row(*compare(name, seed, n_rows, batch))


def thinned(X: np.ndarray, component: np.ndarray, seed: int) -> np.ndarray:
    """Return the rows with a first thousand that has a twentieth of the rows of two components."""
    rng = np.random.default_rng(seed)
    rare = np.isin(component, rng.choice(N_COMPONENTS, size=2, replace=False))
    first = np.flatnonzero(~rare | (rng.uniform(size=len(X)) < 0.05))[:1000]
    return np.concatenate([X[first], np.delete(X, first, axis=0)])


def count_poor(n_mixtures: int, is_thin: bool) -> None:
    """Print for how many mixtures a stream ends below truth and fits, and what it takes."""
    names = ("truth", "one fit", "best of five")
    n_below, taken = dict.fromkeys(names, 0), 0.0
    for seed in range(n_mixtures):
        known = truth(SPREADS["overlapping"], seed)
        X, component = known.sample(60_000, random_state=seed)
        order = np.random.default_rng(seed).permutation(len(X))
        X = thinned(X[order], component[order], seed) if is_thin else X[order]
        held_out = rows_of(known, N_HELD_OUT, seed + 1000)
        stream = GaussianMixture(N_COMPONENTS, random_state=seed)
        taken += seconds(partial(learn, stream, X, 1000), clock=time.process_time)
        fits = [
            GaussianMixture(N_COMPONENTS, random_state=seed, n_init=n_init, tol=1e-4, max_iter=1000).fit(X)
            for n_init in (1, 5)
        ]
        for name, model in zip(names, (known, *fits), strict=True):
            n_below[name] += model.score(held_out) - stream.score(held_out) > 0.01
    below = ", ".join(f"{n_below[name]} below {name}" for name in names)
    print(f"{n_mixtures} mixtures, more than 0.01 nats per row: {below}; {taken:.2f} CPU seconds")


def drift(path: Path) -> None:
    """Draw a drifting stream: where the models are at its end, and how well they fit the rows of the moment."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rng = np.random.default_rng(0)
    n_batches, size = 400, 200
    settings = {"fit once, to the first 20 batches": None, "partial_fit": 0.0, "partial_fit, forgetting=0.05": 0.05}
    models = {
        name: GaussianMixture(3, random_state=0, forgetting=forgetting or 0.0) for name, forgetting in settings.items()
    }
    scores: dict[str, list[float]] = {name: [] for name in [*settings, "truth"]}
    early = []
    for t in range(n_batches):
        angle = 2.0 * np.pi * (np.arange(3) / 3.0 + 0.28 * t / n_batches)
        means = 5.0 * np.column_stack([np.cos(angle), np.sin(angle)])
        batch = means[rng.integers(3, size=size)] + rng.normal(size=(size, 2))
        now = GaussianMixture.from_parameters(np.full(3, 1 / 3), means, np.array([np.eye(2)] * 3))
        if t < 20:
            early.append(batch)
        if t == 19:
            models["fit once, to the first 20 batches"].fit(np.concatenate(early))
        for name, forgetting in settings.items():
            if forgetting is not None:
                models[name].partial_fit(batch)
            if t >= 20:
                # Rows that no model has seen.
                fresh = now.sample(1000, random_state=t)[0]
                scores[name].append(models[name].score(fresh))
        if t >= 20:
            scores["truth"].append(now.score(fresh))
    colours = {name: colour for name, colour in zip(scores, ("#D55E00", "#E69F00", "#0072B2", "black"), strict=True)}
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for name in ("truth", *settings):
        left.plot(range(20, n_batches), scores[name], color=colours[name], label=name, linewidth=1.2)
    left.set(xlabel="batch", ylabel="mean log-likelihood of new rows, nats", title="Components that go round")
    left.legend(loc="lower left", fontsize=8)
    right.scatter(*fresh.T, s=4, color="0.75")
    for name, model in models.items():
        for k in range(3):
            values, vectors = np.linalg.eigh(model.covariances_[k])
            circle = 2.0 * np.array([np.cos(np.linspace(0, 2 * np.pi, 100)), np.sin(np.linspace(0, 2 * np.pi, 100))])
            outline = model.means_[k][:, None] + vectors @ (np.sqrt(values)[:, None] * circle)
            right.plot(*outline, color=colours[name])
    right.set(title="At the end: components at two deviations", aspect="equal")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print the table, or draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--mixtures", type=int)
    parser.add_argument("--thin", action="store_true")
    parser.add_argument("--drift", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.drift is not None:
        drift(arguments.drift)
    elif arguments.mixtures is not None:
        count_poor(arguments.mixtures, arguments.thin)
    else:
        print_table(arguments.seeds, arguments.rows, arguments.batch)


if __name__ == "__main__":
    main()
