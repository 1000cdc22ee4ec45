"""Random mixtures and rows for tests."""

import numpy as np

from fastgmm.families import Gaussian
from fastgmm.model import MixtureParameters, get_shape


def factorise(covariances, structure):
    """Return the precision factors of covariances stored as the shape of that name does."""
    return get_shape(structure).factorise(covariances)


def precisions_of(factor, structure):
    """Return the precisions that factors of the shape of that name belong to."""
    return get_shape(structure).precisions(factor)


def maximise(statistics, covariance, reg_covar=0.0, count_floor=0.0, previous=None, prior=None):
    """Return the M-step of a covariance family."""
    return Gaussian(covariance, reg_covar, count_floor, prior).maximise(statistics, previous)


def random_parameters(structure, n_components, n_features, rng, spread=3.0, offset=0.0, scale=1.0):
    """Return a random mixture whose means lie about `spread` standard deviations apart, times `scale`."""
    weights = rng.dirichlet(np.full(n_components, 5.0))
    means = (rng.normal(size=(n_components, n_features)) * spread) * scale + offset
    count = 1 if structure == "tied" else n_components
    if structure in ("full", "tied"):
        a = rng.normal(size=(count, n_features, n_features))
        covariances = a @ a.transpose(0, 2, 1) / n_features + 0.3 * np.eye(n_features)
        covariances = covariances[0] if structure == "tied" else covariances
    elif structure == "diag":
        covariances = rng.uniform(0.3, 2.0, size=(n_components, n_features))
    else:
        covariances = rng.uniform(0.3, 2.0, size=n_components)
    covariances = covariances * scale**2
    return MixtureParameters(structure, weights, means, covariances, factorise(covariances, structure))


def random_rows(parameters, n_samples, rng, dtype=np.float64):
    """Return rows drawn around the means of `parameters`, with unit-ish spread in units of its covariances."""
    k = rng.integers(parameters.n_components, size=n_samples)
    covariances = np.asarray(parameters.covariances)
    if parameters.structure in ("full", "tied"):
        sd = np.sqrt(np.diagonal(covariances, axis1=-2, axis2=-1))
        sd = np.broadcast_to(sd, parameters.means.shape)
    else:
        sd = np.sqrt(covariances if covariances.ndim == 2 else covariances[:, None])
        sd = np.broadcast_to(sd, parameters.means.shape)
    noise = rng.normal(size=(n_samples, parameters.n_features))
    return np.ascontiguousarray(parameters.means[k] + noise * sd[k], dtype=dtype)
