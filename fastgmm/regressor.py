"""Regression by the conditional of a joint Gaussian mixture of inputs and targets."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, validate_data

from fastgmm import inference
from fastgmm.callbacks import CallbackSupport, Task
from fastgmm.data import ArrayRows, RowSource, moments, source_of
from fastgmm.data.incomplete import density_for
from fastgmm.data.standardised import joined, mapped, observed_moments, standardised_rows
from fastgmm.estimator.absent_rows import without_absent
from fastgmm.estimator.conditional_mixtures import ConditionalMixtures
from fastgmm.estimator.fit_context import fit_context
from fastgmm.estimator.inner_mixture import (
    DISTRIBUTIONS,
    INNER_CONSTRAINTS,
    inner_family,
    inner_options,
    lowest_bic,
    sensible_sizes,
    unconverged_too,
)
from fastgmm.estimator.input_validation import check_sample_weight
from fastgmm.estimator.missing_values import finite_of, takes_missing
from fastgmm.estimator.per_row import PerRow
from fastgmm.estimator.reading import check_labels_are_taken, learn_columns, refuse_source
from fastgmm.estimator.show_methods import SummaryMethod
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.inference.conditioning import Conditioner
from fastgmm.student_mixture import MIXTURES

__all__ = ["GaussianMixtureRegressor"]


class GaussianMixtureRegressor(CallbackSupport, SummaryMethod, PerRow, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Predict targets, their spread and their whole distribution from a Gaussian mixture of inputs and targets.

    The mixture is fitted to the rows ``[X, y]``. Given X, the distribution of y is again a Gaussian mixture, and its
    mean is the prediction. With one component this is linear regression. With more, several lines are blended smoothly.

    Parameters
    ----------
    n_components : int or 'bic', default='bic'
        'bic' takes the number with the lowest Bayesian information criterion, up to `max_components`.
    covariance_type : str, default='full'
        As in `GaussianMixture`, for inputs and targets together. With axis-aligned types each component predicts a
        constant.
    max_components : int, default=9
        For ``n_components='bic'``.
    tol, reg_covar, max_iter, n_init, init_params
        As in `GaussianMixture`; `reg_covar` is in units of standardised columns. Inputs and targets are standardised
        for the fit, and the mixture is given back in their own units.
    random_state : int, RandomState or None
        Seed of everything that is drawn at random. Pass an int to get the same result in every run.
    missing : {'error', 'marginalise'}, default='error'
        'marginalise' takes NaN in X for a missing value, in fits and predictions. A row is then predicted from the
        values it has. Targets must not be missing.
    n_factors : int, 'bic' or 'cattell', default='bic'
        Of covariance types with loadings, as `GaussianMixture` has it.
    distribution : {'normal', 'student'}, default='normal'
        The distribution of the components. With 'student' they have heavy tails (`StudentMixture`). Outliers then
        hardly move the prediction, and the predicted spread grows with the distance from the rows.

    Attributes
    ----------
    mixture_ : GaussianMixture or StudentMixture
        The mixture of standardised inputs and targets, ``(x - centre_) / scale_``.
    centre_, scale_ : ndarray of shape (n_features + n_targets,), float64
        In units of the data.
    n_components_, n_iter_ : int
        Components and iterations of the model chosen.
    stopped_ : bool
        Whether a callback (`fastgmm.callbacks`) ended the fit.
    n_features_in_ : int
        Number of features (columns) seen in `fit`.
    feature_names_in_ : ndarray of str
        The names of the columns of X in `fit`. Only there if X had names that are all strings.

    See Also
    --------
    GaussianMixture.condition : Any features given any others.
    sklearn.gaussian_process.GaussianProcessRegressor : Regression by a smooth random function.

    References
    ----------
    Ghahramani and Jordan, "Supervised learning from incomplete data via an EM approach", NIPS 6 (1994), section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixtureRegressor
    >>> x = np.linspace(-3, 3, 300)
    >>> model = GaussianMixtureRegressor(random_state=0).fit(x[:, None], np.abs(x))
    >>> bool(np.abs(model.predict([[-2.0], [2.0]]) - 2.0).max() < 0.1)
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **INNER_CONSTRAINTS,
        "distribution": DISTRIBUTIONS,
    }
    # Of a model that an earlier version pickled.
    distribution: str = "normal"
    missing: str = "error"
    n_factors: Any = "bic"

    def __init__(
        self,
        n_components: Any = "bic",
        *,
        covariance_type: Any = "full",
        max_components: Any = 9,
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Any = "kmeans",
        random_state: Any = None,
        missing: str = "error",
        n_factors: Any = "bic",
        distribution: str = "normal",
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.max_components = max_components
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.random_state = random_state
        self.missing = missing
        self.n_factors = n_factors
        self.distribution = distribution

    @fit_context()
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the mixture of inputs and targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), dask array or frame, or a source of `fastgmm.data`
            The rows to learn from.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The targets. None if a source brings them.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each row, not negative. A row of weight 2 counts like two equal rows.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data or a parameter are not valid, or no number of components could be fitted
            (`fastgmm.exceptions.ComponentCollapseError`).

        See Also
        --------
        predict : The expected targets.
        condition : Their whole distribution.
        """
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        source = source_of(X, sample_weight)
        if source is None:
            options = {"multi_output": True, "y_numeric": True, "ensure_min_samples": 2}
            X, y = without_absent(X, sample_weight, self), without_absent(y, sample_weight)
            X, y = validate_data(self, X, y, dtype=np.float64, ensure_all_finite=finite_of(self), **options)
            weight = check_sample_weight(sample_weight, len(X))
            self._one_target = y.ndim == 1
            given: Any = self._standardise(np.column_stack([X, y]).astype(np.float64, copy=False), weight)
            total: float = len(X) if weight is None else weight.sum()
        else:
            given, weight = self._standardised_source(source, y, np.random.RandomState(seed)), None
            total = given.total_weight
        fixed = not isinstance(self.n_components, str)
        cls = MIXTURES[self.distribution]
        candidates = sensible_sizes(inner_family(self), self.max_components, len(self.scale_), total)
        sizes = [self.n_components] if fixed else candidates
        watch = self._watch(len(sizes), X=X, y=y, sample_weight=weight)

        # One seed for all sizes: what a size comes to does not hang on those tried before.
        def fit_size(size: int, task: Task) -> tuple[GaussianMixture, float]:
            model = cls(size, random_state=seed, **inner_options(self))
            with nullcontext() if fixed else unconverged_too(), task.follow(model):
                model.fit(given, sample_weight=weight)
            return model, 0.0 if fixed else model.bic(given, sample_weight=weight)

        self.mixture_ = lowest_bic(watch, sizes, fit_size)[0]
        self.n_components_, self.n_iter_ = self.mixture_.n_components, self.mixture_.n_iter_
        self.stopped_ = watch.finish()
        return self

    def _standardise(self, rows: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        if np.isnan(rows).any():
            mean, variance = observed_moments(ArrayRows(rows, weight))
            self.centre_, self.scale_ = mean, np.where(variance > 0, np.sqrt(variance), 1.0)
            return (rows - self.centre_) / self.scale_
        # Column by column about its first value: digits survive far from the origin.
        shifted = rows - rows[0]
        mean = np.average(shifted, axis=0, weights=weight)
        sd = np.sqrt(np.average((shifted - mean) ** 2, axis=0, weights=weight))
        self.centre_, self.scale_ = rows[0] + mean, np.where(sd > 0, sd, 1.0)
        return (shifted - mean) / self.scale_

    def _standardised_source(self, source: RowSource, y: Any, random_state: np.random.RandomState) -> RowSource:
        """Return a source of inputs and targets, standardised, whose sample is drawn."""
        if takes_missing(self):
            source = source.with_missing()
        if y is not None:
            source = source.with_columns(y=y)
        sample = source.sample(random_state=random_state)
        check_labels_are_taken(self, source, ["y"])
        if "y" not in source.columns:
            raise ValueError(
                f"{type(self).__name__} requires y: X, {source.description}, has no targets and y is None; expected "
                "targets that come with the rows, as in parquet(..., y=columns), sliced(..., y=array) or batches of "
                "mappings with 'y', or y"
            )
        learn_columns(self, sample.n_features, source)
        self._one_target = sample.along["y"].ndim == 1
        # In the precision that an array is computed in.
        double = mapped(source, _as_float64) if source.dtype == np.float32 else source
        both = joined(double, "y")
        mean, variance = observed_moments(both) if takes_missing(self) else _mean_and_variance(both)
        sd = np.sqrt(variance)
        # As many digits as a constant column of this size would round to.
        constant = sd <= 1e-15 * np.abs(mean)
        self.centre_, self.scale_ = mean, np.where(constant, 1.0, sd)
        standard = mapped(both, partial(standardised_rows, self.centre_, self.scale_))
        rows = np.column_stack([sample.X, sample.along["y"]]).astype(np.float64, copy=False)
        drawn = ArrayRows(standardised_rows(self.centre_, self.scale_, rows), sample.sample_weight)
        standard.n_samples, standard.total_weight = source.n_samples, source.total_weight
        return standard.with_sample(drawn)

    # Predicting.

    _row_dtypes = np.float64

    def _conditioner(self) -> Conditioner:
        return Conditioner(self.mixture_._components(), np.arange(self.n_features_in_))

    def _standardised(self, X: np.ndarray) -> np.ndarray:
        d = self.n_features_in_
        return (X - self.centre_[:d]) / self.scale_[:d]

    def _targets(self, values: np.ndarray) -> np.ndarray:
        d = self.n_features_in_
        values = values * self.scale_[d:] + self.centre_[d:]
        return values[:, 0] if self._one_target else values

    def predict(self, X: Any) -> np.ndarray:
        """Return the expectation of the targets for each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets), float64
            The predictions, in the shape of the y of `fit`.

        See Also
        --------
        predict_covariance : How uncertain the prediction is.
        condition : The whole distribution.
        """
        return self._per_row(X, self._expectations, "prediction")

    def _expectations(self, X: np.ndarray) -> np.ndarray:
        conditioner = self._conditioner()
        out = np.empty((len(X), len(self.scale_) - X.shape[1]))
        for part, mixtures in conditioner.blocks(self._standardised(X)):
            out[part] = mixtures.mean()
        return self._targets(out)

    def predict_covariance(self, X: Any) -> np.ndarray:
        """Return the spread of the targets about their expectation for each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        covariance : ndarray of shape (n_samples,) or (n_samples, n_targets, n_targets), float64
            The covariance of the targets of each row, in squared units of the targets. It is a variance if y was
            one-dimensional.

        See Also
        --------
        predict : The prediction.
        """
        return self._per_row(X, self._covariances, "covariance")

    def _covariances(self, X: np.ndarray) -> np.ndarray:
        scale = self.scale_[X.shape[1] :]
        out = np.empty((len(X), len(scale), len(scale)))
        for part, mixtures in self._conditioner().blocks(self._standardised(X)):
            out[part] = mixtures.covariance() * scale[:, None] * scale
        return out[:, 0, 0] if self._one_target else out

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination of the predictions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of `fastgmm.data`
            The rows asked about, with the features of the fit in the same order.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), dask array, series or frame
            Their targets.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row; by default every row counts once.

        Returns
        -------
        r2 : float
            1 if the predictions are exact, and 0 if they are no better than the mean of the targets. With several
            targets it is their mean.

        See Also
        --------
        log_density : Takes account of the spread as well.
        """
        from sklearn.metrics import r2_score

        # A distributed prediction has no length until it is computed.
        X, y = without_absent(X, sample_weight, self), without_absent(y, sample_weight)
        return float(r2_score(np.asarray(y), np.asarray(self.predict(X)), sample_weight=sample_weight))

    def condition(self, X: Any) -> ConditionalMixtures:
        """Return the whole distribution of the targets for each row, in their own units.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows asked about, with the features of the fit in the same order.

        Returns
        -------
        ConditionalMixtures
            One mixture in ``n_targets`` features for each row. ``given[i]`` is the `GaussianMixture`, or
            `StudentMixture`, of row i.

        See Also
        --------
        predict : Its mean.
        sample : Draws from it.
        """
        refuse_source(X, "condition, which holds a mixture for each row,")
        X = self._check_rows(X)
        d = X.shape[1]
        mixtures = self._conditioner().at(self._standardised(X))
        scale = self.scale_[d:]
        in_units = replace(
            mixtures,
            means=mixtures.means * scale + self.centre_[d:],
            covariances=mixtures.covariances * scale[:, None] * scale,
        )
        return ConditionalMixtures(
            **vars(in_units), random_state=self.random_state, mixture_class=MIXTURES[self.distribution]
        )

    def log_density(self, X: Any, y: Any) -> np.ndarray:
        """Return the log density of the targets given the inputs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows asked about, with the features of the fit in the same order.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The targets of these rows.

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64
            Log densities of the targets, in nats.

        Raises
        ------
        ValueError
            If y has another shape or is not finite.

        See Also
        --------
        score : The coefficient of determination.
        """
        refuse_source(X, "log_density")
        X = self._check_rows(X)
        d = X.shape[1]
        y = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
        expected = (len(X), len(self.scale_) - d)
        if y.shape != expected and (y.shape != expected[:1] or expected[1] > 1):
            raise ValueError(f"y has shape {y.shape}; expected (n_samples, n_targets) = {expected}, targets as in fit")
        y = y.reshape(expected)
        inputs = self._standardised(X)
        whole = np.column_stack([inputs, (y - self.centre_[d:]) / self.scale_[d:]])
        dtype = np.dtype(np.float64)
        joint = inference.log_density(whole, density_for(whole, self.mixture_._components()), dtype)
        given = inference.log_density(inputs, density_for(inputs, self._conditioner().marginal), dtype)
        return joint - given - np.log(self.scale_[d:]).sum()

    def sample(self, X: Any, *, random_state: Any = None) -> np.ndarray:
        """Draw targets for each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows asked about, with the features of the fit in the same order.
        random_state : int, RandomState or None
            Seed of the draws. None takes the estimator's own `random_state`.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets), float64
            The targets drawn.

        See Also
        --------
        condition : The distribution that is drawn from.
        """
        refuse_source(X, "sample")
        X = self._check_rows(X)
        random_state = check_random_state(self.random_state if random_state is None else random_state)
        parts = [m.sample(random_state) for _, m in self._conditioner().blocks(self._standardised(X))]
        return self._targets(np.concatenate(parts))

    def plot(self, X: Any, y: Any, *, ax: Any = None, **options: Any) -> Any:
        """Draw the prediction and its spread; needs matplotlib.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows asked about, with the features of the fit in the same order.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The targets of these rows.
        ax : matplotlib Axes, optional
            The axes to draw into. By default a new figure is made.
        **options
            Further options of `fastgmm.plotting.plot_regression`.

        Returns
        -------
        Axes
            The matplotlib axes that were drawn into.

        See Also
        --------
        fastgmm.plotting.plot_regression : Draws it.
        """
        from fastgmm.plotting import plot_regression

        refuse_source(X, "plot")
        return plot_regression(self, X, y, ax=ax, **options)


def _mean_and_variance(source: RowSource) -> tuple[np.ndarray, np.ndarray]:
    mean, covariance = moments(source)
    return mean, np.diagonal(covariance)


def _as_float64(rows: np.ndarray) -> np.ndarray:
    return rows.astype(np.float64)
