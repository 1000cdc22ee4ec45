"""Missing values filled in by a fitted mixture."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from fastgmm.estimator.input_validation import DTYPES
from fastgmm.estimator.per_row import PerRow
from fastgmm.estimator.reading import refuse_source
from fastgmm.inference.imputing import drawn_values, expected_values

__all__ = ["ImputationMethods", "check_n_draws"]


class ImputationMethods(PerRow):
    """The part of a mixture estimator that fills in what rows miss."""

    _fitted_state: Any

    def impute(self, X: Any, n_draws: int | None = None, *, random_state: Any = None) -> np.ndarray:
        """Return the rows with missing values (NaN) filled in, by their expectation or by draws.

        The expectation is the best single guess, but makes rows more regular than they are: variances and p-values of
        what is computed from it are too small. Draws have the right spread and correlations; compute what is wanted
        from each, and combine the results (Rubin's rules).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows, with NaN where a value is missing. The estimator's parameter `missing` makes no difference here.
        n_draws : int, optional
            How many draws to return. Without it, the expectation is returned.
        random_state : int, RandomState or None
            Seed of the draws. None takes the estimator's own `random_state`.

        Returns
        -------
        values : ndarray of shape (n_samples, n_features), or (n_draws, n_samples, n_features)
            The rows with missing values filled in. What was observed stays as it was.

        Raises
        ------
        ValueError
            If X is not valid or `n_draws` is not a positive int.

        See Also
        --------
        fastgmm.GaussianMixtureImputer : Fits and fills in as a transformer.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([1.0], [[0.0, 5.0]], [[[1.0, 0.5], [0.5, 2.0]]])
        >>> model.impute([[2.0, float("nan")]])
        array([[2., 6.]])
        >>> model.impute([[2.0, float("nan")]], n_draws=20, random_state=0).shape
        (20, 1, 2)
        """
        refuse_source(X, "impute")
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=DTYPES, order="C", ensure_all_finite="allow-nan")
        n_draws = check_n_draws(n_draws)
        if n_draws is None:
            return expected_values(rows, self._fitted_state())
        random_state = check_random_state(self.random_state if random_state is None else random_state)
        return drawn_values(rows, self._fitted_state(), n_draws, random_state)


def check_n_draws(n_draws: Any) -> int | None:
    """Return a number of draws, checked; None for the expectation."""
    if n_draws is None:
        return None
    if isinstance(n_draws, bool) or not isinstance(n_draws, Integral) or n_draws < 1:
        raise ValueError(f"n_draws is {n_draws!r}; expected a positive int, or None for the expectation")
    return int(n_draws)
