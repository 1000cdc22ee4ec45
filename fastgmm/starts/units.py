"""Starts that do not depend on the units of the columns: distances are measured in standard deviations of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgmm import kernels
from fastgmm.data import ArrayRows
from fastgmm.data.standardised import mean_and_covariance, observed_moments
from fastgmm.model import Components
from fastgmm.starts.kmeans import SAMPLE_ROWS, SAMPLE_ROWS_PER_CLUSTER, kmeans, kmeans_plusplus
from fastgmm.starts.quantiles import weighted_quantile

__all__ = [
    "AUTO_REG_COVAR",
    "StartInUnits",
    "central_half",
    "feature_variances",
    "memberships_in_units",
    "relative_reg_covar",
]

#: What ``reg_covar='auto'`` adds to a variance, as a share of the feature's own over all rows.
AUTO_REG_COVAR = 1e-6
#: Features beyond which no matrix of them is made for their variances.
MOST_TOGETHER = 500


def feature_variances(rows: ArrayRows) -> np.ndarray:
    """Return the variance of each feature, shape (n_features,), in squared units of the data."""
    if rows.n_features > MOST_TOGETHER:
        return observed_moments(rows)[1]
    return np.maximum(np.diagonal(mean_and_covariance(rows)[1]), 0.0)


def relative_reg_covar(rows: ArrayRows) -> np.ndarray:
    """Return what ``reg_covar='auto'`` adds to the variance of each feature, shape (n_features,).

    A constant column is given what a column of variance one would be: any number does where nothing varies.
    """
    variances = feature_variances(rows)
    return AUTO_REG_COVAR * np.where(variances > 0, variances, 1.0)


def memberships_in_units(
    rows: ArrayRows, init_params: str, n_components: int, random_state: np.random.RandomState
) -> Any:
    """Return memberships to start from, made as `init_params` says of the rows in standard deviations.

    Parameters
    ----------
    rows : ArrayRows
    init_params : str
        'kmeans', 'k-means++' and 'random_from_data' choose by distances; other starts do not, or standardise by
        themselves, and come back as their name.
    n_components : int
    random_state : RandomState

    Returns
    -------
    labels : ndarray of shape (n_samples,), int64, negative for rows that belong to none; or str
    """
    if init_params not in ("kmeans", "k-means++"):
        return init_params
    mean, covariance = mean_and_covariance(rows)
    sd = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    sd = np.where(sd > 0, sd, 1.0)
    drawn = rows.sample(max(SAMPLE_ROWS, SAMPLE_ROWS_PER_CLUSTER * n_components), random_state)
    standard = ArrayRows(((drawn.X - mean) / sd).astype(rows.X.dtype), drawn.sample_weight)
    if init_params == "k-means++":
        centres = drawn.X[kmeans_plusplus(standard, n_components, random_state)].astype(np.float64)
        return _rows_at(rows, centres)
    centres = kmeans(standard, n_components, random_state)[0] * sd + mean
    nearest = Components("diag", np.zeros(n_components), centres, np.tile(1.0 / sd, (n_components, 1)))
    return kernels.assign(rows.X, nearest, np.empty(rows.n_samples, dtype=np.int64))


def central_half(rows: ArrayRows) -> np.ndarray:
    """Return labels that put the rows nearest to the median into one component, half the weight, and no others.

    Distances are in quartile ranges of the features.

    Parameters
    ----------
    rows : ArrayRows
        The rows to label.

    Returns
    -------
    labels : ndarray of shape (n_samples,), int64
        0, or -1 for the far half.
    """
    weight = np.ones(rows.n_samples) if rows.sample_weight is None else rows.sample_weight
    columns = rows.X.astype(np.float64).T
    low, middle, high = (np.array([weighted_quantile(x, weight, q) for x in columns]) for q in (0.25, 0.5, 0.75))
    reach = np.where(high > low, high - low, 1.0)
    distances = (((columns.T - middle) / reach) ** 2).sum(axis=1)
    return np.where(distances <= weighted_quantile(distances, weight, 0.5), 0, -1)


@dataclass(frozen=True)
class StartInUnits:
    """A callable start of `GaussianMixture` that is `memberships_in_units`."""

    init_params: str

    def __call__(self, X: Any, n_components: int, random_state: np.random.RandomState) -> Any:
        """Return the memberships of the rows of an array, or of rows with weights."""
        rows = X if isinstance(X, ArrayRows) else ArrayRows(X)
        return memberships_in_units(rows, self.init_params, n_components, random_state)


def _rows_at(rows: ArrayRows, centres: np.ndarray) -> np.ndarray:
    """Return labels that give each component the first row at its centre, and no other."""
    labels = np.full(rows.n_samples, -1, dtype=np.int64)
    for k, centre in enumerate(centres):
        at = np.flatnonzero((centre == rows.X).all(axis=1) & (labels < 0))
        if len(at):
            labels[at[0]] = k
    return labels
