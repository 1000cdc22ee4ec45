"""The fit that mixture estimators share: what is checked, the runs, and what is set when they end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

from fastgmm.callbacks import CallbackSupport, Reporter
from fastgmm.data import ArrayRows, Rows, RowSource
from fastgmm.data.e_steps import LABELS, EStep, Labelled, Plain, WithErrors
from fastgmm.data.e_steps.trimmed import TrimmedPasses
from fastgmm.em import Run
from fastgmm.estimator.absent_rows import UNLABELLED, absent_rows
from fastgmm.estimator.drift_methods import DriftMethods
from fastgmm.estimator.fit_context import fit_context
from fastgmm.estimator.imputation_methods import ImputationMethods
from fastgmm.estimator.input_validation import check_component_labels, check_memberships
from fastgmm.estimator.landscape_methods import LandscapeMethods
from fastgmm.estimator.missing_values import MISSING, found_missing, takes_missing
from fastgmm.estimator.order_methods import OrderMethods, check_order_by, component_order
from fastgmm.estimator.parameter_validation import Names
from fastgmm.estimator.prediction_methods import PredictionMethods
from fastgmm.estimator.problem import Problem, run_attributes, warn_regularised
from fastgmm.estimator.rare_labels import with_rare_labels
from fastgmm.estimator.reading import Reading, read_rows
from fastgmm.estimator.show_methods import PlotMethod, SummaryMethod
from fastgmm.estimator.statistics_methods import StatisticsMethods
from fastgmm.estimator.stream_methods import StreamMethods
from fastgmm.exceptions import warn
from fastgmm.families import COVARIANCES, LOW_RANK, CovarianceFamily, Family, LowRankFamily, get_covariance
from fastgmm.families.background import BACKGROUND_ATTRIBUTES
from fastgmm.families.gaussian import FACTOR_ATTRIBUTES, MATRIX_ATTRIBUTES
from fastgmm.model import MixtureParameters, SufficientStatistics
from fastgmm.model.shapes import shape_of
from fastgmm.starts import INIT_PARAMS
from fastgmm.starts.completed import incomplete

__all__ = ["BaseMixture", "Plan"]

#: Change of the bound that ends a run whose rows change components as wholes, in nats per unit of weight: none.
UNCHANGED = 1e-13
#: Methods of scikit-learn's mixtures that programs override, and that nothing here would call.
HOOKS_OF_SKLEARN = (
    "_check_parameters",
    "_compute_lower_bound",
    "_e_step",
    "_estimate_log_prob",
    "_estimate_log_prob_resp",
    "_estimate_log_weights",
    "_estimate_weighted_log_prob",
    "_get_parameters",
    "_initialize",
    "_initialize_parameters",
    "_m_step",
    "_set_parameters",
)


@dataclass(frozen=True)
class Plan:
    """What the constructor's parameters come to for given rows.

    Attributes
    ----------
    family : Family
    begin : callable
        ``begin(sample, random_state, listener) -> state``: the start of a run, made of a sample of the rows.
    refuses_spurious : bool
        Whether a run that ends in a singularity may win only where no other is left.
    search : callable, optional
        ``search(sample, random_state, passes, state, listener) -> (state, moves)``: what precedes a run over all rows.
    """

    family: Family
    begin: Callable[[ArrayRows, np.random.RandomState, Any], Any]
    refuses_spurious: bool = False
    search: Callable[..., Any] | None = None


class BaseMixture(
    CallbackSupport,
    SummaryMethod,
    PlotMethod,
    PredictionMethods,
    StatisticsMethods,
    DriftMethods,
    StreamMethods,
    OrderMethods,
    LandscapeMethods,
    ImputationMethods,
    DensityMixin,
    BaseEstimator,
):
    """A mixture fitted by EM; subclasses say of which family it is."""

    _parameter_constraints: dict = {  # noqa: RUF012  (scikit-learn's own convention)
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [Names((*COVARIANCES, *LOW_RANK))],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [Names(INIT_PARAMS), "array-like", callable],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "forgetting": [Interval(Real, 0.0, 0.5, closed="both")],
        "missing": [Names(MISSING)],
    }

    # What BayesianGaussianMixture has not, and every fit asks for.
    stop_on: str = "change"
    acceleration: str | None = None
    # What likelihood mixtures pickled before it have not.
    order_by: Any = None
    missing: str = "error"
    #: Rows completed for a start, of a caller who fits many mixtures to them.
    _completed: ArrayRows | None = None
    #: Of covariances that are loadings and noise, where an estimator has them.
    n_factors: Any = None
    #: Whether weights are set against the rows that a prior is worth, as `read_rows` asks.
    _weights_count_rows: bool = False
    #: Whether a search for Gaussian components on a sample of the rows finds a good start.
    _is_searched_as_gaussian: bool = True
    #: Whether a fit warns of regularisation that is large beside the data.
    _warns_of_reg_covar: bool = True

    # What a subclass defines.

    @abstractmethod
    def _plan(self, rows: Rows, sample: ArrayRows) -> Plan:
        """Return the family and its start for these rows; parameters of the constructor are checked against them."""

    @abstractmethod
    def _fitted_family(self, memory: SufficientStatistics | None = None) -> Family:
        """Return the family that the fitted attributes are of; priors that depend on the data are made of `memory`."""

    @abstractmethod
    def _searched(self, family: Family, random_state: np.random.RandomState, rows: ArrayRows) -> Any:
        """Return the state of the family that the search for a start ('multistart') finds on the rows."""

    def _fitted_state(self) -> Any:
        """Return the state that the fitted attributes describe, in float64."""
        return self._fitted_family().state(vars(self))

    def _measured_rows(self, rows: Rows, sample: ArrayRows, errors: Any) -> tuple[Rows, ArrayRows, Any]:
        """Return rows and sample with errors of measurement along, and these checked: None where there are none."""
        return rows, sample, None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        unheard = [name for name in HOOKS_OF_SKLEARN if name in vars(cls)]
        if unheard:
            raise TypeError(
                f"{cls.__name__} overrides {', '.join(unheard)}, private to scikit-learn's mixtures; the compiled "
                "passes of fastgmm never call it. Ask component_log_density(X) for weighted densities of components "
                "and predict_proba(X) for responsibilities; derive from fastgmm.families.Family for another M-step, or "
                "from sklearn.mixture for these hooks"
            )

    # Constructor parameters are looked at once per combination of plain values: a fit of a few hundred rows takes less
    # time than scikit-learn's check of them.
    _plain_values = (type(None), bool, int, float, str)
    _validated: ClassVar[set[tuple]] = set()

    def _validate_params(self) -> None:
        values = [getattr(self, name) for name in self._get_param_names()]
        if not all(type(value) in self._plain_values for value in values):
            super()._validate_params()
            return
        combination = (type(self), *((type(value), value) for value in values))
        if combination not in self._validated:
            super()._validate_params()
            if len(self._validated) < 256:  # a combination takes 1.5 KB, and every seed makes one
                self._validated.add(combination)

    @classmethod
    def _get_param_names(cls) -> list[str]:
        # Of this very class: a subclass may have another constructor.
        if "_param_names" not in vars(cls):
            cls._param_names = super()._get_param_names()
        return list(cls._param_names)

    def _fitted_dtype(self, X: np.ndarray) -> np.dtype:
        """Return the dtype of the fitted attributes."""
        return X.dtype

    @property
    def _n_components_begun(self) -> int:
        """Number of components that a run begins with."""
        n_components: int = self.n_components
        return n_components

    @property
    def _covariance(self) -> CovarianceFamily:
        return get_covariance(self.covariance_type, self.n_factors)

    # Fitting.

    @fit_context()
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, labels: Any = None) -> Self:
        """Estimate the parameters from `n_init` starts and keep the best run.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), dask array or frame, or a source of `fastgmm.data`
            float32 and float64 are computed in their own precision; anything else becomes float64. A C-contiguous
            array or memory map is read in place. A source is read in every pass, a dask collection by its workers;
            starts are made from a sample.
        y : Ignored
            Present for consistency with other scikit-learn estimators.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each row, not negative. A row of weight 2 counts like two equal rows. Rows with weight 0 are
            ignored.
        labels : array-like of shape (n_samples,), optional
            Known components, 0 to ``n_components - 1``, -1 where unknown: seeded clustering. A labelled row stays in
            its component; bounds are then the mean log-likelihood of rows and known components together. The start
            is k-means with those rows held in place; unknown components may have no labelled row. A source may bring
            labels of its own, see `fastgmm.data.parquet`.

        Returns
        -------
        self
            The fitted estimator. If the fit fails or is interrupted, the estimator stays as it was.

        Raises
        ------
        ValueError
            If X, a weight, a label or a parameter is not valid, or a component collapses in every run
            (`fastgmm.exceptions.ComponentCollapseError`).

        See Also
        --------
        predict : The most probable component of each row.
        partial_fit : Learns from one batch.
        """
        self._fit(X, sample_weight, labels, y)
        return self

    @fit_context()
    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> np.ndarray:
        """Estimate the parameters and return the most probable component of each row.

        The labels are those of ``fit(X).predict(X)``.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            The number of the most probable component of each row; -1 for rows with weight 0 that contain NaN.

        See Also
        --------
        predict : The label of new rows.
        """
        absent = absent_rows(X, sample_weight, self)
        X = self._fit(X, sample_weight, y=y)
        if isinstance(X, RowSource):
            return self._per_row(X, self._labels_of, "prediction")
        labels = self._labels_of(X)
        labels[absent] = UNLABELLED
        return labels

    def _fit(
        self, X: Any, sample_weight: Any, labels: Any = None, y: Any = None, errors: Any = None
    ) -> np.ndarray | RowSource:
        """Fit, and return the rows as they were read."""
        random_state = check_random_state(self.random_state)
        read = read_rows(self, X, sample_weight, random_state, **self._along(labels, errors))
        self._check_start_of(read)
        self._check_enough_rows(read.sample)
        rows, sample, errors = self._measured_rows(*self._labelled(read, labels), errors)
        if self.order_by is not None:
            check_order_by(self, self.order_by, LABELS in sample.columns)
        e_step = self._e_step_of(sample)
        census = None
        if errors is None or errors.is_common:
            census = found_missing(self, rows, self._covariance.shape.is_matrix)
        if census is not None:
            e_step.check_takes("X misses values")
            e_step, rows, sample = incomplete(census, e_step, rows, sample, random_state, self._completed)
        plan = self._plan(rows, sample)
        continued = self.warm_start and hasattr(self, "converged_")
        if continued:
            self._check_continuation()
        if errors is not None:
            e_step.check_takes("rows have measurement errors")
            e_step = WithErrors(errors.values if errors.is_common else None, takes_missing(self), e_step)
        tol, acceleration = self.tol, self.acceleration
        if not e_step.is_smooth:
            # It ends when no row moves to another component, which a few passes lead to; tails are settled later.
            tol, acceleration = tol if plan.family.has_tails else min(tol, UNCHANGED), None

        def begin(listener: Any) -> Any:
            return plan.family.resume(self._fitted_state()) if continued else plan.begin(sample, random_state, listener)

        problem = Problem(
            e_step.prepare(rows),
            plan.family,
            begin,
            sample.dtype,
            tol,
            self.max_iter,
            self.stop_on,
            acceleration,
            # Of a tied posterior scikit-learn's is an array of one number.
            float(np.squeeze(self.lower_bound_)) if continued else -np.inf,
            plan.refuses_spurious,
            None if plan.search is None else partial(plan.search, sample, random_state),
        )
        n_runs = 1 if continued else self.n_init
        reporter = Reporter(self.verbose, self.verbose_interval, n_runs) if self.verbose else None
        watch = self._watch(n_runs, reporter=reporter, X=read.given, y=y, sample_weight=sample.sample_weight)
        dtype = self._fitted_dtype(sample.X)
        describe = partial(type(self)._set_fitted, problem=problem, dtype=dtype, unit=read.unit)
        run = problem.best_of(n_runs, watch, (self, describe))
        self.stopped_ = watch.finish(run)
        if not (run.converged or self.stopped_ or self.max_iter == 0):
            warn(
                "Best performing initialization did not converge. Try different init parameters, or increase "
                "max_iter, tol, or check for degenerate data.",
                ConvergenceWarning,
            )
        describe(self, run)
        if self.order_by is not None:
            self._permute(component_order(self, self.order_by))
        self.__dict__.pop("trim_threshold_", None)
        if isinstance(problem.passes, TrimmedPasses) and problem.passes.excess > 0.0:
            self.trim_threshold_ = problem.passes.threshold(self._density())
        mixture = getattr(run.state, "mixture", run.state)
        is_checked = self._warns_of_reg_covar and not isinstance(self.reg_covar, str) and self.reg_covar
        if is_checked and isinstance(mixture, MixtureParameters):
            # A prior keeps covariances from being singular.
            n_samples = np.inf if getattr(self, "prior", None) else read.rows.n_samples or sample.n_samples
            warn_regularised(mixture, float(self.reg_covar), n_samples)
        return read.given

    def _along(self, labels: Any, errors: Any) -> dict[str, Any]:
        """Return what rides along with the rows of a source, by name, None where it may bring it."""
        return {LABELS: labels}

    def _e_step_of(self, sample: ArrayRows) -> EStep:
        """Return what a pass asks of the rows of which these are a sample."""
        if LABELS in sample.columns:
            return Labelled(tuple(slice(k, k + 1) for k in range(self._n_components_begun)))
        return Plain()

    def _set_fitted(self, run: Run, *, problem: Problem, dtype: np.dtype, unit: float) -> None:
        self._set_state(problem.family, run.state, dtype)
        if not isinstance(self.reg_covar, str):
            self.__dict__.pop("reg_covar_", None)
        self.__dict__.update(run_attributes(run, problem.passes.n_made, dtype))
        self.__dict__.update(problem.passes.attributes(problem.family.density(run.state)))
        # A stream that this model may have learned from is forgotten; one that follows goes on from here.
        for name in ("statistics_", "_latest_statistics", "_stream_sample"):
            self.__dict__.pop(name, None)
        passes = problem.passes
        seen = passes.rows.total_weight if isinstance(passes, TrimmedPasses) else passes.total_weight
        self.n_samples_seen_ = seen * unit

    def _set_state(self, family: Family, state: Any, dtype: np.dtype) -> None:
        """Set the fitted attributes that describe a state."""
        attributes = family.attributes(state, dtype)
        for name in (*BACKGROUND_ATTRIBUTES, *FACTOR_ATTRIBUTES, *MATRIX_ATTRIBUTES):
            self.__dict__.pop(name, None)
        self.__dict__.update(attributes)

    def _check_start_of(self, read: Reading) -> None:
        # A search hands its candidates a source whose sample is known, and labels for that sample.
        named = isinstance(self.init_params, str) or callable(self.init_params)
        if named or read.rows is read.sample or getattr(read.rows, "drawn", None) is not None:
            return
        raise ValueError("init_params are memberships of rows and X is a source; expected the name of a start")

    def _labelled(self, read: Reading, labels: Any) -> tuple[Rows, ArrayRows]:
        """Return the rows and the sample with known components riding along, where any is known."""
        rows, sample = read.rows, read.sample
        from_source = rows is not sample
        if from_source:
            labels = sample.along.get(LABELS)
        known = check_component_labels(labels, sample.n_samples, self._n_components_begun)
        if from_source and labels is not None and sample.n_samples != rows.n_samples:
            # Those of all rows are looked at by the passes; here are some that the start is to know.
            known = np.full(sample.n_samples, -1) if known is None else known
            return rows, with_rare_labels(sample.with_columns(**{LABELS: known}), rows, self._n_components_begun)
        sample = sample.without_column(LABELS) if known is None else sample.with_columns(**{LABELS: known})
        return (rows if from_source else sample), sample

    def _check_enough_rows(self, sample: ArrayRows) -> None:
        weight = sample.sample_weight
        n_present = sample.n_samples if weight is None else int(np.count_nonzero(weight))
        if n_present < self._n_components_begun:
            counted = "n_samples" if weight is None else "n_samples of non-zero weight"
            raise ValueError(
                f"Expected n_samples >= n_components but got n_components = {self._n_components_begun}, "
                f"{counted} = {n_present}"
            )

    def _check_continuation(self) -> None:
        # Where the number of components is searched for, the search goes on from what it has found.
        n_components = len(self.means_) if isinstance(self.n_components, str) else self.n_components
        shape = (n_components, self.n_features_in_)
        if np.shape(self.means_) != shape:
            raise ValueError(
                f"warm_start=True continues a model whose means_ have shape {np.shape(self.means_)}; expected "
                f"(n_components, n_features) = {shape}. Use a new estimator or warm_start=False"
            )
        has_factors = "loadings_" in self.__dict__
        if has_factors != isinstance(self._covariance, LowRankFamily):
            kinds = "loadings and noise", "matrices or variances"
            raise ValueError(
                f"warm_start=True continues a model whose covariances are {kinds[not has_factors]}; covariance_type="
                f"{self.covariance_type!r} expects {kinds[has_factors]}. Use a new estimator or warm_start=False"
            )
        if has_factors:
            return
        expected, fitted = self._covariance.shape, shape_of(np.asarray(self.precisions_cholesky_))
        if fitted is not expected and shape != (1, 1):
            raise ValueError(
                f"warm_start=True continues a model whose covariances_ are of type {fitted.name!r}; covariance_type="
                f"{self.covariance_type!r} expects {expected.name!r}. Use a new estimator or warm_start=False"
            )

    def _checked_start(self, X: np.ndarray) -> Any:
        """Return `init_params`, labels and responsibilities checked."""
        if isinstance(self.init_params, str) or callable(self.init_params):
            return self.init_params
        return check_memberships(self.init_params, X.shape[0], self._n_components_begun)
