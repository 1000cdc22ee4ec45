"""Covariances of bounded shapes: the ratio of the largest to the smallest eigenvalue, over all components, has a bound.

Without one, the likelihood of free covariances grows without end where a component shrinks onto few rows. With a bound
``c`` it has a maximum, and none of its maxima is a component on a handful of rows beside wide ones. The M-step stays
exact: eigenvectors are those of the scatter, and eigenvalues ``d`` are clipped to ``[m, c m]``, where ``m`` minimises

    f(m) = sum_kj n_k (log d~_kj + d_kj / d~_kj),      d~ = clip(d, m, c m).

In ``log m`` each term is convex: it falls while ``c m`` is below the eigenvalue, is constant while the interval holds
it, and rises above. So the derivative tells at each of the ``2 K D`` numbers ``d`` and ``d / c`` on which side the
minimum lies, and between two of them it is known in closed form. A bound on the ratio of determinants is the same for
volumes ``|S|^(1/d)``, of which each component has one, with the shapes left as they are.

References
----------
Fritz, Garcia-Escudero and Mayo-Iscar, "A fast algorithm for robust constrained clustering", Computational Statistics
and Data Analysis 61 (2013), section 3. Hathaway (1985), "A constrained formulation of maximum-likelihood estimation for
normal mixture distributions", Annals of Statistics 13.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from fastgmm.families.closed_form import principal_axes
from fastgmm.families.covariance import CovarianceFamily
from fastgmm.model import Shape

__all__ = ["bounded", "clip_to_ratio"]


def bounded(family: CovarianceFamily, max_eigenvalue_ratio: Any, max_determinant_ratio: Any) -> CovarianceFamily:
    """Return the members of a covariance family whose eigenvalues, or determinants, differ by no more than a factor.

    Parameters
    ----------
    family : CovarianceFamily
    max_eigenvalue_ratio, max_determinant_ratio : float or None
        At least 1; the bound that is not wanted is None. Infinity is no bound: the family itself.

    Raises
    ------
    ValueError
        If both bounds are given, or the family binds its components so that the maximum under a bound is not known.
    """
    given = {"max_eigenvalue_ratio": max_eigenvalue_ratio, "max_determinant_ratio": max_determinant_ratio}
    bounds = {name: float(bound) for name, bound in given.items() if bound is not None and bound < np.inf}
    if not bounds:
        return family
    if len(bounds) > 1:
        raise ValueError(
            f"max_eigenvalue_ratio is {max_eigenvalue_ratio:g} and max_determinant_ratio {max_determinant_ratio:g}; "
            "expected one of them, the other None"
        )
    ((name, bound),) = bounds.items()
    if not family.is_clipped:
        raise ValueError(
            f"{name} is {bound:g} and covariance_type {family.name!r}, whose maximum under a bound is not known; "
            "expected full, tied, diag, spherical, EII, VII, EEI, VVI, EEE, EEV, VVV, E or V, or no bound"
        )
    on_volumes = name == "max_determinant_ratio"
    if on_volumes and family.shape.features_per_variance(2) > 1:
        raise ValueError(
            f"max_determinant_ratio is {bound:g} and covariance_type {family.name!r}, whose components have one "
            "eigenvalue each; expected max_eigenvalue_ratio, its root of the number of features"
        )
    return replace(
        family,
        estimate=partial(_bounded_estimate, family, bound, on_volumes),
        n_parameters=partial(_n_parameters, family, bound, on_volumes),
        is_free=False,
        # A component may still be flat where only the volumes are bound.
        is_bounded=not on_volumes,
    )


def clip_to_ratio(values: np.ndarray, counts: np.ndarray, ratio: float) -> np.ndarray:
    """Return the eigenvalues of largest likelihood among those whose ratio has a bound.

    Parameters
    ----------
    values : ndarray of shape (n_groups, n_values)
        Not negative.
    counts : ndarray of shape (n_groups,)
        What each row of values weighs.
    ratio : float
        Of the largest to the smallest, at least 1.

    Returns
    -------
    clipped : ndarray of shape (n_groups, n_values)
        `values` themselves where they are within the bound.
    """
    largest = values.max()
    if largest <= ratio * values.min():
        return values
    flat = values.ravel() / largest
    weight = np.repeat(counts / counts.sum(), values.shape[1])
    order = np.argsort(flat)
    flat, weight = flat[order], weight[order]
    # Weights, and weighted values, of all up to a place in that order.
    n_below, sum_below = (np.concatenate([[0.0], np.cumsum(part)]) for part in (weight, weight * flat))
    edges = np.unique(np.concatenate([[0.0], flat, flat / ratio]))

    def parts(at: Any) -> tuple[Any, Any]:
        """Return weight and weighted sum of what is clipped about `at`, in units of the lower end."""
        below, above = np.searchsorted(flat, at, side="left"), np.searchsorted(flat, ratio * at, side="right")
        n_clipped = n_below[below] + (n_below[-1] - n_below[above])
        return n_clipped, sum_below[below] + (sum_below[-1] - sum_below[above]) / ratio

    n_clipped, total = parts(edges)
    # m f'(m) = n_clipped - total / m rises: the minimum is before the first edge where it is not negative.
    last = int(np.argmax(n_clipped * edges >= total))
    ends = edges[max(last - 1, 0)], edges[last]
    n_clipped, total = parts(0.5 * (ends[0] + ends[1]))
    lower = np.clip(total / n_clipped, *ends) if n_clipped > 0 else ends[1]
    return np.clip(values, lower * largest, ratio * (lower * largest))


def _bounded_estimate(family, ratio, on_volumes, scatter, counts, previous=None):
    covariances = family.estimate(scatter, counts, previous)
    shape = family.shape
    weights = counts.sum(keepdims=True) if shape.is_matrix and shape.is_shared else counts
    if on_volumes:
        return _with_bounded_volumes(shape, covariances, weights, ratio)
    if not shape.is_matrix:
        return clip_to_ratio(covariances.reshape(len(weights), -1), weights, ratio).reshape(covariances.shape)
    values, axes = principal_axes(covariances.reshape(-1, *covariances.shape[-2:]))
    clipped = clip_to_ratio(values, weights, ratio)
    if clipped is values:
        return covariances
    return ((axes * clipped[:, None, :]) @ axes.transpose(0, 2, 1)).reshape(covariances.shape)


def _with_bounded_volumes(shape: Shape, covariances: np.ndarray, counts: np.ndarray, ratio: float) -> np.ndarray:
    if shape.is_shared:
        return covariances
    n_features = covariances.shape[-1]
    factor = shape.factorise(covariances, counts)
    diagonal = np.diagonal(factor, axis1=1, axis2=2) if shape.is_matrix else factor.reshape(len(counts), -1)
    log_volumes = -2.0 * np.log(diagonal).mean(axis=1)
    volumes = np.exp(np.maximum(log_volumes - log_volumes.max(), -600.0))[:, None]
    return covariances * shape.each((clip_to_ratio(volumes, counts, ratio ** (1.0 / n_features)) / volumes)[:, 0])


def _n_parameters(family, ratio, on_volumes, n_components, n_features):
    free, shape = family.n_parameters(n_components, n_features), family.shape
    stored = 1 if shape.is_shared else n_components
    if on_volumes:
        n_bound = stored if family.is_free else 1
    else:
        n_bound = free - (stored * (n_features * (n_features - 1) // 2) if shape.is_matrix else 0)
    return free - (n_bound - 1) / ratio
