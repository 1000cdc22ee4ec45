"""The picture of a search: the criterion of every candidate beside the winner's clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sklearn.utils.validation import check_is_fitted

from fastgmm.plotting.backend import require_matplotlib
from fastgmm.plotting.clusters import plot_clusters
from fastgmm.plotting.criteria import curves_of, plot_criteria
from fastgmm.plotting.histogram import plot_histogram
from fastgmm.plotting.moments import mixture_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["report_figure"]


def report_figure(
    model: Any,
    X: Any,
    curves: Mapping[str, Mapping[int, float]] | None = None,
    *,
    criterion: str | None = None,
    best: tuple[str, int] | None = None,
    names: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Return a figure with the criterion of all candidates beside the best model; it needs no display.

    Parameters
    ----------
    model : fitted GaussianMixtureSearch, or fitted mixture
        The search, or its best model; give `curves` with the latter.
    X : array-like of shape (n_samples, n_features)
        The rows the model was fitted to.
    curves : mapping of str to mapping of int to float, optional
        The criterion of the candidates, as in `plot_criteria`. By default those of the search.
    criterion : str, optional
        The name of the criterion, as in `plot_criteria`. By default the one that the search used, or 'BIC'.
    best : (structure, n_components), optional
        The candidate to ring. By default the best of the search, or the one with the lowest value.
    names : sequence of str, optional
        The names of the features, for the axes. By default those of the fit, or x0, x1, ...
    title : str, optional
        The title above the pictures.

    Returns
    -------
    Figure
        The figure: on the left the criterion, on the right the clusters, or the histogram if there is one feature.

    See Also
    --------
    plot_model : One picture, the one that suits the model.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastgmm import GaussianMixtureSearch
    >>> from fastgmm.datasets import load_faithful
    >>> from fastgmm.plotting import report_figure
    >>> X = load_faithful()
    >>> search = GaussianMixtureSearch(range(1, 5), ["EEE", "VVV"], random_state=0).fit(X)
    >>> [ax.get_ylabel() for ax in report_figure(search, X).axes]
    ['BIC (lower is better)', 'x1']
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    if curves is None:
        check_is_fitted(model, "results_")
        own = str(model.criterion)
        criterion = criterion or (own.upper() if own in ("bic", "icl", "aic") else "BIC")
        curves = curves_of(model, criterion)
        if own.upper() == criterion.upper() and best is None:
            name = model.best_params_["covariance_type"]
            student = model.best_params_.get("distribution") == "student"
            best = f"{name} t" if student else name, model.best_params_["n_components"]
        names = getattr(model, "feature_names_in_", None) if names is None else names
    criterion = criterion or "BIC"
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
