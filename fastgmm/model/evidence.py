"""Lower bounds on the log evidence of a Gaussian mixture, given its variational posterior.

After an M-step the bound is the entropy of the memberships plus the log-normalisers of the posterior, less those of
the priors: every expectation cancels (the conjugate exponential family). `simplified_bound` is scikit-learn's, without
the constants; `evidence_lower_bound` has them all.

References
----------
Bishop (2006), section 10.2.2 (10.70 to 10.77) and appendix B (B.79, the Wishart normaliser).
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaln, gammaln

from fastgmm.model.parameters import LOG_2PI
from fastgmm.model.variational import Priors, VariationalPosterior

__all__ = ["evidence_lower_bound", "simplified_bound"]


def _log_gammas(shape, n_features):
    """Return ``sum_i log Gamma(shape - i / 2)`` over features i from 0."""
    return gammaln(shape - 0.5 * np.arange(n_features).reshape(-1, *[1] * np.ndim(shape))).sum(axis=0)


def _simplified_weights(posterior: VariationalPosterior) -> float:
    if isinstance(posterior.concentration, tuple):
        return float(betaln(*posterior.concentration).sum())
    return float(gammaln(posterior.concentration).sum() - gammaln(posterior.concentration.sum()))


def simplified_bound(posterior: VariationalPosterior) -> float:
    """Return scikit-learn's bound: total over samples, in nats, up to constants of the data and the priors.

    Its diag and spherical terms are those of a Wishart distribution, whose expected log-determinant its E-step takes.
    """
    d, dof = posterior.n_features, np.asarray(posterior.degrees_of_freedom)
    log_det = posterior.log_det_precision_factor
    shared = posterior.shape.is_shared
    if shared:
        log_det = log_det[0]
    log_wishart = dof * (log_det - 0.5 * d * np.log(dof) + 0.5 * d * np.log(2.0)) + _log_gammas(0.5 * dof, d)
    total = posterior.n_components * float(log_wishart) if shared else float(log_wishart.sum())
    means = 0.5 * d * float(np.log(posterior.mean_precision).sum())
    return posterior.entropy + total + _simplified_weights(posterior) - means


def evidence_lower_bound(posterior: VariationalPosterior, reg_covar: float = 0.0) -> float:
    """Return the evidence lower bound of the memberships and the posterior made of them.

    Parameters
    ----------
    posterior : VariationalPosterior
        As `update_posterior` returns it.
    reg_covar : float
        What the M-step added to variances. The bound is that of the posterior as it is, on the evidence of the data
        as they are.

    Returns
    -------
    float
        Total over samples, in nats. For one component and a Dirichlet prior it is the log evidence itself.
    """
    d, counts, priors = posterior.n_features, posterior.counts, posterior.priors
    assert counts is not None, "a posterior made by update_posterior"
    bound = posterior.entropy - 0.5 * d * float(counts.sum()) * LOG_2PI
    bound += _weights(posterior, priors)
    bound -= 0.5 * d * float(np.log(posterior.mean_precision / priors.mean_precision).sum())
    bound += _precisions(posterior, priors)
    if reg_covar:
        bound += 0.5 * reg_covar * _trace_of_precisions(posterior, counts)
    return bound


def _weights(posterior: VariationalPosterior, priors: Priors) -> float:
    k = posterior.n_components
    if priors.is_process:
        return _simplified_weights(posterior) - k * float(betaln(1.0, priors.concentration))
    prior = k * gammaln(priors.concentration) - gammaln(k * priors.concentration)
    return _simplified_weights(posterior) - float(prior)


def _precisions(posterior: VariationalPosterior, priors: Priors) -> float:
    """Return the log-normalisers of the precisions' posteriors less those of their priors."""
    d, k, shape = posterior.n_features, posterior.n_components, posterior.shape
    log_det = posterior.log_det_precision_factor
    dof, dof_prior = np.asarray(posterior.degrees_of_freedom, dtype=float), float(priors.degrees_of_freedom)
    if not shape.is_matrix:
        # A Gamma distribution for each variance, that of one feature or of several.
        merged = shape.features_per_variance(d)
        gamma_shape, prior_shape, n_variances = 0.5 * merged * dof, 0.5 * merged * dof_prior, d // merged
        posteriors = n_variances * (gammaln(gamma_shape) - gamma_shape * np.log(gamma_shape))
        posteriors = posteriors + 2.0 * gamma_shape * log_det / merged
        prior = n_variances * gammaln(prior_shape) - prior_shape * _log(0.5 * merged * priors.covariance).sum()
        return float((posteriors - prior).sum())
    # A prior without rank has no normaliser: the bound is then -inf.
    half_log_det_prior = 0.5 * float(np.linalg.slogdet(priors.covariance)[1])
    if shape.is_shared:
        # n_components times both degrees of freedom and scale matrix: see `fastgmm.model.variational`.
        dof, dof_prior, log_det = k * dof, k * dof_prior, log_det[:1]
        half_log_det_prior += 0.5 * d * np.log(k)
    posteriors = dof * (log_det - 0.5 * d * np.log(0.5 * dof)) + _log_gammas(0.5 * dof, d)
    prior = _log_gammas(0.5 * dof_prior, d) + dof_prior * (0.5 * d * np.log(2.0) - half_log_det_prior)
    return float((posteriors - prior).sum())


def _log(values):
    with np.errstate(divide="ignore"):
        return np.log(values)


def _trace_of_precisions(posterior: VariationalPosterior, counts: np.ndarray) -> float:
    shape = posterior.shape
    return float(np.sum(shape.totals(counts) * shape.squares(posterior.precisions_cholesky, posterior.n_features)))
