"""The mixtures that conditioning leaves, as estimators that can be asked what any mixture can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import index
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array

from fastgmm.inference.conditioning import MixturePerRow

__all__ = ["ConditionalMixtures"]


@dataclass(frozen=True)
class ConditionalMixtures(MixturePerRow):
    """The distribution of the free features given values of the others: one Gaussian mixture per row.

    ``conditionals[i]`` is that of row i as a `GaussianMixture`; ``len`` and iteration work too.

    Attributes
    ----------
    weights : ndarray of shape (n_rows, n_components), float64
        Rows sum to one.
    means : ndarray of shape (n_rows, n_components, n_free), float64
    covariances : ndarray of shape (n_components, n_free, n_free), float64
        The same for every row.
    feature_names : ndarray of str, or None
        Of the free features.
    random_state : int, RandomState or None
        What `sample` draws from unless told otherwise.
    mixture_class : type
        Of the items.

    Examples
    --------
    >>> from fastgmm import GaussianMixture
    >>> model = GaussianMixture.from_parameters([1.0], [[0.0, 5.0]], [[[1.0, 0.5], [0.5, 2.0]]])
    >>> conditionals = model.condition(0, [[2.0], [4.0]])
    >>> conditionals.mean().ravel()
    array([6., 7.])
    >>> conditionals[0].highest_density_intervals(0.5).round(2)
    array([[5.11, 6.89]])
    """

    feature_names: np.ndarray | None = None
    random_state: Any = None
    mixture_class: Any = None

    def __getitem__(self, row: int) -> Any:
        """Return the mixture of one row."""
        row = index(row)
        mixture = self.mixture_class.from_parameters(
            self.weights[row], self.means[row], self.covariances, random_state=self.random_state
        )
        if self.feature_names is not None:
            mixture.feature_names_in_ = self.feature_names
        return mixture

    def __iter__(self) -> Iterator[Any]:
        return (self[row] for row in range(len(self)))

    def log_density(self, values: Any) -> np.ndarray:
        """Return the log density of a row of values under the mixture of the same row.

        Parameters
        ----------
        values : array-like of shape (n_rows, n_free)

        Returns
        -------
        log_density : ndarray of shape (n_rows,), float64
            In nats.

        Raises
        ------
        ValueError
            If `values` has another shape or is not finite.
        """
        values = check_array(values, dtype=np.float64, input_name="values")
        expected = (len(self), self.means.shape[2])
        if values.shape != expected:
            raise ValueError(
                f"values has shape {values.shape}; expected (n_rows, n_free) = {expected}, a row for each mixture. For "
                "many rows under one mixture take conditionals[i].score_samples"
            )
        return super().log_density(values)

    def sample(self, random_state: Any = None) -> np.ndarray:
        """Draw once from each mixture.

        Parameters
        ----------
        random_state : int, RandomState or None
            The estimator's own when None. For many draws from one row take ``conditionals[i].sample``.

        Returns
        -------
        values : ndarray of shape (n_rows, n_free), float64
        """
        return super().sample(check_random_state(self.random_state if random_state is None else random_state))
