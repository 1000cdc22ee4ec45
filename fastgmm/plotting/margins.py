"""Rows that miss one of the two coordinates of a picture: ticks along the axis of the one they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastgmm.plotting.palette import NOISE, colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["add_margins"]


def add_margins(ax: Axes, seen: np.ndarray, labels: np.ndarray | None = None) -> None:
    """Draw rows with one coordinate as ticks on the axis of that one, outside of which the other would be.

    Parameters
    ----------
    ax : Axes
    seen : ndarray of shape (n, 2)
        NaN where a coordinate is missing; rows with both or none are left alone.
    labels : ndarray of shape (n,), int, optional
        Components, for the colour; black unless given.
    """
    has = ~np.isnan(seen)
    for j, (marker, transform) in enumerate((("|", ax.get_xaxis_transform()), ("_", ax.get_yaxis_transform()))):
        alone = has[:, j] & ~has[:, 1 - j]
        kinds = [None] if labels is None else np.unique(labels[alone]).tolist()
        for k in kinds if alone.any() else []:
            mine = alone if k is None or labels is None else alone & (labels == k)
            inside = np.full(np.count_nonzero(mine), 0.015)
            places = (seen[mine, j], inside) if j == 0 else (inside, seen[mine, j])
            shade = "black" if k is None else NOISE if k < 0 else colour(k)
            ax.plot(*places, ls="none", marker=marker, ms=9, mew=1.3, color=shade, alpha=0.8, transform=transform)
    if (has.sum(axis=1) == 1).any():
        # So that ticks stand beside points, not among them.
        ax.margins(0.08)
