"""Sufficient statistics of a Gaussian mixture: the sums that one pass over the data leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["SufficientStatistics"]

# Shape of `scatter` for each kernel structure.
_SCATTER_SHAPE = {
    "full": lambda k, d: (k, d, d),
    "tied": lambda k, d: (d, d),
    "diag": lambda k, d: (k, d),
    "spherical": lambda k, d: (k,),
}


@dataclass
class SufficientStatistics:
    """Weighted moments of each component, taken about centres close to the data.

    With responsibilities ``r`` (times sample weights) and centres ``c``::

        counts[k]  = sum_n r[n, k]
        sums[k]    = sum_n r[n, k] (x[n] - c[k])
        scatter[k] = sum_n r[n, k] (x[n] - c[k]) (x[n] - c[k])^T

    Uncentred sums would lose about ``2 log10(|mean| / sd)`` digits, so the centres are part of the statistics.

    Attributes
    ----------
    structure : {'full', 'tied', 'diag', 'spherical'}
        Which part of the scatter is kept: ``full`` (n_components, n_features, n_features), ``tied`` the sum over
        components (n_features, n_features), ``diag`` the diagonals (n_components, n_features), ``spherical``
        their traces (n_components,).
    centres : ndarray of shape (n_components, n_features), float64
    counts : ndarray of shape (n_components,), float64
    sums : ndarray of shape (n_components, n_features), float64
    scatter : ndarray, float64
    log_likelihood : float
        Total over samples, weighted, in nats.
    """

    structure: str
    centres: np.ndarray
    counts: np.ndarray
    sums: np.ndarray
    scatter: np.ndarray
    log_likelihood: float = 0.0

    @classmethod
    def zeros(cls, structure: str, centres: np.ndarray) -> SufficientStatistics:
        """Return empty statistics about `centres` of shape (n_components, n_features)."""
        centres = np.ascontiguousarray(centres, dtype=np.float64)
        n_components, n_features = centres.shape
        return cls(
            structure,
            centres,
            np.zeros(n_components),
            np.zeros((n_components, n_features)),
            np.zeros(_SCATTER_SHAPE[structure](n_components, n_features)),
        )

    def merge(self, other: SufficientStatistics) -> None:
        """Add the statistics of other rows, taken about the same centres, to these in place.

        Raises
        ------
        ValueError
            If the structures or the centres differ.
        """
        if self.structure != other.structure:
            raise ValueError(
                f"other has structure {other.structure!r}; expected {self.structure!r}, the structure merged into"
            )
        if not np.array_equal(self.centres, other.centres):
            raise ValueError("other was accumulated about different centres; accumulate all parts with the same means")
        self.counts += other.counts
        self.sums += other.sums
        self.scatter += other.scatter
        self.log_likelihood += other.log_likelihood
