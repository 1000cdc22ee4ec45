"""Where results go: checked before any work is done, written whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fastgmm.cli.errors import CommandError

__all__ = ["check_output", "whole_file"]


def check_output(path: str, option: str) -> None:
    """Raise CommandError where `path` can clearly not be written: better before a long fit than after it."""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        raise CommandError(f"{option}: {path} is a folder; expected the name of a file")
    if not os.path.isdir(folder):
        raise CommandError(f"{option}: {path} cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise CommandError(f"{option}: {path} cannot be written: no permission to write in {folder}")


@contextmanager
def whole_file(path: str, option: str) -> Iterator[Path]:
    """Give a name beside `path` to write to, and move the file there once it is complete.

    Raises
    ------
    CommandError
        If it cannot be written; nothing is left behind.
    """
    target = Path(os.path.realpath(path))
    # The suffix stays: writers choose the format by it.
    partial = target.with_name(f".{os.getpid()}.partial.{target.name}")
    try:
        yield partial
        os.replace(partial, target)
    except OSError as error:
        raise CommandError(f"{option}: {path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            partial.unlink()
