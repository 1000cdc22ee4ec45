"""The Gaussian mixture: maximum likelihood, or the mode under a conjugate prior."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastgmm import kernels
from fastgmm.families.base import Family
from fastgmm.families.covariance import CovarianceFamily
from fastgmm.families.low_rank import LowRankFamily
from fastgmm.families.spurious import is_spurious
from fastgmm.model import MixtureParameters, Shape, SufficientStatistics
from fastgmm.model.coordinates import Coordinates
from fastgmm.model.parameters import with_whole_matrices
from fastgmm.model.priors import ConjugatePrior
from fastgmm.model.shapes import low_rank
from fastgmm.model.shapes.base import SHARED, collapse_error
from fastgmm.model.shapes.low_rank import numbers_of_factors, packed, unpacked

__all__ = ["FACTOR_ATTRIBUTES", "Gaussian", "covariance_attributes", "fitted_mixture", "fitted_parts"]

#: Fitted attributes of covariances that are loadings and noise, and those of all others.
FACTOR_ATTRIBUTES = ("loadings_", "noise_variances_", "n_factors_")
MATRIX_ATTRIBUTES = ("covariances_", "precisions_", "precisions_cholesky_", "scales_")


@dataclass(frozen=True)
class Gaussian(Family):
    """Gaussian components whose covariances are of one family.

    Attributes
    ----------
    covariance : CovarianceFamily
        How covariances are estimated.
    reg_covar : float or ndarray of shape (n_features,)
        Added to every variance of the scatter matrices, per sample, before the family is imposed: scikit-learn's
        regularisation where it imposes nothing, and covariances that stay in it where it does.
    count_floor : float
        Added to every count, so that an empty component keeps finite parameters.
    prior : ConjugatePrior, optional
        The posterior is maximised instead of the likelihood.
    """

    covariance: CovarianceFamily
    reg_covar: Any = 0.0
    count_floor: float = 0.0
    prior: ConjugatePrior | None = None

    @property
    def is_accelerated(self) -> bool:  # type: ignore[override]
        """Whether states have coordinates: loadings and noise that come of whole matrices have none."""
        return not isinstance(self.covariance, LowRankFamily)

    @property
    def shape(self) -> Shape:
        """Which scatter the M-step takes, and how covariances are stored, unless they are loadings and noise."""
        return self.covariance.shape

    @property
    def is_closed_form(self) -> bool:  # type: ignore[override]
        """Whether the covariances are the scatter over the counts."""
        return self.covariance.is_free

    def maximise(self, statistics: SufficientStatistics, state: MixtureParameters | None) -> MixtureParameters:
        """Return the parameters that maximise the expected log-likelihood given the statistics.

        Parameters
        ----------
        statistics : SufficientStatistics
            Those of a pass over the rows.
        state : MixtureParameters or None
            Where an iterative covariance family starts from.

        Raises
        ------
        ComponentCollapseError
            If a component is empty or its covariance is not positive definite.
        ValueError
            If the covariance family is not one for this number of features.
        """
        self.covariance.check_n_features(statistics.centres.shape[1])
        if self.prior is None and self.covariance.is_free:
            found = self._estimate(statistics)
            if found is not None:
                return found
            # What follows comes to the same and says what failed.
        shape, counts = self.shape, statistics.counts + self.count_floor
        if not counts.min() > 0:
            raise collapse_error(int(np.argmin(counts > 0)), statistics.counts, None, "no sample belongs to it")
        shift = statistics.sums / counts[:, None]
        scatter = self.centred(statistics, counts, shift, state)
        # A finite sum proves it; an infinite one may be an overflow.
        if not math.isfinite(scatter.sum()) and not np.isfinite(scatter).all():
            where = 0 if shape.is_shared else int(np.argwhere(~np.isfinite(scatter))[0, 0])
            raise collapse_error(where, statistics.counts, None, "its scatter is not finite; the data are out of range")
        if np.any(self.reg_covar):
            shape.add_to_diagonal(scatter, self._added(counts))
        weights, means = counts / counts.sum(), statistics.centres + shift
        if self.prior is not None:
            weighed = counts if statistics.tail_sums is None else statistics.tail_sums[0]
            scatter, counts = self.prior.amend(shape, self.covariance.is_shared, scatter, counts, weighed, means)
            means = self.prior.shift_means(weighed, means)
        covariances = self.covariance.estimate(scatter, counts, state)
        stored = self.covariance.stored(covariances)
        factor = stored.factorise(covariances, statistics.counts)
        return MixtureParameters(stored.name, weights, means, covariances, factor)

    def centred(self, statistics: SufficientStatistics, weights: np.ndarray, shift: np.ndarray, state: Any) -> Any:
        """Return the scatter about means that lie `shift` from its centres, of rows that weigh `weights`."""
        return self.shape.centred(statistics.scatter, weights, shift)

    def density(self, state: Any) -> Any:
        """Return what the kernels read: with whole matrices, where covariances of few loadings come of such scatter."""
        return with_whole_matrices(state)

    def _added(self, counts: np.ndarray) -> Any:
        """Return what is added to the scatter of each stored matrix."""
        totals = self.shape.totals(counts)
        if np.ndim(self.reg_covar) == 0:
            return self.reg_covar * totals
        return np.multiply.outer(np.atleast_1d(totals), self.reg_covar)

    def _estimate(self, statistics: SufficientStatistics) -> MixtureParameters | None:
        """Return the parameters where every covariance is free, or None if there are none."""
        centres, scatter = statistics.centres, statistics.scatter
        weights, means = np.empty(len(centres)), np.empty(centres.shape)
        covariances, factor, log_offset = np.empty(scatter.shape), np.empty(scatter.shape), np.empty(len(centres))
        written = (weights, means, covariances, factor, log_offset)
        reg_covar = self.reg_covar
        if type(reg_covar) is not float and np.ndim(reg_covar) == 1:
            # The kernel adds one number to all features; these are added beforehand.
            merged, scatter = self.shape.features_per_variance(centres.shape[1]), scatter.copy()
            self.shape.add_to_diagonal(scatter, merged * self._added(statistics.counts + self.count_floor))
            statistics, reg_covar = replace(statistics, scatter=scatter), 0.0
        if not kernels.estimate(statistics, reg_covar, self.count_floor, *written):
            return None
        return MixtureParameters.with_log_offset(statistics.structure, *written)

    def coordinates(self, state: MixtureParameters) -> Coordinates:
        """Return coordinates about a mixture; what leaves a curved family is brought back by its own estimate."""
        return Coordinates(state, None if self.covariance.is_free else self.covariance.estimate)

    def n_parameters(self, n_components: int, n_features: int) -> float:
        """Return the number of free parameters: covariances, means, weights; not a whole one where they are bounded."""
        covariances = self.covariance.n_parameters(n_components, n_features)
        return covariances + n_components * n_features + n_components - 1

    def fitted(self, state: MixtureParameters) -> Gaussian:
        """Return the family with the numbers of factors that a state has, where they were to be chosen."""
        if not isinstance(getattr(self.covariance, "n_factors", None), str):
            return self
        return replace(self, covariance=self.covariance.with_factors(numbers_of_factors(state.covariances[..., :-1])))  # type: ignore[attr-defined]

    def is_spurious(self, state: MixtureParameters, total_weight: float) -> bool:
        """Return whether a component is a singularity; see `fastgmm.families.spurious`."""
        return not self.covariance.is_bounded and is_spurious(state, total_weight, self.reg_covar)

    def attributes(self, state: MixtureParameters, dtype: np.dtype) -> dict[str, Any]:
        """Return weights, means and covariances in `dtype`."""
        return {
            "weights_": state.weights.astype(dtype, copy=False),
            "means_": state.means.astype(dtype, copy=False),
            **covariance_attributes(state, dtype),
        }

    def state(self, attributes: Mapping[str, Any]) -> MixtureParameters:
        """Return the mixture that fitted attributes describe."""
        return fitted_mixture(attributes, self.shape)

    def statistics_of(self, state: MixtureParameters, weight: float) -> SufficientStatistics:
        """Return statistics, worth `weight` rows, whose maximum-likelihood M-step gives these parameters."""
        shape, state = self.shape, self.density(state)
        statistics = SufficientStatistics.zeros(state.structure, state.means)
        statistics.counts += weight * state.weights
        covariances = state.covariances.copy()
        shape.add_to_diagonal(covariances, -self._added(np.ones(1)))
        counts = shape.each(shape.totals(statistics.counts))
        statistics.scatter += shape.features_per_variance(state.n_features) * counts * covariances
        return statistics


def fitted_parts(attributes: Mapping[str, Any], shape: Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return weights, means, covariances and precision factors of fitted attributes, float64.

    They may have been set by hand: any factor F with ``precision = F F^T``, or covariances or factors alone.

    Raises
    ------
    ValueError
        If a part is missing, or has not the shape that the means ask for.
    """
    covariances, factor = attributes.get("covariances_"), attributes.get("precisions_cholesky_")
    if covariances is None or factor is None:
        if covariances is None and factor is None:
            raise ValueError("covariances_ and precisions_cholesky_ are not set; expected one of them beside means_")
        if factor is None:
            factor = shape.factorise(np.ascontiguousarray(covariances, dtype=np.float64))
        else:
            covariances = shape.covariances_of(np.asarray(factor, dtype=np.float64))
    given = [np.asarray(part) for part in (attributes["weights_"], attributes["means_"], covariances, factor)]
    weights, means, covariances, factor = given
    dims = shape.dims(*means.shape) if means.ndim == 2 else None
    if dims is None or covariances.shape != dims or factor.shape != dims or weights.shape != means.shape[:1]:
        raise ValueError(
            f"weights_, means_, covariances_ and precisions_cholesky_ have shapes "
            f"{', '.join(str(part.shape) for part in given)}; expected (n_components,), (n_components, n_features) and "
            f"twice {shape.described}"
        )
    if not (math.isfinite(means.min()) and math.isfinite(means.max())):
        raise ValueError("means_ holds NaN or infinity; expected finite numbers. Fit the model, or set means_ anew")
    given[3] = shape.upper(factor)
    weights, means, covariances, factor = (np.ascontiguousarray(part, dtype=np.float64) for part in given)
    return weights, means, covariances, factor


def fitted_mixture(attributes: Mapping[str, Any], shape: Shape) -> MixtureParameters:
    """Return the mixture of fitted attributes, whose covariances have this shape or are loadings and noise.

    Raises
    ------
    ValueError
        As `fitted_parts` does.
    """
    if "loadings_" not in attributes:
        return MixtureParameters(shape.name, *fitted_parts(attributes, shape))
    loadings, noise = np.asarray(attributes["loadings_"]), np.asarray(attributes["noise_variances_"])
    if loadings.ndim != 3 or noise.shape != loadings.shape[:2] or noise.shape != np.shape(attributes["means_"]):
        raise ValueError(
            f"loadings_ and noise_variances_ have shapes {loadings.shape} and {noise.shape}; expected (n_components, "
            "n_features, n_factors) and (n_components, n_features), with the sizes of means_"
        )
    shape = low_rank(loadings.shape[2])
    given = {name: attributes[name] for name in ("weights_", "means_")}
    covariances = packed(loadings.astype(np.float64), noise.astype(np.float64))
    return MixtureParameters(shape.name, *fitted_parts({**given, "covariances_": covariances}, shape))


def covariance_attributes(state: MixtureParameters, dtype: np.dtype) -> dict[str, np.ndarray]:
    """Return covariances, their factors and precisions in `dtype`; or loadings, noise variances and their numbers.

    Raises
    ------
    ComponentCollapseError
        If a covariance is beyond the range of `dtype`.
    """
    with np.errstate(over="ignore"):
        covariances = state.covariances.astype(dtype, copy=False)
    finite = np.isfinite(covariances)
    if not finite.all():
        component = SHARED if state.shape.is_shared else int(np.argwhere(~finite)[0, 0])
        raise collapse_error(component, reason=f"its covariance is beyond {dtype}; the data are out of range")
    if state.shape.n_factors is not None:
        loadings, noise = unpacked(covariances)
        numbers = numbers_of_factors(state.covariances[..., :-1])
        return {"loadings_": loadings.copy(), "noise_variances_": noise.copy(), "n_factors_": numbers}
    return {
        "covariances_": covariances,
        "precisions_cholesky_": state.precisions_cholesky.astype(dtype, copy=False),
        "precisions_": state.shape.precisions(state.precisions_cholesky).astype(dtype, copy=False),
    }
