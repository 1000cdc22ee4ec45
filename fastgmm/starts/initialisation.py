"""First parameters: from k-means, from rows of the data, at random, or from what the caller gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from fastgmm.data import ArrayRows
from fastgmm.data.e_steps import EStep
from fastgmm.families import Gaussian, LowRankFamily, get_covariance
from fastgmm.families.sketched import Sketched
from fastgmm.model import MixtureParameters, SufficientStatistics
from fastgmm.model.shapes import DIAGONAL
from fastgmm.starts.hierarchical import cluster_hierarchically
from fastgmm.starts.kmeans import kmeans, kmeans_plusplus
from fastgmm.starts.loadings import first_loadings
from fastgmm.starts.multistart import TrialListener, multistart
from fastgmm.starts.sampled import start_from_sample
from fastgmm.starts.short_runs import PLAIN

__all__ = ["INIT_PARAMS", "Start", "initial_parameters", "initial_statistics"]

#: Added to variances while searching for a start of something else than a maximum-likelihood fit.
MULTISTART_REG_COVAR = 1e-6


@dataclass(frozen=True)
class Start:
    """What is known about the first parameters.

    Attributes
    ----------
    init_params : str or ndarray
        One of `INIT_PARAMS`; or labels (n_samples,), int64, negative for unknown; or responsibilities
        (n_samples, n_components).
    weights, means, precisions : ndarray or None
        Parts given by the caller, in the covariance type's own shape; they replace what the start would give.
    by_likelihood : bool
        Whether 'kmeans' gives way to `start_from_sample` where rows are many.
    e_step : EStep
        By which 'multistart' compares starts.
    """

    init_params: str | np.ndarray
    weights: np.ndarray | None = None
    means: np.ndarray | None = None
    precisions: np.ndarray | None = None
    by_likelihood: bool = False
    e_step: EStep = PLAIN


def _by_kmeans(rows: ArrayRows, n_components: int, structure: str, random_state) -> SufficientStatistics:
    centres, labels = kmeans(rows, n_components, random_state)
    return rows.accumulate_labels(labels, structure, centres)


def _at_rows(rows: ArrayRows, chosen: np.ndarray, structure: str) -> SufficientStatistics:
    """One row per component: means at the rows, no spread but what `reg_covar` adds."""
    centres = rows.X[chosen].astype(np.float64)
    statistics = SufficientStatistics.zeros(structure, centres)
    statistics.counts += 1.0
    return statistics


def _by_plusplus(rows: ArrayRows, n_components: int, structure: str, random_state) -> SufficientStatistics:
    return _at_rows(rows, kmeans_plusplus(rows, n_components, random_state), structure)


def _from_data(rows: ArrayRows, n_components: int, structure: str, random_state) -> SufficientStatistics:
    if rows.sample_weight is None or rows.sample_weight.all():
        chosen = random_state.choice(rows.n_samples, size=n_components, replace=False)
    else:
        chosen = random_state.choice(np.flatnonzero(rows.sample_weight), size=n_components, replace=False)
    return _at_rows(rows, chosen, structure)


def _at_random(rows: ArrayRows, n_components: int, structure: str, random_state) -> SufficientStatistics:
    n_rows, before = rows.share_rows(n_components), random_state.get_state()

    def shares() -> Iterator[np.ndarray]:
        # The same numbers each time, and as many as one array of them would take.
        random_state.set_state(before)
        for start in range(0, rows.n_samples, n_rows):
            share = random_state.uniform(size=(min(n_rows, rows.n_samples - start), n_components))
            share /= share.sum(axis=1, keepdims=True)
            yield share

    return rows.accumulate_shares(shares, n_components, structure)


def _by_hierarchy(rows: ArrayRows, n_components: int, structure: str, random_state) -> SufficientStatistics:
    tree = cluster_hierarchically(rows, random_state)
    return _given(rows, n_components, structure, tree.labels(n_components))


def _by_multistart(
    rows: ArrayRows, n_components: int, structure: str, random_state, listener: TrialListener | None = None
) -> SufficientStatistics:
    # Where only statistics are asked for: the memberships under scikit-learn's type of this shape.
    count_floor = 10.0 * float(np.finfo(rows.X.dtype).eps) * rows.mean_weight
    family = Gaussian(get_covariance(structure), MULTISTART_REG_COVAR, count_floor)
    return rows.accumulate(multistart(rows, n_components, family, random_state, listener))


#: Ways to start, by the value of ``init_params``: ``(rows, n_components, structure, random_state) -> statistics``.
INIT_PARAMS: dict[str, Callable[..., SufficientStatistics]] = {
    "kmeans": _by_kmeans,
    "k-means++": _by_plusplus,
    "random": _at_random,
    "random_from_data": _from_data,
    "hc": _by_hierarchy,
    "multistart": _by_multistart,
}


def _given(rows: ArrayRows, n_components: int, structure: str, given: np.ndarray) -> SufficientStatistics:
    if given.ndim == 2:
        n_rows = rows.share_rows(n_components)

        def shares() -> Iterator[np.ndarray]:
            return (given[start : start + n_rows] for start in range(0, rows.n_samples, n_rows))

        return rows.accumulate_shares(shares, n_components, structure)
    known = given >= 0
    counts = np.bincount(given[known], minlength=n_components)
    centres = np.empty((n_components, rows.n_features))
    for j in range(rows.n_features):
        centres[:, j] = np.bincount(given[known], weights=rows.X[known, j], minlength=n_components)
    centres /= np.maximum(counts, 1)[:, None]
    return rows.accumulate_labels(given, structure, centres)


def initial_statistics(
    rows: ArrayRows,
    n_components: int,
    structure: str,
    init_params: str | np.ndarray,
    random_state: np.random.RandomState,
    listener: TrialListener | None = None,
) -> SufficientStatistics:
    """Return the statistics of the first memberships: what any first M-step is made of.

    Parameters
    ----------
    rows : ArrayRows
    n_components : int
    structure : str
        The name of the shape whose scatter is wanted.
    init_params : str or ndarray
        As in `Start`.
    random_state : RandomState
    listener : TrialListener, optional
        Of 'multistart'.
    """
    if isinstance(init_params, str) and init_params == "multistart":
        return _by_multistart(rows, n_components, structure, random_state, listener)
    if isinstance(init_params, str):
        return INIT_PARAMS[init_params](rows, n_components, structure, random_state)
    return _given(rows, n_components, structure, init_params)


def initial_parameters(
    rows: ArrayRows,
    n_components: int,
    family: Gaussian,
    start: Start,
    random_state: np.random.RandomState,
    listener: TrialListener | None = None,
) -> MixtureParameters:
    """Return the parameters a run starts from.

    Parameters
    ----------
    rows : ArrayRows
    n_components : int
    family : Gaussian
    start : Start
    random_state : RandomState
    listener : TrialListener, optional
        Of 'multistart'.

    Raises
    ------
    ComponentCollapseError
        If a covariance of the start is not positive definite.
    """
    if isinstance(family, Sketched):
        return _as_given(_with_loadings(rows, n_components, family, start, random_state, listener), start)
    shape, precision_parts = family.shape, None
    if start.precisions is not None:
        precision_parts = shape.factors_of_precisions(start.precisions)
    if start.weights is not None and start.means is not None and precision_parts is not None:
        return MixtureParameters(shape.name, start.weights, start.means, *precision_parts)
    found = None
    if isinstance(start.init_params, str) and precision_parts is None:
        if start.init_params == "multistart" and not isinstance(family.covariance, LowRankFamily):
            found = multistart(rows, n_components, family, random_state, listener, e_step=start.e_step)
        elif start.init_params == "kmeans" and start.by_likelihood and start.weights is None and start.means is None:
            found = start_from_sample(rows, n_components, family, random_state)
    if found is None:
        statistics = initial_statistics(rows, n_components, shape.name, start.init_params, random_state, listener)
        if precision_parts is None:
            found = family.first(statistics)
        else:
            # The covariances of the statistics are not needed, and may be singular.
            counts = statistics.counts + family.count_floor
            means = statistics.centres + statistics.sums / counts[:, None]
            found = MixtureParameters(shape.name, counts / counts.sum(), means, *precision_parts)
    return _as_given(found, start)


def _as_given(found: MixtureParameters, start: Start) -> MixtureParameters:
    weights = found.weights if start.weights is None else start.weights
    return replace(found, weights=weights, means=found.means if start.means is None else start.means)


def _with_loadings(
    rows: ArrayRows,
    n_components: int,
    family: Sketched,
    start: Start,
    random_state: np.random.RandomState,
    listener: TrialListener | None,
) -> MixtureParameters:
    labels = start.init_params
    if isinstance(labels, np.ndarray):
        labels = labels if labels.ndim == 1 else labels.argmax(axis=1)
        return first_loadings(rows, n_components, family, labels, None, random_state)
    # Where components are is asked without their factors.
    first = initial_statistics(rows, n_components, DIAGONAL.name, labels, random_state, listener)
    return first_loadings(rows, n_components, family, None, first, random_state)
