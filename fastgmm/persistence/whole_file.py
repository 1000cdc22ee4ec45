"""Writing a file whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["whole_file"]


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a file beside `path` to write to; it goes to the disk and is moved there once the block has ended.

    What stood there before stays until then; nothing is left behind where the block fails.
    """
    target = Path(os.path.realpath(path))  # a link goes on pointing to the file
    if target.is_dir():
        raise IsADirectoryError(f"path is the directory {target}; expected a file")
    # The suffix stays: writers choose the format by it.
    partial = target.with_name(f".{os.urandom(6).hex()}.partial.{target.name}")
    try:
        with open(partial, "xb"):
            if target.exists():
                os.chmod(partial, target.stat().st_mode & 0o777)
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, target)
    finally:
        with suppress(OSError):
            partial.unlink()
    with suppress(OSError):  # a file system without directory sync keeps the file all the same
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
