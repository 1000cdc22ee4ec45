"""Changes of coordinates before a fit: standardised columns, principal components, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastgmm.cli.errors import CommandError
from fastgmm.data import ArrayRows, moments, sliced
from fastgmm.data.standardised import observed_moments
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.model.shapes import DIAGONAL
from fastgmm.tables.reading import Table

__all__ = ["Projection", "Scaling", "in_data_units"]


@dataclass(frozen=True)
class Scaling:
    """``(x - shift) / scale``.

    Attributes
    ----------
    shift, scale : ndarray of shape (n_features,)
        Means and standard deviations of the columns.
    observed : ndarray of shape (n_features,) or float
        Share of the rows that have a value there.
    """

    shift: np.ndarray
    scale: np.ndarray
    observed: np.ndarray | float = 1.0

    @classmethod
    def of(cls, table: Table) -> Scaling:
        """Return the scaling that gives every column mean 0 and variance 1."""
        observed: np.ndarray | float = 1.0
        if table.missing == "marginalise":
            observed = _observed(table)
            shift, variances = observed_moments(table.stream or ArrayRows(table.X, table.weights))
        else:
            shift, covariance = moments(table.stream or sliced(table.X, weights=table.weights))
            variances = np.diagonal(covariance)
        scale = np.sqrt(variances)
        for j, name in enumerate(table.columns):
            if not scale[j] > 1e-15 * abs(shift[j]):
                raise CommandError(
                    f"{table.source}: column {name!r} has the same value in every row and cannot be standardised; "
                    f"leave it out with --exclude"
                )
        return cls(shift, scale, observed)

    def apply(self, X: np.ndarray) -> np.ndarray:
        """Return the standardised rows."""
        return np.ascontiguousarray((X - self.shift) / self.scale)

    @property
    def log_jacobian(self) -> float:
        """What the log density of a row gains by standardising, in nats: ``sum_j log scale_j``, over what it has."""
        return float((self.observed * np.log(self.scale)).sum())


def _observed(table: Table) -> np.ndarray:
    """Return the share of the rows' weight that has a value in each column."""
    if table.stream is None:
        weight = np.ones(len(table.X)) if table.weights is None else table.weights
        return (weight @ ~np.isnan(table.X)) / table.total_weight
    if table.stream.weighted:
        raise CommandError(
            "--standardize and --missing marginalise: rows that are read block by block may not have --weights as "
            "well; expected --no-stream"
        )
    assert table.report is not None, "what was read is reported"
    missing = {column.name: column.n_missing or 0 for column in table.report.columns}
    return 1.0 - np.array([missing[name] for name in table.columns]) / table.report.n_rows


@dataclass(frozen=True)
class Projection:
    """Principal components, ``(x - shift) @ forward``, and the way back, ``shift + z @ backward``.

    Attributes
    ----------
    shift : ndarray of shape (n_features,)
    forward : ndarray of shape (n_features, n_axes)
    backward : ndarray of shape (n_axes, n_features)
    share : float
        Of the variance, kept.
    """

    shift: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    share: float

    @classmethod
    def of(cls, table: Table, n_axes: int, standardize: bool) -> Projection:
        """Return the `n_axes` principal components, of standardised columns if asked for."""
        n_features = table.X.shape[1]
        if n_axes > n_features:
            raise CommandError(f"--pca: {n_axes} components of {n_features} columns; expected at most {n_features}")
        shift, covariance = moments(table.stream or sliced(table.X, weights=table.weights))
        scale = Scaling.of(table).scale if standardize else np.ones(n_features)
        values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
        vectors = vectors[:, ::-1][:, :n_axes]
        largest = np.abs(vectors).argmax(axis=0)
        vectors = vectors * np.where(vectors[largest, np.arange(n_axes)] < 0, -1.0, 1.0)
        share = float(values[::-1][:n_axes].sum() / values.sum())
        return cls(shift, vectors / scale[:, None], vectors.T * scale, share)

    @property
    def names(self) -> list[str]:
        """Names of the axes."""
        return [f"pc{j + 1}" for j in range(self.forward.shape[1])]

    def apply(self, X: np.ndarray) -> np.ndarray:
        """Return the rows along the axes."""
        return np.ascontiguousarray((X - self.shift) @ self.forward)

    def back(self, rows: np.ndarray) -> np.ndarray:
        """Return points of the data's space from rows along the axes."""
        return self.shift + rows @ self.backward


def in_data_units(model: GaussianMixture, scaling: Scaling) -> GaussianMixture:
    """Return the mixture of the data as they are, from one of the standardised data.

    Exactly the same density. Components that are spheres in standardised columns have a diagonal covariance in the
    data's units, and a named family of mclust becomes the tightest of scikit-learn's four types that holds it.
    """
    shape, scale = model._covariance.shape, scaling.scale
    covariances = np.asarray(model.covariances_, dtype=np.float64)
    if shape.is_matrix:
        covariances = covariances * np.outer(scale, scale)
    else:
        covariances, shape = shape.diagonals(covariances, *model.means_.shape) * scale**2, DIAGONAL
    means = model.means_ * scale + scaling.shift
    other = GaussianMixture.from_parameters(model.weights_, means, covariances, covariance_type=shape.name)
    other.set_params(
        **{name: getattr(model, name) for name in ("tol", "max_iter", "n_init", "random_state", "missing")}
    )
    other.converged_, other.n_iter_ = model.converged_, model.n_iter_
    other.lower_bounds_ = [value - scaling.log_jacobian for value in model.lower_bounds_]
    other.lower_bound_ = model.lower_bound_ - scaling.log_jacobian
    return other
