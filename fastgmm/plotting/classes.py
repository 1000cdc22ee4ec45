"""Classes: rows by the class predicted, and the components that each class is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgmm.plotting.backend import new_axes
from fastgmm.plotting.clusters import add_centre, add_points
from fastgmm.plotting.ellipses import add_ellipse
from fastgmm.plotting.moments import moments_of
from fastgmm.plotting.palette import colour, marker
from fastgmm.plotting.rows import feature_names, quietly, rows_of, some_rows
from fastgmm.plotting.views import View, view_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


__all__ = ["plot_classes"]


def plot_classes(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    view: str | View | Sequence[int | str] = "auto",
    probabilities: Sequence[float] = (0.5, 0.95),
    names: Sequence[str] | None = None,
    max_points: int = 5000,
    ax: Axes | None = None,
) -> Axes:
    """Draw rows by the class predicted, larger the less certain it is, and the ellipses of each class's components.

    Parameters
    ----------
    model : fitted GaussianMixtureClassifier
    X : array-like of shape (n_samples, n_features)
        Two features or more.
    y : array-like of shape (n_samples,), optional
        Classes: rows that are predicted another are ringed; a label that is no class, as of unlabelled rows, is not.
    view, probabilities, names, max_points
        As in `plot_clusters`.
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_iris
    >>> from fastgmm import GaussianMixtureClassifier
    >>> from fastgmm.plotting import plot_classes
    >>> X, y = load_iris(return_X_y=True)
    >>> model = GaussianMixtureClassifier().fit(X, y)
    >>> plot_classes(model, X, y, ax=Figure().subplots()).get_legend().get_title().get_text().splitlines()
    ['class (share)', 'larger: less certain', 'ringed: 3 of 150 wrong']
    """
    check_is_fitted(model)
    ax = new_axes(ax)
    mixture = model._mixture()
    names = feature_names(mixture, X, names)
    X = rows_of(mixture, X)
    moments = moments_of(mixture)
    plane = view_of(moments, view, names)
    seen = plane.mixture(moments)
    chosen = some_rows(len(X), max_points)
    at = plane.rows(X[chosen])
    posterior = np.asarray(quietly(model, "predict_proba", X[chosen]))
    labels, classes = posterior.argmax(axis=1), model.classes_
    add_points(ax, at, labels, 1.0 - posterior.max(axis=1), lambda c: str(classes[c]))
    for k, c in enumerate(model.component_classes_.tolist()):
        for probability in probabilities:
            add_ellipse(ax, seen.means[k], seen.covariances[k], probability, fill=False, edgecolor=colour(c), lw=1.3)
        add_centre(ax, seen.means[k])
    title = "class (share)\nlarger: less certain"
    if y is not None:
        given = np.asarray(y)
        if given.shape != (len(X),):
            raise ValueError(f"y has shape {given.shape}; expected (n_samples,) = ({len(X)},)")
        wrong = np.isin(given[chosen], classes) & (given[chosen] != classes[labels])
        ax.scatter(at[wrong, 0], at[wrong, 1], s=130, facecolors="none", edgecolors="black", linewidths=1.2, zorder=6)
        title += f"\nringed: {np.count_nonzero(wrong)} of {len(chosen)} wrong"
    _add_legend(ax, model, title)
    ax.set(xlabel=plane.labels[0], ylabel=plane.labels[1])
    ax.autoscale_view()
    return ax


def _add_legend(ax: Axes, model: Any, title: str, most: int = 12) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], ls="none", marker=marker(c), color=colour(c), label=f"{name}  ({share:.0%})")
        for c, (name, share) in enumerate(zip(model.classes_[:most], model.priors_, strict=False))
    ]
    ax.legend(handles=handles, title=title, fontsize=8, title_fontsize=8)
