"""Posterior probabilities as a heat map: rows sorted by component and certainty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastgmm.plotting.backend import new_axes
from fastgmm.plotting.moments import mixture_of
from fastgmm.plotting.palette import POSTERIOR_MAP
from fastgmm.plotting.rows import quietly, rows_of, some_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_posterior"]


def plot_posterior(model: Any, X: Any, *, max_rows: int = 2000, ax: Axes | None = None) -> Axes:
    """Draw the posterior probability of each component for each row.

    Rows are sorted by their most probable component and, within it, from the most certain one down, so that overlap
    shows as a seam between blocks.

    Parameters
    ----------
    model : fitted mixture
        The model to draw.
    X : array-like of shape (n_samples, n_features)
        The rows to draw.
    max_rows : int, default=2000
        The most rows that are drawn. Of more, an even selection is drawn.
    ax : Axes, optional
        The matplotlib axes to draw into; by default those of a new figure.

    Returns
    -------
    Axes
        The matplotlib axes that were drawn into.

    See Also
    --------
    plot_clusters : Where the clusters lie.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.datasets import load_faithful
    >>> from fastgmm.plotting import plot_posterior
    >>> X = load_faithful()
    >>> model = GaussianMixture(2, random_state=0).fit(X)
    >>> plot_posterior(model, X, ax=Figure().subplots()).images[0].get_array().shape
    (272, 2)
    """
    ax = new_axes(ax)
    model = mixture_of(model)
    X = rows_of(model, X)
    probabilities = quietly(model, "predict_proba", X[some_rows(len(X), max_rows)])
    labels = probabilities.argmax(axis=1)
    order = np.lexsort((-probabilities.max(axis=1), labels))
    image = ax.imshow(
        probabilities[order], aspect="auto", cmap=POSTERIOR_MAP, vmin=0.0, vmax=1.0, interpolation="nearest"
    )
    for edge in np.cumsum(np.bincount(labels, minlength=probabilities.shape[1]))[:-1]:
        if 0 < edge < len(labels):
            ax.axhline(edge - 0.5, color="white", lw=0.6)
    n_components = model.means_.shape[0]
    n_columns = probabilities.shape[1]
    step = max(1, n_columns // 20)
    ticks = list(range(0, n_columns, step))
    ax.set_xticks(ticks, ["noise" if k == n_components else str(k) for k in ticks])
    ax.set(xlabel="component", ylabel=f"rows, sorted ({len(labels)})")
    ax.figure.colorbar(image, ax=ax, label="posterior probability")
    return ax
