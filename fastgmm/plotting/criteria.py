"""BIC, AIC or ICL against the number of components, one curve per covariance structure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgmm.plotting.backend import new_axes
from fastgmm.plotting.palette import colour, marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["curves_of", "plot_criteria"]

CURVES_IN_COLUMN = 7


def plot_criteria(
    curves: Mapping[str, Mapping[int, float]] | Any,
    *,
    criterion: str = "BIC",
    best: tuple[str, int] | None = None,
    legend: bool = True,
    ncols: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a criterion for every candidate and ring the winner.

    Parameters
    ----------
    curves : mapping of str to mapping of int to float, or fitted GaussianMixtureSearch
        ``curves[structure][n_components]``, in nats; lower is better. NaN leaves a gap.
    criterion : str, default='BIC'
        The name of the criterion. For a search it is 'BIC', 'ICL' or 'AIC', and says which one to draw.
    best : (structure, n_components), optional
        The candidate to ring. By default it is the one with the lowest value.
    legend : bool, default=True
        Whether the curves are named in a legend.
    ncols : int, optional
        The number of columns of the legend. By default each column holds at most seven curves.
    ax : Axes, optional
        The matplotlib axes to draw into; by default those of a new figure.

    Returns
    -------
    Axes
        The matplotlib axes that were drawn into.

    See Also
    --------
    fastgmm.GaussianMixtureSearch : Makes the table that is drawn.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastgmm.plotting import plot_criteria
    >>> curves = {"full": {1: 2608.0, 2: 2322.2, 3: 2333.8}, "tied": {1: 2608.0, 2: 2325.2, 3: 2314.3}}
    >>> plot_criteria(curves, ax=Figure().subplots()).get_legend().get_title().get_text()
    'ringed: tied, 3'
    """
    ax = new_axes(ax)
    from matplotlib.ticker import MaxNLocator

    if not isinstance(curves, Mapping):
        curves = curves_of(curves, criterion)
    known = {(name, k): value for name, curve in curves.items() for k, value in curve.items() if np.isfinite(value)}
    if not known:
        raise ValueError("curves holds no finite value; expected at least one candidate that was fitted")
    best = best or min(known, key=known.__getitem__)
    if best not in known:
        raise ValueError(f"best is {best}, of which curves holds no finite value")
    for i, (name, curve) in enumerate(curves.items()):
        ks = sorted(curve)
        won = name == best[0]
        ax.plot(
            ks,
            [curve[k] for k in ks],
            color=colour(i),
            marker=marker(i),
            ms=5,
            lw=2.2 if won else 1.3,
            ls="-" if i < 7 else "--",
            zorder=3 if won else 2,
            label=name,
        )
    ax.plot(best[1], known[best], marker="o", ms=13, mfc="none", mec="black", mew=1.6, ls="none", zorder=4)
    _limit_to_contenders(ax, np.array(list(known.values())))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="number of components", ylabel=f"{criterion} (lower is better)")
    if legend:
        title = f"ringed: {best[0]}, {best[1]}"
        ax.legend(title=title, fontsize=8, title_fontsize=8, ncols=ncols or -(-len(curves) // CURVES_IN_COLUMN))
    return ax


def curves_of(search: Any, criterion: str) -> dict[str, dict[int, float]]:
    """Return a criterion of the candidates of a fitted search, by structure and size."""
    if criterion.lower() not in ("bic", "icl", "aic"):
        raise ValueError(f"criterion is {criterion!r}; expected 'BIC', 'ICL' or 'AIC'")
    check_is_fitted(search, "results_")
    table = search.results_
    curves: dict[str, dict[int, float]] = {}
    of = table.get("distribution", ["normal"] * len(table["covariance_type"]))
    columns = (table["covariance_type"], of, table["n_components"], table[criterion.lower()])
    for name, distribution, k, value in zip(*columns, strict=True):
        curves.setdefault(f"{name} t" if distribution == "student" else name, {})[k] = float(value)
    return curves


def _limit_to_contenders(ax: Axes, values: np.ndarray) -> None:
    # A structure that does not fit at all would press the others onto one line: its curve may leave the picture.
    lowest, highest = values.min(), values.max()
    ceiling = lowest + 4.0 * (np.median(values) - lowest)
    if lowest < ceiling < highest:
        ax.set_ylim(lowest - 0.06 * (ceiling - lowest), ceiling)
        for line in ax.lines:
            if not np.nanmin(np.asarray(line.get_ydata(), dtype=np.float64)) <= ceiling:
                line.set_label(f"{line.get_label()} (above)")
