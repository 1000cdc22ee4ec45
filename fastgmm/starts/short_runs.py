"""Short runs of EM that are compared by their bounds: what every search for a start is made of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastgmm.data import ArrayRows
from fastgmm.data.e_steps import EStep, Plain
from fastgmm.em.acceleration import QuasiNewton, proposal_cost
from fastgmm.em.run import run_em
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.families import Gaussian
from fastgmm.families.spurious import least_count
from fastgmm.model import MixtureParameters
from fastgmm.starts.split_merge import merge_to, split, union

__all__ = ["PLAIN", "SAME", "Candidate", "ShortRuns"]

#: Candidates whose bounds differ by less, in nats per sample, are one.
SAME = 1e-6
#: Passes on a mixture of fewer components, before it is split; passes on the split mixture.
FEWER_PASSES, SPLIT_PASSES = 3, 6


PLAIN = Plain()


class Candidate:
    """A run in progress: its state, and the bound of the state before."""

    def __init__(self, parameters: MixtureParameters) -> None:
        self.parameters = parameters
        self.bound = -np.inf
        self.change = np.inf
        #: Whether the parameters `checked` are a singularity.
        self.spurious = False
        self.checked: MixtureParameters | None = None


class ShortRuns:
    """Runs of EM of one family on the same rows.

    Parameters
    ----------
    rows : ArrayRows
    family : Gaussian
    e_step : EStep
        Of the fit that is to start.
    """

    def __init__(self, rows: ArrayRows, family: Gaussian, e_step: EStep = PLAIN) -> None:
        self.rows, self.family, self.e_step = rows, family, e_step
        self.passes = e_step.prepare(rows)

    def advance(self, candidate: Candidate, n_passes: int, tol: float = SAME) -> bool:
        """Make passes, until the bound rises by less than `tol`; return whether the run is still to be considered."""
        try:
            for _ in range(n_passes):
                statistics = self.passes.accumulate(self.family.density(candidate.parameters))
                bound = statistics.log_likelihood / self.passes.total_weight
                candidate.bound, candidate.change = bound, bound - candidate.bound
                candidate.parameters = self.family.maximise(statistics, candidate.parameters)
                if candidate.change < tol:
                    break
        except ComponentCollapseError:
            return False
        return bool(np.isfinite(candidate.bound))

    def converge(self, candidate: Candidate, max_passes: int, tol: float) -> bool:
        """Run until little changes; return whether the run is still to be considered."""
        options: dict[str, Any] = {
            "tol": tol,
            "max_iter": max_passes,
            "accelerator": QuasiNewton(self.family, tol, cost=self._proposal_cost(candidate)),
        }
        try:
            run = run_em(self.rows, self.passes, self.family, candidate.parameters, **options)
        except ComponentCollapseError:
            return False
        candidate.parameters, candidate.bound = run.state, run.lower_bound
        return True

    def _proposal_cost(self, candidate: Candidate) -> float:
        rows = self.rows
        return proposal_cost(self.family, rows.n_samples, rows.n_features, candidate.parameters.n_components)

    def rank(self, candidate: Candidate) -> tuple[bool, float]:
        """Return what candidates are compared by: any estimate before a singularity, then the bound."""
        if candidate.checked is not candidate.parameters:
            candidate.spurious = self.family.is_spurious(candidate.parameters, self.rows.total_weight)
            candidate.checked = candidate.parameters
        return not candidate.spurious, candidate.bound

    def best(self, candidates: list[Candidate], n_kept: int) -> list[Candidate]:
        """Return the best candidates, without those that have come to the same bound as a better one.

        Singularities are among them only if there is nothing else. Before any pass, all are as good as each other.
        """
        if not any(np.isfinite(candidate.bound) for candidate in candidates):
            return candidates[:n_kept]
        kept: list[Candidate] = []
        refused: list[Candidate] = []
        # Whether a candidate is a singularity takes as long as a pass over few rows: it is asked of the best only.
        for candidate in sorted(candidates, key=lambda candidate: candidate.bound, reverse=True):
            among = kept if self.rank(candidate)[0] else refused
            if not among or among[-1].bound - candidate.bound >= SAME:
                among.append(candidate)
            if len(kept) == n_kept:
                break
        return kept or refused[:n_kept]

    def split_and_merged(
        self,
        found: Candidate,
        n_components: int,
        *,
        n_fewer: int = 0,
        share: float = 1.0,
        random_state: np.random.RandomState | None = None,
        n_passes: int = SPLIT_PASSES,
    ) -> Candidate | None:
        """Return the outcome of splitting components and merging again, or None where that leads nowhere.

        Parameters
        ----------
        found : Candidate
            Left as it is.
        n_components : int
        n_fewer : int
            Components merged beforehand, which gives the halves of the others more room.
        share : float
            Of the components that are split, drawn at random where it is less than one.
        random_state : RandomState, optional
            Components are split along random axes instead of the longest.
        n_passes : int
            Made on the split mixture.
        """
        moved = Candidate(found.parameters)
        try:
            if n_fewer:
                moved.parameters = merge_to(moved.parameters, n_components - n_fewer)
                if not self.advance(moved, FEWER_PASSES):
                    return None
            counts = moved.parameters.weights * self.rows.total_weight
            which = np.flatnonzero(counts >= 2.0 * least_count(self.family.shape, self.rows.n_features))
            if share < 1.0 and random_state is not None:
                which = np.sort(random_state.permutation(which)[: math.ceil(share * len(which))])
            if len(which) <= n_fewer:
                return None
            larger = split(moved.parameters, which, random_state)
        except (ComponentCollapseError, np.linalg.LinAlgError):
            return None
        return self._merged(larger, n_components, n_passes)

    def united(
        self, found: Candidate, other: Candidate, n_components: int, n_passes: int = SPLIT_PASSES
    ) -> Candidate | None:
        """Return the outcome of uniting two solutions and merging, or None where that leads nowhere."""
        return self._merged(union(found.parameters, other.parameters), n_components, n_passes)

    def _merged(self, larger: MixtureParameters, n_components: int, n_passes: int) -> Candidate | None:
        moved = Candidate(larger)
        try:
            if not self.advance(moved, n_passes):
                return None
            return Candidate(merge_to(moved.parameters, n_components))
        except (ComponentCollapseError, np.linalg.LinAlgError):
            return None
