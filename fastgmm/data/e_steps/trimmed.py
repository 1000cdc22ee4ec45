"""The least likely rows, a share of the total weight, left out of each pass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fastgmm import kernels
from fastgmm.data.e_steps.base import EStep, Passes
from fastgmm.data.e_steps.plain import empty_about
from fastgmm.data.incomplete import Marginalised
from fastgmm.data.rows import Block, Rows
from fastgmm.model import SufficientStatistics

__all__ = ["Trimmed", "TrimmedPasses", "accumulate_kept"]


@dataclass(frozen=True)
class Trimmed(EStep):
    """Leave out the rows of lowest density.

    EM with it never lowers the trimmed likelihood, the largest sum of log densities of the rows kept: choosing the
    rows and fitting to them both raise it. A pass reads the rows twice, and holds 16 bytes for each: its density
    and its weight.

    Attributes
    ----------
    share : float
        Of the total weight, left out.

    References
    ----------
    Neykov, Filzmoser, Dimova and Neytchev, "Robust fitting of mixtures using the trimmed likelihood estimator",
    Computational Statistics and Data Analysis 52 (2007), section 3.
    """

    share: float

    def prepare(self, rows: Rows) -> TrimmedPasses:
        """Return the passes over `rows`."""
        return TrimmedPasses(rows, self.share)


class TrimmedPasses(Passes):
    """Passes over the rows that are kept under the density of each."""

    def __init__(self, rows: Rows, share: float) -> None:
        super().__init__(rows, rows.total_weight * (1.0 - share))
        self.share = share

    def kept_weight(self, density: Any) -> np.ndarray:
        """Return the weights that leave out the least likely rows, shape (n_samples,), float64.

        They sum to `total_weight`: one row may be left out in part.
        """
        parts = list(self.rows.map(partial(_density_and_weight, kernels.bind(density))))
        log_density = np.concatenate([part[0] for part in parts])
        weight = np.concatenate([part[1] for part in parts])
        excess = float(weight.sum()) * self.share
        order = np.argsort(log_density, kind="stable")
        cumulative = np.cumsum(weight[order])
        last = int(np.searchsorted(cumulative, excess, side="right"))
        weight[order[:last]] = 0.0
        if last < len(weight):
            weight[order[last]] = cumulative[last] - excess
        return weight

    def _accumulate(self, density: Any) -> SufficientStatistics:
        return accumulate_kept(self.rows, self.kept_weight(density), density)


def accumulate_kept(rows: Rows, kept_weight: np.ndarray, density: Any) -> SufficientStatistics:
    """Return the statistics of a pass under `density` with these weights of the rows, shape (n_samples,)."""
    density = kernels.bind(density)
    weighed = rows.with_columns(kept_weight=kept_weight)
    return weighed.fold(partial(empty_about, density), partial(_add_kept, density))


def _density_and_weight(density: Any, block: Block) -> tuple[np.ndarray, np.ndarray]:
    n_rows = len(block.rows)
    if isinstance(density, Marginalised):
        log_density = density.comparable_log_density(block.rows)
    else:
        log_density = kernels.log_density(block.rows, density, np.empty(n_rows, dtype=block.rows.dtype))
    return log_density, np.ones(n_rows) if block.weight is None else block.weight.copy()


def _add_kept(density: Any, block: Block, statistics: SufficientStatistics) -> None:
    kernels.accumulate(block.rows, block.columns["kept_weight"], density, statistics)
