"""The factors behind the rows, of components that have loadings and noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted

from fastgmm.estimator.mixture import BaseMixture
from fastgmm.families import LOW_RANK
from fastgmm.families.factor_analysers import factor_posterior

__all__ = ["FactorMethods"]


def _has_factors(model: Any) -> bool:
    if model.covariance_type not in LOW_RANK:
        raise AttributeError(f"covariance_type is {model.covariance_type!r}, which has no factors; expected 'factor'")
    return True


class FactorMethods(BaseMixture):
    """The part of a mixture estimator that takes rows for a few factors, and these for rows."""

    @available_if(_has_factors)
    def transform(self, X: Any) -> np.ndarray:
        """Return the expected factors of each row under its most probable component.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        factors : ndarray of shape (n_samples, n_factors), float64
            The expected factors of each row. If a component has fewer factors, the others are zero.

        See Also
        --------
        inverse_transform : Turns factors back into rows.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgmm import GaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(500, 2)) @ np.ones((2, 6)) + np.arange(500)[:, None] % 2 * 9
        >>> model = GaussianMixture(2, covariance_type="ppca", n_factors=1, random_state=0).fit(X)
        >>> factors = model.transform(X)
        >>> bool(np.abs(model.inverse_transform(factors, model.predict(X)) - X).max() < 0.01)
        True
        """
        check_is_fitted(self)
        return self._per_row(X, self._factors, "factors")

    def _factors(self, rows: np.ndarray) -> np.ndarray:
        labels, (loadings, noise) = self._assign(rows), self._loadings()
        out = np.zeros((len(rows), loadings.shape[2]))
        posterior = factor_posterior(loadings, noise)[0]
        for k in np.unique(labels[labels >= 0]):
            members = labels == k
            out[members] = (rows[members] - np.asarray(self.means_[k], dtype=np.float64)) @ posterior[k]
        return out

    def _loadings(self) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(self.loadings_, dtype=np.float64), np.asarray(self.noise_variances_, dtype=np.float64)

    @available_if(_has_factors)
    def inverse_transform(self, factors: Any, labels: Any = None) -> np.ndarray:
        """Return the rows that factors stand for: the component's mean plus its loadings times the factors.

        Parameters
        ----------
        factors : array-like of shape (n_samples, n_factors)
            Expected factors, as `transform` returns them.
        labels : array-like of shape (n_samples,), optional
            The component of each row, as `predict` returns it. A mixture of one component does not need it.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            The rows that these factors stand for.

        Raises
        ------
        ValueError
            If there are several components and no labels, or shapes do not fit.

        See Also
        --------
        transform : The expected factors of rows.
        """
        check_is_fitted(self)
        loadings = self._loadings()[0]
        factors = check_array(factors, dtype=np.float64, ensure_min_features=0, input_name="factors")
        if labels is None and len(loadings) > 1:
            raise ValueError(f"labels is None and there are {len(loadings)} components; expected those of predict(X)")
        labels = np.zeros(len(factors), dtype=np.int64) if labels is None else np.asarray(labels)
        if factors.shape[1] != loadings.shape[2] or labels.shape != (len(factors),):
            raise ValueError(
                f"factors and labels have shapes {factors.shape} and {labels.shape}; expected (n_samples, n_factors) = "
                f"(n_samples, {loadings.shape[2]}) and (n_samples,)"
            )
        if labels.dtype.kind not in "iu" or (len(labels) and (labels.min() < 0 or labels.max() >= len(loadings))):
            raise ValueError(f"labels are not components; expected whole numbers from 0 to {len(loadings) - 1}")
        out = np.asarray(self.means_, dtype=np.float64)[labels]
        for k in np.unique(labels):
            members = labels == k
            out[members] += factors[members] @ loadings[k].T
        return out
