"""A few loadings and a noise variance per feature, for each component: ``loadings loadings^T + diag(noise)``.

Nothing here has D x D numbers unless `full` or `precisions` is asked for. By Woodbury's identity, with loadings A and
noise psi,

    inverse = diag(1 / psi) - H diag(1 / (1 + s^2)) H^T,   H = diag(1 / psi) A R,   A^T H = R diag(s^2)

where R is a rotation, which leaves ``A A^T`` as it is; and the log-determinant is ``sum log psi + sum log(1 + s^2)``.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from fastgmm.model.shapes.base import Shape, collapse_error

__all__ = ["LowRank", "canonical", "low_rank", "numbers_of_factors", "packed", "unpacked"]

PREFIX = "low_rank:"


def packed(loadings: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return loadings (K, D, q) and what is diagonal (K, D) as one array (K, D, q + 1)."""
    return np.concatenate([loadings, noise[..., None]], axis=-1)


def unpacked(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return loadings (K, D, q) and what is diagonal (K, D); views."""
    return matrices[..., :-1], matrices[..., -1]


def canonical(loadings: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the loadings turned so that ``loadings^T diag(1 / noise) loadings`` is diagonal, and this diagonal.

    Descending; the largest loading of a factor, in units of the noise, is positive: the same covariances have the same
    loadings, in whatever units the features are.
    """
    scaled = loadings / noise[..., None]
    strength, rotation = np.linalg.eigh(np.swapaxes(loadings, -1, -2) @ scaled)
    strength, rotation = strength[..., ::-1], rotation[..., ::-1]
    turned = loadings @ rotation
    if turned.shape[-1]:
        in_sd = turned / np.sqrt(noise)[..., None]
        turned *= np.where(in_sd.max(axis=-2) < -in_sd.min(axis=-2), -1.0, 1.0)[..., None, :]
    return turned, np.maximum(strength, 0.0)


def numbers_of_factors(loadings: np.ndarray) -> np.ndarray:
    """Return how many loadings of each component are not zero, (n_components,) int64."""
    return (loadings != 0).any(axis=1).sum(axis=1)


class LowRank(Shape):
    """Matrices of shape (n_components, n_features, n_factors + 1).

    A covariance is its loadings and, last, the noise variances. A precision factor is H and, last, ``1 / sqrt(psi)``:
    what the kernels read. Scatter is not kept in this shape; `fastgmm.families.low_rank` says what is.

    Parameters
    ----------
    n_factors : int
        Most that a component has; the loadings of one that has fewer end in zeros.
    """

    is_matrix, n_axes = True, 2
    n_factors: int
    described = "(n_components, n_features, n_factors + 1)"

    def __init__(self, n_factors: int) -> None:
        self.n_factors = n_factors

    @property
    def name(self) -> str:  # type: ignore[override]
        """What the kernels and files call it."""
        return f"{PREFIX}{self.n_factors}"

    def __reduce__(self) -> Any:
        return low_rank, (self.n_factors,)

    def dims(self, n_components: int, n_features: int) -> tuple[int, ...]:
        return (n_components, n_features, self.n_factors + 1)

    def dims_of_one(self, n_features: int) -> tuple[int, ...]:
        return (n_features, self.n_factors + 1)

    def full(self, matrices: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        loadings, noise = unpacked(matrices)
        whole = loadings @ loadings.transpose(0, 2, 1)
        np.einsum("kdd->kd", whole)[:] += noise
        return whole

    def diagonals(self, matrices: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        loadings, noise = unpacked(matrices)
        return noise + np.einsum("kdq,kdq->kd", loadings, loadings)

    def columns(self, matrices: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(matrices[:, chosen])

    def scaled(self, matrices: np.ndarray, amount: Any) -> np.ndarray:
        loadings, noise = unpacked(matrices)
        amount = self.each(amount) if np.ndim(amount) else amount
        return packed(loadings * np.sqrt(amount), (noise[..., None] * amount)[..., 0])

    def add_to_diagonal(self, matrices: np.ndarray, amount: Any) -> None:
        matrices[..., -1] += amount if np.ndim(amount) == 2 else np.reshape(amount, (-1, 1))

    def draw(
        self, mean: np.ndarray, covariance: np.ndarray, n_samples: int, random_state: np.random.RandomState
    ) -> np.ndarray:
        loadings, noise = unpacked(covariance)
        factors = random_state.standard_normal(size=(n_samples, loadings.shape[1]))
        rows = random_state.standard_normal(size=(n_samples, len(mean)))
        rows *= np.sqrt(noise)
        rows += mean
        rows += factors @ loadings.T
        return rows

    # Factors.

    def factorise(self, covariances: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
        loadings, noise = self.checked(covariances, counts)
        return self.factor_of_canonical(canonical(loadings, noise)[0], noise)

    def checked(self, covariances: np.ndarray, counts: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return loadings and noise variances, which are finite and positive; views.

        Raises
        ------
        ComponentCollapseError
            If a component has others.
        """
        loadings, noise = unpacked(covariances)
        valid = np.isfinite(covariances).all(axis=(1, 2)) & (noise > 0).all(axis=1)
        if not valid.all():
            raise collapse_error(int(np.argmin(valid)), counts, covariances.shape[1])
        return loadings, noise

    def factor_of_canonical(self, loadings: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return the precision factor of loadings that are in their canonical rotation."""
        return packed(loadings / noise[..., None], 1.0 / np.sqrt(noise))

    def factors_of_precisions(self, precisions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise ValueError("precisions_init is given and components have loadings and noise; expected None")

    def strengths(self, factor: np.ndarray) -> np.ndarray:
        """Return ``s^2``, the ratio of what each factor explains to the noise, (n_components, n_factors)."""
        scaled, root = unpacked(factor)
        return ((scaled / root[..., None]) ** 2).sum(axis=1)

    def posterior(self, factor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return C (n_components, n_features, n_factors) and V (n_components, n_factors, n_factors).

        The factors of a row x given the row are normal about ``(x - mean) C`` with the covariance V, which is diagonal.
        """
        spread = 1.0 / (1.0 + self.strengths(factor))
        return factor[..., :-1] * spread[:, None, :], spread[:, :, None] * np.eye(self.n_factors)

    def precisions(self, factor: np.ndarray) -> np.ndarray:
        scaled, root = unpacked(factor)
        whole = -(scaled / (1.0 + self.strengths(factor))[:, None, :]) @ scaled.transpose(0, 2, 1)
        np.einsum("kdd->kd", whole)[:] += root * root
        return whole

    def times_precision(self, vectors: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Return vectors (n, n_features) times the precision of one component, whose factor is given."""
        scaled, root = unpacked(factor)
        along = (vectors @ scaled) / (1.0 + self.strengths(factor[None])[0])
        return vectors * (root * root) - along @ scaled.T

    def covariances_of(self, factor: np.ndarray) -> np.ndarray:
        scaled, root = unpacked(factor)
        noise = root**-2.0
        return packed(scaled * noise[..., None], noise)

    def half_log_det(self, factor: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        return np.log(factor[..., -1]).sum(axis=1) - 0.5 * np.log1p(self.strengths(factor)).sum(axis=1)

    def whitened(self, vectors: np.ndarray, factor: np.ndarray) -> np.ndarray:
        scaled, root = unpacked(factor)
        strengths = self.strengths(factor)
        axes = scaled / root[..., None] / np.sqrt(np.where(strengths > 0, strengths, 1.0))[:, None, :]
        in_sd = vectors * root
        along = np.einsum("...kd,kdq->...kq", in_sd, axes) * (1.0 - 1.0 / np.sqrt(1.0 + strengths))
        return in_sd - np.einsum("...kq,kdq->...kd", along, axes)

    def largest(self, factor: np.ndarray) -> float:
        return float(factor[..., -1].max()) ** 2

    def lengths(self, scatter: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Return the sums of squared distances, given scatter as a pass with this factor keeps it."""
        sketch, variances = unpacked(scatter)
        scaled, root = unpacked(factor)
        return np.einsum("kd,kd->k", variances, root * root) - np.einsum("kdq,kdq->k", sketch, scaled)

    # Whole matrices, which families ask of the shape of their scatter.

    def _whole(self, *arguments: Any, **options: Any) -> Any:
        raise NotImplementedError("loadings and noise stand for whole matrices; ask the shape of the family's scatter")

    outer = cross = outer_of_rows = centred = pooled = of_matrix = squares = _whole
    condition = observed_precisions = add_completed = add_expected = _whole


@cache
def low_rank(n_factors: int) -> LowRank:
    """Return the shape of components with `n_factors` loadings."""
    return LowRank(n_factors)
