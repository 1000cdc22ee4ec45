"""Merging components into clusters: a cluster need not be Gaussian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgmm.estimator.input_validation import check_sample_weight
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.model import MixtureParameters

__all__ = ["ComponentMerge", "merge_components"]


@dataclass(frozen=True)
class ComponentMerge:
    """Clusters of components, for every number from all components apart to one cluster.

    Attributes
    ----------
    component_responsibilities : ndarray of shape (n_samples, n_components)
        The probability of each component before any merge.
    merges : ndarray of shape (n_components - 1, 2), int64
        Components merged, in order: the cluster of the second joins that of the first.
    entropies : ndarray of shape (n_components,)
        Total entropy of the soft clusters, in nats: ``entropies[c - 1]`` with c clusters.
    merged_weights : ndarray of shape (n_components - 1,)
        Weight of the rows in the two clusters that a merge joins (by most probable cluster), in order of the merges.

    See Also
    --------
    merge_components : Makes it.
    """

    component_responsibilities: np.ndarray
    merges: np.ndarray
    entropies: np.ndarray
    merged_weights: np.ndarray

    @property
    def n_components(self) -> int:
        """Number of components."""
        return self.component_responsibilities.shape[1]

    def cluster_of_component(self, n_clusters: int) -> np.ndarray:
        """Return the cluster each component belongs to, numbered by lowest component, shape (n_components,), int64.

        Raises
        ------
        ValueError
            If `n_clusters` is not in 1 to n_components.
        """
        if not 1 <= n_clusters <= self.n_components:
            raise ValueError(f"n_clusters is {n_clusters}; expected 1 to n_components = {self.n_components}")
        cluster = np.arange(self.n_components)
        for kept, gone in self.merges[: self.n_components - n_clusters]:
            cluster[cluster == cluster[gone]] = cluster[kept]
        return np.unique(cluster, return_inverse=True)[1].astype(np.int64)

    def responsibilities(self, n_clusters: int) -> np.ndarray:
        """Return the soft clusters, shape (n_samples, n_clusters)."""
        membership = np.eye(n_clusters)[self.cluster_of_component(n_clusters)]
        return self.component_responsibilities @ membership

    def labels(self, n_clusters: int) -> np.ndarray:
        """Return the most probable cluster of each row, shape (n_samples,), int64."""
        return self.responsibilities(n_clusters).argmax(axis=1)

    @property
    def suggested_n_clusters(self) -> int:
        """Number of clusters at the elbow of the entropies.

        Two straight lines that meet in one of the points are fitted to entropy against number of clusters; the elbow
        is where they meet with the least squared error (one cluster fewer than three points have no elbow: all are
        kept).
        """
        count = self.n_components
        if count < 3:
            return count
        sizes = np.arange(1.0, count + 1)
        errors = {}
        for elbow in range(2, count):
            left, right = slice(0, elbow), slice(elbow - 1, count)
            errors[elbow] = sum(_squared_error(sizes[part], self.entropies[part]) for part in (left, right))
        return min(errors, key=lambda elbow: errors[elbow])


def _squared_error(x: Any, y: Any) -> Any:
    return float(np.sum((y - np.polyval(np.polyfit(x, y, 1), x)) ** 2))


def merge_components(estimator: GaussianMixture, X: Any, sample_weight: Any = None) -> ComponentMerge:
    """Merge the components of a fitted mixture two by two, so that the entropy of the soft clusters falls most.

    Parameters
    ----------
    estimator : GaussianMixture or GaussianMixtureSearch
        Fitted, without a background; of a search, the best model.
    X : array-like of shape (n_samples, n_features)
        The rows the mixture was fitted to.
    sample_weight : array-like of shape (n_samples,), optional
        Weight of each row; by default every row counts once.

    Returns
    -------
    ComponentMerge
        The merges in order, with the labels for every number of clusters.

    Raises
    ------
    ValueError
        If the estimator has a background component.

    See Also
    --------
    fastgmm.GaussianMixtureSearch : Chooses the mixture whose components are merged.

    References
    ----------
    Baudry, Raftery, Celeux, Lo and Gottardo (2010), Combining mixture components for clustering, Journal of
    Computational and Graphical Statistics 19, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.selection import merge_components
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.uniform(-3, 3, size=(300, 2)), rng.normal(size=(100, 2)) + 9])
    >>> model = GaussianMixture(4, random_state=0, n_init=3).fit(X)
    >>> sorted(np.bincount(merge_components(model, X).labels(2)).tolist())
    [100, 300]
    """
    check_is_fitted(estimator)
    fitted: Any = getattr(estimator, "best_estimator_", estimator)
    if not isinstance(fitted._fitted_state(), MixtureParameters):
        raise ValueError("estimator has a background component, which is no cluster; refit it with noise=None")
    shares = np.asarray(estimator.predict_proba(X), dtype=np.float64)
    weight = check_sample_weight(sample_weight, shares.shape[0])
    weight = np.ones(shares.shape[0]) if weight is None else weight
    names = list(range(shares.shape[1]))
    clusters = shares.copy()
    merges, merged_weights = [], []
    entropies = [-float(weight @ _x_log_x(clusters).sum(axis=1))]
    while len(names) > 1:
        own = weight @ _x_log_x(clusters)
        # gained[i, j] is what the entropy falls by when i and j become one.
        gained = np.full((len(names), len(names)), -np.inf)
        for i in range(len(names) - 1):
            together = weight @ _x_log_x(clusters[:, i, None] + clusters[:, i + 1 :])
            gained[i, i + 1 :] = together - own[i] - own[i + 1 :]
        i, j = (int(place) for place in np.unravel_index(np.argmax(gained), gained.shape))
        merges.append((names[i], names[j]))
        merged_weights.append(float(weight[np.isin(clusters.argmax(axis=1), (i, j))].sum()))
        clusters[:, i] += clusters[:, j]
        clusters = np.delete(clusters, j, axis=1)
        del names[j]
        entropies.append(-float(weight @ _x_log_x(clusters).sum(axis=1)))
    return ComponentMerge(
        shares,
        np.array(merges, dtype=np.int64).reshape(-1, 2),
        np.maximum(entropies[::-1], 0.0),
        np.array(merged_weights),
    )


def _x_log_x(values: Any) -> Any:
    return values * np.log(np.maximum(values, np.finfo(np.float64).tiny))
