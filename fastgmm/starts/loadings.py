"""The first parameters of components with factors in many features: the principal axes of each cluster's rows."""

from __future__ import annotations

import numpy as np

from fastgmm import kernels
from fastgmm.data import ArrayRows
from fastgmm.families.factor_analysers import LEAST_SHARE, WORSE_IN_A_ROW, FactorAnalysers, factor_posterior
from fastgmm.families.low_rank import LowRankFamily
from fastgmm.families.principal_subspaces import chosen_number, most_factors, per_component
from fastgmm.families.sketched import Sketched, with_factors
from fastgmm.model import MixtureParameters, SufficientStatistics
from fastgmm.model.shapes.base import collapse_error
from fastgmm.model.shapes.low_rank import unpacked

__all__ = ["first_loadings"]

#: Rows of a cluster whose principal axes are taken: these, and so many for each factor.
ROWS, ROWS_PER_FACTOR = 500, 20
#: Most factors that are chosen for the user in many features.
MOST_CHOSEN = 20
#: Regressions before numbers of factors are compared.
STEPS_TO_CHOOSE = 8


def first_loadings(
    rows: ArrayRows,
    n_components: int,
    family: Sketched,
    labels: np.ndarray | None,
    first: SufficientStatistics | None,
    random_state: np.random.RandomState,
) -> MixtureParameters:
    """Return the parameters of clusters of rows: means, and the principal axes of a sample of each.

    Parameters
    ----------
    rows : ArrayRows
    n_components : int
    family : Sketched
    labels : ndarray of shape (n_samples,), int64, or None
        Clusters, negative for unknown. None is a cluster for each mean of `first`, of the rows nearest to it.
    first : SufficientStatistics or None
        Of first memberships.
    random_state : RandomState

    Raises
    ------
    ComponentCollapseError
        If a feature is constant in a cluster and nothing is added to variances.
    """
    covariance = family.covariance
    assert isinstance(covariance, LowRankFamily)
    regression = covariance.regression
    assert regression is not None
    if labels is None:
        assert first is not None, "labels, or means"
        centres = first.centres + first.sums / np.maximum(first.counts, 1e-300)[:, None]
        labels, counts = np.empty(rows.n_samples, dtype=np.int64), np.zeros(n_components)
        kernels.assign_nearest(rows.X, rows.sample_weight, centres, labels, counts, np.zeros(centres.shape))
    else:
        centres = np.zeros((n_components, rows.n_features))
        for k in range(n_components):
            members = np.flatnonzero(labels == k)
            centres[k] = rows.X[members[:1000]].mean(axis=0, dtype=np.float64) if len(members) else 0.0
    found = rows.accumulate_labels(labels, "diag", centres)
    counts = found.counts + family.count_floor
    if not counts.min() > 0:
        raise collapse_error(int(np.argmin(counts > 0)), found.counts, None, "no sample belongs to it")
    shift = found.sums / counts[:, None]
    means = centres + shift
    added = np.broadcast_to(np.asarray(family.reg_covar, dtype=np.float64), (rows.n_features,))
    variances = np.maximum(found.scatter / counts[:, None] - shift**2, 0.0) + added
    if not variances.min() > 0:
        failed = int(np.argmin(variances.min(axis=1)))
        raise collapse_error(failed, found.counts, rows.n_features, "a feature is constant in it")
    is_isotropic = regression.noise in ("VII", "EII")
    given = covariance.n_factors
    numbers = None if isinstance(given, str) else per_component(given, n_components)
    # One group of rows for each loadings.
    groups, group_counts, of_group = [labels == k for k in range(n_components)], counts, variances
    if regression.shares_loadings:
        groups, group_counts = [labels >= 0], counts.sum(keepdims=True)
        of_group = (counts / counts.sum() @ variances)[None]
    unit = np.ones_like(of_group) if is_isotropic else np.sqrt(of_group)
    loadings = []
    for k, (group, count) in enumerate(zip(groups, group_counts, strict=True)):
        most = min(most_factors(rows.n_features, count), MOST_CHOSEN) if numbers is None else int(numbers[k])
        members, weight = _sample_of(rows, np.flatnonzero(group), ROWS + ROWS_PER_FACTOR * most, random_state)
        # Each row as long as it weighs, so that the mean of their squares is that of the group.
        away = rows.X[members].astype(np.float64) - means[labels[members]]
        away *= np.sqrt(weight)[:, None] / unit[k]
        values, axes = _principal_axes(away, most)
        total = float(np.einsum("nd,nd->", away, away)) / max(len(away), 1)
        q = most
        if numbers is None:
            of_all = len(away) / count * counts.sum()
            if is_isotropic:
                q = chosen_number(values, total, rows.n_features, most, len(away), of_all, given)
            else:
                q = _chosen_by_regression(away, values, axes, of_all)
        noise = max(total - values[:q].sum(), 0.0) / max(rows.n_features - q, 1)
        loadings.append(unit[k][:, None] * axes[:, :q] * np.sqrt(np.maximum(values[:q] - noise, 1e-3 * noise)))
    width = max(each.shape[1] for each in loadings)
    if numbers is not None:
        width = int(numbers.max(initial=0))
    covariances = np.zeros((n_components, rows.n_features, width + 1))
    whole, noise = unpacked(covariances)
    for k in range(n_components):
        own = loadings[k if len(loadings) > 1 else 0]
        whole[k, :, : own.shape[1]] = own
    del loadings
    explained = np.einsum("kdq,kdq->kd", whole, whole)
    noise[:] = regression.noise_of(np.maximum(variances - explained, LEAST_SHARE * variances), counts)
    return with_factors(counts / counts.sum(), means, covariances, regression, found.counts)


def _sample_of(
    rows: ArrayRows, members: np.ndarray, most: int, random_state: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Return some of the rows of a group by their numbers, and their weights over the mean one."""
    weight = np.ones(len(members)) if rows.sample_weight is None else rows.sample_weight[members]
    members, weight = members[weight > 0], weight[weight > 0]
    if len(members) > most:
        chosen = np.sort(random_state.choice(len(members), most, replace=False))
        members, weight = members[chosen], weight[chosen]
    return members, weight / weight.mean() if len(weight) else weight


def _principal_axes(away: np.ndarray, n_factors: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest eigenvalues of the scatter per row, descending, and their axes (n_features, n_factors)."""
    n_rows, n_features = away.shape
    values, axes = np.zeros(n_factors), np.zeros((n_features, n_factors))
    if n_factors == 0 or n_rows == 0:
        return values, axes
    # By the products of rows with rows, which are fewer than features; or the other way round.
    if n_rows <= n_features:
        found, vectors = np.linalg.eigh(away @ away.T)
        found, vectors = found[::-1][:n_factors], vectors[:, ::-1][:, :n_factors]
        kept = found > n_rows * np.finfo(np.float64).eps * max(found[0], 0.0)
        vectors = away.T @ (vectors[:, kept] / np.sqrt(found[kept]))
    else:
        found, vectors = np.linalg.eigh(away.T @ away)
        found, vectors = found[::-1][:n_factors], vectors[:, ::-1][:, :n_factors]
        kept = found > n_rows * np.finfo(np.float64).eps * max(found[0], 0.0)
        vectors = vectors[:, kept]
    n_kept = int(np.count_nonzero(kept))
    values[:n_kept], axes[:, :n_kept] = found[kept] / n_rows, vectors
    return values, axes


def _chosen_by_regression(away: np.ndarray, values: np.ndarray, axes: np.ndarray, of_all: float) -> int:
    """Return the number of factors of the lowest BIC, each after a few regressions of the rows on their factors."""
    n_rows, n_features = away.shape
    variances, count = np.einsum("nd,nd->d", away, away)[None] / n_rows, np.array([float(n_rows)])
    best, chosen, n_worse, regression = np.inf, 0, 0, FactorAnalysers()
    for q in range(len(values) + 1):
        rest = max(float(variances.sum()) - values[:q].sum(), 0.0) / max(n_features - q, 1)
        loadings = (axes[:, :q] * np.sqrt(np.maximum(values[:q] - rest, 1e-3 * rest)))[None]
        noise = np.maximum(variances - (loadings**2).sum(axis=2), LEAST_SHARE * variances)
        for step in range(STEPS_TO_CHOOSE + 1):
            factors, spread = factor_posterior(loadings, noise)
            sketch = (away.T @ (away @ factors[0]) / n_rows)[None]
            if step < STEPS_TO_CHOOSE:
                loadings, noise = regression.step(sketch, variances, factors, spread, noise, count)
        deviance = np.log(noise).sum() - np.linalg.slogdet(spread[0])[1] + (variances / noise).sum()
        deviance -= (sketch * (loadings / noise[..., None])).sum()
        bic = n_rows * deviance + (n_features * q - q * (q - 1) // 2) * np.log(max(of_all, 1.0))
        n_worse = 0 if bic < best else n_worse + 1
        if bic < best:
            best, chosen = bic, q
        if n_worse == WORSE_IN_A_ROW:
            break
    return chosen
