"""Components with factors in many features: statistics of q + 1 numbers per feature, and no D x D matrix anywhere.

A pass keeps of each component's scatter S the product ``S C``, where C takes a row for its expected factors under the
parameters of the pass, and the diagonal. That is what one regression of the rows on their factors needs, the M-step of
EM for factor analysers (see `factor_analysers`), so that one follows each pass where whole matrices allow several.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgmm.families.factor_analysers import FactorAnalysers
from fastgmm.families.gaussian import Gaussian
from fastgmm.families.low_rank import LowRankFamily
from fastgmm.model import MixtureParameters, SufficientStatistics
from fastgmm.model.priors import ConjugatePrior
from fastgmm.model.shapes.base import collapse_error
from fastgmm.model.shapes.low_rank import canonical, unpacked

__all__ = ["MANY_FEATURES", "Sketched", "gaussian_family"]

#: Beyond so many features passes keep no whole matrices. Measured on patches of photographs, at 64 features both ways
#: take the same time, and at 144 whole matrices 1.4 to 2.3 times as long, for fewer passes and a higher likelihood; on
#: digits of 256 pixels 2.7 to 7.8 times as long.
MANY_FEATURES = 200
#: Numbers of loadings that are estimated at a time.
BLOCK_VALUES = 1 << 20


@dataclass(frozen=True)
class Sketched(Gaussian):
    """Gaussian components with factors, whose statistics are of few numbers per feature."""

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
        assert isinstance(self.covariance, LowRankFamily)
        regression = self.covariance.regression
        assert regression is not None, "families without a regression have whole matrices"
        counts, shape = statistics.counts + self.count_floor, state.shape
        if not counts.min() > 0:
            raise collapse_error(int(np.argmin(counts > 0)), statistics.counts, None, "no sample belongs to it")
        shift = statistics.sums / counts[:, None]
        if not np.isfinite(shift).all():
            where = int(np.argmin(np.isfinite(shift).all(axis=1)))
            raise collapse_error(where, statistics.counts, None, "its scatter is not finite; the data are out of range")
        covariances = np.empty_like(state.covariances)
        loadings, residuals = unpacked(covariances)
        # A few components at a time: what is made on the way is as large as their loadings.
        n_components = len(counts)
        step = max(1, BLOCK_VALUES // covariances[0].size)
        for start in range(0, n_components, step):
            part = slice(start, start + step)
            loadings[part], residuals[part] = self._regressed(part, statistics, counts, shift, state, regression)
        residuals[:] = regression.noise_of(residuals, counts)
        factor = np.empty_like(covariances)
        for start in range(0, n_components, step):
            part = slice(start, start + step)
            loadings[part] = canonical(loadings[part], residuals[part])[0]
            factor[part] = shape.factorise(covariances[part], statistics.counts[part])
        return MixtureParameters(shape.name, counts / counts.sum(), statistics.centres + shift, covariances, factor)

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
        sketch, variances = unpacked(statistics.scatter[part])
        sketch, variances = sketch / counts[:, None, None], variances / counts[:, None]
        sketch -= shift[:, :, None] * np.einsum("kd,kdq->kq", shift, factors)[:, None, :]
        added = np.broadcast_to(np.asarray(self.reg_covar, dtype=np.float64), shift.shape[1:])
        sketch += added[:, None] * factors
        variances = np.maximum(variances - shift**2, 0.0) + added
        return regression.regress(sketch, variances, factors, spread, noise, counts)

    def statistics_of(self, state: MixtureParameters, weight: float) -> SufficientStatistics:
        """Raise ValueError: statistics along the loadings of one pass are not those of another."""
        raise ValueError(
            f"partial_fit and adapt take up to {MANY_FEATURES} features where components have factors, and the model "
            f"has {state.n_features}; fit a source of rows (fastgmm.data), which is read in every pass"
        )


def gaussian_family(
    covariance: Any, n_features: int, reg_covar: Any, count_floor: float = 0.0, prior: ConjugatePrior | None = None
) -> Gaussian:
    """Return the family of Gaussian components, whose statistics are whole matrices unless features are many."""
    sketched = isinstance(covariance, LowRankFamily) and covariance.regression is not None and prior is None
    kind = Sketched if sketched and n_features > MANY_FEATURES else Gaussian
    return kind(covariance, reg_covar, count_floor, prior)
