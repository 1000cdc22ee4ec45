"""The density that a mixture leaves on some of its features, and what rows of these say of the others.

With o the features observed and m those that are not, a component with offset ``a``, mean ``c`` and covariance ``S``
leaves on o what ``exp(a - 0.5 |(x - c) U|^2)`` comes to when x_m is integrated out: the mean ``c_o``, the covariance
``S_oo``, and the offset ``a + 0.5 n_m log 2 pi + log det U_oo - log det U``. That holds whatever the offset: for
weights estimated by maximum likelihood, under a prior, and for the expectations of a posterior. The rows' expected
sums and scatter follow from those of x_o, their scatter T and their count n::

    x_m = c_m + G (x_o - c_o),  G = S_mo S_oo^-1;      scatter = B T B^T + n C,  B = [I; G],  C = S_mm - G S_om

so what an M-step reads is complete.

References
----------
Ghahramani and Jordan, "Supervised learning from incomplete data via an EM approach", NIPS 6 (1994), section 2. Liu and
Rubin, "ML estimation of the t distribution using EM and its extensions", Statistica Sinica 5 (1995) (of t components).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import digamma

from fastgmm import kernels
from fastgmm.model.parameters import LOG_2PI
from fastgmm.model.statistics import SufficientStatistics
from fastgmm.model.student import log_gamma_ratio

__all__ = ["Marginal", "Marginals"]


@dataclass(frozen=True)
class Marginal:
    """What a mixture leaves on the features observed, and the regression of the others on them.

    Attributes
    ----------
    observed, missing : ndarray of int64
    density : BoundMixture
        On the features observed.
    regression : ndarray or None
    conditional : ndarray
        Both as `Shape.condition` returns them, of the components without a background.
    """

    observed: np.ndarray
    missing: np.ndarray
    density: Any
    regression: np.ndarray | None
    conditional: np.ndarray


class Marginals:
    """The marginals of one density: what they have in common is computed once.

    Parameters
    ----------
    density : object with what the kernels read
        A mixture, one beside a background, a posterior, or some of its components.
    box : Box or None
        Where a background lies, which is component `background`.
    background : int or None
    """

    def __init__(self, density: Any, box: Any = None, background: int | None = None) -> None:
        self.density, self.shape = density, density.shape
        self.n_components, self.n_features = density.means.shape
        self.box, self.background = box, background
        keep = np.arange(self.n_components)
        self._own: Any = slice(None) if background is None else np.delete(keep, background)
        self.tail: Any = getattr(density, "tail", None)

    @cached_property
    def covariances(self) -> np.ndarray:
        """Of the components without the background."""
        mixture = getattr(self.density, "mixture", self.density)
        found = getattr(mixture, "covariances", None)
        if found is not None:
            return found if self.background is None else mixture.shape.untie(found, mixture.n_components)
        return self.shape.covariances_of(self.shape.take(self.density.precisions_cholesky, self._own))

    @cached_property
    def _half_log_det(self) -> np.ndarray:
        factor = self.shape.take(self.density.precisions_cholesky, self._own)
        return self.shape.half_log_det(factor, len(self.means), self.n_features)

    @cached_property
    def means(self) -> np.ndarray:
        """Of the components without the background."""
        return self.density.means[self._own]

    @property
    def log_weights(self) -> np.ndarray:
        """What offsets have beside the normaliser of a Gaussian density, of the components without the background."""
        return self.density.log_offset[self._own] - self._half_log_det + 0.5 * self.n_features * LOG_2PI

    def log_offsets(self, n_observed: np.ndarray, half_log_det: np.ndarray) -> np.ndarray:
        """Return the offsets of the components without the background, for numbers of features observed.

        Parameters
        ----------
        n_observed : ndarray of int, shape (...)
        half_log_det : ndarray of shape (..., n_components)
            Of the precisions of the features observed.
        """
        n_missing = (self.n_features - np.asarray(n_observed))[..., None]
        offset = self.density.log_offset[self._own] + half_log_det - self._half_log_det + 0.5 * n_missing * LOG_2PI
        if self.tail is None:
            return offset
        return offset + self._tail_terms[n_observed] - self._tail_terms[self.n_features]

    @cached_property
    def _tail_terms(self) -> np.ndarray:
        """What a tail adds to the offset on n features, for all n from 0 on, (n_features + 1, n_components)."""
        half = 0.5 * self.tail.degrees_of_freedom[self._own]
        return np.stack([log_gamma_ratio(half, 0.5 * n) for n in range(self.n_features + 1)])

    @property
    def tail_terms(self) -> tuple[np.ndarray, np.ndarray]:
        """Degrees of freedom, and what offsets and log u have with so many features, but for determinants.

        Of the components without the background: (n_components,) and (2, n_components, n_features + 1).
        """
        every = np.arange(self.n_features + 1)
        offsets = self.log_offsets(every, np.zeros((len(every), len(self.means))))
        terms = (self._log_term(every) - self._log_term(np.array(self.n_features)))[:, self._own]
        dof = np.ascontiguousarray(self.tail.degrees_of_freedom[self._own])
        return dof, np.ascontiguousarray(np.stack([offsets, terms]).transpose(0, 2, 1))

    def background_offsets(self, masks: np.ndarray) -> np.ndarray:
        """Return the offset of the background on the features that each of some masks observes."""
        spans = np.log(self.box.spans)
        return self.density.log_offset[self.background] + self.box.log_volume - masks @ spans

    def background_offset(self, mask: np.ndarray) -> float:
        """Return the offset of the background on the features that `mask` observes."""
        volume = self.box.log_volume
        return float(self.density.log_offset[self.background] + volume - self.box.log_volume_along(mask))

    def of(self, mask: np.ndarray) -> Marginal:
        """Return the marginal of the features that a mask of shape (n_features,) observes: one at least, not all."""
        observed, missing = np.flatnonzero(mask), np.flatnonzero(~mask)
        factor, regression, conditional = self.shape.condition(self.covariances, observed, missing)
        half_log_det = self.shape.half_log_det(factor, len(self.means), len(observed))
        log_offset = self.log_offsets(np.array(len(observed)), half_log_det)
        if self.background is not None:
            log_offset = np.insert(log_offset, self.background, self.background_offset(mask))
            factor = np.insert(factor, self.background, 0.0, axis=0)
        means = np.ascontiguousarray(self.density.means[:, observed])
        density = kernels.BoundMixture(self.shape.name, log_offset, means, factor, self.tail)
        return Marginal(observed, missing, density, regression, conditional)

    def add_completed(self, part: SufficientStatistics, marginal: Marginal, statistics: SufficientStatistics) -> None:
        """Add the statistics of rows of some features, completed, to those of all features, in place."""
        own, observed, missing = self._own, marginal.observed, marginal.missing
        statistics.counts += part.counts
        statistics.sums[:, observed] += part.sums
        scatter = self.shape.take(part.scatter, own)
        if marginal.regression is not None:
            sums = part.sums[own]
            statistics.sums[np.ix_(self.own_index, missing)] += (marginal.regression @ sums[..., None])[..., 0]
        target = statistics.scatter if self.background is None else statistics.scatter[own]
        self.shape.add_completed(
            target, scatter, part.counts[own], observed, missing, marginal.regression, marginal.conditional
        )
        if self.background is not None:
            statistics.scatter[own] = target
        self.add_tail_sums(part.counts, part.tail_sums, np.array(len(observed)), statistics)

    def add_tail_sums(
        self, counts: np.ndarray, tail_sums: np.ndarray | None, n_observed: np.ndarray, statistics: SufficientStatistics
    ) -> None:
        """Add what a tail wants of rows with `n_observed` features to what it wants of rows with all of them."""
        if tail_sums is None or statistics.tail_sums is None:
            return
        statistics.tail_sums += tail_sums
        # The expected log of u is log u and a term in the number of features, which the M-step takes to be all.
        statistics.tail_sums[1] += counts * (self._log_term(n_observed) - self._log_term(np.array(self.n_features)))

    def _log_term(self, n_observed: np.ndarray) -> np.ndarray:
        half = 0.5 * (self.tail.degrees_of_freedom + n_observed[..., None])
        return digamma(half) - np.log(half)

    @property
    def own_index(self) -> np.ndarray:
        """Numbers of the components without the background."""
        return np.arange(self.n_components)[self._own]

    def take(self, chosen: Any, density: Any) -> Marginals:
        """Return the marginals of the components `chosen`, which are `density` by themselves."""
        if self.background is None:
            return Marginals(density)
        at = np.flatnonzero(np.arange(self.n_components)[chosen] == self.background)
        return Marginals(density, self.box, int(at[0])) if len(at) else Marginals(density)
