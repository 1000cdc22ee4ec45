"""The short way, ``model.plot(X)``: the picture that is asked for by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sklearn.utils.validation import check_is_fitted

from fastgmm.exceptions import did_you_mean
from fastgmm.plotting.clusters import plot_clusters
from fastgmm.plotting.criteria import plot_criteria
from fastgmm.plotting.density import plot_density
from fastgmm.plotting.histogram import plot_histogram
from fastgmm.plotting.moments import mixture_of
from fastgmm.plotting.outliers import plot_outlier_scores
from fastgmm.plotting.pairs import plot_pairs
from fastgmm.plotting.posterior import plot_posterior

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_model"]

KINDS: dict[str, Callable[..., Any]] = {
    "clusters": plot_clusters,
    "density": plot_density,
    "histogram": plot_histogram,
    "outliers": plot_outlier_scores,
    "pairs": plot_pairs,
    "posterior": plot_posterior,
}


def plot_model(model: Any, X: Any, *, kind: str | None = None, ax: Axes | None = None, **options: Any) -> Any:
    """Draw a fitted mixture and rows.

    Parameters
    ----------
    model : fitted mixture, detector or search
        What to draw.
    X : array-like of shape (n_samples, n_features)
        The rows to draw. None draws the criterion of all candidates of a search.
    kind : {'clusters', 'density', 'histogram', 'outliers', 'pairs', 'posterior', 'criteria'}, optional
        Which picture to draw. By default it is 'outliers' for an outlier detector, with its own threshold, 'histogram'
        for one feature, and 'clusters' otherwise.
    ax : Axes, optional
        The matplotlib axes to draw into; by default those of a new figure.
    **options
        Further options of the function that draws this kind, such as `plot_clusters`.

    Returns
    -------
    Axes
        The matplotlib axes that were drawn into.

    See Also
    --------
    report_figure : All pictures of a model on one page.
    """
    check_is_fitted(model)
    if hasattr(model, "results_") and (kind == "criteria" or (kind is None and X is None)):
        return plot_criteria(model, ax=ax, **options)
    if X is None:
        raise ValueError(f"kind is {kind!r} and X is None; expected rows to draw, or kind='criteria' of a search")
    detects = hasattr(model, "offset_")
    if kind is None and detects:
        kind = "outliers"
    elif kind is None:
        kind = "histogram" if mixture_of(model).means_.shape[1] == 1 else "clusters"
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}{did_you_mean(kind, KINDS)}; expected one of {', '.join(KINDS)}")
    if kind == "outliers" and detects and "fraction" not in options:
        options.setdefault("threshold", model.offset_)
    return KINDS[kind](model, X, ax=ax, **options)
