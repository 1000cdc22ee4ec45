"""Each row shared among a few components: the cost of a pass does not grow with their number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fastgmm import kernels
from fastgmm.data.distributed import DistributedRows
from fastgmm.data.e_steps.base import EStep, Passes
from fastgmm.data.e_steps.plain import empty_about
from fastgmm.data.rows import Block, Rows
from fastgmm.data.totals import StatisticsAndParts
from fastgmm.model import SufficientStatistics
from fastgmm.model.component_neighbors import Entries, near_components

__all__ = ["Truncated", "TruncatedPasses"]

#: Passes at the start of a run that look for candidates alone: until they gain less than this share of the bound.
MOST_SEARCHES, SEARCH_TOL = 12, 1e-4
#: In one pass of so many, rows of a component look for better candidates; in the others they share what they have.
SEARCH_TURNS = 3
#: Components up to which a run begins with the most probable one of each row.
EXACT_START = 1 << 15
#: Components drawn for each in a search for its neighbours, and such searches in multiples of a pass's cost at most.
RANDOM_NEIGHBORS, SEARCH_SHARE = 8, 0.25
#: Rows on which the exact log-likelihood is set beside that of the candidates.
GAP_ROWS = 4096
#: What rides along with the rows.
CANDIDATES = "candidates"


@dataclass(frozen=True)
class Truncated(EStep):
    """Ask a few candidates of each row, their neighbours and some components at random, and keep the best.

    A row's candidates share it, and all others have no part in it: variational EM, whose bound is the log-likelihood
    of the candidates. Neither a pass nor an M-step lowers it, since a row gives up a candidate for a better one only.

    Attributes
    ----------
    n_candidates : int
        Components that share a row.
    n_neighbors : int
        Components known to be near each one.
    n_random : int
        Components drawn for a row in each pass.
    seed : int
        Of what is drawn.

    References
    ----------
    Salwig, Kahlke, Hirschberger, Forster and Luecke, "Sublinear variational optimization of Gaussian mixture models
    with millions to billions of parameters", arXiv 2501.12299 (2025). Neighbours are found from the components
    themselves, as in Dong, Moses and Li, "Efficient k-nearest neighbor graph construction", WWW 2011.
    """

    n_candidates: int
    n_neighbors: int
    n_random: int
    seed: int

    def prepare(self, rows: Rows) -> TruncatedPasses:
        """Return the passes over `rows`."""
        return TruncatedPasses(rows, self)

    def check_takes(self, what: str) -> None:
        """Raise: candidates are those of whole rows, measured without error, that may belong to any component."""
        raise ValueError(f"responsibilities is 'truncated' and {what}; expected one of the two. Use 'exact'")


class TruncatedPasses(Passes):
    """Passes that remember the candidates of each row.

    Where rows lie with workers, each block's candidates travel to it with a pass, and back.

    Attributes
    ----------
    candidates : ndarray of shape (n_samples, n_candidates), int32
        The best component of each row first; negative for none.
    neighbors : ndarray of shape (n_components, n_neighbors), int32
        The nearest first; negative for none.
    n_evaluated : int
        Densities evaluated, of a row under a component.
    """

    may_go_back = False  # candidates have changed

    def __init__(self, rows: Rows, e_step: Truncated) -> None:
        super().__init__(rows, rows.total_weight)
        self.e_step = e_step
        self.n_evaluated = 0
        self._n_passes = 0
        self.candidates: np.ndarray | None = None
        self.neighbors: np.ndarray

    def prepare(self, rows: Rows) -> Passes:
        """Return these passes, for a run that begins anew."""
        self.candidates = None
        return super().prepare(rows)

    def _accumulate(self, density: Any) -> SufficientStatistics:
        density = kernels.bind(density)
        if self.candidates is None:
            self._begin(density)
        else:
            self._n_passes += 1
            if self._n_passes % self._passes_between == 0:
                self.neighbors = self._refined(density)
        return self._pass(density, self.neighbors, wants_statistics=True, n_turns=SEARCH_TURNS)

    def _begin(self, density: Any) -> None:
        n_components = density.n_components
        n_neighbors = min(self.e_step.n_neighbors, n_components - 1)
        self.neighbors = near_components(density.means, n_neighbors)
        for _ in range(2):
            self.neighbors = self._refined(density)
        n_candidates = min(self.e_step.n_candidates, n_components)
        if n_components <= EXACT_START:
            # From one exact pass: a row that begins far from its component may not find it from neighbour to neighbour.
            self.candidates = np.concatenate(list(self.rows.map(partial(_most_probable, density, n_candidates))))
            bound = -np.inf
        else:
            entries = Entries(density.means)
            self.candidates = np.concatenate(list(self.rows.map(partial(_entries, entries, n_candidates))))
            bound = self._pass(density, entries.neighbors).log_likelihood
        # A search for neighbours asks some G^2 components for each, a pass some C' G for each row.
        cost = n_components * (n_neighbors + 1) / (max(len(self.candidates), 1) * n_candidates)
        self._passes_between, self._n_passes = max(1, math.ceil(cost / SEARCH_SHARE)), 0
        for _ in range(MOST_SEARCHES):
            self.n_made += 1
            before, bound = bound, self._pass(density, self.neighbors).log_likelihood
            if bound - before <= SEARCH_TOL * abs(bound):
                break

    def _refined(self, density: Any) -> np.ndarray:
        return kernels.refine_neighbors(density, self.neighbors, RANDOM_NEIGHBORS, self._next_seed())

    def _next_seed(self) -> int:
        self._turn = getattr(self, "_turn", 0) + 1
        return (self.e_step.seed << 24) + self._turn

    def _pass(
        self, density: Any, neighbors: np.ndarray, wants_statistics: bool = False, n_turns: int = 1
    ) -> SufficientStatistics:
        pass_over = _PassOver(
            density,
            neighbors,
            self.e_step.n_random,
            self._next_seed(),
            self._n_passes % n_turns,
            n_turns,
            wants_statistics,
            not isinstance(self.rows, DistributedRows),
        )
        found = self._with_candidates().fold(pass_over.empty, pass_over.add)
        if not pass_over.writes:
            self.candidates = np.concatenate([candidates for candidates, _ in found.parts])
        n_evaluated = sum(number for _, number in found.parts)
        self.n_evaluated += n_evaluated
        self.asked_per_row = n_evaluated / max(self._n_rows, 1)
        return found.statistics

    def _with_candidates(self) -> Rows:
        assert self.candidates is not None, "a run has begun"
        return self.rows.with_columns(**{CANDIDATES: self.candidates})

    @property
    def _n_rows(self) -> int:
        return 0 if self.candidates is None else len(self.candidates)

    def attributes(self, density: Any) -> dict[str, Any]:
        """Return `truncation_gap_`: what the candidates' log-likelihood lacks of the exact one, in nats per row."""
        if self.candidates is None:
            return {"truncation_gap_": float("nan")}
        chosen = np.unique(np.linspace(0, self._n_rows - 1, min(GAP_ROWS, self._n_rows)).astype(np.int64))
        gaps = self._with_candidates().map(partial(_gap, kernels.bind(density), self.neighbors, chosen))
        gap, weight = map(sum, zip(*gaps, strict=True))
        # Never negative but for rounding.
        return {"truncation_gap_": max(0.0, gap / weight) if weight else 0.0}


@dataclass(frozen=True)
class _PassOver:
    """One pass, over whichever blocks.

    Attributes
    ----------
    wants_statistics : bool
        Whether candidates are not only looked for.
    writes : bool
        Whether the candidates that ride along are written to; if not, others are returned.
    """

    density: Any
    neighbors: np.ndarray
    n_random: int
    seed: int
    turn: int
    n_turns: int
    wants_statistics: bool
    writes: bool

    def empty(self) -> StatisticsAndParts:
        """Return the statistics of no rows."""
        return StatisticsAndParts(empty_about(self.density))

    def add(self, block: Block, total: StatisticsAndParts) -> None:
        """Add a block; its part is its candidates, and how many densities were evaluated."""
        held, statistics = block.columns[CANDIDATES], total.statistics
        candidates = held if self.writes else np.array(held, dtype=np.int32)
        log_likelihood, n_evaluated = kernels.accumulate_truncated(
            block.rows,
            block.weight,
            self.density,
            _aligned(self.neighbors),
            candidates,
            self.n_random,
            self.seed,
            block.first_row,
            statistics if self.wants_statistics else None,
            self.turn,
            self.n_turns,
        )
        if not self.wants_statistics:
            statistics.log_likelihood += log_likelihood
        total.parts.append((candidates, n_evaluated))


def _aligned(numbers: np.ndarray) -> np.ndarray:
    # What came from another process may lie at any address of the message.
    return np.require(numbers, requirements=["C", "A"])


def _gap(density: Any, neighbors: np.ndarray, chosen: np.ndarray, block: Block) -> tuple[float, float]:
    """Return the exact less the candidates' log-likelihood of those rows of a block that are chosen, and their weight.

    `chosen` are numbers among all rows.
    """
    inside = chosen[(chosen >= block.first_row) & (chosen < block.first_row + len(block.rows))] - block.first_row
    rows, held = np.ascontiguousarray(block.rows[inside]), np.array(block.columns[CANDIDATES][inside], dtype=np.int32)
    weight = None if block.weight is None else block.weight[inside]
    truncated, _ = kernels.accumulate_truncated(rows, weight, density, _aligned(neighbors), held, 0, 0, 0)
    exact = kernels.log_density(rows, density, np.empty(len(rows), dtype=rows.dtype))
    shares = np.ones(len(rows)) if weight is None else weight
    return float(shares @ exact) - truncated, float(shares.sum())


def _entries(entries: Entries, n_candidates: int, block: Block) -> np.ndarray:
    return entries.of(block.rows, n_candidates)


def _most_probable(density: Any, n_candidates: int, block: Block) -> np.ndarray:
    """Return the most probable component of each row of a block as its first candidate, and no others."""
    labels = kernels.assign(block.rows, density, np.empty(len(block.rows), dtype=np.int64))
    candidates = np.full((len(labels), n_candidates), -1, dtype=np.int32)
    candidates[:, 0] = labels
    return candidates
