"""Missing values filled in by a Gaussian mixture, as a transformer."""

from __future__ import annotations

import math
from contextlib import nullcontext
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from fastgmm.data import ArrayRows
from fastgmm.data.standardised import observed_moments, standardised_rows
from fastgmm.estimator.fit_context import fit_context
from fastgmm.estimator.imputation_methods import check_n_draws
from fastgmm.estimator.inner_mixture import (
    INNER_CONSTRAINTS,
    covariance_to_count,
    inner_options,
    sensible_sizes,
    unconverged_too,
)
from fastgmm.estimator.input_validation import DTYPES, check_sample_weight
from fastgmm.estimator.reading import refuse_source
from fastgmm.exceptions import ComponentCollapseError, RegularisationWarning, without_warnings
from fastgmm.families import Gaussian, get_covariance
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.inference.estimated import predicted_by_estimates
from fastgmm.inference.imputing import drawn_values
from fastgmm.model.shapes import DIAGONAL
from fastgmm.starts.completed import completed, without_empty

__all__ = ["GaussianMixtureImputer"]


class GaussianMixtureImputer(TransformerMixin, BaseEstimator):
    """Fill in missing values by what a Gaussian mixture expects of them, or draws.

    The mixture is fitted by EM to the values that are there. This is exact if values are missing at random: whether a
    value is missing may depend on values that are there, but not on itself. With one component this is a regression of
    each feature on those that a row has.

    Parameters
    ----------
    n_components : int or 'bic', default='bic'
        'bic' takes the number with the lowest Bayesian information criterion, up to `max_components`.
    covariance_type : str, default='full'
        As in `GaussianMixture`. With axis-aligned types, values are filled in from the means of the components alone.
    missing_values : int, float or NaN, default=NaN
        What stands for a missing value. `pandas.NA` is read as NaN.
    sample_posterior : bool, default=False
        Whether `transform` draws missing values instead of taking their expectation. For multiple imputation use
        ``imputer.mixture_.impute(X, n_draws=20)``, or several imputers with different `random_state`.
    add_indicator : bool, default=False
        Whether to add a column of zeros and ones for each feature with missing values in `fit`, which says where they
        were missing.
    keep_empty_features : bool, default=False
        Whether a feature that is missing in every row of `fit` is filled with zeros. Otherwise it is left out.
    max_components : int, default=5
        The most components that ``n_components='bic'`` tries. It stops at the first number that is worse than the one
        before.
    tol, max_iter, n_init, init_params
        As in `GaussianMixture`.
    reg_covar : float or 'auto', default='auto'
        As in `GaussianMixture`, in units of standardised columns, as which they are fitted; `mixture_` is in their own
        units. 'auto' is ``(n_components n_features / n)^2``, n rows having both of two features, from 1e-4 to 0.1,
        and at least 0.01 with several components: a column of few different values, such as a code, would
        otherwise draw components to its values. With factors, one more than these stands for n_features.
    random_state : int, RandomState or None
        Seed of the starts, and of the draws with `sample_posterior`. Pass an int to get the same result in every run.
    n_factors : int, 'bic' or 'cattell', default='bic'
        Of covariance types with loadings, as `GaussianMixture` has it. `mixture_` is then of the type 'factor'.

    Attributes
    ----------
    mixture_ : GaussianMixture
        The mixture of the features that were kept.
    n_components_, n_iter_ : int
        Components and iterations of the mixture chosen.
    bic_ : float
        Bayesian information criterion of `mixture_` over the rows of `fit`, in nats; lower is better.
    indicator_features_ : ndarray of int64
        The features with missing values in `fit`. With `add_indicator`, each has an indicator column.
    n_features_in_ : int
        Number of features (columns) seen in `fit`.
    feature_names_in_ : ndarray of str
        The names of the columns of X in `fit`. Only there if X had names that are all strings.

    See Also
    --------
    GaussianMixture.impute : Fills in missing values by a fitted mixture.
    sklearn.impute.IterativeImputer : Regresses each feature on all others in turn.
    sklearn.impute.KNNImputer : Takes the mean of near rows.

    References
    ----------
    Ghahramani and Jordan, "Supervised learning from incomplete data via an EM approach", NIPS 6 (1994); Rubin, Multiple
    Imputation for Nonresponse in Surveys (1987).

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixtureImputer
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=200)
    >>> X = np.column_stack([x, 2.0 * x + 0.1 * rng.normal(size=200)])
    >>> X[0] = 1.0, np.nan
    >>> GaussianMixtureImputer(random_state=0).fit_transform(X)[0].round(1)
    array([1., 2.])
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **{name: value for name, value in INNER_CONSTRAINTS.items() if name != "missing"},
        "missing_values": [Real, Integral],
        "sample_posterior": ["boolean"],
        "add_indicator": ["boolean"],
        "keep_empty_features": ["boolean"],
        "max_components": [Interval(Integral, 1, None, closed="left")],
    }

    # What `inner_options` reads: the mixture inside always takes missing values.
    missing = "marginalise"
    # Of imputers that were pickled before they had it.
    n_factors = "bic"

    def __init__(
        self,
        n_components: Any = "bic",
        *,
        covariance_type: Any = "full",
        missing_values: Any = np.nan,
        sample_posterior: bool = False,
        add_indicator: bool = False,
        keep_empty_features: bool = False,
        max_components: Any = 5,
        tol: float = 1e-3,
        reg_covar: Any = "auto",
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Any = "kmeans",
        random_state: Any = None,
        n_factors: Any = "bic",
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.missing_values = missing_values
        self.sample_posterior = sample_posterior
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.max_components = max_components
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.random_state = random_state
        self.n_factors = n_factors

    @fit_context()
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the mixture to the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to learn from, of which some miss values.
        y : Ignored
            Present for consistency with other scikit-learn estimators.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row; by default every row counts once.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or a parameter is not valid, every feature is missing in every row, or no number of components could be
            fitted (`fastgmm.exceptions.ComponentCollapseError`).

        See Also
        --------
        transform : Fills in what is missing.
        """
        rows = self._checked(X, reset=True)
        weight = check_sample_weight(sample_weight, len(rows))
        missing = np.isnan(rows)
        self._kept = np.flatnonzero(~missing.all(axis=0))
        if len(self._kept) == 0:
            raise ValueError(f"X misses every value of all {rows.shape[1]} features; expected some")
        self.indicator_features_ = np.flatnonzero(missing.any(axis=0))
        kept = np.ascontiguousarray(rows[:, self._kept])
        shift, variances = observed_moments(ArrayRows(kept, weight))
        scale = np.sqrt(np.where(variances > 0, variances, 1.0))
        # Rows that have both of two features, in the mean: what a covariance is known from. Of weighted rows, as many
        # as would tell as much if they had one weight.
        counted = float(len(rows)) if weight is None else float(weight.sum() ** 2 / np.square(weight).sum())
        observed, n_kept = np.count_nonzero(~np.isnan(kept), axis=1), len(self._kept)
        self._n_rows = counted * float(np.mean(observed * np.maximum(observed - 1, 1))) / (n_kept * max(n_kept - 1, 1))
        standard, bic = self._best_mixture(standardised_rows(shift, scale, kept), weight)
        self.mixture_ = _in_data_units(standard, shift, scale)
        counted = ~np.isnan(kept) if weight is None else ~np.isnan(kept) * weight[:, None]
        self.bic_ = bic + 2.0 * float(counted.sum(axis=0) @ np.log(scale))
        self.n_components_, self.n_iter_ = self.mixture_.n_components, self.mixture_.n_iter_
        return self

    def _best_mixture(self, rows: np.ndarray, weight: np.ndarray | None) -> tuple[GaussianMixture, float]:
        seed, fixed = check_random_state(self.random_state).randint(2**31 - 1), not isinstance(self.n_components, str)
        get_covariance(self.covariance_type, self.n_factors).check_n_features(rows.shape[1])
        family = Gaussian(covariance_to_count(self, self.covariance_type))
        n_rows = float(np.count_nonzero(~np.isnan(rows).all(axis=1)))
        sizes = [self.n_components] if fixed else sensible_sizes(family, self.max_components, rows.shape[1], n_rows)
        # What starts are made of is the same for all sizes.
        whole = None
        if np.isnan(rows).any():
            whole = completed(without_empty(ArrayRows(rows, weight)), np.random.RandomState(seed))
        best, failure = None, None
        for size in sizes:
            options = inner_options(self)
            if isinstance(self.reg_covar, str):
                # What a feature is regressed on: all others, or factors.
                n_others = getattr(family.covariance, "n_factors", rows.shape[1] - 1)
                share = (size * (n_others + 1) / self._n_rows) ** 2
                options["reg_covar"] = float(np.clip(share, 1e-4 if size == 1 else 0.01, 0.1))
            model = GaussianMixture(size, random_state=seed, **options)
            model._completed = whole
            try:
                # What is added to standardised variances is meant to be felt.
                with nullcontext() if fixed else unconverged_too(), without_warnings(RegularisationWarning):
                    model.fit(rows, sample_weight=weight)
                bic = model.bic(rows, sample_weight=weight)
            except ComponentCollapseError as error:
                failure, bic = failure or error, math.inf
            model.__dict__.pop("_completed", None)
            if best is not None and bic >= best[1]:
                break
            if math.isfinite(bic):
                best = model, bic
        if best is None:
            assert failure is not None, "one size at least was tried"
            raise failure
        return best

    def transform(self, X: Any) -> np.ndarray:
        """Return the rows with missing values filled in.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        values : ndarray of shape (n_samples, n_features_out)
            The completed rows, with indicator columns last. Features that were missing in every row of `fit` are left
            out unless `keep_empty_features` is True.

        See Also
        --------
        impute : Several completed tables, to see how sure they are.
        """
        check_is_fitted(self)
        rows = self._checked(X, reset=False)
        filled = self._filled(rows, 1 if self.sample_posterior else None, self.random_state)
        filled = filled[0] if self.sample_posterior else filled
        if not self.add_indicator:
            return filled
        return np.hstack([filled, np.isnan(rows[:, self.indicator_features_]).astype(filled.dtype)])

    def impute(self, X: Any, n_draws: int | None = None, *, random_state: Any = None) -> np.ndarray:
        """Return the rows with missing values filled in, by their expectation or by draws.

        Draws allow for what `mixture_` is: an estimate from the rows of `fit`. So they vary more than those of
        ``mixture_.impute``, the more the fewer rows there were for so many features; not where components have factors.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows asked about, with the features of the fit in the same order.
        n_draws : int, optional
            How many draws to return; the expectation unless given.
        random_state : int, RandomState or None
            For draws; the estimator's own `random_state` when None.

        Returns
        -------
        values : ndarray of shape (n_samples, n_kept), or (n_draws, n_samples, n_kept)
            Without features that were missing in every row of `fit`, unless they are kept.

        Raises
        ------
        ValueError
            If X is not valid or `n_draws` is not a positive int.

        See Also
        --------
        transform : One completed table.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgmm import GaussianMixtureImputer
        >>> x = np.random.default_rng(0).normal(size=(50, 1))
        >>> imputer = GaussianMixtureImputer(1, random_state=0).fit(np.hstack([x, 2.0 * x]))
        >>> imputer.impute([[1.0, np.nan]], n_draws=20).shape
        (20, 1, 2)
        """
        check_is_fitted(self)
        random_state = self.random_state if random_state is None else random_state
        return self._filled(self._checked(X, reset=False), check_n_draws(n_draws), random_state)

    def _filled(self, rows: np.ndarray, n_draws: int | None, random_state: Any) -> np.ndarray:
        """Return checked rows filled in, with the features that are kept."""
        known = np.ascontiguousarray(rows[:, self._kept])
        if n_draws is None:
            filled = self.mixture_.impute(known)
        else:
            # Imputers pickled before it was known draw from the mixture itself.
            mixture = self.mixture_._fitted_state()
            if hasattr(self, "_n_rows") and mixture.shape.n_factors is None:
                mixture = predicted_by_estimates(mixture, self._n_rows)
            filled = drawn_values(known, mixture, n_draws, check_random_state(random_state))
        if not self.keep_empty_features or len(self._kept) == rows.shape[1]:
            return filled
        whole = np.empty((*filled.shape[:-1], rows.shape[1]), dtype=filled.dtype)
        whole[...] = np.where(np.isnan(rows), 0.0, rows)
        whole[..., self._kept] = filled
        return whole

    def _checked(self, X: Any, reset: bool) -> np.ndarray:
        refuse_source(X, "an imputer")
        is_nan = isinstance(self.missing_values, float) and math.isnan(self.missing_values)
        rows = validate_data(
            self, X, reset=reset, dtype=DTYPES, order="C", ensure_all_finite="allow-nan" if is_nan else True
        )
        return rows if is_nan else np.where(rows == self.missing_values, np.nan, rows).astype(rows.dtype, copy=False)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns that `transform` returns.

        Parameters
        ----------
        input_features : array-like of str, optional
            Names of the features of `fit`, where it has not seen any.

        Returns
        -------
        names : ndarray of str objects
            The names. Those of indicator columns begin with ``missingindicator_``.

        See Also
        --------
        transform : Returns these columns.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        kept = names if self.keep_empty_features else names[self._kept]
        if not self.add_indicator:
            return kept
        added = [f"missingindicator_{name}" for name in names[self.indicator_features_]]
        return np.concatenate([kept, np.array(added, dtype=object)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = isinstance(self.missing_values, float) and math.isnan(self.missing_values)
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _in_data_units(model: GaussianMixture, shift: np.ndarray, scale: np.ndarray) -> GaussianMixture:
    """Return the mixture of the data as they are, from one of standardised columns; spheres become diagonals."""
    shape, means = model._covariance.shape, np.asarray(model.means_)
    covariances: Any
    if "loadings_" in vars(model):
        name = "factor"
        covariances = (model.loadings_ * scale[:, None], model.noise_variances_ * scale**2)
    elif shape.is_matrix:
        name, covariances = shape.name, np.asarray(model.covariances_, dtype=np.float64) * scale[:, None] * scale
    else:
        variances = shape.diagonals(np.asarray(model.covariances_, dtype=np.float64), *means.shape)
        name, covariances = DIAGONAL.name, variances * scale**2
    means = np.asarray(model.means_, dtype=np.float64) * scale + shift
    weights = np.asarray(model.weights_, dtype=np.float64)
    other = GaussianMixture.from_parameters(
        weights / weights.sum(), means, covariances, covariance_type=name, random_state=model.random_state
    )
    other.converged_, other.n_iter_ = model.converged_, model.n_iter_
    return other.set_params(missing="marginalise")
