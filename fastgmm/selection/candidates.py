"""One candidate of a search: fitted, measured, and refused where it is degenerate."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from fastgmm.data import RowSource
from fastgmm.estimator.inner_mixture import unconverged_too
from fastgmm.estimator.missing_values import counted_weight
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.selection.criteria import Criterion

__all__ = ["COLUMNS", "Candidate", "fit_candidate", "polish_candidate"]

# A variance below this share of the data's is a likelihood without bound, cut off by rounding: mclust's limit.
LEAST_VARIANCE = float(np.finfo(np.float64).eps)


@dataclass
class Candidate:
    """A number of components and a structure, and what came of them.

    `failure` is None, or why there is no model; then the measures are NaN and there is no estimator.
    """

    n_components: int
    covariance_type: str
    distribution: str = "normal"
    n_factors: Any = None
    estimator: GaussianMixture | None = None
    log_likelihood: float = np.nan
    n_parameters: float = np.nan
    bic: float = np.nan
    icl: float = np.nan
    aic: float = np.nan
    converged: bool = False
    fit_time: float = 0.0
    failure: str | None = None
    score: float = np.nan
    difference: float = np.nan

    def fail(self, reason: str) -> None:
        """Take back the model and say why."""
        self.estimator, self.failure, self.converged = None, reason, False
        self.log_likelihood = self.n_parameters = self.bic = self.icl = self.aic = self.score = np.nan


#: Columns of `results_`, in order.
COLUMNS = [field.name for field in fields(Candidate) if field.name not in ("estimator", "n_factors")]


def fit_candidate(
    candidate: Candidate,
    estimator: GaussianMixture,
    X: Any,
    sample_weight: Any,
    variances: Any,
    criterion: Criterion,
    seed: Any,
    whole: Any = None,
) -> Candidate:
    """Fit `estimator` and fill in the candidate; a failure becomes its reason.

    Parameters
    ----------
    candidate : Candidate
        Mutated.
    estimator : GaussianMixture
        Not fitted, or to be continued.
    X : ndarray of shape (n_samples, n_features), or source that knows its sample
    sample_weight : ndarray of shape (n_samples,) or None
    variances : ndarray of shape (n_features,)
        Of the data: what degenerate is measured by.
    criterion : Criterion
    seed : int
        For a criterion that draws.
    whole : ArrayRows, optional
        The rows of a start completed, where some miss values.
    """
    begin = time.perf_counter()
    try:
        if whole is not None:
            estimator._completed = whole
        with unconverged_too():
            estimator.fit(X, sample_weight=sample_weight)
        reason = _degeneracy(estimator, variances)
        if reason is None:
            _measure(candidate, estimator, X, sample_weight, criterion, seed)
    except ComponentCollapseError as error:
        reason = f"component {error.component}: {error.reason}"
    except (ValueError, np.linalg.LinAlgError) as error:
        reason = str(error)
    if reason is not None:
        candidate.fail(reason)
    estimator.__dict__.pop("_completed", None)
    candidate.fit_time += time.perf_counter() - begin
    return candidate


def polish_candidate(candidate: Candidate, tol: float, *arguments: Any) -> Candidate:
    """Continue a candidate's EM to the smaller `tol`; see `fit_candidate` for the other arguments."""
    estimator = candidate.estimator
    assert estimator is not None
    settings = estimator.get_params()
    estimator.set_params(tol=tol, warm_start=True, acceleration="quasi-newton")
    fit_candidate(candidate, estimator, *arguments)
    estimator.set_params(tol=settings["tol"], warm_start=settings["warm_start"])
    return candidate


def _measure(candidate: Any, estimator: Any, X: Any, sample_weight: Any, criterion: Any, seed: Any) -> None:
    if isinstance(X, RowSource):
        log_likelihood, total = estimator._log_likelihood(X, None)
    else:
        sample_weight = counted_weight(estimator, X, sample_weight)
        total = float(len(X) if sample_weight is None else sample_weight.sum())
        log_likelihood = float(estimator.score(X, sample_weight=sample_weight)) * total
    candidate.estimator = estimator
    candidate.n_parameters = n_parameters = estimator._n_parameters()
    candidate.log_likelihood = log_likelihood
    candidate.bic = -2.0 * log_likelihood + n_parameters * math.log(total)
    candidate.aic = -2.0 * log_likelihood + 2.0 * n_parameters
    candidate.icl = candidate.bic - 2.0 * float(estimator._log_certainty(X, sample_weight))
    candidate.converged = bool(estimator.converged_)
    if criterion.evaluate is None:
        candidate.score = getattr(candidate, criterion.name)
    else:
        candidate.score = float(criterion.evaluate(estimator, X, sample_weight, seed))


def _degeneracy(estimator: Any, variances: Any) -> Any:
    if "loadings_" in vars(estimator):
        least = (np.asarray(estimator.noise_variances_) / np.where(variances > 0, variances, 1.0)).min(axis=1)
        return _refusal(least)
    matrices = getattr(estimator, "scales_", estimator.covariances_)
    shape, covariances = estimator._covariance.shape, np.asarray(matrices, dtype=np.float64)
    scale = np.where(variances > 0, variances, 1.0)
    if shape.is_matrix:
        sd = np.sqrt(scale)  # whose products may be out of range
        stacked = covariances.reshape(-1, len(scale), len(scale)) / sd[:, None] / sd
        least = np.linalg.eigvalsh(stacked)[:, 0]
    else:
        least = (shape.diagonals(covariances, *estimator.means_.shape) / scale).min(axis=1)
    return _refusal(least)


def _refusal(least: np.ndarray) -> Any:
    if least.min() > LEAST_VARIANCE:
        return None
    share = max(least.min(), 0.0)
    return f"component {int(least.argmin())}: degenerate, its smallest variance is {share:.1e} of the data's"
