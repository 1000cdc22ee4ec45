"""The box around rows wherever they are."""

from __future__ import annotations

from functools import partial

import numpy as np

from fastgmm.data.rows import Block, Rows
from fastgmm.data.standardised import statistics_of_all
from fastgmm.model.noise import Box, smaller_box

__all__ = ["box_around"]


def box_around(rows: Rows) -> Box:
    """Return the smaller of the boxes along the features and along the principal axes, by four passes over the rows.

    Raises
    ------
    ValueError
        If the rows have no volume.
    """
    statistics = statistics_of_all(rows)
    shift = statistics.sums[0] / statistics.counts[0]
    scatter = statistics.scatter[0] - statistics.counts[0] * np.outer(shift, shift)
    centre = statistics.centres[0] + shift

    def extent(axes: np.ndarray, about: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        # About the mean, so that no digit is lost far from the origin; then where the rows lie.
        found = rows.fold(list, partial(_add_extent, axes, centre))
        at = centre @ axes if about is None else 0.0
        return at + np.min([low for low, _ in found], axis=0), at + np.max([high for _, high in found], axis=0)

    return smaller_box(scatter, extent)


def _add_extent(axes: np.ndarray, centre: np.ndarray, block: Block, found: list) -> None:
    present = block.rows if block.weight is None else block.rows[block.weight > 0]
    if len(present):
        along = (present - centre) @ axes
        found.append((along.min(axis=0), along.max(axis=0)))
