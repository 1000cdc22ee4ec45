"""Exceptions and warnings raised by fastgmm beside the built-in ones, and what they propose."""

import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = [
    "ComponentCollapseError",
    "DriftWarning",
    "EngineError",
    "MissingValuesWarning",
    "RegularisationWarning",
    "SelectionWarning",
    "TableError",
]

_unwarned: ContextVar[tuple[type[Warning], ...]] = ContextVar("fastgmm_unwarned", default=())


#: Code between a user's line and a warning: this package, and what scikit-learn wraps around its methods.
_INNER = (os.path.dirname(__file__) + os.sep, os.path.join("sklearn", "base.py"))


def warn(message: str, category: type[Warning]) -> None:
    """Warn as `warnings.warn` does, but for categories that the code around leaves out.

    The line that is named is the last one outside of this package, however many calls lie between.
    """
    if issubclass(category, _unwarned.get()):
        return
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _is_inner(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_inner(path: str) -> bool:
    return path.startswith(_INNER[0]) or path.endswith(_INNER[1])


@contextmanager
def without_warnings(*categories: type[Warning]) -> Iterator[None]:
    """Leave out fastgmm's own warnings of these categories, in this thread alone.

    `warnings.catch_warnings` changes the filters of the whole process: two fits at a time could leave a filter behind,
    or silence each other.
    """
    token = _unwarned.set((*_unwarned.get(), *categories))
    try:
        yield
    finally:
        _unwarned.reset(token)


class ComponentCollapseError(ValueError):
    """A component's covariance is not positive definite.

    Attributes
    ----------
    component : int
        Index of the first component whose covariance failed.
    reason : str
        What is wrong with it, in one clause.

    See Also
    --------
    RegularisationWarning : Tells that reg_covar is large.
    """

    def __init__(self, message: str, component: int, reason: str) -> None:
        super().__init__(message)
        self.component = component
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[str, int, str]]:
        return type(self), (self.args[0], self.component, self.reason)


class RegularisationWarning(UserWarning):
    """What `reg_covar` adds to variances is not small beside them.

    See Also
    --------
    fastgmm.GaussianMixture : Gives it at the end of a fit.
    """


class SelectionWarning(UserWarning):
    """The best model of a search is doubtful: because of a column by name, the sizes tried, or too few rows.

    See Also
    --------
    fastgmm.GaussianMixtureSearch : Gives it, and keeps it in `cautions_`.
    """


class MissingValuesWarning(UserWarning):
    """What rows miss leaves a part of the mixture without data: two features that no row has both of.

    See Also
    --------
    fastgmm.GaussianMixture : Gives it with ``missing='marginalise'``.
    """


class DriftWarning(UserWarning):
    """A batch of a stream is not what the model expects: the source may have changed.

    See Also
    --------
    fastgmm.callbacks.DriftAlarm : Gives it.
    """


class TableError(ValueError):
    """A table cannot be read as it was asked for; the message names the file, the place and a remedy.

    See Also
    --------
    fastgmm.read_table : Raises it.
    """


class EngineError(RuntimeError):
    """The requested engine or instruction set is not available in this installation.

    See Also
    --------
    fastgmm.show_config : Which engine runs.
    """


def did_you_mean(word: object, names: Iterable[str]) -> str:
    """Return ``" (did you mean 'name'?)"`` with the name nearest to a word, or nothing if none is near."""
    from difflib import get_close_matches  # takes time to import, and is seldom needed

    names = list(names)
    alike = [name for name in names if name.lower() == str(word).lower()]
    near = alike or get_close_matches(str(word), names, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
