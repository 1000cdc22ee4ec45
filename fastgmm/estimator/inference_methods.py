"""What every fitted mixture answers besides predictions: marginals, conditionals, distances, regions."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastgmm.data.incomplete import Marginalised
from fastgmm.estimator.conditional_mixtures import ConditionalMixtures, check_values
from fastgmm.estimator.missing_values import finite_of, takes_missing
from fastgmm.estimator.per_row import PerRow
from fastgmm.families.gaussian import fitted_mixture
from fastgmm.inference.conditioning import Conditioner, marginal
from fastgmm.inference.conditioning_by_factors import condition_by_factors
from fastgmm.inference.distances import mahalanobis
from fastgmm.inference.divergence import entropy_bounds, kl_bounds, wasserstein_bounds
from fastgmm.inference.regions import density_level, line_region
from fastgmm.model import MixtureParameters
from fastgmm.model.parameters import with_whole_matrices
from fastgmm.model.shapes.low_rank import unpacked
from fastgmm.model.student import StudentParameters

__all__ = ["InferenceMethods", "check_columns"]


def check_columns(columns: Any, n_features: int, names: Any = None) -> np.ndarray:
    """Return columns, given by number or by name, as distinct int64 from 0 to ``n_features - 1``.

    Raises
    ------
    ValueError
        If there is none, one twice, or one that does not exist.
    """
    given = [columns] if isinstance(columns, (str, Integral)) else list(columns)
    if any(isinstance(column, str) for column in given):
        known = [] if names is None else list(names)
        missing = [column for column in given if column not in known]
        if missing:
            raise ValueError(f"columns has {missing[0]!r}; expected numbers, or names among {known or 'none known'}")
        given = [known.index(column) for column in given]
    if not given:
        raise ValueError(f"columns is empty; expected at least one column from 0 to {n_features - 1}")
    if not all(isinstance(column, Integral) and not isinstance(column, (bool, np.bool_)) for column in given):
        raise ValueError(f"columns is {columns!r}; expected whole numbers from 0 to {n_features - 1}")
    checked = np.array(given, dtype=np.int64)
    if checked.min() < 0 or checked.max() >= n_features or len(np.unique(checked)) < len(checked):
        raise ValueError(f"columns is {given}; expected distinct numbers from 0 to {n_features - 1}")
    return checked


class InferenceMethods(PerRow):
    """Methods of an estimator with ``weights_``, ``means_``, ``covariances_`` and ``precisions_cholesky_``.

    They speak of the Gaussian mixture with these parameters; for a variational one, that is the plug-in mixture.
    """

    _covariance: Any

    @property
    def _mixture_class(self) -> type:
        """The class of the mixtures that marginals and conditionals are."""
        raise NotImplementedError

    def _gaussian(self) -> MixtureParameters:
        check_is_fitted(self)
        mixture = fitted_mixture(vars(self), self._covariance.shape)
        # Single precision, or a background, leaves weights that do not sum to one.
        total = mixture.weights.sum()
        if not total > 0:
            raise ValueError(
                "the background took every row, and all components have weight 0; expected a component with rows. "
                "Scale X, lower reg_covar or use noise=None"
            )
        return replace(mixture, weights=mixture.weights / total)

    def _components(self) -> MixtureParameters:
        """Return the components without a background, Gaussian or not."""
        return self._gaussian()

    def marginal(self, columns: Any) -> Any:
        """Return the distribution of some of the features.

        Parameters
        ----------
        columns : int, str, or list of them
            The features to keep, by number, or by name if the model was fitted to named columns. The result has them in
            this order.

        Returns
        -------
        model : GaussianMixture
            The mixture of the features that were kept.

        Raises
        ------
        ValueError
            If there is no column, one twice, or one that does not exist.

        See Also
        --------
        condition : The distribution of some features given the others.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([1.0], [[0.0, 5.0]], [[[1.0, 0.5], [0.5, 2.0]]])
        >>> model.marginal(1).means_
        array([[5.]])
        """
        gaussian = self._components()
        columns = check_columns(columns, gaussian.n_features, getattr(self, "feature_names_in_", None))
        part = marginal(gaussian, columns)
        n_factors = part.shape.n_factors
        if n_factors is not None and n_factors >= len(columns):
            part, n_factors = with_whole_matrices(part), None
        dof = {"df": part.degrees_of_freedom} if isinstance(part, StudentParameters) else {}
        model = self._mixture_class.from_parameters(  # type: ignore[attr-defined]
            part.weights,
            part.means,
            part.covariances if n_factors is None else unpacked(part.covariances),
            covariance_type=part.structure if n_factors is None else "factor",
            random_state=self.random_state,
            **dof,
        )
        if hasattr(self, "feature_names_in_"):
            model.feature_names_in_ = self.feature_names_in_[columns]
        return model

    def condition(self, columns: Any, values: Any) -> ConditionalMixtures:
        """Return the distribution of the other features given the values of some, one mixture for each row.

        Parameters
        ----------
        columns : int, str, or list of them
            The features whose values are known. At least one feature must be left.
        values : array-like of shape (n_rows, n_columns) or (n_columns,); or (n_rows,) for one column
            The columns of a frame must have the names of `columns`, in that order, where the model was fitted to named
            columns.

        Returns
        -------
        ConditionalMixtures
            The distributions of the other features, in their order in X. ``mean()``, ``covariance()``,
            ``log_density(rows)`` and ``sample(random_state)`` answer for all rows at once. ``given[i]`` is the
            `GaussianMixture` of row i.

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
        """
        gaussian, names = self._components(), getattr(self, "feature_names_in_", None)
        columns = check_columns(columns, gaussian.n_features, names)
        if len(columns) == gaussian.n_features:
            raise ValueError(
                f"columns names all {gaussian.n_features} features; expected at least one to be left free. For the "
                "density of whole rows use score_samples"
            )
        values = check_values(
            values,
            len(columns),
            None if names is None else names[columns],
            "a value for each of columns",
            finite_of(self),
        )
        if gaussian.shape.n_factors is None or np.isnan(values).any():
            found = Conditioner(gaussian, columns).at(values)
        else:
            found = condition_by_factors(gaussian, columns, values)
        free = None if names is None else np.delete(names, columns)
        return ConditionalMixtures(
            **vars(found), feature_names=free, random_state=self.random_state, mixture_class=self._mixture_class
        )

    def mahalanobis(self, X: Any) -> Any:
        """Return the Mahalanobis distance of each row from each component.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        distances : ndarray of shape (n_samples, n_components), float64
            Distances in standard deviations of the component. For rows with missing values, they are taken in the
            features that the row has.

        See Also
        --------
        score_samples : The log density, which weighs all components.
        """
        return self._per_row(X, self._distances, "mahalanobis")

    def _distances(self, rows: np.ndarray) -> np.ndarray:
        components = self._components()
        return mahalanobis(rows, Marginalised(components) if takes_missing(self) else components)

    def entropy_bounds(self) -> tuple[float, float]:
        """Return a lower and an upper bound on the differential entropy, in nats.

        Returns
        -------
        lower, upper : float
            The two bounds. They are equal if the mixture has one component.

        See Also
        --------
        kl_bounds : Bounds on the divergence between two mixtures.

        References
        ----------
        Kolchinsky and Tracey, "Estimating mixture entropy with pairwise distances", Entropy 19 (2017).
        """
        return entropy_bounds(self._gaussian())

    def kl_bounds(self, other: Any) -> tuple[float, float]:
        """Return a lower and an upper bound on the divergence ``integral p log(p / q)`` of `other`, q, from this, p.

        Parameters
        ----------
        other : GaussianMixture or BayesianGaussianMixture
            Another fitted mixture with the same number of features.

        Returns
        -------
        lower, upper : float
            The two bounds in nats. The lower one is not negative. They are equal if each mixture has one component.

        See Also
        --------
        wasserstein_bounds : A distance in units of the data.

        References
        ----------
        Durrieu, Thiran and Kelly, "Lower and upper bounds for approximation of the Kullback-Leibler divergence
        between Gaussian mixture models", ICASSP (2012).
        """
        return kl_bounds(self._gaussian(), self._other(other))

    def wasserstein_bounds(self, other: Any) -> tuple[float, float]:
        """Return a lower and an upper bound on the 2-Wasserstein distance to `other`.

        Parameters
        ----------
        other : GaussianMixture or BayesianGaussianMixture
            Another fitted mixture with the same number of features.

        Returns
        -------
        lower, upper : float
            In units of the data: Gelbrich's bound, and the distance MW2, which is itself a metric between mixtures.
            Equal for one component each.

        See Also
        --------
        kl_bounds : The divergence in nats.

        References
        ----------
        Delon and Desolneux, "A Wasserstein-type distance in the space of Gaussian mixture models", SIAM J. Imaging
        Sciences 13 (2020).
        """
        return wasserstein_bounds(self._gaussian(), self._other(other))

    def _other(self, other: Any) -> MixtureParameters:
        if not isinstance(other, InferenceMethods):
            raise TypeError(f"other is a {type(other).__name__}; expected a fitted mixture of fastgmm")
        theirs = other._gaussian()
        n_features = np.shape(self.means_)[1]
        if theirs.n_features != n_features:
            raise ValueError(f"other has {theirs.n_features} features; expected {n_features}, as this model")
        return theirs

    def highest_density_level(
        self, coverage: float = 0.95, *, n_simulations: int = 100_000, random_state: Any = None
    ) -> float:
        """Return the log density above which the mixture has probability `coverage`.

        The region ``score_samples(X) >= level`` is the smallest that holds this probability.

        Parameters
        ----------
        coverage : float in (0, 1), default=0.95
            The probability that a region holds.
        n_simulations : int, default=100000
            The number of draws from the mixture. Only needed if it has more than one component.
        random_state : int, RandomState or None
            Seed of the draws. None takes the estimator's own `random_state`.

        Returns
        -------
        level : float
            The log density in nats. It is exact for one component. Otherwise the region's probability has a standard
            error of ``sqrt(coverage (1 - coverage) / n_simulations)``.

        Raises
        ------
        ValueError
            If `coverage` is not between 0 and 1.

        See Also
        --------
        hdr : The region with this level at its edge.
        """
        if not 0.0 < coverage < 1.0:
            raise ValueError(f"coverage is {coverage!r}; expected a probability between 0 and 1, such as 0.95")
        random_state = check_random_state(self.random_state if random_state is None else random_state)
        return density_level(self._components(), float(coverage), int(n_simulations), random_state)

    def highest_density_intervals(self, coverage: float = 0.95) -> np.ndarray:
        """Return the intervals of a mixture in one feature that hold probability `coverage` at the highest density.

        Parameters
        ----------
        coverage : float in (0, 1), default=0.95
            The probability that a region holds.

        Returns
        -------
        intervals : ndarray of shape (n_intervals, 2), float64
            The intervals from left to right, in units of the data. Together they have the probability `coverage` to
            about 1e-8.

        Raises
        ------
        ValueError
            If the model has more than one feature or `coverage` is not between 0 and 1.

        See Also
        --------
        hdr : The region for any number of features.
        """
        gaussian = self._components()
        if gaussian.n_features != 1:
            raise ValueError(
                f"the model has {gaussian.n_features} features; expected 1. Take marginal(column), or use "
                "highest_density_level"
            )
        if not 0.0 < coverage < 1.0:
            raise ValueError(f"coverage is {coverage!r}; expected a probability between 0 and 1, such as 0.95")
        return line_region(gaussian, float(coverage))[0]
