"""What every format of table offers: names, columns of numbers, columns of text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from fastgmm.cli.errors import CommandError

__all__ = ["RawTable"]


class RawTable(ABC):
    """A table whose columns have not been converted yet.

    Attributes
    ----------
    source : str
    names : list of str
    named : bool
        Whether the names are the file's own.
    """

    def __init__(self, source: str, names: Sequence[str], named: bool) -> None:
        self.source = source
        self.names = list(names)
        self.named = named
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise CommandError(f"{source}: two columns are called {twice!r}; expected different names")

    def position(self, name: str, option: str) -> int:
        """Return which column is called `name`, on behalf of an option."""
        if name not in self.names:
            raise CommandError(
                f"{option}: {self.source} has no column {name!r}; the columns are {', '.join(self.names)}"
            )
        return self.names.index(name)

    @abstractmethod
    def numbers(self, positions: Sequence[int]) -> np.ndarray:
        """Return columns of finite numbers, shape (n_samples, len(positions)), or raise CommandError."""

    @abstractmethod
    def texts(self, position: int) -> list[str]:
        """Return one column as text."""
