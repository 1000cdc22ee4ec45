"""One variance for each component."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgmm.model.shapes.diagonal import Variances

__all__ = ["SPHERICAL", "Spherical"]


class Spherical(Variances):
    """Variances of shape (n_components,); scatter is the trace over features."""

    name, n_axes = "spherical", 0
    described = "(n_components,)"

    def dims(self, n_components: int, n_features: int) -> tuple[int, ...]:
        return (n_components,)

    def features_per_variance(self, n_features: int) -> int:
        return n_features

    def full(self, matrices: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        return matrices[:, None, None] * np.eye(n_features)

    def diagonals(self, matrices: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        return np.repeat(matrices[:, None], n_features, axis=1)

    def columns(self, matrices: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        return matrices

    def outer(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return np.einsum("kd,kd->k", left, right)

    def cross(self, sums: np.ndarray, moved: np.ndarray, shift: np.ndarray) -> np.ndarray:
        return ((2.0 * sums + moved) * shift).sum(axis=1)

    def outer_of_rows(self, weighted: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return np.einsum("nd,nd->", weighted, rows)

    def centred(self, scatter: np.ndarray, counts: np.ndarray, shift: np.ndarray) -> np.ndarray:
        return np.maximum(scatter - counts * np.einsum("kd,kd->k", shift, shift), 0.0) / shift.shape[1]

    def of_matrix(self, matrix: np.ndarray) -> Any:
        return np.trace(matrix) / len(matrix)

    def pooled(self, scatter: np.ndarray, n_features: int) -> np.ndarray:
        return np.eye(n_features) * (scatter.sum() / n_features)

    def add_to_diagonal(self, matrices: np.ndarray, amount: Any) -> None:
        matrices += np.mean(amount, axis=1) if np.ndim(amount) == 2 else amount

    def half_log_det(self, factor: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        return n_features * np.log(factor)

    def lengths(self, scatter: np.ndarray, factor: np.ndarray) -> Any:
        return scatter * factor**2

    def squares(self, factor: np.ndarray, n_features: int) -> Any:
        return n_features * factor**2

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
        scatter += part + len(missing) * counts * conditional

    def observed_precisions(self, covariances: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logs = -0.5 * masks.sum(axis=1)[:, None] * np.log(covariances)
        return masks[:, None, :] / covariances[:, None], logs

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
        sums += weighted.sum(axis=0) * covariances[:, None]
        scatter += np.einsum("nkd,nkd->k", weighted * covariances[:, None], rows * covariances[:, None])
        scatter += np.einsum("mk,mkd->k", counts, (precisions == 0.0).astype(np.float64)) * covariances


SPHERICAL = Spherical()
