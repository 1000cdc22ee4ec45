"""Rows with weight 0 are ignored, even if they contain NaN: a row that counts stands in for each of these."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgmm.estimator.input_validation import numbers_of
from fastgmm.estimator.missing_values import takes_missing

__all__ = ["UNLABELLED", "absent_rows", "without_absent"]

#: Packages whose frames and series hold their rows in memory.
FRAMES = ("pandas", "polars")
#: The label of such a row where the rows of a fit are labelled.
UNLABELLED = -1


def absent_rows(X: Any, sample_weight: Any, estimator: Any = None) -> np.ndarray:
    """Return the numbers of the rows with weight 0 that hold NaN or infinity, shape (n_absent,), int64.

    Only rows with weight 0 are looked at, so weights without a zero cost one pass over them.

    Parameters
    ----------
    X : array-like or frame
        In memory, not checked: where it is no table of numbers there are no such rows.
    sample_weight : array-like of shape (n_samples,), or None
        Not checked either.
    estimator : estimator, optional
        Where it takes NaN for what is missing, a row that holds NaN is like any other.
    """
    none = np.empty(0, dtype=np.int64)
    in_memory = isinstance(X, (np.ndarray, list, tuple)) or type(X).__module__.split(".")[0] in FRAMES
    if sample_weight is None or not in_memory:
        return none
    try:
        weight = np.asarray(sample_weight, dtype=np.float64)
        if weight.shape != (len(X),) or not (weight > 0.0).any():
            return none
        ignored = np.flatnonzero(weight == 0.0)
        if not len(ignored):
            return none
        values = numbers_of(_taken(X, ignored))
        if values.dtype.kind != "f" or values.ndim == 0:
            return none
        wrong = np.isinf(values) if takes_missing(estimator) else ~np.isfinite(values)
        return ignored[wrong.reshape(len(ignored), -1).any(axis=1)]
    except (TypeError, ValueError, IndexError):
        return none


def without_absent(X: Any, sample_weight: Any, estimator: Any = None) -> Any:
    """Return X with a row that counts in place of each row with weight 0 that holds NaN or infinity.

    X itself is returned where there are none, and is never written to.
    """
    absent = absent_rows(X, sample_weight, estimator)
    if not len(absent):
        return X
    rows = np.arange(len(X))
    rows[absent] = np.flatnonzero(np.asarray(sample_weight, dtype=np.float64) > 0.0)[0]
    return _taken(X, rows)


def _taken(X: Any, rows: np.ndarray) -> Any:
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    return [X[i] for i in rows] if isinstance(X, (list, tuple)) else X[rows]
