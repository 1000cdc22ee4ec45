"""Text for people: lines that end between words where a terminal is narrow."""

from __future__ import annotations

from typing import TextIO

__all__ = ["wrapped"]

#: Columns that a line has at least, however narrow the terminal says it is.
LEAST_WIDTH = 20


def wrapped(text: str, stream: TextIO, indent: str = "") -> str:
    """Return a paragraph as lines of the width of a terminal; where nobody looks, as one line.

    Parameters
    ----------
    text : str
        Of one line.
    stream : text stream
        Where it is to be written.
    indent : str
        What later lines begin with.
    """
    if not stream.isatty():
        return text
    import shutil
    import textwrap

    width = max(LEAST_WIDTH, shutil.get_terminal_size().columns - 1)
    lines = textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)
