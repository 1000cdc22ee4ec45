"""What a mixture expects of values that are missing in rows, and draws of them.

Given the features observed, a row is of component k with its posterior probability, and what is missing is then
distributed as that component has it given what is observed: a normal, or t, distribution about the regression on it.

A draw needs no factor of each row's own conditional covariance. With z drawn from the component as a whole,
``z_m - S_mo S_oo^-1 z_o`` has that covariance, S being the component's (Matheron's rule).

References
----------
Rubin, Multiple Imputation for Nonresponse in Surveys (1987), chapter 3 (draws, and how to combine what is made of
them). Journel and Huijbregts, Mining Geostatistics (1978), section VII.A.1 (the rule).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastgmm.data import each_by_itself, incomplete_by_factors
from fastgmm.data.each_by_itself import SomeRows
from fastgmm.data.incomplete_by_factors import RowsByFactors
from fastgmm.data.patterns import Patterns
from fastgmm.inference.sampling import student_stretch
from fastgmm.model.marginals import Marginals
from fastgmm.model.shapes.full import lower_factor
from fastgmm.model.shapes.low_rank import unpacked

__all__ = ["drawn_values", "expected_values"]

_Draw = Callable[[Any, np.ndarray, np.random.RandomState], np.ndarray]


def expected_values(X: np.ndarray, density: Any) -> np.ndarray:
    """Return the rows with what is missing (NaN) replaced by its expectation given what is not.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    density : object with what the kernels read
        A mixture, or one beside a background, whose rows are expected in the middle of its box.

    Returns
    -------
    ndarray of shape (n_samples, n_features), of the dtype of X
        What was observed is as it was, to the bit.
    """
    out, marginals = np.array(X), _marginals_of(density)
    for some in _incomplete_rows(out, marginals):
        values = _conditional_means(some, marginals)
        if marginals.background is not None:
            values = np.insert(values, marginals.background, marginals.box.middle, axis=1)
        out[some.index] = np.where(some.masks, X[some.index], np.einsum("nk,nkd->nd", some.shares, values))
    return out


def drawn_values(X: np.ndarray, density: Any, n_draws: int, random_state: np.random.RandomState) -> np.ndarray:
    """Return draws of the rows, in which what is missing (NaN) is drawn given what is not.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    density : object with what the kernels read
    n_draws : int
    random_state : RandomState

    Returns
    -------
    ndarray of shape (n_draws, n_samples, n_features), of the dtype of X
    """
    out, marginals = np.repeat(np.asarray(X)[None], n_draws, axis=0), _marginals_of(density)
    n_own, draws = len(marginals.means), (_drawn_by_factors if marginals.shape.n_factors is not None else _drawn_rest)
    drawn = draws(marginals)
    for some in _incomplete_rows(np.asarray(X), marginals):
        means, n_rows = _conditional_means(some, marginals), len(some.index)
        every, cumulative = np.arange(n_rows), np.cumsum(some.shares, axis=1)
        for draw in out:
            place = random_state.uniform(size=(n_rows, 1)) * cumulative[:, -1:]
            chosen = (cumulative <= place).sum(axis=1).clip(max=some.shares.shape[1] - 1)
            own = chosen if marginals.background is None else np.minimum(chosen, n_own - 1)
            rest = drawn(some, own, random_state)
            if marginals.tail is not None:
                dof = marginals.tail.degrees_of_freedom[own]
                inflation = (dof + some.squares[every, own]) / (dof + some.n_observed)
                stretch = student_stretch(dof + some.n_observed, n_rows, random_state)
                rest *= (stretch * np.sqrt(inflation))[:, None]
            values = means[every, own] + rest
            if marginals.background is not None:
                anywhere = marginals.box.sample(n_rows, random_state)
                values = np.where((chosen == marginals.background)[:, None], anywhere, values)
            draw[some.index] = np.where(some.masks, X[some.index], values)
    return out


def _marginals_of(density: Any) -> Marginals:
    box = getattr(density, "box", None)
    return Marginals(density, box, None if box is None else density.background)


def _incomplete_rows(X: np.ndarray, marginals: Marginals) -> Iterator[Any]:
    if not np.isnan(X).any():
        return
    patterns = Patterns(X)
    each = each_by_itself if marginals.shape.n_factors is None else incomplete_by_factors
    yield from each.blocks(marginals, patterns, np.flatnonzero(~patterns.masks.all(axis=1)))


def _conditional_means(some: Any, marginals: Marginals) -> np.ndarray:
    """Return what is expected of rows given each component without a background, (n_rows, n_components, n_features)."""
    if marginals.shape.n_factors is not None:
        return incomplete_by_factors.conditional_means(some, marginals)
    if not marginals.shape.is_matrix:
        return np.broadcast_to(marginals.means, some.whitened.shape)
    return marginals.means + marginals.shape.times(marginals.covariances, some.whitened)


def _drawn_rest(marginals: Marginals) -> _Draw:
    """Return draws about the expectations, ``(some, components, random_state) -> (n_rows, n_features)``."""
    lower = lower_factor(marginals.shape.full(marginals.covariances, len(marginals.means), marginals.n_features))

    def draw(some: SomeRows, own: np.ndarray, random_state: np.random.RandomState) -> np.ndarray:
        noise = random_state.standard_normal((len(own), marginals.n_features))
        whole = np.einsum("nfg,ng->nf", lower[own], noise)
        return whole - _explained(some, marginals, own, whole)

    return draw


def _drawn_by_factors(marginals: Marginals) -> _Draw:
    """Return the same of components that have loadings and noise: draws of the factors, and of the noise."""
    covariances = marginals.shape.covariances_of(marginals.density.precisions_cholesky[marginals._own])
    loadings, noise = unpacked(covariances)

    def draw(some: RowsByFactors, own: np.ndarray, random_state: np.random.RandomState) -> np.ndarray:
        lower = np.linalg.cholesky(some.spread[own, some.which])
        factors = random_state.standard_normal((len(own), loadings.shape[2], 1))
        rest = (loadings[own] @ (lower @ factors))[..., 0]
        return rest + np.sqrt(noise[own]) * random_state.standard_normal(rest.shape)

    return draw


def _explained(some: SomeRows, marginals: Marginals, own: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return what the observed features of a draw say of its others: ``S Q z``, and z itself of those observed."""
    shape, n_own = marginals.shape, len(marginals.means)
    if not shape.is_matrix:
        return np.zeros_like(whole)
    precisions = np.broadcast_to(some.precisions, (len(some.precisions), n_own, *some.precisions.shape[2:]))
    inner = (precisions[some.which, own] @ whole[..., None])[..., 0]
    covariances = shape.untie(marginals.covariances, n_own)
    return np.einsum("nfg,ng->nf", covariances[own], inner)
