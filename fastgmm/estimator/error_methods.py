"""Methods of a mixture that take errors of measurement: extreme deconvolution."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from fastgmm.estimator.conditional_mixtures import ConditionalMixtures, check_values
from fastgmm.estimator.inference_methods import check_columns
from fastgmm.estimator.measured_answers import MeasuredAnswers
from fastgmm.estimator.measurement_errors import check_errors
from fastgmm.inference.errors import add_errors, conditional, denoise

__all__ = ["ErrorMethods"]


class ErrorMethods(MeasuredAnswers):
    """The part of a Gaussian mixture that takes errors: the mixture is that of the true values.

    Everywhere, `errors` are variances of shape (n_samples, n_features), covariances of shape (n_samples, n_features,
    n_features), or one covariance of shape (n_features, n_features) for all rows, in squared units of the data. A
    value whose variance is infinite was not measured; X may have anything there, NaN included.
    """

    def denoise(self, X: Any, errors: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return what rows measured with errors truly were: mean and covariance of each, given what was measured.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows, as they were measured.
        errors : array-like
            Measurement errors of X, as in `fit`.

        Returns
        -------
        means : ndarray of shape (n_samples, n_features), float64
            Expected true values: noisy measurements are drawn towards where the mixture has rows.
        covariances : ndarray of shape (n_samples, n_features, n_features), float64
            Of the true values about them, in squared units of the data.

        See Also
        --------
        fit : Fits a mixture to rows with errors.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([1.0], [[0.0]], [[[3.0]]])
        >>> means, covariances = model.denoise([[4.0]], errors=[[1.0]])
        >>> means.tolist(), covariances.tolist()
        ([[3.0]], [[[0.75]]])
        """
        return denoise(*self._measured(X, errors, "denoise"))

    def sample(
        self, n_samples: int = 1, *, random_state: Any = None, errors: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows to draw.
        random_state : int, RandomState or None
            The estimator's own `random_state` when None.
        errors : array-like, optional
            Measurement errors to be drawn as well, as in `fit`: true values are drawn in random order, and each is
            measured with its own errors, NaN where a variance is infinite.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            Grouped by component, noise last; with errors in random order.
        y : ndarray of shape (n_samples,), int64
            Component of each row, -1 for noise.

        Raises
        ------
        ValueError
            If `n_samples` is not positive.

        See Also
        --------
        score_samples : The log density of rows.
        """
        random_state = check_random_state(self.random_state if random_state is None else random_state)
        X, y = super().sample(n_samples, random_state=random_state)
        if errors is None:
            return X, y
        order = random_state.permutation(len(X))
        return add_errors(X[order], check_errors(errors, *X.shape), random_state), y[order]

    def condition(self, columns: Any, values: Any, errors: Any = None) -> ConditionalMixtures:
        """Return the distribution of the other features, given values of some: a mixture per row.

        Parameters
        ----------
        columns : int, str, or list of them
            Those whose values are known; not all.
        values : array-like of shape (n_rows, n_columns) or (n_columns,); or (n_rows,) for one column
            The columns of a frame must have the names of `columns`, in that order, where the model was fitted to named
            columns.
        errors : array-like, optional
            Measurement errors of `values`, of shape (n_rows, n_columns), (n_rows, n_columns, n_columns) or (n_columns,
            n_columns): the distribution is then that of the other features' true values.

        Returns
        -------
        ConditionalMixtures
            Of the free features, in their order in X: ``mean()``, ``covariance()``, ``log_density(rows)`` and
            ``sample(random_state)`` speak of all rows; an item is the `GaussianMixture` of one.

        Raises
        ------
        ValueError
            If `columns` are none or all, or `values` has another shape or other names.

        See Also
        --------
        marginal : The distribution of some features, whatever the others are.
        fastgmm.GaussianMixtureRegressor : Predicts targets in this way.

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
