"""A whole matrix for each component."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgmm import kernels
from fastgmm.model.shapes.base import Shape, collapse_error

__all__ = ["FULL", "Full"]

EPS = float(np.finfo(np.float64).eps)


class Full(Shape):
    """Matrices of shape (n_components, n_features, n_features)."""

    name, is_matrix, n_axes = "full", True, 2

    def dims(self, n_components: int, n_features: int) -> tuple[int, ...]:
        return (n_components, n_features, n_features)

    def full(self, matrices: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        return matrices

    def diagonals(self, matrices: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        return np.einsum("kdd->kd", matrices)

    def columns(self, matrices: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(matrices[..., chosen[:, None], chosen])

    def outer(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return left[:, :, None] * right[:, None, :]

    def cross(self, sums: np.ndarray, moved: np.ndarray, shift: np.ndarray) -> np.ndarray:
        left = sums[:, :, None] * shift[:, None, :]
        return left + left.transpose(0, 2, 1) + moved[:, :, None] * shift[:, None, :]

    def outer_of_rows(self, weighted: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return weighted.T @ rows

    def centred(self, scatter: np.ndarray, counts: np.ndarray, shift: np.ndarray) -> np.ndarray:
        return scatter - self.outer(counts[:, None] * shift, shift)

    def of_matrix(self, matrix: np.ndarray) -> Any:
        return matrix

    def pooled(self, scatter: np.ndarray, n_features: int) -> np.ndarray:
        return scatter.sum(axis=0)

    def add_to_diagonal(self, matrices: np.ndarray, amount: Any) -> None:
        n_features = matrices.shape[-1]
        diagonals = matrices.reshape(-1, n_features * n_features)[:, :: n_features + 1]
        diagonals += np.reshape(amount, (-1, 1))

    def factorise(self, covariances: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
        n_features = covariances.shape[-1]
        stacked = covariances.reshape(-1, n_features, n_features)
        factor = np.empty_like(stacked)
        failed = kernels.factorise_precisions(stacked, factor)
        if failed < 0:
            failed = _first_without_rank(stacked, factor)
        if failed >= 0:
            raise collapse_error(self._named(failed), counts, n_features)
        return factor.reshape(covariances.shape)

    def _named(self, component: int) -> int:
        return component

    def factors_of_precisions(self, precisions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # Cholesky gives a lower factor first; of the matrix turned by 180 degrees it is the upper one wanted.
        factor = np.ascontiguousarray(np.linalg.cholesky(precisions[..., ::-1, ::-1])[..., ::-1, ::-1])
        inverse = np.linalg.inv(factor)
        return np.swapaxes(inverse, -1, -2) @ inverse, factor

    def precisions(self, factor: np.ndarray) -> np.ndarray:
        return factor @ np.swapaxes(factor, -1, -2)

    def half_log_det(self, factor: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        return np.log(np.einsum("kdd->kd", factor)).sum(axis=1)

    def lengths(self, scatter: np.ndarray, factor: np.ndarray) -> Any:
        return np.einsum("kij,kij->k", scatter @ factor, factor)

    def squares(self, factor: np.ndarray, n_features: int) -> Any:
        return (factor**2).sum(axis=(-2, -1))

    def draw(
        self, mean: np.ndarray, covariance: np.ndarray, n_samples: int, random_state: np.random.RandomState
    ) -> np.ndarray:
        # Rounding to float32 leaves a matrix that is not quite symmetric; the draw does not mind.
        return random_state.multivariate_normal(mean, covariance, n_samples, check_valid="ignore")


FULL = Full()


def _first_without_rank(covariances: np.ndarray, factor: np.ndarray) -> int:
    # A singular matrix often passes Cholesky on rounding errors alone: its last pivot (the variance of a feature
    # given those before it) is then within n_features roundings of that feature's variance.
    variances = np.einsum("kdd->kd", covariances)
    ratio = (np.sqrt(variances) * np.einsum("kdd->kd", factor)) ** 2
    limit = 1.0 / (covariances.shape[-1] * EPS)
    if ratio.max() <= limit:
        return -1
    return int((ratio > limit).any(axis=1).argmax())
