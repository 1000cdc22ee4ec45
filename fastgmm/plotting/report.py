"""The picture of a search: the criterion of every candidate beside the winner's clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastgmm.plotting.backend import require_matplotlib
from fastgmm.plotting.clusters import plot_clusters
from fastgmm.plotting.criteria import plot_criteria
from fastgmm.plotting.histogram import plot_histogram
from fastgmm.plotting.moments import mixture_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["report_figure"]


def report_figure(
    model: Any,
    X: Any,
    curves: Mapping[str, Mapping[int, float]],
    *,
    criterion: str = "BIC",
    best: tuple[str, int] | None = None,
    names: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Return a figure of two panels; it belongs to no window, so it needs no display.

    Parameters
    ----------
    model : fitted mixture
        The winner.
    X : array-like of shape (n_samples, n_features)
        The rows the model was fitted to.
    curves, criterion, best
        As in `plot_criteria`.
    names : sequence of str, optional
        Of the features.
    title : str, optional
        What stands above the pictures.

    Returns
    -------
    Figure
        Left the criterion; right the clusters, or the histogram where there is one feature.

    See Also
    --------
    plot_model : One picture, the one that suits the model.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.datasets import load_faithful
    >>> from fastgmm.plotting import report_figure
    >>> X = load_faithful()
    >>> model = GaussianMixture(2, random_state=0).fit(X)
    >>> curves = {"full": {2: model.bic(X)}}
    >>> [ax.get_ylabel() for ax in report_figure(model, X, curves).axes]
    ['BIC (lower is better)', 'x1']
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 5.0), layout="constrained", dpi=120)
    left, right = figure.subplots(1, 2)
    plot_criteria(curves, criterion=criterion, best=best, ax=left)
    if mixture_of(model).means_.shape[1] == 1:
        plot_histogram(model, X, names=names, ax=right)
    else:
        plot_clusters(model, X, names=names, ax=right)
    if title:
        figure.suptitle(title)
    return figure
