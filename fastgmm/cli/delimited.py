"""CSV, TSV and the like: numbers in text, with errors that name the line and the column."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence

import numpy as np

from fastgmm.cli.columns import RawTable
from fastgmm.cli.errors import CommandError
from fastgmm.cli.header import Header, find_header, number_in
from fastgmm.summary.mixture import count_of

__all__ = ["read_delimited"]

#: What is looked for between cells, the safest first. Spaces may be several.
DELIMITERS = "\t;,| "
#: Lines and cells from which decimal mark and header are told, whatever the size of the file; and lines, the delimiter.
TELLING, TELLING_CELLS = 1000, 100_000
CONSISTENT = 20
#: A comment, or names of columns as NumPy's savetxt writes them; "#" alone is a name.
COMMENT = re.compile(r"#[# ]*(?![,;|\t#])")
SPACE = re.compile(r"\s*")
COMMA_DECIMAL = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


def read_delimited(content: bytes, source: str, header: bool | None = None, known: Sequence[str] = ()) -> RawTable:
    """Return the table in delimited text.

    Parameters
    ----------
    content : bytes
    source : str
    header : bool, optional
        Whether the first line names the columns; see `fastgmm.cli.header` for how it is told otherwise.
    known : sequence of str
        Names of columns that are expected.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\x00" in content:
        raise CommandError(f"{source}: not a text file, nor Parquet, Arrow or .npy; expected a table of numbers")
    else:
        encoding = "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        raise CommandError(
            f"{source}: not a text file in UTF-8; expected comma-separated values. Save it as UTF-8"
        ) from None
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        return _Delimited(text, source, header, known)
    except csv.Error as error:
        raise CommandError(f"{source}: cannot be read as comma-separated values: {error}") from None


class _Delimited(RawTable):
    def __init__(self, text: str, source: str, header: bool | None, known: Sequence[str]) -> None:
        lines = _Lines(text)
        comment = None
        while header is None and lines.first is not None and COMMENT.match(lines.first):
            comment = COMMENT.sub("", lines.first, count=1)
            lines.drop_first()
        if lines.first is None:
            raise CommandError(f"{source}: the file is empty; expected comma-separated values")
        self._delimiter = _delimiter_of(lines.telling()[:CONSISTENT])
        if self._delimiter == " ":
            lines.text = "\n".join(" ".join(line.split()) for line in lines.text.split("\n"))
        telling, line = lines.telling(), lines.n_dropped + 1
        telling = telling[: max(CONSISTENT, TELLING_CELLS // (1 + telling[0].count(self._delimiter)))]
        first, *beneath = _cells(telling, self._delimiter)
        self._has_comma = self._delimiter != "," and _has_decimal_comma([first, *beneath])
        if comment is not None and len(_cells([comment], self._delimiter)[0]) == len(first):
            found, first = Header(True), _cells([comment], self._delimiter)[0]
        else:
            found = Header(header) if header is not None else self._header(first, beneath, telling, known)
            if found.found:
                lines.drop_first()
        super().__init__(source, first if found.found else [f"x{j}" for j in range(len(first))], found.found)
        self._body, self._lines_before = lines.text, lines.n_dropped
        if found.why is not None:
            which = f"{source}, line {line}"
            if found.found:
                self.notes.append(f"{which}, names the columns: {found.why}; --no-header reads it as a row")
            else:
                self.notes.append(f"{which}, is read as a row: {found.why}; --header makes it the names of the columns")
        if self._has_comma:
            self.notes.append(f"{source}: commas in numbers are read as decimal points")

    def _header(self, first: list[str], beneath: list[list[str]], telling: list[str], known: Sequence[str]) -> Header:
        if known and set(known) <= set(first):
            return Header(True)
        rows, bare = [], []
        for line, cells in zip(telling, [first, *beneath], strict=True):
            if len(cells) == len(first):
                raw = line.split(self._delimiter)
                rows.append([self._pointed(cell) for cell in cells])
                # A delimiter within quotes: it is not worth telling which cells are bare.
                bare.append([len(raw) != len(cells) or not cell.strip().startswith('"') for cell in raw[: len(cells)]])
        return find_header(rows[0], rows[1:], bare)

    def _pointed(self, cell: str) -> str:
        return cell.replace(",", ".") if self._has_comma else cell

    def _parts(self, wanted: Sequence[str]) -> Iterator[_Delimited]:
        yield self

    def _numbers(self, part: _Delimited, columns: Sequence[str], first: int) -> np.ndarray:
        positions = self.positions(columns)
        if not self._body.strip():
            return np.empty((0, len(positions)))
        # NumPy's parser is compiled; what it refuses is read again, slowly, to say where the fault is.
        values = self._parsed(self._pointed(self._body), positions)
        if values is None:
            mark = re.escape(self._delimiter)
            truth = re.compile(rf'(?<![^{mark}\n"\s])(?:(true)|false)(?![^{mark}\n"\s])', re.IGNORECASE)
            values = self._parsed(
                truth.sub(lambda found: "1" if found[1] else "0", self._pointed(self._body)), positions
            )
        if values is None or not np.isfinite(values).all():
            raise self._first_fault(positions)
        # The parser does not look at cells after the last column asked for.
        if self._body.count(self._delimiter) != len(values) * (len(self.names) - 1):
            for _ in self._rows():
                pass
        return values

    def _parsed(self, body: str, positions: Sequence[int]) -> np.ndarray | None:
        try:
            return np.loadtxt(
                io.StringIO(body),
                delimiter=self._delimiter,
                usecols=list(positions),
                ndmin=2,
                quotechar='"',
                comments=None,
            )
        except ValueError:
            return None

    def _texts(self, part: _Delimited, column: str) -> list[str]:
        position = self.names.index(column)
        return [row[position].strip() for _, row in self._rows()]

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(io.StringIO(self._body), delimiter=self._delimiter)
        try:
            for row in filter(None, reader):
                line = reader.line_num + self._lines_before
                if len(row) != len(self.names):
                    raise CommandError(
                        f"{self.source}, line {line}: has {count_of(len(row), 'cell')}; expected "
                        f"{len(self.names)}, as in the first line; mend or remove the row"
                    )
                yield line, row
        except csv.Error as error:
            raise CommandError(
                f"{self.source}, line {reader.line_num + self._lines_before}: cannot be read as comma-separated "
                f"values: {error}"
            ) from None

    def _first_fault(self, positions: Sequence[int]) -> CommandError:
        try:
            for line, row in self._rows():
                for j in positions:
                    fault = _fault(self._pointed(row[j].strip()), row[j].strip())
                    if fault:
                        return CommandError(
                            f"{self.source}, line {line}, column {self.names[j]!r}: {fault}; mend or remove the row, "
                            f"or choose other columns with --columns"
                        )
        except CommandError as error:
            return error
        return CommandError(f"{self.source}: cannot be read as comma-separated numbers")


class _Lines:
    """Text whose first lines are looked at and dropped; blank ones go first."""

    def __init__(self, text: str) -> None:
        self.text, self.n_dropped = text, 0
        self._drop_blank()

    @property
    def first(self) -> str | None:
        return None if not self.text or self.text.isspace() else self.text.partition("\n")[0]

    def telling(self) -> list[str]:
        return [line for line in self.text.split("\n", TELLING)[:TELLING] if line.strip()]

    def drop_first(self) -> None:
        self.text = self.text.partition("\n")[2]
        self.n_dropped += 1
        self._drop_blank()

    def _drop_blank(self) -> None:
        # Tabs may be empty cells of the first line.
        start = self.text.rfind("\n", 0, SPACE.match(self.text).end()) + 1  # type: ignore[union-attr]
        self.n_dropped += self.text.count("\n", 0, start)
        self.text = self.text[start:]


def _cells(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    return [[cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))] for line in lines]


def _delimiter_of(lines: Sequence[str]) -> str:
    """Return what cuts every line into the same number of cells, or else what the first one has most of."""
    for delimiter in DELIMITERS:
        counts = {
            len(line.split() if delimiter == " " else next(csv.reader([line], delimiter=delimiter))) for line in lines
        }
        if len(counts) == 1 and counts != {1}:
            return delimiter
    return max(",;\t", key=lines[0].count)


def _has_decimal_comma(rows: Sequence[Sequence[str]]) -> bool:
    cells = [cell for row in rows for cell in row]
    with_comma = any(COMMA_DECIMAL.fullmatch(cell) for cell in cells)
    return with_comma and not any("." in cell and number_in(cell) is not None for cell in cells)


def _fault(cell: str, written: str) -> str | None:
    if not cell:
        return "the cell is empty"
    number = number_in(cell)
    if number is None:
        return f"{written!r} is not a number"
    return None if np.isfinite(number) else f"{written!r} is not a finite number"
