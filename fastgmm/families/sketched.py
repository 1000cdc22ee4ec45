"""Components with factors in many features: statistics of q + 1 numbers per feature, and no D x D matrix anywhere.

A pass keeps of each component's scatter S the product ``S C``, where C takes a row for its expected factors under the
parameters of the pass, and the diagonal. That is what one regression of the rows on their factors needs, the M-step of
EM for factor analysers (see `factor_analysers`), so that one follows each pass where whole matrices allow several.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fastgmm.families.factor_analysers import FactorAnalysers, factor_posterior
from fastgmm.families.gaussian import Gaussian
from fastgmm.families.low_rank import LowRankFamily
from fastgmm.model import MixtureParameters, SufficientStatistics
from fastgmm.model.loading_coordinates import LoadingCoordinates
from fastgmm.model.priors import ConjugatePrior
from fastgmm.model.shapes import low_rank
from fastgmm.model.shapes.base import collapse_error
from fastgmm.model.shapes.low_rank import packed, unpacked

__all__ = ["MANY_FEATURES", "Sketched", "gaussian_family", "is_sketched", "with_factors"]

#: Beyond so many features passes keep no whole matrices. Measured on patches of photographs, at 64 features both ways
#: take the same time, and at 144 whole matrices 1.4 to 2.3 times as long, for fewer passes and a higher likelihood; on
#: digits of 256 pixels 2.7 to 7.8 times as long.
MANY_FEATURES = 200
#: Numbers of loadings that are estimated at a time.
BLOCK_VALUES = 1 << 18
#: Numbers of loadings and noise variances beyond which fits are not accelerated: 32 MB of coordinates.
MOST_COORDINATES = 200_000


@dataclass(frozen=True)
class Sketched(Gaussian):
    """Gaussian components with factors, whose statistics are of few numbers per feature."""

    keeps_statistics = False

    @property
    def regression(self) -> FactorAnalysers:
        """The step by which loadings and noise are estimated."""
        assert isinstance(self.covariance, LowRankFamily)
        regression = self.covariance.regression
        assert regression is not None, "families without a regression have whole matrices"
        return regression

    @property
    def is_accelerated(self) -> bool:  # type: ignore[override]
        """Whether states have coordinates: loadings that all components share have none."""
        return not self.regression.shares_loadings

    def accelerates(self, state: Any) -> bool:
        """Return whether some twenty vectors of coordinates, which acceleration keeps, are small enough."""
        return self.is_accelerated and state.covariances.size <= MOST_COORDINATES

    def coordinates(self, state: MixtureParameters) -> Any:
        """Return coordinates about a mixture."""
        counts = np.full(state.n_components, np.inf)
        mixture_of = partial(with_factors, regression=self.regression, counts=counts)
        return LoadingCoordinates(state, mixture_of)

    def density(self, state: Any) -> Any:
        """Return what the kernels read: loadings and noise as they are."""
        return state

    def maximise(self, statistics: SufficientStatistics, state: MixtureParameters | None) -> MixtureParameters:
        """Return the parameters after one regression of the rows on their factors, which `state` expected.

        Raises
        ------
        ComponentCollapseError
            If a component is empty, or a feature is constant in it.
        """
        assert state is not None, "statistics along loadings are those of a state"
        regression, counts = self.regression, statistics.counts + self.count_floor
        if not counts.min() > 0:
            raise collapse_error(int(np.argmin(counts > 0)), statistics.counts, None, "no sample belongs to it")
        shift = statistics.sums / counts[:, None]
        if not np.isfinite(shift).all():
            where = int(np.argmin(np.isfinite(shift).all(axis=1)))
            raise collapse_error(where, statistics.counts, None, "its scatter is not finite; the data are out of range")
        covariances = np.empty_like(state.covariances)
        loadings, residuals = unpacked(covariances)
        for part in _parts(covariances, regression):
            loadings[part], residuals[part] = self._regressed(part, statistics, counts, shift, state, regression)
        means, behind = statistics.centres + shift, counts
        if self.prior is not None:
            weighed = counts if statistics.tail_sums is None else statistics.tail_sums[0]
            means, behind = self.prior.shift_means(weighed, means), self.prior.amended(counts, means.shape[1])
        residuals[:] = regression.noise_of(residuals, behind)
        return with_factors(counts / counts.sum(), means, covariances, regression, statistics.counts)

    def _regressed(
        self,
        part: slice,
        statistics: SufficientStatistics,
        counts: np.ndarray,
        shift: np.ndarray,
        state: MixtureParameters,
        regression: FactorAnalysers,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return loadings of some components and the variances they leave, from scatter about the new means."""
        counts, shift, noise = counts[part], shift[part], unpacked(state.covariances[part])[1]
        factors, spread = state.shape.posterior(state.precisions_cholesky[part])  # type: ignore[attr-defined]
        scatter = _centred(statistics.scatter[part], counts, shift, factors)
        added = counts[:, None] * np.broadcast_to(np.asarray(self.reg_covar, dtype=np.float64), shift.shape)
        scatter += packed(added[..., None] * factors, added)
        if self.prior is not None:
            weighed = counts if statistics.tail_sums is None else statistics.tail_sums[0, part]
            scatter += packed(*self.prior.along(factors, weighed, statistics.centres[part] + shift))
            counts = self.prior.amended(counts, shift.shape[1])
        sketch, variances = unpacked(scatter / counts[:, None, None])
        if regression.shares_loadings:
            # Factors of all components in the one rotation of their loadings; those of a pass are in each one's own.
            own, (factors, spread) = factors, factor_posterior(unpacked(state.covariances[part])[0], noise)
            within = np.einsum("kdq,kd,kdp->kqp", own, noise, own)[:, *np.diag_indices(own.shape[2])]
            turn = np.einsum("kdq,kd,kdp->kqp", own, noise, factors)
            sketch = sketch @ (turn / np.where(within > 0, within, 1.0)[:, :, None])
        return regression.regress(sketch, variances, factors, spread, noise, counts)

    def centred(self, statistics: SufficientStatistics, weights: np.ndarray, shift: np.ndarray, state: Any) -> Any:
        """Return the scatter along the loadings of a state, and its diagonal, about means `shift` from its centres."""
        return _centred(statistics.scatter, weights, shift, state.shape.posterior(state.precisions_cholesky)[0])

    def statistics_of(self, state: MixtureParameters, weight: float) -> SufficientStatistics:
        """Return statistics of rows that are distributed as the state has it, along its own loadings."""
        statistics = SufficientStatistics.zeros(state.structure, state.means)
        statistics.counts += weight * state.weights
        factors, (loadings, noise) = state.shape.posterior(state.precisions_cholesky)[0], unpacked(state.covariances)  # type: ignore[attr-defined]
        noise = noise - self.reg_covar
        sketch = loadings @ (loadings.transpose(0, 2, 1) @ factors) + noise[..., None] * factors
        variances = np.einsum("kdq,kdq->kd", loadings, loadings) + noise
        statistics.scatter += statistics.counts[:, None, None] * packed(sketch, variances)
        return statistics


def with_factors(
    weights: np.ndarray, means: np.ndarray, covariances: np.ndarray, regression: FactorAnalysers, counts: np.ndarray
) -> MixtureParameters:
    """Return the mixture of loadings and noise as `LowRank` stores them, which are turned in place."""
    factor, shape = np.empty_like(covariances), low_rank(covariances.shape[2] - 1)
    loadings, noise = shape.checked(covariances, counts)
    for part in _parts(covariances, regression):
        loadings[part] = regression.turned(loadings[part], noise[part])
        if regression.shares_loadings:
            factor[part] = shape.factorise(covariances[part], counts[part])
        else:
            factor[part] = shape.factor_of_canonical(loadings[part], noise[part])
    return MixtureParameters(shape.name, weights, means, covariances, factor)


def _parts(covariances: np.ndarray, regression: FactorAnalysers) -> list[slice]:
    """Return slices of a few components: what is made of them on the way is several times as large as they are."""
    n_components = len(covariances)
    step = n_components if regression.shares_loadings else max(1, BLOCK_VALUES // covariances[0].size)
    return [slice(start, start + step) for start in range(0, n_components, step)]


def _centred(scatter: np.ndarray, weights: np.ndarray, shift: np.ndarray, factors: np.ndarray) -> np.ndarray:
    moved, scatter = weights[:, None] * shift, scatter.copy()
    scatter[..., :-1] -= moved[:, :, None] * np.einsum("kd,kdq->kq", shift, factors)[:, None, :]
    scatter[..., -1] = np.maximum(scatter[..., -1] - moved * shift, 0.0)
    return scatter


def is_sketched(covariance: Any, n_features: int) -> bool:
    """Return whether passes keep no matrix of features: where these are many, and components have factors."""
    return isinstance(covariance, LowRankFamily) and covariance.regression is not None and n_features > MANY_FEATURES


def gaussian_family(
    covariance: Any, n_features: int, reg_covar: Any, count_floor: float = 0.0, prior: ConjugatePrior | None = None
) -> Gaussian:
    """Return the family of Gaussian components, whose statistics are whole matrices unless features are many."""
    kind = Sketched if is_sketched(covariance, n_features) else Gaussian
    return kind(covariance, reg_covar, count_floor, prior)
