"""One whole matrix for all components."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgmm.model.shapes.base import SHARED, Shape
from fastgmm.model.shapes.full import FULL, Full

__all__ = ["TIED", "Tied"]


class Tied(Full):
    """A matrix of shape (n_features, n_features); scatter is summed over components."""

    name, is_shared = "tied", True
    described = "(n_features, n_features)"

    def dims(self, n_components: int, n_features: int) -> tuple[int, ...]:
        return (n_features, n_features)

    @property
    def per_component(self) -> Shape:
        return FULL

    def each(self, values: np.ndarray) -> np.ndarray:
        return values

    def totals(self, counts: np.ndarray) -> Any:
        return counts.sum()

    def take(self, matrices: np.ndarray, chosen: Any) -> np.ndarray:
        return matrices

    def add_part(self, matrices: np.ndarray, part: np.ndarray, chosen: Any) -> None:
        matrices += part

    def untie(self, matrices: np.ndarray, n_components: int) -> np.ndarray:
        return np.broadcast_to(matrices, (n_components, *matrices.shape))

    def tie(self, matrices: np.ndarray) -> np.ndarray:
        return matrices.sum(axis=0)

    def full(self, matrices: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        return np.broadcast_to(matrices, (n_components, n_features, n_features))

    def diagonals(self, matrices: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        return np.broadcast_to(np.diagonal(matrices), (n_components, n_features))

    def outer(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return left.T @ right

    def cross(self, sums: np.ndarray, moved: np.ndarray, shift: np.ndarray) -> np.ndarray:
        return super().cross(sums, moved, shift).sum(axis=0)

    def summed(self, scatter: np.ndarray) -> Any:
        return scatter

    def pooled(self, scatter: np.ndarray, n_features: int) -> np.ndarray:
        return scatter

    def _named(self, component: int) -> int:
        return SHARED

    def half_log_det(self, factor: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        return np.full(n_components, np.log(np.diagonal(factor)).sum())

    def lengths(self, scatter: np.ndarray, factor: np.ndarray) -> Any:
        return np.sum((scatter @ factor) * factor)

    def one(self, matrices: np.ndarray, component: int) -> np.ndarray:
        return matrices


TIED = Tied()
