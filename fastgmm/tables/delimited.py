"""CSV, TSV and the like: numbers in text, with errors that name the line and the column."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from fastgmm.exceptions import TableError
from fastgmm.summary.mixture import count_of
from fastgmm.tables.cells import Cells, number_as_written, number_in
from fastgmm.tables.columns import Column, Missing, RawTable, counted
from fastgmm.tables.header import Header, find_header

__all__ = ["read_delimited"]

#: What is looked for between cells, the safest first. Spaces may be several.
DELIMITERS = "\t;,| "
#: Lines and cells from which decimal mark and header are told, whatever the size of the file; and lines, the delimiter.
TELLING, TELLING_CELLS = 1000, 100_000
CONSISTENT = 20
#: Lines above a table that are no part of it.
MOST_TITLES = 5
#: Rows whose cells are in memory at a time.
PIECE_ROWS = 20_000
#: A comment, or names of columns as NumPy's savetxt writes them; "#" alone is a name.
COMMENT = re.compile(r"#[# ]*(?![,;|\t#])")
SPACE = re.compile(r"\s*")
COMMA_DECIMAL = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
#: What may be thousands as well.
COMMA_THOUSANDS = re.compile(r"[+-]?\d{1,3},\d{3}")
#: Bytes above 127 that Western European text has, as Excel saves it, and their largest share of a file.
WESTERN = frozenset(range(0xA0, 0x100)) | frozenset(b"\x80\x85\x8a\x8c\x8e\x91\x92\x93\x94\x96\x97\x9a\x9c\x9e\x9f")
WESTERN_SHARE = 0.1


def read_delimited(
    content: bytes, source: str, header: bool | None = None, known: Sequence[str] = (), missing: Missing | None = None
) -> RawTable:
    """Return the table in delimited text.

    Parameters
    ----------
    content : bytes
    source : str
    header : bool, optional
        Whether the first line names the columns; see `fastgmm.tables.header` for how it is told otherwise.
    known : sequence of str
        Names of columns that are expected.
    missing : Missing, optional
    """
    text, notes = _decoded(content, source)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        table = _Delimited(text, source, header, known, missing or Missing())
    except csv.Error as error:
        raise TableError(f"{source}: cannot be read as comma-separated values: {error}") from None
    table.notes[:0] = notes
    return table


def _decoded(content: bytes, source: str) -> tuple[str, list[str]]:
    """Return the text, and a note where its encoding was guessed."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\x00" in content:
        raise TableError(f"{source}: not a text file, nor Parquet, Arrow or .npy; expected a table of numbers")
    else:
        encoding = "utf-8-sig"
    try:
        return content.decode(encoding), []
    except UnicodeDecodeError:
        high = [byte for byte in content[:1_000_000] if byte > 127]
        if encoding == "utf-16" or not WESTERN.issuperset(high) or len(high) > WESTERN_SHARE * len(content):
            raise TableError(
                f"{source}: not a text file in UTF-8; expected comma-separated values. Save it as UTF-8"
            ) from None
    return content.decode("cp1252", "replace"), [
        f"{source}: is not UTF-8 and was read as Western European (Windows-1252)"
    ]


class _Delimited(RawTable):
    def __init__(self, text: str, source: str, header: bool | None, known: Sequence[str], missing: Missing) -> None:
        lines = _Lines(text)
        comment = None
        while header is None and lines.first is not None and COMMENT.match(lines.first):
            comment = COMMENT.sub("", lines.first, count=1)
            lines.drop_first()
        if lines.first is None:
            raise TableError(f"{source}: the file is empty; expected comma-separated values")
        titles = _drop_titles(lines)
        self._delimiter = _delimiter_of(lines.telling()[:CONSISTENT])
        if self._delimiter == " ":
            lines.text = "\n".join(" ".join(line.split()) for line in lines.text.split("\n"))
        telling, line = lines.telling(), lines.n_dropped + 1
        telling = telling[: max(CONSISTENT, TELLING_CELLS // (1 + telling[0].count(self._delimiter)))]
        first, *beneath = _cells(telling, self._delimiter)
        self._has_comma = _has_decimal_comma([first, *beneath], self._delimiter)
        self._telling = beneath
        self._cells: dict[str, Cells] = {}
        if comment is not None and len(_cells([comment], self._delimiter)[0]) == len(first):
            found, first = Header(True), _cells([comment], self._delimiter)[0]
        else:
            found = Header(header) if header is not None else self._header(first, beneath, telling, known)
            if found.found:
                lines.drop_first()
        names, again = _told_apart(first) if found.found else ([f"x{j}" for j in range(len(first))], [])
        super().__init__(source, names, found.found, missing)
        self.notes += [f"{source}: {note}" for note in [*titles, *again]]
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

    @property
    def n_rows_read(self) -> int:
        """Number of rows, as far as they were counted."""
        return max((cells.n_cells for cells in self._cells.values()), default=0)

    def survey(self, names: Sequence[str]) -> list[Column]:
        self._read(names)
        found = []
        for name in names:
            cells = self._cells[name]
            kind, about = cells.kind()
            if kind == "number" and cells.first_written is not None:
                number = number_as_written(cells.first_written, self._has_comma)
                self.notes.append(
                    f"{self.source}: column {name!r} is read without signs and marks of thousands: "
                    f"{cells.first_written!r} as {number:.15g}"
                )
            found.append(
                Column(
                    name,
                    kind,
                    about,
                    is_different=kind == "text" and cells.are_different(),
                    n_missing=cells.n_missing,
                    n_words=cells.n_words if kind == "number" else 0,
                )
            )
        return found

    def _numbers(self, part: _Delimited, columns: Sequence[str], first: int) -> np.ndarray:
        self._read(columns)
        if any(self._cells[name].n_words for name in columns):
            raise self._words(columns)
        return np.column_stack([self._cells[name].values for name in columns])

    def _read(self, names: Sequence[str]) -> None:
        """Read the cells of some columns, once."""
        names = [name for name in names if name not in self._cells]
        if not names:
            return
        cells = {name: Cells(self.missing.words, self._has_comma) for name in names}
        positions = self.positions(names)
        values = self._parsed(names, positions)
        if values is not None:
            for name, column in zip(names, values.T, strict=True):
                cells[name].add_numbers(column)
        else:
            rows = (row for _, row in self._rows())
            while piece := list(islice(rows, PIECE_ROWS)):
                columns = list(zip(*piece, strict=True))
                for name, j in zip(names, positions, strict=True):
                    cells[name].add(columns[j])
        self._cells.update(cells)

    def _parsed(self, names: Sequence[str], positions: Sequence[int]) -> np.ndarray | None:
        """Return some columns if every cell of theirs holds a number, by NumPy's compiled parser; otherwise None."""
        if self._has_comma and (self._delimiter == "," or "." in self._body):
            return None
        if any(number_in(self._pointed(row[j])) is None for row in self._telling for j in positions if j < len(row)):
            return None
        body = self._pointed(self._body)
        if not body.strip():
            return np.empty((0, len(names)))
        try:
            values = np.loadtxt(
                io.StringIO(body),
                delimiter=self._delimiter,
                usecols=list(positions),
                ndmin=2,
                quotechar='"',
                comments=None,
            )
        except ValueError:
            return None
        # The parser does not look at cells after the last column asked for.
        whole = self._body.count(self._delimiter) == len(values) * (len(self.names) - 1)
        return values if whole and np.isfinite(values).all() else None

    def _texts(self, part: _Delimited, column: str) -> list[str]:
        position = self.names.index(column)
        return [row[position].strip() for _, row in self._rows()]

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(io.StringIO(self._body), delimiter=self._delimiter)
        try:
            for row in reader:
                if not any(row):  # a spreadsheet writes such lines beneath a table
                    continue
                line = reader.line_num + self._lines_before
                if len(row) != len(self.names):
                    raise TableError(
                        f"{self.source}, line {line}: has {count_of(len(row), 'cell')}; expected "
                        f"{len(self.names)}, as in the first line; mend or remove the row"
                    )
                yield line, row
        except csv.Error as error:
            raise TableError(
                f"{self.source}, line {reader.line_num + self._lines_before}: cannot be read as comma-separated "
                f"values: {error}"
            ) from None

    def _words(self, columns: Sequence[str]) -> TableError:
        """Return an error that tells the first cell that holds no number, and how many there are in each column."""
        found = {name: self._cells[name] for name in columns if self._cells[name].n_words}
        _, name = min((cells.first_word or (0, ""), name) for name, cells in found.items())
        row, written = found[name].first_word or (0, "")
        finite = "finite " if number_in(self._pointed(written)) is not None else ""
        counts = counted((name, cells.n_words) for name, cells in found.items())
        return TableError(
            f"{self._place(row + 1)}, column {name!r}: {written!r} is not a {finite}number. Cells that hold none: "
            f"{counts}. Mend them, name what stands for a missing value with --na, or choose other columns with "
            "--columns or --exclude"
        )

    def _place(self, row: int) -> str:
        line = next(islice(self._rows(), row - 1, None))[0]
        return f"{self.source}, line {line}"

    def _written(self, row: int, column: str) -> str:
        first = self._cells[column].first_missing
        return f"{first[1]!r} stands for a missing value" if first and first[1] else "the cell is empty"


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


def _drop_titles(lines: _Lines) -> list[str]:
    """Drop what stands above a table, lines of one cell of words over lines of several cells; return what to say."""
    telling = lines.telling()[:CONSISTENT]
    for n_titles in range(min(MOST_TITLES, len(telling) - 2), 0, -1):
        delimiter = _delimiter_of(telling[n_titles:])
        cells = _cells(telling[: n_titles + 1], delimiter)
        filled = [[cell for cell in row if cell] for row in cells]
        titles, below = filled[:n_titles], filled[n_titles]
        if len(below) < 2 or any(number_in(cell) is not None for cell in below):
            continue  # what is below must look like names
        if all(len(row) == 1 and number_in(row[0]) is None for row in titles):
            dropped = []
            for row in titles:
                dropped.append(f"{row[0]!r} is taken for a title and not read")
                lines.drop_first()
            return dropped
    return []


def _told_apart(names: list[str]) -> tuple[list[str], list[str]]:
    """Return names of which none is used twice, as ``a, a.1, a.2``, and what to say."""
    found: list[str] = []
    notes = []
    for j, name in enumerate(names):
        k, other = 0, name
        while name and other in found:
            k += 1
            other = f"{name}.{k}"
        if other != name:
            notes.append(f"column {j + 1} is called {name!r} as an earlier one, and is read as {other!r}")
        found.append(other)
    return found, notes


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


def _has_decimal_comma(rows: Sequence[Sequence[str]], delimiter: str) -> bool:
    cells = [cell for row in rows for cell in row]
    commas = [cell for cell in cells if COMMA_DECIMAL.fullmatch(cell)]
    if delimiter == "," and all(COMMA_THOUSANDS.fullmatch(cell) for cell in commas):
        return False
    return bool(commas) and not any("." in cell and number_in(cell) is not None for cell in cells)
