"""Factor analysis of one scatter matrix by Newton's method on the noise variances.

For given noise variances psi the most likely loadings are known: with eigenvalues ``t_1 >= t_2 >= ...`` and
eigenvectors W of ``S / sqrt(psi psi^T)``, they are ``sqrt(psi) W_j sqrt(t_j - 1)`` for the first q eigenvalues beyond
one. What is left is a function of log psi, minus twice the log-likelihood per row::

    f = sum log psi + sum_{j <= q} (1 + log t_j) + sum_{j > q} t_j
    df / d log psi_i = sum_{j > q} (1 - t_j) W_ij^2;   curvature about (sum_{m > q} W_im W_jm)^2

where Newton's method takes some ten steps from nothing, and EM thousands where a noise variance vanishes.

References
----------
Joreskog (1967), Some contributions to maximum likelihood factor analysis, Psychometrika 32. Clarke (1970), A rapidly
convergent method for maximum-likelihood factor analysis, British Journal of Mathematical and Statistical Psychology 23.
"""

from __future__ import annotations

import numpy as np

__all__ = ["improve_noise"]

#: Steps end where the next one promises less than this, per row in nats.
TOLERANCE = 1e-11
#: Longest change of a log variance in one step.
LONGEST = 2.0
MAX_HALVINGS = 12


def improve_noise(
    per_row: np.ndarray, noise: np.ndarray, n_factors: int, floor: np.ndarray, n_steps: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return loadings and noise variances that are at least as likely as the best loadings for `noise`.

    Parameters
    ----------
    per_row : ndarray of shape (n_features, n_features)
        Scatter over count.
    noise : ndarray of shape (n_features,)
    n_factors : int
    floor : ndarray of shape (n_features,)
        Noise variances are at least this.
    n_steps : int

    Returns
    -------
    loadings : ndarray of shape (n_features, n_factors)
    noise : ndarray of shape (n_features,)
    deviance : float
        ``log det Sigma + tr(S Sigma^-1)``.
    """
    log_noise, log_floor = np.log(noise), np.log(floor)
    value, values, axes, n_used = _profile(per_row, log_noise, n_factors)
    for _ in range(n_steps):
        rest = axes[:, n_used:]
        gradient = rest**2 @ (1.0 - values[n_used:])
        free = (log_noise > log_floor) | (gradient < 0)
        curvature = (rest @ rest.T)[np.ix_(free, free)] ** 2
        curvature.flat[:: len(curvature) + 1] += 1e-8
        step = np.zeros_like(log_noise)
        step[free] = -np.linalg.solve(curvature, gradient[free])
        promise = -gradient @ step
        if not promise > TOLERANCE:
            break
        size = min(1.0, LONGEST / np.abs(step).max())
        for _ in range(MAX_HALVINGS):
            proposed = np.maximum(log_noise + size * step, log_floor)
            found = _profile(per_row, proposed, n_factors)
            if found[0] <= value - 1e-4 * size * promise:
                break
            size *= 0.5
        else:
            break
        log_noise, (value, values, axes, n_used) = proposed, found
    loadings = np.zeros((len(noise), n_factors))
    along = axes[:, :n_used] * np.sqrt(values[:n_used] - 1.0)
    loadings[:, :n_used] = np.exp(0.5 * log_noise)[:, None] * along
    return loadings, np.exp(log_noise), float(value)


def _profile(per_row, log_noise, n_factors):
    """Return f, the eigenvalues, the eigenvectors, and how many of the factors are used."""
    unit = np.exp(-0.5 * log_noise)
    values, axes = np.linalg.eigh(per_row * unit[:, None] * unit)
    values, axes = np.maximum(values[::-1], 0.0), axes[:, ::-1]
    n_used = int(np.count_nonzero(values[:n_factors] > 1.0))
    deviance = log_noise.sum() + n_used + np.log(values[:n_used]).sum() + values[n_used:].sum()
    return deviance, values, axes, n_used
