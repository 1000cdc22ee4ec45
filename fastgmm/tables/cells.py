"""What the cells of a column of text hold: numbers, missing values, dates, categories or other text."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

__all__ = ["MISSING", "TRUTH", "Cells", "MissingWords", "number_as_written", "number_in"]

#: Cells that stand for a missing value, in small letters: R's, pandas', SQL's, and what a spreadsheet writes.
MISSING = frozenset(
    ("", "na", "n/a", "n.a.", "<na>", "#n/a", "#na", "nan", "null", "none", "-", "--", "?", ".", "missing", "#ref!")
).union(("#div/0!", "#value!", "#num!", "#null!", "#name?"))
TRUTH = {"true": 1.0, "false": 0.0}
DATE = re.compile(
    r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3\d{2,4}|\d{1,2}[-. ]?[a-z]{3,9}\.?[-, ]*\d{2,4}"
    r"|[a-z]{3,9}\.? \d{1,2},? \d{4})([t ,]+\d{1,2}:\d{2}.*)?|\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[ap]m)?",
    re.IGNORECASE,
)
#: What people put between thousands, beside a point or a comma: apostrophes and blanks, narrow ones among them.
APART = "'\u2019 \u00a0\u202f"
#: Numbers as people write them, by decimal mark: a currency before or after, a percent sign, thousands apart.
WRITTEN = {
    mark: re.compile(
        rf"([+-]?)\s*[$€£¥₹]?\s*([+-]?)"
        rf"((?:\d{{1,3}}(?:([{other}{APART}])\d{{3}})(?:\4\d{{3}})*|\d+)(?:[{mark}]\d+)?)\s*[$€£¥₹%]?"
    )
    for mark, other in ((".", ","), (",", "."))
}
#: Text of at most so many values, each in two cells in the mean, is a category.
MOST_CATEGORIES = 50
#: Values that are counted: of text that has more, each is taken to be a different one.
MOST_COUNTED = 100_000
#: Categories that are written out, and characters of a cell.
SHOWN, SHOWN_CHARACTERS = 3, 24


def number_in(cell: str) -> float | None:
    """Return the number in a cell, 1 or 0 for true or false, or None."""
    if cell.lower() in TRUTH:
        return TRUTH[cell.lower()]
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def number_as_written(cell: str, has_comma: bool = False) -> float | None:
    """Return the number in a cell such as '$1,200.50', '45 %' or '1.200,50 €', as it stands there, or None."""
    mark = "," if has_comma else "."
    found = WRITTEN[mark].fullmatch(cell)
    if found is None or (found[1] and found[2]):
        return None
    digits = found[3].replace(found[4], "") if found[4] else found[3]
    return float(found[1] + found[2] + digits.replace(mark, "."))


class MissingWords:
    """What stands for a missing value: the usual words and those given, which may be numbers.

    Parameters
    ----------
    given : sequence of str
        As in ``["-999", "unknown"]``; capital letters make no difference.

    Attributes
    ----------
    words : frozenset of str
        In small letters.
    numbers : ndarray
        Of those given, in whatever way a cell writes them.
    """

    def __init__(self, given: Sequence[str] = ()) -> None:
        self.words = MISSING | {word.strip().lower() for word in given}
        found = (number_in(word.strip()) for word in given)
        self.numbers = np.array([number for number in found if number is not None], dtype=np.float64)

    def blank(self, values: np.ndarray) -> np.ndarray:
        """Return numbers with NaN in place of those that stand for a missing value."""
        if not len(self.numbers):
            return values
        return np.where(np.isin(values, self.numbers.astype(values.dtype)), values.dtype.type(np.nan), values)


@dataclass
class Cells:
    """The cells of a column, which are added piece by piece.

    Attributes
    ----------
    missing : MissingWords
    has_comma : bool
        Whether commas are decimal points.
    n_cells, n_missing, n_words : int
        Of those added: all, those that stand for a missing value, and those that hold no finite number.
    first_missing, first_word : (int, str) or None
        The first of these, and its row, from 0.
    first_written : str or None
        The first number that is written with a currency, a percent sign or thousands apart.
    """

    missing: MissingWords
    has_comma: bool = False
    n_cells: int = 0
    n_missing: int = 0
    n_words: int = 0
    first_missing: tuple[int, str] | None = None
    first_word: tuple[int, str] | None = None
    first_written: str | None = None
    _texts: Counter[str] = field(default_factory=Counter)
    _values: list[np.ndarray] = field(default_factory=list)

    def add(self, cells: Sequence[str]) -> None:
        """Add the cells of the next rows."""
        words: set[str] = set()
        values = self._at_once(cells)
        if values is None:
            values, words = self._one_by_one(cells)
        values = self.missing.blank(values)
        absent = np.flatnonzero(np.isnan(values))
        if len(absent):
            without_word = [i for i in absent.tolist() if cells[i] not in words]
            self.n_missing += len(without_word)
            if self.first_missing is None and len(without_word):
                self.first_missing = self._place(cells, without_word[0])
        self._values.append(values)
        self.n_cells += len(cells)

    def add_numbers(self, values: np.ndarray) -> None:
        """Add finite numbers, those of the next rows."""
        values = self.missing.blank(values)
        absent = np.flatnonzero(np.isnan(values))
        if len(absent) and self.first_missing is None:
            self.first_missing = self.n_cells + int(absent[0]), f"{self.missing.numbers[0]:g}"
        self.n_missing += len(absent)
        self.n_cells += len(values)
        self._values.append(values)

    def _at_once(self, cells: Sequence[str]) -> np.ndarray | None:
        """Return the numbers if every cell holds a finite one or NaN."""
        # Python's numbers may have "_"; beside decimal commas, points keep thousands apart.
        if any("_" in cell or (self.has_comma and "." in cell) for cell in cells):
            return None
        try:
            pointed = (cell.replace(",", ".") for cell in cells) if self.has_comma else cells
            values = np.fromiter(map(float, pointed), np.float64, len(cells))
        except ValueError:
            return None
        return None if np.isinf(values).any() else values

    def _one_by_one(self, cells: Sequence[str]) -> tuple[np.ndarray, set[str]]:
        """Return the numbers, NaN where there is none, and the cells that hold something else."""
        numbers: dict[str, float] = {}
        words: set[str] = set()
        for cell, n in Counter(cells).items():
            text = cell.strip()
            number = self._number(text)
            if text.lower() in self.missing.words:
                number = math.nan
            elif number is None or math.isinf(number):
                number = math.nan
                words.add(cell)
                self.n_words += n
                if text in self._texts or len(self._texts) < MOST_COUNTED:
                    self._texts[text] += n
            numbers[cell] = number
        if words and self.first_word is None:
            self.first_word = self._place(cells, next(i for i, cell in enumerate(cells) if cell in words))
        return np.array([numbers[cell] for cell in cells]), words

    def _number(self, text: str) -> float | None:
        """Return the number in a cell, which may be written as people write them."""
        written = number_as_written(text, self.has_comma)
        plain = number_in(text.replace(",", ".") if self.has_comma else text)
        if written is None or written == plain:
            return plain
        self.first_written = self.first_written or text
        return written

    def _place(self, cells: Sequence[str], i: int) -> tuple[int, str]:
        return self.n_cells + i, cells[i].strip()

    @property
    def values(self) -> np.ndarray:
        """The numbers, NaN where there is none, shape (n_cells,)."""
        self._values = [np.concatenate(self._values)] if self._values else [np.empty(0)]
        return self._values[0]

    def kind(self) -> tuple[str, str]:
        """Return what most cells hold, 'number', 'date', 'category', 'text' or 'empty', and what about it."""
        if not self.n_cells:
            return "number", ""
        present = self.n_cells - self.n_missing
        if not present:
            return "empty", ""
        if 2 * self.n_words <= present:
            low, high = np.nanmin(self.values), np.nanmax(self.values)
            about = f"{low:.6g} to {high:.6g}" if low < high else f"{low:.6g} in every row"
            words = f"; {self.n_words} hold no number, as {shortened(self.first_word[1])}" if self.first_word else ""
            written = f", written as {shortened(self.first_written)}" if self.first_written else ""
            return "number", about + written + words
        assert self.first_word is not None, "there are words"
        first = self.first_word[1]
        n_dates = sum(n for text, n in self._texts.items() if DATE.fullmatch(text))
        if 2 * n_dates >= present:
            return "date", f"as {shortened(first)}"
        n_texts = len(self._texts)
        if n_texts <= MOST_CATEGORIES and 2 * n_texts <= present:
            listed = ", ".join(shortened(text) for text, _ in self._texts.most_common(SHOWN))
            return "category", f"{n_texts} values: {listed}{', ...' if n_texts > SHOWN else ''}"
        return "text", f"{'different in every row, ' if self.are_different() else ''}as {shortened(first)}"

    def are_different(self) -> bool:
        """Return whether every cell holds another text, as names of rows do."""
        n_different = len(self._texts)
        return self.n_words == self.n_cells and n_different >= min(self.n_cells, MOST_COUNTED) and self.n_cells > 1


def shortened(text: str) -> str:
    """Return a text in quotes, cut where it is long."""
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "...")
