"""The search that `fastgmm fit` makes: `GaussianMixtureSearch`, watched, with what it cannot try told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgmm.callbacks import Callback
from fastgmm.cli.progress import Progress
from fastgmm.cli.screen import number
from fastgmm.data import RowSource
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.selection import GaussianMixtureSearch

__all__ = ["Outcome", "search"]


@dataclass
class Outcome:
    """What a search came to.

    Attributes
    ----------
    sizes : list of int
        Numbers of components.
    structures : list of str
    results : dict of (n_components, structure) to dict
        Of each: value (the criterion, None without a model), converged, n_parameters, reason (None or why there is no
        model).
    best : (n_components, structure) or None
    model : GaussianMixture or None
        The best one.
    """

    sizes: list[int]
    structures: list[str]
    results: dict[tuple[int, str], dict[str, Any]]
    best: tuple[int, str] | None = None
    model: GaussianMixture | None = None


class _Candidates(Callback):
    """Counts candidates."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        if context.task_name == "candidate":
            is_last = context.task_id + 1 == context.parent.max_subtasks
            self.progress.done("continuing the best" if is_last else "")


class _Iterations(Callback):
    """Tells what is being fitted and how well it fits by now."""

    max_propagation_depth = None

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        if context.task_name == "iteration":
            which = f"{estimator.n_components} {estimator.covariance_type}"
            self.progress.note(
                f"{which}  log-likelihood {number(context.lower_bound)}  iteration {context.task_id + 1}"
            )


def search(
    X: np.ndarray | RowSource,
    sizes: Sequence[int],
    structures: Sequence[str],
    *,
    criterion: str,
    sample_weight: np.ndarray | None,
    progress: Progress | None,
    **parameters: Any,
) -> Outcome:
    """Fit every combination; one that cannot be fitted says why and stops nothing.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), or source that has been read
    sizes : sequence of int
    structures : sequence of str
    criterion : {'bic', 'icl', 'aic'}
    sample_weight : ndarray of shape (n_samples,), optional
    progress : Progress, optional
        Told of candidates and iterations.
    **parameters
        Of `GaussianMixtureSearch`.

    Returns
    -------
    Outcome
    """
    if isinstance(X, RowSource):
        n_rows = X.n_samples or 0
    else:
        n_rows = X.shape[0] if sample_weight is None else int(np.count_nonzero(sample_weight))
    outcome = Outcome(list(sizes), list(structures), {})
    for size in sizes:
        for structure in structures:
            if size > n_rows:
                outcome.results[size, structure] = _without(f"skipped: more components than rows ({n_rows})")
    possible = [size for size in sizes if size <= n_rows]
    if not possible:
        return outcome
    found = GaussianMixtureSearch(possible, list(structures), criterion=criterion, **parameters)
    if progress is not None:
        found.set_callbacks(_Candidates(progress), _Iterations(progress))
    failure = ""
    try:
        found.fit(X, sample_weight=sample_weight)
    except ValueError as error:
        # Every candidate failed: the table says why. Otherwise the arguments are at fault.
        if not getattr(found, "results_", {}).get("n_components"):
            raise
        failure = str(error)
    table = found.results_
    for i, (size, structure) in enumerate(zip(table["n_components"], table["covariance_type"], strict=True)):
        value = float(table["score"][i])
        outcome.results[size, structure] = (
            {
                "value": value,
                "converged": bool(table["converged"][i]),
                "n_parameters": int(table["n_parameters"][i]),
                "reason": None,
            }
            if np.isfinite(value)
            else _without(f"failed: {table['failure'][i] or failure or 'no finite likelihood'}")
        )
    if hasattr(found, "best_estimator_"):
        outcome.model = found.best_estimator_
        outcome.best = found.best_params_["n_components"], found.best_params_["covariance_type"]
    return outcome


def _without(reason: str) -> dict[str, Any]:
    return {"value": None, "converged": False, "n_parameters": None, "reason": reason}
