"""The state that fitted attributes describe, read once while they stay the same to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from fastgmm.families.background import BACKGROUND_ATTRIBUTES

__all__ = ["kept_state"]

GAUSSIAN_PARTS = ("weights_", "means_", "covariances_", "precisions_cholesky_")
#: Numbers in an array up to which it is compared in less time than a state is made of it.
MOST_COMPARED = 1024
_kept: WeakKeyDictionary[Any, tuple[str, list[np.ndarray], list[bytes], Any]] = WeakKeyDictionary()


def kept_state(estimator: Any, read: Callable[[], Any], parts: tuple[str, ...] = GAUSSIAN_PARTS) -> Any:
    """Return ``read()``, or what it returned while covariance type and the attributes `parts` are what they were then.

    One row is predicted in less time than a state is made. Attributes may be set anew or changed in place, so those
    of small mixtures are compared number for number; larger ones are read each time.
    """
    attributes = estimator.__dict__
    if BACKGROUND_ATTRIBUTES[0] in attributes or type(estimator).__hash__ is None:
        return read()
    entry = _kept.get(estimator)
    if entry is not None and entry[0] == attributes.get("covariance_type"):
        for name, array, content in zip(parts, entry[1], entry[2], strict=True):
            if attributes.get(name) is not array or array.tobytes() != content:
                break
        else:
            return entry[3]
    found = read()
    arrays: list[Any] = [attributes.get(name) for name in parts]
    if all(type(array) is np.ndarray and array.size <= MOST_COMPARED for array in arrays):
        contents = [array.tobytes() for array in arrays]
        _kept[estimator] = (attributes["covariance_type"], arrays, contents, found)
    return found
