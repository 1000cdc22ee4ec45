"""A background component: rows spread evenly over the data's volume, beside the Gaussian components.

Its density is one over a fixed volume, and to the kernels it is a Gaussian whose precision factor is zero: its squared
distances vanish and its log offset is all there is. So noise needs no kernel of its own.

References
----------
Banfield and Raftery (1993), Model-based Gaussian and non-Gaussian clustering, Biometrics 49, section 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fastgmm.model.parameters import MixtureParameters
from fastgmm.model.statistics import SufficientStatistics

__all__ = ["Box", "MixtureWithNoise", "enclosing_box", "maximise_with_noise"]


@dataclass(frozen=True)
class Box:
    """A box in the data's space.

    Attributes
    ----------
    axes : ndarray of shape (n_features, n_features)
        Orthonormal columns.
    low, high : ndarray of shape (n_features,)
        Bounds along the axes.
    """

    axes: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def log_volume(self) -> float:
        """Log of the volume, in nats."""
        return float(np.log(self.high - self.low).sum())

    def sample(self, n_samples: int, random_state: np.random.RandomState) -> np.ndarray:
        """Return rows drawn evenly from the box, shape (n_samples, n_features)."""
        inside = random_state.uniform(size=(n_samples, len(self.low)))
        return (self.low + inside * (self.high - self.low)) @ self.axes.T


def enclosing_box(X: np.ndarray) -> Box:
    """Return the smaller of two boxes around the rows: along the features, or along the principal axes.

    Raises
    ------
    ValueError
        If the rows have no volume.
    """
    X = np.asarray(X, dtype=np.float64)
    centred = X - X.mean(axis=0)
    features, principal = (_box_along(X, axes) for axes in (np.eye(X.shape[1]), _principal_axes(centred)))
    spans = features.high - features.low
    # A collinear feature shows as rounding errors along the principal axes, once all features have one unit.
    scaled = centred / spans if spans.min() > 0 else centred
    if spans.min() <= 0 or _is_flat(_box_along(scaled, _principal_axes(scaled))):
        raise ValueError(
            "noise is spread over the volume of X, and X has none: a feature is constant or a combination of others; "
            "remove it, or use noise=None"
        )
    # In units that differ by as many digits as there are, the spans along the principal axes are rounding errors too.
    boxes = [features] if _is_flat(principal) else [features, principal]
    return min(boxes, key=lambda box: box.log_volume)


def _principal_axes(centred: np.ndarray) -> np.ndarray:
    return np.linalg.eigh(centred.T @ centred)[1]


def _box_along(X: np.ndarray, axes: np.ndarray) -> Box:
    along = X @ axes
    return Box(axes, along.min(axis=0), along.max(axis=0))


def _is_flat(box: Box) -> bool:
    spans = box.high - box.low
    return bool(spans.min() <= 1e-13 * spans.max())


@dataclass(frozen=True)
class MixtureWithNoise:
    """Gaussian components and, last, the background; read by the kernels like `MixtureParameters`.

    Attributes
    ----------
    gaussian : MixtureParameters
        Weights sum to ``1 - noise_weight``.
    noise_weight : float
    log_volume : float
        The background's density is ``exp(-log_volume)``.
    """

    gaussian: MixtureParameters
    noise_weight: float
    log_volume: float

    @property
    def structure(self) -> str:
        """Kernel structure; a tied factor cannot vanish for one component, so tied becomes full."""
        return "full" if self.gaussian.structure == "tied" else self.gaussian.structure

    @property
    def n_components(self) -> int:
        """Number of components, the background included."""
        return self.gaussian.n_components + 1

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.gaussian.n_features

    @cached_property
    def means(self) -> np.ndarray:
        """Means, and a centre for the sums about the background that nobody reads."""
        return np.vstack([self.gaussian.means, self.gaussian.means.mean(axis=0)])

    @cached_property
    def precisions_cholesky(self) -> np.ndarray:
        """Precision factors in the kernel's shape, zero for the background."""
        factor = self.gaussian.precisions_cholesky
        if self.gaussian.structure == "tied":
            factor = np.broadcast_to(factor, (self.gaussian.n_components, *factor.shape))
        return np.ascontiguousarray(np.concatenate([factor, np.zeros((1, *factor.shape[1:]))]))

    @cached_property
    def log_offset(self) -> np.ndarray:
        """Log weight plus log normaliser of each component, in nats."""
        with np.errstate(divide="ignore"):
            return np.append(self.gaussian.log_offset, np.log(self.noise_weight) - self.log_volume)


def maximise_with_noise(
    statistics: SufficientStatistics,
    state: MixtureWithNoise,
    maximise_gaussian: Callable[[SufficientStatistics, MixtureParameters], MixtureParameters],
) -> MixtureWithNoise:
    """Return the M-step: the Gaussian one on its components' statistics; the background takes a weight alone."""
    kernel, scatter = state.gaussian.structure, statistics.scatter[:-1]
    gaussian = maximise_gaussian(
        SufficientStatistics(
            kernel,
            statistics.centres[:-1],
            statistics.counts[:-1],
            statistics.sums[:-1],
            scatter.sum(axis=0) if kernel == "tied" else scatter,
        ),
        state.gaussian,
    )
    noise_weight = float(statistics.counts[-1] / statistics.counts.sum())
    gaussian = replace(gaussian, weights=gaussian.weights * (1.0 - noise_weight))
    return MixtureWithNoise(gaussian, noise_weight, state.log_volume)
