"""Log-likelihood reached by ``init_params='multistart'`` beside scikit-learn's restarts, and what it costs.

Run as ``python asv_bench/compare_starts.py [n_seeds [n_grid_seeds]]``. For each problem scikit-learn fits once from
each of 50 seeds, all other settings its defaults; the target is the best of these that is not spurious
(`internals.spurious`), which is what ``n_init=50`` is meant to find. Ours is one fit per seed. A fit reaches the
target if its mean log-likelihood is at least that, less 1e-6. Times are CPU seconds on one thread, the two libraries in
turn, in multiples of one default fit by scikit-learn. Prints Markdown.
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
from benchmarks.bench_convergence import CLOSE
from benchmarks.internals import spurious
from benchmarks.problems import STARTS, draw, rows_of
from benchmarks.timing import seconds
from tables import Table

import fastgmm

N_RESTARTS = 50


def timed_fit(model, X):
    """Fit and return (mean log-likelihood, whether spurious, CPU seconds)."""
    taken = seconds(lambda: model.fit(X), clock=time.process_time)
    return model.score(X), spurious(model, len(X)), taken


def compare(problem, n_seeds):
    """Return results of scikit-learn's fits and of ours, each an array of rows as `timed_fit` returns."""
    make, n_components, covariance_type = problem
    X = rows_of(make)
    theirs, ours = [], []
    for seed in range(max(N_RESTARTS, n_seeds)):
        options = {"n_components": n_components, "covariance_type": covariance_type, "random_state": seed}
        theirs.append(timed_fit(sklearn.mixture.GaussianMixture(**options), X))
        if seed < n_seeds:
            ours.append(timed_fit(fastgmm.GaussianMixture(**options, init_params="multistart"), X))
    return np.array(theirs), np.array(ours)


def starts(n_seeds):
    """Print the table of problems."""
    table = Table("problem", "rows", "one fit, scikit-learn", "multistart", "worst, median seed", "time", n_texts=2)
    rates, own_rates, ratios, n_spurious = [], [], [], 0
    for name, problem in STARTS.items():
        theirs, ours = compare(problem, n_seeds)
        target = theirs[theirs[:, 1] == 0, 0].max()
        own = np.mean((theirs[:, 0] >= target - CLOSE) & (theirs[:, 1] == 0))
        rate = np.mean(ours[:, 0] >= target - CLOSE)
        ratio = np.median(ours[:, 2]) / np.median(theirs[:, 2])
        below = ours[:, 0] - target
        shape = "{} x {}".format(*rows_of(problem[0]).shape)
        reached = f"{below.min():+.4f}, {np.median(below):+.4f}"
        table.row(name, shape, f"{own:.0%}", f"{rate:.0%}", reached, f"{ratio:.2f}")
        rates.append(rate)
        own_rates.append(own)
        ratios.append(ratio)
        n_spurious += int(ours[:, 1].sum())
    rates, ratios = np.array(rates), np.array(ratios)
    print(f"\nProblems: {len(rates)}; the target reached by 90% of seeds or more: {np.mean(rates >= 0.9):.0%}.")
    print(f"Mean rate: multistart {rates.mean():.0%}, one fit by scikit-learn {np.mean(own_rates):.0%}.")
    print(
        f"Time: geometric mean {np.exp(np.log(ratios).mean()):.2f} of a default fit, at most {ratios.max():.2f}; "
        f"within one fit in {np.mean(ratios <= 1):.0%}. Spurious results: {n_spurious}."
    )


def recovered(model, centres):
    """Return whether each centre has a component of its own within a quarter of a cell."""
    distances = np.linalg.norm(model.means_[:, None] - centres, axis=2)
    return len(set(distances.argmin(axis=1))) == len(centres) and distances.min(axis=1).max() < 0.25


def grids(n_seeds):
    """Print how often a 10 x 10 grid of separated Gaussians is recovered whole; each seed has its own rows."""
    centres = np.array([[i, j] for i in range(10) for j in range(10)], dtype=float)
    whole = {"scikit-learn": 0, "multistart": 0}
    for seed in range(n_seeds):
        X = draw(1000 + seed, 10_000, centres, [0.01] * 100)
        models = {
            "scikit-learn": sklearn.mixture.GaussianMixture(100, random_state=seed),
            "multistart": fastgmm.GaussianMixture(100, random_state=seed, init_params="multistart"),
        }
        for name, model in models.items():
            whole[name] += recovered(model.fit(X), centres)
    shares = ", ".join(f"{name} {count / n_seeds:.0%}" for name, count in whole.items())
    print(f"\n10 x 10 grid recovered whole, {n_seeds} seeds: {shares}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    fastgmm.set_config(n_threads=1)
    starts(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
    grids(int(sys.argv[2]) if len(sys.argv) > 2 else 20)
