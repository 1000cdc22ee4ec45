"""Whether new rows still come from the fitted mixture."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastgmm import inference
from fastgmm.estimator.absent_rows import without_absent
from fastgmm.estimator.input_validation import check_sample_weight
from fastgmm.estimator.per_row import PerRow
from fastgmm.estimator.reading import refuse_source
from fastgmm.inference.drift import Drift, drift_of

__all__ = ["DriftMethods"]


class DriftMethods(PerRow):
    """The part of a mixture estimator that compares the score of a batch with what it should be."""

    _fitted_state: Any
    _log_density: Any

    def drift(
        self,
        X: Any,
        sample_weight: Any = None,
        *,
        reference: Any = None,
        n_simulations: int = 20_000,
        random_state: Any = None,
    ) -> Drift:
        """Return how far the mean log density of a batch is from what the model expects, with a p-value.

        The score is low where rows lie far from the components, and high where they keep to the middle of some. A drift
        that leaves the mean log density as it is, such as from one component to another of the same size, is not seen.
        To see such a drift, compare ``statistics(X).counts`` with `weights_`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The batch: rows that the model was not fitted to, in memory. Those with missing values are left aside, since
            log densities of fewer features are not comparable.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each row. By default every row counts once. Rows with weight 0 are ignored.
        reference : array-like of shape (n_reference, n_features), optional
            Rows from before the drift that the model was not fitted to. What is expected is then their mean log
            density, which is right whether or not the data are a mixture of this kind. Without them, it is that of
            draws from the model, less what a fit to `n_samples_seen_` rows makes too much of.
        n_simulations : int, default=20000
            The number of draws from the model. It matters only without `reference`.
        random_state : int, RandomState or None
            Seed of the draws. None takes the estimator's own `random_state`.

        Returns
        -------
        drift : Drift
            With ``score`` and ``expected`` in nats per row, ``standard_error`` and ``p_value``.

        Raises
        ------
        ValueError
            If rows are not valid, or there are too few to tell.

        See Also
        --------
        fastgmm.callbacks.DriftAlarm : Looks at every batch of a stream.
        score : The mean log density alone.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgmm import GaussianMixture
        >>> rng = np.random.default_rng(0)
        >>> model = GaussianMixture(1, random_state=0).fit(rng.normal(size=(5000, 2)))
        >>> model.drift(rng.normal(size=(100, 2))).p_value > 0.01
        True
        >>> model.drift(rng.normal(0.5, 1.2, size=(100, 2))).p_value < 0.001
        True
        """
        check_is_fitted(self)
        refuse_source(X, "drift")
        rows, weight = self._whole_rows(X, sample_weight, "X")
        values = self._values(rows)
        if reference is not None:
            refuse_source(reference, "drift")
            known, _ = self._whole_rows(reference, None, "reference")
            if len(known) < 2:
                raise ValueError("reference has 1 row; expected at least 2, better as many as the batch")
            return drift_of(values, weight, self._values(known))
        if n_simulations < 2:
            raise ValueError(f"n_simulations is {n_simulations!r}; expected at least 2")
        random_state = check_random_state(self.random_state if random_state is None else random_state)
        drawn, _ = inference.draw(int(n_simulations), self._fitted_state(), random_state)
        n_fitted = self.__dict__.get("n_samples_seen_") or np.inf
        forgetting = getattr(self, "forgetting", 0.0)
        if forgetting and "statistics_" in self.__dict__:
            # What a stream that forgets rests on.
            total = float(len(rows) if weight is None else weight.sum())
            n_fitted = min(n_fitted, 2.0 * total / forgetting)
        count = getattr(self, "_n_parameters", None)
        return drift_of(values, weight, self._values(drawn), n_fitted, 0 if count is None else count())

    def _values(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self._log_density(rows), dtype=np.float64)

    def _whole_rows(self, X: Any, sample_weight: Any, name: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Return rows that miss nothing, and their weights."""
        rows = self._check_rows(without_absent(X, sample_weight, self))
        weight = check_sample_weight(sample_weight, len(rows))
        whole = ~np.isnan(rows).any(axis=1)
        if not whole.any():
            raise ValueError(f"{name} has missing values in every row; expected some rows without")
        return (rows, weight) if whole.all() else (rows[whole], None if weight is None else weight[whole])
