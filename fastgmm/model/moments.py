"""What sufficient statistics say without another pass: other centres, parts, expected log densities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastgmm.model.parameters import MixtureParameters
from fastgmm.model.statistics import SufficientStatistics

__all__ = ["Components", "add_part", "components_of", "expected_log_joint", "pooled_moments", "recentre"]


@dataclass(frozen=True)
class Components:
    """What the kernels read of a mixture: a precision factor, a mean and an offset per component.

    Attributes
    ----------
    structure : {'full', 'tied', 'diag', 'spherical'}
    log_offset : ndarray of shape (n_components,), float64
        In nats; need not be a normaliser.
    means : ndarray of shape (n_components, n_features), float64
    precisions_cholesky : ndarray, float64
    """

    structure: str
    log_offset: np.ndarray
    means: np.ndarray
    precisions_cholesky: np.ndarray

    @property
    def n_components(self) -> int:
        """Number of components."""
        return self.means.shape[0]


def components_of(parameters: MixtureParameters | Components, chosen, log_offset=None) -> Components:
    """Return the components `chosen`, an index array or slice, of a mixture, by default with their own offsets."""
    factor = parameters.precisions_cholesky
    return Components(
        parameters.structure,
        np.ascontiguousarray(parameters.log_offset[chosen] if log_offset is None else log_offset),
        np.ascontiguousarray(parameters.means[chosen]),
        factor if parameters.structure == "tied" else np.ascontiguousarray(factor[chosen]),
    )


def expected_log_joint(statistics: SufficientStatistics, parameters: MixtureParameters | Components) -> float:
    """Return ``sum_nk r[n, k] log(weight_k density_k(x[n]))``, in nats.

    The statistics must be about the means of `parameters`.
    """
    factor, scatter = parameters.precisions_cholesky, statistics.scatter
    if parameters.structure in ("full", "tied"):
        distances = float(np.sum((scatter @ factor) * factor))
    else:
        distances = float(np.sum((scatter * factor) * factor))
    present = statistics.counts > 0  # a component without rows may have an offset of -inf
    return float(statistics.counts[present] @ parameters.log_offset[present]) - 0.5 * distances


def pooled_moments(statistics: SufficientStatistics) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (n_features,) and covariance (n_features, n_features), divisor n - 1, of all rows together.

    Where the statistics are of diagonals or traces only, so is the covariance.
    """
    total, n_features = float(statistics.counts.sum()), statistics.centres.shape[1]
    mean = (statistics.counts @ statistics.centres + statistics.sums.sum(axis=0)) / total
    scatter = statistics.about(np.broadcast_to(mean, statistics.centres.shape)).scatter
    if statistics.structure == "full":
        scatter = scatter.sum(axis=0)
    elif statistics.structure == "diag":
        scatter = np.diag(scatter.sum(axis=0))
    elif statistics.structure == "spherical":
        scatter = np.eye(n_features) * (scatter.sum() / n_features)
    return mean, scatter / max(total - 1.0, 1.0)


def recentre(statistics: SufficientStatistics, centres: np.ndarray) -> SufficientStatistics:
    """Return the same rows' statistics about other centres of shape (n_components, n_features).

    Exact where the statistics are about their own means; elsewhere digits are lost as the old centres lie far off.
    """
    return statistics.about(centres)


def add_part(statistics: SufficientStatistics, part: SufficientStatistics, chosen: slice) -> None:
    """Add the statistics of the components `chosen`, about the same centres, to those of all, in place."""
    statistics.counts[chosen] += part.counts
    statistics.sums[chosen] += part.sums
    if statistics.structure == "tied":
        statistics.scatter += part.scatter
    else:
        statistics.scatter[chosen] += part.scatter
    statistics.log_likelihood += part.log_likelihood
