"""The parameters of a mixture of Student t components."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import gammaln

from fastgmm.kernels import StudentTail
from fastgmm.model.parameters import LOG_2PI, MixtureParameters

__all__ = ["AS_NORMAL", "StudentParameters", "log_gamma_ratio", "variance_ratio"]

#: What infinite degrees of freedom are to the kernels. The log density is the normal one to twelve digits within a
#: hundred standard deviations, to four within a million.
AS_NORMAL = 1e16


@dataclass(frozen=True)
class StudentParameters(MixtureParameters):
    """A mixture of t components: `covariances` are their scale matrices, `precisions_cholesky` the factors of these.

    Attributes
    ----------
    degrees_of_freedom : ndarray of shape (n_components,), float64
        Positive; infinite for a normal component.
    """

    degrees_of_freedom: np.ndarray

    @classmethod
    def of(cls, mixture: MixtureParameters, degrees_of_freedom: Any) -> StudentParameters:
        """Return t components with the weights, means and scales of a mixture."""
        parts = {field.name: getattr(mixture, field.name) for field in fields(MixtureParameters)}
        dof = np.broadcast_to(np.asarray(degrees_of_freedom, dtype=np.float64), mixture.weights.shape)
        return cls(**parts, degrees_of_freedom=np.ascontiguousarray(dof))

    @cached_property
    def tail(self) -> StudentTail:
        """How the density falls with the squared distance, for the kernels."""
        return StudentTail(np.minimum(self.degrees_of_freedom, AS_NORMAL))

    @cached_property
    def log_offset(self) -> np.ndarray:
        """Log weight plus log normaliser of each component, shape (n_components,), in nats."""
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.weights)
        correction = log_gamma_ratio(0.5 * self.degrees_of_freedom, 0.5 * self.n_features)
        return log_weights + self.log_det_precision_factor - 0.5 * self.n_features * LOG_2PI + correction


def variance_ratio(degrees_of_freedom: np.ndarray) -> np.ndarray:
    """Return a t component's covariance over its scale, ``df / (df - 2)``; infinite up to two degrees of freedom."""
    dof = np.asarray(degrees_of_freedom, dtype=np.float64)
    heavy = dof <= 2
    return np.where(heavy, np.inf, 1.0 / (1.0 - 2.0 / np.where(heavy, np.inf, dof)))


def log_gamma_ratio(a: np.ndarray, b: float) -> np.ndarray:
    """Return ``log(gamma(a + b) / (gamma(a) a**b))``, which falls to zero as `a` grows, without cancellation.

    From Stirling's series where `a` is large: both logarithms would be many digits larger than what they differ by.
    """
    small = np.minimum(a, 10.0)
    direct = gammaln(small + b) - gammaln(small) - b * np.log(small)
    large = np.clip(a, 10.0, AS_NORMAL)
    series = (large + b - 0.5) * np.log1p(b / large) - b + _stirling(large + b) - _stirling(large)
    return np.where(a < 10.0, direct, np.where(np.isinf(a), 0.0, series))


def _stirling(z: np.ndarray) -> np.ndarray:
    """Return ``log gamma(z) - (z - 1/2) log z + z - log(2 pi) / 2`` for z of 10 or more."""
    s = 1.0 / z**2
    return (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s * (1 / 1188 - s * 691 / 360360))))) / z
