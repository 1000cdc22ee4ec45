"""What stands around a fit: scikit-learn's check of parameters, with types; and the estimator as it was if it fails."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import sklearn
from sklearn.base import _fit_context
from sklearn.utils._param_validation import InvalidParameterError

from fastgmm.callbacks import unchanged_on_failure
from fastgmm.estimator.parameter_validation import add_proposal

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

        return cast(F, _with_checks_as_they_were(checked(fit if keeps_what_is_found else whole)))

    return decorated


def _with_checks_as_they_were(fit: Callable[..., Any]) -> Callable[..., Any]:
    """Return the fit with scikit-learn's check of parameters left as it was found, whenever the fit ends.

    scikit-learn turns the check off for the time of a fit; a Ctrl-C while it turns it on again would leave it off for
    every later fit of the thread.
    """

    @wraps(fit)
    def restored(*arguments: Any, **options: Any) -> Any:
        found = sklearn.get_config()["skip_parameter_validation"]
        try:
            return fit(*arguments, **options)
        except BaseException as error:
            sklearn.set_config(skip_parameter_validation=found)
            if isinstance(error, InvalidParameterError):
                add_proposal(error)
            raise

    return restored
