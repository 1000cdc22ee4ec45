"""A mixture moved towards new rows, no further than they are worth: maximum a posteriori adaptation.

Every component is worth `relevance` rows of its own. They are added to the statistics of the new rows and an M-step
follows, so that with the share ``a = n / (n + relevance)`` of a component, its sum F and scatter Q about its mean::

    mean'       = mean + a F / n
    covariance' = a Q / n + (1 - a) covariance - a^2 (F / n) (F / n)^T

and in between nothing is subtracted that is larger than the answer. The weights are ``a n / N + (1 - a) weight``, over
their sum.

References
----------
Reynolds, Quatieri and Dunn (2000), Speaker verification using adapted Gaussian mixture models, Digital Signal
Processing 10, equations 11 to 14.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

from fastgmm.families import Family, WithBackground
from fastgmm.model import SufficientStatistics

__all__ = ["PARTS", "adapted_state"]

#: What may be adapted.
PARTS = ("weights", "means", "covariances")


def adapted_state(
    family: Family, state: Any, statistics: SufficientStatistics, relevance: float, update: Collection[str]
) -> Any:
    """Return a state adapted to rows.

    Parameters
    ----------
    family : Family
        Its M-step estimates covariances, so that they stay in the family.
    state : Any
        Of that family.
    statistics : SufficientStatistics
        Of the rows under `state`, about its means.
    relevance : float
        Rows that a component is worth: zero is one step of EM, infinity leaves the state as it is.
    update : collection of {'weights', 'means', 'covariances'}

    Returns
    -------
    state
        A component without rows keeps its mean and covariance.

    Raises
    ------
    ComponentCollapseError
        If a covariance is adapted and, with a small relevance, has too few rows.
    """
    if np.isinf(relevance):
        return state
    counts = statistics.counts
    weights = _adapted_weights(_all_weights(state), counts, relevance) if "weights" in update else None
    if isinstance(family, WithBackground):
        own = statistics.take(slice(0, -1)).tied_as(family.shape)
        mixture = _adapted_components(family.components, state.mixture, own, relevance, update)
        if weights is None:
            return replace(state, mixture=mixture)
        return replace(state, mixture=replace(mixture, weights=weights[:-1]), noise_weight=float(weights[-1]))
    mixture = _adapted_components(family, state, statistics, relevance, update)
    return mixture if weights is None else replace(mixture, weights=weights)


def _all_weights(state: Any) -> np.ndarray:
    mixture = getattr(state, "mixture", state)
    return mixture.weights if mixture is state else np.append(mixture.weights, state.noise_weight)


def _adapted_weights(weights: np.ndarray, counts: np.ndarray, relevance: float) -> np.ndarray:
    share = np.divide(counts, counts + relevance, out=np.zeros(len(counts)), where=counts > 0)
    found = share * counts / counts.sum() + (1.0 - share) * weights * (relevance > 0)
    return found / found.sum()


def _adapted_components(
    family: Family, state: Any, statistics: SufficientStatistics, relevance: float, update: Collection[str]
) -> Any:
    """Return the components with means and covariances adapted, their weights as they were."""
    worth = np.where(statistics.counts > 0, relevance, max(relevance, 1.0))
    pooled = family.statistics_of(replace(state, weights=worth), 1.0)
    pooled.merge(statistics)
    if "means" not in update:
        pooled.sums[...] = 0.0  # the scatter about the means that are kept
    if "covariances" in update:
        return replace(family.maximise(pooled, state), weights=state.weights)
    return replace(state, means=pooled.centres + pooled.sums / pooled.weights[:, None])
