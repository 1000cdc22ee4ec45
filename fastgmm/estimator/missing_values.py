"""What `missing` of the estimators means: whether rows may miss values, and what is looked at before a fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgmm.data import ArrayRows, Rows
from fastgmm.data.census import Census, census_of
from fastgmm.exceptions import MissingValuesWarning, warn

__all__ = ["MISSING", "check_census", "counted_weight", "finite_of", "found_missing", "takes_missing"]

#: Values of the parameter.
MISSING = ("error", "marginalise")


def takes_missing(estimator: Any) -> bool:
    """Return whether an estimator takes NaN for a value that is missing."""
    return bool(getattr(estimator, "missing", "error") == "marginalise")


def finite_of(estimator: Any) -> Any:
    """Return what scikit-learn's checks call it: True, or 'allow-nan'."""
    return "allow-nan" if takes_missing(estimator) else True


def counted_weight(estimator: Any, X: np.ndarray, weight: np.ndarray | None) -> np.ndarray | None:
    """Return the weights of rows with zero for those that miss everything: no mean or criterion counts them."""
    if not takes_missing(estimator):
        return weight
    empty = np.isnan(X).all(axis=1)
    if not empty.any():
        return weight
    return np.where(empty, 0.0, 1.0 if weight is None else weight)


def found_missing(estimator: Any, rows: Rows, is_matrix: bool) -> Census | None:
    """Return what the rows of a fit miss, checked; None where they miss nothing or may not.

    Parameters
    ----------
    estimator : estimator
    rows : Rows
        Those of an array have been looked at already where they may not miss anything.
    is_matrix : bool
        Whether covariances of two features are estimated.

    Raises
    ------
    ValueError
        If a feature is missing in every row.
    """
    if not takes_missing(estimator) or (isinstance(rows, ArrayRows) and not np.isnan(rows.X).any()):
        return None
    census = census_of(rows)
    if census.is_complete:
        return None
    check_census(census, getattr(estimator, "feature_names_in_", rows.names), is_matrix)
    return census


def check_census(census: Census, names: Any, is_matrix: bool) -> None:
    """Raise ValueError if a feature is missing in every row; warn of features that no row has both of."""
    named = [repr(name) for name in names] if names is not None else [str(j) for j in range(len(census.together))]
    never = np.flatnonzero(census.observed == 0)
    if len(never):
        raise ValueError(
            f"column {named[never[0]]} of X is missing in every row; expected a value in at least one. Leave it out"
        )
    if not is_matrix or census.together.ndim == 1:
        return
    apart = np.argwhere(np.triu(census.together == 0, 1))
    if len(apart):
        some = ", ".join(f"{named[i]} and {named[j]}" for i, j in apart[:3])
        more = f" and {len(apart) - 3} more pairs" if len(apart) > 3 else ""
        warn(
            f"no row of X has both of columns {some}{more}: nothing in the data tells their covariance, which stays "
            "near that of the start. Use covariance_type='diag', a prior, or leave one out",
            MissingValuesWarning,
        )
