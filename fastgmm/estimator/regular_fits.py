"""Mixtures of the regular rows among anomalies: fits with rows set aside, with a background, or of all rows alike."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from fastgmm.callbacks import Task
from fastgmm.data import ArrayRows, Rows
from fastgmm.data.e_steps import EStep, Incomplete, Plain, Trimmed
from fastgmm.em import best_run
from fastgmm.estimator.inner_mixture import factors_or_matrices, inner_options, unconverged_too
from fastgmm.estimator.problem import RUN_ATTRIBUTES, Problem, count_floor, run_attributes
from fastgmm.estimator.reading import Reading
from fastgmm.estimator.reweighting import reweighted
from fastgmm.families import Student, get_covariance
from fastgmm.families.sketched import gaussian_family
from fastgmm.model.shapes.low_rank import unpacked
from fastgmm.starts import Start, initial_parameters
from fastgmm.starts.units import StartInUnits, central_half, memberships_in_units, relative_reg_covar

__all__ = ["regular_mixture", "robust_share"]

#: Share that the robust fits set aside when `contamination` does not say.
DEFAULT_SHARES = {"trimming": 0.25, "noise": 0.1}


def robust_share(detector: Any) -> float:
    """Return the share of the rows that a detector's robust fit sets aside."""
    if detector.robust_share is not None:
        return float(detector.robust_share)
    chosen = isinstance(detector.contamination, str)
    return DEFAULT_SHARES[detector.robust] if chosen else float(detector.contamination)


def regular_mixture(
    detector: Any,
    mixture_class: Any,
    read: Reading,
    known: tuple[Rows, ArrayRows, bool],
    random_state: Any,
    size: int,
    task: Task,
) -> tuple[Any, float]:
    """Return a fitted mixture of `size` components, and its BIC.

    Parameters
    ----------
    detector : GaussianMixtureOutlierDetector
        Whose parameters are those of the fit.
    mixture_class : type
        Of the mixture returned.
    read : Reading
    known : tuple of Rows, ArrayRows and bool
        All rows and those of the start, completed where values are missing, and whether any are.
    random_state : int, RandomState or None
    size : int
    task : Task
        That follows the fit.
    """
    if detector.robust == "trimming":
        return _trimmed(detector, mixture_class, *known, size, random_state)
    noise = robust_share(detector) if detector.robust == "noise" else None
    options = inner_options(detector) | {"init_params": StartInUnits(detector.init_params)}
    model = mixture_class(size, random_state=random_state, noise=noise, **options)
    X, weight = read.given, read.sample.sample_weight
    if read.rows is not read.sample:
        X, weight = read.given.with_sample(read.sample), None
    with unconverged_too(), task.follow(model):
        model.fit(X, sample_weight=weight)
    bic = model.bic(X, sample_weight=weight)
    # The background, where there is one, is left behind.
    regular = model.weights_ / model.weights_.sum()
    tails = {"df": model.df_} if hasattr(model, "df_") else {}
    mixture = _known(detector, mixture_class, regular, model.means_, factors_or_matrices(model), **tails)
    for name in (*RUN_ATTRIBUTES, "stopped_", "n_samples_seen_"):
        setattr(mixture, name, getattr(model, name))
    return mixture, bic


def _trimmed(
    detector: Any,
    mixture_class: Any,
    rows: Rows,
    sample: ArrayRows,
    is_incomplete: bool,
    size: int,
    random_state: Any,
) -> tuple[Any, float]:
    n_samples = rows.n_samples
    assert n_samples is not None, "the sample has read all rows"
    if n_samples * (1.0 - robust_share(detector)) < size:
        raise ValueError(
            f"n_components is {size} and trimming leaves {n_samples * (1 - robust_share(detector)):g} "
            "rows; reduce n_components or robust_share, or use robust=None"
        )
    reg_covar = relative_reg_covar(sample) if isinstance(detector.reg_covar, str) else detector.reg_covar
    covariance = get_covariance(detector.covariance_type, detector.n_factors)
    family = gaussian_family(covariance, sample.n_features, reg_covar, count_floor(sample))

    def begin(listener: Any) -> Any:
        start = Start(memberships_in_units(sample, detector.init_params, size, random_state))
        return initial_parameters(sample, size, family, start, random_state, listener)

    e_step: EStep = Trimmed(robust_share(detector))
    passes = (Incomplete(e_step) if is_incomplete else e_step).prepare(rows)
    problem = Problem(passes, family, begin, sample.dtype, detector.tol, detector.max_iter)
    run, tails = problem.best_of(detector.n_init), {}
    if size == 1:
        # All rows at once are one start, which anomalies may have spoilt; those about the median are another.
        central = Start(central_half(sample))
        begin_there = partial(initial_parameters, sample, 1, family, central, random_state)
        run = best_run([lambda: run, replace(problem, begin=begin_there).run])
    n_passes, n_rows = passes.n_made, passes.total_weight
    if detector.distribution == "student":
        everything: EStep = Plain()
        passes = (Incomplete(everything) if is_incomplete else everything).prepare(rows)
        heavy, trimmed = Student(family), run.state
        options: Any = {"stop_on": "gap", "acceleration": "quasi-newton"}
        begin_there = partial(_already, heavy.begin(trimmed))
        run = Problem(passes, heavy, begin_there, sample.dtype, detector.tol, detector.max_iter, **options).run()
        state, tails = run.state, {"df": run.state.degrees_of_freedom}
        n_passes, n_rows = n_passes + passes.n_made, passes.total_weight
    else:
        state = reweighted(rows, run.state, robust_share(detector), family, is_incomplete)
    matrices = state.covariances if state.shape.n_factors is None else unpacked(state.covariances)
    mixture = _known(detector, mixture_class, state.weights, state.means, matrices, **tails)
    mixture.__dict__.update(run_attributes(run, n_passes))
    mixture.n_samples_seen_ = n_rows
    return mixture, -2.0 * run.lower_bound * n_rows + mixture._n_parameters() * np.log(n_rows)


def _known(detector: Any, mixture_class: Any, weights: Any, means: Any, matrices: Any, **tails: Any) -> Any:
    n_factors = None if isinstance(detector.n_factors, str) else detector.n_factors
    known = mixture_class._known(weights, means, matrices, detector.covariance_type, n_factors=n_factors, **tails)
    return known.set_params(missing=detector.missing)


def _already(state: Any, listener: Any) -> Any:
    return state
