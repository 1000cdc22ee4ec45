"""What every format of table offers: names of columns, and the rows of some of them, in blocks."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastgmm.cli.errors import CommandError
from fastgmm.data import StreamedRows

__all__ = ["Block", "RawTable", "listed", "names_rows"]

#: What pandas calls a column of the names of rows in a file that must name it.
INDEX = re.compile(r"__index_level_\d+__")


#: Names that a line holds.
MOST_LISTED = 20


def listed(names: Sequence[str], most: int = MOST_LISTED) -> str:
    """Return the first names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def names_rows(column: str) -> bool:
    """Return whether a column is that of the names of rows: R and pandas write them, or numbers, without a name."""
    return not column or INDEX.fullmatch(column) is not None


class Block(NamedTuple):
    """Rows in order: numbers of shape (n_rows, n_columns), weights and names of shape (n_rows,) where asked for."""

    X: np.ndarray
    weights: np.ndarray | None
    ids: list[str] | None


class RawTable(ABC):
    """A table whose columns have not been converted yet.

    Attributes
    ----------
    source : str
    names : list of str
        ``x0, x1, ...`` where the file has none.
    named : bool
        Whether the names are the file's own.
    notes : list of str
        What was decided in reading that a reader might doubt.
    n_rows : int or None
        Of a table that can be read block by block, whose numbers take `n_bytes`; otherwise None.
    """

    n_rows: int | None = None
    n_bytes = 0

    def __init__(self, source: str, names: Sequence[str], named: bool) -> None:
        self.source, self.named = source, named
        self.names = list(names)
        self.notes: list[str] = []
        self._places: dict[str, int] = {}
        for j, name in enumerate(self.names):
            if self._places.setdefault(name, j) != j and name:
                raise CommandError(
                    f"{source}: columns {self._places[name] + 1} and {j + 1} are both called {name!r}; expected "
                    "different names. Rename one"
                )

    def position(self, name: str, option: str) -> int:
        """Return which column is called `name`, on behalf of an option."""
        if name not in self._places:
            raise CommandError(f"{option}: {self.source} has no column {name!r}; the columns are {listed(self.names)}")
        return self._places[name]

    def positions(self, names: Sequence[str]) -> list[int]:
        """Return which columns are called so; they are among `names`."""
        return [self._places[name] for name in names]

    def blocks(self, columns: Sequence[str], weights: str | None = None, ids: str | None = None) -> Iterator[Block]:
        """Yield the rows of some columns in order, with the columns of weights and names where given.

        Raises
        ------
        CommandError
            If a number is missing or not finite, or a weight negative.
        """
        for part, X, first in self._pieces(columns, [name for name in (weights, ids) if name is not None]):
            finite = np.isfinite(X)
            if not finite.all():
                row, j = np.argwhere(~finite)[0]
                raise CommandError(
                    f"{self.source}, row {first + row + 1}, column {columns[j]!r}: {X[row, j]:g} is not a finite "
                    "number; mend or remove the row"
                )
            weight = None if weights is None else self._weights(part, weights, first)
            yield Block(X, weight, None if ids is None else self._texts(part, ids))

    def streamed(self, columns: Sequence[str], weights: str | None) -> StreamedRows:
        """Return a source over some columns, of a table that can be read block by block."""

        def open_batches() -> Iterator[dict[str, np.ndarray]]:
            for part, X, first in self._pieces(columns, () if weights is None else (weights,)):
                weight = {} if weights is None else {"sample_weight": self._numbers(part, [weights], first)[:, 0]}
                yield {"X": X, **weight}

        return StreamedRows(open_batches, self.source, list(columns) if self.named else None, stable=True)

    def _pieces(self, columns: Sequence[str], others: Sequence[str]) -> Iterator[tuple[Any, np.ndarray, int]]:
        """Yield pieces that have some columns and others, the numbers in the former, and how many rows come before."""
        first = 0
        for part in self._parts(list(dict.fromkeys([*columns, *others]))):
            X = self._numbers(part, columns, first)
            yield part, X, first
            first += len(X)

    def _weights(self, part: Any, column: str, first: int) -> np.ndarray:
        weight = self._numbers(part, [column], first)[:, 0].astype(np.float64)
        wrong = np.flatnonzero(~((weight >= 0.0) & (weight < np.inf)))  # NaN is neither
        if len(wrong):
            raise CommandError(
                f"--weights: {self.source}, row {first + wrong[0] + 1}, column {column!r}: {weight[wrong[0]]:g}; "
                "expected finite weights of at least 0, 0 for an absent row"
            )
        return weight

    @abstractmethod
    def _parts(self, wanted: Sequence[str]) -> Iterator[Any]:
        """Yield pieces of the table in order, each with the wanted columns at least."""

    @abstractmethod
    def _numbers(self, part: Any, columns: Sequence[str], first: int) -> np.ndarray:
        """Return columns of a piece whose first row is number `first`, as float32 or float64, or raise CommandError."""

    @abstractmethod
    def _texts(self, part: Any, column: str) -> list[str]:
        """Return a column of a piece as text."""
