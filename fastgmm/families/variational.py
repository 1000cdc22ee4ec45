"""The variational posterior of a Gaussian mixture as a family.

Its M-step is conjugate: the posterior given the statistics of the memberships. Its bound is that on the evidence.

References
----------
Bishop (2006), Pattern Recognition and Machine Learning, section 10.2: equations 10.51, 10.58 to 10.65.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgmm.families.base import Family
from fastgmm.families.gaussian import covariance_attributes, fitted_parts
from fastgmm.model import Shape, SufficientStatistics
from fastgmm.model.coordinates import Coordinates
from fastgmm.model.evidence import evidence_lower_bound, simplified_bound
from fastgmm.model.moments import expected_log_joint
from fastgmm.model.variational import Priors, VariationalPosterior, posterior_of

__all__ = ["OpenVariational", "Variational", "entropy_of_memberships"]


@dataclass(frozen=True)
class Variational(Family):
    """Gaussian components with a posterior over weights, means and precisions.

    Attributes
    ----------
    matrices : Shape
        Of the covariances.
    priors : Priors
    reg_covar : float
        Added to the variance of every row, in squared units of the data.
    count_floor : float
        Added to every count of the first M-step. Later ones, which work in float64 whatever the rows, need less.
    weight : float
        Of a mean row: floors are in proportion to it.
    """

    matrices: Shape
    priors: Priors
    reg_covar: float = 0.0
    count_floor: float = 0.0
    weight: float = 1.0

    is_accelerated = True

    @property
    def shape(self) -> Shape:
        """Which scatter the M-step takes, and how covariances are stored."""
        return self.matrices

    def first(self, statistics: SufficientStatistics) -> VariationalPosterior:
        """Return the posterior of first memberships, whose entropy is not known."""
        return self._posterior(statistics, self.count_floor)

    def maximise(self, statistics: SufficientStatistics, state: VariationalPosterior | None) -> VariationalPosterior:
        """Return the posterior given the statistics of the memberships under `state`.

        Raises
        ------
        ComponentCollapseError
            If a covariance is not positive definite to working precision.
        """
        floor = 10.0 * float(np.finfo(np.float64).eps) * self.weight
        entropy = float("nan") if state is None else entropy_of_memberships(statistics, state)
        return self._posterior(statistics, floor, entropy)

    def _posterior(
        self, statistics: SufficientStatistics, count_floor: float, entropy: float = float("nan")
    ) -> VariationalPosterior:
        counts, shape = statistics.counts + count_floor, self.shape
        shift = statistics.sums / counts[:, None]
        scatter = shape.centred(statistics.scatter, counts, shift)
        if self.reg_covar:
            shape.add_to_diagonal(scatter, self.reg_covar * shape.totals(counts))
        return posterior_of(shape, self.priors, counts, statistics.centres, shift, scatter, entropy)

    def bound(self, statistics: SufficientStatistics, state: VariationalPosterior) -> float:  # type: ignore[override]
        """Return the lower bound on the evidence, total over samples, in nats.

        scikit-learn's, which lacks constants, unless the priors ask for exact expectations.
        """
        return evidence_lower_bound(state, self.reg_covar) if self.priors.exact else simplified_bound(state)

    def coordinates(self, state: VariationalPosterior) -> Any:
        """Return the coordinates of the counts, means and expected precisions, which determine the posterior."""
        return _PosteriorCoordinates(state)

    def attributes(self, state: VariationalPosterior, dtype: np.dtype) -> dict[str, Any]:
        """Return the posterior's parameters, and what was made of the rows."""
        found: dict[str, Any] = {
            "weights_": state.weights,
            "means_": state.means,
            **covariance_attributes(state, dtype),
            "weight_concentration_": state.concentration,
            "mean_precision_": state.mean_precision,
            "degrees_of_freedom_": state.degrees_of_freedom[()],
        }
        if state.counts is not None:
            made = np.isfinite(state.entropy)
            found["n_effective_components_"] = int(np.count_nonzero(state.counts >= 1.0))
            found["elbo_"] = evidence_lower_bound(state, self.reg_covar) if made else -np.inf
        return found

    def state(self, attributes: Mapping[str, Any]) -> VariationalPosterior:
        """Return the posterior that fitted attributes describe."""
        return VariationalPosterior(
            self.shape.name,
            *fitted_parts(attributes, self.shape),
            concentration=attributes["weight_concentration_"],
            mean_precision=attributes["mean_precision_"],
            degrees_of_freedom=attributes["degrees_of_freedom_"],
            priors=self.priors,
        )

    def statistics_of(self, state: VariationalPosterior, weight: float) -> SufficientStatistics:
        """Return statistics, worth `weight` rows, of a mixture with the posterior's expectations."""
        shape, statistics = self.shape, SufficientStatistics.zeros(state.structure, state.means)
        statistics.counts += weight * state.weights
        covariances = state.covariances.copy()
        shape.add_to_diagonal(covariances, -self.reg_covar)
        counts = shape.each(shape.totals(statistics.counts))
        statistics.scatter += shape.features_per_variance(state.n_features) * counts * covariances
        return statistics


class OpenVariational(Variational):
    """The same where the number of components is open: states of different numbers are compared by the whole bound.

    Components are in decreasing order of their counts, which no other order of sticks exceeds in the bound.
    """

    def maximise(self, statistics: SufficientStatistics, state: VariationalPosterior | None) -> VariationalPosterior:
        """Return the posterior given the statistics of the memberships under `state`, its components in order."""
        entropy = float("nan") if state is None else entropy_of_memberships(statistics, state)
        return self.posterior(statistics, entropy)

    def posterior(self, statistics: SufficientStatistics, entropy: float) -> VariationalPosterior:
        """Return the posterior of memberships of known entropy, its components in order."""
        order = np.argsort(-statistics.counts, kind="stable")
        floor = 10.0 * float(np.finfo(np.float64).eps) * self.weight
        return self._posterior(statistics.take(order), floor, entropy)

    def bound(self, statistics: SufficientStatistics, state: VariationalPosterior) -> float:  # type: ignore[override]
        """Return the complete lower bound on the evidence, total over samples, in nats."""
        return evidence_lower_bound(state, self.reg_covar)


def entropy_of_memberships(statistics: SufficientStatistics, state: VariationalPosterior) -> float:
    """Return the entropy of the responsibilities of a pass, total over rows, in nats.

    ``-sum r log r`` is the log-likelihood less the expected log joint density, and that one the statistics hold:
    they are taken about the means that the responsibilities were computed with.
    """
    return statistics.log_likelihood - expected_log_joint(statistics, state)


class _PosteriorCoordinates:
    """Coordinates of a posterior: those of a mixture whose weights are the shares of the counts."""

    def __init__(self, reference: VariationalPosterior) -> None:
        assert reference.counts is not None, "a posterior made of statistics"
        self._reference = reference
        self._total = float(reference.counts.sum())
        self._inner = Coordinates(reference.mixture_of_counts(), total=self._total)

    def encode(self, state: VariationalPosterior) -> np.ndarray:
        """Return the coordinates of a posterior."""
        return self._inner.encode(state.mixture_of_counts())

    def decode(self, values: np.ndarray, previous: Any = None) -> VariationalPosterior:
        """Return the posterior at `values`."""
        return self._reference.with_counts(self._inner.decode(values), self._total)

    def information(self, state: VariationalPosterior) -> Any:
        """Return the complete-data information at a posterior, of all rows, in whose unit the bound is."""
        return self._inner.information(state.mixture_of_counts())
