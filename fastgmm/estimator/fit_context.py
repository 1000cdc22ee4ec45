"""scikit-learn's decorator of fits, with types: it has none, and what it decorates would lose its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sklearn.base import _fit_context

__all__ = ["fit_context"]

F = TypeVar("F", bound=Callable[..., Any])


def fit_context(prefer_skip_nested_validation: bool = True) -> Callable[[F], F]:
    """Return a decorator that checks the constructor's parameters before a fit."""
    return _fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)  # type: ignore[no-any-return]
