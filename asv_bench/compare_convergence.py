"""Passes over the data to within 1e-6 nats per sample of the optimum: plain EM and its accelerations.

Run as ``python asv_bench/compare_convergence.py [n_seeds [picture.png]]``. Prints a Markdown table, and draws what is
still to go against passes. A seed is a k-means start. The target of a start is the limit of plain EM from there; where
a method ends more than 2e-6 away it found another basin, and its passes are to within 1e-6 of the lower of both limits:
such starts are counted, as better or worse.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from accelerators import METHODS, Fit
from benchmarks.bench_convergence import CLOSE, passes_to
from benchmarks.problems import EASY, SLOW, rows_of
from tables import Table

import fastgmm


def measure(problem, n_seeds):
    """Return passes of plain EM, and of each other method with how many starts led it elsewhere: (better, worse)."""
    make, n_components, covariance_type = problem
    plain, others = [], {name: [] for name in METHODS if name != "plain"}
    elsewhere = {name: [0, 0] for name in others}
    for seed in range(n_seeds):
        fit = Fit(rows_of(make), n_components, covariance_type, seed)
        bounds = METHODS["plain"](fit)
        limit = max(bounds)
        plain.append(passes_to(bounds, limit - CLOSE))
        for name in others:
            bounds = METHODS[name](fit)
            if abs(max(bounds) - limit) > 2 * CLOSE:
                elsewhere[name][int(max(bounds) < limit)] += 1
            others[name].append(passes_to(bounds, min(limit, max(bounds)) - CLOSE))
    return np.array(plain), {name: np.array(passes) for name, passes in others.items()}, elsewhere


def compare(title, problems, n_seeds):
    """Print the table and the ratios to plain EM."""
    names = [name for name in METHODS if name != "plain"]
    print(f"\n{title}\n")
    table = Table("problem", "rows", "plain", *names, n_texts=2)
    ratios = {name: [] for name in names}
    elsewhere = {name: np.zeros(2, dtype=int) for name in names}
    for name, problem in problems.items():
        plain, others, moved = measure(problem, n_seeds)
        shape = "{} x {}".format(*rows_of(problem[0]).shape)
        table.row(name, shape, *(f"{np.median(passes):.0f}" for passes in (plain, *others.values())))
        for other in names:
            ratios[other] += list(plain / others[other])
            elsewhere[other] += moved[other]
    means = [f"**{np.exp(np.mean(np.log(ratios[name]))):.1f}**" for name in names]
    table.row("times fewer, geometric mean", "", "", *means)
    table.row("times fewer, least", "", "", *(f"{min(ratios[name]):.2f}" for name in names))
    table.row("ended in a better / worse optimum", "", "", *(f"{a} / {b}" for a, b in elsewhere.values()))


def draw(path):
    """Draw distance to the limit against passes for four slow problems."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    chosen = ["two overlapping", "five fitted to two", "ten overlapping", "Old Faithful, K=4"]
    # Two by two: a page is some seven inches wide.
    figure, grid = plt.subplots(2, 2, figsize=(7.6, 6.4), sharey=True, layout="constrained")
    axes = grid.ravel()
    colours = {"plain": "#8c8c8c", "quasi-Newton": "#D55E00", "Anderson(10)": "#0072B2", "SQUAREM": "#009E73"}
    for axis, name in zip(axes, chosen, strict=True):
        make, n_components, covariance_type = SLOW[name]
        curves = {}
        for method in colours:
            curves[method] = np.asarray(METHODS[method](Fit(rows_of(make), n_components, covariance_type)))
        for method, bounds in curves.items():
            # Each to the best of its own basin.
            alike = [other.max() for other in curves.values() if abs(other.max() - bounds.max()) < 2 * CLOSE]
            gap = max(alike) - bounds
            axis.plot(np.arange(1, len(gap) + 1), np.maximum(gap, 1e-12), color=colours[method], label=method, lw=1.6)
        axis.axhline(CLOSE, color="black", lw=0.6, ls=":")
        axis.set(xscale="log", yscale="log", ylim=(1e-9, 1.0), title=name)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("passes over the data")
    figure.supylabel("nats per sample still to go")
    axes[0].legend(frameon=False, loc="upper right")
    figure.savefig(path, dpi=160)


if __name__ == "__main__":
    fastgmm.set_config(n_threads=1)
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    if seeds:
        compare("Slow", SLOW, seeds)
        compare("Easy", EASY, seeds)
    if len(sys.argv) > 2:
        draw(sys.argv[2])
