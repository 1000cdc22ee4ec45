"""Clusters of any shape: a mixture with as many components as it takes, merged to clusters."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

from fastgmm.callbacks import CallbackSupport, Task, Watch
from fastgmm.estimator.absent_rows import UNLABELLED, absent_rows
from fastgmm.estimator.fit_context import fit_context
from fastgmm.estimator.inner_mixture import INNER_CONSTRAINTS, covariance_to_count, inner_options, unconverged_too
from fastgmm.estimator.input_validation import check_weight_counts_rows
from fastgmm.estimator.parameter_validation import Names
from fastgmm.estimator.per_row import PerRow
from fastgmm.estimator.problem import warn_unconverged
from fastgmm.estimator.reading import Reading, read_rows, refuse_source
from fastgmm.families import Gaussian, get_covariance
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.selection.merging import METHODS, ComponentMerge, merge_shares
from fastgmm.starts.units import StartInUnits
from fastgmm.student_mixture import StudentMixture

__all__ = ["GaussianMixtureClusterer"]

MIXTURES: dict[str, type] = {"normal": GaussianMixture, "student": StudentMixture}
#: Numbers of components are tried in steps of a fifth, until this many in a row have not lowered the BIC.
STEP, N_WORSE = 1.2, 5


class GaussianMixtureClusterer(CallbackSupport, PerRow, ClusterMixin, BaseEstimator):
    """Find clusters that need not be Gaussian: fit more components than there are clusters, and merge them.

    First, a mixture is fitted with the number of components that has the lowest Bayesian information criterion. Its
    components follow the density of the data, rings and bands included. Then the two clusters that share most rows are
    merged, again and again. The result is still a mixture, so new rows get labels and probabilities.

    Parameters
    ----------
    n_clusters : int or 'auto', default='auto'
        The number of clusters. 'auto' stops merging when the clusters left overlap much less than those merged before.
    n_components : int or 'bic', default='bic'
        The number of components to fit, at least as many as clusters. 'bic' takes the number with the lowest BIC, from
        `n_clusters` to `max_components`.
    covariance_type : str, default='full'
        As in `GaussianMixture`.
    distribution : {'normal', 'student'}, default='normal'
        'student' fits components with heavy tails (`StudentMixture`), which are not stretched by far rows.
    method : {'overlap', 'modes', 'entropy'}, default='overlap'
        Which clusters are merged first. See `fastgmm.selection.merge_components`.
    min_cluster_size : float, default=0.1
        The smallest size of a cluster, as a share of ``n_samples / n_clusters`` rows. It matters only if `n_clusters`
        is a number. A smaller cluster joins the one with which it shares most rows, so that a handful of outliers is
        not a cluster. 0 merges by `method` alone.
    noise : float, optional
        The share of rows that start in an even background beside the components, as in `GaussianMixture`. Rows that end
        in it have the label -1.
    max_components : int, default=80
        The most components that ``n_components='bic'`` tries. It is raised to `n_clusters` if that is larger.
    prior : 'default', dict or None, default='default'
        As in `GaussianMixture`. It keeps components from shrinking onto a few rows.
    tol, max_iter, n_init, init_params
        As in `GaussianMixture`; starts measure distances in standard deviations of the columns.
    reg_covar : float or 'auto', default='auto'
        As in `GaussianMixture`.
    random_state : int, RandomState or None
        Seed of everything that is drawn at random. Pass an int to get the same result in every run.
    missing : {'error', 'marginalise'}, default='error'
        'marginalise' takes NaN in X for a missing value, in fits and predictions. A row is then assigned by the values
        it has.
    n_factors : int, 'bic' or 'cattell', default='bic'
        Of covariance types with loadings, as `GaussianMixture` has it.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), int64
        The cluster of each row of `fit`. Cluster 0 is the largest one; noise is -1, as are rows with weight 0 that
        contain NaN.
    n_clusters_ : int
        The number of clusters, without the background.
    cluster_of_component_ : ndarray of shape (n_components,), int64
        The cluster that each component of `mixture_` belongs to.
    mixture_ : GaussianMixture or StudentMixture
        The mixture with all its components, before they were merged.
    n_components_, n_iter_ : int
        Components and iterations of `mixture_`.
    bic_ : float
        The Bayesian information criterion of `mixture_`, in nats. Lower is better.
    merges_ : ndarray of shape (n_components - 1, 2), int64
        The pairs of components whose clusters were merged, in order, down to one cluster. The cluster of the second
        joins that of the first.
    strengths_ : ndarray of shape (n_components - 1,)
        How strongly each pair belonged together, as in `fastgmm.selection.ComponentMerge`.
    stopped_ : bool
        Whether a callback (`fastgmm.callbacks`) ended the choice of the number of components.
    n_features_in_ : int
        Number of features (columns) seen in `fit`.
    feature_names_in_ : ndarray of str
        The names of the columns of X in `fit`. Only there if X had names that are all strings.

    See Also
    --------
    fastgmm.selection.merge_components : The merging of a mixture that is fitted already.
    GaussianMixtureSearch : Where every cluster is one Gaussian component.

    References
    ----------
    Hennig (2010), Methods for merging Gaussian mixture components, Advances in Data Analysis and Classification 4.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from fastgmm import GaussianMixtureClusterer
    >>> X, _ = make_moons(400, noise=0.05, random_state=0)
    >>> model = GaussianMixtureClusterer(random_state=0).fit(X)
    >>> model.n_clusters_
    2
    >>> bool(model.predict([[0.0, 1.0]])[0] != model.predict([[1.0, -0.5]])[0])
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **INNER_CONSTRAINTS,
        "n_clusters": [Interval(Integral, 1, None, closed="left"), Names(["auto"])],
        "distribution": [Names(MIXTURES)],
        "method": [Names(METHODS)],
        "min_cluster_size": [Interval(Real, 0.0, 1.0, closed="both")],
        "noise": [Interval(Real, 0.0, 1.0, closed="neither"), None],
        "prior": [Names(["default"]), dict, None],
    }

    def __init__(
        self,
        n_clusters: Any = "auto",
        *,
        n_components: Any = "bic",
        covariance_type: Any = "full",
        distribution: str = "normal",
        method: str = "overlap",
        min_cluster_size: float = 0.1,
        noise: Any = None,
        max_components: Any = 80,
        prior: Any = "default",
        tol: float = 1e-3,
        reg_covar: Any = "auto",
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Any = "kmeans",
        random_state: Any = None,
        missing: str = "error",
        n_factors: Any = "bic",
    ) -> None:
        self.n_clusters = n_clusters
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.distribution = distribution
        self.method = method
        self.min_cluster_size = min_cluster_size
        self.noise = noise
        self.max_components = max_components
        self.prior = prior
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.random_state = random_state
        self.missing = missing
        self.n_factors = n_factors

    # A prior, and the BIC, set weights against rows.
    _weights_count_rows = True

    @fit_context()
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the mixture and merge its components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to cluster.
        y : Ignored
            Present for consistency with other scikit-learn estimators.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each row, not negative. A row of weight 2 counts like two equal rows.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or a parameter is not valid, or no number of components could be fitted
            (`fastgmm.exceptions.ComponentCollapseError`).

        See Also
        --------
        predict : The cluster of new rows.
        """
        refuse_source(X, "fit of GaussianMixtureClusterer")
        read = read_rows(self, X, sample_weight, check_random_state(self.random_state))
        get_covariance(self.covariance_type, self.n_factors).check_n_features(read.sample.n_features)
        check_weight_counts_rows(read.rows)
        sizes = self._sizes(read)
        weight = read.sample.sample_weight
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        watch = self._watch(len(sizes), X=read.given, y=y, sample_weight=weight)
        self.mixture_, self.bic_ = self._lowest_bic(
            watch, sizes, partial(self._fit_size, read, seed), partial(self._rank, read)
        )
        self.n_components_, self.n_iter_ = self.mixture_.n_components, self.mixture_.n_iter_
        self._merge(read)
        self.labels_[absent_rows(X, sample_weight, self)] = UNLABELLED
        self.stopped_ = watch.finish()
        if not (self.mixture_.converged_ or self.mixture_.stopped_):
            warn_unconverged(self.max_iter)
        return self

    def _sizes(self, read: Reading) -> list[int]:
        n_samples, n_features = read.sample.n_samples, read.sample.n_features
        least = 1 if isinstance(self.n_clusters, str) else int(self.n_clusters)
        if least > n_samples:
            raise ValueError(f"n_clusters is {least}; expected at most the number of rows of X, {n_samples}")
        if not isinstance(self.n_components, str):
            return [max(int(self.n_components), least)]
        family = Gaussian(covariance_to_count(self, self.covariance_type))
        sizes = [least]
        # The BIC is for large samples: of a mixture with more parameters than half the numbers in X it says nothing.
        while (size := max(sizes[-1] + 1, round(sizes[-1] * STEP))) <= max(self.max_components, 2 * least):
            if family.n_parameters(size, n_features) > read.rows.total_weight * n_features / 2:
                break
            sizes.append(size)
        return [size for size in sizes if size <= n_samples]

    def _fit_size(self, read: Reading, seed: int, size: int, task: Task) -> tuple[Any, float]:
        options = inner_options(self) | {"init_params": StartInUnits(self.init_params)}
        model = MIXTURES[self.distribution](size, random_state=seed, noise=self.noise, prior=self.prior, **options)
        with unconverged_too(), task.follow(model):
            model.fit(read.given, sample_weight=read.sample.sample_weight)
        # Its parameters are those a user would give.
        model.init_params = self.init_params
        return model, model.bic(read.given, sample_weight=read.sample.sample_weight)

    def _rank(self, read: Reading, found: tuple[Any, float]) -> tuple[int, float]:
        """Return what mixtures are compared by: clusters that must stay without rows, then the BIC."""
        if isinstance(self.n_clusters, str):
            return 0, found[1]
        with_rows = np.unique(np.asarray(found[0].predict(read.given)))
        return max(
            0, int(self.n_clusters) - int(np.sum((with_rows >= 0) & (with_rows < found[0].n_components)))
        ), found[1]

    @staticmethod
    def _lowest_bic(watch: Watch, sizes: list[int], fit: Any, rank: Any) -> tuple[Any, float]:
        best, best_rank, failure, n_worse = None, None, None, 0
        for size, task in watch.candidates(sizes):
            try:
                found = fit(size, task)
            except ValueError as error:
                failure = failure or error
                continue
            task.outcome = found[0]
            its = rank(found)
            if best_rank is None or its < best_rank:
                best, best_rank, n_worse = found, its, 0
            else:
                n_worse += 1
            if n_worse == N_WORSE:
                break
        if best is None:
            assert failure is not None, "at least one size was tried"
            raise failure
        return best

    def _merge(self, read: Reading) -> None:
        shares = np.asarray(self.mixture_.predict_proba(read.given), dtype=np.float64)
        of_components = shares[:, : self.n_components_]
        is_auto = isinstance(self.n_clusters, str)
        least = 0.0 if is_auto else self.min_cluster_size / int(self.n_clusters)
        weight = read.sample.sample_weight
        # A row that misses values is shared by whatever it might belong to: not what clusters overlap by.
        whole = ~np.isnan(read.sample.X).any(axis=1)
        if 0.5 <= whole.mean() < 1.0:
            of_components, weight = of_components[whole], None if weight is None else weight[whole]
        merge: ComponentMerge = merge_shares(self.mixture_, of_components, weight, method=self.method, min_weight=least)
        self.n_clusters_ = merge.suggested_n_clusters if is_auto else int(self.n_clusters)
        self.merges_, self.strengths_ = merge.merges, merge.strengths
        cluster = merge.cluster_of_component(self.n_clusters_) if is_auto else _with_rows(merge, self.n_clusters_)
        largest_first = np.argsort(-np.bincount(cluster, weights=self.mixture_.weights_), kind="stable")
        self.cluster_of_component_ = np.argsort(largest_first)[cluster]
        self.labels_ = self._most_probable(shares)

    # Predicting.

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "labels_")

    def _clusters(self, shares: np.ndarray) -> np.ndarray:
        joined = shares[:, : self.n_components_] @ np.eye(self.n_clusters_)[self.cluster_of_component_]
        return np.column_stack([joined, shares[:, self.n_components_ :]])

    def _most_probable(self, shares: np.ndarray) -> np.ndarray:
        labels = self._clusters(shares).argmax(axis=1)
        return np.where(labels == self.n_clusters_, -1, labels)

    def _shares(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.mixture_._responsibilities(rows), dtype=np.float64)

    def _cluster_shares(self, rows: np.ndarray) -> np.ndarray:
        return self._clusters(self._shares(rows))

    def _labels_of(self, rows: np.ndarray) -> np.ndarray:
        return self._most_probable(self._shares(rows))

    def _log_density(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.mixture_._log_density(rows), dtype=np.float64)

    def predict(self, X: Any) -> np.ndarray:
        """Return the cluster of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            The cluster of each row. Cluster 0 was the largest one in `fit`. Rows of the background, if there is one,
            are -1.

        See Also
        --------
        predict_proba : The probability of each cluster.
        """
        return self._per_row(X, self._labels_of, "prediction")

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each cluster for each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_clusters), float64
            The probabilities. Each row sums to one. With `noise`, the last column is that of the background.

        See Also
        --------
        predict : The most probable cluster.
        """
        return self._per_row(X, self._cluster_shares, "probability")

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the log density of each row under the mixture.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64
            In nats.

        See Also
        --------
        predict : The cluster of each row.
        """
        return self._per_row(X, self._log_density, "log_density")


def _with_rows(merge: ComponentMerge, n_clusters: int) -> np.ndarray:
    """Return the cluster of each component so that each of `n_clusters` is the most probable one of some row.

    A cluster under others may be that of no row. Fewer mergers then leave as many clusters with rows, and what is left
    over joins the one of these that it shares most with.
    """
    for level in range(n_clusters, merge.n_components + 1):
        counts = np.bincount(merge.labels(level), minlength=level)
        if np.count_nonzero(counts) >= n_clusters:
            break
    else:
        return merge.cluster_of_component(n_clusters)
    cluster = merge.cluster_of_component(level)
    if level == n_clusters:
        return cluster
    kept = np.sort(np.argsort(-counts, kind="stable")[:n_clusters])
    soft = merge.responsibilities(level)
    nearest = (soft.T @ soft[:, kept]).argmax(axis=1)
    nearest[kept] = np.arange(n_clusters)
    return nearest[cluster]
