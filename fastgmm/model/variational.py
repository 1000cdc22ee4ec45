"""The variational posterior of a Gaussian mixture.

Weights have a Dirichlet posterior, or a stick-breaking one (the Dirichlet process, truncated); each mean is Gaussian
given its precision, with covariance ``covariance / mean_precision``; precisions are Wishart (full, tied) or Gamma
(diag, spherical). `VariationalPosterior` reads like `MixtureParameters`, so the kernels run its E-step unchanged.

The priors, with ``v`` and ``C`` the constructor's degrees of freedom and covariance::

    full       precision_k ~ Wishart(v, inv(C))
    tied       precision   ~ Wishart(K v, inv(K C))
    diag       precision_kd ~ Gamma(shape v / 2, rate C_d / 2)
    spherical  precision_k ~ Gamma(shape D v / 2, rate D C / 2)

so that in every structure ``covariances`` is the inverse of the posterior mean of the precision.

References
----------
Bishop (2006), Pattern Recognition and Machine Learning, section 10.2: equations 10.46, 10.51, 10.58 to 10.65.
Blei and Jordan (2006), Variational inference for Dirichlet process mixtures, Bayesian Analysis 1, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import digamma

from fastgmm.model.parameters import LOG_2PI, MixtureParameters
from fastgmm.model.shapes import Shape

__all__ = ["Priors", "VariationalPosterior", "expected_weights", "posterior_of", "unknown_priors"]

Concentration = np.ndarray | tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Priors:
    """Parameters of the priors, those of the data's defaults filled in.

    Attributes
    ----------
    is_process : bool
        Dirichlet process (sticks Beta(1, concentration)) rather than a Dirichlet distribution.
    concentration : float
    mean_precision : float
        Rows that the prior mean is worth.
    mean : ndarray of shape (n_features,), float64
    degrees_of_freedom : float
        More than ``n_features - 1``.
    covariance : ndarray, float64
        (D, D) for full and tied, (D,) for diag, () for spherical, in squared units of the data.
    exact : bool
        Whether diag and spherical take the expected log precision of their Gamma posteriors. Otherwise they take
        that of a Wishart distribution with the same mean, as scikit-learn does.
    """

    is_process: bool
    concentration: float
    mean_precision: float
    mean: np.ndarray
    degrees_of_freedom: float
    covariance: np.ndarray
    exact: bool = False


def unknown_priors(exact: bool) -> Priors:
    """Return priors of a posterior that was put together by hand: nothing is known of them but `exact`."""
    nothing = np.full(1, np.nan)
    return Priors(False, np.nan, np.nan, nothing, np.nan, nothing, exact)


@dataclass(frozen=True)
class VariationalPosterior(MixtureParameters):
    """A posterior that the kernels take for a mixture; ``weights`` are its expected weights.

    Attributes
    ----------
    concentration : ndarray of shape (n_components,), or two of them
        Of the Dirichlet posterior; or both parameters of each stick's Beta posterior.
    mean_precision : ndarray of shape (n_components,)
    degrees_of_freedom : ndarray of shape (n_components,), or () for tied
    priors : Priors
    counts : ndarray of shape (n_components,), optional
        What the posterior was made of: rows per component.
    entropy : float
        Of the memberships it was made of, in nats; NaN where they are not known.
    """

    concentration: Concentration
    mean_precision: np.ndarray
    degrees_of_freedom: np.ndarray
    priors: Priors
    counts: np.ndarray | None = None
    entropy: float = float("nan")

    @cached_property
    def expected_log_weights(self) -> np.ndarray:
        """Posterior mean of each log weight, shape (n_components,), in nats."""
        if isinstance(self.concentration, tuple):
            a, b = self.concentration
            both = digamma(a + b)
            log_rest = np.cumsum(digamma(b) - both)
            return digamma(a) - both + np.concatenate(([0.0], log_rest[:-1]))
        return digamma(self.concentration) - digamma(self.concentration.sum())

    @cached_property
    def expected_half_log_det(self) -> np.ndarray:
        """Half the posterior mean of the log-determinant of each precision, shape (n_components,), in nats."""
        d, dof = self.n_features, np.asarray(self.degrees_of_freedom)
        if self.priors.exact and not self.shape.is_matrix:
            gamma_shape = 0.5 * self.shape.features_per_variance(d) * dof
            excess = d * (digamma(gamma_shape) - np.log(gamma_shape))
        else:
            if self.priors.exact and self.shape.is_shared:
                dof = self.n_components * dof
            excess = digamma(0.5 * (dof - np.arange(d).reshape(-1, *[1] * dof.ndim))).sum(axis=0)
            excess = excess - d * np.log(0.5 * dof)
        return self.log_det_precision_factor + 0.5 * excess

    @cached_property
    def log_offset(self) -> np.ndarray:
        """What the E-step adds to ``-0.5 |(x - mean) U|^2``, shape (n_components,), in nats (Bishop 10.46)."""
        means_uncertainty = 0.5 * self.n_features / self.mean_precision
        return (
            self.expected_log_weights
            + self.expected_half_log_det
            - means_uncertainty
            - (0.5 * self.n_features * LOG_2PI)
        )

    def mixture_of_counts(self) -> MixtureParameters:
        """Return the mixture with these means and covariances whose weights are the shares of the counts."""
        assert self.counts is not None, "a posterior made of statistics"
        parts = (self.means, self.covariances, self.precisions_cholesky)
        return MixtureParameters(self.structure, self.counts / self.counts.sum(), *parts)

    def with_counts(self, mixture: MixtureParameters, total: float) -> VariationalPosterior:
        """Return the posterior with the parts of `mixture`, whose weights are shares of `total` rows."""
        counts = total * mixture.weights
        concentration = _concentration(self.priors, counts)
        rows = counts.sum() / len(counts) if mixture.shape.is_shared else counts
        return VariationalPosterior(
            mixture.structure,
            expected_weights(concentration),
            mixture.means,
            mixture.covariances,
            mixture.precisions_cholesky,
            concentration,
            self.priors.mean_precision + counts,
            np.asarray(self.priors.degrees_of_freedom + rows),
            self.priors,
            counts,
        )


def expected_weights(concentration: Concentration) -> np.ndarray:
    """Return the posterior means of the weights, scaled to sum to one, shape (n_components,)."""
    if not isinstance(concentration, tuple):
        return concentration / concentration.sum()
    a, b = concentration
    both = a + b
    weights = a / both * np.concatenate(([1.0], np.cumprod((b / both)[:-1])))
    return weights / weights.sum()


def posterior_of(
    shape: Shape,
    priors: Priors,
    counts: np.ndarray,
    centres: np.ndarray,
    shift: np.ndarray,
    scatter: np.ndarray,
    entropy: float = float("nan"),
) -> VariationalPosterior:
    """Return the posterior given the counts, means and scatter of the memberships.

    Parameters
    ----------
    shape : Shape
        Of the scatter.
    priors : Priors
    counts : ndarray of shape (n_components,)
    centres, shift : ndarray of shape (n_components, n_features)
        The means of the memberships are their sum.
    scatter : ndarray
        About the means; where a variance is that of several features, per feature.
    entropy : float
        Of the memberships, in nats; kept for the bounds.

    Raises
    ------
    ComponentCollapseError
        If a covariance is not positive definite to working precision.
    """
    mean_precision = priors.mean_precision + counts
    from_prior = (centres - priors.mean) + shift
    # The prior mean pulls like that many rows: counts * prior precision / posterior precision.
    pull = counts * (priors.mean_precision / mean_precision)
    between = shape.outer(pull[:, None] * from_prior, from_prior) / shape.features_per_variance(shift.shape[1])
    # One matrix for all has a Wishart of n_components times the degrees of freedom; both are kept divided by it.
    n_tied = len(counts) if shape.is_shared else 1
    degrees_of_freedom = np.asarray(priors.degrees_of_freedom + shape.totals(counts) / n_tied)
    covariances = (priors.covariance + (scatter + between) / n_tied) / shape.each(degrees_of_freedom)
    concentration = _concentration(priors, counts)
    return VariationalPosterior(
        shape.name,
        expected_weights(concentration),
        priors.mean + (counts / mean_precision)[:, None] * from_prior,
        covariances,
        shape.factorise(covariances, counts),
        concentration,
        mean_precision,
        degrees_of_freedom,
        priors,
        counts,
        entropy,
    )


def _concentration(priors: Priors, counts: np.ndarray) -> Concentration:
    if not priors.is_process:
        return priors.concentration + counts
    after = np.concatenate((np.cumsum(counts[::-1])[-2::-1], [0.0]))
    return 1.0 + counts, priors.concentration + after
