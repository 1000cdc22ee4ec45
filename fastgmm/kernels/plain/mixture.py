"""Passes over the rows of a mixture."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from fastgmm.kernels.actions import LOW_RANK, RESPONSIBILITY_FLOOR
from fastgmm.kernels.plain.low_rank import FactorProducts
from fastgmm.kernels.plain.tiles import quietly, tiles, weighted_tiles

__all__ = [
    "accumulate",
    "accumulate_labels",
    "add_moments",
    "assign",
    "factor_products",
    "log_density",
    "posterior",
    "responsibilities",
    "squared_distances_from",
]


def _squared_distances(mixture, products) -> Callable[[np.ndarray], np.ndarray]:
    """Return ``distances(rows)``: ``|(x - mean) U|^2`` of each row and component, shape (n_rows, n_components)."""
    return partial(_distances_by_factor, mixture) if products is None else products.squared_distances


def factor_products(mixture) -> FactorProducts | None:
    """Return what rows are multiplied with where components have few factors."""
    return FactorProducts(mixture.factor, mixture.means) if mixture.shape.startswith(LOW_RANK) else None


def _distances_by_factor(mixture, rows) -> np.ndarray:
    squares = np.empty((len(rows), len(mixture.means)))
    for k in range(len(mixture.means)):
        squares[:, k] = squared_distances_from(mixture, None, k, rows)
    return squares


def squared_distances_from(mixture, products, k, rows) -> np.ndarray:
    """Return ``|(x - mean) U|^2`` of each row and component k; `products` are `factor_products` of the mixture."""
    if products is not None:
        return products.squared_distances_from(k, rows)
    factor = mixture.factor if mixture.shape == "tied" else mixture.factor[k]
    away = rows - mixture.means[k]
    away = away @ factor if factor.ndim == 2 else away * factor
    return np.einsum("nd,nd->n", away, away)


def _log_joint(mixture, squares) -> np.ndarray:
    """Return the log of weight times density, in nats, in the shape of `squares`."""
    if mixture.tail is None:
        values = mixture.log_offset - 0.5 * squares
    else:
        dof, d = mixture.tail.degrees_of_freedom, mixture.means.shape[1]
        values = mixture.log_offset - 0.5 * (dof + d) * np.log1p(squares / dof)
    values[np.isnan(values)] = -np.inf
    return values


def posterior(values) -> tuple[np.ndarray, np.ndarray]:
    """Return the log density of each row, and the shares of the components: zero where no one gives density."""
    best = values.max(axis=1, keepdims=True)
    reached = best > -np.inf
    shares = np.exp(np.subtract(values, best, out=np.full_like(values, -np.inf), where=reached))
    shares[shares < RESPONSIBILITY_FLOOR] = 0.0
    total = shares.sum(axis=1, keepdims=True)
    np.divide(shares, total, out=shares, where=reached)
    return (best + np.log(total))[:, 0], shares


@quietly
def log_density(mixture, X, out, n_threads) -> None:
    """Write the log densities of all rows."""
    distances = _squared_distances(mixture, factor_products(mixture))
    for part, rows in tiles(X, sum(mixture.means.shape)):
        out[part, 0] = posterior(_log_joint(mixture, distances(rows)))[0]


@quietly
def responsibilities(mixture, X, out, n_threads) -> None:
    """Write the posterior probabilities of all rows."""
    distances = _squared_distances(mixture, factor_products(mixture))
    for part, rows in tiles(X, sum(mixture.means.shape)):
        density, shares = posterior(_log_joint(mixture, distances(rows)))
        shares[density == -np.inf] = 1.0 / len(mixture.means)
        out[part] = shares


@quietly
def assign(mixture, X, out, n_threads) -> None:
    """Write the most probable component of all rows."""
    distances = _squared_distances(mixture, factor_products(mixture))
    for part, rows in tiles(X, sum(mixture.means.shape)):
        out[part, 0] = _log_joint(mixture, distances(rows)).argmax(axis=1)


@quietly
def accumulate(mixture, X, sample_weight, counts, sums, scatter, n_threads, tail_sums=None) -> float:
    """Add one pass to counts, sums and scatter, and to what a tail wants; return the log-likelihood."""
    log_likelihood, products = 0.0, factor_products(mixture)
    distances = _squared_distances(mixture, products)
    for rows, weight in weighted_tiles(X, sample_weight, sum(mixture.means.shape)):
        squares = distances(rows)
        density, shares = posterior(_log_joint(mixture, squares))
        log_likelihood += float((weight * density).sum())
        shares *= weight[:, None]
        for k, centre in enumerate(mixture.means):
            present = shares[:, k] > 0
            share = shares[present, k]
            counts[k] += share.sum()
            if mixture.tail is not None:
                dof = mixture.tail.degrees_of_freedom[k]
                u = (dof + len(centre)) / (dof + squares[present, k])
                tail_sums[:, k] += share @ u, share @ (np.log(u) - u)
                share = share * u
            if products is None:
                add_moments(mixture.shape, k, rows[present] - centre, share, sums, scatter)
            elif len(share):
                products.add_moments(k, rows[present], share, sums[k], scatter[k])
    return log_likelihood


@quietly
def accumulate_labels(shape, X, sample_weight, labels, centres, counts, sums, scatter, n_threads) -> None:
    """Add rows owned by the component that their label names to counts, sums and scatter."""
    for rows, weight, owners in weighted_tiles(X, sample_weight, sum(centres.shape), labels):
        for k in np.intersect1d(owners, np.arange(len(centres))):
            present = owners == k
            counts[k] += weight[present].sum()
            add_moments(shape, k, rows[present] - centres[k], weight[present], sums, scatter)


def add_moments(shape, k, away, weight, sums, scatter) -> None:
    """Add rows, less the centre of component k, to its sums and its scatter."""
    sums[k] += weight @ away
    away *= np.sqrt(weight)[:, None]  # so that products are symmetric to the bit
    if shape == "full":
        scatter[k] += away.T @ away
    elif shape == "tied":
        scatter += away.T @ away
    elif shape == "diag":
        scatter[k] += np.einsum("nd,nd->d", away, away)
    else:
        scatter[k] += np.einsum("nd,nd->", away, away)
