"""How far apart two Gaussian mixtures are, and how spread one is: bounds in closed form.

No divergence of mixtures has a closed form; each function here returns a lower and an upper bound that hold always.
Matrices are full, one per component (see `fastgmm.inference.conditioning.full_covariances`), but where all components
have loadings and noise: `fastgmm.inference.divergence_by_factors` has what there is of those.

References
----------
Kolchinsky and Tracey (2017), Estimating mixture entropy with pairwise distances, Entropy 19 (equations 10 and 13);
Durrieu, Thiran and Kelly (2012), Lower and upper bounds for approximation of the Kullback-Leibler divergence between
Gaussian mixture models, ICASSP (sections 3 and 4); Delon and Desolneux (2020), A Wasserstein-type distance in the
space of Gaussian mixture models, SIAM J. Imaging Sciences 13 (definition 4.1); Gelbrich (1990), On a formula for the
L2 Wasserstein metric between measures, Math. Nachr. 147.
"""

from __future__ import annotations

import numpy as np

from fastgmm.inference import divergence_by_factors as by_factors
from fastgmm.inference.conditioning import full_covariances
from fastgmm.model import MixtureParameters

__all__ = ["bhattacharyya", "entropy_bounds", "kl_bounds", "moments", "wasserstein_bounds"]

LOG_2PI = float(np.log(2.0 * np.pi))


def moments(parameters: MixtureParameters) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the covariance of the whole mixture."""
    mean = parameters.weights @ parameters.means
    centred = parameters.means - mean
    within = np.tensordot(parameters.weights, full_covariances(parameters), axes=1)
    return mean, within + (parameters.weights[:, None] * centred).T @ centred


def _log_det(covariances):
    return np.linalg.slogdet(covariances)[1]


def _pairwise_distance(means_a, means_b, inverses):
    """Return ``(a - b)^T inverse (a - b)`` for all pairs; `inverses` broadcasts against (n_a, n_b, d, d)."""
    difference = means_a[:, None, :] - means_b[None, :, :]
    return np.einsum(
        "abd,abde,abe->ab", difference, np.broadcast_to(inverses, (*difference.shape, difference.shape[2])), difference
    )


def _pairwise_kl(a: MixtureParameters, b: MixtureParameters) -> np.ndarray:
    """Return the divergence of each component of `a` from each of `b`, (n_a, n_b), in nats."""
    if by_factors.take_all(a, b):
        return by_factors.pairwise_kl(a, b)
    cov_a, cov_b = full_covariances(a), full_covariances(b)
    inverse = np.linalg.inv(cov_b)
    traces = np.einsum("ade,bed->ab", cov_a, inverse)
    distances = _pairwise_distance(a.means, b.means, inverse[None])
    return 0.5 * (traces + distances - a.n_features + _log_det(cov_b) - _log_det(cov_a)[:, None])


def _log_overlap(a: MixtureParameters, b: MixtureParameters) -> np.ndarray:
    """Return ``log integral a_i b_j``, (n_a, n_b): the density of one mean under the sum of the two spreads."""
    if by_factors.take_all(a, b):
        return by_factors.log_overlap(a, b)
    summed = full_covariances(a)[:, None] + full_covariances(b)[None]
    distances = _pairwise_distance(a.means, b.means, np.linalg.inv(summed))
    return -0.5 * (a.n_features * LOG_2PI + _log_det(summed) + distances)


def bhattacharyya(a: MixtureParameters, b: MixtureParameters) -> np.ndarray:
    """Return the Bhattacharyya distance of each component of `a` from each of `b`, (n_a, n_b), without dimension."""
    if by_factors.take_all(a, b):
        return by_factors.bhattacharyya(a, b)
    cov_a, cov_b = full_covariances(a), full_covariances(b)
    log_det_a, log_det_b = _log_det(cov_a), _log_det(cov_b)
    out = np.empty((a.n_components, b.n_components))
    for i in range(a.n_components):
        # One row at a time: matrices for all pairs may be many.
        mean = 0.5 * (cov_a[i] + cov_b)
        difference = a.means[i] - b.means
        distances = np.einsum("bd,bd->b", difference, np.linalg.solve(mean, difference[..., None])[..., 0])
        out[i] = 0.125 * distances + 0.5 * (_log_det(mean) - 0.5 * (log_det_a[i] + log_det_b))
    return out


def _weighted_log_sum(weights: np.ndarray, exponents: np.ndarray) -> np.ndarray:
    """Return ``log sum_j weights_j exp(exponents_ij)`` for each i."""
    with np.errstate(divide="ignore"):
        return np.logaddexp.reduce(np.log(weights) + exponents, axis=1)


def _component_entropies(parameters: MixtureParameters) -> np.ndarray:
    whole = not by_factors.take_all(parameters)
    log_det = _log_det(full_covariances(parameters)) if whole else by_factors.log_dets(parameters)
    return 0.5 * (parameters.n_features * (1.0 + LOG_2PI) + log_det)


def entropy_bounds(parameters: MixtureParameters) -> tuple[float, float]:
    """Return a lower and an upper bound on the differential entropy, in nats.

    They meet for one component, and as components move apart or together.
    """
    weights = parameters.weights
    own = float(weights @ _component_entropies(parameters))
    lower = own - float(weights @ _weighted_log_sum(weights, -bhattacharyya(parameters, parameters)))
    upper = own - float(weights @ _weighted_log_sum(weights, -_pairwise_kl(parameters, parameters)))
    # No distribution of this covariance has more entropy than the Gaussian.
    whole = not by_factors.take_all(parameters)
    log_det = _log_det(moments(parameters)[1]) if whole else by_factors.mixture_log_det(parameters)
    gaussian = 0.5 * float(parameters.n_features * (1.0 + LOG_2PI) + log_det)
    return lower, min(upper, gaussian)


def kl_bounds(p: MixtureParameters, q: MixtureParameters) -> tuple[float, float]:
    """Return a lower and an upper bound on the Kullback-Leibler divergence of `q` from `p`, in nats.

    ``KL(p || q) = integral p log(p / q)``, split into the entropy of p and its cross entropy with q.
    """
    from scipy.optimize import linear_sum_assignment

    lowest_entropy, highest_entropy = entropy_bounds(p)
    pairs = _pairwise_kl(p, q)
    # log of a sum under the expectation: Jensen bounds it from above, each component's own bound from below.
    highest_log_q = float(p.weights @ _weighted_log_sum(q.weights, _log_overlap(p, q)))
    own = float(p.weights @ _component_entropies(p))
    lowest_log_q = float(p.weights @ _weighted_log_sum(q.weights, -pairs)) - own
    upper = -lowest_entropy - lowest_log_q
    if p.n_components == q.n_components:
        # Convexity, each component beside one of q: exact zero for a mixture and itself, in whatever order.
        with np.errstate(divide="ignore", invalid="ignore"):
            costs = p.weights[:, None] * (np.log(p.weights[:, None] / q.weights) + pairs)
        costs[p.weights == 0] = 0.0
        # A weight of zero in q costs infinity, which the assignment does not take.
        chosen = linear_sum_assignment(np.where(np.isfinite(costs), costs, np.finfo(np.float64).max ** 0.5))
        upper = min(upper, float(costs[chosen].sum()))
    return max(0.0, -highest_entropy - highest_log_q), upper


def _bures(mean_a, covariance_a, mean_b, covariance_b) -> float:
    """Return the squared Wasserstein distance of two Gaussians."""
    values, vectors = np.linalg.eigh(covariance_a)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ covariance_b @ root), 0.0)).sum()
    spread = np.trace(covariance_a) + np.trace(covariance_b) - 2.0 * cross
    return float(((mean_a - mean_b) ** 2).sum() + max(spread, 0.0))


def wasserstein_bounds(p: MixtureParameters, q: MixtureParameters) -> tuple[float, float]:
    """Return a lower and an upper bound on the 2-Wasserstein distance, in units of the data.

    The lower is Gelbrich's, of means and covariances; the upper the distance MW2 of Delon and Desolneux, that of the
    best transport which moves Gaussian components as wholes: itself a metric between mixtures.
    """
    from scipy.optimize import linprog

    cov_p, cov_q = full_covariances(p), full_covariances(q)
    costs = np.array(
        [
            [_bures(p.means[i], cov_p[i], q.means[j], cov_q[j]) for j in range(q.n_components)]
            for i in range(p.n_components)
        ]
    )
    n_p, n_q = costs.shape
    rows = np.kron(np.eye(n_p), np.ones(n_q))
    columns = np.kron(np.ones(n_p), np.eye(n_q))
    # Scaled, so that the solver's absolute tolerances fit data of any unit.
    scale = float(costs.max()) or 1.0
    solution = linprog(
        costs.ravel() / scale,
        A_eq=np.vstack([rows, columns[:-1]]),
        b_eq=np.concatenate([p.weights / p.weights.sum(), (q.weights / q.weights.sum())[:-1]]),
        method="highs",
    )
    mean_p, spread_p = moments(p)
    mean_q, spread_q = moments(q)
    lower = np.sqrt(_bures(mean_p, spread_p, mean_q, spread_q))
    return float(lower), max(float(lower), float(np.sqrt(max(solution.fun, 0.0) * scale)))
