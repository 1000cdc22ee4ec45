"""Whether a feature tells of clusters beyond what other features do: the two models that are compared, by BIC.

Raftery and Dean: a feature either belongs to the mixture, or it follows from the features of the mixture by a linear
regression, whose predictors are a subset of them.

References
----------
Raftery and Dean (2006), Variable selection for model-based clustering, Journal of the American Statistical Association
101. Maugis, Celeux and Martin-Magniette (2009), Variable selection for clustering with Gaussian mixture models,
Biometrics 65 (the subset of predictors).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.base import clone

from fastgmm.data import ArrayRows
from fastgmm.data.standardised import mean_and_covariance
from fastgmm.exceptions import SelectionWarning, without_warnings
from fastgmm.families.covariance import MULTIVARIATE
from fastgmm.selection.search import GaussianMixtureSearch

__all__ = ["Clustering", "FeatureEvidence", "search_of"]

#: Predictors among which all subsets are looked at; of more, the least useful is left out as long as that helps.
ALL_SUBSETS = 10
#: A residual variance below this share of the feature's own is no more than rounding.
NO_RESIDUAL = 1e-12


def search_of(search: GaussianMixtureSearch, sizes: list[int], n_features: int) -> Any:
    """Return an unfitted search of these sizes, with the structures that so many features take.

    A family of mclust is on one feature what its volumes are: E for equal ones, V for varying ones.
    """
    names = search.covariance_type
    if n_features == 1 and names != "all":
        given = [names] if isinstance(names, str) else list(names)
        names = list(dict.fromkeys(name[0] if name in MULTIVARIATE else name for name in given))
    return clone(search).set_params(n_components=sizes, covariance_type=names)


class Clustering:
    """The best mixture of at least two components for some features: its BIC (lower is better), structure and size."""

    def __init__(self, search: GaussianMixtureSearch | None) -> None:
        self.bic, self.covariance_type, self.n_components = np.inf, None, None
        if search is not None:
            self.bic = float(search.best_score_)
            self.covariance_type = search.best_params_["covariance_type"]
            self.n_components = search.best_params_["n_components"]


class FeatureEvidence:
    """Evidence for and against features, each model fitted once.

    Parameters
    ----------
    rows : ArrayRows
        All features.
    search : GaussianMixtureSearch
        Cloned for every subset of features.
    sizes : list of int
        Numbers of components to try, at least two.
    """

    def __init__(self, rows: ArrayRows, search: GaussianMixtureSearch, sizes: list[int]) -> None:
        self.rows, self.search, self.sizes = rows, search, sizes
        self.n_rows = float(rows.total_weight)
        covariance = mean_and_covariance(rows)[1]
        self.variances = np.maximum(np.diagonal(covariance), 0.0)
        scale = np.sqrt(np.where(self.variances > 0, self.variances, 1.0))
        self.correlations = covariance / scale[:, None] / scale
        self._clusterings: dict[tuple[int, ...], Clustering] = {}

    def clustering(self, features: Iterable[int]) -> Clustering:
        """Return the best mixture for some features."""
        chosen = tuple(sorted(features))
        if chosen not in self._clusterings:
            X = np.ascontiguousarray(self.rows.X[:, chosen])
            search = search_of(self.search, self.sizes, len(chosen))
            with without_warnings(SelectionWarning):
                try:
                    search.fit(X, sample_weight=self.rows.sample_weight)
                except ValueError:
                    # Features that are constant or follow from each other have no mixture.
                    search = None
            self._clusterings[chosen] = Clustering(search)
        return self._clusterings[chosen]

    def regression(self, feature: int, predictors: list[int]) -> float:
        """Return the BIC of a feature given others, by the best subset of these; of no predictors, of one Gaussian."""
        own = self.variances[feature]
        if not own > 0:
            return -np.inf

        def bic(subset: tuple[int, ...]) -> float:
            share = self._residual_share(feature, subset)
            if share < NO_RESIDUAL:
                return -np.inf
            n_parameters = len(subset) + 2
            return self.n_rows * (np.log(2.0 * np.pi * own * share) + 1.0) + n_parameters * np.log(self.n_rows)

        if len(predictors) <= ALL_SUBSETS:
            sizes = range(len(predictors) + 1)
            return min(bic(subset) for size in sizes for subset in combinations(predictors, size))
        kept = tuple(predictors)
        least = bic(kept)
        while kept:
            value, fewer = min((bic(fewer), fewer) for fewer in combinations(kept, len(kept) - 1))
            if value > least:
                break
            least, kept = value, fewer
        return least

    def _residual_share(self, feature: int, subset: tuple[int, ...]) -> float:
        if not subset:
            return 1.0
        own = self.correlations[feature, subset]
        slopes = np.linalg.lstsq(self.correlations[np.ix_(subset, subset)], own, rcond=None)[0]
        return float(1.0 - own @ slopes)

    def difference(self, feature: int, others: list[int]) -> float:
        """Return how much lower the BIC is with the feature in the mixture than regressed on it, in nats.

        Positive where the feature tells of clusters that the others do not; without others, where it has clusters.
        """
        together = self.clustering([*others, feature]).bic
        alone = self.clustering(others).bic if others else 0.0
        apart = alone + self.regression(feature, others)
        if not np.isfinite(together):
            return -np.inf
        return apart - together
