"""What sufficient statistics say without another pass: other centres, parts, expected log densities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastgmm.model.parameters import MixtureParameters
from fastgmm.model.shapes import DIAGONAL, Shape, get_shape
from fastgmm.model.statistics import SufficientStatistics

__all__ = ["Components", "add_part", "components_of", "expected_log_joint", "pooled_moments"]


@dataclass(frozen=True)
class Components:
    """What the kernels read of a mixture: a precision factor, a mean and an offset per component.

    Attributes
    ----------
    structure : {'full', 'tied', 'diag', 'spherical'}
        The name of the shape of `precisions_cholesky`.
    log_offset : ndarray of shape (n_components,), float64
        In nats; need not be a normaliser.
    means : ndarray of shape (n_components, n_features), float64
        The mean of each component.
    precisions_cholesky : ndarray, float64
        The factor of each precision, in the shape of `structure`.
    tail : object with a name, or None
        Of components that are not Gaussian.
    """

    structure: str
    log_offset: np.ndarray
    means: np.ndarray
    precisions_cholesky: np.ndarray
    tail: Any = None

    def __setstate__(self, state: dict) -> None:
        # What came from another process may lie at any address of the message, and the kernels read no such numbers.
        aligned = {
            name: np.require(value, requirements=["A"]) if isinstance(value, np.ndarray) else value
            for name, value in state.items()
        }
        self.__dict__.update(aligned)

    @property
    def shape(self) -> Shape:
        """The algebra of the factors."""
        return get_shape(self.structure)

    @property
    def n_components(self) -> int:
        """Number of components."""
        return self.means.shape[0]

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.means.shape[1]


def components_of(parameters: MixtureParameters | Components, chosen, log_offset=None) -> Components:
    """Return the components `chosen`, an index array or slice, of a mixture, by default with their own offsets."""
    if hasattr(parameters, "part"):
        return parameters.part(chosen, log_offset)
    tail = getattr(parameters, "tail", None)
    return Components(
        parameters.structure,
        np.ascontiguousarray(parameters.log_offset[chosen] if log_offset is None else log_offset),
        np.ascontiguousarray(parameters.means[chosen]),
        parameters.shape.take(parameters.precisions_cholesky, chosen),
        None if tail is None else tail.take(chosen),
    )


def expected_log_joint(statistics: SufficientStatistics, parameters: MixtureParameters | Components) -> float:
    """Return ``sum_nk r[n, k] log(weight_k density_k(x[n]))``, in nats.

    The statistics must be about the means of `parameters`.
    """
    distances = float(np.sum(parameters.shape.lengths(statistics.scatter, parameters.precisions_cholesky)))
    present = statistics.counts > 0  # a component without rows may have an offset of -inf
    return float(statistics.counts[present] @ parameters.log_offset[present]) - 0.5 * distances


def pooled_moments(statistics: SufficientStatistics) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (n_features,) and covariance (n_features, n_features), divisor n - 1, of all rows together.

    Where the statistics are of diagonals or traces only, so is the covariance; where they are along loadings, it is the
    variances alone, (n_features,).
    """
    total, n_features = float(statistics.counts.sum()), statistics.centres.shape[1]
    if statistics.shape.n_factors is not None:
        own = np.ascontiguousarray(statistics.scatter[..., -1])
        by_feature = replace(statistics, structure=DIAGONAL.name, scatter=own)
        mean = (statistics.counts @ statistics.centres + statistics.sums.sum(axis=0)) / total
        about = by_feature.about(np.broadcast_to(mean, statistics.centres.shape))
        return mean, about.scatter.sum(axis=0) / max(total - 1.0, 1.0)
    mean = (statistics.counts @ statistics.centres + statistics.sums.sum(axis=0)) / total
    scatter = statistics.about(np.broadcast_to(mean, statistics.centres.shape)).scatter
    return mean, statistics.shape.pooled(scatter, n_features) / max(total - 1.0, 1.0)


def add_part(statistics: SufficientStatistics, part: SufficientStatistics, chosen: slice) -> None:
    """Add the statistics of the components `chosen`, about the same centres, to those of all, in place."""
    statistics.counts[chosen] += part.counts
    statistics.sums[chosen] += part.sums
    statistics.shape.add_part(statistics.scatter, part.scatter, chosen)
    if statistics.tail_sums is not None and part.tail_sums is not None:
        statistics.tail_sums[:, chosen] += part.tail_sums
    statistics.log_likelihood += part.log_likelihood
