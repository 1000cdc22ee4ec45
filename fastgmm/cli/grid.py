"""Fitting every candidate of a search: numbers of components times covariance structures."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastgmm.gaussian_mixture import GaussianMixture

__all__ = ["Candidate", "best_candidate", "fit_grid"]


@dataclass
class Candidate:
    """One cell of the table.

    Attributes
    ----------
    n_components : int
    structure : str
    model : GaussianMixture or None
        None if it was skipped or failed.
    criterion : float
        In nats, lower is better; NaN without a model.
    reason : str
        Why there is no model.
    converged : bool
    at_floor : bool
        Whether a variance is no more than `reg_covar` makes it: a component has shrunk onto a few rows, and the
        likelihood, unbounded there, says nothing.
    """

    n_components: int
    structure: str
    model: GaussianMixture | None = None
    criterion: float = float("nan")
    reason: str = ""
    converged: bool = True
    at_floor: bool = False


def fit_grid(
    X: np.ndarray,
    n_components: Iterable[int],
    structures: Iterable[str],
    *,
    criterion: str = "bic",
    sample_weight: np.ndarray | None = None,
    report: Callable[[Candidate], None] | None = None,
    **parameters,
) -> list[Candidate]:
    """Fit one mixture per number of components and structure.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    n_components : iterable of int
    structures : iterable of str
        Values of ``covariance_type``.
    criterion : {'bic', 'aic', 'icl'}, default='bic'
    sample_weight : ndarray of shape (n_samples,), optional
    report : callable, optional
        Called with each candidate when it is done.
    **parameters
        Further parameters of `GaussianMixture`.

    Returns
    -------
    list of Candidate
        By structure within number of components. A candidate that cannot be fitted says why; it stops nothing.
    """
    structures = list(structures)
    n_samples = X.shape[0] if sample_weight is None else int(np.count_nonzero(sample_weight))
    candidates = []
    for k in n_components:
        for structure in structures:
            candidate = Candidate(k, structure)
            if k > n_samples:
                candidate.reason = f"skipped: more components than rows, of which there are {n_samples}"
            else:
                _fit(candidate, X, criterion, sample_weight, parameters)
            candidates.append(candidate)
            if report:
                report(candidate)
    return candidates


def _fit(candidate: Candidate, X: np.ndarray, criterion: str, sample_weight: np.ndarray | None, parameters) -> None:
    model = GaussianMixture(candidate.n_components, covariance_type=candidate.structure, **parameters)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, sample_weight=sample_weight)
        value = float(getattr(model, criterion)(X, sample_weight))
    except ValueError as error:
        candidate.reason = f"failed: {error}"
        return
    if np.isfinite(value):
        candidate.model, candidate.criterion, candidate.converged = model, value, bool(model.converged_)
        candidate.at_floor = smallest_variance(model) <= 2.0 * model.reg_covar
    else:
        candidate.reason = f"failed: {criterion.upper()} is {value}"


def best_candidate(candidates: Iterable[Candidate]) -> Candidate | None:
    """Return the candidate of the lowest criterion, the first among equals; None if every one failed.

    One with a variance at the floor is taken only where there is no other.
    """
    fitted = (candidate for candidate in candidates if candidate.model is not None)
    return min(fitted, key=lambda candidate: (candidate.at_floor, candidate.criterion), default=None)


def smallest_variance(model: GaussianMixture) -> float:
    """Return the smallest variance of any component in any direction."""
    factors = np.asarray(model.precisions_cholesky_, dtype=np.float64)
    if model._structure.kernel in ("full", "tied"):
        return float(np.linalg.norm(factors, 2, axis=(-2, -1)).max()) ** -2
    return float(factors.max()) ** -2
