"""Moves that change the number of components, each kept only if the bound on the evidence rises.

Components are split, merged, deleted, or fitted anew together with a neighbour. What a move promises is known from the
rows of its own components (`local_fits`); the promising ones that do not touch each other are made together, a few
passes over all rows follow, and the outcome is kept if the complete bound is higher than before. Where it is not, the
most promising one is tried by itself. The bound of the states kept rises from one to the next, and the search ends
where no move raises it.

References
----------
Ueda and Ghahramani (2002), Bayesian model search for mixture models based on optimizing variational bounds, Neural
Networks 15. Kurihara, Welling and Teh (2007), Collapsed variational Dirichlet process mixture models, IJCAI (components
in decreasing order). Hughes and Sudderth (2013), Memoized online variational inference, NIPS 26.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastgmm.data import ArrayRows
from fastgmm.data.e_steps import Passes
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.families.variational import OpenVariational
from fastgmm.model import SufficientStatistics
from fastgmm.model.variational import VariationalPosterior
from fastgmm.starts.local_fits import LocalFits, Proposal, spliced
from fastgmm.starts.multistart import TrialListener

__all__ = ["Move", "MoveSearch"]

#: Rows that moves are sought on, at most: all unless there are more.
MOST_ROWS = 1 << 15
#: Least rise of the bound that is one, in nats, and in roundings of the bound itself.
LEAST_GAIN, ROUNDINGS = 0.1, 8.0
#: Components that fewer rows belong to are left out of every state before its bound is compared: a broad component
#: that takes a ten-thousandth of every row raises the bound by a hundredth of a nat, and so would one more.
LEAST_COUNT = 0.5
#: Passes over all rows before the first move and after each; those in which a move has to show that it is one; those
#: to convergence before the search may end, and the change of the bound that ends these, in nats.
FIRST_PASSES, PASSES, TRIAL_PASSES, LAST_PASSES, LAST_TOL = 5, 2, 15, 100, 0.1
#: Neighbours of a component that it is merged with, or fitted anew with.
N_NEIGHBORS = 4
#: Components whose counts differ by less, as a share, and whose means by less in standard units, are the same to a
#: move.
SAME_PLACE = 0.02
#: Single moves tried where those made together did not raise the bound.
N_SINGLE = 8
#: Times that all components are split and moves begin again without an outcome that is better.
N_REGROWN = 1
#: Components there are at least after all have been split at once.
LEAST_REGROWN = 16
#: What a move may lack by itself, in nats, and still be tried where there is none that does not.
DOUBTFUL = 20.0


@dataclass(frozen=True)
class Move:
    """A move that was kept.

    Attributes
    ----------
    kind : str
        'start', 'split', 'merge', 'delete' or 'refit'; several that were made together are joined by '+'.
    n_components : int
        Afterwards.
    elbo : float
        Afterwards, total over samples, in nats.
    """

    kind: str
    n_components: int
    elbo: float


@dataclass
class _Solution:
    state: VariationalPosterior
    bound: float


class MoveSearch:
    """The search for the number of components of a variational mixture.

    Parameters
    ----------
    passes : Passes
        Over all rows.
    sample : ArrayRows
        The same rows, or some of them, where they miss nothing.
    family : OpenVariational
    random_state : RandomState
    unit_roundoff : float
        Of the precision of passes.
    listener : TrialListener, optional
        Is told of each trial, and may end the search.
    """

    def __init__(
        self,
        passes: Passes,
        sample: ArrayRows,
        family: OpenVariational,
        random_state: np.random.RandomState,
        unit_roundoff: float,
        listener: TrialListener | None = None,
    ) -> None:
        self.passes, self.family, self.random_state, self.listener = passes, family, random_state, listener
        drawn = sample.sample(MOST_ROWS, random_state)
        rows = ArrayRows(drawn.X, drawn.sample_weight)
        self.rows = rows
        self.scale = passes.total_weight / rows.total_weight
        covariance = family.priors.covariance
        each = covariance if family.shape.is_shared else covariance[None]
        variances = family.shape.diagonals(each, 1, rows.n_features)[0]
        self.units = np.sqrt(np.where(variances > 0.0, variances, 1.0))
        self.standardised = (rows.X - rows.X.mean(axis=0, dtype=np.float64)) / self.units
        self.unit_roundoff, self.over = unit_roundoff, False
        self.moves: list[Move] = []
        self._tried: dict[tuple[str, int], list[np.ndarray]] = {}

    # Passes over all rows.

    def _advance(self, solution: _Solution, n_passes: int, tol: float = 0.0, above: float = np.inf) -> None:
        """Make passes until the bound exceeds `above`, or rises by less than `tol`, or could not catch up."""
        for i in range(n_passes):
            statistics = self.passes.accumulate(self.family.density(solution.state))
            there = np.flatnonzero(statistics.counts >= LEAST_COUNT)
            if 0 < len(there) < len(statistics.counts):
                solution.state = self.family.posterior(statistics.take(there), np.nan)
                statistics = self.passes.accumulate(self.family.density(solution.state))
            state = self.family.maximise(statistics, solution.state)
            bound = self.family.bound(statistics, state)
            change = bound - solution.bound
            solution.state, solution.bound = state, bound
            if bound > above or change < tol:
                return
            if np.isfinite(above) and i >= 2 and bound + change * (n_passes - i) < above:
                return

    def _least(self, bound: float) -> float:
        return bound + max(LEAST_GAIN, ROUNDINGS * self.unit_roundoff * abs(bound))

    # The search.

    def settle(self, start: VariationalPosterior) -> VariationalPosterior:
        """Return the state that no move from here raises the bound of.

        Parameters
        ----------
        start : VariationalPosterior

        Returns
        -------
        VariationalPosterior
            `moves` tells how it was reached.
        """
        found = _Solution(start, -np.inf)
        self._advance(found, FIRST_PASSES)
        self.moves = [Move("start", found.state.n_components, found.bound)]
        found = self._climbed(found)
        n_failures = 0
        while n_failures < N_REGROWN and not self.over:
            before, n_before = found.bound, len(self.moves)
            regrown = self._regrown(found)
            if regrown is not None and regrown.bound > self._least(before):
                self.moves[n_before:] = [Move("regrow", regrown.state.n_components, regrown.bound)]
                found, n_failures = regrown, 0
            else:
                del self.moves[n_before:]
                n_failures += 1
        return found.state

    def _climbed(self, found: _Solution) -> _Solution:
        is_settled = False
        while not self.over:
            moved = self._moved(found)
            if moved is not None:
                found, is_settled = moved, False
            elif is_settled:
                break
            else:
                self._advance(found, LAST_PASSES, LAST_TOL)
                # What failed among neighbours that have moved since is asked once more.
                self._tried.clear()
                is_settled = True
        return found

    def _regrown(self, found: _Solution) -> _Solution | None:
        """Return what moves lead to after all components have been split at once, or None where that leads nowhere.

        From above, mergers and deletions find what splits from below cannot: the arms of a star, of which two or three
        are no better than the whole.
        """
        statistics = self.passes.accumulate(self.family.density(found.state))
        local = LocalFits(self.rows, self.standardised, self.scale, self.family, found.state, statistics)
        splits, n_parts = [], max(2, -(-LEAST_REGROWN // found.state.n_components))
        for k in range(found.state.n_components):
            rows = local.of((k,))
            n_own = min(n_parts, len(rows.chosen) // 2)
            if n_own >= 2:
                labels = rows.labels(n_own, self.random_state, bool(self.random_state.randint(2)))
                splits.append(rows.proposal("split", rows.from_labels(labels, n_own), at_any_cost=True))
        try:
            state = self.family.posterior(spliced(statistics, _apart([one for one in splits if one])), np.nan)
            grown = _Solution(state, -np.inf)
            self._advance(grown, FIRST_PASSES)
            return self._climbed(grown)
        except (ComponentCollapseError, np.linalg.LinAlgError):
            return None

    def _try(self, kind: str, state: VariationalPosterior, found: _Solution, least: float) -> _Solution | None:
        """Return the solution that a state leads to if its bound is above `least`."""
        if self.listener is not None:
            self.listener.begin_trial()
        moved = _Solution(state, -np.inf)
        try:
            self._advance(moved, TRIAL_PASSES, above=least)
            if moved.bound > least:
                self._advance(moved, PASSES)
        except ComponentCollapseError:
            moved.bound = -np.inf
        if self.listener is not None:
            self.over = self.listener.trial(max(moved.bound, found.bound))
        if not moved.bound > least:
            return None
        self.moves.append(Move(kind, moved.state.n_components, moved.bound))
        return moved

    def _moved(self, found: _Solution) -> _Solution | None:
        statistics = self.passes.accumulate(self.family.density(found.state))
        local = LocalFits(self.rows, self.standardised, self.scale, self.family, found.state, statistics)
        doubtful: list[Proposal] = []
        for propose in (self._changes_of_number, self._refits):
            proposals = propose(local)
            doubtful += [one for one in proposals if -DOUBTFUL < one.gain <= LEAST_GAIN]
            best = _apart([one for one in proposals if one.gain > LEAST_GAIN])
            moved = self._made(best, statistics, found) if len(best) > 1 else None
            for one in best[:N_SINGLE] if moved is None else ():
                moved = self._made([one], statistics, found)
                if moved is not None or self.over:
                    break
            if moved is not None or self.over:
                return moved
        for one in _apart(doubtful)[:N_SINGLE]:
            moved = self._made([one], statistics, found)
            if moved is not None or self.over:
                return moved
        return None

    def _made(self, proposals: list[Proposal], statistics: SufficientStatistics, found: _Solution) -> _Solution | None:
        try:
            state = self.family.posterior(spliced(statistics, proposals), np.nan)
        except (ComponentCollapseError, np.linalg.LinAlgError):
            return None
        kinds = "+".join(sorted({proposal.kind for proposal in proposals}))
        return self._try(kinds, state, found, self._least(found.bound))

    # What is proposed.

    def _is_new(self, kind: str, local: LocalFits, group: tuple[int, ...]) -> bool:
        """Return whether the like has not been tried for components like these, and remember that it has."""
        chosen = list(group)
        counts, means = local.statistics.counts[chosen] + 1.0, local.state.means[chosen] / self.units
        place = np.concatenate(([np.log(counts.sum()), np.log(counts.min())], counts @ means / counts.sum()))
        tried = self._tried.setdefault((kind, len(group)), [])
        if tried and (np.abs(np.array(tried) - place) < SAME_PLACE).all(axis=1).any():
            return False
        tried.append(place)
        return True

    def _changes_of_number(self, local: LocalFits) -> list[Proposal]:
        found: list[Proposal | None] = []
        n_components, draw = local.state.n_components, self.random_state
        for k in range(n_components):
            if self._is_new("split", local, (k,)):
                rows = local.of((k,))
                if len(rows.chosen) < 4:
                    continue
                starts = [(rows.halves(), 2), (rows.labels(2, draw, True), 2), (rows.labels(3, draw, False), 3)]
                found += [rows.proposal("split", rows.from_labels(labels, size)) for labels, size in starts]
        neighbors = self._neighbors(local)
        for pair in sorted({tuple(sorted((k, j))) for k in range(n_components) for j in neighbors[k]}):
            if self._is_new("merge", local, pair):
                rows = local.of(pair)
                found.append(rows.proposal("merge", rows.from_labels(np.zeros(len(rows.chosen), dtype=np.int64), 1)))
        for k in range(n_components):
            group = (k, *neighbors[k][:3])
            if len(group) > 2 and self._is_new("delete", local, group):
                rows = local.of(group)
                found.append(rows.proposal("delete", rows.before.take(np.arange(1, len(group)))))
        return [one for one in found if one is not None]

    def _refits(self, local: LocalFits) -> list[Proposal]:
        found: list[Proposal | None] = []
        neighbors, draw = self._neighbors(local), self.random_state
        for pair in sorted({tuple(sorted((k, j))) for k in range(local.state.n_components) for j in neighbors[k]}):
            if not self._is_new("refit", local, pair):
                continue
            rows = local.of(pair)
            if len(rows.chosen) < 6:
                continue
            starts = [(rows.halves(), 2)] + [(rows.labels(m, draw, w), m) for m in (2, 3) for w in (False, True)]
            found += [rows.proposal("refit", rows.from_labels(labels, size)) for labels, size in starts]
        return [one for one in found if one is not None]

    def _neighbors(self, local: LocalFits) -> list[list[int]]:
        """Return the components near each one: those that share most rows with it, and the nearest two."""
        shares = local.shares if self.rows.sample_weight is None else local.shares * self.rows.sample_weight[:, None]
        overlap = np.asarray(shares.T @ local.shares, dtype=np.float64)
        means = local.state.means
        Z = means / self.units
        apart = ((Z[:, None] - Z) ** 2).sum(axis=2)
        found = []
        for k in range(len(means)):
            others = np.array([j for j in range(len(means)) if j != k], dtype=np.int64)
            by_rows = others[np.argsort(-overlap[k, others], kind="stable")][:N_NEIGHBORS]
            nearest = others[np.argsort(apart[k, others], kind="stable")][:2]
            found.append(list(dict.fromkeys([*by_rows.tolist(), *nearest.tolist()])))
        return found


def _apart(proposals: list[Proposal]) -> list[Proposal]:
    """Return the proposals, best first, without those whose groups meet a better one's."""
    taken: set[int] = set()
    best = []
    for proposal in sorted(proposals, key=lambda proposal: -proposal.gain):
        if taken.isdisjoint(proposal.group):
            taken.update(proposal.group)
            best.append(proposal)
    return best
