"""One feature: its histogram, the density of the mixture and of its components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastgmm.inference.density import component_log_density
from fastgmm.plotting.backend import new_axes
from fastgmm.plotting.moments import Moments, mixture_of, moments_of
from fastgmm.plotting.palette import colour
from fastgmm.plotting.rows import feature_names, feature_number, rows_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_histogram"]

#: Bins of a histogram, and rows of a component that it should show the shape of.
MOST_BINS, FEW_BINS, LEAST_ROWS = 200, 60, 10.0
LINE_STYLES = ("--", "-.", ":")


def plot_histogram(
    model: Any,
    X: Any,
    *,
    feature: int | str = 0,
    bins: int | str = "auto",
    names: Any = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the histogram of one feature under the marginal density of the mixture and of each component.

    Parameters
    ----------
    model : fitted mixture
        The model to draw.
    X : array-like of shape (n_samples, n_features)
        The rows to draw.
    feature : int or str, default=0
        The feature to draw, by number or name.
    bins : int or str, default='auto'
        As in `numpy.histogram_bin_edges`. 'auto' makes bins fine enough for the narrowest component, at most 200.
    names : sequence of str, optional
        The names of the features, for the axes. By default those of the fit, or x0, x1, ...
    ax : Axes, optional
        The matplotlib axes to draw into; by default those of a new figure.

    Returns
    -------
    Axes
        The matplotlib axes that were drawn into.

    See Also
    --------
    plot_density : The density in two features or directions.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.datasets import load_faithful
    >>> from fastgmm.plotting import plot_histogram
    >>> X = load_faithful()
    >>> model = GaussianMixture(2, random_state=0).fit(X)
    >>> ax = plot_histogram(model, X, feature=1, ax=Figure().subplots())
    >>> [line.get_label() for line in ax.lines]
    ['mixture', 'component 0 (36%)', 'component 1 (64%)']
    """
    ax = new_axes(ax)
    model = mixture_of(model)
    names = feature_names(model, X, names)
    X = rows_of(model, X)
    feature = feature_number("feature", feature, names)
    column = np.asarray(X[:, feature], dtype=np.float64)
    column = column[~np.isnan(column)]  # of a model that takes missing values
    moments = moments_of(model)
    means, variances = moments.means[:, feature], moments.covariances[:, feature, feature]
    edges = np.histogram_bin_edges(column, _n_bins(column, moments.weights, variances) if bins == "auto" else bins)
    gap = 0.5 if len(edges) <= FEW_BINS else 0.0  # of many bars, white edges would leave nothing
    ax.hist(column, edges.tolist(), density=True, color="0.85", edgecolor="white", linewidth=gap)
    at = _grid(column, means, np.sqrt(variances))
    weights = np.asarray(model.weights_, dtype=np.float64)  # what noise leaves
    seen = Moments(weights, means[:, None], variances[:, None, None], moments.degrees_of_freedom)
    densities = np.exp(component_log_density(at[:, None], seen.density()))
    ax.plot(at, densities.sum(axis=1), color="black", lw=2.0, label="mixture")
    if moments.weights.shape[0] > 1:
        for k, weight in enumerate(weights):
            ax.plot(
                at,
                densities[:, k],
                color=colour(k),
                ls=LINE_STYLES[k % len(LINE_STYLES)],
                lw=1.6,
                label=f"component {k} ({weight:.0%})",
            )
    ax.set(xlabel=names[feature], ylabel="density")
    if moments.weights.shape[0] <= 12:
        ax.legend(fontsize=8)
    return ax


def _n_bins(column: np.ndarray, weights: np.ndarray, variances: np.ndarray) -> int:
    """Return the bins that Scott's rule gives the component it gives the narrowest ones, or NumPy if those are more.

    References
    ----------
    Scott, "On optimal and data-based histograms", Biometrika 66 (1979): ``3.49 s n^(-1/3)``.
    """
    counts = weights * len(column)
    shown = counts >= LEAST_ROWS
    n_bins = len(np.histogram_bin_edges(column, "auto")) - 1
    if shown.any():
        width = (3.49 * np.sqrt(variances[shown]) * counts[shown] ** (-1.0 / 3.0)).min()
        n_bins = max(n_bins, int(np.ceil(min(MOST_BINS, np.ptp(column) / width)))) if width > 0 else MOST_BINS
    return min(n_bins, MOST_BINS)


def _grid(column: np.ndarray, means: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """Return points over the data and, closely, over each component, however narrow it is."""
    margin = 0.05 * (np.ptp(column) or 1.0)
    low, high = column.min() - margin, column.max() + margin
    fine = (means[:, None] + deviations[:, None] * np.linspace(-4.0, 4.0, 41)).ravel()
    return np.unique(np.concatenate([np.linspace(low, high, 400), fine[(fine >= low) & (fine <= high)]]))
