"""Rows by which of their features are missing (NaN): those of one pattern are read together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["Pattern", "PatternedRows", "Patterns", "patterns_of"]


@dataclass(frozen=True)
class Pattern:
    """The rows that have the same features.

    Attributes
    ----------
    mask : ndarray of shape (n_features,), bool
        True where a feature is observed.
    index : ndarray of int64, ascending
        Numbers of the rows.
    values : ndarray of shape (n_rows, n_observed), C-contiguous
    """

    mask: np.ndarray
    index: np.ndarray
    values: np.ndarray


class Patterns:
    """The rows of an array sorted out by what they miss; in the order of the masks' bits, the rows in theirs.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)

    Attributes
    ----------
    masks : ndarray of shape (n_patterns, n_features), bool
        True where a feature is observed.
    sizes : ndarray of shape (n_patterns,), int64
    """

    def __init__(self, X: np.ndarray) -> None:
        self._X = np.asarray(X)
        observed = ~np.isnan(self._X)
        self.is_complete = bool(observed.all())
        packed = np.packbits(observed, axis=1)
        if packed.shape[1] <= 8:
            codes = np.zeros((len(packed), 8), dtype=np.uint8)
            codes[:, : packed.shape[1]] = packed
            _, first, inverse = np.unique(codes.view(">u8")[:, 0], return_index=True, return_inverse=True)
        else:
            _, first, inverse = np.unique(packed, axis=0, return_index=True, return_inverse=True)
        self.masks = observed[first]
        self.sizes = np.bincount(inverse.ravel(), minlength=len(first))
        self._order = np.argsort(inverse.ravel(), kind="stable")
        self._ends = np.cumsum(self.sizes)
        self._gathered: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        self._split: tuple[float, np.ndarray, np.ndarray] | None = None

    def index(self, pattern: int) -> np.ndarray:
        """Return the numbers of a pattern's rows, ascending."""
        return self._order[self._ends[pattern] - self.sizes[pattern] : self._ends[pattern]]

    def split(self, least: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the patterns of `least` rows or more, or that miss nothing, and the others; kept for further passes.

        Those of rows that have nothing are in neither.
        """
        if self._split is None or self._split[0] != least:
            many, some = (self.sizes >= least) | self.masks.all(axis=1), self.masks.any(axis=1)
            self._split = least, np.flatnonzero(many & some), np.flatnonzero(~many & some)
        return self._split[1:]

    def rows(self, patterns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of the rows of several patterns, ascending, and for each row which of these it has."""
        chosen = np.zeros(len(self.sizes), dtype=bool)
        chosen[patterns] = True
        return self._order[np.repeat(chosen, self.sizes)], np.repeat(np.arange(len(patterns)), self.sizes[patterns])

    def gathered(self, patterns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return numbers and rows of several patterns, ascending; those asked for last are kept for further passes."""
        known = self._gathered is not None and (
            self._gathered[0] is patterns or np.array_equal(self._gathered[0], patterns)
        )
        if self._gathered is None or not known:
            index, _ = self.rows(patterns)
            self._gathered = patterns, index, self._X[index]
        return self._gathered[1:]

    def values(self, index: np.ndarray) -> np.ndarray:
        """Return rows by their numbers."""
        return self._X[index]

    @cached_property
    def _groups(self) -> dict[int, Pattern]:
        return {}

    def group(self, pattern: int) -> Pattern:
        """Return the rows of a pattern, their observed features side by side; kept for further passes."""
        found = self._groups.get(pattern)
        if found is None:
            mask, index = self.masks[pattern], self.index(pattern)
            values = np.ascontiguousarray(self._X[index][:, mask])
            found = self._groups[pattern] = Pattern(mask, index, values)
        return found

    def __iter__(self) -> Iterator[Pattern]:
        return (self.group(pattern) for pattern in range(len(self.sizes)))


class PatternedRows(np.ndarray):
    """An array of rows that stays as it is and is read in several passes: its patterns are found once."""

    _patterns: Patterns | None = None

    @property
    def patterns(self) -> Patterns:
        """What the rows miss."""
        if self._patterns is None:
            self._patterns = Patterns(self)
        return self._patterns


def patterns_of(X: np.ndarray) -> Patterns:
    """Return the patterns of rows, those that are known of them."""
    return X.patterns if isinstance(X, PatternedRows) else Patterns(X)
