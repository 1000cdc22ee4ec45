"""What became of the columns and rows of a table that was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fastgmm.summary.mixture import count_of
from fastgmm.tables.columns import Column, counted, listed

__all__ = ["TableReport"]

#: Columns that are left out whose content a line tells.
MOST_TOLD = 8


@dataclass(frozen=True)
class TableReport:
    """The columns of a table, and what was done with them; as text, a table with a line for each.

    Attributes
    ----------
    source : str
        The file that was read.
    n_rows : int
        Rows in the file.
    n_incomplete : int
        Rows in which a value is missing.
    n_left_out : int
        Those of them that were left out: all, or none.
    columns : list of Column
        In the order of the file, with `name`, `kind` ('number', 'date', 'category', 'text' or 'empty'), `about`,
        `use` ('used', 'left out', 'row names', 'weights' or 'fault') and `n_missing`, the number of cells without a
        value (None where they were not counted).
    chosen : bool
        Whether columns were asked for by name; otherwise those of numbers are used.

    See Also
    --------
    fastgmm.read_table : Makes it.
    """

    source: str
    n_rows: int
    n_incomplete: int
    n_left_out: int
    columns: list[Column]
    chosen: bool = False

    @property
    def row_names(self) -> list[str]:
        """Columns of text that differs in every row: they may name the rows.

        See Also
        --------
        lines : The whole report.
        """
        return [column.name for column in self.columns if column.is_different and column.use == "left out"]

    def lines(self) -> list[str]:
        """Return what a reader should know of it, in sentences without their full stop.

        See Also
        --------
        as_json : The same for programs.
        """
        found = []
        left_out = [column for column in self.columns if column.use == "left out"]
        if left_out and not self.chosen:
            n_used = sum(column.use == "used" for column in self.columns)
            told = listed([f"{column.name} ({column.what})" for column in left_out], MOST_TOLD)
            found.append(f"{count_of(n_used, 'column')} of numbers used, {len(left_out)} left out: {told}")
        if self.n_incomplete:
            counts = [(column.name, column.n_missing or 0) for column in self.columns if column.use != "left out"]
            told = counted((name, n) for name, n in counts if n)
            what = "left out" if self.n_left_out else "with values missing, kept"
            found.append(f"{self.n_incomplete} of {self.n_rows} rows {what}; cells without a value: {told}")
        return found

    def as_json(self) -> list[dict[str, Any]]:
        """Return a dictionary for each column.

        See Also
        --------
        lines : The same as text.
        """
        return [asdict(column) for column in self.columns]

    def __str__(self) -> str:
        rows = [("column", "use", "holds", "missing", "")]
        for column in self.columns:
            missing = "" if column.n_missing is None else str(column.n_missing)
            rows.append((column.name, column.use, column.kind, missing, column.about))
        widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                (
                    name.ljust(widths[0]),
                    use.ljust(widths[1]),
                    kind.ljust(widths[2]),
                    missing.rjust(widths[3]),
                    about,
                )
            ).rstrip()
            for name, use, kind, missing, about in rows
        ]
        title = f"{self.source}: {count_of(self.n_rows, 'row')}, {count_of(len(self.columns), 'column')}"
        if self.n_incomplete:
            title += f"; {self.n_incomplete} rows {'left out' if self.n_left_out else 'with values missing'}"
        return "\n".join([title, *lines])


def in_order(names: Sequence[str], columns: Sequence[Column]) -> list[Column]:
    """Return columns in the order of names."""
    places = {name: j for j, name in enumerate(names)}
    return sorted(columns, key=lambda column: places[column.name])
