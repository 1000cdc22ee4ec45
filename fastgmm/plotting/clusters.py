"""Clusters: points by component and uncertainty, and the ellipses of the components."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgmm.plotting.backend import new_axes
from fastgmm.plotting.error_ellipses import add_error_ellipses, errors_of, errors_seen
from fastgmm.plotting.margins import add_margins
from fastgmm.plotting.moments import Moments, mixture_of
from fastgmm.plotting.palette import NOISE, colour, marker
from fastgmm.plotting.rows import labels_of, some_rows
from fastgmm.plotting.views import View, seen_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Ellipse

__all__ = ["add_component", "add_legend", "add_points", "component_entries", "plot_clusters", "radius_of"]

# Areas in points squared: of a certain point, and added to one of which nothing is known.
SMALLEST, GROWTH = 9.0, 110.0
# A component of fewer rows than this is empty.
LEAST_COUNT = 0.5
# Components that a legend names.
MOST_NAMED = 12


def plot_clusters(
    model: Any,
    X: Any,
    *,
    view: str | View | Sequence[int | str] = "auto",
    probabilities: Sequence[float] = (0.5, 0.95),
    names: Sequence[str] | None = None,
    errors: Any = None,
    legend: bool = True,
    max_points: int = 5000,
    ax: Axes | None = None,
) -> Axes:
    """Draw rows by component, larger the less certain they are, and each component's ellipses.

    Components of less than half a row are empty and not drawn. Of two features, rows that miss one are ticks on the
    axis of the other; rows that miss a feature of a direction are not drawn.

    Parameters
    ----------
    model : fitted mixture
        The model to draw.
    X : array-like of shape (n_samples, n_features)
        The rows to draw.
    view : {'auto', 'pca', 'between'}, View or pair of int or str, default='auto'
        The plane to draw in. A pair of features, by number or name; 'pca', the two directions of largest variance; or
        'between', those in which components differ most. 'auto' draws two features as they are. With more features it
        is 'between', or 'pca' if there is one component.
    probabilities : sequence of float, default=(0.5, 0.95)
        The share of a component that each of its ellipses holds, in the plane.
    names : sequence of str, optional
        The names of the features, for the axes. By default those of the fit, or x0, x1, ...
    errors : array-like, optional
        Measurement errors of X, as in ``GaussianMixture.fit``: an ellipse of one standard deviation is drawn around
        each row, and components are those of measured rows. The model's own ellipses are those of true values.
    legend : bool, default=True
        Whether the components are named in a legend.
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
    plot_pairs : The same in every pair of features.
    plot_density : The density instead of the components.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.datasets import load_faithful
    >>> from fastgmm.plotting import plot_clusters
    >>> X = load_faithful()
    >>> model = GaussianMixture(2, random_state=0).fit(X)
    >>> ax = plot_clusters(model, X, names=["eruptions", "waiting"], ax=Figure().subplots())
    >>> ax.get_xlabel(), len(ax.patches)
    ('eruptions', 4)
    """
    ax = new_axes(ax)
    model = mixture_of(model)
    X, plane, seen = seen_in(model, X, view, names)
    chosen = some_rows(X.shape[0], max_points)
    drawn, own = X[chosen], None if errors is None else errors_of(errors, len(X)).of(chosen)
    labels, uncertainty = labels_of(model, drawn, None if own is None else own.values)
    if own is not None:
        drawn = np.where(np.isinf(own.variances), np.nan, drawn)
    points = plane.rows(drawn)
    whole = ~np.isnan(points).any(axis=1)
    if own is not None:
        spread = errors_seen(plane, own.values if own.are_variances else own.matrices(len(drawn)))
        add_error_ellipses(ax, points[whole], spread[whole], labels[whole])
    add_points(ax, points[whole], labels[whole], uncertainty[whole])
    add_margins(ax, points, labels)
    # What a variational fit has left empty lies where its prior put it, and is no cluster.
    for k in _present(model, X.shape[0]):
        add_component(ax, seen, k, probabilities, colour(k))
    ax.set(xlabel=plane.labels[0], ylabel=plane.labels[1])
    ax.autoscale_view()
    entries = component_entries(model, X.shape[0])
    if legend and entries:
        add_legend(ax, entries)
    return ax


def _present(model: Any, n_samples: int) -> list[int]:
    weights = np.asarray(model.weights_, dtype=np.float64)
    return np.flatnonzero(weights / weights.sum() * n_samples >= LEAST_COUNT).tolist()


def component_entries(model: Any, n_samples: int) -> list[tuple[str, str, str]]:
    """Return what a legend says of the components that are not empty: nothing of one, or of too many to be told."""
    present = _present(model, n_samples)
    if not 1 < len(present) <= MOST_NAMED:
        return []
    entries = [(marker(k), colour(k), f"{k}  ({model.weights_[k]:.0%})") for k in present]
    if hasattr(model, "noise_weight_"):
        entries.append(("x", NOISE, f"noise  ({model.noise_weight_:.0%})"))
    return entries


def add_points(
    ax: Axes,
    seen: np.ndarray,
    labels: np.ndarray,
    uncertainty: np.ndarray,
    name_of: Callable[[int], str] = "component {}".format,
) -> None:
    """Draw points: one collection per label that occurs, and one of noise.

    Parameters
    ----------
    ax : Axes
    seen : ndarray of shape (n, 2)
    labels : ndarray of shape (n,), int
        -1 for noise.
    uncertainty : ndarray of shape (n,)
        One minus the probability of the label.
    name_of : callable
        The legend's entry of a label.
    """
    noise = labels < 0
    if noise.any():
        ax.scatter(seen[noise, 0], seen[noise, 1], s=2 * SMALLEST, c=NOISE, marker="x", linewidths=0.8, label="noise")
    for k in np.unique(labels[~noise]).tolist():
        mine = labels == k
        ax.scatter(
            seen[mine, 0],
            seen[mine, 1],
            s=SMALLEST + GROWTH * uncertainty[mine],
            c=colour(k),
            marker=marker(k),
            alpha=0.55,
            linewidths=0,
            label=name_of(k),
        )


def radius_of(probability: float, dof: float = math.inf) -> float:
    """Return how many standard deviations, or scales, the ellipse reaches that holds `probability` of a component.

    Half its square is a quantile of the F distribution with 2 and `dof` degrees of freedom; of a normal component, its
    square one of the chi-squared distribution with two, ``-2 log(1 - p)``.
    """
    if not 0.0 < probability < 1.0:
        raise ValueError(f"probability is {probability}; expected a number between 0 and 1")
    normal = -2.0 * math.log1p(-probability)
    return math.sqrt(normal if math.isinf(dof) else dof * math.expm1(normal / dof))


def add_ellipse(
    ax: Axes, mean: np.ndarray, covariance: np.ndarray, probability: float, dof: float = math.inf, **style: Any
) -> Ellipse:
    """Draw the ellipse of equal density that holds `probability` of one component.

    Parameters
    ----------
    ax : Axes
    mean : ndarray of shape (2,)
    covariance : ndarray of shape (2, 2)
    probability : float
    dof : float
        Degrees of freedom of the component.
    **style
        Of the patch.

    Returns
    -------
    Ellipse
        Its half axes are square roots of the eigenvalues, times `radius_of`.
    """
    from matplotlib.patches import Ellipse

    values, vectors = np.linalg.eigh(covariance)
    width, height = 2.0 * radius_of(probability, dof) * np.sqrt(np.maximum(values[::-1], 0.0))
    angle = math.degrees(math.atan2(vectors[1, 1], vectors[0, 1]))
    ellipse = Ellipse((float(mean[0]), float(mean[1])), width, height, angle=angle, **style)
    ax.add_patch(ellipse)
    return ellipse


def add_component(ax: Axes, seen: Moments, k: int, probabilities: Sequence[float], edgecolor: str) -> None:
    """Draw the ellipses of a component and mark its mean, visibly on any colour."""
    mean, covariance, dof = seen.means[k], seen.covariances[k], float(seen.degrees_of_freedom[k])
    for probability in probabilities:
        add_ellipse(ax, mean, covariance, probability, dof, fill=False, edgecolor=edgecolor, lw=1.3)
    ax.plot(*mean, marker="+", color="black", ms=9, mew=2.0, zorder=4)
    ax.plot(*mean, marker="+", color="white", ms=7, mew=0.8, zorder=5)


def add_legend(
    ax: Any,
    entries: Sequence[tuple[str, str, str]],
    title: str = "component (weight)\nlarger: less certain",
    **options: Any,
) -> None:
    """Write a legend of markers, colours and what they stand for, of axes or a figure."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], ls="none", marker=mark, color=shade, label=label) for mark, shade, label in entries]
    ax.legend(handles=handles, title=title, fontsize=8, title_fontsize=8, **options)
