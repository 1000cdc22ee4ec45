"""What errors of measurement do to a mixture, and how statistics of measurements become those of the true values.

A row ``x`` of a component with mean m and covariance V, measured with the covariance S, is normal about m with
``T = V + S``. Given the measurement w, its true value is normal about ``m + V g``, ``g = T^-1 (w - m)``, with the
covariance ``V - V T^-1 V``. So the sums of g and of ``g g^T - T^-1`` say all that an M-step asks.

References
----------
Bovy, Hogg and Roweis, "Extreme deconvolution: inferring complete distribution functions from noisy, heterogeneous and
incomplete observations", Annals of Applied Statistics 5 (2011), equations 9 to 16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgmm.model.parameters import MixtureParameters
from fastgmm.model.shapes import DIAGONAL, FULL, Shape
from fastgmm.model.statistics import SufficientStatistics

__all__ = ["Errors", "alike", "blurred", "in_units_of_precision", "kept_scatter", "of_true_values"]


#: Rows that are looked at to tell whether many have the same errors.
LOOKED_AT = 256


@dataclass(frozen=True)
class Errors:
    """Errors of measurement of some rows, checked.

    Attributes
    ----------
    values : ndarray
        Variances (n_rows, n_features), infinite where nothing was measured; covariances (n_rows, n_features,
        n_features); or one covariance (n_features, n_features) of all rows.
    is_common : bool
        Whether it is one of all rows.
    """

    values: np.ndarray
    is_common: bool = False

    @property
    def are_variances(self) -> bool:
        """Whether there is a variance for each value."""
        return not self.is_common and self.values.ndim == 2

    @property
    def variances(self) -> np.ndarray:
        """Of each value, (n_rows, n_features), or (n_features,) of all rows; may be a view."""
        return self.values if self.are_variances else np.diagonal(self.values, axis1=-2, axis2=-1)

    def of(self, rows: Any) -> Errors:
        """Return the errors of the rows chosen by a slice or an index array."""
        return self if self.is_common else Errors(self.values[rows])

    def without(self, missing: np.ndarray) -> Errors:
        """Return the same errors, infinite for the values that are missing, a mask of shape (n_rows, n_features)."""
        if not missing.any():
            return self
        if self.are_variances:
            return Errors(np.where(missing, np.inf, self.values).astype(self.values.dtype))
        matrices = np.array(self.matrices(len(missing)))
        np.einsum("ndd->nd", matrices)[missing] = np.inf
        return Errors(matrices)

    def matrices(self, n_rows: int) -> np.ndarray:
        """Return a covariance for each row; may be a view."""
        if self.is_common:
            return np.broadcast_to(self.values, (n_rows, *self.values.shape))
        if not self.are_variances:
            return self.values
        matrices = np.zeros((*self.values.shape, self.values.shape[1]))
        np.einsum("ndd->nd", matrices)[:] = self.values
        return matrices


def alike(errors: Errors, least: float) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Return the rows that have the same errors as many others have.

    Parameters
    ----------
    errors : Errors
        Of each row.
    least : float
        How many rows have to have them.

    Returns
    -------
    groups : list of (ndarray of shape (n_features, n_features), ndarray of int64)
        Their covariance, infinite where nothing was measured, and the numbers of the rows, ascending.
    others : ndarray of int64, ascending
    """
    rows = np.ascontiguousarray(errors.values).reshape(len(errors.values), -1)
    few, every = rows[:: max(1, len(rows) // LOOKED_AT)], np.arange(len(rows))
    if len(rows) < least or len(np.unique(_fingerprints(few))) > 0.5 * len(few):
        return [], every
    _, first, which, sizes = np.unique(_fingerprints(rows), return_index=True, return_inverse=True, return_counts=True)
    which[(rows != rows[first[which]]).any(axis=1)] = -1  # of another row's fingerprint by chance
    order = np.argsort(which, kind="stable")
    ends = np.searchsorted(which[order], np.arange(len(sizes)), side="right")
    groups, grouped = [], np.zeros(len(rows), dtype=bool)
    for group in np.flatnonzero(sizes >= least):
        index = order[ends[group - 1] if group else np.count_nonzero(which < 0) : ends[group]]
        groups.append((np.array(errors.of(index[:1]).matrices(1)[0], dtype=np.float64), index))
        grouped[index] = True
    return groups, np.flatnonzero(~grouped)


def _fingerprints(rows: np.ndarray) -> np.ndarray:
    """Return a number for each row, the same for equal ones."""
    # Zeros of either sign are equal.
    bits = (rows + 0.0).view(np.uint32 if rows.dtype == np.float32 else np.uint64).astype(np.uint64)
    found = np.zeros(len(rows), dtype=np.uint64)
    for column in bits.T:
        found = (found ^ (column ^ (column >> np.uint64(29)))) * np.uint64(0x9E3779B97F4A7C15)
        found ^= found >> np.uint64(32)
    return found


def blurred(parameters: MixtureParameters, errors: np.ndarray) -> MixtureParameters:
    """Return the mixture of the measurements, where all rows have the same errors (n_features, n_features)."""
    shape, sizes = parameters.shape, parameters.means.shape
    if shape.is_matrix:
        covariances = parameters.covariances + errors
    elif np.array_equal(errors, np.diag(np.diagonal(errors))):
        covariances = shape.diagonals(parameters.covariances, *sizes) + np.diagonal(errors)
        shape = DIAGONAL
    else:
        covariances = shape.full(parameters.covariances, *sizes) + errors
        shape = FULL
    return MixtureParameters(
        shape.name, parameters.weights, parameters.means, covariances, shape.factorise(covariances)
    )


def in_units_of_precision(statistics: SufficientStatistics, density: MixtureParameters) -> SufficientStatistics:
    """Return the sums of g and of ``g g^T - T^-1``, given the statistics of a pass under the blurred `density`."""
    shape = density.shape
    precisions, totals = shape.precisions(density.precisions_cholesky), shape.each(shape.totals(statistics.counts))
    if shape.is_matrix:
        scatter = precisions @ statistics.scatter @ precisions - totals * precisions
    else:
        scatter = precisions * statistics.scatter * precisions - totals * precisions
    sums = _times(shape, precisions, statistics.sums)
    return SufficientStatistics(
        shape.name, statistics.centres, statistics.counts, sums, scatter, statistics.log_likelihood
    )


def of_true_values(statistics: SufficientStatistics, parameters: MixtureParameters) -> SufficientStatistics:
    """Return the expected statistics of the true values about the means, given the sums of g and ``g g^T - T^-1``."""
    shape, kept, sizes = statistics.shape, parameters.shape, parameters.means.shape
    covariances: Any = parameters.covariances
    if shape is not kept:
        covariances = (kept.full if shape.is_matrix else kept.diagonals)(covariances, *sizes)
    totals = shape.each(shape.totals(statistics.counts))
    if shape.is_matrix:
        scatter = covariances @ statistics.scatter @ covariances + totals * covariances
    else:
        scatter = covariances * statistics.scatter * covariances + totals * covariances
    sums = _times(shape, covariances, statistics.sums)
    return SufficientStatistics(
        kept.name,
        statistics.centres,
        statistics.counts,
        sums,
        kept_scatter(scatter, shape, kept, sizes),
        statistics.log_likelihood,
    )


def kept_scatter(scatter: np.ndarray, shape: Shape, kept: Shape, sizes: tuple[int, int]) -> np.ndarray:
    """Return the scatter of components, of whole matrices or diagonals, as another shape keeps it."""
    if shape is kept:
        return scatter
    if kept.is_matrix:
        return kept.tie(scatter)
    merged = kept.features_per_variance(sizes[1])
    diagonals = shape.diagonals(scatter, *sizes)
    return diagonals.reshape(sizes[0], -1, merged).sum(axis=2).reshape(kept.dims(*sizes))


def _times(shape: Shape, matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return each component's matrix times its vector; matrices are symmetric."""
    if not shape.is_matrix:
        return matrices * vectors
    return np.einsum("kij,kj->ki", shape.full(matrices, *vectors.shape), vectors)
