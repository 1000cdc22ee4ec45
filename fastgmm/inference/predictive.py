"""The posterior predictive density of a variational mixture: a mixture of Student t distributions.

References
----------
Bishop (2006), Pattern Recognition and Machine Learning, equations 10.81 and 10.82.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaln, logsumexp

from fastgmm.data.incomplete import Marginalised
from fastgmm.inference.density import component_log_density, log_posterior
from fastgmm.inference.distances import squared_distances
from fastgmm.kernels import StudentTail
from fastgmm.model.moments import Components
from fastgmm.model.variational import VariationalPosterior

__all__ = ["PredictiveMixture", "predictive_mixture"]

# Values of the (rows, n_components) array in hand at a time.
BLOCK_VALUES = 1 << 18


@dataclass(frozen=True)
class PredictiveMixture:
    """A mixture of Student t distributions.

    Attributes
    ----------
    components : Components
        Means and factors of the inverse scale matrices; ``log_offset`` is log weight plus log normaliser, in nats.
    degrees_of_freedom : ndarray of shape (n_components,)
    per_feature : bool
        Whether a component is the product of one t distribution per feature, not one t in all features.
    """

    components: Components
    degrees_of_freedom: np.ndarray
    per_feature: bool

    def _log_joint(self, X: np.ndarray) -> np.ndarray:
        parts, dof = self.components, self.degrees_of_freedom
        missing = np.isnan(X)
        if missing.any() and not self.per_feature:
            tailed = Marginalised(replace(parts, tail=StudentTail(dof)))
            return component_log_density(X, tailed)
        if not self.per_feature:
            distances = squared_distances(X, parts)
            return parts.log_offset - 0.5 * (dof + X.shape[1]) * np.log1p(distances / dof)
        joint = np.empty((X.shape[0], parts.n_components))
        for k in range(parts.n_components):
            scaled = (X - parts.means[k]) * parts.precisions_cholesky[k]
            with np.errstate(over="ignore"):
                squares = scaled**2
            logs = np.where(missing, 0.0, np.log1p(squares / dof[k]))
            joint[:, k] = parts.log_offset[k] - 0.5 * (dof[k] + 1.0) * logs.sum(axis=1)
            if missing.any():
                # Features are independent: each that is missing takes its own normaliser along.
                half = 0.5 * dof[k]
                own = gammaln(half + 0.5) - gammaln(half) - 0.5 * np.log(np.pi * dof[k])
                joint[:, k] -= missing @ (own + np.log(parts.precisions_cholesky[k]))
        return joint

    def _blocks(self, X: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        n_rows = max(1, BLOCK_VALUES // max(self.components.n_components, X.shape[1]))
        for start in range(0, X.shape[0], n_rows):
            part = slice(start, start + n_rows)
            yield part, self._log_joint(np.ascontiguousarray(X[part], dtype=np.float64))

    def log_density(self, X: np.ndarray) -> np.ndarray:
        """Return the log density of each row, shape (n_samples,), float64, in nats."""
        out = np.empty(X.shape[0])
        for part, joint in self._blocks(X):
            out[part] = logsumexp(joint, axis=1)
        return out

    def component_log_density(self, X: np.ndarray) -> np.ndarray:
        """Return the log of each component's weighted density, shape (n_samples, n_components), float64, in nats."""
        out = np.empty((X.shape[0], self.components.n_components))
        for part, joint in self._blocks(X):
            out[part] = joint
        return out

    def responsibilities(self, X: np.ndarray) -> np.ndarray:
        """Return the posterior probabilities of the components, shape (n_samples, n_components), float64."""
        out = np.empty((X.shape[0], self.components.n_components))
        for part, joint in self._blocks(X):
            out[part] = np.exp(log_posterior(joint))
        return out

    def assign(self, X: np.ndarray) -> np.ndarray:
        """Return the most probable component of each row, shape (n_samples,), int64."""
        out = np.empty(X.shape[0], dtype=np.int64)
        for part, joint in self._blocks(X):
            out[part] = joint.argmax(axis=1)
        return out


def predictive_mixture(posterior: VariationalPosterior) -> PredictiveMixture:
    """Return the distribution of a new row given the posterior, weights at their expectations."""
    d, shape = posterior.n_features, posterior.shape
    dof = np.broadcast_to(np.asarray(posterior.degrees_of_freedom, dtype=np.float64), posterior.n_components)
    if shape.is_shared:
        dof = posterior.n_components * dof
    # The scale matrix is `inflation` times the covariance: the mean is uncertain too.
    inflation = 1.0 + 1.0 / posterior.mean_precision
    merged = shape.features_per_variance(d)
    if shape.is_matrix:
        degrees = dof - d + 1.0
        inflation = inflation * dof / degrees
    else:
        degrees = merged * dof
    # Inflations differ, so a shared factor becomes one per component.
    factor, shape = shape.untie(posterior.precisions_cholesky, posterior.n_components), shape.per_component
    factor = np.ascontiguousarray(factor / shape.each(np.sqrt(inflation)))
    log_det = posterior.log_det_precision_factor - 0.5 * d * np.log(inflation)
    per_feature = not shape.is_matrix and merged == 1 < d
    size = 1 if per_feature else d
    log_norm = gammaln(0.5 * (degrees + size)) - gammaln(0.5 * degrees) - 0.5 * size * np.log(np.pi * degrees)
    with np.errstate(divide="ignore"):
        log_offset = np.log(posterior.weights) + log_det + (d // size) * log_norm
    components = Components(shape.name, log_offset, posterior.means, factor)
    return PredictiveMixture(components, degrees, per_feature)
