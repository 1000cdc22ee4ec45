"""Which features tell of clusters: variable selection for model-based clustering."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from fastgmm.estimator.fit_context import fit_context
from fastgmm.estimator.input_validation import check_weight_counts_rows
from fastgmm.estimator.parameter_validation import Names
from fastgmm.estimator.reading import read_rows, refuse_source
from fastgmm.selection.feature_evidence import FeatureEvidence, search_of
from fastgmm.selection.feature_steps import FeatureSteps
from fastgmm.selection.search import GaussianMixtureSearch

__all__ = ["GaussianMixtureFeatureSelector"]


class GaussianMixtureFeatureSelector(SelectorMixin, BaseEstimator):
    """Select the features that tell of clusters: the stepwise search of R's clustvarsel.

    A feature is selected if a mixture with it has a lower BIC than a mixture without it plus a regression of the
    feature on those selected. So a feature that is noise, or that only follows from others, stays out.

    Parameters
    ----------
    search : GaussianMixtureSearch, optional
        The search that is run on each subset of features. By default it is ``GaussianMixtureSearch()``, with one to
        nine components and all families of mclust. Fewer structures take less time. Its criterion must be the BIC.
    direction : {'forward', 'backward'}, default='forward'
        'forward' starts from the two best features, 'backward' from all. Both add and remove in turn.
    method : {'greedy', 'headlong'}, default='greedy'
        'greedy' looks at every feature before a step and takes the best. 'headlong' takes the first one that is good
        enough, beginning with those that are most clustered by themselves, and drops features below `lower` for good.
        Use it for many features.
    bic_difference : float, default=0.0
        How much the BIC must fall, in nats, for a feature to be added or kept.
    lower : float, default=-10.0
        For 'headlong': a feature whose difference of BIC is below this is not looked at again.
    max_steps : int, default=100
        The most rounds of adding and removing.

    Attributes
    ----------
    support_ : ndarray of shape (n_features,), bool
        The features selected, at least one.
    steps_ : dict of list
        One entry per step that was proposed: feature (its name, or its number), step ('add' or 'remove'), bic (of the
        mixture that the step leads to), covariance_type, n_components, bic_difference and accepted.
        ``pandas.DataFrame(steps_)`` makes a table.
    search_ : GaussianMixtureSearch
        The search fitted to the selected features. If it chooses one component, the features show no clusters.
    n_features_in_ : int
        Number of features (columns) seen in `fit`.
    feature_names_in_ : ndarray of str
        The names of the columns of X in `fit`. Only there if X had names that are all strings.

    See Also
    --------
    GaussianMixtureSearch : What is fitted to each subset.
    sklearn.feature_selection.SequentialFeatureSelector : Features for a task with targets.

    Notes
    -----
    Differences are mclust's with the sign that makes positive mean 'in'. clustvarsel has no headlong backward search;
    here it starts from all features and goes on as the forward one does.

    References
    ----------
    Raftery and Dean (2006), Variable selection for model-based clustering, JASA 101. Scrucca and Raftery (2018),
    clustvarsel: A package implementing variable selection for Gaussian model-based clustering in R, Journal of
    Statistical Software 84.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixtureFeatureSelector, GaussianMixtureSearch
    >>> rng = np.random.default_rng(0)
    >>> informative = np.concatenate([rng.normal(size=(100, 2)), rng.normal(size=(100, 2)) + 4])
    >>> X = np.column_stack([informative, rng.normal(size=(200, 2))])
    >>> selector = GaussianMixtureFeatureSelector(GaussianMixtureSearch(range(1, 4), ["EEE", "VVV"])).fit(X)
    >>> selector.get_support()
    array([ True,  True, False, False])
    >>> selector.transform(X).shape
    (200, 2)
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "search": [GaussianMixtureSearch, None],
        "direction": [Names(["forward", "backward"])],
        "method": [Names(["greedy", "headlong"])],
        "bic_difference": [Interval(Real, None, None, closed="neither")],
        "lower": [Interval(Real, None, None, closed="neither")],
        "max_steps": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        search: Any = None,
        *,
        direction: str = "forward",
        method: str = "greedy",
        bic_difference: float = 0.0,
        lower: float = -10.0,
        max_steps: int = 100,
    ) -> None:
        self.search = search
        self.direction = direction
        self.method = method
        self.bic_difference = bic_difference
        self.lower = lower
        self.max_steps = max_steps

    # The BIC counts rows.
    _weights_count_rows = True

    @fit_context()
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Select features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows whose features are chosen from.
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
            If X or a parameter is not valid, or no mixture can be fitted to any feature.

        See Also
        --------
        transform : Keeps the columns selected.
        """
        refuse_source(X, "fit of GaussianMixtureFeatureSelector")
        read = read_rows(self, X, sample_weight, check_random_state(None))
        rows = read.sample
        check_weight_counts_rows(rows)
        search: Any = GaussianMixtureSearch() if self.search is None else self.search
        if search.criterion != "bic":
            raise ValueError(
                f"the criterion of search is {search.criterion!r}; expected 'bic', which evidence is made of"
            )
        sizes = [size for size in search._checked_sizes() if size > 1]
        if not sizes:
            raise ValueError(
                f"n_components of search is {search.n_components!r}; expected a number of at least two among them, for "
                "clusters to be found"
            )
        names = getattr(self, "feature_names_in_", np.arange(rows.n_features)).tolist()
        evidence = FeatureEvidence(rows, search, sizes)
        steps = FeatureSteps(evidence, names, self.method == "headlong", self.bic_difference, self.lower)
        chosen = (steps.forward if self.direction == "forward" else steps.backward)(self.max_steps)
        self.support_ = np.isin(np.arange(rows.n_features), chosen)
        self.steps_ = steps.table
        self.search_ = search_of(search, search._checked_sizes(), len(chosen))
        self.search_.fit(np.ascontiguousarray(rows.X[:, self.support_]), sample_weight=rows.sample_weight)
        if hasattr(self, "feature_names_in_"):
            self.search_.feature_names_in_ = self.feature_names_in_[self.support_]
        return self

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self, "support_")
        return self.support_
