"""What the user sees: lines and tables on standard output, progress and faults on standard error."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from fastgmm.callbacks.progress import Progress, Steps
from fastgmm.cli.prose import wrapped

__all__ = ["Screen", "discard_output", "number"]

#: What makes a terminal write otherwise, and as before.
BOLD, BEST, PLAIN = "\x1b[1m", "\x1b[1;32m", "\x1b[0m"


def number(value: float, digits: int = 6) -> str:
    """Return a number with `digits` significant digits, without an exponent where that is readable."""
    if value == 0 or 1e-4 <= abs(value) < 1e7:
        text = f"{value:.{digits}g}"
        return text if "e" not in text else f"{value:.0f}"
    return f"{value:.{digits - 1}e}"


class Screen:
    """Writes results.

    Parameters
    ----------
    quiet : bool
        Whether to write nothing but faults and what was asked for as data.
    as_json : bool
        Whether to write one JSON object in place of text.
    digits : int
        Significant digits of numbers.
    """

    def __init__(self, quiet: bool = False, as_json: bool = False, digits: int = 6) -> None:
        self.as_json, self.digits = as_json, digits
        self.silent = quiet or as_json

    def data(self, text: str) -> None:
        """Write what was asked for, whatever else is silent."""
        print(text)

    def number(self, value: float) -> str:
        """Return a number with as many digits as were asked for."""
        return number(value, self.digits)

    def line(self, text: str = "", indent: str = "") -> None:
        """Write a paragraph; on a terminal, lines end between words, and later ones begin with `indent`."""
        self.lines(wrapped(text, sys.stdout, indent))

    def lines(self, text: str) -> None:
        """Write lines as they are."""
        if self.silent:
            return
        try:
            print(text)
        except BrokenPipeError:
            # The reader has gone, as `head` goes; the work goes on.
            discard_output()
            self.silent = True

    def table(
        self,
        header: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        title: str = "",
        marked: tuple[int, int] | None = None,
    ) -> None:
        """Write a table and an empty line; every column but the first is aligned to the right.

        Parameters
        ----------
        header : sequence of str
        rows : sequence of sequence of str
        title : str, optional
        marked : (row, column), optional
            A cell to set off.
        """
        if self.silent:
            return
        if title:
            self.line(title)
        cells = [list(header), *(list(row) for row in rows)]
        if marked:
            i, j = marked[0] + 1, marked[1]
            cells[i][j] = "> " + cells[i][j]
        for columns in _panels(cells):
            at = (i, columns.index(j)) if marked and j in columns else None
            self.lines(_laid_out([[row[k] for k in columns] for row in cells], at) + "\n")

    def json(self, content: dict[str, Any]) -> None:
        """Write `content` where JSON was asked for."""
        if self.as_json:
            json.dump(content, sys.stdout, indent=2, allow_nan=False)
            print()

    def warn(self, text: str) -> None:
        """Write one line to standard error."""
        print(wrapped(f"fastgmm: {text}", sys.stderr), file=sys.stderr)

    @property
    def shows_progress(self) -> bool:
        """Whether anybody sees how far a command is."""
        return not self.silent and sys.stderr.isatty()

    @contextmanager
    def progress(self, total: int, title: str = "fitting", words: str = "") -> Iterator[Progress]:
        """Give what to tell of each of `total` steps; a terminal shows how far it is.

        `words` are shown until the first step is made.
        """
        if not self.shows_progress:
            yield Progress()
            return
        with closing(Steps(total, title)) as steps:
            steps.note(words)
            yield steps


def discard_output() -> None:
    """Send what is still to be written to a closed pipe nowhere, so that nothing fails when Python closes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _panels(cells: list[list[str]]) -> list[list[int]]:
    """Return which columns to write side by side: on a terminal, no more than fit, always after the first one."""
    widths = [max(len(row[j]) for row in cells) + 2 for j in range(len(cells[0]))]
    if not sys.stdout.isatty():
        return [list(range(len(widths)))]
    limit = shutil.get_terminal_size().columns
    panels: list[list[int]] = [[0]]
    for j in range(1, len(widths)):
        if len(panels[-1]) > 1 and sum(widths[i] for i in panels[-1]) + widths[j] > limit:
            panels.append([0])
        panels[-1].append(j)
    return panels


def _laid_out(cells: list[list[str]], marked: tuple[int, int] | None) -> str:
    """Return a table whose first row is the header; on a terminal the header and a marked cell stand out."""
    widths = [max(len(row[j]) for row in cells) for j in range(len(cells[0]))]
    styled = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    lines = []
    for i, row in enumerate(cells):
        aligned = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        aligned[0] = row[0].ljust(widths[0])
        if styled and marked is not None and marked[0] == i:
            aligned[marked[1]] = f"{BEST}{aligned[marked[1]]}{PLAIN}"
        line = "  ".join(aligned).rstrip()
        lines.append(f"{BOLD}{line}{PLAIN}" if styled and i == 0 else line)
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
