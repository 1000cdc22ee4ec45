"""What a fitted mixture says of rows, and the rows it draws."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from fastgmm import inference
from fastgmm.data.incomplete import Marginalised
from fastgmm.estimator.absent_rows import without_absent
from fastgmm.estimator.input_validation import DTYPES, check_sample_weight, is_finite
from fastgmm.estimator.missing_values import counted_weight, finite_of, takes_missing
from fastgmm.estimator.per_row import PerRow, Unchecked
from fastgmm.inference.top import check_n_top, top_components
from fastgmm.model import MixtureParameters

__all__ = ["PredictionMethods"]


class PredictionMethods(PerRow):
    """The part of a mixture estimator that predicts, scores and draws, from fitted attributes."""

    def _fitted_state(self) -> Any:
        """Return the state that the fitted attributes describe, in float64."""
        raise NotImplementedError

    def _density(self) -> Any:
        """Return the density that predictions are made with, read from the fitted attributes."""
        state = self._fitted_state()
        return Marginalised(state) if takes_missing(self) else state

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "means_")

    def _result_dtype(self, X: np.ndarray) -> np.dtype:
        single = X.dtype == np.float32 and getattr(self.means_, "dtype", None) == np.float32
        return np.dtype(np.float32 if single else np.float64)

    def _check_rows(self, X: Any) -> np.ndarray:
        """Return the rows to predict for as an array; the common case costs a few microseconds."""
        if not hasattr(self, "means_"):
            check_is_fitted(self)
        n_features = np.shape(self.means_)[-1]
        if (
            type(X) is np.ndarray
            and X.ndim == 2
            and X.dtype in DTYPES
            and X.shape[1] == n_features
            and X.shape[0] > 0
            and not hasattr(self, "feature_names_in_")
            and is_finite(X)
        ):
            return X
        X = validate_data(self, X, reset=False, dtype=DTYPES, ensure_all_finite=finite_of(self))
        if X.shape[1] != n_features:
            # Of a model whose attributes were set by hand, scikit-learn knows no number of features.
            raise ValueError(f"X has {X.shape[1]} features; expected {n_features}, as means_ has columns")
        return X if is_finite(X) or takes_missing(self) else X.view(Unchecked)

    # The same of checked rows, for subclasses that predict otherwise.

    def _assign(self, X: np.ndarray) -> np.ndarray:
        return inference.assign(X, self._density(), self._result_dtype(X))

    def _responsibilities(self, X: np.ndarray) -> np.ndarray:
        return inference.responsibilities(X, self._density(), self._result_dtype(X))

    def _log_density(self, X: np.ndarray) -> np.ndarray:
        return inference.log_density(X, self._density(), self._result_dtype(X))

    def _mean_log_density(self, X: np.ndarray, weight: np.ndarray | None) -> float:
        dtype = self._result_dtype(X)
        if weight is None and dtype == np.float32:
            # What scikit-learn's users compare it with: the mean of `score_samples`, in its precision.
            return float(self._log_density(X).mean())
        return inference.mean_log_density(X, self._density(), dtype, weight)

    def _labels_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the labels that `predict` gives."""
        return self._assign(rows)

    def _total_log_density(self, rows: np.ndarray, weight: np.ndarray | None) -> tuple[float, float]:
        weight = counted_weight(self, rows, weight)
        total = float(len(rows) if weight is None else weight.sum())
        if total == 0.0:
            return 0.0, 0.0
        return self._mean_log_density(rows, weight) * total, total

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows to label. For a dask array or frame, the result is a dask array that is computed when it is asked
            for.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            The number of the most probable component of each row. In a model with a background, noise is -1.

        See Also
        --------
        predict_proba : How probable each component is.
        score_samples : How likely each row is.
        """
        return self._per_row(X, self._labels_of, "prediction")

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the posterior probability of each component for each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        responsibilities : ndarray of shape (n_samples, n_components)
            The probabilities. Each row sums to one.

        See Also
        --------
        predict : The most probable component.
        predict_topk : The few most probable components.
        """
        return self._per_row(X, self._responsibilities, "probability")

    def predict_topk(self, X: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the k most probable components of each row, and their probabilities.

        Use it for mixtures with so many components that the result of `predict_proba` would not fit into memory.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows asked about, with the features of the fit in the same order.
        k : int
            How many components to return for each row, at most as many as there are.

        Returns
        -------
        indices : ndarray of shape (n_samples, k), int64
            The components, the most probable one first. In a model with a background, noise is -1.
        probabilities : ndarray of shape (n_samples, k)
            Their posterior probabilities.

        Raises
        ------
        ValueError
            If `k` is not from 1 to the number of components, or X is a source: `predict_blocks` reads those.

        See Also
        --------
        predict_proba : The probabilities of all components.
        """
        if self._source_of(X) is not None:
            raise ValueError("X is a source; expected an array. Ask predict_topk about its blocks one by one")
        rows, n_components = self._check_rows(X), len(self.means_) + hasattr(self, "noise_weight_")
        check_n_top(k, n_components)
        indices, probabilities = top_components(rows, k, n_components, self._responsibilities)
        indices[indices == len(self.means_)] = -1
        return indices, probabilities

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the log density of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            In nats.

        See Also
        --------
        score : Its mean.
        fastgmm.GaussianMixtureOutlierDetector : Finds rows of low density.
        """
        return self._per_row(X, self._log_density, "log_density")

    def component_log_density(self, X: Any) -> np.ndarray:
        """Return the log of each component's weighted density at each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        log_joint : ndarray of shape (n_samples, n_components), float64
            Log densities in nats, one column for each component. The log of the sum of their exponentials over a row is
            what `score_samples` returns. A background has the last column.

        See Also
        --------
        score_samples : The log density of the whole mixture.
        predict_proba : The same as probabilities.
        """
        return self._per_row(X, self._component_log_density, "component_log_density")

    def _component_log_density(self, rows: np.ndarray) -> np.ndarray:
        return inference.component_log_density(rows, self._density())

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the mean log density of the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.
        y : Ignored
            Present for consistency with other scikit-learn estimators.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row; by default every row counts once.

        Returns
        -------
        log_likelihood : float
            The weighted mean over rows, in nats. With ``missing='marginalise'``, rows without any value are left out.

        See Also
        --------
        score_samples : The log density of each row.
        bic : Compares models with different numbers of parameters.
        """
        source = self._source_of(X, sample_weight)
        if source is not None:
            total, weight = self._sum_over_blocks(source, self._total_log_density)
            return float(total / weight)
        X = self._check_rows(without_absent(X, sample_weight, self))
        if type(X) is Unchecked and np.isnan(X).any():
            return np.nan
        weight = counted_weight(self, X, check_sample_weight(sample_weight, X.shape[0]))
        return np.nan if weight is not None and not weight.any() else self._mean_log_density(X, weight)

    def sample(self, n_samples: int = 1, *, random_state: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows to draw.
        random_state : int, RandomState or None
            Seed of the draws. None takes the estimator's own `random_state`.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            The rows drawn, grouped by component, with noise last.
        y : ndarray of shape (n_samples,), int64
            The component of each row, -1 for noise.

        Raises
        ------
        ValueError
            If `n_samples` is not positive.

        See Also
        --------
        score_samples : The log density of rows.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(f"Invalid value for 'n_samples': {n_samples} . The sampling requires at least one sample.")
        random_state = check_random_state(self.random_state if random_state is None else random_state)
        return inference.draw(n_samples, self._fitted_state(), random_state)

    def predict_blocks(self, X: Any, method: str = "predict") -> Any:
        """Predict block by block, so that no prediction needs more memory than a block's.

        Parameters
        ----------
        X : source, or array-like of shape (n_samples, n_features)
            See `fastgmm.data`.
        method : {'predict', 'predict_proba', 'score_samples'}, default='predict'
            The method that is called for each block.

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

        Examples
        --------
        >>> import numpy as np
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [[[1.0]], [[1.0]]])
        >>> [block.tolist() for block in model.predict_blocks(np.array([[1.0], [3.0]]))]
        [[0, 1]]
        """
        check_is_fitted(self)
        actions = {
            "predict": self._labels_of,
            "predict_proba": self._responsibilities,
            "score_samples": self._log_density,
        }
        if method not in actions:
            raise ValueError(f"method is {method!r}; expected one of {', '.join(actions)}")
        return self._map_blocks(X, actions[method])

    def scorer(self, dtype: Any = None) -> inference.Scorer:
        """Return a frozen, thread-safe copy of the mixture for servers.

        It answers single rows in microseconds and batches at full speed. Later fits of the model do not change it.

        Parameters
        ----------
        dtype : {'float32', 'float64'}, optional
            The precision of the rows that it will take. By default it is that of the fitted attributes.

        Returns
        -------
        scorer : fastgmm.inference.Scorer
            An object with the methods ``predict``, ``predict_proba`` and ``score_samples``, each with an optional
            ``out``.

        Raises
        ------
        ValueError
            If predictions are not those of a plain Gaussian mixture, because of a background or a Student-t predictive
            density.

        See Also
        --------
        predict : The same for arrays of any type.
        """
        check_is_fitted(self)
        density = getattr(self._density(), "density", self._density())
        if not isinstance(density, MixtureParameters):
            raise ValueError(
                "scorer() takes a mixture of Gaussians alone; this model has a background or predicts with Student-t "
                "densities. Use the model's own methods"
            )
        return inference.Scorer(density, np.asarray(self.means_).dtype if dtype is None else dtype)
