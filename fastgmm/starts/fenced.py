"""Starts of components with tails, or of trimmed fits: far rows do not spoil them, and degrees of freedom come first.

k-means gives far rows centres of their own, and a Gaussian search explains them by a wide component. The components
that start there stay wide: with tails they would explain these rows, but are not where they could. So starts are also
made of the rows within Tukey's outer fences alone, three interquartile ranges beyond the quartiles of each feature.

Degrees of freedom change the likelihood of a row by little, and EM moves them slowly: a change below `tol` in an
iteration says nothing of how far they have to go. So each start is run on up to `TRIAL_ROWS` rows until it is near its
limit, and EM on all rows goes on from the best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastgmm.data import ArrayRows
from fastgmm.data.e_steps import EStep
from fastgmm.em.acceleration import QuasiNewton
from fastgmm.em.run import run_em
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.families import Family

__all__ = ["best_start", "within_fences"]

#: Rows of a trial, most passes over them, and the distance to the limit, in nats per row, at which they end.
TRIAL_ROWS, TRIAL_PASSES, TRIAL_GAP = 5000, 60, 1e-4


def within_fences(rows: ArrayRows) -> ArrayRows:
    """Return the rows within the outer fences of all features; the same object if all are, or not even half.

    A feature of which half the rows have one value has no fences.
    """
    low, high = np.quantile(rows.X, [0.25, 0.75], axis=0)
    reach = np.where(high > low, 3.0 * (high - low), np.inf)
    inside = ((low - reach <= rows.X) & (high + reach >= rows.X)).all(axis=1)
    n_inside = int(np.count_nonzero(inside))
    return rows if n_inside == len(inside) or 2 * n_inside < len(inside) else rows.where(inside)


def best_start(
    makes: Sequence[Callable[[], Any]], family: Family, e_step: EStep, sample: ArrayRows, random_state: Any
) -> Any:
    """Return the state of `family` that trials lead to from the best of some starts.

    Parameters
    ----------
    makes : sequence of callable
        ``make() -> state``; one that finds no start raises ComponentCollapseError.
    family : Family
    e_step : EStep
        Of the fit.
    sample : ArrayRows
        Of its rows.
    random_state : RandomState
        Draws the rows of the trials.

    Raises
    ------
    ComponentCollapseError
        If no start leads anywhere.
    """
    trial, found, failure = sample.sample(TRIAL_ROWS, random_state), [], None
    for make in makes:
        try:
            accelerates = family.is_accelerated and e_step.is_smooth
            accelerator = QuasiNewton(family, TRIAL_GAP, worthwhile=-np.inf) if accelerates else None
            options: dict[str, Any] = {"tol": TRIAL_GAP, "stop_on": "gap", "accelerator": accelerator}
            run = run_em(trial, e_step, family, make(), max_iter=TRIAL_PASSES, **options)
        except ComponentCollapseError as error:
            failure = failure or error
        else:
            found.append(run)
    if not found:
        assert failure is not None
        raise failure
    return max(found, key=lambda run: run.lower_bound).state
