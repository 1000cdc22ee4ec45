"""The lower bound of each iteration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgmm.plotting.backend import new_axes
from fastgmm.plotting.palette import colour, marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_convergence"]


def plot_convergence(models: Any, *, gap: bool = False, ax: Axes | None = None) -> Axes:
    """Draw the lower bound along the iterations of one model or several.

    Parameters
    ----------
    models : fitted mixture, or mapping of str to fitted mixture
        One model, or several with the name each gets in the legend.
    gap : bool, default=False
        Whether to draw, on a logarithmic scale, how far each bound is below the highest of all models: straight lines
        are linear convergence.
    ax : Axes, optional
        The matplotlib axes to draw into; by default those of a new figure.

    Returns
    -------
    Axes
        The matplotlib axes that were drawn into.

    See Also
    --------
    fastgmm.callbacks.ProgressBar : Shows a fit while it runs.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.datasets import load_faithful
    >>> from fastgmm.plotting import plot_convergence
    >>> X = load_faithful()
    >>> model = GaussianMixture(2, random_state=0).fit(X)
    >>> ax = plot_convergence(model, ax=Figure().subplots())
    >>> len(ax.lines[0].get_xdata()) == model.n_iter_
    True
    """
    ax = new_axes(ax)
    named = dict(models) if isinstance(models, Mapping) else {"": models}
    bounds = {}
    for name, model in named.items():
        check_is_fitted(model)
        model = getattr(model, "best_estimator_", model)
        bounds[name] = np.asarray(model.lower_bounds_, dtype=np.float64)
        if not len(bounds[name]):
            raise ValueError(f"model {name!r} made no iteration; expected one that was fitted with max_iter > 0")
    best = max(values.max() for values in bounds.values())
    for i, (name, values) in enumerate(bounds.items()):
        # The best value itself has no logarithm of its gap.
        shown = np.where(best - values > 0, best - values, np.nan) if gap else values
        ax.plot(
            np.arange(1, len(values) + 1), shown, color=colour(i), marker=marker(i), ms=4, lw=1.4, label=name or None
        )
    if gap:
        ax.set_yscale("log")
    ax.set(xlabel="iteration", ylabel="lower bound below the best (nats)" if gap else "lower bound (nats)")
    if any(bounds):
        ax.legend(fontsize=8)
    return ax
