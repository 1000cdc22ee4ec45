"""Classes that stand in the place of scikit-learn's: derived from them, and delegating what is faster here."""

from __future__ import annotations

import copyreg
import logging
import sys
from abc import ABCMeta
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any

from sklearn.utils import check_random_state

from fastgmm.scikit_learn.companions import ORIGINALS, SETTINGS, companion_of, forget_what_is_ours
from fastgmm.scikit_learn.delegation import BENEATH, Guard, is_understood, reads_rows_alike

__all__ = ["PATCHED", "reduced"]

_logger = logging.getLogger("fastgmm")
#: Estimators, by identity, whose call was refused and is being answered by scikit-learn's code, to the end.
_refused: ContextVar[frozenset[int]] = ContextVar("fastgmm_refused", default=frozenset())


class _InPlaceOf(ABCMeta):
    """The class of the patched classes: each is the one whose place it takes, wherever types are asked for.

    Models made before count as its instances, and a table keyed by scikit-learn's class has it.
    """

    def __instancecheck__(cls, instance: Any) -> bool:
        return _derives(type(instance), cls) if _is_patched(cls) else super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return _derives(subclass, cls) if _is_patched(cls) else super().__subclasscheck__(subclass)

    def __eq__(cls, other: object) -> bool:
        return _original_of(cls) is _original_of(other)

    def __hash__(cls) -> int:
        return type.__hash__(_original_of(cls))


def _is_patched(cls: Any) -> bool:
    return isinstance(cls, type) and "_in_place_of" in cls.__dict__


def _derives(cls: type, patched: Any) -> bool:
    # Not `issubclass`: the classes of abc ask those derived from them, and those would ask back.
    return any(base is _original_of(patched) for base in cls.__mro__)


def _original_of(cls: Any) -> Any:
    return cls.__dict__["_in_place_of"] if _is_patched(cls) else cls


def reduced(estimator: Any) -> tuple:
    """Return how an estimator of scikit-learn's or of the patched class is pickled: as what the name stands for now."""
    original = _original_of(type(estimator))
    current = getattr(sys.modules[original.__module__], original.__name__)
    return copyreg._reconstructor, (current, object, None), estimator.__getstate__()  # type: ignore[attr-defined]


def _delegated(name: str, original: type) -> Callable[..., Any]:
    """Return a method that is ours wherever it may be, and scikit-learn's elsewhere."""
    theirs = getattr(original, name)
    fits = name in ("fit", "fit_predict")
    posterior = original.__name__ != "GaussianMixture"

    @wraps(theirs)
    def method(self: Any, X: Any, *rest: Any, **options: Any) -> Any:
        if not SETTINGS.is_patched or id(self) in _refused.get():
            return theirs(self, X, *rest, **options)
        reason = _why_not(self, X, name, fits, posterior)
        if reason is not None:
            _logger.debug("%s.%s is scikit-learn's own: %s", type(self).__name__, name, reason)
            return theirs(self, X, *rest, **options)
        random_state = check_random_state(self.random_state).get_state() if fits and _draws(self) else None
        ours = companion_of(self, original.__name__)
        try:
            found = getattr(ours, name)(X, *rest, **options)
        except MemoryError:
            raise
        except Exception as error:
            refusal = error
        else:
            if fits:
                forget_what_is_ours(self)
            return self if name == "fit" else found
        if random_state is not None:
            check_random_state(self.random_state).set_state(random_state)
        token = _refused.set(_refused.get() | {id(self)})
        try:
            found = theirs(self, X, *rest, **options)
        finally:
            _refused.reset(token)
        # Only where scikit-learn does not refuse it, too.
        text = " ".join(str(refusal).split())
        _logger.warning("%s.%s is scikit-learn's own, since fastgmm refused: %s", type(self).__name__, name, text)
        return found

    return method


def _draws(estimator: Any) -> bool:
    """Return whether a fit takes numbers from a generator that others use."""
    seed = estimator.random_state
    return seed is None or hasattr(seed, "get_state")


def _why_not(estimator: Any, X: Any, name: str, fits: bool, posterior: bool) -> str | None:
    """Return why a call is left to scikit-learn, or None."""
    overridden = GUARDS["BayesianGaussianMixture" if posterior else "GaussianMixture"].finds(estimator, name)
    if overridden is not None:
        return f"{overridden} is overridden"
    if not reads_rows_alike(X):
        return f"rows in a {type(X).__name__} are read otherwise by fastgmm, or array API dispatch is on"
    attributes = estimator.__dict__
    if fits and not (attributes.get("warm_start") and "converged_" in attributes):
        return "max_iter is 0, which asks for the start alone" if attributes.get("max_iter") == 0 else None
    return None if is_understood(estimator, posterior) else "its attributes are not such as a fit sets"


def _patched(original: type) -> type:
    methods = {name: _delegated(name, original) for name in BENEATH if hasattr(original, name)}
    described = {name: getattr(original, name) for name in ("__module__", "__doc__", "__qualname__")}
    names = {**methods, **described, "__reduce_ex__": _reduce_ex, "_in_place_of": original}
    return _InPlaceOf(original.__name__, (original,), names)


def _reduce_ex(self: Any, protocol: int) -> Any:
    return reduced(self) if _is_patched(type(self)) else object.__reduce_ex__(self, protocol)


#: The classes in the place of scikit-learn's, by name.
PATCHED: dict[str, Any] = {name: _patched(original) for name, original in ORIGINALS.items()}
GUARDS = {name: Guard(original, PATCHED[name]) for name, original in ORIGINALS.items()}
