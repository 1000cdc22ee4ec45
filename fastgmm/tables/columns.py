"""What every format of table offers: names and kinds of columns, and the rows of some of them, in blocks."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from fastgmm.data import StreamedRows
from fastgmm.exceptions import TableError
from fastgmm.tables.cells import MissingWords

__all__ = ["Block", "Column", "Missing", "RawTable", "listed", "names_rows"]

#: What pandas calls a column of the names of rows in a file that must name it.
INDEX = re.compile(r"__index_level_\d+__")
#: Names that a line holds, and columns with their numbers of cells.
MOST_LISTED, MOST_COUNTED = 20, 8


def listed(names: Sequence[str], most: int = MOST_LISTED) -> str:
    """Return the first names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def names_rows(column: str) -> bool:
    """Return whether a column is that of the names of rows: R and pandas write them, or numbers, without a name."""
    return not column or INDEX.fullmatch(column) is not None


@dataclass
class Column:
    """What a column holds.

    Attributes
    ----------
    name : str
    kind : str
        'number', 'date', 'category', 'text' or 'empty'.
    about : str
        More about it, as the categories.
    is_different : bool
        Whether it is text that differs in every row, as names of rows do.
    use : str
        'used', 'left out', 'row names', 'weights' or, of a column of numbers with cells that hold something else,
        'fault'.
    n_missing : int or None
        Cells without a value; None where nobody has counted.
    n_words : int
        Of a column of numbers, the cells that hold something else.

    See Also
    --------
    fastgmm.read_table : Reads columns.
    """

    name: str
    kind: str = "number"
    about: str = ""
    is_different: bool = False
    use: str = "left out"
    n_missing: int | None = None
    n_words: int = 0

    @property
    def what(self) -> str:
        """What the column holds, in a few words.

        See Also
        --------
        fastgmm.tables.TableReport : Shows it.
        """
        return f"{self.kind}, {self.about}" if self.about else self.kind


@dataclass(frozen=True)
class Missing:
    """What stands for a missing value, and what is done about a row that has one.

    Attributes
    ----------
    rule : {'error', 'drop', 'marginalise'}
    words : MissingWords
    """

    rule: str = "error"
    words: MissingWords = field(default_factory=MissingWords)

    @property
    def drops(self) -> bool:
        """Whether such rows are left out."""
        return self.rule == "drop"

    @property
    def keeps(self) -> bool:
        """Whether such rows are kept, with NaN."""
        return self.rule == "marginalise"


class Block(NamedTuple):
    """Rows in order: numbers of shape (n_rows, n_columns), weights and names of shape (n_rows,) where asked for.

    `numbers` is which rows of the table they are, from 1; `n_rows`, `n_missing` and `n_incomplete` are how many rows
    there were, cells of each column without a value, and rows with such a cell, with those that were left out.
    """

    X: np.ndarray
    weights: np.ndarray | None
    ids: list[str] | None
    numbers: np.ndarray
    n_rows: int
    n_missing: np.ndarray
    n_incomplete: int


class RawTable(ABC):
    """A table whose columns have not been converted yet.

    Attributes
    ----------
    source : str
    names : list of str
        ``x0, x1, ...`` where the file has none.
    named : bool
        Whether the names are the file's own.
    missing : Missing
    notes : list of str
        What was decided in reading that a reader might doubt.
    n_rows : int or None
        Of a table that can be read block by block, whose numbers take `n_bytes`; otherwise None.
    """

    n_rows: int | None = None
    n_bytes = 0

    def __init__(self, source: str, names: Sequence[str], named: bool, missing: Missing) -> None:
        self.source, self.named, self.missing = source, named, missing
        self.names = list(names)
        self.notes: list[str] = []
        self._places: dict[str, int] = {}
        for j, name in enumerate(self.names):
            if self._places.setdefault(name, j) != j and name:
                raise TableError(
                    f"{source}: columns {self._places[name] + 1} and {j + 1} are both called {name!r}; expected "
                    "different names. Rename one"
                )

    def position(self, name: str, option: str) -> int:
        """Return which column is called `name`, on behalf of an option."""
        if name not in self._places:
            raise TableError(f"{option}: {self.source} has no column {name!r}; the columns are {listed(self.names)}")
        return self._places[name]

    def positions(self, names: Sequence[str]) -> list[int]:
        """Return which columns are called so; they are among `names`."""
        return [self._places[name] for name in names]

    @property
    def n_rows_read(self) -> int:
        """Number of rows, as far as they were counted."""
        return self.n_rows or 0

    @abstractmethod
    def survey(self, names: Sequence[str]) -> list[Column]:
        """Return what some columns hold."""

    def blocks(self, columns: Sequence[str], weights: str | None = None, ids: str | None = None) -> Iterator[Block]:
        """Yield the rows of some columns in order, with the columns of weights and names where given.

        Rows with a missing value are left out, or have NaN, where `missing` says so.

        Raises
        ------
        TableError
            If a number is missing or not finite, or a weight negative.
        """
        others = [name for name in (weights, ids) if name is not None]
        for part, X, first in self._pieces(columns, others):
            weight = None if weights is None else self._blank(part, [weights], first)[:, 0].astype(np.float64)
            names = None if ids is None else self._texts(part, ids)
            absent = np.isnan(X)
            incomplete = absent.any(axis=1) & (not self.missing.keeps)
            if weight is not None:
                incomplete |= np.isnan(weight)
            numbers = np.arange(first + 1, first + 1 + len(X))
            if incomplete.any():
                if not self.missing.drops:
                    raise self._fault(columns, weights)
                kept = ~incomplete
                X, numbers = np.ascontiguousarray(X[kept]), numbers[kept]
                weight = None if weight is None else weight[kept]
                names = None if names is None else [name for name, keep in zip(names, kept, strict=True) if keep]
            infinite = np.isinf(X)
            if infinite.any():
                i, j = np.argwhere(infinite)[0]
                raise TableError(
                    f"{self._place(numbers[i])}, column {columns[j]!r}: {X[i, j]:g} is not a finite number; mend or "
                    "remove the row"
                )
            if weight is not None:
                self._check_weights(weight, weights, numbers)
            yield Block(X, weight, names, numbers, len(absent), absent.sum(axis=0), int(absent.any(axis=1).sum()))

    def streamed(self, columns: Sequence[str], weights: str | None) -> StreamedRows:
        """Return a source over some columns, of a table that can be read block by block."""

        def open_batches() -> Iterator[dict[str, np.ndarray]]:
            for block in self.blocks(columns, weights):
                yield {"X": block.X, **({} if block.weights is None else {"sample_weight": block.weights})}

        rows = StreamedRows(open_batches, self.source, list(columns) if self.named else None, stable=True)
        rows.allows_missing = self.missing.keeps
        return rows

    def _pieces(self, columns: Sequence[str], others: Sequence[str]) -> Iterator[tuple[Any, np.ndarray, int]]:
        """Yield pieces that have some columns and others, the numbers in the former, and how many rows come before."""
        first = 0
        for part in self._parts(list(dict.fromkeys([*columns, *others]))):
            X = self._blank(part, columns, first)
            yield part, X, first
            first += len(X)

    def _blank(self, part: Any, columns: Sequence[str], first: int) -> np.ndarray:
        return self.missing.words.blank(self._numbers(part, columns, first))

    def _check_weights(self, weight: np.ndarray, column: str | None, numbers: np.ndarray) -> None:
        wrong = np.flatnonzero(~((weight >= 0.0) & (weight < np.inf)))
        if len(wrong):
            raise TableError(
                f"--weights: {self._place(numbers[wrong[0]])}, column {column!r}: {weight[wrong[0]]:g}; "
                "expected finite weights of at least 0, 0 for an absent row"
            )

    def _fault(self, columns: Sequence[str], weights: str | None) -> TableError:
        """Return an error that tells the first cell without a value, and how many there are in each column."""
        names = list(dict.fromkeys([*columns, *([weights] if weights is not None else [])]))
        counts, n_rows, n_incomplete, first_cell = np.zeros(len(names), dtype=int), 0, 0, None
        for _, X, first in self._pieces(names, ()):
            absent = np.isnan(X)
            if first_cell is None and absent.any():
                i, j = np.argwhere(absent)[0]
                first_cell = first + int(i) + 1, names[j]
            counts += absent.sum(axis=0)
            n_incomplete += int(absent.any(axis=1).sum())
            n_rows += len(X)
        assert first_cell is not None, "a value is missing"
        row, column = first_cell
        found = [(name, n) for name, n in zip(names, counts.tolist(), strict=True) if n]
        return TableError(
            f"{self._place(row)}, column {column!r}: {self._written(row, column)}. Cells without a value: "
            f"{counted(found)}; in {n_incomplete} of {n_rows} rows. --missing marginalise fits what is there, "
            "--missing drop leaves out these rows, --exclude a column"
        )

    def _place(self, row: int) -> str:
        """Return where a row is, which is counted from 1."""
        return f"{self.source}, row {row}"

    def _written(self, row: int, column: str) -> str:
        """Return what stands where a value is missing."""
        return "the value is missing"

    @abstractmethod
    def _parts(self, wanted: Sequence[str]) -> Iterator[Any]:
        """Yield pieces of the table in order, each with the wanted columns at least."""

    @abstractmethod
    def _numbers(self, part: Any, columns: Sequence[str], first: int) -> np.ndarray:
        """Return columns of a piece whose first row is number `first`, as float32 or float64, NaN where no value is.

        Raises
        ------
        TableError
            If there is something else than numbers.
        """

    @abstractmethod
    def _texts(self, part: Any, column: str) -> list[str]:
        """Return a column of a piece as text."""


def counted(found: Iterable[tuple[str, int]]) -> str:
    """Return names with numbers of cells, the largest first."""
    ordered = sorted(found, key=lambda pair: -pair[1])
    return listed([f"{name!r} {n}" for name, n in ordered], MOST_COUNTED)
