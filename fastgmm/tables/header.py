"""Whether the first line of delimited text names the columns, where the names may be numbers themselves.

Words over numbers are a header. Names such as wavelengths, years or 0, 1, 2 are told from a row by what sets the first
line apart from every line beneath it. Of rows in random order, the first of n is the only one with some property with
probability 1/n at most, so a table without a header is seldom taken for one with it. `--header` and `--no-header` end
the doubt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fastgmm.tables.cells import MISSING, TRUTH, number_in

__all__ = ["Header", "find_header"]

INTEGER = re.compile(r"[+-]?\d+")
#: Names are outside the range of their columns by so many times its width: in general, in order, and if they are two.
MARGIN, MARGIN_IN_ORDER, MARGIN_OF_TWO = 10.0, 0.5, 2.0


@dataclass(frozen=True)
class Header:
    """What was decided about the first line.

    Attributes
    ----------
    found : bool
    why : str, optional
        What spoke for it, where a reader might doubt the decision.
    """

    found: bool
    why: str | None = None


def find_header(first: Sequence[str], beneath: Sequence[Sequence[str]], bare: Sequence[Sequence[bool]]) -> Header:
    """Decide whether the first line is a header.

    Parameters
    ----------
    first : sequence of str
        Its cells.
    beneath : sequence of sequence of str
        Cells of the next lines, as many in each.
    bare : sequence of sequence of bool
        Which cells of the first and of the next lines are without quotes.

    Returns
    -------
    Header
    """
    kinds = [_kind(cell) for cell in first]
    below = [[_kind(row[j]) for row in beneath] for j in range(len(first))]
    words = [j for j, kind in enumerate(kinds) if kind == "word"]
    numbers = [j for j, kind in enumerate(kinds) if kind in ("integer", "decimal", "truth")]
    if words and (not beneath or not numbers or any("word" not in below[j] for j in words)):
        return Header(True)
    if not beneath or "truth" in kinds:
        return Header(False)
    missing = [j for j, kind in enumerate(kinds) if kind == "missing"]
    if missing == [0] and not first[0] and _names_rows([row[0] for row in beneath]):
        return Header(True, "its first cell is empty, above names or numbers of the rows")
    why = None if missing else _evidence(_Numbers(first, beneath, kinds, below, bare, numbers))
    if why is None and words:
        return Header(False, "its words stand above words, and its numbers are like those beneath")
    return Header(why is not None, why)


def _kind(cell: str) -> str:
    if cell.lower() in MISSING:
        return "missing"
    if cell.lower() in TRUTH:
        return "truth"
    if INTEGER.fullmatch(cell):
        return "integer"
    return "word" if number_in(cell) is None else "decimal"


def _names_rows(cells: Sequence[str]) -> bool:
    """Return whether a column holds words, or consecutive integers."""
    kinds = {_kind(cell) for cell in cells}
    if "missing" in kinds:
        return False
    return "word" in kinds or (kinds == {"integer"} and all(int(b) == int(a) + 1 for a, b in pairwise(cells)))


class _Numbers:
    """The numbers of the first line, and what stands beneath them."""

    def __init__(
        self,
        first: Sequence[str],
        beneath: Sequence[Sequence[str]],
        kinds: Sequence[str],
        below: Sequence[Sequence[str]],
        bare: Sequence[Sequence[bool]],
        positions: Sequence[int],
    ) -> None:
        self.kinds = [kinds[j] for j in positions]
        self.below = [set(below[j]) - {"missing"} for j in positions]
        self.first = np.array([number_in(first[j]) for j in positions], dtype=np.float64)
        self.rows = np.array([[number_in(row[j]) for j in positions] for row in beneath], dtype=np.float64)
        self.bare = [[line[j] for j in positions] for line in bare]

    def are_quoted_alone(self) -> bool:
        return not any(self.bare[0]) and any(all(line) for line in self.bare[1:])

    def are_of_another_type(self) -> bool:
        """Return whether integers stand above decimals alone, say, or decimals above integers, in every column."""
        n_rows, n_columns = self.rows.shape
        differ = all(below and kind not in below for kind, below in zip(self.kinds, self.below, strict=True))
        return differ and n_rows >= (10 if n_columns == 1 else 3) and not self._begin_a_series()

    def count_columns(self) -> bool:
        n_rows, n_columns = self.rows.shape
        counts = np.arange(n_columns)
        if n_columns > 2:
            counted = np.array_equal(self.first, counts) or np.array_equal(self.first, counts + 1)
            return counted and bool(np.mean([_is_even(row) for row in self.rows]) < 0.5)
        # 0, or 0 and 1, may well be a row.
        if n_rows < 10 or not np.array_equal(self.first, counts) or (self.rows == counts).all(axis=1).any():
            return False
        return not self._begin_a_series()

    def are_evenly_spaced(self) -> bool:
        n_rows, n_columns = self.rows.shape
        whole = set(self.kinds) == {"integer"}
        if n_columns < 2 or self._begin_a_series():
            return False
        if n_columns == 2:
            consecutive = whole and abs(self.first[1] - self.first[0]) == 1
            return bool(consecutive and n_rows >= 10 and not (np.abs(np.diff(self.rows)) == 1).any())
        if n_rows * (n_columns - 2) < (15 if whole and n_columns == 3 else 5) or not _is_even(self.first):
            return False
        return not any(_is_even(row) for row in self.rows)

    def are_in_order(self) -> bool:
        n_rows, n_columns = self.rows.shape
        if n_columns < 6 or n_rows < 3 or not _in_order(self.first) or self._begin_a_series():
            return False
        return not any(_in_order(row) for row in self.rows)

    def are_out_of_range(self) -> bool:
        n_rows, n_columns = self.rows.shape
        if n_rows < (20 if n_columns == 1 else 3) or np.isnan(self.rows).all(axis=0).any() or self._begin_a_series():
            return False
        low, high = np.nanmin(self.rows, axis=0), np.nanmax(self.rows, axis=0)
        outside = np.maximum(low - self.first, self.first - high)
        return bool(((outside > 0) & (outside > self._margin() * (high - low))).all())

    def _margin(self) -> float:
        n_rows, n_columns = self.rows.shape
        if n_rows < 5 or n_columns == 1:
            return MARGIN
        if n_columns == 2:
            return MARGIN_OF_TWO
        ordered = _in_order(self.first) and np.mean([_in_order(row) for row in self.rows]) < 0.5
        return MARGIN_IN_ORDER if ordered else MARGIN

    def _begin_a_series(self) -> bool:
        """Return whether a column goes on from its first number: round numbers begin many a series."""
        alone = len(self.first) == 1
        return any(_goes_on(self.first[j], self.rows[:, j], alone) for j in range(len(self.first)))


def _evidence(numbers: _Numbers) -> str | None:
    """Return what sets the numbers of the first line apart, or None."""
    if not numbers.kinds or len(set(numbers.first)) < len(numbers.first) or not np.isfinite(numbers.first).all():
        return None  # names differ
    tests = (
        (numbers.are_quoted_alone, "its numbers alone are in quotes"),
        (numbers.are_of_another_type, "its numbers are of another type than those beneath"),
        (numbers.count_columns, "it counts the columns"),
        (numbers.are_evenly_spaced, "its numbers are evenly spaced, those of no other line are"),
        (numbers.are_in_order, "its numbers are in order, those of no other line are"),
        (numbers.are_out_of_range, "its numbers are far outside the range of their columns"),
    )
    return next((why for test, why in tests if test()), None)


def _in_order(values: np.ndarray) -> bool:
    steps = np.diff(values)
    return bool((steps > 0).all() or (steps < 0).all())


def _is_even(values: np.ndarray) -> bool:
    steps = np.diff(values)
    return bool(steps[0] != 0 and np.allclose(steps, steps[0], rtol=1e-6, atol=0.0))


def _goes_on(value: float, column: np.ndarray, alone: bool) -> bool:
    """Return whether a column rises or falls throughout, or is smooth where it is `alone`, and `value` begins it."""
    if len(column) < 2 or column[0] == value:
        return False
    step = np.median(np.abs(np.diff(column)))
    smooth = alone and step < 0.5 * column.std()
    within = 3.0 if smooth else 10.0
    return bool((smooth or _in_order(np.append(value, column))) and abs(column[0] - value) <= within * step)
