"""From a trimmed fit to a calibrated one: all regular rows counted, and spread lost by cutting tails given back.

Trimming a fixed share cuts into the regular rows where there are fewer anomalies than that, and covariances come out
too small. As in the reweighted minimum covariance determinant, rows within a high quantile of their component are
counted again, and covariances are multiplied by what the cut takes from a Gaussian.

References
----------
Rousseeuw and Van Driessen (1999), A fast algorithm for the minimum covariance determinant estimator, Technometrics
41, section 4; Croux and Haesbroeck (1999), Influence function and efficiency of the minimum covariance determinant
scatter matrix estimator, J. Multivariate Analysis 71 (the consistency factor).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from scipy.special import gammainc, gammaincinv

from fastgmm import kernels
from fastgmm.data import Block, Rows
from fastgmm.data.e_steps.trimmed import accumulate_kept
from fastgmm.data.incomplete import Marginalised
from fastgmm.families import Gaussian
from fastgmm.model import Components, MixtureParameters

__all__ = ["consistency_factor", "reweighted"]

MAX_ITER = 50
#: Rows nearer to a component than this quantile of its own are regular.
QUANTILE = 0.99


def consistency_factor(kept: float, n_features: int) -> float:
    """Return what the covariance of the `kept` most central share of a Gaussian is to be multiplied by."""
    if kept >= 1.0:
        return 1.0
    return float(kept / gammainc(0.5 * n_features + 1.0, gammaincinv(0.5 * n_features, kept)))


def reweighted(
    rows: Rows, trimmed: MixtureParameters, share: float, family: Gaussian, is_incomplete: bool = False
) -> MixtureParameters:
    """Return the parameters of the rows that are regular under them.

    Parameters
    ----------
    rows : Rows
        Held: a number for each.
    trimmed : MixtureParameters
        Fitted to all rows but the least likely.
    share : float
        That was trimmed.
    family : Gaussian
        Whose M-step is made.
    is_incomplete : bool
        Whether rows miss values.
    """
    n_features = trimmed.n_features
    limit = -float(gammaincinv(0.5 * n_features, QUANTILE))
    factor = consistency_factor(QUANTILE, n_features)
    state = _inflated(trimmed, consistency_factor(1.0 - share, n_features))
    weight = np.concatenate(list(rows.map(_weight_of)))
    regular = np.zeros(len(weight), dtype=bool)
    for _ in range(MAX_ITER):
        # Without weights and normalisers: the distance to the nearest component, or closer to several.
        distances = Components(state.structure, np.zeros(state.n_components), state.means, state.precisions_cholesky)
        density: Any = family.density(state)
        density = Marginalised(density) if is_incomplete else density
        nearness = np.concatenate(list(rows.map(partial(_nearness, distances, density))))
        previous, regular = regular, nearness >= limit
        if np.array_equal(previous, regular):
            break
        state = _inflated(family.maximise(accumulate_kept(rows, weight * regular, density), state), factor)
    return state


def _weight_of(block: Block) -> np.ndarray:
    return np.ones(len(block.rows)) if block.weight is None else block.weight.copy()


def _nearness(distances: Components, density: Any, block: Block) -> np.ndarray:
    found = kernels.log_density(block.rows, distances, np.empty(len(block.rows), dtype=block.rows.dtype))
    missing = np.isnan(block.rows).any(axis=1)
    if missing.any():
        found[missing] = -0.5 * density.comparable_distances(block.rows[missing]).min(axis=1)
    return found


def _inflated(parameters: MixtureParameters, factor: float) -> MixtureParameters:
    return replace(
        parameters,
        covariances=parameters.shape.scaled(parameters.covariances, factor),
        precisions_cholesky=parameters.precisions_cholesky / np.sqrt(factor),
    )
