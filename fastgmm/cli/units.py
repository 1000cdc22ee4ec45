"""Back from standardised columns to the units of the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastgmm.cli.errors import CommandError
from fastgmm.gaussian_mixture import GaussianMixture

__all__ = ["Scaling", "in_data_units"]


@dataclass(frozen=True)
class Scaling:
    """``(x - shift) / scale``.

    Attributes
    ----------
    shift, scale : ndarray of shape (n_features,)
        Means and standard deviations of the columns.
    """

    shift: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray, names: list[str], source: str) -> Scaling:
        """Return the scaling that gives every column mean 0 and variance 1."""
        shift, scale = X.mean(axis=0), X.std(axis=0)
        for j, name in enumerate(names):
            if not scale[j] > 0.0:
                raise CommandError(
                    f"{source}: column {name!r} has the same value in every row and cannot be standardised; leave it "
                    f"out with --columns"
                )
        return cls(shift, scale)

    def apply(self, X: np.ndarray) -> np.ndarray:
        """Return the standardised rows."""
        return np.ascontiguousarray((X - self.shift) / self.scale)

    @property
    def log_jacobian(self) -> float:
        """What the log density of a row gains by standardising, in nats: ``sum_j log scale_j``."""
        return float(np.log(self.scale).sum())


def in_data_units(model: GaussianMixture, scaling: Scaling) -> GaussianMixture:
    """Return the mixture of the data as they are, from one of the standardised data.

    Exactly the same density. Components that are spheres in standardised columns have a diagonal covariance in the
    data's units, and a named family of mclust becomes the tightest of scikit-learn's four types that holds it.
    """
    kernel, scale = model._structure.kernel, scaling.scale
    covariances = np.asarray(model.covariances_, dtype=np.float64)
    if kernel == "spherical":
        covariance_type, covariances = "diag", covariances[:, None] * scale**2
    elif kernel == "diag":
        covariance_type, covariances = "diag", covariances * scale**2
    else:
        covariance_type, covariances = kernel, covariances * np.outer(scale, scale)
    means = model.means_ * scale + scaling.shift
    other = GaussianMixture.from_parameters(model.weights_, means, covariances, covariance_type=covariance_type)
    other.set_params(**{name: getattr(model, name) for name in ("tol", "max_iter", "n_init", "random_state")})
    other.converged_, other.n_iter_ = model.converged_, model.n_iter_
    other.lower_bounds_ = [value - scaling.log_jacobian for value in model.lower_bounds_]
    other.lower_bound_ = model.lower_bound_ - scaling.log_jacobian
    return other
