"""What a mixture of true values says of rows that were measured with errors, and what they truly were."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastgmm import inference, kernels
from fastgmm.data.e_steps.errors import components_of_true_values
from fastgmm.inference.conditioning import MixturePerRow, full_covariances
from fastgmm.model import MixtureParameters
from fastgmm.model.errors import Errors, blurred
from fastgmm.model.shapes import FULL

__all__ = ["add_errors", "answer", "conditional", "denoise"]

#: Numbers of a block's errors, or of what is made of them.
BLOCK_VALUES = 1 << 18


def answer(question: str, X: np.ndarray, errors: Errors, parameters: MixtureParameters, dtype: np.dtype) -> np.ndarray:
    """Return 'log_density', 'responsibilities' or 'assign' of rows measured with errors, as of rows without."""
    if errors.is_common:
        return getattr(inference, question)(X, blurred(parameters, errors.values), dtype)
    components = components_of_true_values(parameters, errors.are_variances and not parameters.shape.is_matrix)
    columns = (parameters.n_components,) if question == "responsibilities" else ()
    out = np.empty((len(X), *columns), np.int64 if question == "assign" else dtype)
    for part in _parts(len(X), errors.values[0].size):
        rows, spread = (np.require(array[part], dtype, ["C", "A"]) for array in (X, errors.values))
        kernels.answer_with_errors(question, rows, spread, components, out[part])
    return out


def denoise(X: np.ndarray, errors: Errors, parameters: MixtureParameters) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (n_rows, n_features) and covariance (n_rows, n_features, n_features) of each row's true values."""
    n_rows, d = X.shape
    means, covariances = np.empty((n_rows, d)), np.empty((n_rows, d, d))
    for part in _parts(n_rows, parameters.n_components * d * d):
        found = conditional(X[part], errors.of(part), parameters)
        means[part], covariances[part] = found.mean(), found.covariance()
    return means, covariances


def conditional(
    values: np.ndarray, errors: Errors, parameters: MixtureParameters, given: np.ndarray | None = None
) -> MixturePerRow:
    """Return the distribution of true values given measured ones, a mixture per row.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_given)
    errors : Errors
        Of the values.
    parameters : MixtureParameters
    given : ndarray of int, optional
        The columns that were measured, where the distribution is that of the others; all features of all columns
        unless given.
    """
    covariances, d = full_covariances(parameters), parameters.n_features
    if given is None:
        given, free = np.arange(d), np.arange(d)
    else:
        free = np.setdiff1d(np.arange(d), given)
    measured = MixtureParameters(
        FULL.name,
        parameters.weights,
        np.ascontiguousarray(parameters.means[:, given]),
        FULL.columns(covariances, given),
        np.empty(0),
    )
    values = np.asarray(values, dtype=np.float64)
    weights = answer("responsibilities", values, errors, measured, np.dtype(np.float64))
    spread = errors.matrices(len(values))
    seen = np.isfinite(np.einsum("ndd->nd", spread))
    both = (seen[:, :, None] & seen[:, None, :])[:, None]
    total = np.where(both, measured.covariances + spread[:, None], np.eye(len(given)))
    away = np.where(seen[:, None], values[:, None] - measured.means, 0.0)
    # By the factor of T: what is taken from the covariance is a square.
    factor = np.linalg.cholesky(total)
    across = np.where(seen[:, None, :, None], covariances[:, given[:, None], free], 0.0)
    across, away = np.linalg.solve(factor, across), np.linalg.solve(factor, away[..., None])
    means = parameters.means[:, free] + (across * away).sum(axis=2)
    left = covariances[:, free[:, None], free] - np.swapaxes(across, 2, 3) @ across
    return MixturePerRow(weights, means, left)


def add_errors(rows: np.ndarray, errors: Errors, random_state: np.random.RandomState) -> np.ndarray:
    """Return rows with errors drawn for each; NaN where a variance is infinite."""
    noise, values = random_state.standard_normal(rows.shape), errors.values
    if errors.are_variances:
        with np.errstate(invalid="ignore"):
            return np.where(np.isinf(values), np.nan, rows + noise * np.sqrt(values))
    seen = np.isfinite(np.diagonal(values, axis1=-2, axis2=-1))
    variances, axes = np.linalg.eigh(np.where(seen[..., :, None] & seen[..., None, :], values, 0.0))
    root = axes * np.sqrt(np.maximum(variances, 0.0))[..., None, :]
    return np.where(seen, rows + np.einsum("...ij,...j->...i", root, noise), np.nan)


def _parts(n_rows: int, n_values: int) -> Iterator[slice]:
    step = max(1, BLOCK_VALUES // n_values)
    for start in range(0, n_rows, step):
        yield slice(start, start + step)
