"""Leaving poor optima: components are split in two and merged again, and the outcome is kept only if it is better.

A poor optimum mostly has one component over two groups of rows and two components over one group elsewhere; no sequence
of EM steps leads from there to the better one without descending. Here components are split along their longest axis,
all at once, EM is run for a few passes on the larger mixture, so that the halves find the groups there are, and the
pairs whose merging loses least are merged until the number is right again.

References
----------
Ueda, Nakano, Ghahramani and Hinton (2000), SMEM algorithm for mixture models, Neural Computation 12 (split and merge
moves accepted by likelihood). Runnalls (2007), Kullback-Leibler approach to Gaussian mixture reduction, IEEE AES 43,
equation 21 (the bound on what a merger loses).
"""

from __future__ import annotations

import numpy as np

from fastgmm import kernels
from fastgmm.model import MixtureParameters

__all__ = ["merge_to", "split", "union"]

#: Children lie this many standard deviations to either side of their parent along the axis it is split on.
APART = 0.6


def split(parameters: MixtureParameters, which: np.ndarray, random_state: np.random.RandomState | None = None):
    """Return the mixture with components split in two, the second halves last, in the same order.

    Parameters
    ----------
    parameters : MixtureParameters
    which : ndarray of int
        Components to split.
    random_state : RandomState, optional
        The axis is random, in units of the component's own covariance, instead of the longest.

    Returns
    -------
    MixtureParameters
        With moments of the parents: the children's covariances are smaller by what lies between their means; where
        covariances are shared they stay.
    """
    shape = parameters.shape
    covariances = shape.untie(parameters.covariances, parameters.n_components)[which]
    means = parameters.means[which]
    n_features = parameters.n_features
    weights = parameters.weights.copy()
    weights[which] *= 0.5
    if covariances.ndim == 3:
        if random_state is None:
            values, axes = np.linalg.eigh(covariances)
            offset = axes[:, :, -1] * np.sqrt(values[:, -1:])
        else:
            direction = random_state.standard_normal((len(which), n_features))
            direction /= np.linalg.norm(direction, axis=1)[:, None]
            offset = (np.linalg.cholesky(covariances) @ direction[:, :, None])[:, :, 0]
        smaller = covariances - APART**2 * offset[:, :, None] * offset[:, None, :]
    elif random_state is None and covariances.ndim == 2:
        longest = covariances.argmax(axis=1)
        rows = np.arange(len(which))
        offset = np.zeros((len(which), n_features))
        offset[rows, longest] = np.sqrt(covariances[rows, longest])
        smaller = covariances - APART**2 * offset**2
    else:
        direction = (random_state or np.random.RandomState(0)).standard_normal((len(which), n_features))
        direction /= np.linalg.norm(direction, axis=1)[:, None]
        variances = covariances if covariances.ndim == 2 else covariances[:, None]
        offset = direction * np.sqrt(variances)
        smaller = covariances * (1.0 - APART**2 / n_features)
    new_means = np.concatenate([parameters.means, means + APART * offset])
    new_means[which] -= APART * offset
    if shape.is_shared:
        both, factor = parameters.covariances, parameters.precisions_cholesky
    else:
        both = parameters.covariances.copy()
        both[which] = smaller
        both = np.concatenate([both, smaller])
        factor = shape.factorise(both)
    return MixtureParameters(parameters.structure, np.concatenate([weights, weights[which]]), new_means, both, factor)


def union(one: MixtureParameters, other: MixtureParameters) -> MixtureParameters:
    """Return the mixture of two mixtures, half of each; a shared covariance is that of the first."""
    covariances, factor = one.covariances, one.precisions_cholesky
    if not one.shape.is_shared:
        covariances = np.concatenate([covariances, other.covariances])
        factor = np.concatenate([factor, other.precisions_cholesky])
    weights = 0.5 * np.concatenate([one.weights, other.weights])
    return MixtureParameters(one.structure, weights, np.concatenate([one.means, other.means]), covariances, factor)


def merge_to(parameters: MixtureParameters, n_components: int) -> MixtureParameters:
    """Merge the pair of components that loses least, until `n_components` are left.

    Parameters
    ----------
    parameters : MixtureParameters
    n_components : int

    Returns
    -------
    MixtureParameters
        Merged components have the moments of their parts; a shared covariance stays as it is.
    """
    shape, weights, means = parameters.shape, parameters.weights.copy(), parameters.means.copy()
    covariances = shape.untie(parameters.covariances, parameters.n_components).copy()
    group = np.empty(len(weights), dtype=np.int64)
    kernels.merge(shape.per_component.name, weights, means, covariances, n_components, group, shared=shape.is_shared)
    alive = np.unique(group)
    weights, means, covariances = weights[alive], means[alive], covariances[alive]
    if shape.is_shared:
        covariances, factor = parameters.covariances, parameters.precisions_cholesky
    else:
        factor = shape.factorise(covariances)
    return MixtureParameters(parameters.structure, weights, means, covariances, factor)
