"""Other numbers of components for a part of a mixture, fitted to the rows of that part alone.

The memberships of all other components stay as they are, and the rows of a group of components are shared among others
in their place. What that does to the bound on the evidence is known without a pass over the other rows: statistics add
up, and so does the entropy of memberships. So a split or a merger is worth trying on all rows only where its own rows
say so.

References
----------
Hughes and Sudderth (2013), Memoized online variational inference for Dirichlet process mixture models, NIPS 26,
sections 3.2 and 4 (births on the rows of one component; mergers scored from statistics).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastgmm import kernels
from fastgmm.data import ArrayRows
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.families.variational import OpenVariational, entropy_of_memberships
from fastgmm.model import SufficientStatistics
from fastgmm.model.evidence import evidence_lower_bound
from fastgmm.model.moments import components_of, pooled_moments
from fastgmm.model.variational import VariationalPosterior
from fastgmm.starts.kmeans import kmeans

__all__ = ["LocalFits", "Proposal", "spliced"]

#: Rows that belong to a group by less are left out of its fits, on both sides of the comparison.
LEAST_SHARE = 1e-3
#: Passes over a group's rows, how many of them go by between two looks at their bound, and the rise between these that
#: ends them, in nats.
LOCAL_PASSES, LOOK_EVERY, LOCAL_TOL = 30, 3, 0.1
#: Rises of the bound like the last one that a fit may need to come up with what is there; one that needs more is left.
AHEAD = 3.0


@dataclass(frozen=True)
class Proposal:
    """Components in place of others.

    Attributes
    ----------
    kind : str
        'split', 'merge', 'delete' or 'refit'.
    group : tuple of int
        The components whose place they take.
    before, after : SufficientStatistics
        Of the group's rows.
    gain : float
        What the bound rises by if nothing else moves, in nats.
    """

    kind: str
    group: tuple[int, ...]
    before: SufficientStatistics
    after: SufficientStatistics
    gain: float


def spliced(whole: SufficientStatistics, proposals: list[Proposal]) -> SufficientStatistics:
    """Return the statistics in which the components of proposals stand in place of those of their groups.

    Groups do not overlap. A scatter that all components share loses that of the groups and gains the others'.
    """
    gone = [k for proposal in proposals for k in proposal.group]
    kept = np.setdiff1d(np.arange(len(whole.counts)), gone)
    parts = [proposal.after for proposal in proposals]
    if whole.shape.is_shared:
        scatter = whole.scatter + sum(proposal.after.scatter - proposal.before.scatter for proposal in proposals)
    else:
        scatter = np.concatenate([whole.scatter[kept], *(part.scatter for part in parts)])
    centres, counts, sums = (
        np.concatenate([getattr(whole, name)[kept], *(getattr(part, name) for part in parts)])
        for name in ("centres", "counts", "sums")
    )
    return SufficientStatistics(whole.structure, centres, counts, sums, scatter)


class LocalFits:
    """Fits to the rows of few components of a state.

    Parameters
    ----------
    rows : ArrayRows
        All, or a sample of them.
    standardised : ndarray of shape (n_samples, n_features), float64
        The same rows in units that do not depend on those of the features: where groups of rows are sought.
    scale : float
        Rows that a row stands for.
    family : OpenVariational
    state : VariationalPosterior
    statistics : SufficientStatistics
        Of a pass over all rows under `state`.
    """

    def __init__(
        self,
        rows: ArrayRows,
        standardised: np.ndarray,
        scale: float,
        family: OpenVariational,
        state: VariationalPosterior,
        statistics: SufficientStatistics,
    ) -> None:
        self.rows, self.standardised, self.scale, self.family = rows, standardised, scale, family
        self.state, self.statistics = state, statistics
        shares = np.empty((rows.n_samples, state.n_components), dtype=rows.X.dtype)
        self.shares = kernels.responsibilities(rows.X, state, shares)
        # The fit to a sample gains about this much per component by the chance of which rows were drawn.
        d = rows.n_features
        numbers = d + (d * (d + 1) // 2 if state.shape.is_matrix else d) + 1
        self.chance = (scale - 1.0) * numbers

    def of(self, group: tuple[int, ...]) -> _Group:
        """Return the rows of a group of components."""
        return _Group(self, group)


class _Group:
    def __init__(self, local: LocalFits, group: tuple[int, ...]) -> None:
        self.local, self.group = local, group
        rows = local.rows
        weight = local.shares[:, list(group)].sum(axis=1, dtype=np.float64)
        self.chosen = np.flatnonzero(weight > LEAST_SHARE)
        weight = weight[self.chosen] * local.scale
        if rows.sample_weight is not None:
            weight *= rows.sample_weight[self.chosen]
        present = weight > 0.0
        self.chosen, self.weight = self.chosen[present], weight[present]
        self.rows = ArrayRows(np.ascontiguousarray(rows.X[self.chosen]), self.weight)
        self.before, self.entropy = self._memberships(components_of(local.state, np.array(group)))
        self.bound = self._bound(self.before, 0.0)
        #: Of these rows by themselves.
        self.own_bound = self._own_bound(self.before, self.entropy)

    def _memberships(self, density):
        statistics = self.rows.accumulate(density)
        return statistics, entropy_of_memberships(statistics, density)

    def _bound(self, after: SufficientStatistics, entropy: float) -> float:
        """Return the bound of all with `after` in place of the group, less what stays the same."""
        whole = spliced(self.local.statistics, [Proposal("", self.group, self.before, after, 0.0)])
        family = self.local.family
        return evidence_lower_bound(family.posterior(whole, entropy), family.reg_covar)

    def _own_bound(self, statistics: SufficientStatistics, entropy: float) -> float:
        family = self.local.family
        return evidence_lower_bound(family.posterior(statistics, entropy), family.reg_covar)

    def _fitted(self, state: VariationalPosterior, at_any_cost: bool) -> tuple[SufficientStatistics, float] | None:
        """Return the memberships that passes lead to, with their entropy; None where they cannot catch up in time."""
        family, last = self.local.family, -np.inf
        if state.n_components == 1:
            return self._memberships(state)
        for i in range(LOOK_EVERY, LOCAL_PASSES + 1, LOOK_EVERY):
            for _ in range(LOOK_EVERY - 1):
                state = family.posterior(self.rows.accumulate(state), np.nan)
            after, entropy = self._memberships(state)
            state = family.posterior(after, entropy)
            bound = evidence_lower_bound(state, family.reg_covar)
            change, last = bound - last, bound
            if change < LOCAL_TOL:
                break
            if not at_any_cost and i > LOOK_EVERY and bound + AHEAD * change < self.own_bound:
                return None
        return after, entropy

    def proposal(self, kind: str, start: SufficientStatistics, at_any_cost: bool = False) -> Proposal | None:
        """Return what a few passes over the group's rows lead to from statistics of first memberships.

        Parameters
        ----------
        kind : str
        start : SufficientStatistics

        Returns
        -------
        Proposal or None
            None where it leads nowhere.
        """
        family = self.local.family
        try:
            fitted = self._fitted(family.first(start), at_any_cost)
            if fitted is None:
                return None
            after, entropy = fitted
            gain = self._bound(after, entropy - self.entropy) - self.bound
        except (ComponentCollapseError, np.linalg.LinAlgError):
            return None
        gain -= self.local.chance * max(0, len(after.counts) - len(self.group))
        return Proposal(kind, self.group, self.before, after, gain) if np.isfinite(gain) else None

    def from_labels(self, labels: np.ndarray, n_components: int) -> SufficientStatistics:
        """Return the statistics of hard memberships."""
        centres = np.zeros((n_components, self.rows.n_features))
        for k in range(n_components):
            mine = labels == k
            if mine.any():
                centres[k] = np.average(self.rows.X[mine], axis=0, weights=self.weight[mine])
        return self.rows.accumulate_labels(labels, self.before.structure, centres)

    def labels(self, n_components: int, random_state: np.random.RandomState, whitened: bool) -> np.ndarray:
        """Return rows grouped by k-means, in standard units or in those of the group's own covariance."""
        X = self.local.standardised[self.chosen]
        if whitened:
            _, covariance = pooled_moments(self.before)
            values, axes = np.linalg.eigh(covariance + self.local.family.reg_covar * np.eye(len(covariance)))
            raw = self.rows.X - np.average(self.rows.X, axis=0, weights=self.weight)
            X = raw @ (axes / np.sqrt(np.maximum(values, 1e-12 * values[-1] + 1e-300)))
        found = ArrayRows(np.ascontiguousarray(X, dtype=np.float64), self.weight)
        return kmeans(found, n_components, random_state)[1]

    def halves(self) -> np.ndarray:
        """Return rows labelled by the side of their mean they lie on along the longest axis in standard units."""
        X, weight = self.local.standardised[self.chosen], self.weight
        X = X - np.average(X, axis=0, weights=weight)
        axis = np.linalg.eigh((X * weight[:, None]).T @ X)[1][:, -1]
        return (X @ axis > 0).astype(np.int64)
