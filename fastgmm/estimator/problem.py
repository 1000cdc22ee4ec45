"""What a fit is: rows, an E-step, a family, where runs begin and when they end. The one skeleton of all estimators."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastgmm.callbacks import Watch, fitted_attributes
from fastgmm.data.e_steps import Passes
from fastgmm.em import QuasiNewton, Run, best_run, proposal_cost, run_em
from fastgmm.exceptions import RegularisationWarning, warn
from fastgmm.families import Family
from fastgmm.model import MixtureParameters

__all__ = ["RUN_ATTRIBUTES", "Problem", "count_floor", "run_attributes", "warn_regularised", "warn_unconverged"]


def count_floor(rows: Any) -> float:
    """Return what every count is raised by, in units of weight: ten roundings of a mean row, as in scikit-learn."""
    return 10.0 * float(np.finfo(rows.dtype).eps) * rows.mean_weight


@dataclass(frozen=True)
class Problem:
    """A fit to be made.

    Attributes
    ----------
    passes : Passes
        Over the rows, as the E-step wants them.
    family : Family
    begin : callable
        ``begin(listener) -> state``, the start of a run; `listener` may follow and end a search for it.
    dtype : dtype
        What rows are computed in.
    tol : float
    max_iter : int
    stop_on : {'change', 'gap'}
    acceleration : {'quasi-newton'} or None
        For families that have coordinates.
    previous_bound : float
        Of a run that is being continued.
    refuses_spurious : bool
        Whether a singularity of the likelihood wins only where no other run is left.
    search : callable, optional
        ``search(passes, state, listener) -> (state, moves)``: what precedes a run over all rows.
    """

    passes: Passes
    family: Family
    begin: Callable[[Any], Any]
    dtype: np.dtype | None
    tol: float
    max_iter: int
    stop_on: str = "change"
    acceleration: str | None = None
    previous_bound: float = -math.inf
    refuses_spurious: bool = False
    search: Callable[..., Any] | None = None

    def run(self, listener: Any = None) -> Run:
        """Return one run of EM."""
        start, rows, moves = self.begin(listener), self.passes.rows, []
        if self.search is not None and self.max_iter > 0:
            start, moves = self.search(self.passes, start, listener)
        accelerator, starts = self._accelerator(start), [start]
        del start  # large, where features are many: the run alone has it
        run = run_em(
            rows,
            self.passes,
            self.family,
            starts.pop(),
            tol=self.tol,
            max_iter=self.max_iter,
            previous_bound=self.previous_bound,
            listener=listener,
            accelerator=accelerator,
            stop_on=self.stop_on,
            unit_roundoff=float(np.finfo(self.dtype).eps),
        )
        run.moves = moves
        return run

    def _accelerator(self, start: Any) -> QuasiNewton | None:
        if self.acceleration is None or not (self.family.accelerates(start) and self.passes.may_go_back):
            return None
        if self.stop_on == "gap":
            # A gap is best known to the accelerator, so it begins as soon as it can.
            return QuasiNewton(self.family, self.tol, worthwhile=-math.inf)
        n_samples = self.passes.rows.n_samples
        assert n_samples is not None, "the start has read all rows"
        cost = proposal_cost(self.family, n_samples, start.n_features, start.n_components)
        return QuasiNewton(self.family, self.tol, cost=cost)

    def best_of(self, n_runs: int, watch: Watch | None = None, describe: tuple[Any, Callable] | None = None) -> Run:
        """Return the best of several runs, by the bound.

        Parameters
        ----------
        n_runs : int
        watch : Watch, optional
            Told of each run; may end the fit.
        describe : tuple of estimator and callable, optional
            ``describe(model, run)`` sets the attributes that a run stands for, for callbacks that ask.

        Raises
        ------
        ComponentCollapseError
            If every run failed: the first failure.
        """
        runs: Iterable[Callable[[], Run]] = repeat(self.run, n_runs)
        if watch is not None and watch.listener is not None:
            if describe is not None:
                watch.attributes_of = partial(fitted_attributes, *describe)
            runs = watch.runs(partial(self.run, watch), n_runs, self.max_iter)
        return best_run(runs, self._is_spurious if self.refuses_spurious else None)

    def _is_spurious(self, run: Run) -> bool:
        return self.family.is_spurious(run.state, self.passes.rows.total_weight)


#: The fitted attributes that tell how a run went.
RUN_ATTRIBUTES = ("converged_", "n_iter_", "n_passes_", "log_likelihood_gap_", "lower_bound_", "lower_bounds_")


def run_attributes(run: Run, n_passes: int, dtype: Any = float) -> dict[str, Any]:
    """Return `RUN_ATTRIBUTES` of a run; bounds in `dtype`."""
    number = np.dtype(dtype).type if dtype is not float else float
    bounds = [number(value) for value in run.lower_bounds]
    values = (run.converged, run.n_iter, n_passes, run.gap, number(run.lower_bound), bounds)
    return dict(zip(RUN_ATTRIBUTES, values, strict=True))


def warn_unconverged(max_iter: int) -> None:
    """Warn of a fit that was neither ended by its rule nor by a callback."""
    message = f"EM did not converge in max_iter={max_iter} iterations; increase max_iter or tol."
    warn(message, ConvergenceWarning)


#: Share of a variance within components beyond which `reg_covar` is worth a warning.
LARGE_SHARE = 0.01


def warn_regularised(mixture: MixtureParameters, reg_covar: float, n_samples: float) -> None:
    """Warn once where `reg_covar` makes up much of a feature's variance within the components, or of any direction's.

    Components that shrank onto equal rows are left out: there it is all there is, and what it is for.
    """
    n_features = mixture.means.shape[1]
    if mixture.shape.is_matrix and mixture.shape.n_factors is None and n_samples <= n_features:
        warn(
            f"X has {n_samples:g} rows and {n_features} features. A covariance matrix has "
            f"{n_features * (n_features + 1) // 2} parameters, and from so few rows it is singular: reg_covar alone "
            "makes it invertible, and decides the log-likelihood and what is said of new rows. Use "
            "covariance_type='ppca', 'diag' or 'spherical', prior='default', or fewer features, such as the first "
            "principal components",
            RegularisationWarning,
        )
        return
    variances = mixture.shape.diagonals(mixture.covariances, *mixture.means.shape) - reg_covar
    total_weight = mixture.weights.sum()
    if not total_weight > 0:  # a background took every row
        return
    weights = mixture.weights / total_weight
    within = weights @ variances
    if reg_covar <= LARGE_SHARE * within.min():
        return
    total = within + weights @ (mixture.means - weights @ mixture.means) ** 2
    seen = (within > 1e-6 * total) & (within > 1e-12 * reg_covar)
    large = np.flatnonzero(seen & (total > 0) & (reg_covar > LARGE_SHARE * within))
    if len(large):
        j = int(large[np.argmin(within[large])])
        warn(
            f"reg_covar is {reg_covar:g} and the variance of feature {j} within components {within[j]:.3g}: a share of "
            f"{reg_covar / (reg_covar + within[j]):.1%} of it is regularisation. Use reg_covar='auto', which is "
            "relative to the data, a smaller reg_covar, or larger units",
            RegularisationWarning,
        )
