"""A background component: rows spread evenly over the data's volume, beside the Gaussian components.

Its density is one over a fixed volume, and to the kernels it is a Gaussian whose precision factor is zero: its squared
distances vanish and its log offset is all there is. So noise needs no kernel of its own.

References
----------
Banfield and Raftery (1993), Model-based Gaussian and non-Gaussian clustering, Biometrics 49, section 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fastgmm.model.parameters import MixtureParameters
from fastgmm.model.shapes import Shape

__all__ = ["NO_VOLUME", "Box", "MixtureWithNoise", "enclosing_box", "smaller_box"]


NO_VOLUME = (
    "noise is spread over the volume of X, and X has none: a feature is constant or a combination of others; remove "
    "it, or use noise=None"
)


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

    @property
    def middle(self) -> np.ndarray:
        """The centre, shape (n_features,)."""
        return self.axes @ (0.5 * (self.low + self.high))

    @cached_property
    def spans(self) -> np.ndarray:
        """Of the smallest box along the features around this one, shape (n_features,)."""
        return np.abs(self.axes) @ (self.high - self.low)

    def log_volume_along(self, mask: np.ndarray) -> float:
        """Return the log of the volume that the box has in the features of a mask, in nats; exact along the features.

        Of a box along other axes the volume is that of the smallest one along the features around it.
        """
        return float(np.log(self.spans[mask]).sum())

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
    return smaller_box(centred.T @ centred, lambda axes, about=None: _along((X if about is None else centred) @ axes))


def smaller_box(scatter: np.ndarray, extent: Callable[..., tuple[np.ndarray, np.ndarray]]) -> Box:
    """Return the smaller of the boxes along the features and along the principal axes.

    Parameters
    ----------
    scatter : ndarray of shape (n_features, n_features)
        Of the rows about their mean.
    extent : callable
        ``extent(axes, about=None) -> low, high``: of the rows along the columns of a matrix; about their mean where
        that is asked for.

    Raises
    ------
    ValueError
        If the rows have no volume.
    """
    every, principal_axes = np.eye(len(scatter)), np.linalg.eigh(scatter)[1]
    features, principal = (Box(axes, *extent(axes)) for axes in (every, principal_axes))
    spans = features.high - features.low
    flat = spans.min() <= 0
    if not flat:
        # A collinear feature shows as rounding errors along the principal axes, once all features have one unit.
        axes = np.linalg.eigh(scatter / spans / spans[:, None])[1]
        low, high = extent(axes / spans[:, None], about="mean")
        flat = _is_flat(high - low)
    if flat:
        raise ValueError(NO_VOLUME)
    # In units that differ by as many digits as there are, the spans along the principal axes are rounding errors too.
    boxes = [features] if _is_flat(principal.high - principal.low) else [features, principal]
    return min(boxes, key=lambda box: box.log_volume)


def _along(projected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return projected.min(axis=0), projected.max(axis=0)


def _is_flat(spans: np.ndarray) -> bool:
    return bool(spans.min() <= 1e-13 * spans.max())


@dataclass(frozen=True)
class MixtureWithNoise:
    """The components of a mixture and, last, the background; read by the kernels like `MixtureParameters`.

    Attributes
    ----------
    mixture : MixtureParameters
        Weights sum to ``1 - noise_weight``.
    noise_weight : float
    box : Box
        The background's density is one over its volume.
    """

    mixture: MixtureParameters
    noise_weight: float
    box: Box

    @property
    def shape(self) -> Shape:
        """The algebra of the factors; a shared one cannot vanish for one component, so there is one for each."""
        return self.mixture.shape.per_component

    @property
    def structure(self) -> str:
        """The name of `shape`."""
        return self.shape.name

    @property
    def n_components(self) -> int:
        """Number of components, the background included."""
        return self.mixture.n_components + 1

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.mixture.n_features

    @property
    def background(self) -> int:
        """The number of the background among the components."""
        return self.mixture.n_components

    @cached_property
    def means(self) -> np.ndarray:
        """Means, and a centre for the sums about the background that nobody reads."""
        return np.vstack([self.mixture.means, self.mixture.means.mean(axis=0)])

    @cached_property
    def precisions_cholesky(self) -> np.ndarray:
        """Precision factors, zero for the background."""
        factor = self.mixture.shape.untie(self.mixture.precisions_cholesky, self.mixture.n_components)
        return np.ascontiguousarray(np.concatenate([factor, np.zeros((1, *factor.shape[1:]))]))

    @cached_property
    def log_offset(self) -> np.ndarray:
        """Log weight plus log normaliser of each component, in nats."""
        with np.errstate(divide="ignore"):
            return np.append(self.mixture.log_offset, np.log(self.noise_weight) - self.box.log_volume)

    @property
    def tail(self) -> Any:
        """The components' tail, with which the background's zero distances stay zero."""
        tail = getattr(self.mixture, "tail", None)
        return None if tail is None else tail.take([*range(self.mixture.n_components), -1])
