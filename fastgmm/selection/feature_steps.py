"""The order in which features are added and removed: clustvarsel's greedy and headlong searches, both ways.

References
----------
Scrucca and Raftery (2018), clustvarsel: A package implementing variable selection for Gaussian model-based clustering
in R, Journal of Statistical Software 84, section 2. Badsberg (1992), Model search in contingency tables by CoCo
(headlong).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastgmm.selection.feature_evidence import FeatureEvidence

__all__ = ["FeatureSteps"]

#: Backward, features are tried again once more than this many are out, as clustvarsel does.
LEFT_OUT = 2


class FeatureSteps:
    """Steps from one set of features to the next.

    Parameters
    ----------
    evidence : FeatureEvidence
    names : list
        What the table calls the features.
    is_headlong : bool
    threshold : float
        Difference above which a feature is in, in nats.
    lower : float
        Headlong: difference below which a feature is not looked at again.

    Attributes
    ----------
    table : dict of list
        A row per step that was proposed.
    """

    def __init__(
        self, evidence: FeatureEvidence, names: list[Any], is_headlong: bool, threshold: float, lower: float
    ) -> None:
        self.evidence, self.names, self.is_headlong = evidence, names, is_headlong
        self.threshold, self.lower = threshold, lower
        self.inside: list[int] = []
        self.outside: list[int] = []
        columns = ("feature", "step", "bic", "covariance_type", "n_components", "bic_difference", "accepted")
        self.table: dict[str, list[Any]] = {column: [] for column in columns}

    def forward(self, max_steps: int) -> list[int]:
        """Return the features selected from none; the two best are taken whatever their evidence."""
        alone = self._alone()
        order = sorted(range(len(alone)), key=lambda j: -alone[j])
        if not np.isfinite(alone[order[0]]):
            raise ValueError(
                "no mixture of two or more components can be fitted to any feature of X; expected columns that vary"
            )
        self.outside = order if self.is_headlong else list(range(len(alone)))
        self._accept_addition(order[0], alone[order[0]])
        if self.outside:
            self._add(is_forced=True)
        return self._alternate([self._add, self._remove], max_steps)

    def backward(self, max_steps: int) -> list[int]:
        """Return the features selected from all."""
        self.inside = list(range(len(self.names)))
        if self.is_headlong:
            alone = self._alone()
            self.inside.sort(key=lambda j: alone[j])
        return self._alternate([self._remove, self._add_again], max_steps)

    def _alone(self) -> list[float]:
        return [self.evidence.difference(j, []) for j in range(len(self.names))]

    def _alternate(self, steps: list[Callable[[], None]], max_steps: int) -> list[int]:
        # A set that comes back would come back for ever.
        seen = {frozenset(self.inside)}
        for _ in range(max_steps):
            before = set(self.inside)
            for step in steps:
                step()
            after = frozenset(self.inside)
            if after == before or after in seen:
                break
            seen.add(after)
        return self.inside

    # Steps.

    def _add_again(self) -> None:
        if len(self.outside) > LEFT_OUT:
            self._add()

    def _add(self, is_forced: bool = False) -> None:
        differences: dict[int, float] = {}
        for j in self.outside:
            differences[j] = self.evidence.difference(j, self.inside)
            if self.is_headlong and differences[j] > self.threshold:
                break
        if not differences:
            return
        best = max(differences, key=lambda j: differences[j])
        if self.is_headlong:
            self.outside = [j for j in self.outside if j == best or not differences.get(j, np.inf) < self.lower]
        if differences[best] > self.threshold or (is_forced and np.isfinite(differences[best])):
            self._accept_addition(best, differences[best])
            return
        self._note("add", best, [*self.inside, best], differences[best], False)
        if self.is_headlong and differences[best] < self.lower:
            self.outside.remove(best)

    def _accept_addition(self, feature: int, difference: float) -> None:
        self.inside = [*self.inside, feature]
        self.outside = [j for j in self.outside if j != feature]
        self._note("add", feature, self.inside, difference, True)

    def _remove(self) -> None:
        if len(self.inside) < 2:
            return
        differences: dict[int, float] = {}
        for j in self.inside:
            differences[j] = self.evidence.difference(j, self._without(j))
            if self.is_headlong and differences[j] <= self.threshold:
                break
        worst = min(differences, key=lambda j: differences[j])
        is_accepted = differences[worst] <= self.threshold
        fewer = self._without(worst)
        self._note("remove", worst, fewer, differences[worst], is_accepted)
        if is_accepted:
            self.inside = fewer
            if not (self.is_headlong and differences[worst] < self.lower):
                self.outside = [*self.outside, worst]

    def _without(self, feature: int) -> list[int]:
        return [j for j in self.inside if j != feature]

    def _note(self, step: str, feature: int, features: list[int], difference: float, is_accepted: bool) -> None:
        model = self.evidence.clustering(features)
        structure, size = model.covariance_type, model.n_components
        row = (self.names[feature], step, model.bic, structure, size, float(difference), bool(is_accepted))
        for column, value in zip(self.table.values(), row, strict=True):
            column.append(value)
