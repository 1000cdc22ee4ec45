"""What an estimator is given as X, as rows: an array checked, or a source read once; and the rows of a start."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from fastgmm.data import ArrayRows, Rows, RowSource, source_of
from fastgmm.data.e_steps import ERRORS, LABELS
from fastgmm.estimator.absent_rows import without_absent
from fastgmm.estimator.input_validation import DTYPES, check_sample_weight, is_as_read, tame_weights
from fastgmm.estimator.missing_values import finite_of, takes_missing

__all__ = ["Reading", "check_columns", "check_labels_are_taken", "learn_columns", "read_rows", "refuse_source"]


@dataclass(frozen=True)
class Reading:
    """What a fit reads.

    Attributes
    ----------
    rows : Rows
        All of them.
    sample : ArrayRows
        Those that a start is made of: all rows of an array; of a source as many as a block has, drawn at random, or all
        if there are no more.
    given : Any
        X as callbacks and predictions take it: the array that was read, or the source.
    unit : float
        What the weights of the rows are to be multiplied by to be those given.
    """

    rows: Rows
    sample: ArrayRows
    given: Any
    unit: float = 1.0


def read_rows(estimator: Any, X: Any, sample_weight: Any, random_state: np.random.RandomState, **along: Any) -> Reading:
    """Check rows and weights, set what is known of the columns, and read a source once.

    Parameters
    ----------
    estimator : estimator
    X, sample_weight
        As its `fit` takes them.
    random_state : RandomState
        For the sample of a source.
    **along : array-like or None
        What the estimator's `fit` takes beside rows and weights, by name: it rides along with the rows of a source,
        which brings it itself where this is None. Of an array it is the caller's to check.

    Raises
    ------
    ValueError
        If X or a weight is not valid, there are fewer than two rows, or a source brings labels that the estimator does
        not take.
    """
    source = source_of(X, sample_weight)
    if source is None:
        X = without_absent(X, sample_weight, estimator)
        if is_as_read(X) and len(X) > 1:
            estimator.n_features_in_ = X.shape[1]
            estimator.__dict__.pop("feature_names_in_", None)
        else:
            X = validate_data(
                estimator, X, dtype=DTYPES, order="C", ensure_min_samples=2, ensure_all_finite=finite_of(estimator)
            )
        weight, unit = check_sample_weight(sample_weight, X.shape[0]), 1.0
        # Where they are set against a prior's rows or a number of parameters, their scale is part of the answer.
        if not getattr(estimator, "_weights_count_rows", False):
            weight, unit = tame_weights(weight)
        rows = ArrayRows(X, weight)
        return Reading(rows, rows, X, unit)
    if takes_missing(estimator):
        source = source.with_missing()
    given = {name: column for name, column in along.items() if column is not None}
    if given:
        source = source.with_columns(**given)
    sample = source.sample(random_state=random_state)
    check_labels_are_taken(estimator, source, along)
    if sample.n_samples < 2:
        raise ValueError(f"X, {source.description}, has {sample.n_samples} row; expected at least 2")
    learn_columns(estimator, sample.n_features, source)
    return Reading(source, sample, source)


def check_labels_are_taken(estimator: Any, source: RowSource, along: Collection[str]) -> None:
    """Raise ValueError if a source brings known components to an estimator whose `fit` takes `along`, no labels."""
    if ERRORS in source.columns and ERRORS not in along:
        raise ValueError(
            f"X, {source.description}, brings errors, those of measurement, and {type(estimator).__name__} takes none; "
            "leave them out, or fit a GaussianMixture"
        )
    if LABELS in source.columns and LABELS not in along:
        raise ValueError(
            f"X, {source.description}, brings labels, the known components of a mixture, and "
            f"{type(estimator).__name__} takes none; leave them out, or fit a GaussianMixture. Classes and targets are "
            "called y"
        )


def refuse_source(X: Any, method: str) -> None:
    """Raise ValueError if X is a source and `method` is one that answers for rows in memory only."""
    if isinstance(X, RowSource):
        raise ValueError(
            f"X is a source, {X.description}, and {method} takes rows in memory; expected an array, such as "
            "X.sample(1000).X"
        )


def learn_columns(estimator: Any, n_features: int, source: RowSource) -> None:
    """Set the number of an estimator's features and their names, if the source has names."""
    estimator.n_features_in_ = n_features
    estimator.__dict__.pop("feature_names_in_", None)
    if source.names is not None:
        estimator.feature_names_in_ = np.array(source.names, dtype=object)


def check_columns(estimator: Any, source: RowSource, n_features: int | None) -> None:
    """Raise ValueError unless a source's columns are those that an estimator was fitted to."""
    if n_features != estimator.n_features_in_:
        raise ValueError(
            f"X, {source.description}, has {n_features} features; expected {estimator.n_features_in_}, those fitted "
            "to. Choose its columns"
        )
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None and source.names is not None and list(names) != list(source.names):
        raise ValueError(
            f"X, {source.description}, has columns {', '.join(source.names)}; expected {', '.join(names)}, those "
            "fitted to, in that order. Choose them with columns="
        )
