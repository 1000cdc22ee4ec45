"""What a fitted candidate is judged by: information criteria, held-out likelihood, or the caller's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from fastgmm.estimator.inner_mixture import unconverged_too
from fastgmm.exceptions import did_you_mean
from fastgmm.gaussian_mixture import GaussianMixture

__all__ = ["CRITERIA", "Criterion", "get_criterion"]

N_FOLDS = 5


@dataclass(frozen=True)
class Criterion:
    """A named judgement.

    Attributes
    ----------
    name : str
    evaluate : callable or None
        ``evaluate(estimator, X, sample_weight, random_state) -> float``; None: the column of that name in the results.
    sign : int
        1 where lower is better, -1 where higher is.
    """

    name: str
    evaluate: Callable[..., float] | None = None
    sign: int = 1


def held_out_log_likelihood(estimator: GaussianMixture, X: Any, sample_weight: Any, random_state: Any) -> float:
    """Return the mean log-likelihood of rows not fitted to, over `N_FOLDS` folds, in nats per unit of weight.

    Each fold starts from the memberships that `estimator` ended with; the same folds serve every candidate of a
    search with a fixed seed.
    """
    from sklearn.model_selection import KFold

    shares = estimator.predict_proba(X)[:, : estimator.n_components]
    shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), np.finfo(shares.dtype).tiny)
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    total = 0.0
    for fitted, held_out in KFold(N_FOLDS, shuffle=True, random_state=random_state).split(X):
        model = clone(estimator).set_params(warm_start=False)
        # Where no component is likely at all the shares are equal ones.
        start = np.where(shares[fitted].sum(axis=1, keepdims=True) > 0.5, shares[fitted], 1.0 / estimator.n_components)
        model.set_params(init_params=start)
        if model.noise is not None and not np.isscalar(model.noise):
            model.set_params(noise=np.asarray(model.noise)[fitted])
        with unconverged_too():
            model.fit(X[fitted], sample_weight=None if sample_weight is None else sample_weight[fitted])
        total += float(weight[held_out] @ model.score_samples(X[held_out]))
    return total / float(weight.sum())


CRITERIA = {
    **{name: Criterion(name) for name in ("bic", "icl", "aic")},
    "cv_log_likelihood": Criterion("cv_log_likelihood", held_out_log_likelihood, -1),
}


def get_criterion(criterion: Any) -> Criterion:
    """Return the criterion of that name, or one that calls ``criterion(estimator, X)``, lower being better.

    Raises
    ------
    ValueError
        If it is neither a known name nor callable.
    """
    if callable(criterion):
        name = getattr(criterion, "__name__", "criterion")
        return Criterion(name, lambda estimator, X, weight, seed: float(criterion(estimator, X)))
    if isinstance(criterion, str) and criterion in CRITERIA:
        return CRITERIA[criterion]
    raise ValueError(
        f"criterion is {criterion!r}{did_you_mean(criterion, CRITERIA)}; expected one of {', '.join(CRITERIA)}, or a "
        "callable(estimator, X)"
    )
