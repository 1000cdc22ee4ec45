"""What divergences are made of, of components that have loadings and noise: no matrix of features.

The sum of two such covariances has the loadings of both side by side and the sum of the noises, so its inverse and its
determinant come of ``2 q`` factors; the covariance of a whole mixture has the loadings of all, and its means.
"""

from __future__ import annotations

import numpy as np

from fastgmm.model import MixtureParameters
from fastgmm.model.parameters import LOG_2PI
from fastgmm.model.shapes.low_rank import low_rank, packed, unpacked

__all__ = ["bhattacharyya", "log_dets", "log_overlap", "mixture_log_det", "pairwise_kl", "take_all"]


def take_all(*mixtures: MixtureParameters) -> bool:
    """Return whether the functions here take these mixtures."""
    return all(mixture.shape.n_factors is not None for mixture in mixtures)


def log_dets(parameters: MixtureParameters) -> np.ndarray:
    """Return the log-determinant of each covariance, (n_components,)."""
    return -2.0 * parameters.log_det_precision_factor


def pairwise_kl(a: MixtureParameters, b: MixtureParameters) -> np.ndarray:
    """Return the divergence of each component of `a` from each of `b`, (n_a, n_b), in nats."""
    loadings, noise = unpacked(a.covariances)
    scaled, root = unpacked(b.precisions_cholesky)
    diagonals = a.shape.diagonals(a.covariances, a.n_components, a.n_features)
    traces = diagonals @ (root * root).T
    for j, of_b in enumerate(scaled / np.sqrt(1.0 + b.shape.strengths(b.precisions_cholesky))[:, None, :]):  # type: ignore[attr-defined]
        along = np.einsum("kdq,dp->kqp", loadings, of_b)
        traces[:, j] -= (along * along).sum(axis=(1, 2)) + (noise @ (of_b * of_b)).sum(axis=1)
    return 0.5 * (traces + _distances(a, b) - a.n_features + log_dets(b) - log_dets(a)[:, None])


def _distances(a: MixtureParameters, b: MixtureParameters) -> np.ndarray:
    return np.array([(b.shape.whitened(mean - b.means, b.precisions_cholesky) ** 2).sum(axis=1) for mean in a.means])


def log_overlap(a: MixtureParameters, b: MixtureParameters) -> np.ndarray:
    """Return ``log integral a_i b_j``, (n_a, n_b): the density of one mean under the sum of the two spreads."""
    squares, log_det = _of_sums(a, b)
    return -0.5 * (a.n_features * LOG_2PI + log_det + squares)


def bhattacharyya(a: MixtureParameters, b: MixtureParameters) -> np.ndarray:
    """Return the Bhattacharyya distance of each component of `a` from each of `b`, (n_a, n_b), without dimension."""
    squares, log_det = _of_sums(a, b)
    # The mean of two covariances is half their sum.
    of_mean = log_det - a.n_features * np.log(2.0)
    return 0.25 * squares + 0.5 * (of_mean - 0.5 * (log_dets(a)[:, None] + log_dets(b)))


def _of_sums(a: MixtureParameters, b: MixtureParameters) -> tuple[np.ndarray, np.ndarray]:
    """Return squared distances of means under the sum of the covariances, and its log-determinant, (n_a, n_b)."""
    sizes = (a.n_components, b.n_components)
    squares, log_det = np.empty(sizes), np.empty(sizes)
    loadings, noise = unpacked(b.covariances)
    for i in range(a.n_components):
        own = np.broadcast_to(unpacked(a.covariances)[0][i], (b.n_components, *a.covariances[i, :, :-1].shape))
        both = np.concatenate([own, loadings], axis=2)
        shape = low_rank(both.shape[2])
        factor = shape.factorise(packed(both, noise + a.covariances[i, :, -1]))
        squares[i] = (shape.whitened(a.means[i] - b.means, factor) ** 2).sum(axis=1)
        log_det[i] = -2.0 * shape.half_log_det(factor, *b.means.shape)
    return squares, log_det


def mixture_log_det(parameters: MixtureParameters) -> float:
    """Return the log-determinant of the covariance of the whole mixture."""
    loadings, noise = unpacked(parameters.covariances)
    root = np.sqrt(parameters.weights)
    away = (parameters.means - parameters.weights @ parameters.means) * root[:, None]
    all_loadings = np.concatenate([*(loadings * root[:, None, None]), away.T], axis=1)
    own_noise = parameters.weights @ noise
    scaled = all_loadings / np.sqrt(own_noise)[:, None]
    return float(np.log(own_noise).sum() + np.linalg.slogdet(np.eye(scaled.shape[1]) + scaled.T @ scaled)[1])
