"""Two dimensions out of many: linear views, under which a Gaussian mixture stays one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import linalg

from fastgmm.plotting.moments import Moments, moments_of
from fastgmm.plotting.rows import feature_names, feature_number, rows_of

__all__ = ["View", "between_view", "feature_view", "pca_view", "seen_in", "view_of"]


#: Features that a direction is named by, and the least of their loadings, as a share of the largest.
MOST_LOADINGS, LEAST_LOADING = 3, 0.7
#: Characters of their names, which an axis holds.
MOST_CHARACTERS = 45


@dataclass(frozen=True)
class View:
    """``(x - origin) @ axes``.

    Attributes
    ----------
    origin : ndarray of shape (n_features,)
        What is seen at zero.
    axes : ndarray of shape (n_features, n_axes)
        The directions that are seen.
    labels : list of str
        Of the axes.

    See Also
    --------
    fastgmm.plotting.plot_clusters : Takes it as `view`.
    """

    origin: np.ndarray
    axes: np.ndarray
    labels: list[str]

    def rows(self, X: np.ndarray) -> np.ndarray:
        """Return the rows as they are seen, shape (n_samples, n_axes); NaN where a feature is missing for an axis.

        See Also
        --------
        mixture : The mixture in the plane.
        """
        away = np.asarray(X, dtype=np.float64) - self.origin
        missing = np.isnan(away)
        if not missing.any():
            return away @ self.axes
        # What an axis does not look at is not missed.
        return np.where(missing @ (self.axes != 0.0), np.nan, np.where(missing, 0.0, away) @ self.axes)

    def mixture(self, moments: Moments) -> Moments:
        """Return the mixture as it is seen: exactly the marginal distribution of the rows' view.

        See Also
        --------
        rows : The rows in the plane.
        """
        covariances = np.matmul(self.axes.T, moments.covariances) @ self.axes
        return replace(moments, means=self.rows(moments.means), covariances=covariances)


def feature_view(features: Sequence[int | str], names: Sequence[str]) -> View:
    """Return the view of some of the features as they are, by number or name."""
    columns = [feature_number("view", feature, names) for feature in features]
    return View(np.zeros(len(names)), np.eye(len(names))[:, columns], [names[j] for j in columns])


def pca_view(moments: Moments, names: Sequence[str] = ()) -> View:
    """Return the view along the directions of largest variance of the whole mixture."""
    values, vectors = linalg.eigh(moments.within + moments.between)
    share = values[::-1] / values.sum()
    axes = _signed(vectors[:, ::-1][:, :2], moments)
    titles = [f"principal component {j + 1} ({share[j]:.0%} of variance)" for j in (0, 1)]
    return View(moments.mean, axes, _with_loadings(titles, axes, moments, names))


def between_view(moments: Moments, names: Sequence[str] = ()) -> View:
    """Return the view along the directions in which the components differ most, in means and in covariances.

    Eigenvectors of ``B S^-1 B + sum_k w_k (C_k - W) S^-1 (C_k - W)`` with respect to the covariance S of the mixture,
    W the mean covariance within and B the covariance between components. One unit is a standard deviation of the
    whole mixture.

    References
    ----------
    Scrucca, "Dimension reduction for model-based clustering", Statistics and Computing 20 (2010), section 3.
    """
    between, within = moments.between, moments.within
    total = between + within
    factor = linalg.cho_factor(total)
    kernel = between @ linalg.cho_solve(factor, between)
    for weight, covariance in zip(moments.weights, moments.covariances, strict=True):
        kernel += weight * (covariance - within) @ linalg.cho_solve(factor, covariance - within)
    vectors = linalg.eigh((kernel + kernel.T) / 2.0, total)[1]
    axes = _signed(vectors[:, ::-1][:, :2], moments)
    titles = [f"direction {j + 1} between components" for j in (0, 1)]
    return View(moments.mean, axes, _with_loadings(titles, axes, moments, names))


def view_of(moments: Moments, view: str | View | Sequence[int | str], names: Sequence[str]) -> View:
    """Return the view that a plot's argument `view` asks for.

    Parameters
    ----------
    moments : Moments
    view : {'auto', 'pca', 'between'}, View or pair of int or str
        'auto': the features as they are where there are two, otherwise 'between', or 'pca' for one component.
        A pair: those two features, by number or name.
    names : sequence of str
        The names of the features.
    """
    n_components, n_features = moments.means.shape
    if isinstance(view, View):
        return view
    if n_features < 2:
        raise ValueError("the model has 1 feature; expected two or more: use plot_histogram")
    if view == "auto":
        view = (0, 1) if n_features == 2 else "between" if n_components > 1 else "pca"
    if isinstance(view, str):
        views = {"pca": pca_view, "between": between_view}
        if view not in views:
            raise ValueError(f"view is {view!r}; expected 'auto', 'pca', 'between', or a pair of features")
        return views[view](moments, names)
    if len(view) != 2:
        raise ValueError(f"view is {tuple(view)}; expected a pair of features")
    return feature_view(view, names)


def seen_in(model: Any, X: Any, view: Any, names: Any = None) -> tuple[np.ndarray, View, Moments]:
    """Return rows as an array, the view that a plot asks for, and the mixture as it is seen there."""
    names = feature_names(model, X, names)
    X, moments = rows_of(model, X), moments_of(model)
    plane = view_of(moments, view, names)
    return X, plane, plane.mixture(moments)


def _with_loadings(titles: list[str], axes: np.ndarray, moments: Moments, names: Sequence[str]) -> list[str]:
    """Return labels of directions with the features that load on each, the largest first, with their signs.

    A loading is the correlation of the feature with the direction: coefficients of features that depend on each other
    say little.
    """
    if not len(names):
        return titles
    loadings = _loadings(axes, moments)
    labels = []
    for title, loading in zip(titles, loadings.T, strict=True):
        order = np.argsort(-np.abs(loading), kind="stable")
        words = ""
        for j in order[:MOST_LOADINGS]:
            word = ("" if loading[j] > 0 else "\N{MINUS SIGN}") + names[j]
            if abs(loading[j]) < LEAST_LOADING * abs(loading[order[0]]) or len(words) + len(word) > MOST_CHARACTERS:
                break
            words += f", {word}" if words else word
        labels.append(f"{title}\nmostly {words}" if words else title)
    return labels


def _loadings(axes: np.ndarray, moments: Moments) -> np.ndarray:
    """Return the correlation of each feature with each direction, shape (n_features, n_axes)."""
    total = moments.within + moments.between
    deviations = np.sqrt(np.diagonal(total))[:, None] * np.sqrt(np.einsum("ij,ik,kj->j", axes, total, axes))
    return total @ axes / np.where(deviations > 0, deviations, 1.0)


def _signed(axes: np.ndarray, moments: Moments) -> np.ndarray:
    # An eigenvector's sign is arbitrary: its largest loading is made positive, so that pictures can be compared.
    loadings = _loadings(axes, moments)
    largest = np.abs(loadings).argmax(axis=0)
    return axes * np.where(loadings[largest, np.arange(axes.shape[1])] < 0, -1.0, 1.0)
