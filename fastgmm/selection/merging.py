"""Merging components into clusters: a cluster need not be Gaussian."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgmm.estimator.absent_rows import without_absent
from fastgmm.estimator.input_validation import check_sample_weight
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.inference.conditioning import full_covariances
from fastgmm.inference.divergence import bhattacharyya
from fastgmm.model import MixtureParameters
from fastgmm.selection.linkage import Entropy, Linkage, Modes, Overlap, agglomerate, ridge_saddles, x_log_x

__all__ = ["METHODS", "ComponentMerge", "merge_components", "merge_shares"]

#: Overlaps below a hundredth of what independent memberships have are all alike: no clusters are further apart.
APART = 0.01
#: Two clusters whose overlap is above this share of it are one, whatever other merges there are.
ONE = 0.3
#: Clusters between which the density falls by less than this, in nats, have one mode: the ridge line has few points.
FLAT = 0.01


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
    method : {'entropy', 'overlap', 'modes'}
        What chose the merges.
    strengths : ndarray of shape (n_components - 1,)
        How strongly the two belonged together, in order of the merges: the fall of the entropy in nats (per row, if so
        asked), the logarithm of the overlap, or minus the dip of the log density between them.

    See Also
    --------
    merge_components : Makes it.
    """

    component_responsibilities: np.ndarray
    merges: np.ndarray
    entropies: np.ndarray
    merged_weights: np.ndarray
    method: str = "entropy"
    strengths: np.ndarray = field(default_factory=lambda: np.empty(0))

    @property
    def n_components(self) -> int:
        """Number of components.

        See Also
        --------
        suggested_n_clusters : How many clusters to keep.
        """
        return self.component_responsibilities.shape[1]

    def cluster_of_component(self, n_clusters: int) -> np.ndarray:
        """Return the cluster each component belongs to, numbered by lowest component, shape (n_components,), int64.

        Raises
        ------
        ValueError
            If `n_clusters` is not in 1 to n_components.

        See Also
        --------
        labels : The cluster of each row.
        """
        if not 1 <= n_clusters <= self.n_components:
            raise ValueError(f"n_clusters is {n_clusters}; expected 1 to n_components = {self.n_components}")
        cluster = np.arange(self.n_components)
        for kept, gone in self.merges[: self.n_components - n_clusters]:
            cluster[cluster == cluster[gone]] = cluster[kept]
        return np.unique(cluster, return_inverse=True)[1].astype(np.int64)

    def responsibilities(self, n_clusters: int) -> np.ndarray:
        """Return the soft clusters, shape (n_samples, n_clusters).

        See Also
        --------
        labels : The most probable cluster.
        """
        membership = np.eye(n_clusters)[self.cluster_of_component(n_clusters)]
        return self.component_responsibilities @ membership

    def labels(self, n_clusters: int) -> np.ndarray:
        """Return the most probable cluster of each row, shape (n_samples,), int64.

        See Also
        --------
        responsibilities : How probable each cluster is.
        """
        return self.responsibilities(n_clusters).argmax(axis=1)

    @property
    def suggested_n_clusters(self) -> int:
        """Number of clusters that the merges suggest.

        By 'entropy', the elbow: two straight lines that meet in one of the points are fitted to entropy against number
        of clusters, with the least squared error (fewer than three points have no elbow: all components are kept). By
        'overlap', where the next merge would join clusters that overlap least beside all those joined before; one if
        even these overlap by more than 0.3. By 'modes', the number of modes.

        See Also
        --------
        labels : The clusters of the rows for a number of clusters.
        """
        if self.method == "overlap":
            return _widest_gap(self.strengths)
        if self.method == "modes":
            return 1 + int(np.sum(np.minimum.accumulate(self.strengths) < -FLAT))
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


def _widest_gap(strengths: np.ndarray) -> int:
    # What joined last is first; memberships of one component overlap as independent ones do.
    levels = np.maximum(np.append(strengths[::-1], 0.0), np.log(APART))
    weakest_so_far = np.minimum.accumulate(levels[::-1])[::-1]
    gaps = weakest_so_far[1:] - levels[:-1]
    if not len(gaps) or gaps.max() <= 0.0 or levels[gaps.argmax()] > np.log(ONE):
        return 1
    return 2 + int(gaps.argmax())


def merge_components(
    estimator: GaussianMixture,
    X: Any,
    sample_weight: Any = None,
    *,
    method: str = "entropy",
    per_row: bool = False,
    min_weight: float = 0.0,
) -> ComponentMerge:
    """Merge the components of a fitted mixture two by two, those first that belong together most.

    Parameters
    ----------
    estimator : GaussianMixture or GaussianMixtureSearch
        The fitted mixture, without a background, or a fitted search, whose best model is taken.
    X : array-like of shape (n_samples, n_features)
        The rows the mixture was fitted to.
    sample_weight : array-like of shape (n_samples,), optional
        Weight of each row; by default every row counts once.
    method : {'entropy', 'overlap', 'modes'}, default='entropy'
        Which two clusters join next. 'entropy': those that lower the entropy of the soft clusters most. 'overlap':
        those whose rows are shared most, ``n sum(r_i r_j) / (n_i n_j)`` with the responsibilities r and the rows n_i;
        chains of components become rings and bands, in the least time. 'modes': those between which the density of the
        mixture dips least, along the ridge lines between their components.
    per_row : bool, default=False
        With 'entropy': whether to divide its fall by the rows of the two clusters, so that large clusters do not
        attract each other by their size.
    min_weight : float, default=0.0
        The smallest share of all rows that a cluster may hold. A smaller cluster joins the one it belongs to most.

    Returns
    -------
    ComponentMerge
        The merges in order, with the labels for every number of clusters.

    Raises
    ------
    ValueError
        If the estimator has a background component, or a parameter is not valid.

    See Also
    --------
    fastgmm.GaussianMixtureClusterer : Fits the components, merges them and predicts clusters of new rows.
    fastgmm.GaussianMixtureSearch : Chooses the mixture whose components are merged.

    References
    ----------
    Baudry, Raftery, Celeux, Lo and Gottardo (2010), Combining mixture components for clustering, Journal of
    Computational and Graphical Statistics 19, section 3. Hennig (2010), Methods for merging Gaussian mixture
    components, Advances in Data Analysis and Classification 4.

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
    >>> merge_components(model, X, method="overlap").suggested_n_clusters
    2
    """
    check_is_fitted(estimator)
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; expected 'entropy', 'overlap' or 'modes'")
    if not 0.0 <= min_weight < 1.0:
        raise ValueError(f"min_weight is {min_weight!r}; expected a share of the rows, from 0 to less than 1")
    fitted: Any = getattr(estimator, "best_estimator_", estimator)
    if hasattr(fitted, "noise_weight_"):
        raise ValueError("estimator has a background component, which is no cluster; refit it with noise=None")
    shares = np.asarray(estimator.predict_proba(without_absent(X, sample_weight, estimator)), dtype=np.float64)
    weight = check_sample_weight(sample_weight, shares.shape[0])
    return merge_shares(fitted, shares, weight, method=method, per_row=per_row, min_weight=min_weight)


def merge_shares(
    fitted: Any,
    shares: np.ndarray,
    weight: np.ndarray | None,
    *,
    method: str,
    per_row: bool = False,
    min_weight: float = 0.0,
) -> ComponentMerge:
    """Merge the components of a mixture whose responsibilities are known, shape (n_samples, n_components).

    Rows need not sum to one: what a background has of them is left out.
    """
    weight = np.ones(shares.shape[0]) if weight is None else weight
    linkage = METHODS[method](fitted, shares, weight, per_row)
    counts = weight @ shares
    merges, strengths = agglomerate(linkage, counts, min_weight * float(counts.sum()))
    clusters = shares.copy()
    alive, merged_weights = list(range(shares.shape[1])), []
    entropies = [-float(weight @ x_log_x(clusters).sum(axis=1))]
    hard = clusters.argmax(axis=1)
    for i, j in merges:
        merged_weights.append(float(weight[(hard == i) | (hard == j)].sum()))
        clusters[:, i] += clusters[:, j]
        clusters[:, j] = 0.0
        alive.remove(j)
        if len(alive) > 1:
            hard = clusters.argmax(axis=1)
        entropies.append(-float(weight @ x_log_x(clusters).sum(axis=1)))
    return ComponentMerge(shares, merges, np.maximum(entropies[::-1], 0.0), np.array(merged_weights), method, strengths)


def _by_entropy(fitted: Any, shares: np.ndarray, weight: np.ndarray, per_row: bool) -> Linkage:
    return Entropy(shares, weight, per_row)


def _by_overlap(fitted: Any, shares: np.ndarray, weight: np.ndarray, per_row: bool) -> Linkage:
    normal = _normal(fitted)
    return Overlap(shares.T @ (shares * weight[:, None]), bhattacharyya(normal, normal))


def _by_modes(fitted: Any, shares: np.ndarray, weight: np.ndarray, per_row: bool) -> Linkage:
    normal = _normal(fitted)
    return Modes(*ridge_saddles(normal.means, np.linalg.inv(full_covariances(normal)), fitted.score_samples))


def _normal(fitted: Any) -> MixtureParameters:
    """Return the components as normal ones: of Student's, those with the same scales."""
    state = fitted._fitted_state()
    for name in ("components", "mixture"):
        state = getattr(state, name, state)
    return state


#: How the linkage of each method is made.
METHODS = {"entropy": _by_entropy, "overlap": _by_overlap, "modes": _by_modes}
