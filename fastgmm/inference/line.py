"""Distribution function and quantiles of a mixture in one feature."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from fastgmm.model import MixtureParameters

__all__ = ["cdf", "quantile"]

#: Most halvings of a bracket: as many as lead from the largest number to the last digit of a small one.
MOST_HALVINGS = 2200


def _standard(x: np.ndarray, dof: Any) -> np.ndarray:
    """Return the distribution function of the standard normal, or t, at x."""
    if dof is None:
        return ndtr(x)
    return np.where(np.isinf(dof), ndtr(x), stdtr(np.where(np.isinf(dof), 1.0, dof), x))


def _standard_quantile(p: np.ndarray, dof: Any) -> np.ndarray:
    if dof is None:
        return ndtri(p)
    return np.where(np.isinf(dof), ndtri(p), stdtrit(np.where(np.isinf(dof), 1.0, dof), p))


class _Line:
    """Weights, means and scales of the components in one feature, and the span of a background."""

    def __init__(self, state: Any) -> None:
        mixture: MixtureParameters = getattr(state, "mixture", state)
        self.means = mixture.means[:, 0]
        self.sd = np.broadcast_to(1.0 / mixture.precisions_cholesky.reshape(-1), self.means.shape)
        self.dof = getattr(mixture, "degrees_of_freedom", None)
        self.weights, self.span, self.noise_weight = mixture.weights, None, 0.0
        if mixture is not state:
            ends = np.sort(np.concatenate([state.box.low, state.box.high]) * state.box.axes[0, 0])
            self.span, self.noise_weight = ends, state.noise_weight

    def tails(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the probabilities below and above each value, both to full relative precision."""
        z = (x[:, None] - self.means) / self.sd
        below, above = _standard(z, self.dof) @ self.weights, _standard(-z, self.dof) @ self.weights
        if self.span is not None:
            share = np.clip((x - self.span[0]) / (self.span[1] - self.span[0]), 0.0, 1.0)
            below, above = below + self.noise_weight * share, above + self.noise_weight * (1.0 - share)
        return below, above

    def bracket(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values between which the quantiles lie: the smallest and largest of any part's."""
        ends = self.means + self.sd * _standard_quantile(p[:, None], self.dof)
        if self.span is not None:
            uniform = self.span[0] + p * (self.span[1] - self.span[0])
            ends = np.column_stack([ends, uniform])
        low, high = ends.min(axis=1), ends.max(axis=1)
        # Quantiles of t distributions fail far in their tails.
        for end, side, sign in ((low, 0, -1.0), (high, 1, 1.0)):
            end[~np.isfinite(end)] = 0.0
            for _ in range(1100):
                inside = self.tails(end)[side] > (p if side == 0 else 1.0 - p)
                if not inside.any():
                    break
                end[inside] += sign * (np.abs(end[inside]) + self.sd.max())
        return low, high


def cdf(x: np.ndarray, state: Any) -> np.ndarray:
    """Return the probability of values up to each x, shape (n,), float64."""
    return np.clip(_Line(state).tails(x)[0], 0.0, 1.0)


def quantile(p: np.ndarray, state: Any) -> np.ndarray:
    """Return the value below which each probability lies, shape (n,), float64, to the last digits of the answer."""
    line = _Line(state)
    found = np.where(p > 0.5, np.inf, -np.inf)
    inside = (p > 0.0) & (p < 1.0)
    p = p[inside]
    low, high = line.bracket(p)
    # In the upper half by what lies above, which keeps the digits of 1 - p.
    upper = p > 0.5
    for _ in range(MOST_HALVINGS):
        middle = low + 0.5 * (high - low)
        if ((middle <= low) | (middle >= high)).all():
            break
        below, above = line.tails(middle)
        is_low = np.where(upper, above > 1.0 - p, below < p)
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    found[inside] = low + 0.5 * (high - low)
    return found
