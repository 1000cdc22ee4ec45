"""A family beside an even background: rows of no component."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastgmm.families.base import Family
from fastgmm.model import MixtureParameters, Shape, SufficientStatistics
from fastgmm.model.noise import Box, MixtureWithNoise

__all__ = ["BACKGROUND_ATTRIBUTES", "WithBackground", "beside_background"]

#: Fitted attributes that a family has only beside a background.
BACKGROUND_ATTRIBUTES = ("noise_weight_", "noise_box_")


@dataclass(frozen=True)
class WithBackground(Family):
    """The components of another family and, last, a background that is even over a box; it takes a weight alone.

    Attributes
    ----------
    components : Family
        Whose states are `MixtureParameters`.
    box : Box
    share : float
        Of the weight, that the background starts with.
    """

    components: Family
    box: Box
    share: float = 0.0

    @property
    def has_tails(self) -> bool:  # type: ignore[override]
        """Whether far rows count little in the components."""
        return self.components.has_tails

    @property
    def shape(self) -> Shape:
        """Which scatter the components' M-step takes."""
        return self.components.shape

    def first(self, statistics: SufficientStatistics) -> MixtureWithNoise:
        """Return the components of the first memberships and the background, which starts with its share."""
        return self.beside(self.components.first(statistics), self.share)

    def begin(self, mixture: MixtureParameters) -> MixtureWithNoise:
        """Return the start of the components and the background, which starts with its share."""
        return self.beside(self.components.begin(mixture), self.share)

    def resume(self, state: MixtureWithNoise) -> MixtureWithNoise:
        """Return the state with the components that they go on from."""
        return replace(state, mixture=self.components.resume(state.mixture))

    def density(self, state: MixtureWithNoise) -> MixtureWithNoise:
        """Return the components and the background as the kernels read them."""
        read = self.components.density(state.mixture)
        return state if read is state.mixture else replace(state, mixture=read)

    def fitted(self, state: MixtureWithNoise) -> WithBackground:
        """Return the family with what an M-step chose for the state given."""
        return replace(self, components=self.components.fitted(state.mixture))

    def beside(self, mixture: MixtureParameters, share: float) -> MixtureWithNoise:
        """Return the mixture and a background of weight `share`."""
        return MixtureWithNoise(replace(mixture, weights=mixture.weights * (1.0 - share)), share, self.box)

    def maximise(self, statistics: SufficientStatistics, state: MixtureWithNoise) -> MixtureWithNoise:
        """Return the M-step: that of the components on their statistics, and the background's new weight."""
        own = statistics.take(slice(0, -1)).tied_as(self.shape)
        share = float(statistics.counts[-1] / statistics.counts.sum())
        return self.beside(self.components.maximise(own, state.mixture), share)

    def n_parameters(self, n_components: int, n_features: int) -> float:
        """Return the number of free parameters: the background has its weight and its volume."""
        return self.components.n_parameters(n_components, n_features) + 2

    def is_spurious(self, state: MixtureWithNoise, total_weight: float) -> bool:
        """Return whether a component is a singularity."""
        return self.components.is_spurious(state.mixture, total_weight)

    def attributes(self, state: MixtureWithNoise, dtype: np.dtype) -> dict[str, Any]:
        """Return those of the components, and the background's weight and box."""
        own = {"noise_weight_": state.noise_weight, "noise_box_": self.box}
        return {**self.components.attributes(state.mixture, dtype), **own}

    def state(self, attributes: Mapping[str, Any]) -> MixtureWithNoise:
        """Return the mixture and the background that fitted attributes describe."""
        return MixtureWithNoise(self.components.state(attributes), float(attributes["noise_weight_"]), self.box)


def beside_background(family: Family, attributes: Mapping[str, Any]) -> Family:
    """Return the family, beside a background where the fitted attributes have one."""
    box = attributes.get("noise_box_")
    return family if box is None else WithBackground(family, box)
