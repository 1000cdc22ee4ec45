"""Every pair of features: clusters off the diagonal, histograms on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastgmm.plotting.backend import require_matplotlib
from fastgmm.plotting.clusters import add_legend, component_entries, plot_clusters
from fastgmm.plotting.histogram import plot_histogram
from fastgmm.plotting.moments import mixture_of
from fastgmm.plotting.rows import feature_names, feature_number, rows_of

__all__ = ["plot_pairs"]


def plot_pairs(
    model: Any,
    X: Any,
    *,
    features: Sequence[int | str] | None = None,
    names: Sequence[str] | None = None,
    legend: bool = True,
    max_points: int = 2000,
    ax: np.ndarray | None = None,
) -> np.ndarray:
    """Draw the clusters in every pair of features.

    Parameters
    ----------
    model : fitted mixture
        The model to draw.
    X : array-like of shape (n_samples, n_features)
        The rows to draw.
    features : sequence of int or str, optional
        The features to draw, by number or name. By default all of them, or the first six.
    names : sequence of str, optional
        The names of all features, for the axes. By default those of the fit, or x0, x1, ...
    legend : bool, default=True
        Whether the components are named in a legend beside the panels.
    max_points : int, default=2000
        The most rows that are drawn in each panel. Of more, an even selection is drawn.
    ax : ndarray of Axes of shape (n, n), optional
        The axes to draw into, for n features. By default those of a new figure.

    Returns
    -------
    ndarray of Axes of shape (n, n)
        The matplotlib axes, a row and a column for each feature drawn.

    See Also
    --------
    plot_clusters : One picture of two features or directions.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.datasets import load_faithful
    >>> from fastgmm.plotting import plot_pairs
    >>> X = load_faithful()
    >>> model = GaussianMixture(2, random_state=0).fit(X)
    >>> plot_pairs(model, X, ax=Figure().subplots(2, 2)).shape
    (2, 2)
    """
    require_matplotlib()
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    model = mixture_of(model)
    names = feature_names(model, X, names)
    X = rows_of(model, X)
    given = range(min(X.shape[1], 6)) if features is None else features
    columns = [feature_number("features", feature, names) for feature in given]
    n = len(columns)
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(n, n, figsize=(2.4 * n, 2.4 * n), layout="constrained", squeeze=False)[1]
    if np.shape(ax) != (n, n):
        raise ValueError(f"ax has shape {np.shape(ax)}; expected a matrix of axes, {(n, n)}")
    for i, row in enumerate(columns):
        for j, column in enumerate(columns):
            panel = ax[i, j]
            if i == j:
                plot_histogram(model, X, feature=row, names=names, ax=panel)
                of_panel = panel.get_legend()
                if of_panel:
                    of_panel.remove()
                panel.set_yticks([])
            else:
                plot_clusters(model, X, view=(column, row), names=names, legend=False, max_points=max_points, ax=panel)
            panel.set_xlabel(names[column] if i == n - 1 else "")
            panel.set_ylabel(names[row] if j == 0 else "")
    entries = component_entries(model, len(X))
    if legend and entries:
        figure = ax[0, 0].figure
        # Only this layout makes room beside the panels.
        beside = isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine)
        add_legend(figure if beside else ax[0, -1], entries, **({"loc": "outside right upper"} if beside else {}))
    return ax
