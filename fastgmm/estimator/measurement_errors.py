"""The errors of measurement that users pass in, checked; and rows of which some values were not measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgmm.estimator.input_validation import numbers_of
from fastgmm.model.errors import Errors

__all__ = ["check_errors", "filled"]

#: Numbers that are looked at together.
BLOCK_VALUES = 1 << 18
#: What rounding may do to a covariance in single precision, relative to its variances.
ROUNDING = 1e-5


def check_errors(errors: Any, n_rows: int, n_features: int) -> Errors:
    """Return errors as float32 or float64, checked.

    Raises
    ------
    ValueError
        If they have another shape or one that can be read in two ways, a variance is negative or NaN, or a matrix is
        not a covariance.
    """
    values = errors if isinstance(errors, np.ndarray) else numbers_of(errors)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"errors have dtype {values.dtype}; expected variances or covariances, real numbers")
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float64)
    n, d, shape = n_rows, n_features, values.shape
    own, matrices, common = (n, d), (n, d, d), (d, d)
    if shape == own == common and d > 1 and np.array_equal(values, values.T):
        raise ValueError(
            f"errors have shape {shape}, and X has as many rows as features: they are the variances of each row, or "
            "one covariance of all rows. Give variances as errors[:, :, None] * numpy.eye(n_features), or a "
            "covariance as numpy.broadcast_to(errors, (n_samples, n_features, n_features))"
        )
    if shape not in (own, matrices, common):
        raise ValueError(
            f"errors have shape {shape}; expected variances (n_samples, n_features) = {own}, covariances (n_samples, "
            f"n_features, n_features) = {matrices}, or one covariance of all rows {common}"
        )
    if shape == own:
        _check_variances(values)
        return Errors(values)
    stacked = values.reshape(-1, d, d)
    step = max(1, BLOCK_VALUES // (d * d))
    for start in range(0, len(stacked), step):
        _check_covariances(stacked[start : start + step], start)
    if shape == common:
        if not np.isfinite(values).all():
            raise ValueError("errors of all rows are infinite in a feature, which was never measured; leave it out")
        return Errors(values.astype(np.float64), is_common=True)
    return Errors(values)


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
    values = errors.values
    variances = values if errors.are_variances else np.einsum("ndd->nd", values)
    if np.isfinite(variances.max(initial=0.0)):
        return X
    missing = np.isinf(variances)
    known = np.where(missing, 0.0, X)
    means = known.sum(axis=0) / np.maximum((~missing).sum(axis=0), 1)
    return np.where(missing, means, X).astype(X.dtype, order="C")
