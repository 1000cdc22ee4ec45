"""The search that `fastgmm fit` makes: `GaussianMixtureSearch`, watched, with what it cannot try told apart."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastgmm.callbacks import Callback
from fastgmm.callbacks.progress import Progress
from fastgmm.cli.errors import CommandError
from fastgmm.cli.screen import number
from fastgmm.data import RowSource
from fastgmm.exceptions import SelectionWarning
from fastgmm.families.groups import members
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.selection import GaussianMixtureSearch

__all__ = ["Outcome", "search", "structures_of"]


#: Parameters that messages name, and the options that set them.
OPTIONS = {
    "covariance_type": "--structure",
    "init_params": "--init",
    "max_iter": "--max-iter",
    "n_components": "--components",
    "reg_covar": "--reg-covar",
    "sample_weight": "--weights",
}


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
    near_ties : list of (n_components, structure)
        Others that are nearly as good, best first.
    """

    sizes: list[int]
    structures: list[str]
    results: dict[tuple[int, str], dict[str, Any]] = field(default_factory=dict)
    best: tuple[int, str] | None = None
    model: GaussianMixture | None = None
    near_ties: list[tuple[int, str]] = field(default_factory=list)


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


def structures_of(names: Sequence[str], n_features: int) -> list[str]:
    """Return the structures that names stand for, as `GaussianMixtureSearch` takes them."""
    return list(dict.fromkeys(one for name in names for one in members(name, n_features)))


def search(
    X: np.ndarray | RowSource,
    sizes: Sequence[int],
    structures: Sequence[str],
    *,
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
    outcome = Outcome(list(sizes), list(structures))
    for size in sizes:
        for structure in structures:
            outcome.results[size, structure] = _without(f"skipped: more components than rows ({n_rows})")
    possible = [size for size in sizes if size <= n_rows]
    if not possible:
        return outcome
    found = GaussianMixtureSearch(possible, list(structures), **parameters)
    if progress is not None:
        found.set_callbacks(_Candidates(progress), _Iterations(progress))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SelectionWarning)  # the report says it, with the options that help
            found.fit(X, sample_weight=sample_weight)
    except ValueError as error:
        # Every candidate failed: the table says why. Otherwise the arguments are at fault.
        if not getattr(found, "results_", {}).get("n_components"):
            raise CommandError(_in_options(str(error))) from error
    table = found.results_
    for i, which in enumerate(zip(table["n_components"], table["covariance_type"], strict=True)):
        if table["failure"][i] is None and np.isfinite(table["score"][i]):
            outcome.results[which] = {
                "value": float(table["score"][i]),
                "converged": bool(table["converged"][i]),
                "n_parameters": int(table["n_parameters"][i]),
                "reason": None,
            }
        else:
            outcome.results[which] = _without(f"failed: {_in_options(table['failure'][i] or 'no finite likelihood')}")
    if hasattr(found, "best_estimator_"):
        outcome.model, outcome.best = found.best_estimator_, _which(found.best_params_)
        outcome.near_ties = [_which(tie) for tie in found.near_ties_]
    return outcome


def _in_options(text: str) -> str:
    """Return a message of the library with the options of the command line for its parameters."""
    for parameter, option in OPTIONS.items():
        text = text.replace(parameter, option)
    return text


def _which(candidate: dict[str, Any]) -> tuple[int, str]:
    return candidate["n_components"], candidate["covariance_type"]


def _without(reason: str) -> dict[str, Any]:
    return {"value": None, "converged": False, "n_parameters": None, "reason": reason}
