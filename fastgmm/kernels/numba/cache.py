"""Compiled functions that are kept on disk between processes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from numba import njit

__all__ = ["SOURCES", "entry"]

_OPTIONS = {"nogil": True, "error_model": "numpy"}


def _digest() -> int:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:7], "little")


#: Numba recompiles a function when its own file changes, not when one that it calls does. What a function closes over
#: is part of the key under which it is kept; so an entry closes over this digest of all files of the engine.
SOURCES = _digest()


def entry(function):
    """Compile a function that Python calls, and keep it on disk where there is a place to."""
    try:
        return njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache is writeable
        return njit(**_OPTIONS)(function)
