"""What the user sees: lines and tables on standard output, progress and faults on standard error.

Tables are drawn by rich where it is installed and the stream is a terminal, and are plain text otherwise.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from fastgmm.callbacks.progress import Progress, Steps

__all__ = ["Screen", "discard_output", "number"]


def number(value: float, digits: int = 5) -> str:
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
    """

    def __init__(self, quiet: bool = False, as_json: bool = False) -> None:
        self.as_json = as_json
        self.silent = quiet or as_json

    def data(self, text: str) -> None:
        """Write what was asked for, whatever else is silent."""
        print(text)

    def line(self, text: str = "") -> None:
        """Write one line."""
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
        cells = [list(row) for row in rows]
        if marked:
            cells[marked[0]][marked[1]] = "> " + cells[marked[0]][marked[1]]
        rich = _has_rich()
        for columns in _panels([list(header), *cells], 4 if rich else 2):
            part = [[row[j] for j in columns] for row in cells]
            if rich:
                at = (marked[0], columns.index(marked[1])) if marked and marked[1] in columns else None
                _rich_table([header[j] for j in columns], part, at)
                self.line()
            else:
                self.line(_plain_table([header[j] for j in columns], part) + "\n")

    def json(self, content: dict[str, Any]) -> None:
        """Write `content` where JSON was asked for."""
        if self.as_json:
            json.dump(content, sys.stdout, indent=2, allow_nan=False)
            print()

    def warn(self, text: str) -> None:
        """Write one line to standard error."""
        print(f"fastgmm: {text}", file=sys.stderr)

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


def _has_rich() -> bool:
    if not sys.stdout.isatty():
        return False
    try:
        import rich  # noqa: F401
    except ImportError:
        return False
    return True


def _panels(cells: list[list[str]], space: int) -> list[list[int]]:
    """Return which columns to write side by side: on a terminal, no more than fit, always after the first one."""
    widths = [max(len(row[j]) for row in cells) + space for j in range(len(cells[0]))]
    if not sys.stdout.isatty():
        return [list(range(len(widths)))]
    limit = shutil.get_terminal_size().columns
    panels: list[list[int]] = [[0]]
    for j in range(1, len(widths)):
        if len(panels[-1]) > 1 and sum(widths[i] for i in panels[-1]) + widths[j] > limit:
            panels.append([0])
        panels[-1].append(j)
    return panels


def _plain_table(header: Sequence[str], cells: list[list[str]]) -> str:
    widths = [max(len(row[j]) for row in [list(header), *cells]) for j in range(len(header))]
    lines = []
    for row in [list(header), ["-" * width for width in widths], *cells]:
        numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join([row[0].ljust(widths[0]), *numbers]).rstrip())
    return "\n".join(lines)


def _rich_table(header: Sequence[str], cells: list[list[str]], marked: tuple[int, int] | None) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for j, head in enumerate(header):
        # Text, not markup: a column may be called "[b]".
        table.add_column(Text(head), justify="right" if j else "left", no_wrap=True)
    for i, row in enumerate(cells):
        table.add_row(*(Text(cell, style="bold green" if (i, j) == marked else "") for j, cell in enumerate(row)))
    # Where not even two columns fit, the terminal wraps; rich would cut numbers off.
    width = sum(max(len(row[j]) for row in [header, *cells]) + 4 for j in range(len(header)))
    console = Console(file=sys.stdout)
    console.width = max(console.width, width)
    console.print(table)
