"""Classes: rows by the class predicted, and the components that each class is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgmm.plotting.backend import new_axes
from fastgmm.plotting.clusters import add_component, add_legend, add_points
from fastgmm.plotting.palette import colour, marker
from fastgmm.plotting.rows import quietly, some_rows
from fastgmm.plotting.views import View, seen_in

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
        The classifier to draw.
    X : array-like of shape (n_samples, n_features)
        The rows to draw, with two features or more.
    y : array-like of shape (n_samples,), optional
        The true classes. Rows that are predicted to be of another class are ringed. Rows whose label is not a class,
        such as unlabelled rows, are not.
    view, probabilities, names, max_points
        As in `plot_clusters`.
    ax : Axes, optional
        The matplotlib axes to draw into; by default those of a new figure.

    Returns
    -------
    Axes
        The matplotlib axes that were drawn into.

    See Also
    --------
    fastgmm.GaussianMixtureClassifier : The classifier that is drawn.

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
    X, plane, seen = seen_in(model._mixture(), X, view, names)
    chosen = some_rows(len(X), max_points)
    at = plane.rows(X[chosen])
    posterior = np.asarray(quietly(model, "predict_proba", X[chosen]))
    labels, classes = posterior.argmax(axis=1), model.classes_
    add_points(ax, at, labels, 1.0 - posterior.max(axis=1), lambda c: str(classes[c]))
    for k, c in enumerate(model.component_classes_.tolist()):
        add_component(ax, seen, k, probabilities, colour(c))
    title = "class (share)\nlarger: less certain"
    if y is not None:
        given = np.asarray(y)
        if given.shape != (len(X),):
            raise ValueError(f"y has shape {given.shape}; expected (n_samples,) = ({len(X)},)")
        wrong = np.isin(given[chosen], classes) & (given[chosen] != classes[labels])
        ax.scatter(at[wrong, 0], at[wrong, 1], s=130, facecolors="none", edgecolors="black", linewidths=1.2, zorder=6)
        title += f"\nringed: {np.count_nonzero(wrong)} of {len(chosen)} wrong"
    shares = zip(classes[:12], model.priors_, strict=False)
    add_legend(ax, [(marker(c), colour(c), f"{name}  ({share:.0%})") for c, (name, share) in enumerate(shares)], title)
    ax.set(xlabel=plane.labels[0], ylabel=plane.labels[1])
    ax.autoscale_view()
    return ax
