"""Exceptions and warnings raised by fastgmm beside the built-in ones, and what they propose."""

from collections.abc import Iterable

__all__ = [
    "ComponentCollapseError",
    "DriftWarning",
    "EngineError",
    "MissingValuesWarning",
    "RegularisationWarning",
    "SelectionWarning",
    "TableError",
]


class ComponentCollapseError(ValueError):
    """A component's covariance is not positive definite.

    Attributes
    ----------
    component : int
        Index of the first component whose covariance failed.
    reason : str
        What is wrong with it, in one clause.
    """

    def __init__(self, message: str, component: int, reason: str) -> None:
        super().__init__(message)
        self.component = component
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[str, int, str]]:
        return type(self), (self.args[0], self.component, self.reason)


class RegularisationWarning(UserWarning):
    """What `reg_covar` adds to variances is not small beside them."""


class SelectionWarning(UserWarning):
    """The best model of a search is doubtful: because of a column by name, the sizes tried, or too few rows."""


class MissingValuesWarning(UserWarning):
    """What rows miss leaves a part of the mixture without data: two features that no row has both of."""


class DriftWarning(UserWarning):
    """A batch of a stream is not what the model expects: the source may have changed."""


class TableError(ValueError):
    """A table cannot be read as it was asked for; the message names the file, the place and a remedy."""


class EngineError(RuntimeError):
    """The requested engine or instruction set is not available in this installation."""


def did_you_mean(word: object, names: Iterable[str]) -> str:
    """Return ``" (did you mean 'name'?)"`` with the name nearest to a word, or nothing if none is near."""
    from difflib import get_close_matches  # takes time to import, and is seldom needed

    names = list(names)
    alike = [name for name in names if name.lower() == str(word).lower()]
    near = alike or get_close_matches(str(word), names, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
