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
from fastgmm.families.spurious import is_spurious
from fastgmm.model import MixtureParameters, Shape, SufficientStatistics
from fastgmm.model.coordinates import Coordinates
from fastgmm.model.priors import ConjugatePrior
from fastgmm.model.shapes.base import SHARED, collapse_error

__all__ = ["Gaussian", "covariance_attributes", "fitted_parts"]


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

    is_accelerated = True

    @property
    def shape(self) -> Shape:
        """Which scatter the M-step takes, and how covariances are stored."""
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
        scatter = shape.centred(statistics.scatter, counts, shift)
        # A finite sum proves it; an infinite one may be an overflow.
        if not math.isfinite(scatter.sum()) and not np.isfinite(scatter).all():
            where = 0 if shape.is_shared else int(np.argwhere(~np.isfinite(scatter))[0, 0])
            raise collapse_error(where, statistics.counts, None, "its scatter is not finite; the data are out of range")
        if np.any(self.reg_covar):
            shape.add_to_diagonal(scatter, self._added(counts))
        weights, means = counts / counts.sum(), statistics.centres + shift
        if self.prior is not None:
            scatter, amended = self.prior.amend(shape, self.covariance.is_shared, scatter, counts, means)
            means, counts = self.prior.shift_means(counts, means), amended
        covariances = self.covariance.estimate(scatter, counts, state)
        factor = shape.factorise(covariances, statistics.counts)
        return MixtureParameters(shape.name, weights, means, covariances, factor)

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

    def n_parameters(self, n_components: int, n_features: int) -> int:
        """Return the number of free parameters: covariances, means, weights."""
        covariances = self.covariance.n_parameters(n_components, n_features)
        return int(covariances + n_components * n_features + n_components - 1)

    def is_spurious(self, state: MixtureParameters, total_weight: float) -> bool:
        """Return whether a component is a singularity; see `fastgmm.families.spurious`."""
        return is_spurious(state, total_weight, self.reg_covar)

    def attributes(self, state: MixtureParameters, dtype: np.dtype) -> dict[str, Any]:
        """Return weights, means and covariances in `dtype`."""
        return {
            "weights_": state.weights.astype(dtype, copy=False),
            "means_": state.means.astype(dtype, copy=False),
            **covariance_attributes(state, dtype),
        }

    def state(self, attributes: Mapping[str, Any]) -> MixtureParameters:
        """Return the mixture that fitted attributes describe."""
        return MixtureParameters(self.shape.name, *fitted_parts(attributes, self.shape))

    def statistics_of(self, state: MixtureParameters, weight: float) -> SufficientStatistics:
        """Return statistics, worth `weight` rows, whose maximum-likelihood M-step gives these parameters."""
        shape, statistics = self.shape, SufficientStatistics.zeros(state.structure, state.means)
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


def covariance_attributes(state: MixtureParameters, dtype: np.dtype) -> dict[str, np.ndarray]:
    """Return covariances, their factors and precisions in `dtype`.

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
    return {
        "covariances_": covariances,
        "precisions_cholesky_": state.precisions_cholesky.astype(dtype, copy=False),
        "precisions_": state.shape.precisions(state.precisions_cholesky).astype(dtype, copy=False),
    }
