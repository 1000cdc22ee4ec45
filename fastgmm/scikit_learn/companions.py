"""Our estimators on the attributes of one of scikit-learn's: what a patched class delegates to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import sklearn.mixture

from fastgmm import kernels
from fastgmm.bayesian_mixture import BayesianGaussianMixture
from fastgmm.data import ArrayRows, Rows
from fastgmm.estimator.mixture import Plan
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.model import MixtureParameters, SufficientStatistics
from fastgmm.starts.kmeans import kmeans_plusplus, lloyd

__all__ = ["ORIGINALS", "SETTINGS", "Settings", "companion_of", "forget_what_is_ours"]

#: scikit-learn's own classes by name, whatever stands under the name in its modules.
ORIGINALS: dict[str, Any] = {
    name: getattr(sklearn.mixture, name) for name in ("GaussianMixture", "BayesianGaussianMixture")
}
#: Fitted attributes of ours that scikit-learn's models do not have.
OURS_ALONE = ("n_passes_", "log_likelihood_gap_", "stopped_", "n_samples_seen_", "elbo_", "n_effective_components_")


@dataclass
class Settings:
    """Whether scikit-learn is patched, and how.

    Attributes
    ----------
    is_patched : bool
        Models made while it was go back to scikit-learn's code when it is no more.
    same_fits : bool
        Whether fits begin where scikit-learn's do and go through its states.
    """

    is_patched: bool = False
    same_fits: bool = True


SETTINGS = Settings()


def _labels_of_kmeans(X: np.ndarray, n_clusters: int, random_state: np.random.RandomState) -> np.ndarray:
    """Return the labels of scikit-learn's ``KMeans(n_clusters, n_init=1, random_state=random_state).fit(X)``.

    The same numbers are drawn for the same purpose; distances differ by rounding. Clusters without rows, where fewer
    rows are distinct, are refused by the fit and left to scikit-learn.
    """
    rows = ArrayRows(X, None)
    centres, labels = lloyd(rows, X[kmeans_plusplus(rows, n_clusters, random_state)].astype(np.float64))
    kernels.assign_nearest(X, None, centres, labels, np.zeros(n_clusters), np.zeros(centres.shape))
    return labels


#: Starts at single rows, by the value of ``init_params``: which rows.
AT_ROWS: dict[str, Callable[[ArrayRows, int, np.random.RandomState], np.ndarray]] = {
    "k-means++": kmeans_plusplus,
    "random_from_data": lambda rows, n, random_state: random_state.choice(rows.n_samples, size=n, replace=False),
}


def _begin_at_rows(
    family: Any, choose: Callable[..., np.ndarray], n_components: int, rows: ArrayRows, random_state: Any, listener: Any
) -> Any:
    """Return scikit-learn's start at single rows: weights that do not sum to one, a shared scatter of all rows."""
    centres = rows.X[choose(rows, n_components, random_state)].astype(np.float64)
    statistics = SufficientStatistics.zeros(family.shape.name, centres)
    statistics.counts += 1.0
    if family.shape.is_shared:
        X = rows.X.astype(np.float64, copy=False)
        statistics.scatter += X.T @ X - centres.T @ centres
    state = family.first(statistics)
    if isinstance(state, MixtureParameters):
        state = replace(state, weights=state.weights * (n_components / rows.n_samples))
    return state


class _Companion:
    """What the companions of both classes have in common: they are fitted as scikit-learn's are."""

    init_params: Any
    n_components: int
    acceleration: Any
    _warns_of_reg_covar = False

    def _checked_start(self, X: np.ndarray) -> Any:
        if SETTINGS.same_fits and isinstance(self.init_params, str) and self.init_params == "kmeans":
            return _labels_of_kmeans
        return super()._checked_start(X)  # type: ignore[misc]

    def _plan(self, rows: Rows, sample: ArrayRows) -> Plan:
        plan: Plan = super()._plan(rows, sample)  # type: ignore[misc]
        parts = [self.__dict__.get(name) for name in ("weights_init", "means_init", "precisions_init")]
        if not SETTINGS.same_fits or self.init_params not in AT_ROWS or any(part is not None for part in parts):
            return plan
        begin = partial(_begin_at_rows, plan.family, AT_ROWS[self.init_params], self.n_components)
        return replace(plan, begin=begin)


class _GaussianMixture(_Companion, GaussianMixture):
    _parameter_constraints: dict = {  # noqa: RUF012
        **GaussianMixture._parameter_constraints,
        **ORIGINALS["GaussianMixture"]._parameter_constraints,
    }

    @property
    def acceleration(self) -> Any:  # type: ignore[override]
        return None if SETTINGS.same_fits else "quasi-newton"


class _BayesianGaussianMixture(_Companion, BayesianGaussianMixture):
    _parameter_constraints: dict = {  # noqa: RUF012
        **BayesianGaussianMixture._parameter_constraints,
        **ORIGINALS["BayesianGaussianMixture"]._parameter_constraints,
    }


#: By the name that messages give them.
COMPANIONS: dict[str, Any] = {"GaussianMixture": _GaussianMixture, "BayesianGaussianMixture": _BayesianGaussianMixture}
for _name, _class in COMPANIONS.items():
    _class.__name__ = _class.__qualname__ = _name
    for _parameter in signature(_class).parameters.values():
        # What scikit-learn's have not is at its default.
        if _parameter.name not in signature(ORIGINALS[_name]).parameters and _parameter.name not in vars(_class):
            setattr(_class, _parameter.name, _parameter.default)

_companions: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def companion_of(estimator: Any, name: str) -> Any:
    """Return our estimator whose attributes are those of one of scikit-learn's: the very same dictionary.

    Parameters
    ----------
    estimator : estimator
        Of scikit-learn's class `name`, or derived from it.
    name : {'GaussianMixture', 'BayesianGaussianMixture'}
    """
    # Kept beside the estimator, not in it, so that pickles are scikit-learn's.
    hashable = type(estimator).__hash__ is not None
    found = _companions.get(estimator) if hashable else None
    if found is None or found.__dict__ is not estimator.__dict__:
        found = object.__new__(COMPANIONS[name])
        found.__dict__ = estimator.__dict__
        if hashable:
            _companions[estimator] = found
    return found


def forget_what_is_ours(estimator: Any) -> None:
    """Leave a fitted model with the attributes that scikit-learn's have."""
    for name in OURS_ALONE:
        estimator.__dict__.pop(name, None)
