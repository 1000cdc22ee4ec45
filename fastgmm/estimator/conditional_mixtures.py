"""The mixtures that conditioning leaves, as estimators that can be asked what any mixture can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from operator import index
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array

from fastgmm.estimator.input_validation import numbers_of
from fastgmm.inference.conditioning import MixturePerRow
from fastgmm.model.shapes.low_rank import unpacked

__all__ = ["ConditionalMixtures"]


@dataclass(frozen=True)
class ConditionalMixtures(MixturePerRow):
    """The distribution of the free features given values of the others: one mixture per row.

    ``conditionals[i]`` is that of row i as a `GaussianMixture`, or a `StudentMixture`; ``len`` and iteration work too.

    Attributes
    ----------
    weights : ndarray of shape (n_rows, n_components), float64
        The probabilities. Each row sums to one.
    means : ndarray of shape (n_rows, n_components, n_free), float64
        The means of the features that were not given.
    covariances : ndarray of shape (n_components, n_free, n_free), float64
        The same for every row; where values given are missing in some or have errors of their own, (n_rows,
        n_components, n_free, n_free).
    feature_names : ndarray of str, or None
        Of the free features.
    random_state : int, RandomState or None
        What `sample` draws from unless told otherwise.
    mixture_class : type
        Of the items.

    See Also
    --------
    fastgmm.GaussianMixture.condition : Makes it.
    fastgmm.GaussianMixtureRegressor.condition : Makes it of a regressor.

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
        row, dof = index(row), dict[str, Any]()
        covariances: Any = self.covariances if self.covariances.ndim == 3 else self.covariances[row]
        if self.degrees_of_freedom is not None and self.inflation is not None:
            covariances = self.shape.scaled(covariances, self.inflation[row])
            dof = {"df": np.broadcast_to(self.degrees_of_freedom, self.weights.shape)[row]}
        if self.shape.n_factors is not None:
            covariances, dof["covariance_type"] = unpacked(covariances), "factor"
        mixture = self.mixture_class.from_parameters(
            self.weights[row], self.means[row], covariances, random_state=self.random_state, **dof
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
            Values of the features that were not given, one row for each mixture.

        Returns
        -------
        log_density : ndarray of shape (n_rows,), float64
            In nats.

        Raises
        ------
        ValueError
            If `values` has another shape or is not finite.

        See Also
        --------
        sample : Draws from the distributions.
        """
        expected = (len(self), self.means.shape[2])
        values = check_values(values, expected[1], self.feature_names, "a row for each mixture")
        if values.shape != expected:
            raise ValueError(
                f"values has shape {values.shape}; expected (n_rows, n_free) = {expected}, a row for each mixture. For "
                "many rows under one mixture take conditionals[i].score_samples"
            )
        return super().log_density(values)

    def sample(self, n_samples: int | None = None, *, random_state: Any = None) -> np.ndarray:  # type: ignore[override]
        """Draw from each mixture.

        Parameters
        ----------
        n_samples : int, optional
            Draws from each; one, without an axis of its own, unless given.
        random_state : int, RandomState or None
            The estimator's own when None.

        Returns
        -------
        values : ndarray of shape (n_rows, n_free) or (n_rows, n_samples, n_free), float64
            The values drawn.

        Raises
        ------
        ValueError
            If `n_samples` is not a positive int.

        See Also
        --------
        log_density : How likely values are.
        """
        random_state = check_random_state(self.random_state if random_state is None else random_state)
        if n_samples is None:
            return super().sample(random_state)
        if isinstance(n_samples, bool) or not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"n_samples is {n_samples!r}; expected a positive int, or None for one draw from each")
        weights, means = np.repeat(self.weights, n_samples, axis=0), np.repeat(self.means, n_samples, axis=0)
        inflation = None if self.inflation is None else np.repeat(self.inflation, n_samples, axis=0)
        covariances, dof = self.covariances, self.degrees_of_freedom
        if covariances.ndim == 4:
            # Values given were missing in some rows, and each has its own.
            covariances = np.repeat(covariances, n_samples, axis=0)
            dof = None if dof is None else np.repeat(dof, n_samples, axis=0)
        repeated = MixturePerRow(weights, means, covariances, dof, inflation, self.shape)
        return repeated.sample(random_state).reshape(len(self), int(n_samples), -1)


def check_values(values: Any, n_columns: int, names: Any, what: str, ensure_all_finite: Any = True) -> np.ndarray:
    """Return values of some features as float64 of shape (n_rows, n_columns).

    Parameters
    ----------
    values : array-like, frame or series
        One-dimensional for one row; for one column, a row for each.
    n_columns : int
    names : array-like of str or None
        Of these features, where they are known: a frame must have them, in this order.
    what : str
        Is expected, for the message.
    ensure_all_finite : bool or 'allow-nan'
        As scikit-learn's checks take it.

    Raises
    ------
    ValueError
        If the shape or the names are others, or a number is not finite.
    """
    given = getattr(values, "columns", None)
    if given is None and getattr(values, "ndim", 1) == 1 and isinstance(getattr(values, "name", None), str):
        given = [values.name]
    given = [] if given is None else list(given)
    known = [] if names is None else list(names)
    if given and known and all(isinstance(name, str) for name in given) and given != known:
        expected = ", ".join(map(str, known))
        raise ValueError(
            f"values has columns {', '.join(given)}; expected {expected}, in that order. Choose them with values[[...]]"
        )
    array = numbers_of(values).astype(np.float64, copy=False)
    if array.ndim < 2:
        array = array.reshape(-1, 1) if n_columns == 1 else array.reshape(1, -1)
    if array.ndim != 2 or array.shape[1] != n_columns:
        raise ValueError(f"values has shape {array.shape}; expected (n_rows, {n_columns}), {what}")
    return check_array(array, input_name="values", order="C", ensure_all_finite=ensure_all_finite)
