"""Classes as users name them: which rows are unlabelled, and numbers for the others."""

from __future__ import annotations

import numpy as np
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from fastgmm.estimator.input_validation import is_missing

__all__ = ["check_class_priors", "class_numbers", "encode_classes"]


def encode_classes(y, n_samples: int, unlabelled_label, estimator_name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes, sorted, and the index of each row's class, -1 where it is unlabelled.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
    n_samples : int
    unlabelled_label : object
        What marks an unlabelled row. None: -1 among numbers, the empty string among strings; and all of these, None,
        NaN and pandas.NA in an array of objects.
    estimator_name : str
        For messages.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
    labels : ndarray of shape (n_samples,), int64

    Raises
    ------
    ValueError
        If y is missing, has another length, is no classification target, or names fewer than two classes.
    """
    if y is None:
        raise ValueError(
            f"This {estimator_name} estimator requires y to be passed, but the target y is None; give a class per row, "
            "with -1 for unlabelled rows"
        )
    y = column_or_1d(y, warn=True)
    if len(y) != n_samples:
        raise ValueError(f"y has length {len(y)}; expected one class for each of the {n_samples} rows of X")
    if y.dtype.kind == "f":
        if np.isnan(y).any():
            raise ValueError("y contains NaN; expected a number for each class, and -1 for unlabelled rows")
        assert_all_finite(y, input_name="y")
    known = y[~_is_unlabelled(y, unlabelled_label)]
    if known.dtype.kind == "O":
        known = np.array(known.tolist())
    if len(known):
        check_classification_targets(known)
    classes = np.unique(known)
    if len(classes) < 2:
        named = f"one class ({classes[:1].tolist()[0]!r})" if len(classes) else "no class"
        raise ValueError(
            f"y holds {named} beside unlabelled rows; expected at least two classes. Label rows of another class, or "
            "fit a GaussianMixture or a GaussianMixtureOutlierDetector"
        )
    return classes, class_numbers(y, classes, unlabelled_label)


def class_numbers(y, classes: np.ndarray, unlabelled_label) -> np.ndarray:
    """Return the index in `classes` of each row's class, -1 where it is unlabelled, shape (n_samples,), int64."""
    y = column_or_1d(y)
    unknown = _is_unlabelled(y, unlabelled_label)
    labels = np.full(len(y), -1, dtype=np.int64)
    known = y[~unknown]
    labels[~unknown] = np.searchsorted(classes, np.array(known.tolist()) if known.dtype.kind == "O" else known)
    return labels


def _is_unlabelled(y: np.ndarray, unlabelled_label) -> np.ndarray:
    if unlabelled_label is not None:
        return np.asarray(y == unlabelled_label)
    if y.dtype.kind in "iuf":
        return y == -1
    if y.dtype.kind in "US":
        return y == y.dtype.type()
    if y.dtype.kind == "O":
        return np.array([is_missing(v) or (v == "" if isinstance(v, str) else v == -1) for v in y])
    return np.zeros(len(y), dtype=bool)


def check_class_priors(priors, classes: np.ndarray) -> np.ndarray | None:
    """Return given class probabilities as float64 of shape (n_classes,), or None for learnt ones.

    Raises
    ------
    ValueError
        If the shape is another, or they are not positive and sum to one.
    """
    if priors is None:
        return None
    priors = np.asarray(priors, dtype=np.float64)
    if priors.shape != classes.shape:
        raise ValueError(
            f"priors has shape {priors.shape}; expected (n_classes,) = {classes.shape}, in the order of {classes}"
        )
    if not (priors > 0).all() or abs(priors.sum() - 1.0) > 1e-8:
        raise ValueError(f"priors are {priors}; expected positive numbers that sum to one. Divide them by their sum")
    return priors
