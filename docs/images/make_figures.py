"""Draws the figures of the pages: ``python docs/images/make_figures.py``, or with names of figures for these alone."""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Ellipse, FancyArrowPatch, FancyBboxPatch, Rectangle

from fastgmm import GaussianMixture, GaussianMixtureSearch
from fastgmm.datasets import load_faithful
from fastgmm.plotting import plot_clusters

HERE = Path(__file__).parent
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#666666"
plt.rcParams.update({"svg.hashsalt": "fastgmm", "svg.fonttype": "path", "font.size": 10})


def keep(fig, name):
    """Write a figure without the date, so that drawing it again changes nothing."""
    fig.savefig(HERE / f"{name}.svg", metadata={"Date": None})
    plt.close(fig)


def box(ax, x, y, w, h, text, colour="white", size=10, **options):
    """Draw a box with text in its middle."""
    style = dict(boxstyle="round,pad=0.02,rounding_size=0.06", fc=colour, ec=GREY, lw=1.0)
    ax.add_patch(FancyBboxPatch((x, y), w, h, **style, **options))
    ax.text(x + w / 2, y + h / 2, text, ha="center", va="center", fontsize=size)


def arrow(ax, start, end, **options):
    """Draw an arrow between two points."""
    ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color=GREY, lw=1.2, **options))


def first_example():
    """The eruptions by component."""
    X = load_faithful()
    model = GaussianMixture(2, random_state=0).fit(X)
    fig, ax = plt.subplots(figsize=(6.8, 4.2), layout="constrained")
    plot_clusters(model, X, names=["eruption (min)", "pause until the next (min)"], ax=ax)
    keep(fig, "first_example")


def three_axes():
    """Who makes the three values of a fit, and who calls whom in it."""
    fig, ax = plt.subplots(figsize=(10.5, 5.4), layout="constrained")
    ax.set(xlim=(0, 10.5), ylim=(0, 5.4))
    ax.set_axis_off()
    box(ax, 3.35, 4.55, 3.8, 0.65, "an estimator's fit(X)\nfastgmm/*.py, fastgmm/estimator")
    axes = [
        (0.2, BLUE, "rows", "fastgmm/data", "where rows are:\nfold, map, sample"),
        (3.75, ORANGE, "E-step", "fastgmm/data/e_steps", "what a block is asked:\nprepare, accumulate"),
        (7.3, GREEN, "family", "fastgmm/families", "what statistics come to:\nmaximise, density"),
    ]
    for x, colour, name, room, words in axes:
        ax.add_patch(Rectangle((x, 2.75), 3.0, 1.25, fc=colour, alpha=0.16, ec=colour))
        ax.text(x + 1.5, 3.72, f"{name}  ({room})", ha="center", va="center")
        ax.text(x + 1.5, 3.16, words, ha="center", va="center", size=9)
        arrow(ax, (5.25, 4.5), (x + 1.5, 4.04))
    box(ax, 2.55, 1.45, 5.4, 0.65, "run_em(rows, e_step, family, start)   fastgmm/em")
    for x, _, *_ in axes:
        arrow(ax, (x + 1.5, 2.7), (5.25 + 0.45 * (x - 3.75), 2.16))
    box(ax, 0.2, 0.2, 3.0, 0.7, "pass over the blocks\nfastgmm/kernels")
    box(ax, 7.3, 0.2, 3.0, 0.7, "M-step\nfastgmm/families")
    arrow(ax, (3.3, 1.4), (2.2, 0.96))
    ax.text(2.35, 1.2, "density", ha="right", va="center", size=9)
    arrow(ax, (3.3, 0.55), (7.2, 0.55))
    ax.text(5.25, 0.72, "sufficient statistics, O(K D²)", ha="center", size=9)
    arrow(ax, (8.3, 0.96), (7.2, 1.4))
    ax.text(8.15, 1.2, "state, bound", ha="left", va="center", size=9)
    box(ax, 0.2, 4.55, 2.4, 0.65, "a start\nfastgmm/starts")
    arrow(ax, (3.3, 4.87), (2.66, 4.87))
    keep(fig, "three_axes")


def fused_pass():
    """Rows to statistics, tile by tile."""
    fig, ax = plt.subplots(figsize=(10.5, 4.6), layout="constrained")
    ax.set(xlim=(0, 10.5), ylim=(0, 4.6))
    ax.set_axis_off()
    ax.text(0.75, 4.35, "rows (N x D)", ha="center")
    for i in range(5):
        colour = (BLUE, ORANGE)[i % 2]
        ax.add_patch(Rectangle((0.3, 3.5 - 0.75 * i), 0.9, 0.68, fc=colour, alpha=0.25, ec=colour))
        ax.text(0.75, 3.84 - 0.75 * i, f"strip {i}", ha="center", va="center")
    for i in range(4):
        ax.add_patch(Rectangle((1.05, 3.5 + 0.17 * i), 0.15, 0.17, fill=False, ec=BLUE, lw=0.6))
    ax.text(0.75, 0.22, "a strip is some tiles;\nthreads take strips in turn", ha="center", va="center", fontsize=8.5)
    arrow(ax, (1.25, 3.6), (1.95, 3.3))
    box(ax, 2.0, 2.75, 1.5, 1.1, "tile,\ntransposed:\nlanes are rows")
    arrow(ax, (3.55, 3.3), (4.0, 3.3))
    box(ax, 4.05, 2.75, 1.75, 1.1, "log weighted\ndensity of each\ncomponent")
    arrow(ax, (5.85, 3.3), (6.3, 3.3))
    box(ax, 6.35, 2.75, 1.7, 1.1, "responsibilities;\nbelow the floor:\nnothing")
    arrow(ax, (7.2, 2.7), (7.2, 2.15))
    box(ax, 6.35, 1.0, 1.7, 1.1, "queue of rows\nfor each\ncomponent")
    arrow(ax, (6.3, 1.55), (5.85, 1.55))
    box(ax, 4.05, 1.0, 1.75, 1.1, "counts, sums,\nscatter about the\ncurrent means")
    arrow(ax, (4.0, 1.55), (3.55, 1.55))
    box(ax, 2.0, 1.0, 1.5, 1.1, "sums of\nthe strip")
    ax.plot([1.9, 8.15, 8.15, 1.9, 1.9], [0.72, 0.72, 4.1, 4.1, 0.72], color=GREY, ls=":", lw=1)
    ax.text(5.0, 4.27, "in the cache of one core, with no N x K array", ha="center", fontsize=9, color=GREY)
    ax.plot([2.75, 2.75, 8.4, 8.4], [0.95, 0.42, 0.42, 1.3], color=GREY, lw=1.2)
    arrow(ax, (8.4, 1.25), (8.4, 1.75))
    ax.text(5.6, 0.25, "handed in strip by strip, in their order", ha="center", fontsize=9)
    box(ax, 8.35, 1.8, 1.75, 0.95, "statistics of\nall rows", "#e8f1f8")
    arrow(ax, (9.22, 2.8), (9.22, 3.25))
    box(ax, 8.35, 3.3, 1.75, 0.95, "M-step:\nO(K D$^2$) numbers", "#e8f1f8", size=9.5)
    keep(fig, "fused_pass")


def bounds():
    """What is known of a row's components after some of the columns."""
    rng = np.random.default_rng(3)
    n_components, n_features = 8, 16
    means = rng.normal(scale=4.0, size=(n_components, n_features))
    factors = rng.normal(size=(n_components, n_features, n_features)) / 4.0 + np.eye(n_features)
    covariances = factors @ factors.transpose(0, 2, 1)
    weights = np.full(n_components, 1.0 / n_components)
    model = GaussianMixture.from_parameters(weights, means, covariances, random_state=0)
    row = model.sample(1)[0][0]
    upper = model.precisions_cholesky_
    offset = np.log(weights) + np.log(np.diagonal(upper, axis1=1, axis2=2)).sum(axis=1)
    offset -= 0.5 * n_features * np.log(2 * np.pi)
    squares = np.square(np.einsum("kd,kde->ke", row - means, upper)).cumsum(axis=1)
    bound = offset[:, None] - 0.5 * np.hstack([np.zeros((n_components, 1)), squares])
    threshold = bound[:, -1].max() - 80 * np.log(2)
    fig, ax = plt.subplots(figsize=(7.6, 4.3), layout="constrained")
    columns = np.arange(n_features + 1)
    for k in range(n_components):
        dead = np.flatnonzero(bound[k] < threshold)
        end = dead[0] if len(dead) else n_features
        best = k == bound[:, -1].argmax()
        colour = BLUE if best else GREEN if not len(dead) else ORANGE
        ax.plot(columns[: end + 1], bound[k, : end + 1], color=colour, lw=2.0 if best else 1.3)
        ax.plot(columns[end:], bound[k, end:], color=colour, lw=0.9, ls=":")
        if len(dead):
            ax.plot(end, bound[k, end], marker="x", color=ORANGE, ms=8, mew=2)
    ax.axhline(threshold, color="black", lw=1.0, ls="--")
    ax.text(16.0, threshold + 4, "best less ln 2$^{80}$", ha="right", fontsize=9)
    ax.text(16.0, bound[:, -1].max() + 6, "the row's own component", ha="right", fontsize=9, color=BLUE)
    ax.text(0.3, threshold - 140, "crossed: not evaluated further", fontsize=9, color=ORANGE)
    ax.set(
        xlabel="columns of the whitened row that were evaluated", ylabel="upper bound of log weight x density (nats)"
    )
    ax.set(xlim=(0, 16.3), ylim=(threshold - 160, 10))
    keep(fig, "bounds")


def offsets():
    """Digits of a variance far from the origin, summed in three ways."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=20_000)
    powers = np.arange(0, 9.01, 0.5)
    errors = {
        "about the origin, double": [],
        "about the origin, single": [],
        "fastgmm, double": [],
        "fastgmm, single": [],
    }
    for power in powers:
        for dtype, name in ((np.float64, "double"), (np.float32, "single")):
            x = (noise + 10.0**power).astype(dtype)
            truth = np.var(x.astype(np.longdouble))
            uncentred = np.mean(x * x, dtype=dtype) - np.mean(x, dtype=dtype) ** 2
            model = GaussianMixture(covariance_type="spherical", reg_covar=0.0).fit(x[:, None]) if truth > 0 else None
            ours = float(model.covariances_[0]) if model else np.nan
            for kind, value in (("about the origin", float(uncentred)), ("fastgmm", ours)):
                error = abs(value / float(truth) - 1) if truth > 0 else np.nan
                errors[f"{kind}, {name}"].append(max(error, 1e-17))
    fig, ax = plt.subplots(figsize=(7.6, 4.0), layout="constrained")
    styles = {"origin, double": (ORANGE, "-"), "origin, single": (ORANGE, "--")}
    for name, values in errors.items():
        colour, line = styles.get(name.removeprefix("about the "), (BLUE, "--" if "single" in name else "-"))
        ax.plot(10.0**powers, values, color=colour, ls=line, marker="o", ms=3, label=name)
    ax.axhline(1.0, color="black", lw=0.8, ls=":")
    ax.text(1.2, 1.5, "nothing right", fontsize=9)
    ax.set(xscale="log", yscale="log", xlabel="mean / standard deviation", ylabel="relative error of the variance")
    ax.set(ylim=(1e-17, 1e12))
    ax.legend(fontsize=9, loc="upper left", ncols=2)
    keep(fig, "offsets")


def first_mixture():
    """The three components of the tutorial."""
    X = load_faithful()
    X = np.delete(X, [30, 77], axis=0)
    model = GaussianMixtureSearch(random_state=0).fit(X).best_estimator_
    fig, ax = plt.subplots(figsize=(6.8, 4.2), layout="constrained")
    plot_clusters(model, X, names=["duration (min)", "pause (min)"], ax=ax)
    keep(fig, "first_mixture")


def families():
    """Three components under each of the fourteen covariance families."""
    names = ["EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"]
    volumes, shapes, angles = (0.7, 1.3, 1.0), (3.0, 1.4, 0.35), (25.0, 80.0, 140.0)
    fig, axes = plt.subplots(2, 7, figsize=(10.5, 3.5), layout="constrained")
    for ax, (volume, shape, turn) in zip(axes.flat, names, strict=True):
        for k, (x, y) in enumerate(((-1.6, -0.9), (1.6, -0.9), (0.0, 1.5))):
            area = volumes[k] if volume == "V" else 1.0
            ratio = {"I": 1.0, "E": 2.5, "V": shapes[k]}[shape]
            angle = {"I": 0.0, "E": 30.0, "V": angles[k]}[turn]
            width, height = 1.45 * area * np.sqrt(ratio), 1.45 * area / np.sqrt(ratio)
            colour = (BLUE, ORANGE, GREEN)[k]
            ax.add_patch(Ellipse((x, y), width, height, angle=angle, fc=colour, ec=colour, alpha=0.45))
        usual = {"VII": "spherical", "VVI": "diag", "EEE": "tied", "VVV": "full"}.get(volume + shape + turn, "")
        ax.set_title(volume + shape + turn + (f" ({usual})" if usual else ""), fontsize=9)
        ax.set(xlim=(-3.2, 3.2), ylim=(-2.6, 3.0), xticks=[], yticks=[], aspect="equal")
    keep(fig, "families")


if __name__ == "__main__":
    every = (first_example, first_mixture, families, three_axes, fused_pass, bounds, offsets)
    for figure in every:
        if len(sys.argv) == 1 or figure.__name__ in sys.argv[1:]:
            figure()
