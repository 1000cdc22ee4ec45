"""The estimator of mixtures fitted by maximum likelihood: parameters, families and starts."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.utils._param_validation import Interval, StrOptions

from fastgmm import inference
from fastgmm.data import ArrayRows, Rows
from fastgmm.data.e_steps import LABELS, EStep, Trimmed
from fastgmm.data.e_steps.trimmed import TrimmedPasses, assigned_log_density
from fastgmm.data.incomplete import Marginalised
from fastgmm.em import ACCELERATIONS, STOP_ON
from fastgmm.estimator.absent_rows import without_absent
from fastgmm.estimator.conversion_methods import ConversionMethods
from fastgmm.estimator.criterion_methods import CriterionMethods
from fastgmm.estimator.factor_methods import FactorMethods
from fastgmm.estimator.input_validation import check_sample_weight, start_of_run
from fastgmm.estimator.kept_state import kept_state
from fastgmm.estimator.missing_values import takes_missing
from fastgmm.estimator.mixture import BaseMixture, Plan
from fastgmm.estimator.noise_and_prior import InitialNoise, check_noise, check_prior
from fastgmm.estimator.on_demand import OnDemand
from fastgmm.estimator.parameter_validation import Names, check_means, check_precisions, check_weights
from fastgmm.estimator.problem import count_floor
from fastgmm.estimator.statistics_methods import AdaptationMethods
from fastgmm.families import (
    CovarianceFamily,
    Family,
    Gaussian,
    LowRankFamily,
    WithBackground,
    beside_background,
    bounded,
    get_covariance,
)
from fastgmm.families.sketched import gaussian_family, is_sketched
from fastgmm.model import SufficientStatistics
from fastgmm.model.moments import pooled_moments
from fastgmm.model.priors import default_prior
from fastgmm.starts import Start, initial_parameters
from fastgmm.starts.fenced import best_start, within_fences
from fastgmm.starts.units import relative_reg_covar

__all__ = ["LikelihoodMixture"]


class LikelihoodMixture(CriterionMethods, ConversionMethods, AdaptationMethods, FactorMethods):
    """A mixture fitted by maximum likelihood, or to the mode under a prior; `GaussianMixture` has the parameters."""

    weights_init: Any
    means_init: Any
    precisions_init: Any
    # Those that came later: a model that an earlier version pickled has none.
    max_eigenvalue_ratio: Any = None
    max_determinant_ratio: Any = None
    trim: float = 0.0
    likelihood: str = "mixture"

    # Of components that have loadings and noise; a fit of others sets them.
    covariances_ = OnDemand()
    precisions_ = OnDemand()
    precisions_cholesky_ = OnDemand()
    scales_ = OnDemand()

    _parameter_constraints: dict = {  # noqa: RUF012
        **BaseMixture._parameter_constraints,
        "reg_covar": [Interval(Real, 0.0, None, closed="left"), StrOptions({"auto"})],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "acceleration": [Names(ACCELERATIONS), None],
        "stop_on": [Names(STOP_ON)],
        "prior": [StrOptions({"default"}), dict, None],
        "noise": [Interval(Real, 0.0, 1.0, closed="neither"), "array-like", None],
        "order_by": [str, Interval(Integral, 0, None, closed="left"), callable, None],
        "n_factors": [Interval(Integral, 0, None, closed="left"), "array-like", Names(("bic", "cattell"))],
        "max_eigenvalue_ratio": [Interval(Real, 1.0, None, closed="both"), None],
        "max_determinant_ratio": [Interval(Real, 1.0, None, closed="both"), None],
        "trim": [Interval(Real, 0.0, 0.5, closed="both")],
        "likelihood": [Names(("mixture", "classification"))],
    }

    # What BaseMixture asks for.

    @property
    def _weights_count_rows(self) -> bool:  # type: ignore[override]
        chooses = isinstance(self.n_factors, str) and isinstance(self._covariance, LowRankFamily)
        return self.prior is not None or chooses

    def _plan(self, rows: Rows, sample: ArrayRows) -> Plan:
        n_features, covariance = sample.n_features, self._covariance
        covariance.check_n_features(n_features)
        has_factors = isinstance(covariance, LowRankFamily)
        if has_factors and self.precisions_init is not None:
            raise ValueError(
                f"precisions_init is given, and components of covariance_type={self.covariance_type!r} have loadings "
                "and noise; expected precisions_init=None"
            )
        if self.weights_init is not None:
            self.weights_init = check_weights(self.weights_init, self.n_components)
        if self.means_init is not None:
            self.means_init = check_means(self.means_init, self.n_components, n_features)
        if self.precisions_init is not None:
            self.precisions_init = check_precisions(
                self.precisions_init, covariance.shape, self.n_components, n_features
            )
        given = (self.weights_init, self.means_init, self.precisions_init)
        weights, means, precisions = (
            None if part is None else np.ascontiguousarray(part, dtype=np.float64) for part in given
        )
        # A prior is worth the more, the fewer rows there are; noise is no component; what is trimmed spoils a start.
        by_likelihood = self._is_searched_as_gaussian and self.prior is None and self.noise is None and not has_factors
        start = Start(self._checked_start(sample.X), weights, means, precisions, by_likelihood and not self._trims)
        e_step = self._e_step_of(sample)
        if self._trims:
            start = replace(start, e_step=e_step)
        self._refuse_array_api_dispatch()
        by_feature = is_sketched(covariance, n_features)
        prior = check_prior(self.prior, sample, self.n_components, covariance.shape, by_feature)
        noise = check_noise(self.noise, rows, sample, self.n_components)
        reg_covar = self.reg_covar
        if isinstance(reg_covar, str):
            reg_covar = self.reg_covar_ = relative_reg_covar(sample)
        gaussian = gaussian_family(covariance, n_features, reg_covar, count_floor(sample), prior)
        family = self._family_of(gaussian)
        if noise is not None:
            family = WithBackground(family, noise.box, noise.share)
        # scikit-learn's starts are compared as scikit-learn does.
        searches = isinstance(self.init_params, str) and self.init_params == "multistart"
        return Plan(family, partial(_begin, family, gaussian, start, noise, self.n_components, e_step), searches)

    def _family_of(self, gaussian: Gaussian) -> Family:
        """Return the family whose weights, means and covariances are estimated as a Gaussian mixture's."""
        return gaussian

    @property
    def _covariance(self) -> CovarianceFamily:
        n_factors = tuple(self.n_factors) if np.ndim(self.n_factors) else self.n_factors
        return _bounded(self.covariance_type, n_factors, self.max_eigenvalue_ratio, self.max_determinant_ratio)

    # Trimming.

    @property
    def _trims(self) -> bool:
        """Whether rows are left out, or belong to one component each."""
        return self.trim > 0.0 or self.likelihood == "classification"

    def _e_step_of(self, sample: ArrayRows) -> EStep:
        if not self._trims:
            return super()._e_step_of(sample)
        named = f"{type(self).__name__}: trim is {self.trim:g}, likelihood {self.likelihood!r}"
        instead = "or trim=0.0 and likelihood='mixture'"
        if self.noise is not None:
            raise ValueError(
                f"{named}, and noise is given, which explains the same rows; expected noise=None, {instead}"
            )
        if LABELS in sample.columns:
            raise ValueError(f"{named}, and labels are given, whose rows stay; expected labels=None, {instead}")
        return self._trimmed

    @property
    def _trimmed(self) -> Trimmed:
        return Trimmed(float(self.trim), is_rounded_up=True, is_hard=self.likelihood == "classification")

    def _log_likelihood(self, X: Any, sample_weight: Any) -> tuple[float, float]:
        of_all = super()._log_likelihood(X, sample_weight)
        if not self._trims:
            return of_all
        passes = self._trimmed_passes(X, sample_weight, of_all[1])
        return passes.log_likelihood(self._density())[0], passes.total_weight

    def _log_certainty(self, X: Any, sample_weight: Any) -> float:
        if not self._trims:
            return super()._log_certainty(X, sample_weight)
        return self._trimmed_passes(X, sample_weight).log_likelihood(self._density())[1]

    def _trimmed_passes(self, X: Any, sample_weight: Any, total_weight: float = np.nan) -> TrimmedPasses:
        rows: Any = self._source_of(X, sample_weight)
        if rows is None:
            checked = np.ascontiguousarray(self._check_rows(without_absent(X, sample_weight, self)))
            rows = ArrayRows(checked, check_sample_weight(sample_weight, checked.shape[0]))
        elif np.isnan(rows.total_weight):
            if np.isnan(total_weight):
                total_weight = float(self._sum_over_blocks(rows, self._total_log_density)[1])
            rows.total_weight = total_weight
        return self._trimmed.prepare(rows)

    def _labels_of(self, rows: np.ndarray) -> np.ndarray:
        labels, lowest = super()._labels_of(rows), self.__dict__.get("trim_threshold_")
        if lowest is not None:
            read, density = np.require(rows, self._result_dtype(rows), ["C", "A"]), self._density()
            hard = self.likelihood == "classification"
            found = assigned_log_density(read, density) if hard else inference.log_density(read, density, read.dtype)
            labels[found < lowest] = -1
        return labels

    def _fitted_state(self) -> Any:
        if "loadings_" in self.__dict__:
            return super()._fitted_state()
        return kept_state(self, super()._fitted_state)

    def _density(self) -> Any:
        if "loadings_" not in self.__dict__:
            return super()._density()
        density = self._fitted_family().density(self._fitted_state())
        return Marginalised(density) if takes_missing(self) else density

    def _fitted_family(self, memory: SufficientStatistics | None = None) -> Family:
        reg_covar = self.reg_covar
        if memory is None and isinstance(self._covariance, LowRankFamily):
            own = getattr(self, "reg_covar_", 0.0) if isinstance(reg_covar, str) else reg_covar
            # Numbers for each component may have been put in another order since.
            covariance = get_covariance(
                self.covariance_type, self.n_factors_ if np.ndim(self.n_factors) else self.n_factors
            )
            gaussian = gaussian_family(covariance, np.shape(self.means_)[1], own)
            return beside_background(self._family_of(gaussian), vars(self))
        if isinstance(reg_covar, str):
            reg_covar = getattr(self, "reg_covar_", 0.0)
            if memory is None:
                return beside_background(self._family_of(Gaussian(self._covariance, reg_covar)), vars(self))
        if memory is None:
            return beside_background(self._family_of(_gaussian(self._covariance, reg_covar)), vars(self))
        covariance, floor = (
            self._covariance,
            10.0 * float(np.finfo(np.result_type(np.asarray(self.means_), np.float32)).eps),
        )
        n_features = np.shape(self.means_)[1]
        if self.prior is None:
            return self._family_of(gaussian_family(covariance, n_features, reg_covar, floor))
        given = {} if isinstance(self.prior, str) else dict(self.prior)
        prior = default_prior(*pooled_moments(memory), self.n_components, covariance.shape, given)
        return self._family_of(gaussian_family(covariance, n_features, reg_covar, floor, prior))

    def _refuse_array_api_dispatch(self) -> None:
        # An array of memberships is a start that is drawn by nothing.
        allowed = ["random", "random_from_data"]
        named = isinstance(self.init_params, str)
        if get_config()["array_api_dispatch"] and named and self.init_params not in allowed:
            raise NotImplementedError(
                f"Allowed `init_params` are {allowed} if 'array_api_dispatch' is enabled; init_params is "
                f"{self.init_params!r}. Disable 'array_api_dispatch' to use it."
            )


@lru_cache(maxsize=64)
def _bounded(
    covariance_type: str, n_factors: Any, max_eigenvalue_ratio: Any, max_determinant_ratio: Any
) -> CovarianceFamily:
    return bounded(get_covariance(covariance_type, n_factors), max_eigenvalue_ratio, max_determinant_ratio)


@lru_cache(maxsize=64)
def _gaussian(covariance: CovarianceFamily, reg_covar: float) -> Gaussian:
    # One row is predicted in less time than a family is made.
    return Gaussian(covariance, reg_covar)


def _begin(
    family: Family,
    gaussian: Gaussian,
    start: Start,
    noise: InitialNoise | None,
    n_components: int,
    e_step: EStep,
    sample: ArrayRows,
    random_state: np.random.RandomState,
    listener: Any,
) -> Any:
    """Return the state of a first guess at memberships, which keeps known labels and leaves out rows of noise."""
    memberships, rows = start.init_params, sample
    if noise is not None:
        kept = ~noise.mask
        if LABELS in sample.columns:
            # A row of known component is no noise.
            kept |= sample.along[LABELS] >= 0
        if isinstance(memberships, np.ndarray):
            memberships = memberships[kept]
        rows = sample.where(kept)

    def make(rows: ArrayRows, memberships: Any) -> Any:
        made = replace(start, init_params=start_of_run(memberships, rows, n_components, random_state))
        return family.begin(initial_parameters(rows, n_components, gaussian, made, random_state, listener))

    trims = isinstance(e_step, Trimmed)
    if not (family.has_tails or trims):
        return make(rows, memberships)
    starts = [(rows, memberships)]
    if isinstance(memberships, str) and start.means is None:
        # A search for Gaussian components is led by far rows, too.
        names = dict.fromkeys((memberships, "kmeans") if memberships == "multistart" else (memberships,))
        inside = within_fences(rows)
        starts = [(some, name) for some in ([rows] if inside is rows else [rows, inside]) for name in names]
    return best_start([partial(make, *some) for some in starts], family, e_step, sample, random_state)
