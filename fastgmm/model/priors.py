"""Conjugate priors: the M-step of a posterior mode instead of a maximum of the likelihood.

Given the covariances, a mean is normal about ``mean`` with covariance ``Sigma_k / shrinkage``; a covariance is
inverse Wishart with ``dof`` and ``scale`` (inverse gamma, feature by feature or for all, where the family is
axis-aligned or spherical). The mode then is the maximum-likelihood estimate from amended statistics::

    means     (n_k xbar_k + shrinkage mean) / (n_k + shrinkage)
    scatter   W_k + shrinkage n_k / (n_k + shrinkage) (xbar_k - mean)(xbar_k - mean)^T + scale
    counts    n_k + 1 + dof + n_features + 1         (ellipsoidal; axis-aligned + 2; spherical (dof + 2) / n_features)

so that every family has its posterior mode. Where the family has one covariance for all there is one prior for it,
otherwise one per component. These are mclust's estimates for E, V, VII, EEI, VVI, EEE and VVV; for the families
between, mclust counts the prior's degrees of freedom in several ways, and this is the mode.

References
----------
Fraley and Raftery (2007), Bayesian regularization for normal mixture estimation and model-based clustering, Journal
of Classification 24, section 3 and tables 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastgmm.model.shapes import Shape

__all__ = ["ConjugatePrior", "default_prior"]


@dataclass(frozen=True)
class ConjugatePrior:
    """What is believed before the data.

    Attributes
    ----------
    shrinkage : float
        Rows that the prior mean weighs; 0 leaves the means alone.
    mean : ndarray of shape (n_features,)
    dof : float
        Degrees of freedom of the covariances.
    scale : ndarray of shape (n_features, n_features), or (n_features,) where it is diagonal
        In squared units of the data. Axis-aligned families use its diagonal, spherical ones the mean of it.
    """

    shrinkage: float
    mean: np.ndarray
    dof: float
    scale: np.ndarray

    def shift_means(self, weights: np.ndarray, means: np.ndarray) -> np.ndarray:
        """Return the means drawn towards the prior's; `weights` as `amend` takes them."""
        return means + (self.shrinkage / (weights + self.shrinkage))[:, None] * (self.mean - means)

    def amend(
        self,
        shape: Shape,
        is_shared: bool,
        scatter: np.ndarray,
        counts: np.ndarray,
        weights: np.ndarray,
        means: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return scatter and counts with the prior's added.

        Parameters
        ----------
        shape : Shape
            Of the scatter.
        is_shared : bool
            Whether the family has one covariance for all components, and so one prior.
        scatter : ndarray
            About `means`; where a variance is that of several features, per feature.
        counts : ndarray of shape (n_components,)
            Rows that the covariances are divided by.
        weights : ndarray of shape (n_components,)
            What the means weigh: the counts, or of t components the sums of their rows' weights.
        means : ndarray of shape (n_components, n_features)
            Of the data, not yet drawn to the prior's.
        """
        n_components, n_features = means.shape
        share = 1.0 / n_components if is_shared else 1.0
        away = np.sqrt(self.shrinkage * weights / (weights + self.shrinkage))[:, None] * (means - self.mean)
        merged = shape.features_per_variance(n_features)
        # What is stored once has the whole prior; what is stored for each component has its share.
        scale = (1.0 if shape.is_shared else share) * shape.of_matrix(self.scale)
        added = (shape.outer(away, away) + scale) / merged
        weight = self.dof + n_features + 1.0 if shape.is_matrix else (self.dof + 2.0) / merged
        return scatter + added, counts + share * weight + (1.0 if self.shrinkage else 0.0)

    def along(self, factors: np.ndarray, weights: np.ndarray, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what `amend` adds to scatter, times `factors` (n_components, n_features, n_factors), and its diagonal.

        No matrix of features is formed where `scale` is a variance for each.
        """
        away = np.sqrt(self.shrinkage * weights / (weights + self.shrinkage))[:, None] * (means - self.mean)
        scaled = self.scale @ factors if self.scale.ndim == 2 else self.scale[:, None] * factors
        diagonal = np.diagonal(self.scale) if self.scale.ndim == 2 else self.scale
        return scaled + away[:, :, None] * np.einsum("kd,kdq->kq", away, factors)[:, None, :], diagonal + away**2

    def amended(self, counts: np.ndarray, n_features: int) -> np.ndarray:
        """Return the counts with the prior's, of whole matrices."""
        return counts + self.dof + n_features + 1.0 + (1.0 if self.shrinkage else 0.0)


def default_prior(
    mean: np.ndarray, covariance: np.ndarray, n_components: int, shape: Shape, given: dict | None = None
) -> ConjugatePrior:
    """Return mclust's default: weak, and centred on the data.

    Parameters
    ----------
    mean : ndarray of shape (n_features,)
        Of the data.
    covariance : ndarray of shape (n_features, n_features)
        Of the data, with divisor n - 1. Or the variances alone, (n_features,), and no matrix of features is made.
    n_components : int
    shape : Shape
        Of the covariances: axis-aligned families get the mean variance for all features, as in mclust.
    given : dict, optional
        Any of shrinkage, mean, dof, scale, in place of the defaults 0.01, `mean`, ``n_features + 2`` and
        `covariance` over ``n_components^(2 / n_features)``.
    """
    n_features = len(mean)
    every = np.ones(n_features) if np.ndim(covariance) == 1 else np.eye(n_features)
    if not shape.is_matrix:
        covariance = np.eye(n_features) * np.trace(covariance) / n_features
    values = dict(
        shrinkage=0.01,
        mean=mean,
        dof=n_features + 2.0,
        scale=covariance / n_components ** (2.0 / n_features),
    )
    values |= given or {}
    values["mean"] = np.asarray(values["mean"], dtype=np.float64)
    scale = np.asarray(values["scale"], dtype=np.float64)
    values["scale"] = scale if scale.ndim else every * scale
    return ConjugatePrior(**values)
