"""What stands around a fit: scikit-learn's check of parameters, with types; and the estimator as it was if it fails."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from sklearn.base import _fit_context

from fastgmm.callbacks import unchanged_on_failure

__all__ = ["fit_context"]

F = TypeVar("F", bound=Callable[..., Any])


def fit_context(keeps_what_is_found: bool = False) -> Callable[[F], F]:
    """Return a decorator that checks the constructor's parameters before a fit, and undoes one that fails.

    Parameters
    ----------
    keeps_what_is_found : bool
        Whether the fit itself says what is undone.
    """
    checked = _fit_context(prefer_skip_nested_validation=True)

    def decorated(fit: F) -> F:
        @wraps(fit)
        def whole(estimator: Any, *arguments: Any, **options: Any) -> Any:
            with unchanged_on_failure(estimator):
                return fit(estimator, *arguments, **options)

        return cast(F, checked(fit if keeps_what_is_found else whole))

    return decorated
