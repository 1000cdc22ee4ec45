"""What rows leave behind under a fitted mixture, and the mixture adapted to them."""

from __future__ import annotations

from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from fastgmm.data import ArrayRows
from fastgmm.data.e_steps import EStep, Incomplete, Plain
from fastgmm.data.e_steps.plain import empty_about
from fastgmm.data.incomplete import density_for
from fastgmm.em import Run
from fastgmm.estimator.absent_rows import without_absent
from fastgmm.estimator.input_validation import check_sample_weight
from fastgmm.estimator.missing_values import takes_missing
from fastgmm.estimator.per_row import PerRow
from fastgmm.estimator.problem import run_attributes
from fastgmm.estimator.reading import check_columns
from fastgmm.inference.adaptation import PARTS, adapted_state
from fastgmm.model import SufficientStatistics

__all__ = ["AdaptationMethods", "StatisticsMethods"]


class StatisticsMethods(PerRow):
    """The part of a mixture estimator that hands out the statistics of rows."""

    _fitted_state: Any
    _fitted_family: Any

    def statistics(self, X: Any, sample_weight: Any = None) -> SufficientStatistics:
        """Return what one pass over the rows leaves behind: counts, sums and scatter about the means.

        Statistics of other rows under the same model can be added, ``a + b`` or ``sum(parts)``, on this machine or from
        others: they are pickled, and `to_bytes` writes them without.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows, with the features of the fit in the same order.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each row. By default every row counts once. Rows with weight 0 are ignored.

        Returns
        -------
        statistics : SufficientStatistics
            ``counts`` (K,), ``sums`` (K, D), ``scatter`` in the shape of `covariances_`, ``centres`` the means, and
            the total ``log_likelihood`` in nats. A background comes last, and shared scatter then by component. With
            ``missing='marginalise'``, missing values are completed by what is expected of them.

        See Also
        --------
        adapt : Moves a mixture towards rows, or towards such statistics.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [40.0]], [[[1.0]], [[1.0]]])
        >>> parts = [model.statistics([[1.0], [41.0]]), model.statistics([[2.0]])]
        >>> sum(parts).counts, sum(parts).sums.ravel()
        (array([2., 1.]), array([3., 1.]))
        """
        check_is_fitted(self)
        state = self._fitted_family().density(self._fitted_state())
        source = self._source_of(X, sample_weight)
        if source is None:
            rows = np.require(self._check_rows(without_absent(X, sample_weight, self)), requirements=["C", "A"]).view(
                np.ndarray
            )
            weight = check_sample_weight(sample_weight, len(rows))
            return ArrayRows(rows, weight).accumulate(density_for(rows, state))
        check_columns(self, source, source.n_features or state.n_features)
        e_step: EStep = Incomplete(Plain()) if takes_missing(self) else Plain()
        return e_step.prepare(source).accumulate(state)


class AdaptationMethods(StatisticsMethods):
    """The part of a maximum-likelihood estimator that adapts it to few rows."""

    _set_state: Any

    def adapt(self, X: Any, relevance: float = 16.0, update: Any = "means", sample_weight: Any = None) -> Self:
        """Return this mixture adapted to new rows, such as those of one speaker.

        A component to which n of the rows belong moves towards them by the share ``n / (n + relevance)``. A component
        without rows stays. So a few rows change little, and components keep their numbers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), a source of `fastgmm.data`, or SufficientStatistics
            The rows, or the statistics that this model's `statistics` returned for them, or a sum of such statistics.
        relevance : float, default=16.0
            How many rows a component's present parameters are worth. 0 makes one step of EM, and infinity changes
            nothing.
        update : {'means', 'weights', 'covariances'} or a tuple of them, default='means'
            What is adapted. Covariances stay in the family that `covariance_type` names. Degrees of freedom of t
            components are adapted together with them.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each row. By default every row counts once. Rows with weight 0 are ignored.

        Returns
        -------
        model
            A new fitted estimator with the same constructor parameters. Its `n_samples_seen_` is the weight of X.

        Raises
        ------
        ValueError
            If `relevance` is negative, `update` names something else, or statistics are of another mixture.

        See Also
        --------
        fastgmm.log_likelihood_ratio : Scores rows under an adapted mixture and its background.

        References
        ----------
        Reynolds, Quatieri and Dunn, "Speaker verification using adapted Gaussian mixture models", Digital Signal
        Processing 10 (2000), equations 11 to 14; `fastgmm.inference.adaptation` has them without cancellation.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> background = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [40.0]], [[[1.0]], [[1.0]]])
        >>> background.adapt([[2.0]] * 16).means_.ravel()  # half of the way
        array([ 1., 40.])
        """
        if not isinstance(relevance, Real) or isinstance(relevance, bool) or not relevance >= 0:
            raise ValueError(f"relevance is {relevance!r}; expected a number of rows from 0 to infinity, such as 16")
        parts = (update,) if isinstance(update, str) else tuple(update)
        unknown = [part for part in parts if part not in PARTS]
        if unknown or not parts:
            raise ValueError(f"update is {update!r}; expected one or more of {', '.join(map(repr, PARTS))}")
        check_is_fitted(self)
        state = self._fitted_state()
        if isinstance(X, SufficientStatistics):
            if sample_weight is not None:
                raise ValueError("sample_weight is given and X are statistics, which are weighted; leave it out")
            statistics = statistics_under(self._fitted_family().density(state), X, "X")
        else:
            statistics = self.statistics(X, sample_weight)
        family = self._fitted_family()
        model = clone(self)
        dtype = np.asarray(self.means_).dtype  # type: ignore[attr-defined]
        adapted = adapted_state(family, state, statistics, float(relevance), parts)
        model._set_state(family, adapted, dtype)
        kept = ("n_features_in_", "feature_names_in_", "reg_covar_")
        model.__dict__.update({name: vars(self)[name] for name in kept if name in vars(self)})
        model.__dict__.update(run_attributes(Run(adapted), 0, dtype))
        model.stopped_, model.n_samples_seen_ = False, float(statistics.counts.sum())
        return model


def statistics_under(state: Any, statistics: SufficientStatistics, name: str) -> SufficientStatistics:
    """Return statistics about the means of a state, checked to be of a mixture like it; `name` is for messages.

    Raises
    ------
    ValueError
        If structure, sizes or tails differ.
    """
    expected = empty_about(state)
    if statistics.structure != expected.structure or statistics.centres.shape != expected.centres.shape:
        raise ValueError(
            f"{name} has structure {statistics.structure!r} and (n_components, n_features) = "
            f"{statistics.centres.shape}; expected {expected.structure!r} and {expected.centres.shape}, those of the "
            "model. Take them from its statistics(X)"
        )
    if (statistics.tail_sums is None) != (expected.tail_sums is None):
        raise ValueError(f"{name} must be of components with a tail like those of the model, or of none like them")
    same = np.array_equal(statistics.centres, expected.centres)
    return statistics if same else statistics.about(expected.centres)
