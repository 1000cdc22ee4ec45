"""Writing a file whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: Path, content: bytes) -> None:
    """Write beside the file, to the disk, and move it there; what stood there before stays until then."""
    path = Path(os.path.realpath(path))  # a link goes on pointing to the file
    if path.is_dir():
        raise IsADirectoryError(f"path is the directory {path}; expected a file")
    partial = path.with_name(f".{path.name}.{os.urandom(6).hex()}.partial")
    try:
        with open(partial, "xb") as file:
            if path.exists():
                os.chmod(partial, path.stat().st_mode & 0o777)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    with suppress(OSError):  # a file system without directory sync keeps the file all the same
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
