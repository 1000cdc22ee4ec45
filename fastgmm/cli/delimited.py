"""CSV and TSV: numbers in text, with errors that name the line and the column."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

import numpy as np

from fastgmm.cli.columns import RawTable
from fastgmm.cli.errors import CommandError
from fastgmm.summary.mixture import count_of

__all__ = ["read_delimited"]


def read_delimited(content: bytes, source: str) -> RawTable:
    """Return the table in comma-, semicolon- or tab-separated text, with or without a header.

    The first line is a header if anything in it is not a number.
    """
    if b"\x00" in content:
        raise CommandError(f"{source}: not a text file, nor Parquet, Arrow or .npy; expected a table of numbers")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CommandError(f"{source}: not a text file in UTF-8; expected comma-separated values") from None
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _Delimited(text, source)


class _Delimited(RawTable):
    def __init__(self, text: str, source: str) -> None:
        start = len(text) - len(text.lstrip())
        # Tabs may be empty cells of the first line.
        start = text.rfind("\n", 0, start) + 1
        first_line = text[start:].split("\n", 1)[0]
        if not first_line.strip():
            raise CommandError(f"{source}: the file is empty; expected comma-separated values")
        self._delimiter = max(",;\t", key=first_line.count)
        first = [cell.strip() for cell in next(csv.reader([first_line], delimiter=self._delimiter))]
        named = not all(_is_number(cell) for cell in first)
        super().__init__(source, first if named else [f"x{j}" for j in range(len(first))], named)
        self._body = text[start + len(first_line) + 1 :] if named else text[start:]
        self._lines_before = text.count("\n", 0, start) + int(named)

    def numbers(self, positions: Sequence[int]) -> np.ndarray:
        if not self._body.strip():
            return np.empty((0, len(positions)))
        # NumPy's parser is compiled; what it refuses is read again, slowly, to say where the fault is.
        try:
            values = np.loadtxt(
                io.StringIO(self._body),
                delimiter=self._delimiter,
                usecols=list(positions),
                ndmin=2,
                quotechar='"',
                comments=None,
            )
        except ValueError:
            values = None
        if values is None or not np.isfinite(values).all():
            raise self._first_fault(positions)
        # The parser does not look at cells after the last column asked for.
        if self._body.count(self._delimiter) != len(values) * (len(self.names) - 1):
            for _ in self._rows():
                pass
        return values

    def texts(self, position: int) -> list[str]:
        return [row[position].strip() for _, row in self._rows()]

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(io.StringIO(self._body), delimiter=self._delimiter)
        for row in reader:
            if row:
                line = reader.line_num + self._lines_before
                if len(row) != len(self.names):
                    raise CommandError(
                        f"{self.source}, line {line}: has {count_of(len(row), 'cell')}; expected "
                        f"{len(self.names)}, as in the first line; mend or remove the row"
                    )
                yield line, row

    def _first_fault(self, positions: Sequence[int]) -> CommandError:
        try:
            for line, row in self._rows():
                for j in positions:
                    fault = _fault(row[j].strip())
                    if fault:
                        return CommandError(
                            f"{self.source}, line {line}, column {self.names[j]!r}: {fault}; mend or remove the row, "
                            f"or choose other columns with --columns"
                        )
        except CommandError as error:
            return error
        return CommandError(f"{self.source}: cannot be read as comma-separated numbers")


def _fault(cell: str) -> str | None:
    if not cell:
        return "the cell is empty"
    if not _is_number(cell):
        return f"{cell!r} is not a number"
    return None if np.isfinite(float(cell)) else f"{cell!r} is not a finite number"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
