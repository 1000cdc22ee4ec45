"""One mixture per class: covariances shared across classes or not, class priors given or learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastgmm.families.base import Family
from fastgmm.families.gaussian import Gaussian, covariance_attributes
from fastgmm.families.student import Student, with_tails
from fastgmm.model import MixtureParameters, Shape, SufficientStatistics
from fastgmm.model.shapes import low_rank
from fastgmm.model.shapes.low_rank import packed, unpacked
from fastgmm.model.student import StudentParameters

__all__ = ["ClassMixtures"]


@dataclass(frozen=True)
class ClassMixtures(Family):
    """How the components of all classes hang together.

    Attributes
    ----------
    gaussian : Gaussian
        The family of all components, or of those of each class.
    blocks : tuple of slice
        Components of each class, in order.
    shared : bool
        Whether the covariance family ties the covariances of all classes together, or those of each class apart.
    priors : ndarray of shape (n_classes,), or None
        Given class probabilities; None for learnt ones.
    shrinkage : float
        Rows of the covariance within components, pooled over all, that are added to each component's own.
    df : {'free'} or None
        Degrees of freedom of t components; None for normal ones.
    """

    gaussian: Gaussian
    blocks: tuple[slice, ...]
    shared: bool = True
    priors: np.ndarray | None = None
    shrinkage: float = 0.0
    df: Any = None

    @property
    def components(self) -> Gaussian | Student:
        """The family of all components, or of those of each class, with their tails."""
        return self.gaussian if self.df is None else Student(self.gaussian, self.df)

    @property
    def has_tails(self) -> bool:  # type: ignore[override]
        """Whether the components are t components."""
        return self.df is not None

    @property
    def is_accelerated(self) -> bool:  # type: ignore[override]
        """Whether M-steps are those of one mixture."""
        return self.shared and self.priors is None and not self.shrinkage and self.components.is_accelerated

    @property
    def is_closed_form(self) -> bool:  # type: ignore[override]
        """Whether the M-step takes a few operations per parameter."""
        return self.components.is_closed_form

    def coordinates(self, state: MixtureParameters) -> Any:
        """Return coordinates about the mixture of all classes."""
        return self.components.coordinates(state)  # type: ignore[arg-type]

    @property
    def n_components(self) -> int:
        """Number of components of all classes."""
        return self.blocks[-1].stop

    @property
    def shape(self) -> Shape:
        """The shape of all classes together: one shared matrix per class is not one shared matrix."""
        return self.gaussian.shape if self.shared else self.gaussian.shape.per_component

    def n_parameters(self, n_components: int, n_features: int) -> float:
        """Return the number of free parameters."""
        covariance = self.gaussian.covariance
        if self.shared:
            covariances = covariance.n_parameters(self.n_components, n_features)
        else:
            covariances = sum(_of_class(covariance, b).n_parameters(b.stop - b.start, n_features) for b in self.blocks)
        weights = self.n_components - (1 if self.priors is None else len(self.blocks))
        dof = 0 if self.df is None else self.n_components
        return covariances + self.n_components * n_features + weights + dof

    def begin(self, mixture: MixtureParameters) -> MixtureParameters:
        """Return the state that a run starts from where its start is a Gaussian mixture of all classes."""
        return self.components.begin(replace(mixture, weights=self._weights(mixture.weights)))

    def density(self, state: MixtureParameters) -> Any:
        """Return what the kernels read."""
        return self.components.density(state)  # type: ignore[arg-type]

    def fitted(self, state: MixtureParameters) -> ClassMixtures:
        """Return the family with what an M-step chose for the state given."""
        return replace(self, gaussian=self.gaussian.fitted(state))

    def maximise(self, statistics: SufficientStatistics, state: MixtureParameters | None) -> MixtureParameters:
        """Return the most likely parameters given the statistics.

        Raises what `Gaussian.maximise` does; a component is numbered among those of all classes where the covariances
        are shared, within its class where they are not.
        """
        counts = statistics.counts + self.gaussian.count_floor
        weights = self._weights(counts)
        if self.shrinkage and not self.shape.is_shared:
            statistics = _with_pooled_rows(statistics, counts, self.shrinkage)
        if self.shared:
            return replace(self.components.maximise(statistics, state), weights=weights)  # type: ignore[arg-type]
        own = self.gaussian.shape
        parts = [
            self.components.maximise(
                statistics.take(block).tied_as(own),
                None if state is None else _components(state, block, own),  # type: ignore[arg-type]
            )
            for block in self.blocks
        ]
        if parts[0].shape.n_factors is not None:
            parts = _alike(parts)
        mixture = MixtureParameters(
            self.shape.name if parts[0].shape.n_factors is None else parts[0].structure,
            weights,
            np.concatenate([part.means for part in parts]),
            np.concatenate([_each(own, part.covariances, part.n_components) for part in parts]),
            np.concatenate([_each(own, part.precisions_cholesky, part.n_components) for part in parts]),
        )
        dof = [part.degrees_of_freedom for part in parts if isinstance(part, StudentParameters)]
        return StudentParameters.of(mixture, np.concatenate(dof)) if dof else mixture

    def _weights(self, counts: np.ndarray) -> np.ndarray:
        if self.priors is None:
            return counts / counts.sum()
        of_class = np.concatenate([np.full(b.stop - b.start, counts[b].sum()) for b in self.blocks])
        prior = np.concatenate([np.full(b.stop - b.start, p) for b, p in zip(self.blocks, self.priors, strict=True)])
        return counts / of_class * prior

    def attributes(self, state: MixtureParameters, dtype: np.dtype) -> dict[str, Any]:
        """Return the parameters of all components, and the probabilities of the classes."""
        own = _covariances(state)
        if isinstance(state, StudentParameters):
            own = with_tails(own, state, np.dtype(np.float64))
        return {
            "weights_": state.weights,
            "means_": state.means,
            **own,
            "priors_": np.array([state.weights[block].sum() for block in self.blocks]),
            "_kernel": self.shape.name,
        }

    def state(self, attributes: Mapping[str, Any]) -> MixtureParameters:
        """Return the mixture of all classes that fitted attributes describe."""
        gaussian = replace(self.gaussian, covariance=replace(self.gaussian.covariance, shape=self.shape))
        return replace(self, gaussian=gaussian).components.state(attributes)


def _of_class(covariance: Any, block: slice) -> Any:
    """Return a covariance family with the numbers of factors of the components of a class, where each has its own."""
    if np.ndim(getattr(covariance, "n_factors", 0)) == 0:
        return covariance
    return covariance.with_factors(np.asarray(covariance.n_factors)[block])


def _covariances(state: MixtureParameters) -> dict[str, Any]:
    if state.shape.n_factors is not None:
        return covariance_attributes(state, np.dtype(np.float64))
    return {"covariances_": state.covariances, "precisions_cholesky_": state.precisions_cholesky}


def _alike(parts: list[MixtureParameters]) -> list[MixtureParameters]:
    """Return mixtures with loadings of as many columns as the one with the most factors has."""
    most = max(part.covariances.shape[-1] for part in parts)
    shape = low_rank(most - 1)

    def widened(matrices: np.ndarray) -> np.ndarray:
        loadings, noise = unpacked(matrices)
        return packed(np.pad(loadings, [(0, 0), (0, 0), (0, most - matrices.shape[-1])]), noise)

    return [
        replace(
            part,
            structure=shape.name,
            covariances=widened(part.covariances),
            precisions_cholesky=widened(part.precisions_cholesky),
        )
        for part in parts
    ]


def _each(shape: Shape, matrices: np.ndarray, n_components: int) -> np.ndarray:
    return np.ascontiguousarray(shape.untie(matrices, n_components))


def _components(state: MixtureParameters, block: slice, own: Shape) -> MixtureParameters:
    # A covariance of the class's own is one for all its components.
    chosen = block.start if own.is_shared else block
    mixture = MixtureParameters(
        own.name if own.is_shared else state.structure,
        state.weights[block],
        state.means[block],
        state.shape.take(state.covariances, chosen),
        state.shape.take(state.precisions_cholesky, chosen),
    )
    if isinstance(state, StudentParameters):
        return StudentParameters.of(mixture, state.degrees_of_freedom[block])
    return mixture


def _with_pooled_rows(statistics: SufficientStatistics, counts: np.ndarray, n_rows: float) -> SufficientStatistics:
    """Return statistics with `n_rows` more rows per component, spread as the rows of all about their own means."""
    own = statistics.about(statistics.centres + statistics.sums / counts[:, None])
    pooled = own.scatter.sum(axis=0) / counts.sum()
    own.sums[:] = 0.0
    return SufficientStatistics(
        own.structure, own.centres, own.counts + n_rows, own.sums, own.scatter + n_rows * pooled
    )
