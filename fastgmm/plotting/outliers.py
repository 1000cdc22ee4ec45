"""Outlier scores: log densities in order, and where the threshold cuts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgmm.plotting.backend import new_axes
from fastgmm.plotting.moments import mixture_of
from fastgmm.plotting.palette import COLOURS
from fastgmm.plotting.rows import quietly, rows_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_outlier_scores"]


def plot_outlier_scores(
    model: Any,
    X: Any,
    *,
    fraction: float = 0.01,
    threshold: float | None = None,
    names: Sequence[str] | None = None,
    n_named: int = 5,
    ax: Axes | None = None,
) -> Axes:
    """Draw the log density of each row, lowest first, and mark those below a threshold.

    Parameters
    ----------
    model : fitted mixture
        The model to draw.
    X : array-like of shape (n_samples, n_features)
        The rows to draw.
    fraction : float, default=0.01
        The share of rows to mark. It matters only without `threshold`.
    threshold : float, optional
        The log density, in nats, below which a row is marked.
    names : sequence of str, optional
        The names of the rows. By default rows are numbered from 1, as the command line numbers them.
    n_named : int, default=5
        How many of the lowest rows are named in the picture.
    ax : Axes, optional
        The matplotlib axes to draw into; by default those of a new figure.

    Returns
    -------
    Axes
        The matplotlib axes that were drawn into.

    See Also
    --------
    fastgmm.GaussianMixtureOutlierDetector : Decides which rows are outliers.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.datasets import load_faithful
    >>> from fastgmm.plotting import plot_outlier_scores
    >>> X = load_faithful()
    >>> model = GaussianMixture(2, random_state=0).fit(X)
    >>> ax = plot_outlier_scores(model, X, fraction=0.02, ax=Figure().subplots())
    >>> ax.get_ylabel()
    'log density (nats)'
    """
    ax = new_axes(ax)
    model = mixture_of(model)
    X = rows_of(model, X)
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"fraction is {fraction}; expected a number between 0 and 1")
    density = np.asarray(quietly(model, "score_samples", X), dtype=np.float64)
    if names is not None and len(names) != len(density):
        raise ValueError(f"names has {len(names)} entries; expected n_samples = {len(density)}")
    order = np.argsort(density, kind="stable")
    ranked = density[order]
    cut = float(np.quantile(density, fraction)) if threshold is None else float(threshold)
    below = ranked < cut
    outliers = f"{np.count_nonzero(below)} outliers{', by number of the row' if names is None else ''}"
    at = np.arange(len(ranked)) + 1
    ax.scatter(at[~below], ranked[~below], s=8, c="0.6", linewidths=0, label=f"{np.count_nonzero(~below)} rows")
    ax.scatter(at[below], ranked[below], s=18, c=COLOURS[1], marker="D", label=outliers)
    ax.axhline(cut, color="black", lw=1.0, ls="--", label=f"threshold {cut:.4g}")
    for rank in range(min(n_named, int(np.count_nonzero(below)))):
        text = str(order[rank] + 1) if names is None else str(names[order[rank]])
        # The next points stand to the right, and higher.
        ax.annotate(text, (at[rank], ranked[rank]), (-5, 3), textcoords="offset points", ha="right", fontsize=7)
    ax.set_xscale("log")
    ax.set(xlabel="rank, lowest first", ylabel="log density (nats)")
    ax.legend(fontsize=8, loc="lower right")
    return ax
