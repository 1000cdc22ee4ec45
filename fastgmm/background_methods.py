"""What a background beside the components changes in predictions and draws: its label is -1."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from fastgmm.prediction_methods import PredictionMethods

__all__ = ["BackgroundMethods"]


class BackgroundMethods(PredictionMethods):
    """The part of a mixture estimator that knows rows of no component; it has `noise_weight_` where there are such."""

    noise_weight_: float
    noise_box_: Any

    def _noise_marked(self, labels: np.ndarray) -> np.ndarray:
        if hasattr(self, "noise_weight_"):
            labels[labels == len(self.weights_)] = -1
        return labels

    def _labels_of(self, rows: np.ndarray) -> np.ndarray:
        return self._noise_marked(self._assign(rows))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            -1 for noise, in a model with a background.
        """
        return super().predict(X)

    def sample(self, n_samples: int = 1, *, random_state: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState or None
            The estimator's own `random_state` when None.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            Grouped by component, noise last.
        y : ndarray of shape (n_samples,), int64
            Component of each row, -1 for noise.

        Raises
        ------
        ValueError
            If `n_samples` is not positive.
        """
        if not hasattr(self, "noise_weight_") or n_samples < 1:
            return super().sample(n_samples, random_state=random_state)
        random_state = check_random_state(self.random_state if random_state is None else random_state)
        n_noise = random_state.binomial(n_samples, self.noise_weight_)
        parts = [(self.noise_box_.sample(n_noise, random_state), np.full(n_noise, -1, dtype=np.int64))]
        if n_noise < n_samples:
            parts.insert(0, super().sample(n_samples - n_noise, random_state=random_state))
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
