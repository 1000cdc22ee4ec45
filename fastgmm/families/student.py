"""Mixtures of Student t components: heavy tails, which few far rows do not move.

A t component is a normal one whose rows come with a precision of their own: ``x ~ N(mean, scale / u)``, with ``u``
gamma distributed about one with variance ``2 / df``. A pass gives the expected ``u`` of each row; a far row has a small
one, and counts little in mean and scale.

The M-step is that of PX-EM: it also estimates the mean of ``u``, which the model knows to be one, and divides the
scale by it. The likelihood rises as in EM, and in fewer steps; where a prior or `reg_covar` takes part in the scale,
the mean stays one. Degrees of freedom maximise the expected log density of ``u``; those beyond `LARGEST_DF` are
infinite, and the component is normal.

References
----------
Peel and McLachlan, "Robust mixture modelling using the t distribution", Statistics and Computing 10 (2000). Liu, Rubin
and Wu, "Parameter expansion to accelerate EM: the PX-EM algorithm", Biometrika 85 (1998), section 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import digamma, polygamma

from fastgmm.families.base import Family
from fastgmm.families.gaussian import Gaussian, fitted_mixture
from fastgmm.families.low_rank import LowRankFamily
from fastgmm.model import MixtureParameters, Shape, SufficientStatistics
from fastgmm.model.student import StudentParameters, variance_ratio
from fastgmm.model.student_coordinates import StudentCoordinates

__all__ = [
    "FIRST_DF",
    "LARGEST_DF",
    "SMALLEST_DF",
    "Student",
    "solve_degrees_of_freedom",
    "student_or_gaussian",
    "with_tails",
]

#: Degrees of freedom are estimated between these. Below one a t density is hardly bounded in its tails or its peak.
SMALLEST_DF, LARGEST_DF = 1.0, 1e6
#: What an estimate of them starts from; and at most those from which a run goes on: where precisions are nearly equal,
#: little can be learned from them.
FIRST_DF, RESUMED_DF = 20.0, 1000.0
#: Variances in multiples of `reg_covar` below which it takes part in the scale.
BINDING = 100.0


@dataclass(frozen=True)
class Student(Family):
    """Student t components whose scale matrices are of one family.

    Attributes
    ----------
    components : Gaussian
        How weights, means and scales are estimated from statistics.
    df : {'free', 'shared'} or float
        Degrees of freedom: estimated for each component, for all together, or given.
    """

    components: Gaussian
    df: Any = "free"

    has_tails = True

    @property
    def is_accelerated(self) -> bool:  # type: ignore[override]
        """Whether states have coordinates: those of loadings know no tails."""
        return self.components.is_accelerated and not isinstance(self.components.covariance, LowRankFamily)

    @property
    def is_closed_form(self) -> bool:  # type: ignore[override]
        """Whether the scales are the scatter over the weights."""
        return self.components.is_closed_form

    @property
    def keeps_statistics(self) -> bool:  # type: ignore[override]
        """Whether statistics under one state add to those under another."""
        return self.components.keeps_statistics

    @property
    def shape(self) -> Shape:
        """Which scatter the M-step takes, and how scales are stored."""
        return self.components.shape

    def begin(self, mixture: MixtureParameters) -> StudentParameters:
        """Return t components about the means of a Gaussian mixture."""
        return StudentParameters.of(mixture, FIRST_DF if isinstance(self.df, str) else self.df)

    def resume(self, state: StudentParameters) -> StudentParameters:
        """Return the state with the degrees of freedom that are given, or with some that can be estimated."""
        dof = state.degrees_of_freedom
        dof = np.minimum(dof, RESUMED_DF) if isinstance(self.df, str) else np.full_like(dof, self.df)
        return StudentParameters.of(state, dof)

    def density(self, state: Any) -> Any:
        """Return what the kernels read."""
        return self.components.density(state)

    def fitted(self, state: Any) -> Student:
        """Return the family with what an M-step chose for the state given."""
        return replace(self, components=self.components.fitted(state))

    def maximise(self, statistics: SufficientStatistics, state: StudentParameters | None) -> StudentParameters:
        """Return the parameters after an M-step; without a state, of statistics of first memberships.

        Raises
        ------
        ComponentCollapseError
            If a component is empty or its scale is not positive definite.
        """
        if state is None or statistics.tail_sums is None:
            return self.begin(self.components.maximise(statistics, state))
        counts, (weights, log_terms) = statistics.counts, statistics.tail_sums
        expansion = self._expansion(counts, weights, state)
        # About the new means, and as of rows that weigh one each: what remains is a Gaussian M-step.
        shape, shift = self.shape, statistics.sums / np.where(weights > 0, weights, 1.0)[:, None]
        weighed = np.maximum(counts, np.finfo(np.float64).tiny)
        scale = shape.totals(weighed) / shape.totals(expansion * weighed) * shape.features_per_variance(shift.shape[1])
        scatter = self.components.centred(statistics, weights, shift, state) * shape.each(scale)
        centred = (statistics.centres + shift, counts, np.zeros_like(shift), scatter)
        moved = SufficientStatistics(statistics.structure, *centred, tail_sums=statistics.tail_sums)
        found = self.components.maximise(moved, state)
        dof, present = state.degrees_of_freedom, counts > 0
        if isinstance(self.df, str):
            with np.errstate(divide="ignore", invalid="ignore"):
                mean_u, mean_log_u = weights / counts, (log_terms + weights) / counts
                half = 0.5 * (dof + state.n_features)
                expected = mean_log_u + np.where(np.isinf(half), 0.0, digamma(half) - np.log(half))
                # Where the expected log density of u is flat, log(df / 2) - digamma(df / 2) is this.
                excess = mean_u / expansion - 1.0 - (expected - np.log(expansion))
            if self.df == "shared":
                excess = np.full(len(counts), float(counts[present] @ excess[present]) / counts.sum())
            dof = np.where(present, solve_degrees_of_freedom(excess), dof)
        return StudentParameters.of(found, dof)

    def _expansion(self, counts: np.ndarray, weights: np.ndarray, state: StudentParameters) -> np.ndarray:
        """Return the mean of u that the M-step estimates, for each component; ones where the model's is kept."""
        one, expands = np.ones(len(counts)), self._expands(state)
        if expands == "none":
            return one
        if expands == "each":
            return np.divide(weights, counts, out=one, where=weights > 0)
        # df weighs what each component says of the factor that they have in common.
        dof = np.minimum(state.degrees_of_freedom, LARGEST_DF)
        return np.full(len(counts), float(dof @ weights) / float(dof @ counts))

    def _expands(self, state: StudentParameters) -> str:
        """Whether means of u are estimated by component, for all in common where scales are bound, or not at all."""
        least = 1.0 / state.shape.largest(state.precisions_cholesky)
        if self.components.prior is not None or least < BINDING * np.max(self.components.reg_covar):
            return "none"
        return "each" if self.components.covariance.is_free and not self.shape.is_shared else "common"

    def coordinates(self, state: StudentParameters) -> StudentCoordinates:
        """Return coordinates about a mixture."""
        covariance = self.components.covariance
        project = None if covariance.is_free else covariance.estimate
        return StudentCoordinates(state, project, self.df, self._expands(state), (SMALLEST_DF, LARGEST_DF))

    def n_parameters(self, n_components: int, n_features: int) -> float:
        """Return the number of free parameters: those of the Gaussian mixture, and the degrees of freedom estimated."""
        dof = {"free": n_components, "shared": 1}.get(self.df, 0) if isinstance(self.df, str) else 0
        return self.components.n_parameters(n_components, n_features) + dof

    def is_spurious(self, state: StudentParameters, total_weight: float) -> bool:
        """Return whether a component is a singularity."""
        return self.components.is_spurious(state, total_weight)

    def attributes(self, state: StudentParameters, dtype: np.dtype) -> dict[str, Any]:
        """Return weights, means, scales, degrees of freedom, and the covariances that these come to, in `dtype`."""
        return with_tails(self.components.attributes(state, dtype), state, dtype)

    def state(self, attributes: Mapping[str, Any]) -> StudentParameters:
        """Return the mixture that fitted attributes describe."""
        state = student_or_gaussian(self.shape, attributes)
        assert isinstance(state, StudentParameters), "fitted attributes of t components have df_"
        return state

    def statistics_of(self, state: StudentParameters, weight: float) -> SufficientStatistics:
        """Return statistics, worth `weight` rows, whose M-step gives these parameters."""
        statistics, dof = self.components.statistics_of(state, weight), state.degrees_of_freedom
        half, half_of_row = 0.5 * dof, 0.5 * (dof + state.n_features)
        with np.errstate(invalid="ignore"):
            mean_log_u = digamma(half) - np.log(half) - digamma(half_of_row) + np.log(half_of_row)
        mean_log_u = np.where(np.isinf(dof), 0.0, mean_log_u)
        return replace(statistics, tail_sums=statistics.counts * np.array([np.ones_like(dof), mean_log_u - 1.0]))


def solve_degrees_of_freedom(excess: np.ndarray) -> np.ndarray:
    """Return the degrees of freedom at which ``log(df / 2) - digamma(df / 2)`` is `excess`, to 1e-10 of themselves.

    That falls from infinity to zero as they grow. Held between `SMALLEST_DF` and, beyond `LARGEST_DF`, infinity.
    """
    excess = np.asarray(excess, dtype=np.float64)
    low, high = (_digamma_gap(np.array(0.5 * bound))[0] for bound in (SMALLEST_DF, LARGEST_DF))
    inside = np.clip(excess, high, low)
    # Nearly a straight line in the logarithms of both, so that Newton's method takes a few steps.
    log_half = -np.log(2.0 * inside)
    for _ in range(50):
        gap, slope = _digamma_gap(np.exp(log_half))
        step = np.log(gap / inside) * gap / slope
        log_half -= step
        if np.abs(step).max(initial=0.0) < 1e-13:
            break
    found = np.clip(2.0 * np.exp(log_half), SMALLEST_DF, LARGEST_DF)
    return np.where(excess <= high, np.inf, found)


def _digamma_gap(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``log a - digamma(a)``, and its derivative in ``log a``; by their series where a is large."""
    s = 1.0 / np.maximum(a, 15.0)
    t = s * s
    gap = s * (1 / 2 + s * (1 / 12 - t * (1 / 120 - t * (1 / 252 - t * (1 / 240 - t / 132)))))
    slope = -s * (1 / 2 + s * (1 / 6 - t * (1 / 30 - t * (1 / 42 - t * (1 / 30 - t * 5 / 66)))))
    small = np.minimum(a, 15.0)
    direct = np.log(small) - digamma(small), 1.0 - small * polygamma(1, small)
    return np.where(a < 15.0, direct[0], gap), np.where(a < 15.0, direct[1], slope)


def student_or_gaussian(shape: Shape, attributes: Mapping[str, Any]) -> MixtureParameters:
    """Return the mixture that fitted attributes describe, of t components where they have `df_`.

    Raises
    ------
    ValueError
        If a part is missing, or has not the shape that the means ask for.
    """
    if "df_" not in attributes:
        return fitted_mixture(attributes, shape)
    mixture = fitted_mixture({**attributes, "covariances_": attributes.get("scales_")}, shape)
    dof = np.asarray(attributes["df_"], dtype=np.float64)
    if dof.shape != mixture.weights.shape or not (dof > 0).all():
        raise ValueError(f"df_ is {attributes['df_']!r}; expected a positive number for each component")
    return StudentParameters.of(mixture, dof)


def with_tails(attributes: dict[str, Any], state: StudentParameters, dtype: np.dtype) -> dict[str, Any]:
    """Return the attributes of normal components as those of t components: degrees of freedom, and scales."""
    found, dof = dict(attributes), state.degrees_of_freedom
    found["df_"] = dof.astype(dtype)
    if state.shape.n_factors is not None:
        return found
    scales = found["scales_"] = found["covariances_"]
    found["covariances_"] = _scaled(state.shape, scales, variance_ratio(dof))
    return found


def _scaled(shape: Shape, scales: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Return each component's scale matrix times a number; one of all where they share both."""
    if shape.is_shared and (ratio == ratio[0]).all() and np.isfinite(ratio[0]):
        return scales * scales.dtype.type(ratio[0])
    apart, ratio = shape.untie(scales, len(ratio)), shape.per_component.each(ratio.astype(scales.dtype))
    with np.errstate(invalid="ignore"):
        return np.where(apart == 0, 0, apart * ratio)
