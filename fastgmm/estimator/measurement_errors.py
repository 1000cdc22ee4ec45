"""The errors of measurement that users pass in, checked; and rows of which some values were not measured."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fastgmm.data import Block, Rows
from fastgmm.data.dask_columns import is_dask
from fastgmm.data.e_steps import ERRORS
from fastgmm.estimator.input_validation import numbers_of
from fastgmm.model.errors import Errors

__all__ = ["EXPECTED", "check_common", "check_errors", "check_errors_along", "check_own", "filled", "is_common"]

#: Numbers that are looked at together.
BLOCK_VALUES = 1 << 18
#: Of values beside errors.
EXPECTED = (
    "expected finite numbers where the variance in errors is finite. Give values that were not measured an infinite "
    "variance"
)
#: What rounding may do to a covariance in single precision, relative to its variances.
ROUNDING = 1e-5


def is_common(errors: Any) -> bool:
    """Return whether errors given beside a source, of more rows than features, are those of all its rows."""
    if isinstance(errors, (str, list, tuple)) and len(errors) and isinstance(errors[0], str):
        return False  # columns of a table
    if is_dask(errors):
        return False
    shape = np.shape(errors)
    return len(shape) == 1 or (len(shape) == 2 and shape[0] == shape[1])


def check_common(errors: Any, n_features: int) -> Errors:
    """Return errors of all rows, variances (n_features,) or a covariance (n_features, n_features), checked."""
    values, d = _numbers_of(errors), n_features
    if values.shape not in ((d,), (d, d)):
        raise ValueError(
            f"errors have shape {values.shape}; expected variances of all rows (n_features,) = {(d,)}, one covariance "
            f"of all rows {(d, d)}, or errors of each row of X"
        )
    if values.ndim == 1:
        _check_variances(values[None])
        values = np.diag(values)
    _check_covariances(values[None], 0)
    if not np.isfinite(values).all():
        raise ValueError("errors of all rows are infinite in a feature, which was never measured; leave it out")
    return Errors(values.astype(np.float64), is_common=True)


def check_own(errors: Any, n_rows: int, n_features: int) -> Errors:
    """Return errors of each row, checked."""
    values, own = _numbers_of(errors), (n_rows, n_features)
    if values.shape == own:
        _check_variances(values)
        return Errors(values)
    if values.shape != (*own, n_features):
        raise ValueError(
            f"errors have shape {values.shape}; expected variances (n_samples, n_features) = {own}, or covariances "
            f"(n_samples, n_features, n_features) = {(*own, n_features)}"
        )
    step = max(1, BLOCK_VALUES // n_features**2)
    for start in range(0, n_rows, step):
        _check_covariances(values[start : start + step], start)
    return Errors(values)


def check_errors_along(rows: Rows, missing: bool) -> None:
    """Check the errors that ride along with the rows of a source, in one pass.

    Parameters
    ----------
    rows : Rows
    missing : bool
        Whether NaN in a row says that a value was not measured.
    """
    n_measured = rows.fold(partial(np.zeros, rows.n_features), partial(_add_measured, rows.description, missing))
    never = np.flatnonzero(n_measured == 0)
    if len(never):
        raise ValueError(
            f"errors of X, {rows.description}, are infinite in feature {never[0]} of every row, which was never "
            "measured; leave it out"
        )


def _add_measured(description: str, missing: bool, block: Block, n_measured: np.ndarray) -> None:
    try:
        errors = check_own(block.columns[ERRORS], *block.rows.shape)
    except ValueError as error:
        raise ValueError(f"X, {description}, a block of {len(block.rows)} rows: {error}") from None
    errors = errors.without(np.isnan(block.rows)) if missing else errors
    seen = np.isfinite(errors.variances)
    if (seen & np.isnan(block.rows)).any():
        raise ValueError(f"X, {description}, contains NaN; {EXPECTED}")
    n_measured += seen.sum(axis=0)


def check_errors(errors: Any, n_rows: int, n_features: int) -> Errors:
    """Return errors as float32 or float64, checked.

    Raises
    ------
    ValueError
        If they have another shape or one that can be read in two ways, a variance is negative or NaN, or a matrix is
        not a covariance.
    """
    values = _numbers_of(errors)
    n, d, shape = n_rows, n_features, values.shape
    own, matrices, common = (n, d), (n, d, d), (d, d)
    if shape == own == common and d > 1 and np.array_equal(values, values.T):
        raise ValueError(
            f"errors have shape {shape}, and X has as many rows as features: they are the variances of each row, or "
            "one covariance of all rows. Give variances as errors[:, :, None] * numpy.eye(n_features), or a "
            "covariance as numpy.broadcast_to(errors, (n_samples, n_features, n_features))"
        )
    if shape in (own, matrices):
        return check_own(values, n, d)
    if shape not in ((d,), common):
        raise ValueError(
            f"errors have shape {shape}; expected variances (n_samples, n_features) = {own}, covariances (n_samples, "
            f"n_features, n_features) = {matrices}, or those of all rows, variances {(d,)} or a covariance {common}"
        )
    return check_common(values, d)


def _numbers_of(errors: Any) -> np.ndarray:
    values = errors if isinstance(errors, np.ndarray) else numbers_of(errors)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"errors have dtype {values.dtype}; expected variances or covariances, real numbers")
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)


def _check_variances(variances: np.ndarray, first: int = 0) -> None:
    # The least of all is NaN where there is one.
    if not variances.min(initial=0.0) >= 0.0:
        row, column = np.argwhere(~(variances >= 0.0))[0]
        raise ValueError(
            f"errors, row {first + row}, feature {column}: a variance of {variances[row, column]}; expected a number "
            "of at least 0, infinity for a value that was not measured"
        )


def _check_covariances(matrices: np.ndarray, first: int) -> None:
    variances = np.einsum("ndd->nd", matrices)
    _check_variances(variances, first)
    seen = np.isfinite(variances)
    scale = np.where(seen & (variances > 0), variances, 1.0)
    scale = np.sqrt(scale[:, :, None] * scale[:, None, :])
    scaled = np.where(seen[:, :, None] & seen[:, None, :], matrices / scale, 0.0)
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(scaled - scaled.transpose(0, 2, 1)) <= ROUNDING).all(axis=(1, 2))
    if not wrong.any():
        wrong = np.linalg.eigvalsh(scaled)[:, 0] < -ROUNDING * scaled.shape[1]
    if wrong.any():
        raise ValueError(
            f"errors, row {first + int(np.argmax(wrong))}, are not a covariance; expected a symmetric matrix without "
            "negative eigenvalues. Standard deviations are to be squared"
        )


def filled(X: np.ndarray, errors: Errors) -> np.ndarray:
    """Return rows with finite numbers where nothing was measured: the means of what was; X itself if all was."""
    if errors.is_common:
        return X
    variances = errors.variances
    if np.isfinite(variances.max(initial=0.0)):
        return X
    missing = np.isinf(variances)
    known = np.where(missing, 0.0, X)
    means = known.sum(axis=0) / np.maximum((~missing).sum(axis=0), 1)
    return np.where(missing, means, X).astype(X.dtype, order="C")
