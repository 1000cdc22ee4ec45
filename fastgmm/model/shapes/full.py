"""A whole matrix for each component."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

import numpy as np
from scipy.linalg.lapack import dlauum

from fastgmm import kernels
from fastgmm.model.shapes.base import Shape, collapse_error

__all__ = ["FULL", "Full", "lower_factor"]

EPS = float(np.finfo(np.float64).eps)


class Full(Shape):
    """Matrices of shape (n_components, n_features, n_features)."""

    name, is_matrix, n_axes = "full", True, 2
    described = "(n_components, n_features, n_features)"

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
        diagonals += amount if np.ndim(amount) == 2 else np.reshape(amount, (-1, 1))

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
        return self.covariances_of(factor), factor

    def precisions(self, factor: np.ndarray) -> np.ndarray:
        if factor.shape[-1] < MANY_FEATURES:
            return factor @ np.swapaxes(factor, -1, -2)
        product = np.array(self.upper(factor), dtype=np.float64)
        for matrix in product.reshape(-1, *factor.shape[-2:]):
            _multiply_by_transpose(matrix)
        return product

    def upper(self, factor: np.ndarray) -> np.ndarray:
        # What fits make is known to be triangular after one look; a user's own factor is turned into one once, and
        # again where its numbers were changed in place.
        key, mark = id(factor), _mark(factor)
        known = _looked_at.get(key)
        if known is not None and known[0]() is factor and known[1] == mark:
            return factor if known[2] is None else known[2]
        found = None if not np.tril(factor, -1).any() else _triangular(np.asarray(factor, dtype=np.float64))
        _looked_at[key] = (weakref.ref(factor, partial(_looked_at.pop, key)), mark, found)
        return factor if found is None else found

    def covariances_of(self, factor: np.ndarray) -> np.ndarray:
        inverse = np.linalg.inv(factor)
        return np.swapaxes(inverse, -1, -2) @ inverse

    def half_log_det(self, factor: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        return np.log(np.einsum("kdd->kd", factor)).sum(axis=1)

    def whitened(self, vectors: np.ndarray, factor: np.ndarray) -> np.ndarray:
        return np.matmul(vectors[..., None, :], factor)[..., 0, :]

    def lengths(self, scatter: np.ndarray, factor: np.ndarray) -> Any:
        return np.einsum("kij,kij->k", scatter @ factor, factor)

    def squares(self, factor: np.ndarray, n_features: int) -> Any:
        return (factor**2).sum(axis=(-2, -1))

    def condition(
        self, covariances: np.ndarray, observed: np.ndarray, missing: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        order, n_observed = np.concatenate([observed, missing]), len(observed)
        # The last block of the factor with the observed features first is that of the conditional covariance: nothing
        # is subtracted, so it stays positive definite.
        lower = lower_factor(covariances[..., order[:, None], order])
        inverse = np.linalg.inv(lower[..., :n_observed, :n_observed])
        corner = lower[..., n_observed:, n_observed:]
        factor = np.ascontiguousarray(np.triu(np.swapaxes(inverse, -1, -2)))
        return factor, lower[..., n_observed:, :n_observed] @ inverse, corner @ np.swapaxes(corner, -1, -2)

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
        assert regression is not None, "the features of a matrix say something of each other"
        cross = regression @ part
        corner = cross @ np.swapaxes(regression, -1, -2)
        # Symmetric to the bit, as what the kernels add.
        corner = 0.5 * (corner + np.swapaxes(corner, -1, -2)) + self.each(self.totals(counts)) * conditional
        scatter[..., observed[:, None], observed] += part
        scatter[..., missing[:, None], observed] += cross
        scatter[..., observed[:, None], missing] += np.swapaxes(cross, -1, -2)
        scatter[..., missing[:, None], missing] += corner

    def observed_precisions(self, covariances: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n_features = masks.shape[1]
        stacked = covariances.reshape(-1, n_features, n_features)
        # Missing features as independent ones of variance one: they change nothing. Masks run along the last axis.
        observed = np.ascontiguousarray(masks.T, dtype=np.float64)
        work = stacked[..., None] * (observed[:, None] * observed)
        for j in range(n_features):
            work[:, j, j] += 1.0 - observed[j]
        log_det = _invert(work)
        for j in range(n_features):
            work[:, j, j] -= 1.0 - observed[j]
        return np.ascontiguousarray(work.transpose(3, 0, 1, 2)), -0.5 * log_det.T

    def times(self, precisions: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return (precisions @ rows[..., None])[..., 0]

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
        sums += self.times(covariances, weighted.sum(axis=0))
        # A matrix that all share stands behind the rows of all components.
        n_masks, n_stored = precisions.shape[:2]
        moments = self.tie(weighted.transpose(1, 2, 0) @ rows.transpose(1, 0, 2)).reshape(n_stored, -1)
        totals = counts if n_stored == counts.shape[1] else counts.sum(axis=1, keepdims=True)
        moments = moments - np.einsum("mk,mkf->kf", totals, precisions.reshape(n_masks, n_stored, -1))
        added = covariances @ moments.reshape(covariances.shape) @ covariances
        added = 0.5 * (added + np.swapaxes(added, -1, -2))
        scatter += self.each(self.totals(counts.sum(axis=0))) * covariances + added

    def draw(
        self, mean: np.ndarray, covariance: np.ndarray, n_samples: int, random_state: np.random.RandomState
    ) -> np.ndarray:
        # Rounding to float32 leaves a matrix that is not quite symmetric; the draw does not mind.
        return random_state.multivariate_normal(mean, covariance, n_samples, check_valid="ignore")


FULL = Full()


def lower_factor(covariances: np.ndarray) -> np.ndarray:
    """Return the lower Cholesky factors of covariances (..., n, n)."""
    try:
        return np.linalg.cholesky(covariances)
    except np.linalg.LinAlgError:
        raise collapse_error(0, reason="a covariance is singular, up to rounding, given some of the features") from None


def _invert(matrices: np.ndarray) -> np.ndarray:
    """Replace symmetric positive definite matrices (..., n, n, m), m side by side, by their inverses; in place.

    Returns their log-determinants, (..., m). By the sweep operator: LAPACK's call per matrix costs more in few
    dimensions.
    """
    log_det = np.zeros(matrices.shape[:-3] + matrices.shape[-1:])
    for k in range(matrices.shape[-2]):
        pivot = matrices[..., k, k, :].copy()
        log_det += np.log(pivot)
        row = matrices[..., k, :, :].copy()
        swept = row / pivot[..., None, :]
        matrices -= row[..., :, None, :] * swept[..., None, :, :]
        matrices[..., k, :, :] = matrices[..., :, k, :] = swept
        matrices[..., k, k, :] = -1.0 / pivot
    np.negative(matrices, out=matrices)
    return log_det


#: Factors that were looked at, by their identity: a weak reference to each, what marks its numbers, and a triangular
#: one where it is not.
_looked_at: dict[int, tuple[Any, float, np.ndarray | None]] = {}

#: Most numbers that tell whether an array was changed in place, and their unequal weights.
MOST_MARKED = 4096
_RAMP = np.sqrt(np.arange(1.0, MOST_MARKED + 1.0))


#: From so many features on, a product that leaves out the zeros of a triangle takes less than half the time.
MANY_FEATURES = 256

#: Columns that are mirrored at once.
N_MIRRORED = 64


def _multiply_by_transpose(factor: np.ndarray) -> None:
    """Replace an upper triangular ``U`` by ``U U^T``, in place."""
    # LAPACK's matrices lie the other way round: ours is a lower triangle to it, and the product its transpose times it.
    dlauum(factor.T, lower=1, overwrite_c=1)
    for start in range(0, len(factor), N_MIRRORED):
        stop = start + N_MIRRORED
        block = factor[start:stop, start:stop]
        np.copyto(block, block.T.copy(), where=np.tri(len(block), k=-1, dtype=bool))
        factor[stop:, start:stop] = factor[start:stop, stop:].T


def _mark(factor: np.ndarray) -> float:
    flat = factor.reshape(-1)
    if flat.size > MOST_MARKED:
        flat = flat[:: -(-flat.size // MOST_MARKED)]
    return float(flat @ _RAMP[: flat.size])


def _triangular(factor: np.ndarray) -> np.ndarray:
    """Return the upper triangular ``U`` with ``U U^T = F F^T``, without forming the product, which squares rounding."""
    # QR gives a lower factor first; of the matrix turned by 180 degrees it is the upper one wanted.
    r = np.asarray(np.linalg.qr(np.swapaxes(factor[..., ::-1, :], -1, -2), mode="r"))
    r = r * np.where(np.diagonal(r, axis1=-2, axis2=-1) < 0, -1.0, 1.0)[..., :, None]
    return np.ascontiguousarray(np.swapaxes(r, -1, -2)[..., ::-1, ::-1])


def _first_without_rank(covariances: np.ndarray, factor: np.ndarray) -> int:
    # A singular matrix often passes Cholesky on rounding errors alone: its last pivot (the variance of a feature
    # given those before it) is then within n_features roundings of that feature's variance.
    variances = np.einsum("kdd->kd", covariances)
    ratio = (np.sqrt(variances) * np.einsum("kdd->kd", factor)) ** 2
    limit = 1.0 / (covariances.shape[-1] * EPS)
    if ratio.max() <= limit:
        return -1
    return int((ratio > limit).any(axis=1).argmax())
