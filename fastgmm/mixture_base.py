"""The fit that mixture estimators share: what is checked, the runs, and what is set when they end."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable
from functools import partial
from itertools import repeat
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import validate_data

from fastgmm.callbacks import CallbackSupport, fitted_attributes, unchanged_on_failure
from fastgmm.data import ArrayRows, RowSource, source_of
from fastgmm.data.partly_labelled import PartlyLabelledRows
from fastgmm.em import INIT_PARAMS, CountedSource, Reporter, Run, best_run, run_em
from fastgmm.fit_context import fit_context
from fastgmm.inference_methods import InferenceMethods
from fastgmm.input_validation import DTYPES, check_component_labels, check_memberships, check_sample_weight
from fastgmm.model import CovarianceStructure, MixtureParameters, get_structure
from fastgmm.model.covariance import STRUCTURES
from fastgmm.model.factors import collapse_error
from fastgmm.model.precisions import precisions_of
from fastgmm.prediction_methods import PredictionMethods
from fastgmm.show_methods import PlotMethod, SummaryMethod
from fastgmm.stream_methods import StreamMethods

__all__ = ["BaseMixture"]


class BaseMixture(
    CallbackSupport,
    SummaryMethod,
    PlotMethod,
    PredictionMethods,
    StreamMethods,
    InferenceMethods,
    DensityMixin,
    BaseEstimator,
):
    """A mixture fitted by EM; subclasses say what a state is and how a pass becomes the next one.

    A state is anything a source's pass takes: a `MixtureParameters`, or a posterior that reads like one.
    """

    _parameter_constraints: dict = {  # noqa: RUF012  (scikit-learn's own convention)
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(STRUCTURES))],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions(set(INIT_PARAMS)), "array-like"],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "forgetting": [Interval(Real, 0.0, 0.5, closed="both")],
    }

    # What a subclass defines.

    @abstractmethod
    def _check_parameters(self, rows: ArrayRows) -> Any:
        """Return the parameters of the constructor that concern the data, checked."""

    @abstractmethod
    def _first_state(
        self,
        source: ArrayRows | PartlyLabelledRows,
        checked: Any,
        count_floor: float,
        random_state: np.random.RandomState,
        listener: Any,
    ) -> Any:
        """Return the state a run starts from; `count_floor` is added to every count, as in every M-step.

        `listener` may follow and end a search for it; None where nobody listens.
        """

    @abstractmethod
    def _next_state(self, checked: Any, count_floor: float, statistics: Any, state: Any) -> Any:
        """Return the state after an M-step."""

    @abstractmethod
    def _fitted_state(self) -> Any:
        """Return the state that the fitted attributes describe, in float64."""

    @abstractmethod
    def _set_state(self, state: Any, checked: Any, dtype: np.dtype) -> None:
        """Set the fitted attributes."""

    @abstractmethod
    def _checked_of_stream(self, memory: Any) -> Any:
        """Return what `_check_parameters` does, of a stream whose statistics are `memory`."""

    # ``(statistics, state) -> bound`` of the state an M-step made of the statistics; None is the mean log-likelihood.
    _bound: Any = None

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

    def _is_spurious(self, rows: ArrayRows, run: Run) -> bool:
        """Return whether a run may win only where no other is left."""
        return False

    def _run_options(self, checked: Any, n_samples: int) -> dict[str, Any]:
        """Return further arguments of `run_em` for one run."""
        return {}

    def _fitted_dtype(self, X: np.ndarray) -> np.dtype:
        """Return the dtype of the fitted attributes."""
        return X.dtype

    @property
    def _structure(self) -> CovarianceStructure:
        return get_structure(self.covariance_type)

    # Fitting.

    @fit_context()
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Estimate the parameters from `n_init` starts and keep the best run.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), dask array or frame, or a source of `fastgmm.data`
            float32 and float64 are computed in their own precision; anything else becomes float64. A C-contiguous
            array or memory map is read in place. A source is read in every pass, a dask collection by its workers;
            starts are made from a sample.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative. An integer weight is a repeated row, a weight of zero an absent one.

        Returns
        -------
        self
            Left as it was if the fit fails or is interrupted.

        Raises
        ------
        ValueError
            If X, a weight or a parameter is not valid, or a component collapses in every run
            (`fastgmm.exceptions.ComponentCollapseError`).
        """
        with unchanged_on_failure(self):
            self._fit(X, sample_weight, y=y)
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
        """
        with unchanged_on_failure(self):
            X = self._fit(X, sample_weight, y=y)
            return self._per_row(X, self._labels_of) if isinstance(X, RowSource) else self._labels_of(X)

    def _fit(self, X: Any, sample_weight: Any, labels: Any = None, y: Any = None) -> np.ndarray | RowSource:
        """Fit, and return the rows as they were read."""
        random_state = check_random_state(self.random_state)
        streamed = source_of(X, sample_weight)
        if streamed is None:
            X = validate_data(self, X, dtype=DTYPES, order="C", ensure_min_samples=2)
            sample_weight = check_sample_weight(sample_weight, X.shape[0])
            rows = ArrayRows(X, sample_weight)
        else:
            rows = self._start_of(streamed, labels, random_state)
            X, sample_weight = rows.X, rows.sample_weight
        self._check_enough_rows(X, sample_weight)
        checked = self._check_parameters(rows)
        labels = check_component_labels(labels, X.shape[0], self.n_components)
        source: ArrayRows | PartlyLabelledRows = rows
        if labels is not None:
            components = [slice(k, k + 1) for k in range(self.n_components)]
            source = PartlyLabelledRows(rows, labels, components, self._structure.statistics)
        continued = self.warm_start and hasattr(self, "converged_")
        if continued:
            self._check_continuation()
        count_floor = 10.0 * float(np.finfo(X.dtype).eps)
        counted = CountedSource(source if streamed is None else streamed)
        n_samples = (rows if streamed is None else streamed).n_samples
        assert n_samples is not None, "the start has read all rows"
        n_runs = 1 if continued else self.n_init
        reporter = Reporter.of(self.verbose, self.verbose_interval, n_runs)
        data = X if streamed is None else streamed
        watch = self._watch(n_runs, reporter=reporter, X=data, y=y, sample_weight=sample_weight)
        describe = partial(type(self)._set_fitted, checked=checked, dtype=self._fitted_dtype(X), counted=counted)

        def beginning() -> Any:
            return self._first_state(source, checked, count_floor, random_state, watch)

        def one_run() -> Run:
            return run_em(
                counted,
                self._fitted_state() if continued else beginning(),
                partial(self._next_state, checked, count_floor),
                tol=self.tol,
                max_iter=self.max_iter,
                bound=self._bound,
                previous_bound=float(self.lower_bound_) if continued else -np.inf,
                listener=watch,
                unit_roundoff=float(np.finfo(X.dtype).eps),
                **self._run_options(checked, n_samples),
            )

        runs: Iterable[Callable[[], Run]] = repeat(one_run, n_runs)
        if watch is not None:
            watch.attributes_of = partial(fitted_attributes, self, describe)
            runs = watch.runs(one_run, n_runs, self.max_iter)
        run = best_run(runs, partial(self._is_spurious, rows))
        if watch is not None:
            watch.finish(run)
        self.stopped_ = watch is not None and watch.stopped
        if not run.converged and self.max_iter > 0 and not self.stopped_:
            warnings.warn(
                "Best performing initialization did not converge. Try different init parameters, or increase "
                "max_iter, tol, or check for degenerate data.",
                ConvergenceWarning,
                stacklevel=4,
            )
        describe(self, run)
        return data

    def _set_fitted(self, run: Run, *, checked: Any, dtype: np.dtype, counted: CountedSource) -> None:
        self._set_state(run.parameters, checked, dtype)
        self.converged_ = run.converged
        self.n_iter_ = run.n_iter
        self.n_passes_ = counted.n_passes
        self.log_likelihood_gap_ = run.gap
        self.lower_bound_ = dtype.type(run.lower_bound)
        self.lower_bounds_ = [dtype.type(value) for value in run.lower_bounds]
        # A stream that this model may have learned from is forgotten; one that follows goes on from here.
        for name in ("statistics_", "_latest_statistics"):
            self.__dict__.pop(name, None)
        self.n_samples_seen_ = counted.total_weight

    def _check_enough_rows(self, X: np.ndarray, sample_weight: np.ndarray | None) -> None:
        n_present = X.shape[0] if sample_weight is None else int(np.count_nonzero(sample_weight))
        if n_present < self.n_components:
            counted = "n_samples" if sample_weight is None else "n_samples of non-zero weight"
            raise ValueError(
                f"Expected n_samples >= n_components but got n_components = {self.n_components}, "
                f"{counted} = {n_present}"
            )

    def _check_continuation(self) -> None:
        shape = (self.n_components, self.n_features_in_)
        if self.means_.shape != shape:
            raise ValueError(
                f"warm_start=True continues a model whose means_ have shape {self.means_.shape}; expected "
                f"(n_components, n_features) = {shape}. Use a new estimator or warm_start=False"
            )
        kernel, fitted = self._structure.kernel, self._fitted_kernel()
        if fitted != kernel and shape != (1, 1):
            raise ValueError(
                f"warm_start=True continues a model whose covariances_ are of type {fitted!r}; covariance_type="
                f"{self.covariance_type!r} expects {kernel!r}. Use a new estimator or warm_start=False"
            )

    def _fitted_kernel(self) -> str:
        factors = self.precisions_cholesky_
        if factors.ndim != 2:
            return "full" if factors.ndim == 3 else "spherical"
        # As many components as features: diagonals are positive where a triangular factor is zero.
        is_one_matrix = factors.shape[0] == factors.shape[1] and not np.tril(factors, -1).any()
        return "tied" if is_one_matrix else "diag"

    def _checked_start(self, X: np.ndarray) -> str | np.ndarray:
        """Return `init_params`, labels and responsibilities checked."""
        if isinstance(self.init_params, str):
            return self.init_params
        return check_memberships(self.init_params, X.shape[0], self.n_components)

    def _set_covariances(self, state: MixtureParameters, dtype: np.dtype) -> None:
        with np.errstate(over="ignore"):
            covariances = state.covariances.astype(dtype, copy=False)
        finite = np.isfinite(covariances)
        if not finite.all():
            component = -1 if state.structure == "tied" else int(np.argwhere(~finite)[0, 0])
            raise collapse_error(component, reason=f"its covariance is beyond {dtype}; the data are out of range")
        self.covariances_ = covariances
        self.precisions_cholesky_ = state.precisions_cholesky.astype(dtype, copy=False)
        self.precisions_ = precisions_of(state.precisions_cholesky, state.structure).astype(dtype, copy=False)
