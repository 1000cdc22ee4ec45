"""Which solutions are singularities of the likelihood and not estimates.

With free covariances the likelihood has no upper bound: a component that shrinks onto rows in one point, line or plane
gains without end, and `reg_covar` only sets where it stops. Near such points lie high, narrow maxima which say nothing
of the data. A component is called spurious here if

- its effective count is below ``n_features + 2`` (a covariance per component) or 3 (variances per component): fewer
  rows than its own covariance could be estimated from; or
- in some direction its variance is less than a share of the variance within components pooled, both without
  `reg_covar`: 1e-6 of it at any count, 1e-3 of it below three times the count above.

Ratios of variances within components are what Hathaway bounds to make the likelihood bounded. Both rules are the same
for any affine map of the data where the covariances are free (in units of features for variances per component).
Covariances that all components share have no such singularity.

References
----------
Hathaway (1985), A constrained formulation of maximum-likelihood estimation for normal mixture distributions, Annals of
Statistics 13. McLachlan and Peel (2000), Finite Mixture Models, section 3.10 (spurious local maximisers).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgmm.model import MixtureParameters, Shape

__all__ = ["SMALLEST_SHARE", "SMALLEST_SHARE_OF_FEW", "is_spurious", "least_count"]

#: Least variance, relative to that within components pooled, of any component and of one of few rows.
SMALLEST_SHARE = 1e-6
SMALLEST_SHARE_OF_FEW = 1e-3
#: Few rows: below this many times the least count.
FEW = 3.0


def least_count(shape: Shape, n_features: int) -> float:
    """Return the effective count below which a component with covariances of this shape is spurious."""
    if shape.n_factors is not None:
        return shape.n_factors + 3.0
    return n_features + 2.0 if shape.is_matrix and not shape.is_shared else 3.0


def is_spurious(parameters: MixtureParameters, total_weight: float, reg_covar: Any = 0.0) -> bool:
    """Return whether a component of the mixture is a singularity rather than an estimate.

    Parameters
    ----------
    parameters : MixtureParameters
    total_weight : float
        Of the rows they were estimated from.
    reg_covar : float or ndarray of shape (n_features,)
        What was added to every variance.
    """
    if parameters.shape.is_shared:
        return False
    counts = parameters.weights * total_weight
    enough = least_count(parameters.shape, parameters.n_features)
    if counts.min() < enough:
        return True
    shares = _smallest_shares(parameters, reg_covar)
    return bool(shares.min() < SMALLEST_SHARE or (shares[counts < FEW * enough] < SMALLEST_SHARE_OF_FEW).any())


def _smallest_shares(parameters, reg_covar):
    covariances = parameters.covariances
    weights = parameters.weights
    if parameters.shape.n_factors is not None:
        # One feature may be all factor and no noise; a component without noise in any is a singularity.
        noise = np.maximum(covariances[..., -1] - reg_covar, 0.0).mean(axis=1)
        pooled = float(weights @ noise)
        return noise / pooled if pooled > 0 else np.ones(len(weights))
    if not parameters.shape.is_matrix:
        added = reg_covar if covariances.ndim == 2 else np.mean(reg_covar)
        variances = np.maximum(covariances - added, 0.0).reshape(len(weights), -1)
        pooled = weights @ variances
        return np.divide(variances, pooled, out=np.ones_like(variances), where=pooled > 0).min(axis=1)
    unregularised = covariances - reg_covar * np.eye(parameters.n_features)  # one number, or one for each column
    pooled = np.einsum("k,kij->ij", weights, unregularised)
    # In units of each feature first: they may differ by more digits than there are.
    unit = np.sqrt(np.maximum(np.diagonal(pooled), np.finfo(np.float64).tiny))
    values, axes = np.linalg.eigh(pooled / unit / unit[:, None])
    kept = values > values[-1] * parameters.n_features * np.finfo(np.float64).eps
    if not kept.any():
        # No component has any spread: none has less than the others.
        return np.ones(len(weights))
    whitening = axes[:, kept] / np.sqrt(values[kept]) / unit[:, None]
    return np.linalg.eigvalsh(whitening.T @ unregularised @ whitening)[:, 0]
