"""Whether a sample of the rows of a stream knows of a better state than the one that the stream has come to.

Stepwise EM improves a start slowly and does not leave the optimum near it, and the start is made of few rows. So EM is
run on a sample of the rows, from the state that the stream has and from the best that a search finds (`multistart`),
and the stream goes on from the better one of these where that gains more than chance explains.

A batch of bad rows may be part of the sample, and what fits these rows is no gain. So the gain is that of the median of
some blocks of the sample in the order in which its rows came: most of the stream has to share it.

How often: as soon as the sample is full, and once more, at `GROWTH` times as many rows. A search takes some two hundred
passes over the sample: in small mixtures as long as the batches of some 50,000 rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from fastgmm import kernels
from fastgmm.data import ArrayRows
from fastgmm.data.e_steps import EStep, Incomplete, Plain
from fastgmm.data.incomplete import density_for
from fastgmm.em.acceleration import QuasiNewton, proposal_cost
from fastgmm.em.run import Run, run_em
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.families import Family
from fastgmm.model import MixtureParameters, SufficientStatistics
from fastgmm.model.student import StudentParameters
from fastgmm.starts.completed import completed
from fastgmm.starts.multistart import rows_enough

__all__ = ["are_refits_over", "better_statistics", "is_refit_due", "sample_size"]

#: Rows seen at the last refit, in times of those at the first.
GROWTH = 32
#: Largest samples: beyond, a search would take longer than the stream.
MOST_ROWS = 8000
#: Runs from the stream's state and on the solution found: until they change by less, in nats per row, or that long.
TOL, MAX_ITER = 1e-4, 60
#: Nats over all rows of the sample by which a state must be better.
LEAST_GAIN = 2.0
#: Blocks of the sample, in the order in which its rows came, of which most must gain.
N_BLOCKS = 8


def sample_size(n_components: int, n_features: int) -> int:
    """Return how many rows of a stream are to be kept for refits; 0 for none.

    None are made of one component, which has one optimum, nor where the rows that a search wants are more than 8000,
    which is from ``n_components * (n_features + 2)`` = 160 on.
    """
    size = rows_enough(n_components, n_features)
    return size if n_components > 1 and size <= MOST_ROWS else 0


def is_refit_due(size: int, n_before: int, n_seen: int) -> bool:
    """Return whether the rows from `n_before` to `n_seen` of a stream reach the number at which a refit is made."""
    return any(n_before < n_rows <= n_seen for n_rows in (size, GROWTH * size))


def are_refits_over(size: int, n_seen: int) -> bool:
    """Return whether no refit is to come."""
    return n_seen >= GROWTH * size


def better_statistics(
    rows: ArrayRows,
    family: Family,
    state: Any,
    search: Callable[[ArrayRows], Any],
    n_seen: int,
) -> tuple[SufficientStatistics, Any] | None:
    """Return the statistics of the rows under a better state than that of the stream, and that state, or None.

    They must gain more than what the numbers of the parameters gain by having been estimated from these very rows,
    and what is lost because they are fewer than all rows seen: half a nat each for every number, nothing as long as the
    sample is all rows. Components keep their places: those that have most rows in common have the same number.

    Parameters
    ----------
    rows : ArrayRows
        A sample of those seen.
    family : Family
    state : Any
        Of the stream.
    search : callable
        ``search(rows) -> state``.
    n_seen : int
        Rows of the stream so far.
    """
    try:
        here = _run(rows, family, state).state
        whole = completed(rows, np.random.RandomState(n_seen % (1 << 32))) if np.isnan(rows.X).any() else rows
        found = _run(rows, family, search(whole)).state
    except (ComponentCollapseError, np.linalg.LinAlgError):
        return None
    before, best, after = (density_for(rows.X, family.density(each)) for each in (state, here, found))
    now, there, elsewhere = (_log_density(rows, density) for density in (before, best, after))
    moved = _typical_gain(rows, elsewhere - there) > LEAST_GAIN and not family.is_spurious(found, rows.total_weight)
    if moved:
        best, there = after, elsewhere
    n_numbers = before.weights.size + before.means.size + _distinct(before)
    if not _typical_gain(rows, there - now) > LEAST_GAIN + n_numbers * (1.0 - rows.n_samples / n_seen):
        return None
    statistics = rows.accumulate(best)
    if not moved:
        return statistics, here
    order = _places(rows, before, best)
    # Degrees of freedom are not in the statistics.
    under = _reordered(found, order) if family.has_tails else family.first(_permuted(statistics, order))
    return rows.accumulate(density_for(rows.X, family.density(under))), under


def _distinct(density: Any) -> float:
    """Return how many numbers the covariances are: of a matrix, half and the diagonal."""
    n_features = density.means.shape[1]
    return float(density.covariances.size * ((n_features + 1) / (2 * n_features) if density.shape.is_matrix else 1.0))


def _run(rows: ArrayRows, family: Family, start: Any) -> Run:
    tol = TOL if family.bound is None else TOL * rows.total_weight
    accelerator = None
    if family.is_accelerated:
        n_components, n_features = family.density(start).means.shape
        accelerator = QuasiNewton(family, tol, cost=proposal_cost(family, rows.n_samples, n_features, n_components))
    e_step: EStep = Incomplete(Plain()) if np.isnan(rows.X).any() else Plain()
    return run_em(rows, e_step, family, start, tol=tol, max_iter=MAX_ITER, accelerator=accelerator)


def _log_density(rows: ArrayRows, density: Any) -> np.ndarray:
    return kernels.log_density(rows.X, density, np.empty(rows.n_samples, dtype=rows.dtype)).astype(np.float64)


def _typical_gain(rows: ArrayRows, gains: np.ndarray) -> float:
    """Return the gain of all rows, in nats, were they as those of the median block in the order of arrival."""
    weight = np.ones(rows.n_samples) if rows.sample_weight is None else rows.sample_weight
    blocks = np.array_split(np.arange(rows.n_samples), N_BLOCKS)
    tiny = np.finfo(np.float64).tiny
    means = [weight[block] @ gains[block] / max(weight[block].sum(), tiny) for block in blocks]
    return rows.n_samples * float(np.median(means))


def _places(rows: ArrayRows, before: Any, after: Any) -> np.ndarray:
    """Return the order of the components of `after` in which fewest rows change the number of their component."""
    labels = [kernels.assign(rows.X, density, np.empty(rows.n_samples, dtype=np.int64)) for density in (before, after)]
    n_components = len(before.weights)
    common = np.bincount(
        labels[0] * n_components + labels[1], weights=rows.sample_weight, minlength=n_components**2
    ).reshape(n_components, n_components)
    return linear_sum_assignment(common, maximize=True)[1]


def _reordered(state: StudentParameters, order: np.ndarray) -> StudentParameters:
    parts = (state.shape.take(matrices, order) for matrices in (state.covariances, state.precisions_cholesky))
    mixture = MixtureParameters(state.structure, state.weights[order], state.means[order], *parts)
    return StudentParameters.of(mixture, state.degrees_of_freedom[order])


def _permuted(statistics: SufficientStatistics, order: np.ndarray) -> SufficientStatistics:
    permuted = statistics.take(order)
    permuted.log_likelihood = statistics.log_likelihood
    return permuted
