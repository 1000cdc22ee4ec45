"""Methods of a mixture that take errors of measurement: extreme deconvolution."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from fastgmm.data import ArrayRows, Rows, source_of
from fastgmm.data.e_steps import ERRORS, EStep, WithErrors
from fastgmm.estimator.conditional_mixtures import ConditionalMixtures, check_values
from fastgmm.estimator.fit_context import fit_context
from fastgmm.estimator.inference_methods import check_columns
from fastgmm.estimator.input_validation import DTYPES, check_sample_weight, check_weight_counts_rows, is_finite
from fastgmm.estimator.likelihood_mixture import LikelihoodMixture
from fastgmm.estimator.measurement_errors import check_errors, filled
from fastgmm.estimator.missing_values import takes_missing
from fastgmm.inference.errors import add_errors, answer, conditional, denoise
from fastgmm.model import MixtureParameters
from fastgmm.model.errors import Errors

__all__ = ["ErrorMethods"]


class ErrorMethods(LikelihoodMixture):
    """The part of a Gaussian mixture that takes errors: the mixture is that of the true values.

    Everywhere, `errors` are variances of shape (n_samples, n_features), covariances of shape (n_samples, n_features,
    n_features), or one covariance of shape (n_features, n_features) for all rows, in squared units of the data. A
    value whose variance is infinite was not measured; X may have anything there, NaN included.
    """

    @fit_context()
    def fit(  # type: ignore[override]
        self, X: Any, y: Any = None, sample_weight: Any = None, labels: Any = None, errors: Any = None
    ) -> Self:
        """Estimate the parameters from `n_init` starts and keep the best run.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), dask array or frame, or a source of `fastgmm.data`
            float32 and float64 are computed in their own precision; anything else becomes float64. A C-contiguous
            array or memory map is read in place. A source is read in every pass, a dask collection by its workers;
            starts are made from a sample.
        y : Ignored
            Present for consistency with other scikit-learn estimators.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each row, not negative. A row of weight 2 counts like two equal rows. Rows with weight 0 are
            ignored.
        labels : array-like of shape (n_samples,), optional
            Known components, 0 to ``n_components - 1``, -1 where unknown: seeded clustering. A labelled row stays in
            its component; bounds are then the mean log-likelihood of rows and known components together. The start
            is k-means with those rows held in place; unknown components may have no labelled row. A source may bring
            labels of its own, see `fastgmm.data.parquet`.
        errors : array-like, optional
            Measurement errors of X, for extreme deconvolution: variances of shape (n_samples, n_features), covariances
            of shape (n_samples, n_features, n_features), or one covariance of shape (n_features, n_features) for all
            rows, in squared units of the data. The mixture is then that of the true values, and bounds are the mean
            log-likelihood of the measured ones. A value whose variance is infinite was not measured; X may have
            anything there, NaN included. X is then rows in memory.

        Returns
        -------
        self
            The fitted estimator. If the fit fails or is interrupted, the estimator stays as it was.

        Raises
        ------
        ValueError
            If X, a weight, a label, an error or a parameter is not valid, or a component collapses in every run
            (`fastgmm.exceptions.ComponentCollapseError`).
        """
        if errors is None:
            self._fit(X, sample_weight, labels, y)
            return self
        if self.noise is not None:
            raise ValueError(
                f"errors are given and noise is {self.noise!r}; expected one of the two, as a background of noise has "
                "no density of measured values. Use noise=None with a further component"
            )
        self._refuse_source_with_errors(X, "fit")
        rows = validate_data(self, X, dtype=DTYPES, order="C", ensure_min_samples=2, ensure_all_finite=False)
        names = getattr(self, "feature_names_in_", None)
        checked = self._checked_errors(rows, errors)
        self._fit(filled(rows, checked), sample_weight, labels, y, checked)
        if names is not None:
            self.feature_names_in_ = names
        return self

    def _checked_errors(self, rows: np.ndarray, errors: Any) -> Errors:
        """Return errors, checked, infinite where `missing` lets values be missing and they are."""
        checked = check_errors(errors, *rows.shape)
        return checked.without(np.isnan(rows)) if takes_missing(self) else checked

    def _with_errors(self, rows: Rows, e_step: EStep, errors: Errors) -> tuple[Rows, EStep]:
        if errors.is_common:
            return rows, WithErrors(errors.values, known=e_step)
        return rows.with_columns(**{ERRORS: errors.values}), WithErrors(None, errors.are_variances, e_step)

    def _refuse_source_with_errors(self, X: Any, method: str) -> None:
        source = source_of(X)
        if source is not None:
            raise ValueError(
                f"errors are given and X is a source, {source.description}; {method} takes errors of rows in memory "
                "only, such as X.sample(100_000).X"
            )

    def _measured(self, X: Any, errors: Any, method: str) -> tuple[np.ndarray, Errors, MixtureParameters]:
        """Return rows and errors, checked, and the mixture of the true values."""
        check_is_fitted(self)
        self._refuse_source_with_errors(X, method)
        density = self._fitted_family().density(self._fitted_state())
        if not isinstance(density, MixtureParameters):
            raise ValueError(
                f"errors are given to {method} of a model with a background; expected one without, as a background has "
                "no density of measured values. Fit it with noise=None"
            )
        rows = validate_data(self, X, reset=False, dtype=DTYPES, ensure_all_finite=False)
        checked = self._checked_errors(rows, errors)
        rows = filled(rows, checked)
        if not is_finite(rows):
            raise ValueError(
                "X contains NaN or infinity; expected finite numbers where the variance in errors is finite. Give "
                "values that were not measured an infinite variance"
            )
        return rows, checked, density

    def _answer(self, question: str, X: Any, errors: Any, method: str) -> np.ndarray:
        rows, checked, density = self._measured(X, errors, method)
        return answer(question, rows, checked, density, self._result_dtype(rows))

    def predict(self, X: Any, errors: Any = None) -> np.ndarray:
        """Return the most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows to label. For a dask array or frame, the result is a dask array that is computed when it is asked
            for.
        errors : array-like, optional
            Measurement errors of X, as in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            The number of the most probable component of each row. In a model with a background, noise is -1.
        """
        return super().predict(X) if errors is None else self._answer("assign", X, errors, "predict")

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
            The probabilities. Each row sums to one.
        """
        if errors is None:
            return super().predict_proba(X)
        return self._answer("responsibilities", X, errors, "predict_proba")

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
        """
        if errors is None:
            return super().score_samples(X)
        return self._answer("log_density", X, errors, "score_samples")

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
        """
        if errors is None:
            return super().score(X, y, sample_weight)
        total, weight = self._total_with_errors(X, sample_weight, errors, "score")
        return total / weight

    def _total_with_errors(self, X: Any, sample_weight: Any, errors: Any, method: str) -> tuple[float, float]:
        densities = self._answer("log_density", X, errors, method).astype(np.float64)
        weight = check_sample_weight(sample_weight, len(densities))
        if weight is None:
            return float(densities.sum()), float(len(densities))
        return float(weight[weight > 0] @ densities[weight > 0]), float(weight.sum())

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
        """
        if errors is None:
            return super().aic(X, sample_weight)
        return -2.0 * self._log_likelihood_with_errors(X, sample_weight, errors)[0] + 2.0 * self._n_parameters()

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
        """
        if errors is None:
            return super().bic(X, sample_weight)
        log_likelihood, total = self._log_likelihood_with_errors(X, sample_weight, errors)
        return -2.0 * log_likelihood + self._n_parameters() * math.log(total)

    def _log_likelihood_with_errors(self, X: Any, sample_weight: Any, errors: Any) -> tuple[float, float]:
        found = self._total_with_errors(X, sample_weight, errors, "a criterion")
        if sample_weight is not None:
            check_weight_counts_rows(ArrayRows(np.zeros((len(X), 1)), check_sample_weight(sample_weight, len(X))))
        return found

    def denoise(self, X: Any, errors: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and covariance of the true values of rows that were measured with errors.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows, as they were measured.
        errors : array-like
            Measurement errors of X, as in `fit`.

        Returns
        -------
        means : ndarray of shape (n_samples, n_features), float64
            The expected true values. Noisy measurements are moved towards where the mixture is dense.
        covariances : ndarray of shape (n_samples, n_features, n_features), float64
            How uncertain the true values are, in squared units of the data.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([1.0], [[0.0]], [[[3.0]]])
        >>> means, covariances = model.denoise([[4.0]], errors=[[1.0]])
        >>> means.tolist(), covariances.tolist()
        ([[3.0]], [[[0.75]]])
        """
        rows, checked, density = self._measured(X, errors, "denoise")
        return denoise(rows, checked, density)

    def sample(
        self, n_samples: int = 1, *, random_state: Any = None, errors: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows to draw.
        random_state : int, RandomState or None
            Seed of the draws. None takes the estimator's own `random_state`.
        errors : array-like, optional
            Measurement errors, as in `fit`. True values are drawn in random order, and each is measured with its own
            errors. A value whose variance is infinite becomes NaN.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            Grouped by component, noise last; with errors in random order.
        y : ndarray of shape (n_samples,), int64
            The component of each row, -1 for noise.

        Raises
        ------
        ValueError
            If `n_samples` is not positive.
        """
        random_state = check_random_state(self.random_state if random_state is None else random_state)
        X, y = super().sample(n_samples, random_state=random_state)
        if errors is None:
            return X, y
        order = random_state.permutation(len(X))
        return add_errors(X[order], check_errors(errors, *X.shape), random_state), y[order]

    def condition(self, columns: Any, values: Any, errors: Any = None) -> ConditionalMixtures:
        """Return the distribution of the other features given the values of some, one mixture for each row.

        Parameters
        ----------
        columns : int, str, or list of them
            The features whose values are known. At least one feature must be left.
        values : array-like of shape (n_rows, n_columns) or (n_columns,); or (n_rows,) for one column
            The columns of a frame must have the names of `columns`, in that order, where the model was fitted to named
            columns.
        errors : array-like, optional
            Measurement errors of `values`, of shape (n_rows, n_columns), (n_rows, n_columns, n_columns) or (n_columns,
            n_columns): the distribution is then that of the other features' true values.

        Returns
        -------
        ConditionalMixtures
            The distributions of the other features, in their order in X. ``mean()``, ``covariance()``,
            ``log_density(rows)`` and ``sample(random_state)`` answer for all rows at once. ``given[i]`` is the
            `GaussianMixture` of row i.

        Raises
        ------
        ValueError
            If `columns` are none or all, or `values` has another shape or other names.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([1.0], [[0.0, 5.0]], [[[1.0, 0.5], [0.5, 2.0]]])
        >>> model.condition(0, [2.0]).mean()
        array([[6.]])
        >>> model.condition(0, [2.0], errors=[[1.0]]).mean()
        array([[5.5]])
        """
        if errors is None:
            return super().condition(columns, values)
        gaussian, names = self._gaussian(), getattr(self, "feature_names_in_", None)
        columns = check_columns(columns, gaussian.n_features, names)
        free = np.setdiff1d(np.arange(gaussian.n_features), columns)
        if len(free) == 0:
            raise ValueError(
                f"columns names all {gaussian.n_features} features; expected at least one to be left free. For the "
                "true values of whole rows use denoise"
            )
        values = check_values(
            values, len(columns), None if names is None else names[columns], "a value for each of columns"
        )
        found = conditional(values, check_errors(errors, *values.shape), gaussian, columns)
        return ConditionalMixtures(
            **vars(found),
            feature_names=None if names is None else names[free],
            random_state=self.random_state,
            mixture_class=self._mixture_class,
        )
