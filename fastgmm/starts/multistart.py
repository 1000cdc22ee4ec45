"""Start from the best of many: cheap short runs, of which the promising ones are continued.

All that follows happens on at most `rows_enough` rows, drawn evenly. One k-means++ sweep gathers them into small
clusters (`grouping`); k-means and agglomeration on these give the starts. Each is run for a few passes, the better half
is continued, and so on until two are left, which are run until they change little. Moves then lead out of what is
still poor: components are split and merged, or united with those of another run and merged (`split_merge`). A solution
that is a singularity (`spurious`) counts only if there is no other.

References
----------
Biernacki, Celeux and Govaert (2003), Choosing starting values for the EM algorithm, CSDA 41 (short runs of EM).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Protocol

import numpy as np

from fastgmm import kernels
from fastgmm.data import ArrayRows
from fastgmm.data.e_steps import EStep
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.families import Gaussian
from fastgmm.model import MixtureParameters
from fastgmm.starts.grouping import SmallClusters
from fastgmm.starts.short_runs import PLAIN, SAME, Candidate, ShortRuns

__all__ = ["TrialListener", "multistart"]

#: Small clusters: this many and four per component, if they have this many rows on average.
N_SMALL, ROWS_OF_SMALL = 100, 6
#: Starts by k-means from random centres, beside one from the sweep's own first centres and one by agglomeration.
N_RANDOM = 2
#: Runs kept, and passes that each then makes, stage by stage.
STAGES = ((4, 4), (3, 8))
#: Where rows change components as wholes, a run ends after a few passes in one of many optima near each other: so many
#: starts by the nearest of random rows are made beside, and these stages.
HARD_STARTS, HARD_STAGES = 100, ((110, 4), (20, 30))
#: Runs continued until they change by less than this, in nats per sample, or for this many passes.
N_FINALISTS, FINAL_TOL, FINAL_PASSES = 2, 1e-4, 60
#: What the solution returned is run to.
POLISH_TOL = 1e-5
#: Split-and-merge moves that fail in a row before it is left, or one where all starts led to one optimum; passes on
#: the merged mixture.
N_FAILURES, MERGED_PASSES = 3, 12
#: Passes on the merged mixture after which a move is left if the rest could not catch up at the last rate.
TRIAL_PASSES = 3
#: A move that promises less, in nats over all rows, is left: it found the same optimum.
LEAST_GAIN = 0.5


def rows_enough(n_components: int, n_features: int) -> int:
    """Return the number of rows that starts are compared on."""
    return max(4000, 50 * n_components * (n_features + 2))


class TrialListener(Protocol):
    """Whoever wants to know how the search for a start goes."""

    def begin_trial(self) -> None:
        """Hear that a start, or a move from the best solution so far, is to be tried."""

    def trial(self, bound: float) -> bool:
        """Hear what bound it came to, in nats per sample; return whether to be content with the best so far."""


class _Search(ShortRuns):
    def __init__(self, rows, family, listener, e_step):
        super().__init__(rows, family, e_step)
        self.listener, self.over = listener, False

    def begin_trial(self) -> None:
        """Tell the listener that something is tried."""
        if self.listener is not None:
            self.listener.begin_trial()

    def end_trial(self, bound: float) -> None:
        """Tell the listener what it came to, who may end the search."""
        if self.listener is not None:
            self.over = self.listener.trial(bound)

    def continued(self, candidates: list[Candidate], n_kept: int, work: Callable[[Candidate], bool]) -> list[Candidate]:
        """Return the best candidates after some work on each, as they are once the search is over."""
        kept = []
        for candidate in self.best(candidates, n_kept):
            if self.over:
                kept.append(candidate)
                continue
            self.begin_trial()
            if work(candidate):
                kept.append(candidate)
            self.end_trial(candidate.bound)
        return kept


def multistart(
    rows: ArrayRows,
    n_components: int,
    family: Gaussian,
    random_state: np.random.RandomState,
    listener: TrialListener | None = None,
    *,
    is_brief: bool = False,
    e_step: EStep = PLAIN,
) -> MixtureParameters:
    """Return the parameters of the best solution found, nearly converged unless a listener ends the search.

    Parameters
    ----------
    rows : ArrayRows
    n_components : int
    family : Gaussian
    random_state : RandomState
    listener : TrialListener, optional
    is_brief : bool
        For a caller who goes on from here with further rows: one random start, and no last run to convergence.
    e_step : EStep
        Of the fit that is to start.

    Raises
    ------
    ComponentCollapseError
        If a component collapses from every start.
    """
    sample = rows.sample(rows_enough(n_components, rows.n_features), random_state, by_weight=True)
    if sample is not rows:
        # Rows drawn weigh one each, whatever the weights they were drawn by.
        family = replace(family, count_floor=family.count_floor / rows.mean_weight)
    search = _Search(sample, family, listener, e_step)
    candidates, failure = _starts(search, n_components, 1 if is_brief else N_RANDOM, random_state)
    stages = STAGES
    if not e_step.is_smooth:
        candidates += _starts_at_rows(search, n_components, random_state)
        stages = HARD_STAGES
    n_moves = N_FAILURES
    others: list[Candidate] = []
    for n_kept, n_passes in stages:
        candidates = search.continued(candidates, n_kept, partial(search.advance, n_passes=n_passes))
        others = others or list(candidates)
        if n_kept > 1 and len(search.best(candidates, n_kept)) == 1:
            n_moves = 1
    to_the_end = partial(search.converge, max_passes=FINAL_PASSES, tol=FINAL_TOL)
    candidates = search.continued(candidates, N_FINALISTS, to_the_end)
    if not candidates:
        raise failure or ComponentCollapseError("every start collapsed", 0, "every start collapsed")
    found = search.best(candidates, 1)[0]
    found = _improve(search, found, others, n_moves, random_state)
    if search.over or is_brief:
        return found.parameters
    polished = Candidate(found.parameters)
    return (polished if search.converge(polished, FINAL_PASSES, POLISH_TOL) else found).parameters


def _starts(search, n_components, n_random, random_state):
    rows = search.rows
    n_small = min(4 * n_components + N_SMALL, max(n_components, int(rows.total_weight) // ROWS_OF_SMALL))
    small = SmallClusters(rows, n_small, n_components, search.family.shape, random_state)
    n_small = len(small.counts)
    groups = []
    if n_small > n_components:
        groups.append(small.nearest(np.arange(n_components)))
        groups.append(small.agglomerate(n_components))
        groups += [small.nearest(small.choose(n_components, random_state)) for _ in range(n_random)]
    else:
        groups.append(np.arange(n_small))
    candidates, failure, seen = [], None, set()
    for group in groups:
        # Numbered by first appearance, so that the same groups are the same bytes.
        first = np.unique(group, return_index=True)[1]
        group = np.argsort(np.argsort(first))[np.unique(group, return_inverse=True)[1]]
        if group.tobytes() in seen:
            continue
        seen.add(group.tobytes())
        statistics = small.statistics(group, n_components, search.family.shape)
        try:
            candidates.append(Candidate(search.family.first(statistics)))
        except ComponentCollapseError as error:
            failure = failure or error
    return candidates, failure


def _starts_at_rows(search, n_components, random_state):
    rows, shape, found = search.rows, search.family.shape, []
    for _ in range(HARD_STARTS if rows.n_samples >= n_components else 0):
        chosen = random_state.choice(rows.n_samples, size=n_components, replace=False)
        centres, labels = rows.X[chosen].astype(np.float64), np.empty(rows.n_samples, dtype=np.int64)
        kernels.assign_nearest(rows.X, None, centres, labels, np.zeros(n_components), np.zeros(centres.shape))
        with suppress(ComponentCollapseError):
            found.append(Candidate(search.family.first(rows.accumulate_labels(labels, shape.name, centres))))
    return found


def _improve(search, found, others, n_moves, random_state):
    n_failures = 0
    while n_failures < n_moves and not search.over:
        search.begin_trial()
        moved = _move(search, found, others, n_failures, random_state)
        n_failures += 1
        if moved is not None and search.rank(moved) > search.rank(found):
            if (moved.bound - found.bound) * search.rows.total_weight > LEAST_GAIN:
                n_failures = 0
            found = moved
        search.end_trial(found.bound)
    return found


def _move(search, found, others, attempt, random_state):
    """Return the outcome of a move from the best solution so far, or None where that leads nowhere.

    At first all components are split and merged again; then they are united with those of another run, or half of them
    are split along random axes where there is none; at last a quarter of them is merged before the others are split.
    """
    n_components = found.parameters.n_components
    others = [other for other in others if abs(other.bound - found.bound) > SAME]
    if attempt == 1 and others:
        moved = search.united(found, others[random_state.randint(len(others))], n_components)
    elif attempt == 2 and n_components > 1:
        moved = search.split_and_merged(found, n_components, n_fewer=max(1, n_components // 4))
    elif attempt:
        moved = search.split_and_merged(found, n_components, share=0.5, random_state=random_state)
    else:
        moved = search.split_and_merged(found, n_components)
    if moved is None:
        return None
    least = found.bound + LEAST_GAIN / search.rows.total_weight
    if not search.advance(moved, TRIAL_PASSES) or moved.bound + MERGED_PASSES * moved.change < least:
        return None
    return moved if search.converge(moved, MERGED_PASSES, FINAL_TOL) else None
