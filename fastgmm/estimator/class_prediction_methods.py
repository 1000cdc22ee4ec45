"""What a classifier with a Gaussian mixture per class says of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgmm import inference
from fastgmm.data.incomplete import density_for
from fastgmm.estimator.absent_rows import without_absent
from fastgmm.estimator.per_row import PerRow
from fastgmm.families.student import student_or_gaussian
from fastgmm.inference.density import log_posterior
from fastgmm.model import MixtureParameters, get_shape
from fastgmm.model.moments import components_of

__all__ = ["ClassPredictionMethods"]


class ClassPredictionMethods(PerRow):
    """Methods of an estimator with the parameters of all classes' components and ``component_classes_``."""

    # What the estimator that mixes this in has.
    classes_: Any
    component_classes_: Any
    _kernel: str

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "means_")

    def _state(self) -> MixtureParameters:
        return student_or_gaussian(get_shape(self._kernel), vars(self))

    def _log_joint(self, X: np.ndarray) -> np.ndarray:
        """Return log density and class probability together, (n_samples, n_classes), float64, in nats."""
        state = density_for(X, self._state())
        out = np.empty((X.shape[0], len(self.classes_)))
        for c in range(len(self.classes_)):
            part = components_of(state, self.component_classes_ == c)
            out[:, c] = inference.log_density(X, part, np.dtype(np.float64))
        return out

    def _log_posterior(self, X: np.ndarray) -> np.ndarray:
        return log_posterior(self._log_joint(X))

    def _posterior(self, X: np.ndarray) -> np.ndarray:
        return np.exp(self._log_posterior(X))

    def _decisions(self, X: np.ndarray) -> np.ndarray:
        joint = self._log_joint(X)
        return joint[:, 1] - joint[:, 0] if joint.shape[1] == 2 else joint

    def _classes(self, X: np.ndarray) -> np.ndarray:
        return self.classes_[self._log_joint(X).argmax(axis=1)]

    def _log_density(self, X: np.ndarray) -> np.ndarray:
        return inference.log_density(X, density_for(X, self._state()), np.dtype(np.float64))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the log of the posterior probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes), float64
            Log probabilities in nats, in the order of `classes_`.

        See Also
        --------
        predict_proba : The same without the logarithm.
        """
        return self._per_row(X, self._log_posterior, "log_probability")

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the posterior probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
            The probabilities, in the order of `classes_`. Each row sums to one.

        See Also
        --------
        predict : The most probable class.
        """
        return self._per_row(X, self._posterior, "probability")

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the log density of each row and class together.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes, float64
            The log densities in nats. For two classes it is the log density of the second less that of the first.

        See Also
        --------
        score_samples : The log density whatever the class.
        """
        return self._per_row(X, self._decisions, "decision_function")

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        classes : ndarray of shape (n_samples,)
            The most probable class of each row, in the dtype of `classes_`.

        See Also
        --------
        predict_proba : The probability of each class.
        """
        return self._per_row(X, self._classes, "prediction")

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the log density of each row, whatever its class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64
            Log densities in nats. They are low for rows that are unlike any class.

        See Also
        --------
        decision_function : The log density by class.
        """
        return self._per_row(X, self._log_density, "log_density")

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of rows whose class is predicted.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.
        y : array-like of shape (n_samples,), dask array or series
            Their classes.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row; by default every row counts once.

        Returns
        -------
        accuracy : float
            The weighted share of rows whose class is predicted, from 0 to 1.

        See Also
        --------
        predict : The class of each row.
        predict_proba : How probable each class is.
        """
        from sklearn.metrics import accuracy_score

        # A distributed prediction has no length until it is computed.
        X, y = without_absent(X, sample_weight, self), without_absent(y, sample_weight)
        return float(accuracy_score(np.asarray(y), np.asarray(self.predict(X)), sample_weight=sample_weight))
