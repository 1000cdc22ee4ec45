"""What a mixture of true values answers for measured rows, in memory or in a source that brings their errors."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from fastgmm.data import ArrayRows, RowSource, source_of
from fastgmm.data.e_steps import ERRORS
from fastgmm.estimator.absent_rows import UNLABELLED, absent_rows, without_absent
from fastgmm.estimator.fit_context import fit_context
from fastgmm.estimator.input_validation import DTYPES, check_sample_weight, check_weight_counts_rows, is_finite
from fastgmm.estimator.measured_fit import MeasuredFit
from fastgmm.estimator.measurement_errors import EXPECTED, check_common, check_errors, check_own, filled, is_common
from fastgmm.estimator.missing_values import takes_missing
from fastgmm.inference.errors import answer
from fastgmm.model import MixtureParameters
from fastgmm.model.errors import Errors

__all__ = ["MeasuredAnswers"]


@dataclass(frozen=True)
class _Question:
    """What is asked of rows.

    Attributes
    ----------
    method : str
        Of the estimator, for messages.
    question : {'log_density', 'responsibilities', 'assign'}
        As `fastgmm.inference` has it.
    without_errors : str
        The method that answers for checked rows without errors.
    name : str
        Of a column of answers.
    """

    method: str
    question: str
    without_errors: str
    name: str = ""

    @property
    def is_sum(self) -> bool:
        """Whether the answer is one for all rows."""
        return not self.name


LABEL = _Question("predict", "assign", "_labels_of", "prediction")
PROBABILITY = _Question("predict_proba", "responsibilities", "_responsibilities", "probability")
DENSITY = _Question("score_samples", "log_density", "_log_density", "log_density")
TOTAL = _Question("score", "log_density", "_total_log_density")
CERTAINTY = _Question("icl", "responsibilities", "_certainties")


@dataclass(frozen=True)
class _OfBlocks:
    """What is asked of blocks of rows, of which some have errors along; it may travel."""

    estimator: Any
    of: _Question
    common: Errors | None

    def __call__(self, rows: np.ndarray, *others: Any) -> Any:
        weight, along = others[: self.of.is_sum], others[self.of.is_sum :]
        model = self.estimator
        if self.common is None and not along:
            return getattr(model, self.of.without_errors)(rows, *weight)
        errors = self.common or check_own(along[0], *rows.shape)
        measured = *model._seen(rows, errors), model._true_density(self.of.method)
        if self.of.is_sum:
            return model._sum(self.of, measured[0], weight[0], *measured[1:])
        return model._answer(self.of.question, *measured)


class MeasuredAnswers(MeasuredFit):
    """The part of a Gaussian mixture that answers for measured rows."""

    @fit_context()
    def fit_predict(  # type: ignore[override]
        self, X: Any, y: Any = None, sample_weight: Any = None, errors: Any = None
    ) -> np.ndarray:
        """Estimate the parameters and return the most probable component of each row.

        The labels are those of ``fit(X, errors=errors).predict(X, errors=errors)``.

        Parameters
        ----------
        X, y, sample_weight, errors
            As in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            The number of the most probable component of each row; -1 for rows with weight 0 that contain NaN.

        See Also
        --------
        predict : The label of new rows.
        predict_proba : How probable each component is.
        """
        absent = absent_rows(X, sample_weight, self)
        read = self._fit(X, sample_weight, None, y, errors)
        if errors is None:
            labels = self.predict(read)
        else:
            own = errors if is_common(errors) else without_absent(errors, sample_weight)
            labels = self.predict(without_absent(X, sample_weight), own)
        if len(absent):
            labels[absent] = UNLABELLED
        return labels

    def _true_density(self, method: str) -> MixtureParameters:
        """Return the mixture of the true values."""
        check_is_fitted(self)
        density = self._fitted_family().density(self._fitted_state())
        if not isinstance(density, MixtureParameters):
            raise ValueError(
                f"errors are given to {method} of a model with a background; expected one without, as a background has "
                "no density of measured values. Fit it with noise=None"
            )
        return density

    def _measured(self, X: Any, errors: Any, method: str) -> tuple[np.ndarray, Errors, MixtureParameters]:
        """Return rows in memory and their errors, checked, and the mixture of the true values."""
        density, source = self._true_density(method), source_of(X)
        if source is not None:
            raise ValueError(
                f"errors are given and X is a source, {source.description}; {method} answers for rows in memory only, "
                "such as X.sample(100_000).X"
            )
        rows = validate_data(self, X, reset=False, dtype=DTYPES, ensure_all_finite=False)
        return *self._seen(rows, check_errors(errors, *rows.shape)), density

    def _seen(self, rows: np.ndarray, errors: Errors) -> tuple[np.ndarray, Errors]:
        """Return rows of finite numbers, and errors that are infinite where these mean nothing."""
        if takes_missing(self):
            errors = errors.without(np.isnan(rows))
        rows = filled(rows, errors)
        if not is_finite(rows):
            raise ValueError(f"X contains NaN or infinity; {EXPECTED}")
        return rows, errors

    def _answer(self, question: str, rows: np.ndarray, errors: Errors, density: MixtureParameters) -> np.ndarray:
        return answer(question, rows, errors, density, self._result_dtype(rows))

    def _asked(self, X: Any, errors: Any, of: _Question) -> Any:
        """Return the answers for rows in memory, or in a source that may bring errors."""
        source = self._source_of(X)
        if source is not None:
            source, action = self._of_blocks(source, errors, of)
            return self._per_row(source, action, of.name, (ERRORS,))
        if errors is None:
            return self._per_row(X, getattr(self, of.without_errors), of.name)
        return self._answer(of.question, *self._measured(X, errors, of.method))

    def _of_blocks(self, source: RowSource, errors: Any, of: _Question) -> tuple[RowSource, _OfBlocks]:
        """Return a source with errors along, unless all rows have the same, and what answers for its blocks."""
        common = None
        if errors is not None:
            self._true_density(of.method)
            if is_common(errors):
                common = check_common(errors, self.n_features_in_)
            else:
                source = source.with_columns(**{ERRORS: errors})
        return source, _OfBlocks(copy.copy(self), of, common)

    def predict(self, X: Any, errors: Any = None) -> np.ndarray:
        """Return the most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            Of a dask array or frame, the result is a dask array that is computed when it is asked for.
        errors : array-like, optional
            Measurement errors of X, as in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            -1 for noise, in a model with a background.

        See Also
        --------
        predict_proba : How probable each component is.
        score_samples : How likely each row is.
        """
        return self._asked(X, errors, LABEL)

    def predict_proba(self, X: Any, errors: Any = None) -> np.ndarray:
        """Return the posterior probability of each component for each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.
        errors : array-like, optional
            Measurement errors of X, as in `fit`.

        Returns
        -------
        responsibilities : ndarray of shape (n_samples, n_components)
            Rows sum to one.

        See Also
        --------
        predict : The most probable component.
        predict_topk : The few most probable components.
        """
        return self._asked(X, errors, PROBABILITY)

    def score_samples(self, X: Any, errors: Any = None) -> np.ndarray:
        """Return the log density of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.
        errors : array-like, optional
            Measurement errors of X, as in `fit`: the density is then that of measured values.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            In nats.

        See Also
        --------
        score : Its mean.
        fastgmm.GaussianMixtureOutlierDetector : Finds rows of low density.
        """
        return self._asked(X, errors, DENSITY)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None, errors: Any = None) -> float:
        """Return the mean log density of the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.
        y : Ignored
            Present for consistency with other scikit-learn estimators.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row; by default every row counts once.
        errors : array-like, optional
            Measurement errors of X, as in `fit`.

        Returns
        -------
        log_likelihood : float
            Weighted mean over rows, in nats.

        See Also
        --------
        score_samples : The log density of each row.
        bic : Compares models with different numbers of parameters.
        """
        source = self._source_of(X, sample_weight)
        if errors is None and source is None:
            return super().score(X, y, sample_weight)
        total, weight = self._sums(X if source is None else source, sample_weight, errors, TOTAL)
        return float(total / weight) if weight > 0.0 else math.nan

    def _sums(self, X: Any, sample_weight: Any, errors: Any, of: _Question) -> tuple[float, float]:
        """Return what a question sums up to over the rows, and the weight of those of which something was measured."""
        if isinstance(X, RowSource):
            source, action = self._of_blocks(X, errors, of)
            total, weight = self._sum_over_blocks(source, action, (ERRORS,))
            return float(total), float(weight)
        if not is_common(errors):
            errors = without_absent(errors, sample_weight)
        rows, checked, density = self._measured(without_absent(X, sample_weight), errors, of.method)
        return self._sum(of, rows, check_sample_weight(sample_weight, len(rows)), checked, density)

    def _sum(
        self,
        of: _Question,
        rows: np.ndarray,
        weight: np.ndarray | None,
        errors: Errors,
        density: MixtureParameters,
    ) -> tuple[float, float]:
        weight = np.ones(len(rows)) if weight is None else weight
        weight = np.where(np.isinf(errors.variances).all(axis=-1), 0.0, weight)
        found = self._answer(of.question, rows, errors, density).astype(np.float64)
        values = np.log(found.max(axis=1)) if found.ndim == 2 else found
        return float(weight[weight > 0] @ values[weight > 0]), float(weight.sum())

    def aic(self, X: Any, sample_weight: Any = None, errors: Any = None) -> float:
        """Return Akaike's information criterion; lower is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.
        sample_weight : array-like of shape (n_samples,), optional
            The number of samples is the sum of the weights, which must be more than one.
        errors : array-like, optional
            Measurement errors of X, as in `fit`.

        Returns
        -------
        aic : float
            ``-2 log-likelihood + 2 n_parameters``, in nats.

        See Also
        --------
        bic : The Bayesian information criterion, which prefers fewer parameters.
        """
        return -2.0 * self._log_likelihood(X, sample_weight, errors)[0] + 2.0 * self._n_parameters()

    def bic(self, X: Any, sample_weight: Any = None, errors: Any = None) -> float:
        """Return the Bayesian information criterion; lower is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.
        sample_weight : array-like of shape (n_samples,), optional
            The number of samples is the sum of the weights, which must be more than one.
        errors : array-like, optional
            Measurement errors of X, as in `fit`.

        Returns
        -------
        bic : float
            ``-2 log-likelihood + n_parameters log(n_samples)``, in nats.

        See Also
        --------
        icl : Prefers components that do not overlap.
        fastgmm.GaussianMixtureSearch : Chooses a model by it.
        """
        log_likelihood, total = self._log_likelihood(X, sample_weight, errors)
        return -2.0 * log_likelihood + self._n_parameters() * math.log(total)

    def icl(self, X: Any, sample_weight: Any = None, errors: Any = None) -> float:
        """Return the integrated completed likelihood criterion; lower is better.

        The BIC plus twice the entropy of the classification: overlapping components are penalised.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row; by default every row counts once.
        errors : array-like, optional
            Measurement errors of X, as in `fit`.

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
        return self.bic(X, sample_weight, errors) - 2.0 * self._log_certainty(X, sample_weight, errors)

    def _log_likelihood(self, X: Any, sample_weight: Any, errors: Any = None) -> tuple[float, float]:
        source = self._source_of(X, sample_weight)
        if errors is None and (source is None or self._trims):
            return super()._log_likelihood(X, sample_weight)
        found = self._sums(X if source is None else source, sample_weight, errors, TOTAL)
        rows: Any = source
        if source is None:
            rows = ArrayRows(np.zeros((len(X), 1)), check_sample_weight(sample_weight, len(X)))
        elif not takes_missing(self):
            source.total_weight = found[1]
        check_weight_counts_rows(rows)
        return found

    def _log_certainty(self, X: Any, sample_weight: Any, errors: Any = None) -> float:
        source = self._source_of(X, sample_weight)
        if errors is None and (source is None or self._trims):
            return super()._log_certainty(X, sample_weight)
        return self._sums(X if source is None else source, sample_weight, errors, CERTAINTY)[0]

    def predict_blocks(self, X: Any, method: str = "predict", errors: Any = None) -> Any:
        """Predict block by block, so that no prediction needs more memory than a block's.

        Parameters
        ----------
        X : source, or array-like of shape (n_samples, n_features)
            See `fastgmm.data`.
        method : {'predict', 'predict_proba', 'score_samples'}, default='predict'
            What is asked of each block.
        errors : array-like, optional
            Measurement errors of the rows of a source, as in `fit`.

        Yields
        ------
        ndarray
            What `method` returns, for each block of rows in turn.

        Raises
        ------
        ValueError
            If `method` is another, or a block is not valid (when it is reached).

        See Also
        --------
        fastgmm.data.batches : Makes a source of rows.
        """
        check_is_fitted(self)
        asked = {of.method: of for of in (LABEL, PROBABILITY, DENSITY)}
        source = self._source_of(X)
        if method not in asked or (source is None and errors is None):
            return super().predict_blocks(X, method)
        if source is None:
            raise ValueError(f"errors are given to predict_blocks and X is an array; expected a source. Ask {method}")
        return self._map_blocks(*self._of_blocks(source, errors, asked[method]), (ERRORS,))
