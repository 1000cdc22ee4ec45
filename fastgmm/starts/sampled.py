"""The default start on many rows: the better of two groupings of small clusters, by short runs of EM on a sample.

k-means knows no covariances and no weights: it cuts large components and joins small ones, the more so the better it
is as k-means, and EM rarely mends that. Where rows are many, a sample of them tells good starts from poor ones in less
time than a good start saves. The rows of the sample are gathered into small clusters, which are grouped by k-means and
by the likelihood of Gaussian components (`grouping`). EM from both, for some passes, says which is better and goes on;
and where rows are enough that it costs little, components are split and merged (`split_merge`), which is kept if it is
better. Where components are so far apart that the nearest mean tells them, all rows are labelled so, as k-means would
end: EM has little to add.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fastgmm import kernels
from fastgmm.data import ArrayRows
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.families import Gaussian
from fastgmm.model import MixtureParameters
from fastgmm.starts.grouping import SmallClusters
from fastgmm.starts.short_runs import Candidate, ShortRuns

__all__ = ["MANY_ROWS", "start_from_sample"]

#: Rows below which the start is k-means of all of them.
MANY_ROWS = 5000
#: The sample is a quarter of the rows between these numbers, and at least so many for each component and two features
#: more than there are.
SHARE, LEAST_SAMPLE, MOST_SAMPLE, ROWS_PER_COORDINATE = 4, 2500, 4000, 25
#: Small clusters: these and four for each component; and rows for each of them among which centres are chosen.
N_SMALL, ROWS_PER_SMALL = 50, 30
#: Passes after which the groupings are compared, each with what this many more would gain it at its last rate.
FIRST_PASSES, AHEAD = 4, 5
#: Passes over the sample in all: these at least, these at most, and between them as many as take the time of three over
#: all rows. They end when the bound rises by less than this, in nats per sample.
LEAST_PASSES, MOST_PASSES, WORTH_PASSES, TOL = 8, 60, 3, 1e-5
#: Rows whose nearest mean may be another component's, in shares of a mean component, for components that are apart.
FEW_OTHERS = 0.02
#: Rows in multiples of the sample from which one move is tried, unless features are many, and from which another
#: follows each that was kept.
ROWS_FOR_MOVE, ROWS_FOR_MOVES = 2, 8
MOST_MOVES = 3
#: Where the sample is a small part of the rows, its optimum is not near enough to theirs, least along ridges: EM,
#: accelerated, goes on over one in so many of them, for at most so many passes.
LATER_SHARE, LATER_PASSES = 10, 25
#: Passes of a move over the split mixture, and over the merged one.
SPLIT_PASSES, MERGED_PASSES = 4, 5


def start_from_sample(
    rows: ArrayRows, n_components: int, family: Gaussian, random_state: np.random.RandomState
) -> MixtureParameters | None:
    """Return parameters found on a sample of the rows, or None where k-means of all rows is to be the start.

    That is so where rows are few, or not twice the sample; where small clusters are hardly more than components; where
    components collapse; and where the outcome is a singularity.

    Parameters
    ----------
    rows : ArrayRows
    n_components : int
    family : Gaussian
    random_state : RandomState
    """
    per_coordinate = ROWS_PER_COORDINATE * n_components * (rows.n_features + 2)
    n_sample = max(LEAST_SAMPLE, min(rows.n_samples // SHARE, MOST_SAMPLE), per_coordinate)
    times = rows.n_samples / n_sample
    if n_components == 1 or rows.n_samples < MANY_ROWS or times < 2.0:
        return None
    sample, n_small = rows.sample(n_sample, random_state), 4 * n_components + N_SMALL
    small = SmallClusters(sample, n_small, n_components, family.shape, random_state, ROWS_PER_SMALL * n_small)
    if len(small.counts) < 2 * n_components:
        return None
    # Rows drawn weigh one each, whatever the weights they were drawn by.
    of_sample = replace(family, count_floor=family.count_floor / rows.mean_weight)
    runs = ShortRuns(sample, of_sample)
    candidates: list[Candidate] = []
    for grouped in (small.agglomerate, lambda k: small.nearest(np.arange(k))):
        try:
            candidate = Candidate(of_sample.first(small.statistics(grouped(n_components), n_components, family.shape)))
        except ComponentCollapseError:
            continue
        if not candidates and _are_apart(sample, candidate.parameters):
            return _nearest_to(rows, candidate.parameters.means, family)
        if runs.advance(candidate, FIRST_PASSES, TOL):
            candidates.append(candidate)
    if not candidates:
        return None
    found = max(candidates, key=lambda run: (runs.rank(run)[0], run.bound + AHEAD * run.change))
    n_passes = int(np.clip(WORTH_PASSES * times, LEAST_PASSES, MOST_PASSES)) - FIRST_PASSES
    if found.change >= TOL and not runs.advance(found, n_passes, TOL):
        return None
    # A pass over matrices of many features takes long beside k-means.
    for_move = max(ROWS_FOR_MOVE, rows.n_features // 4 if family.shape.is_matrix else 0)
    n_moves = 0 if times < for_move else 1 if times < ROWS_FOR_MOVES else MOST_MOVES
    for _ in range(n_moves):
        moved = runs.split_and_merged(found, n_components, n_passes=SPLIT_PASSES)
        if moved is None or not runs.advance(moved, MERGED_PASSES, TOL) or runs.rank(moved) <= runs.rank(found):
            break
        found = moved
    if n_moves == MOST_MOVES and not runs.advance(found, n_passes, TOL):
        return None
    is_estimate, _ = runs.rank(found)
    if not is_estimate:
        return None
    if times >= 2 * LATER_SHARE:
        later = Candidate(found.parameters)
        runs = ShortRuns(rows.sample(rows.n_samples // LATER_SHARE, random_state), of_sample)
        found = later if runs.converge(later, LATER_PASSES, TOL) else found
    return found.parameters


def _are_apart(rows, parameters):
    """Return whether the nearest mean tells the component of nearly every row."""
    nearest, likeliest = (np.empty(rows.n_samples, dtype=np.int64) for _ in range(2))
    n_components, shape = parameters.n_components, parameters.means.shape
    kernels.assign_nearest(rows.X, None, parameters.means, nearest, np.zeros(n_components), np.zeros(shape))
    kernels.assign(rows.X, parameters, likeliest)
    return np.count_nonzero(nearest != likeliest) <= FEW_OTHERS * rows.n_samples / n_components


def _nearest_to(rows, centres, family):
    """Return the parameters of the rows nearest to each centre: where clusters are apart, EM has little to add."""
    labels, counts = np.empty(rows.n_samples, dtype=np.int64), np.zeros(len(centres))
    kernels.assign_nearest(rows.X, rows.sample_weight, centres, labels, counts, np.zeros(centres.shape))
    try:
        return family.first(rows.accumulate_labels(labels, family.shape.name, centres)) if counts.all() else None
    except ComponentCollapseError:
        return None
