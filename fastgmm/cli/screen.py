"""What the user sees: lines and tables on standard output, progress and faults on standard error."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = ["Screen", "number"]


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
        Whether to write nothing but faults and, if asked for, JSON.
    as_json : bool
        Whether to write one JSON object in place of text.
    """

    def __init__(self, quiet: bool = False, as_json: bool = False) -> None:
        self.as_json = as_json
        self.silent = quiet or as_json

    def line(self, text: str = "") -> None:
        """Write one line."""
        if not self.silent:
            print(text)

    def table(
        self, header: Sequence[str], rows: Sequence[Sequence[str]], *, marked: tuple[int, int] | None = None
    ) -> None:
        """Write a table, every column but the first aligned to the right.

        Parameters
        ----------
        header : sequence of str
        rows : sequence of sequence of str
        marked : (row, column), optional
            A cell to set off.
        """
        if self.silent:
            return
        cells = [list(header), *(list(row) for row in rows)]
        if marked:
            cells[marked[0] + 1][marked[1]] = "> " + cells[marked[0] + 1][marked[1]]
        widths = [max(len(row[j]) for row in cells) for j in range(len(header))]
        for i, row in enumerate(cells):
            first = row[0].ljust(widths[0])
            print("  ".join([first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]))
            if i == 0:
                print("  ".join("-" * width for width in widths))

    def json(self, content: dict[str, Any]) -> None:
        """Write `content` where JSON was asked for."""
        if self.as_json:
            json.dump(content, sys.stdout, indent=2, allow_nan=False)
            print()

    def warn(self, text: str) -> None:
        """Write one line to standard error."""
        print(f"fastgmm: {text}", file=sys.stderr)

    @contextmanager
    def progress(self, total: int) -> Iterator[Callable[[str], None]]:
        """Give a function to call, with a few words, after each of `total` steps; a terminal shows how far it is."""
        shown = not self.silent and sys.stderr.isatty()
        begin = time.monotonic()
        done = 0

        def step(words: str) -> None:
            nonlocal done
            done += 1
            if shown:
                left = (time.monotonic() - begin) / done * (total - done)
                sys.stderr.write(f"\r\x1b[K{done}/{total}  {words}  {left:.0f} s left")
                sys.stderr.flush()

        try:
            yield step
        finally:
            if shown:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()
