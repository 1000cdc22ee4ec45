"""Highest-density regions: the smallest sets that hold a given probability.

References
----------
Hyndman (1996), Computing and graphing highest density regions, The American Statistician 50, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import fdtri, gammaincinv, ndtr, stdtr

from fastgmm.inference.density import log_density
from fastgmm.inference.sampling import draw
from fastgmm.model import MixtureParameters
from fastgmm.model.student import StudentParameters

__all__ = ["HighestDensityRegion", "density_level", "intervals_above", "line_region"]


def density_level(
    parameters: MixtureParameters, coverage: float, n_simulations: int, random_state: np.random.RandomState
) -> float:
    """Return the log density, in nats, above which the mixture has probability `coverage`.

    Exact for one component; otherwise the quantile of the densities of `n_simulations` draws.
    """
    if parameters.n_components == 1:
        d = parameters.n_features
        if not isinstance(parameters, StudentParameters) or np.isinf(parameters.degrees_of_freedom[0]):
            return float(parameters.log_offset[0]) - float(gammaincinv(0.5 * d, coverage))
        # The squared length over its dimension has an F distribution.
        dof = float(parameters.degrees_of_freedom[0])
        return float(parameters.log_offset[0] - 0.5 * (dof + d) * np.log1p(d * fdtri(d, dof, coverage) / dof))
    drawn, _ = draw(n_simulations, parameters, random_state)
    return float(np.quantile(log_density(drawn, parameters, np.dtype(np.float64)), 1.0 - coverage))


@dataclass(frozen=True)
class HighestDensityRegion:
    """The smallest set of values that a mixture gives a probability.

    Attributes
    ----------
    coverage : float
        The probability.
    level : float
        The region is where the log density, in nats, is at least this.
    intervals : ndarray of shape (n_intervals, 2), float64, or None
        Of a mixture in one feature: the region, ascending, in units of the data.
    density : MixtureParameters
        The mixture, without a background.

    See Also
    --------
    fastgmm.GaussianMixture.hdr : Makes it.
    """

    coverage: float
    level: float
    intervals: np.ndarray | None
    density: MixtureParameters

    def contains(self, X: Any) -> np.ndarray:
        """Return whether each row lies in the region.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, finite.

        Returns
        -------
        inside : ndarray of shape (n_samples,), bool
            True within the region.

        Raises
        ------
        ValueError
            If X has another number of features, or is not finite.

        See Also
        --------
        fastgmm.GaussianMixture.score_samples : The density that decides.
        """
        rows = np.ascontiguousarray(X, dtype=np.float64)
        n_features = self.density.n_features
        if rows.ndim != 2 or rows.shape[1] != n_features or not np.isfinite(rows).all():
            raise ValueError(f"X has shape {rows.shape}; expected finite rows, (n_samples, n_features = {n_features})")
        return log_density(rows, self.density, np.dtype(np.float64)) >= self.level


def line_region(parameters: MixtureParameters, coverage: float) -> tuple[np.ndarray, float]:
    """Return the intervals of a mixture in one feature that hold a probability, and the log density at their ends."""
    # The probability above a level falls as the level rises, so bisection finds it.
    high = float(np.logaddexp.reduce(parameters.log_offset))
    low = high - 100.0
    for _ in range(60):
        level = 0.5 * (low + high)
        intervals, probability = intervals_above(parameters, level)
        low, high = (level, high) if probability > coverage else (low, level)
        if abs(probability - coverage) < 1e-9:
            break
    return intervals, level


def intervals_above(parameters: MixtureParameters, level: float) -> tuple[np.ndarray, float]:
    """Return where a mixture in one dimension has a log density above `level`, and the probability of that.

    Returns
    -------
    intervals : ndarray of shape (n_intervals, 2)
        Ascending.
    probability : float
    """
    from scipy.optimize import brentq

    means = parameters.means[:, 0]
    sd = np.broadcast_to(1.0 / parameters.precisions_cholesky.reshape(-1), means.shape)
    # Dense near every component, at its own scale: no bump of a component is narrower than its sd.
    positions = np.linspace(-12.0, 12.0, 481)
    if isinstance(parameters, StudentParameters):
        far = np.geomspace(12.0, 1e12, 481)
        positions = np.concatenate([-far, positions, far])
    grid = np.unique(means[:, None] + sd[:, None] * positions)

    def excess(x):
        return log_density(np.atleast_1d(x)[:, None], parameters, np.dtype(np.float64)) - level

    above = excess(grid) > 0
    edges = [
        brentq(lambda x: float(excess(x)[0]), grid[i], grid[i + 1], xtol=4 * np.spacing(abs(grid[i])) + 1e-300)
        for i in np.flatnonzero(above[1:] != above[:-1])
    ]
    if above[0]:
        edges.insert(0, -np.inf)
    if above[-1]:
        edges.append(np.inf)
    intervals = np.array(edges, dtype=np.float64).reshape(-1, 2)
    standard = (intervals[:, None, :] - means[:, None]) / sd[:, None]
    if isinstance(parameters, StudentParameters):
        dof = parameters.degrees_of_freedom[:, None]
        mass = np.where(np.isinf(dof), ndtr(standard), stdtr(np.where(np.isinf(dof), 1.0, dof), standard))
    else:
        mass = ndtr(standard)
    return intervals, float(((mass[..., 1] - mass[..., 0]) @ parameters.weights).sum())
