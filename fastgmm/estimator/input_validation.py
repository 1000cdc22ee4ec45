"""Checks of what users pass in, beyond those scikit-learn makes."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn import get_config

from fastgmm.data import ArrayRows, Rows
from fastgmm.data.e_steps import LABELS
from fastgmm.starts.seeding import seeded
from fastgmm.starts.units import StartInUnits

__all__ = [
    "DTYPES",
    "check_component_labels",
    "check_memberships",
    "check_sample_weight",
    "check_weight_counts_rows",
    "is_as_read",
    "is_finite",
    "is_missing",
    "numbers_of",
    "start_of_run",
    "tame_weights",
]

#: Of rows that are computed in their own precision; the first is what anything else becomes.
DTYPES = (np.float64, np.float32)


def is_finite(X: np.ndarray) -> bool:
    """Return whether X has neither NaN nor infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = X.sum()
    # A finite sum proves it; an infinite one may be an overflow.
    return bool(np.isfinite(total) or np.isfinite(X).all())


def is_as_read(X: Any) -> bool:
    """Return whether X is an array that scikit-learn's checks would hand back as it is; they take longer to tell."""
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.dtype in DTYPES
        and X.flags.c_contiguous
        and min(X.shape) > 0
        and is_finite(X)
        and not get_config()["array_api_dispatch"]
    )


def check_sample_weight(sample_weight, n_samples: int) -> np.ndarray | None:
    """Return the weights as float64 of shape (n_samples,), or None for equal ones.

    Raises
    ------
    ValueError
        If they have another shape, are negative or not finite, or are all zero.
    """
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n_samples, float(sample_weight))
    try:
        weight = np.require(sample_weight, np.float64, ["C", "A"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"sample_weight cannot be read as numbers ({error}); expected one number per row") from error
    if weight.shape != (n_samples,):
        raise ValueError(f"sample_weight has shape {weight.shape}; expected (n_samples,) = ({n_samples},)")
    if not np.isfinite(weight).all():
        raise ValueError("sample_weight contains NaN or infinity; expected finite numbers, zero for an absent row")
    if weight.min(initial=0.0) < 0:
        raise ValueError(f"sample_weight has minimum {weight.min():g}; expected non-negative numbers")
    if not weight.any():
        raise ValueError("sample_weight is zero for every row; expected at least one positive weight")
    return weight


def tame_weights(weight: np.ndarray | None) -> tuple[np.ndarray | None, float]:
    """Return weights whose sums and products stay within the range of numbers, and what they are to be multiplied by.

    Only where the mean weight is beyond 2^100 or below its inverse; by a power of two, which costs no digit.
    """
    if weight is None:
        return None, 1.0
    exponent = int(np.frexp(weight.max())[1])
    if abs(exponent) <= 100:
        return weight, 1.0
    return np.ldexp(weight, -exponent), float(np.ldexp(1.0, exponent))


def check_weight_counts_rows(rows: Rows) -> None:
    """Check that weights can stand for numbers of rows, wherever a number of rows is part of the answer.

    Criteria weigh a total log-likelihood against a number of parameters: with weights that sum to one, every likelihood
    is that of one row. How many rows they were made of is not known any more, so such weights are refused rather than
    rescaled.

    Raises
    ------
    ValueError
        If the total is one or less, up to rounding: that of weights made to sum to one.
    """
    total = rows.total_weight
    if rows.weighted and total <= 1.0 + 1e-9:
        raise ValueError(
            f"sample_weight sums to {total:g}; expected the number of rows that the weights stand for, since criteria "
            "such as the BIC compare a log-likelihood over all rows with the number of parameters. Scale sample_weight "
            "to sum to that number, for example to n_samples"
        )


def numbers_of(given) -> np.ndarray:
    """Return an array, frame or series of numbers as an array; what is missing in it is NaN."""
    if hasattr(given, "to_numpy"):
        try:
            array = given.to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError):
            array = given.to_numpy()
    else:
        array = np.asarray(given)
    if array.dtype != object:
        return array
    try:
        values = [np.nan if is_missing(value) else float(value) for value in array.ravel()]
    except (TypeError, ValueError):
        return array
    return np.array(values).reshape(array.shape)


def _are_indicators(array: np.ndarray) -> bool:
    """Return whether rows have a one for their component, or none where it is not known."""
    return array.dtype.kind in "biuf" and bool(((array == 0) | (array == 1)).all() and (array.sum(axis=1) <= 1).all())


def is_missing(value) -> bool:
    """Return whether a value is None, NaN, which is not equal to itself, or pandas.NA, which cannot be compared."""
    try:
        return value is None or bool(value != value)
    except TypeError:
        return True


def start_of_run(start, rows: ArrayRows, n_components: int, random_state: np.random.RandomState):
    """Return ``init_params`` for a run: what a callable makes is checked, and rows of known component keep it."""
    if isinstance(start, StartInUnits):
        start = start(rows, n_components, random_state)
    elif callable(start):
        start = check_memberships(start(rows.X, n_components, random_state), rows.n_samples, n_components)
    return seeded(rows, start, n_components, random_state) if LABELS in rows.columns else start


def check_memberships(given, n_samples: int, n_components: int) -> np.ndarray:
    """Return `init_params` given as labels (int64) or responsibilities (float64), checked.

    Raises
    ------
    ValueError
        If the shape or the values are neither, or a component is left without rows.
    """
    array = numbers_of(given)
    remedy = (
        f"expected labels of shape (n_samples,) = ({n_samples},) or responsibilities of shape "
        f"(n_samples, n_components) = ({n_samples}, {n_components})"
    )
    if array.shape not in ((n_samples,), (n_samples, n_components)):
        raise ValueError(f"init_params has shape {array.shape}; {remedy}")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"init_params has dtype {array.dtype}; {remedy}, as numbers")
    if array.ndim == 2 and _are_indicators(array) and not array.any(axis=1).all():
        array = np.where(array.any(axis=1), array.argmax(axis=1), -1)
    if array.ndim == 1:
        array = np.where(np.isnan(array), -1, array) if array.dtype.kind == "f" else array
        labels = array.astype(np.int64)
        if not np.array_equal(labels, array):
            raise ValueError("init_params are labels that are not whole numbers; expected 0 to n_components - 1")
        if labels.max(initial=-1) >= n_components:
            raise ValueError(
                f"init_params has the label {labels.max()}; expected labels below n_components = {n_components}"
            )
        sizes = np.bincount(labels[labels >= 0], minlength=n_components)
    else:
        labels = array.astype(np.float64)
        if not np.isfinite(labels).all() or labels.min() < 0:
            raise ValueError("init_params are responsibilities that are negative or not finite; expected 0 to 1")
        if not np.allclose(labels.sum(axis=1), 1.0, atol=1e-6):
            raise ValueError("init_params are responsibilities whose rows do not sum to one; normalise each row")
        sizes = labels.sum(axis=0)
    if not sizes.all():
        empty = int(np.flatnonzero(sizes == 0)[0])
        raise ValueError(
            f"init_params leaves component {empty} without rows; give every one of the {n_components} components "
            "some, or reduce n_components"
        )
    return labels


def check_component_labels(labels, n_samples: int, n_components: int) -> np.ndarray | None:
    """Return known components as int64 of shape (n_samples,), -1 for unknown or missing; None where none is known.

    Raises
    ------
    ValueError
        If the shape is another, or a label is not a whole number from -1 to ``n_components - 1``.
    """
    if labels is None:
        return None
    array = numbers_of(labels)
    if array.shape == (n_samples, n_components) and _are_indicators(array):
        array = np.where(array.any(axis=1), array.argmax(axis=1), -1)
    if array.shape != (n_samples,):
        raise ValueError(f"labels has shape {array.shape}; expected one label per row, (n_samples,) = ({n_samples},)")
    if array.dtype.kind == "f":
        array = np.where(np.isnan(array), -1, array)
    elif array.dtype.kind == "b":
        array = array.astype(np.int64)
    if array.dtype.kind not in "iuf" or not np.array_equal(array, np.trunc(array)):
        raise ValueError(f"labels have dtype {array.dtype}; expected whole numbers, -1 for rows of unknown component")
    checked = array.astype(np.int64)
    wrong = (checked < -1) | (checked >= n_components)
    if wrong.any():
        raise ValueError(
            f"labels has the value {checked[wrong][0]}; expected -1 for unknown or a component from 0 to "
            f"n_components - 1 = {n_components - 1}. Renumber the labels or raise n_components"
        )
    return checked if (checked >= 0).any() else None
