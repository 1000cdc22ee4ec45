"""What a search answers for its best model."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from fastgmm.data import source_of
from fastgmm.estimator.absent_rows import without_absent
from fastgmm.estimator.input_validation import DTYPES
from fastgmm.estimator.missing_values import finite_of, takes_missing
from fastgmm.estimator.reading import check_columns
from fastgmm.gaussian_mixture import GaussianMixture

__all__ = ["WinnerMethods"]


class WinnerMethods:
    """The part of a search that predicts, scores and draws, with `best_estimator_`."""

    # What the search that mixes this in has.
    best_estimator_: GaussianMixture | None
    n_features_in_: int

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.allow_nan = takes_missing(self)
        return tags

    def _best(self) -> GaussianMixture:
        check_is_fitted(self, "best_estimator_")
        assert self.best_estimator_ is not None, "a search that found nothing is not fitted"
        return self.best_estimator_

    def _checked(self, X: Any, sample_weight: Any = None) -> tuple[Any, Any]:
        """Return rows and weights as the best model takes them; a source brings its own."""
        # The candidates know no column names: they are the search's to check.
        self._best()
        source = source_of(X, sample_weight, getattr(self, "feature_names_in_", None))
        if source is not None:
            check_columns(self, source, source.n_features or self.n_features_in_)
            return source, None
        options = {"dtype": DTYPES, "order": "C", "ensure_all_finite": finite_of(self)}
        return validate_data(self, without_absent(X, sample_weight, self), reset=False, **options), sample_weight

    def predict(self, X: Any) -> np.ndarray:
        """Return the best model's labels, ndarray of shape (n_samples,), int64; -1 for noise.

        See Also
        --------
        predict_proba : How probable each component is.
        """
        return self._best().predict(self._checked(X)[0])

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the best model's posterior probabilities, ndarray of shape (n_samples, n_components).

        See Also
        --------
        predict : The most probable component.
        """
        return self._best().predict_proba(self._checked(X)[0])

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the log density of each row under the best model, ndarray of shape (n_samples,), in nats.

        See Also
        --------
        score : Their mean.
        """
        return self._best().score_samples(self._checked(X)[0])

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the mean log density under the best model, in nats per sample.

        See Also
        --------
        score_samples : The same of each row.
        """
        X, sample_weight = self._checked(X, sample_weight)
        return self._best().score(X, sample_weight=sample_weight)

    def sample(self, n_samples: int = 1, *, random_state: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows from the best model; see `GaussianMixture.sample`.

        See Also
        --------
        score_samples : How likely each row is.
        """
        return self._best().sample(n_samples, random_state=random_state)

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        """Return the best model's Bayesian information criterion; lower is better.

        See Also
        --------
        fastgmm.GaussianMixture.bic : The criterion of one model.
        """
        X, sample_weight = self._checked(X, sample_weight)
        return self._best().bic(X, sample_weight)
