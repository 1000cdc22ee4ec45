"""Criteria that weigh the fit of a mixture against its number of parameters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastgmm import inference
from fastgmm.data import ArrayRows
from fastgmm.estimator.absent_rows import without_absent
from fastgmm.estimator.input_validation import check_sample_weight, check_weight_counts_rows
from fastgmm.estimator.missing_values import counted_weight, takes_missing
from fastgmm.estimator.mixture import BaseMixture
from fastgmm.estimator.per_row import Unchecked

__all__ = ["CriterionMethods"]


class CriterionMethods(BaseMixture):
    """The part of a maximum-likelihood estimator that computes AIC, BIC and ICL."""

    def _n_parameters(self) -> float:
        """Return the number of free parameters."""
        family = self._fitted_family()
        if "loadings_" in self.__dict__:
            family = family.fitted(self._fitted_state())
        return family.n_parameters(*np.shape(self.means_))

    def _log_likelihood(self, X: Any, sample_weight: Any) -> tuple[float, float]:
        """Return the total log-likelihood, in nats, and the total weight."""
        source = self._source_of(X, sample_weight)
        if source is not None:
            total, weight = self._sum_over_blocks(source, self._total_log_density)
            if not takes_missing(self):
                source.total_weight = float(weight)
            check_weight_counts_rows(source)
            return float(total), float(weight)
        X = self._check_rows(without_absent(X, sample_weight, self))
        weight = counted_weight(self, X, check_sample_weight(sample_weight, X.shape[0]))
        if weight is not None:
            check_weight_counts_rows(ArrayRows(X, weight))
        total = float(X.shape[0] if weight is None else weight.sum())
        if type(X) is Unchecked and np.isnan(X).any():
            return np.nan, total
        return total * inference.mean_log_density(X, self._density(), self._result_dtype(X), weight), total

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        """Return Akaike's information criterion; lower is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.
        sample_weight : array-like of shape (n_samples,), optional
            The number of samples is the sum of the weights, which must be more than one.

        Returns
        -------
        aic : float
            ``-2 log-likelihood + 2 n_parameters``, in nats.

        See Also
        --------
        bic : The Bayesian information criterion, which prefers fewer parameters.
        """
        log_likelihood, _ = self._log_likelihood(X, sample_weight)
        return -2.0 * log_likelihood + 2.0 * self._n_parameters()

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        """Return the Bayesian information criterion; lower is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.
        sample_weight : array-like of shape (n_samples,), optional
            The number of samples is the sum of the weights, which must be more than one.

        Returns
        -------
        bic : float
            ``-2 log-likelihood + n_parameters log(n_samples)``, in nats.

        See Also
        --------
        icl : Prefers components that do not overlap.
        fastgmm.GaussianMixtureSearch : Chooses a model by it.
        """
        log_likelihood, total = self._log_likelihood(X, sample_weight)
        return -2.0 * log_likelihood + self._n_parameters() * math.log(total)

    def icl(self, X: Any, sample_weight: Any = None) -> float:
        """Return the integrated completed likelihood criterion; lower is better.

        This is the BIC with a further penalty where components overlap.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row; by default every row counts once.

        Returns
        -------
        icl : float
            ``bic - 2 sum_n log max_k r[n, k]``, in nats.

        See Also
        --------
        bic : The same without the penalty for overlap.

        References
        ----------
        Biernacki, Celeux and Govaert, "Assessing a mixture model for clustering with the integrated completed
        likelihood", IEEE PAMI 22 (2000); with the most probable component, as R's mclust computes it.
        """
        return self.bic(X, sample_weight) - 2.0 * self._log_certainty(X, sample_weight)

    def _log_certainty(self, X: Any, sample_weight: Any) -> float:
        """Return the weighted sum over rows of the log of the largest posterior probability, in nats."""
        source = self._source_of(X, sample_weight)
        if source is not None:
            return float(self._sum_over_blocks(source, self._certainties)[0])
        X = self._check_rows(without_absent(X, sample_weight, self))
        return self._certainty_of(X, check_sample_weight(sample_weight, X.shape[0]))

    def _certainties(self, rows: np.ndarray, weight: np.ndarray | None) -> tuple[float, float]:
        return self._certainty_of(rows, weight), 0.0

    def _certainty_of(self, rows: np.ndarray, weight: np.ndarray | None) -> float:
        weight = counted_weight(self, rows, weight)
        return inference.most_probable_log_responsibility(rows, self._density(), self._result_dtype(rows), weight)
