"""The box around rows wherever they are."""

from __future__ import annotations

from functools import partial

import numpy as np

from fastgmm.data.rows import Block, Rows, join_statistics
from fastgmm.data.standardised import add_moments
from fastgmm.model.noise import NO_VOLUME, Box, smaller_box

__all__ = ["box_around"]


def box_around(rows: Rows) -> Box:
    """Return the smaller of the boxes along the features and along the principal axes, by four passes over the rows.

    Rows of weight zero are absent; others are as good as each other, as they are to `enclosing_box`. Where values are
    missing, the box is that along the features, whose volume in some of them is known.

    Raises
    ------
    ValueError
        If the rows have no volume.
    """
    if rows.allows_missing:
        parts = rows.fold(list, _add_range)
        low, high = np.min([part[0] for part in parts], axis=0), np.max([part[1] for part in parts], axis=0)
        if any(part[2] for part in parts):
            if not (high > low).all():
                raise ValueError(NO_VOLUME)
            return Box(np.eye(len(low)), low, high)
    statistics = join_statistics(rows.fold(list, _add_present))
    shift = statistics.sums[0] / statistics.counts[0]
    scatter = statistics.scatter[0] - statistics.counts[0] * np.outer(shift, shift)
    centre = statistics.centres[0] + shift

    def extent(axes: np.ndarray, about: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        # About the mean, so that no digit is lost far from the origin; then where the rows lie.
        found = rows.fold(list, partial(_add_extent, axes, centre))
        at = centre @ axes if about is None else 0.0
        return at + np.min([low for low, _ in found], axis=0), at + np.max([high for _, high in found], axis=0)

    return smaller_box(scatter, extent)


def _present(block: Block) -> np.ndarray:
    return block.rows if block.weight is None else np.ascontiguousarray(block.rows[block.weight > 0])


def _add_present(block: Block, parts: list) -> None:
    add_moments("full", Block(_present(block)), parts)


def _add_range(block: Block, found: list) -> None:
    present, missing = _present(block), np.isnan(block.rows)
    if len(present):
        masked = np.where(np.isnan(present), np.inf, present), np.where(np.isnan(present), -np.inf, present)
        found.append((masked[0].min(axis=0), masked[1].max(axis=0), bool(missing.any())))


def _add_extent(axes: np.ndarray, centre: np.ndarray, block: Block, found: list) -> None:
    present = _present(block)
    if len(present):
        along = (present - centre) @ axes
        found.append((along.min(axis=0), along.max(axis=0)))
