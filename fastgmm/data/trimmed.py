"""Rows of which a share, the least likely under the current parameters, is left out of each pass."""

from __future__ import annotations

import numpy as np

from fastgmm import kernels
from fastgmm.data.rows import ArrayRows
from fastgmm.model import MixtureParameters, SufficientStatistics

__all__ = ["TrimmedRows"]


class TrimmedRows:
    """A source that leaves out the rows of lowest density, a share of the total weight.

    EM over it never lowers the trimmed likelihood, the largest sum of log densities of the rows kept: choosing the
    rows and fitting to them both raise it.

    Parameters
    ----------
    rows : ArrayRows
    share : float
        Of the total weight, left out.

    References
    ----------
    Neykov, Filzmoser, Dimova and Neytchev, "Robust fitting of mixtures using the trimmed likelihood estimator",
    Computational Statistics and Data Analysis 52 (2007), section 3.
    """

    def __init__(self, rows: ArrayRows, share: float) -> None:
        self.rows, self.share = rows, share
        self.n_samples, self.n_features = rows.n_samples, rows.n_features
        self.total_weight = rows.total_weight * (1.0 - share)

    def kept_weight(self, parameters: MixtureParameters) -> np.ndarray:
        """Return the weights that leave out the least likely rows, shape (n_samples,), float64.

        They sum to `total_weight`: one row may be left out in part.
        """
        density = kernels.log_density(self.rows.X, parameters, np.empty(self.n_samples, dtype=self.rows.X.dtype))
        weight = np.ones(self.n_samples) if self.rows.sample_weight is None else self.rows.sample_weight.copy()
        excess = self.rows.total_weight - self.total_weight
        order = np.argsort(density, kind="stable")
        cumulative = np.cumsum(weight[order])
        last = int(np.searchsorted(cumulative, excess, side="right"))
        weight[order[:last]] = 0.0
        if last < self.n_samples:
            weight[order[last]] = cumulative[last] - excess
        return weight

    def accumulate(self, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics, about the means of `parameters`, of the rows that are kept."""
        return ArrayRows(self.rows.X, self.kept_weight(parameters)).accumulate(parameters)
