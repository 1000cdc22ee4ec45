"""The trimmed likelihood against the share of rows left out, one curve per number of components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fastgmm.plotting.backend import new_axes
from fastgmm.plotting.palette import colour, marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_trimming_curves"]


def plot_trimming_curves(curves: Mapping[int, Mapping[float, float]], *, ax: Axes | None = None) -> Axes:
    """Draw the trimmed likelihood against the share of rows left out: what R's tclust calls ctlcurves.

    If the curves of two numbers of components meet, the extra component holds only rows that trimming would leave out.
    Choose the number of components, and the share, beyond which more components gain little.

    Parameters
    ----------
    curves : mapping of int to mapping of float to float
        ``curves[n_components][trim]``, as `fastgmm.selection.trimming_curves` returns them. NaN leaves a gap.
    ax : Axes, optional
        The matplotlib axes to draw into; by default those of a new figure.

    Returns
    -------
    Axes
        The matplotlib axes that were drawn into.

    See Also
    --------
    fastgmm.selection.trimming_curves : Makes the curves.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastgmm.plotting import plot_trimming_curves
    >>> curves = {1: {0.0: -900.0, 0.1: -700.0}, 2: {0.0: -800.0, 0.1: -690.0}}
    >>> len(plot_trimming_curves(curves, ax=Figure().subplots()).lines)
    2
    """
    if not any(np.isfinite(value) for curve in curves.values() for value in curve.values()):
        raise ValueError("curves holds no finite value; expected those of trimming_curves")
    ax = new_axes(ax)
    for i, (n_components, curve) in enumerate(curves.items()):
        shares = sorted(curve)
        values = [curve[share] for share in shares]
        ax.plot(shares, values, color=colour(i), marker=marker(i), ms=5, lw=1.4, label=str(n_components))
    ax.set(xlabel="share of rows left out", ylabel="log-likelihood of the rows kept (nats)")
    ax.legend(title="components", fontsize=8, title_fontsize=8)
    return ax
