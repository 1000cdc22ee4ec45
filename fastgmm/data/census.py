"""What rows miss, counted in one pass before a fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastgmm.data.rows import Block, Rows

__all__ = ["Census", "census_of"]

#: Features of which it is counted how often two are there together.
MOST_PAIRED = 1000


@dataclass(frozen=True)
class Census:
    """How much rows miss.

    Attributes
    ----------
    n_rows : int
    together : ndarray of shape (n_features, n_features), float64
        Rows of non-zero weight that have both of two features; on the diagonal, that have one. This alone,
        (n_features,), where features are more than `MOST_PAIRED`.
    n_incomplete : int
        Rows that miss something, of weight zero as well: passes have to read them.
    n_empty : int
        Rows that miss everything.
    empty_weight : float
        Of these.
    n_patterns : int
        Different sets of features that rows have.
    """

    n_rows: int
    together: np.ndarray
    n_incomplete: int
    n_empty: int
    empty_weight: float
    n_patterns: int

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return self.n_incomplete == 0

    @property
    def observed(self) -> np.ndarray:
        """Rows that have each feature, shape (n_features,)."""
        return np.diagonal(self.together) if self.together.ndim == 2 else self.together


def census_of(rows: Rows) -> Census:
    """Return what the rows miss, by one pass over them."""
    parts: list[_Part] = rows.fold(list, _add, _joined)
    masks = set().union(*(part.masks for part in parts))
    numbers = [(part.n_rows, part.n_incomplete, part.n_empty, part.empty_weight) for part in parts]
    n_rows, n_incomplete, n_empty, empty_weight = np.sum(numbers, axis=0)
    together = np.sum([part.together for part in parts], axis=0)
    return Census(int(n_rows), together, int(n_incomplete), int(n_empty), float(empty_weight), len(masks))


@dataclass
class _Part:
    n_rows: int
    together: np.ndarray
    n_incomplete: int
    n_empty: int
    empty_weight: float
    masks: set[bytes]


def _add(block: Block, found: list[_Part]) -> None:
    present = np.ones(len(block.rows), dtype=bool) if block.weight is None else block.weight > 0
    observed = ~np.isnan(block.rows)[present]
    weight = np.ones(len(observed)) if block.weight is None else block.weight[present]
    empty = ~observed.any(axis=1)
    masks = observed.astype(np.float32)
    found.append(
        _Part(
            len(block.rows),
            (masks.T @ masks if masks.shape[1] <= MOST_PAIRED else masks.sum(axis=0)).astype(np.float64),
            int(np.count_nonzero(np.isnan(block.rows).any(axis=1))),
            int(np.count_nonzero(empty)),
            float(weight[empty].sum()),
            {mask.tobytes() for mask in np.unique(np.packbits(observed, axis=1), axis=0)},
        )
    )


def _joined(parts: list[list[_Part]]) -> list[_Part]:
    return [part for some in parts for part in some]
