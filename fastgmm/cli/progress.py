"""How far a command is, on a terminal: a bar by rich where it is installed, a line of plain text otherwise."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from fastgmm.callbacks.progress import Progress, Steps

__all__ = ["Progress", "plain_progress", "rich_progress"]

#: Columns of a terminal below which the bar gives way to words.
NARROW = 80


class _RichProgress(Progress):
    def __init__(self, bar: Any, task: Any) -> None:
        self.bar, self.task = bar, task

    def done(self, words: str = "") -> None:
        self.bar.update(self.task, advance=1, words=words)

    def note(self, words: str) -> None:
        self.bar.update(self.task, words=words)


@contextmanager
def plain_progress(total: int, title: str, words: str) -> Iterator[Progress]:
    """Show a line on standard error, from the second second on, and erase it at the end."""
    with closing(Steps(total, title)) as steps:
        steps.note(words)
        yield steps


@contextmanager
def rich_progress(total: int, title: str, words: str) -> Iterator[Progress]:
    """Show a bar on standard error and take it back at the end."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    # One line whatever the width: what does not fit is cut off at its end, not wrapped.
    words_column = TextColumn(
        "{task.fields[words]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)
    )
    columns: list[ProgressColumn] = [TextColumn("{task.description}"), MofNCompleteColumn()]
    if shutil.get_terminal_size().columns >= NARROW:
        columns.insert(1, BarColumn(bar_width=20))
    columns += [TimeRemainingColumn(), words_column]
    with Bar(*columns, console=Console(file=sys.stderr), transient=True, expand=True) as bar:
        yield _RichProgress(bar, bar.add_task(title, total=total, words=words))
