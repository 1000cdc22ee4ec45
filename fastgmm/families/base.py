"""What a run of EM asks of a family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from fastgmm.model import MixtureParameters, Shape, SufficientStatistics

__all__ = ["Family"]


class Family(ABC):
    """A kind of mixture, with everything that its M-step needs: a frozen value.

    A *state* is what an M-step makes: parameters, or a posterior of them. The statistics of a pass come with the
    scatter of `shape`.
    """

    #: ``bound(statistics, state) -> float`` of the state an M-step made of the statistics, in nats; None is the pass's
    #: own log-likelihood, of the state before the M-step, per unit of weight.
    bound: ClassVar[Callable[..., float] | None] = None
    #: Whether the M-step takes a few operations per parameter, so that a proposal of the accelerator costs beside it.
    is_closed_form: bool = True
    #: Whether states have coordinates, in which a run can be accelerated.
    is_accelerated: bool = False

    #: Whether statistics under one state add to those under another; if not, what a stream has learned is its state.
    keeps_statistics: bool = True

    #: Whether far rows count little, so that a start may leave them aside.
    has_tails: bool = False

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """Which scatter the M-step takes."""

    def first(self, statistics: SufficientStatistics) -> Any:
        """Return the state that statistics of first memberships make."""
        return self.maximise(statistics, None)

    def begin(self, mixture: MixtureParameters) -> Any:
        """Return the state that a run starts from where its start is a Gaussian mixture."""
        return mixture

    def resume(self, state: Any) -> Any:
        """Return the state that a run goes on from where it continues a fitted one."""
        return state

    @abstractmethod
    def maximise(self, statistics: SufficientStatistics, state: Any) -> Any:
        """Return the state after an M-step on the statistics of a pass under `state`; None where there was none.

        Raises
        ------
        ComponentCollapseError
            If there is none.
        """

    def density(self, state: Any) -> Any:
        """Return the density of a state: what the kernels read, and what is asked about rows."""
        return state

    def accelerates(self, state: Any) -> bool:
        """Return whether a run from a state is accelerated, where the family has coordinates."""
        return self.is_accelerated

    def coordinates(self, state: Any) -> Any:
        """Return coordinates about a state, in which steps between states are extrapolated."""
        raise NotImplementedError(f"{type(self).__name__} has no coordinates; it is not accelerated")

    def n_parameters(self, n_components: int, n_features: int) -> float:
        """Return the number of free parameters."""
        raise NotImplementedError(f"{type(self).__name__} is not judged by its number of parameters")

    def fitted(self, state: Any) -> Family:
        """Return the family with what an M-step chose for the state, such as numbers of factors, given."""
        return self

    def is_spurious(self, state: Any, total_weight: float) -> bool:
        """Return whether a state is a singularity of the likelihood rather than an estimate."""
        return False

    @abstractmethod
    def attributes(self, state: Any, dtype: np.dtype) -> dict[str, Any]:
        """Return the fitted attributes that describe a state, arrays in `dtype`."""

    @abstractmethod
    def state(self, attributes: Mapping[str, Any]) -> Any:
        """Return the state that fitted attributes describe, in float64."""

    def statistics_of(self, state: Any, weight: float) -> SufficientStatistics:
        """Return statistics, worth `weight` rows, whose M-step gives this state."""
        raise NotImplementedError(f"{type(self).__name__} cannot be taken for what a stream has learned")
