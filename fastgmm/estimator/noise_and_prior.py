"""What `noise` and `prior` of the estimators mean for given rows."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import numpy as np

from fastgmm.data import ArrayRows, Rows
from fastgmm.data.extent import box_around
from fastgmm.data.standardised import observed_moments, statistics_of_all
from fastgmm.model import Shape
from fastgmm.model.moments import pooled_moments
from fastgmm.model.noise import Box, enclosing_box
from fastgmm.model.priors import ConjugatePrior, default_prior

__all__ = ["InitialNoise", "check_noise", "check_prior"]

# Rows that start as noise are those furthest from this neighbour (Byers and Raftery 1998 use 5 to 20).
NEIGHBOUR = 10


@dataclass(frozen=True)
class InitialNoise:
    """Where the background lies, which rows start in it, and what share of the weight they are."""

    box: Box
    mask: np.ndarray
    share: float


def check_noise(noise, all_rows: Rows, rows: ArrayRows, n_components: int) -> InitialNoise | None:
    """Return which rows start as noise, and the box around all rows of non-zero weight.

    Parameters
    ----------
    noise : float, array-like of bool or None
    all_rows : Rows
    rows : ArrayRows
        All of them, or a sample of a source: those that a start is made of.
    n_components : int

    Raises
    ------
    ValueError
        If a mask has another shape or kind, or leaves too few rows; or if the rows have no volume.
    """
    if noise is None:
        return None
    if not (isinstance(all_rows, ArrayRows) or isinstance(noise, Real)):
        raise ValueError("noise is a mask of rows and X is a source; expected a fraction in (0, 1), or X as an array")
    present = np.ones(rows.n_samples, dtype=bool) if rows.sample_weight is None else rows.sample_weight > 0
    if isinstance(noise, Real):
        mask = _isolated(rows.X, present, float(noise))
    else:
        mask = np.asarray(noise)
        if mask.shape != (rows.n_samples,) or mask.dtype != bool:
            raise ValueError(
                f"noise has shape {mask.shape} and dtype {mask.dtype}; expected a fraction in (0, 1) or a boolean mask "
                f"of shape (n_samples,) = ({rows.n_samples},)"
            )
    n_left = int(np.count_nonzero(present & ~mask))
    if n_left < n_components:
        raise ValueError(
            f"noise leaves {n_left} rows for n_components = {n_components}; expected at least as many, mark fewer rows"
        )
    n_present, n_features = int(np.count_nonzero(present)), rows.n_features
    if all_rows is rows and n_present <= n_features:
        raise ValueError(
            f"noise is spread over the volume of X, and X has none: {n_present} rows in {n_features} features lie in a "
            "plane; expected more rows than features. Use fewer features, such as the first principal components, or "
            "noise=None"
        )
    share = float(np.average(mask, weights=rows.sample_weight))
    # At least half a row, whether weights count rows or sum to one.
    share = float(np.clip(share, 0.5 / max(float(rows.total_weight), float(np.count_nonzero(present))), 0.99))
    box = enclosing_box(rows.X[present]) if all_rows is rows else box_around(all_rows)
    return InitialNoise(box, mask, share)


def _isolated(X, present, fraction):
    from scipy.spatial import cKDTree

    index = np.flatnonzero(present)
    points = X[index].astype(np.float64)
    sd = points.std(axis=0)
    points = points / np.where(sd > 0, sd, 1.0)
    distances = cKDTree(points).query(points, k=[min(NEIGHBOUR + 1, len(points))])[0][:, 0]
    mask = np.zeros(len(X), dtype=bool)
    mask[index[np.argsort(-distances, kind="stable")[: round(fraction * len(points))]]] = True
    return mask


def check_prior(
    prior, rows: ArrayRows, n_components: int, shape: Shape, by_feature: bool = False
) -> ConjugatePrior | None:
    """Return the conjugate prior that 'default' or a dict of its parts means for these rows.

    A default is of the features' variances where `by_feature`, and of whole matrices otherwise.

    Raises
    ------
    ValueError
        If a part is unknown, or has another shape or range.
    """
    if prior is None:
        return None
    given = {} if isinstance(prior, str) else dict(prior)
    unknown = set(given) - {"shrinkage", "mean", "dof", "scale"}
    if unknown:
        raise ValueError(f"prior has the key {sorted(unknown)[0]!r}; expected 'shrinkage', 'mean', 'dof' or 'scale'")
    n_features = rows.n_features
    for name, shapes in (
        ("shrinkage", [()]),
        ("dof", [()]),
        ("mean", [(n_features,)]),
        ("scale", [(), (n_features, n_features)]),
    ):
        if name not in given:
            continue
        value = np.asarray(given[name], dtype=np.float64)
        if value.shape not in shapes or not np.isfinite(value).all():
            expected = " or ".join(map(str, shapes))
            raise ValueError(f"prior[{name!r}] has shape {value.shape}; expected finite numbers of shape {expected}")
        if name in ("shrinkage", "dof") and value < 0:
            raise ValueError(f"prior[{name!r}] is {value:g}; expected a non-negative number")
        if name == "scale" and not (np.linalg.eigvalsh(value if value.ndim else value.reshape(1, 1)) >= 0).all():
            raise ValueError("prior['scale'] is not positive semi-definite; expected a covariance matrix or a variance")
    if by_feature:
        mean, variances = observed_moments(rows)
        return default_prior(mean, variances, n_components, shape, given)
    return default_prior(*pooled_moments(statistics_of_all(rows)), n_components, shape, given)
