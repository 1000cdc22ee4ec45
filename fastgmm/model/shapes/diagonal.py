"""A variance for each component and feature."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgmm.model.shapes.base import Shape, collapse_error

__all__ = ["DIAGONAL", "Diagonal", "Variances"]


class Variances(Shape):
    """Matrices that are their diagonals: what variances per feature and per component have in common."""

    is_matrix = False

    def factorise(self, covariances: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
        if not (covariances.min() > 0 and covariances.max() < np.inf):
            valid = np.isfinite(covariances) & (covariances > 0)
            failed = int(np.flatnonzero(~(valid if valid.ndim == 1 else valid.all(axis=1)))[0])
            raise collapse_error(failed, counts)
        return 1.0 / np.sqrt(covariances)

    def factors_of_precisions(self, precisions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 1.0 / precisions, np.sqrt(precisions)

    def precisions(self, factor: np.ndarray) -> np.ndarray:
        return factor**2

    def covariances_of(self, factor: np.ndarray) -> np.ndarray:
        return factor**-2.0

    def whitened(self, vectors: np.ndarray, factor: np.ndarray) -> np.ndarray:
        return vectors * factor.reshape(len(factor), -1)

    def condition(
        self, covariances: np.ndarray, observed: np.ndarray, missing: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        return 1.0 / np.sqrt(self.columns(covariances, observed)), None, self.columns(covariances, missing)


class Diagonal(Variances):
    """Variances of shape (n_components, n_features)."""

    name, n_axes = "diag", 1
    described = "(n_components, n_features)"

    def dims(self, n_components: int, n_features: int) -> tuple[int, ...]:
        return (n_components, n_features)

    def full(self, matrices: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        return matrices[:, :, None] * np.eye(n_features)

    def diagonals(self, matrices: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        return matrices

    def columns(self, matrices: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(matrices[:, chosen])

    def outer(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return left * right

    def cross(self, sums: np.ndarray, moved: np.ndarray, shift: np.ndarray) -> np.ndarray:
        return (2.0 * sums + moved) * shift

    def outer_of_rows(self, weighted: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return np.einsum("nd,nd->d", weighted, rows)

    def centred(self, scatter: np.ndarray, counts: np.ndarray, shift: np.ndarray) -> np.ndarray:
        return np.maximum(scatter - counts[:, None] * shift * shift, 0.0)

    def of_matrix(self, matrix: np.ndarray) -> Any:
        return np.diagonal(matrix)

    def pooled(self, scatter: np.ndarray, n_features: int) -> np.ndarray:
        return np.diag(scatter.sum(axis=0))

    def add_to_diagonal(self, matrices: np.ndarray, amount: Any) -> None:
        matrices += amount if np.ndim(amount) == 2 else np.reshape(amount, (-1, 1))

    def half_log_det(self, factor: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        return np.log(factor).sum(axis=1)

    def lengths(self, scatter: np.ndarray, factor: np.ndarray) -> Any:
        return np.einsum("kd,kd->k", scatter, factor**2)

    def squares(self, factor: np.ndarray, n_features: int) -> Any:
        return (factor**2).sum(axis=1)

    def add_completed(
        self,
        scatter: np.ndarray,
        part: np.ndarray,
        counts: np.ndarray,
        observed: np.ndarray,
        missing: np.ndarray,
        regression: np.ndarray | None,
        conditional: np.ndarray,
    ) -> None:
        scatter[:, observed] += part
        scatter[:, missing] += counts[:, None] * conditional

    def observed_precisions(self, covariances: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logs = -0.5 * masks.astype(np.float64) @ np.log(covariances.T)
        return masks[:, None, :] / covariances, logs

    def add_expected(
        self,
        sums: np.ndarray,
        scatter: np.ndarray,
        covariances: np.ndarray,
        weighted: np.ndarray,
        rows: np.ndarray,
        counts: np.ndarray,
        precisions: np.ndarray,
    ) -> None:
        sums += weighted.sum(axis=0) * covariances
        # The squares of what is observed, and the variances of what is not: nothing is subtracted.
        scatter += np.einsum("nkd,nkd->kd", weighted * covariances, rows * covariances)
        scatter += np.einsum("mk,mkd->kd", counts, (precisions == 0.0).astype(np.float64)) * covariances


DIAGONAL = Diagonal()
