"""Density contours: the mixture's density in a plane, exactly, with the rows above it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgmm.inference.density import log_density
from fastgmm.plotting.backend import new_axes
from fastgmm.plotting.margins import add_margins
from fastgmm.plotting.moments import Moments, mixture_of
from fastgmm.plotting.palette import CONTOUR_MAP
from fastgmm.plotting.rows import some_rows
from fastgmm.plotting.views import View, seen_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plane_density", "plot_density"]


def plane_density(seen: Moments, points: np.ndarray) -> np.ndarray:
    """Return the density of a plane mixture at points of shape (n, 2)."""
    return np.exp(log_density(np.ascontiguousarray(points), seen.density(), np.dtype(np.float64)))


def plot_density(
    model: Any,
    X: Any,
    *,
    view: str | View | Sequence[int | str] = "auto",
    shares: Sequence[float] = (0.99, 0.95, 0.9, 0.75, 0.5, 0.25, 0.1),
    resolution: int = 200,
    names: Sequence[str] | None = None,
    legend: bool = True,
    max_points: int = 5000,
    ax: Axes | None = None,
) -> Axes:
    """Draw the regions of highest density that hold given shares of the rows, and the rows.

    The density is the marginal one of the plane: a projected Gaussian mixture is a Gaussian mixture. Rows that miss one
    of two features are ticks on the axis of the other.

    Parameters
    ----------
    model : fitted mixture
        The model to draw.
    X : array-like of shape (n_samples, n_features)
        The rows to draw.
    view : {'auto', 'pca', 'between'}, View or pair of int or str, default='auto'
        As in `plot_clusters`.
    shares : sequence of float
        The shares of rows that the regions hold.
    resolution : int, default=200
        The number of points of the grid along each axis.
    names : sequence of str, optional
        The names of the features, for the axes. By default those of the fit, or x0, x1, ...
    legend : bool, default=True
        Whether a legend tells the share of each shade.
    max_points : int, default=5000
        The most rows that are drawn. Of more, an even selection is drawn.
    ax : Axes, optional
        The matplotlib axes to draw into; by default those of a new figure.

    Returns
    -------
    Axes
        The matplotlib axes that were drawn into.

    See Also
    --------
    plot_histogram : The density of one feature.
    plot_clusters : The components instead of the density.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.datasets import load_faithful
    >>> from fastgmm.plotting import plot_density
    >>> X = load_faithful()
    >>> model = GaussianMixture(2, random_state=0).fit(X)
    >>> plot_density(model, X, ax=Figure().subplots()).get_xlabel()
    'x0'
    """
    ax = new_axes(ax)
    from matplotlib import colormaps
    from matplotlib.patches import Patch

    model = mixture_of(model)
    X, plane, seen = seen_in(model, X, view, names)
    every = plane.rows(X)
    rows = every[~np.isnan(every).any(axis=1)]  # of a model that takes missing values
    # Over the rows, and as far as a component holds 99% of its own.
    reach = 3.1 * np.sqrt(np.diagonal(seen.covariances, axis1=1, axis2=2))
    low = np.minimum(rows.min(axis=0), (seen.means - reach).min(axis=0))
    high = np.maximum(rows.max(axis=0), (seen.means + reach).max(axis=0))
    margin = 0.03 * np.where(high > low, high - low, 1.0)
    axes = [np.linspace(low[j] - margin[j], high[j] + margin[j], resolution) for j in (0, 1)]
    grid = np.stack(np.meshgrid(*axes), axis=-1)
    density = plane_density(seen, grid.reshape(-1, 2)).reshape(grid.shape[:2])
    # The level above which a share of the rows lies is a quantile of their own densities.
    held = sorted(shares, reverse=True)
    levels, first = np.unique(
        np.quantile(plane_density(seen, rows), [1.0 - share for share in held]), return_index=True
    )
    inside = levels < density.max()
    levels, held = levels[inside], [held[i] for i in first[inside]]
    if len(levels):
        # A shade per share, evenly: by density, all but the innermost regions would look alike.
        shades = colormaps[CONTOUR_MAP](np.linspace(0.15, 0.75, len(levels)))
        ax.contourf(*axes, density, [*levels, density.max()], colors=shades)
        ax.contour(*axes, density, levels, colors="white", linewidths=0.6)
        if legend:
            handles = [Patch(color=shade, label=f"{100 * share:g}%") for shade, share in zip(shades, held, strict=True)]
            ax.legend(handles=handles, title="share of rows within", fontsize=8, title_fontsize=8)
    add_margins(ax, every[some_rows(len(every), max_points)])
    kept = rows[some_rows(len(rows), max_points)]
    ax.scatter(kept[:, 0], kept[:, 1], s=4.0, c="black", alpha=0.45, linewidths=0)
    ax.set(xlabel=plane.labels[0], ylabel=plane.labels[1])
    return ax
