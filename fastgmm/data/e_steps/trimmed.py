"""The least likely rows, a share of the total weight, left out of each pass."""

from __future__ import annotations

import math
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
from fastgmm.model.moments import add_part, components_of

__all__ = ["Trimmed", "TrimmedPasses", "accumulate_kept", "assigned_log_density"]


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
    is_rounded_up : bool
        Whether what is left out is whole rows: the share of their number, rounded up, where all weigh the same;
        otherwise a multiple of the smallest weight.
    is_hard : bool
        Whether each row belongs wholly to its most probable component (classification EM), and its density is the
        weighted one of that component alone.

    References
    ----------
    Neykov, Filzmoser, Dimova and Neytchev, "Robust fitting of mixtures using the trimmed likelihood estimator",
    Computational Statistics and Data Analysis 52 (2007), section 3. Garcia-Escudero, Gordaliza, Matran and Mayo-Iscar,
    "A general trimming approach to robust cluster analysis", Annals of Statistics 36 (2008): hard assignment.
    """

    share: float
    is_rounded_up: bool = False
    is_hard: bool = False

    @property
    def is_smooth(self) -> bool:  # type: ignore[override]
        """Whether rows change their components by degrees."""
        return not self.is_hard

    def prepare(self, rows: Rows) -> TrimmedPasses:
        """Return the passes over `rows`."""
        return TrimmedPasses(rows, self)


class TrimmedPasses(Passes):
    """Passes over the rows that are kept under the density of each."""

    def __init__(self, rows: Rows, e_step: Trimmed) -> None:
        self.e_step, self.excess = e_step, rows.total_weight * e_step.share
        if e_step.is_rounded_up and self.excess > 0.0:
            unit = min(rows.map(_smallest_weight)) if rows.weighted else 1.0
            # A share such as 0.07 of 100 rows is a rounding error more than seven.
            self.excess = unit * math.ceil(self.excess / unit * (1.0 - 1e-12))
        if self.excess >= rows.total_weight:
            raise ValueError(
                f"trim is {e_step.share:g} and leaves no row, as their weights sum to {rows.total_weight:g}; expected "
                "a smaller trim, or more rows"
            )
        super().__init__(rows, rows.total_weight - self.excess)

    def kept_weight(self, density: Any) -> np.ndarray:
        """Return the weights that leave out the least likely rows, shape (n_samples,), float64.

        They sum to `total_weight`: one row may be left out in part.
        """
        return self._kept(density)[0]

    def threshold(self, density: Any) -> float:
        """Return the lowest log density of a row that is kept, in nats."""
        weight, log_density = self._kept(density)
        return float(log_density[weight > 0].min())

    def log_likelihood(self, density: Any) -> tuple[float, float]:
        """Return that of the rows kept, in nats, and the log of the posterior of their most probable components."""
        weight, log_density = self._kept(density)
        assigned = log_density if self.e_step.is_hard else self._read(density, True)[0]
        kept = weight > 0
        values, certain = (part[kept].astype(np.float64) for part in (log_density, assigned))
        return float(weight[kept] @ values), float(weight[kept] @ (certain - values))

    def _read(self, density: Any, is_hard: bool) -> tuple[np.ndarray, np.ndarray]:
        action = partial(_density_and_weight, _travelling(density, is_hard), is_hard)
        parts = list(self.rows.map(action))
        log_density, weight = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
        return log_density, weight

    def _kept(self, density: Any) -> tuple[np.ndarray, np.ndarray]:
        log_density, weight = self._read(density, self.e_step.is_hard)
        order = np.argsort(log_density, kind="stable")
        cumulative = np.cumsum(weight[order])
        last = int(np.searchsorted(cumulative, self.excess, side="right"))
        weight[order[:last]] = 0.0
        if last < len(weight):
            weight[order[last]] = cumulative[last] - self.excess
        return weight, log_density

    def _accumulate(self, density: Any) -> SufficientStatistics:
        return accumulate_kept(self.rows, self.kept_weight(density), density, self.e_step.is_hard)


def accumulate_kept(rows: Rows, kept_weight: np.ndarray, density: Any, is_hard: bool = False) -> SufficientStatistics:
    """Return the statistics of a pass under `density` with these weights of the rows, shape (n_samples,)."""
    density = _travelling(density, is_hard)
    weighed = rows.with_columns(kept_weight=kept_weight)
    return weighed.fold(partial(empty_about, density), partial(_add_hard if is_hard else _add_kept, density))


def assigned_log_density(rows: np.ndarray, density: Any) -> np.ndarray:
    """Return the log of the largest weighted density of a component at each row, shape (n_rows,), in nats."""
    found, labels = np.empty(len(rows), dtype=rows.dtype), _labels(rows, density)
    for k in range(density.n_components):
        members = labels == k
        if members.any():
            own = components_of(density, slice(k, k + 1))
            found[members] = kernels.log_density(rows[members], own, np.empty(members.sum(), dtype=rows.dtype))
    return found


def _travelling(density: Any, is_hard: bool) -> Any:
    # Bound once for many blocks; of hard assignment components are passed one by one.
    return components_of(density, slice(None)) if is_hard else kernels.bind(density)


def _smallest_weight(block: Block) -> float:
    if block.weight is None:
        return 1.0
    return float(np.min(block.weight, where=block.weight > 0, initial=math.inf))


def _labels(rows: np.ndarray, density: Any) -> np.ndarray:
    return kernels.assign(rows, density, np.empty(len(rows), dtype=np.int64))


def _density_and_weight(density: Any, is_hard: bool, block: Block) -> tuple[np.ndarray, np.ndarray]:
    n_rows = len(block.rows)
    if is_hard:
        log_density = assigned_log_density(block.rows, density)
    elif isinstance(density, Marginalised):
        log_density = density.comparable_log_density(block.rows)
    else:
        log_density = kernels.log_density(block.rows, density, np.empty(n_rows, dtype=block.rows.dtype))
    return log_density, np.ones(n_rows) if block.weight is None else block.weight.copy()


def _add_kept(density: Any, block: Block, statistics: SufficientStatistics) -> None:
    kernels.accumulate(block.rows, block.columns["kept_weight"], density, statistics)


def _add_hard(density: Any, block: Block, statistics: SufficientStatistics) -> None:
    weight = block.columns["kept_weight"]
    labels = np.where(weight > 0, _labels(block.rows, density), -1)
    for k in range(density.n_components):
        members = labels == k
        if members.any():
            own = slice(k, k + 1)
            part = empty_about(components_of(density, own))
            kernels.accumulate(block.rows[members], weight[members], components_of(density, own), part)
            add_part(statistics, part, own)
