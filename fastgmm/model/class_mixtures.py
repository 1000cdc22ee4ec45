"""The M-step of one mixture per class: covariances shared across classes or not, class priors given or learnt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastgmm.model.covariance import CovarianceStructure, maximise
from fastgmm.model.moments import recentre
from fastgmm.model.parameters import MixtureParameters
from fastgmm.model.statistics import SufficientStatistics

__all__ = ["ClassMixtures"]


@dataclass(frozen=True)
class ClassMixtures:
    """How the components of all classes hang together.

    Attributes
    ----------
    structure : CovarianceStructure
    blocks : list of slice
        Components of each class, in order.
    shared : bool
        Whether `structure` ties the covariances of all classes together, or those of each class apart.
    priors : ndarray of shape (n_classes,), or None
        Given class probabilities; None for learnt ones.
    shrinkage : float
        Rows of the covariance within components, pooled over all, that are added to each component's own.
    """

    structure: CovarianceStructure
    blocks: list[slice]
    shared: bool
    priors: np.ndarray | None
    shrinkage: float = 0.0

    @property
    def n_components(self) -> int:
        """Number of components of all classes."""
        return self.blocks[-1].stop

    @property
    def kernel(self) -> str:
        """The kernel structure of all classes together."""
        # One shared matrix per class is not one shared matrix.
        return "full" if self.structure.kernel == "tied" and not self.shared else self.structure.kernel

    def n_parameters(self, n_features: int) -> int:
        """Return the number of free parameters."""
        if self.shared:
            covariances = self.structure.n_parameters(self.n_components, n_features)
        else:
            covariances = sum(self.structure.n_parameters(b.stop - b.start, n_features) for b in self.blocks)
        weights = self.n_components - (1 if self.priors is None else len(self.blocks))
        return int(covariances + self.n_components * n_features + weights)

    def maximise(
        self,
        statistics: SufficientStatistics,
        reg_covar: float,
        count_floor: float,
        previous: MixtureParameters | None = None,
    ) -> MixtureParameters:
        """Return the most likely parameters given the statistics, whose structure is `kernel`.

        Takes and raises what `fastgmm.model.covariance.maximise` does; a component is numbered among those of all
        classes where the covariances are shared, within its class where they are not.
        """
        counts = statistics.counts + count_floor
        weights = self._weights(counts)
        if self.shrinkage and self.kernel != "tied":
            statistics = _with_pooled_rows(statistics, counts, self.shrinkage)
        if self.shared:
            fitted = maximise(statistics, self.structure, reg_covar, count_floor, previous)
            parts = (fitted.means, fitted.covariances, fitted.precisions_cholesky)
            return MixtureParameters(fitted.structure, weights, *parts)
        by_class = [
            maximise(
                self._class_statistics(statistics, block),
                self.structure,
                reg_covar,
                count_floor,
                self._class_parameters(previous, block),
            )
            for block in self.blocks
        ]
        return MixtureParameters(
            self.kernel,
            weights,
            np.concatenate([part.means for part in by_class]),
            np.concatenate([self._per_component(part.covariances, part) for part in by_class]),
            np.concatenate([self._per_component(part.precisions_cholesky, part) for part in by_class]),
        )

    def _weights(self, counts: np.ndarray) -> np.ndarray:
        if self.priors is None:
            return counts / counts.sum()
        of_class = np.concatenate([np.full(b.stop - b.start, counts[b].sum()) for b in self.blocks])
        prior = np.concatenate([np.full(b.stop - b.start, p) for b, p in zip(self.blocks, self.priors, strict=True)])
        return counts / of_class * prior

    def _per_component(self, matrices: np.ndarray, part: MixtureParameters) -> np.ndarray:
        if part.structure != "tied":
            return matrices
        return np.repeat(matrices[None], part.n_components, axis=0)

    def _class_statistics(self, statistics: SufficientStatistics, block: slice) -> SufficientStatistics:
        scatter = statistics.scatter[block]
        if self.structure.statistics == "tied":
            scatter = scatter.sum(axis=0)
        return SufficientStatistics(
            self.structure.statistics,
            statistics.centres[block],
            statistics.counts[block],
            statistics.sums[block],
            scatter,
        )

    def _class_parameters(self, previous: MixtureParameters | None, block: slice) -> MixtureParameters | None:
        if previous is None or self.structure.kernel == "tied":
            return None
        return MixtureParameters(
            previous.structure,
            previous.weights[block],
            previous.means[block],
            previous.covariances[block],
            previous.precisions_cholesky[block],
        )


def _with_pooled_rows(statistics: SufficientStatistics, counts: np.ndarray, n_rows: float) -> SufficientStatistics:
    """Return statistics with `n_rows` more rows per component, spread as the rows of all about their own means."""
    own = recentre(statistics, statistics.centres + statistics.sums / counts[:, None])
    pooled = own.scatter.sum(axis=0) / counts.sum()
    own.sums[:] = 0.0
    return SufficientStatistics(
        own.structure, own.centres, own.counts + n_rows, own.sums, own.scatter + n_rows * pooled
    )
