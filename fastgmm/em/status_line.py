"""A line at the foot of a terminal that says how far the work is, rewritten in place and gone at the end.

Nothing is written where standard error is no terminal, nor in the first second.
"""

from __future__ import annotations

import os
import shutil
import sys
import time

__all__ = ["StatusLine", "duration", "progress_bar"]

#: Seconds before the first line, and between two.
DELAY, INTERVAL = 1.0, 0.1
BAR = 20
#: Back to the left, erasing what stands there.
ERASE = "\r\x1b[K"


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it: 4 s, 1:30, 2:05:00."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def progress_bar(done: float, total: float) -> str:
    """Return a bar of fixed width, as ``[#####---------------]``."""
    filled = min(BAR, int(BAR * done / total)) if total else BAR
    return f"[{'#' * filled}{'-' * (BAR - filled)}]"


class StatusLine:
    """The line.

    Attributes
    ----------
    begin : float
        When the work began, in seconds of the monotonic clock.
    """

    def __init__(self) -> None:
        self.begin = time.monotonic()
        self._stream = sys.stderr
        self._wanted = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._written = -float("inf")
        self._shown = False

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.begin

    def show(self, *parts: str) -> None:
        """Write the parts that fit into the width of the terminal, the first ones first."""
        now = time.monotonic()
        if not self._wanted or now - self.begin < DELAY or now - self._written < INTERVAL:
            return
        width = shutil.get_terminal_size().columns - 1
        text = ""
        for part in parts:
            longer = f"{text}  {part}" if text else part
            if len(longer) > width:
                break
            text = longer
        self._stream.write(ERASE + (text or parts[0][:width]))
        self._stream.flush()
        self._written, self._shown = now, True

    def clear(self) -> None:
        """Erase the line; it comes back with the next `show`."""
        if self._shown:
            self._stream.write(ERASE)
            self._stream.flush()
            self._shown, self._written = False, -float("inf")
