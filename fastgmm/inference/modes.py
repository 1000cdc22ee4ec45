"""The modes of a mixture: climbs from the means, and from where components overlap.

Every mode lies where precisions weighed by some a >= 0 balance, at ``(sum a P)^-1 sum a P m``: the ridgeline manifold.
So climbs begin at the means, at the middle of the curve between two components, at the peaks of the density along it,
and at the middle of three. Of two components every mode is a peak along their curve, so none is missed but between its
points.

References
----------
Carreira-Perpinan (2000), Mode-finding for mixtures of Gaussian distributions, IEEE PAMI 22: the fixed point, section
4.3; that a mode is a maximum is seen by its Hessian, section 4.1. Ray and Lindsay (2005), The topography of
multivariate normal mixtures, Annals of Statistics 33, theorem 1: the ridgeline manifold.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from fastgmm.inference.density import log_density
from fastgmm.inference.derivatives import FLOAT64, Derivatives

__all__ = ["find_modes"]

#: Steps of the search for modes. Each is at least one of the fixed point, which is EM, and near a mode Newton's.
MAX_ITER = 1000
#: Of the distance to the mode, in standard deviations, at which a search ends; and at which two have found the same.
TOLERANCE, SAME = 1e-9, 1e-3
#: Curvature, in that of the components there, above which a point is no maximum; and how far it is left.
UPWARD, PUSH = 1e-6, 1e-2
#: Points of the curve between two components at which the density is looked at.
N_ON_CURVE = 33
#: Neighbours of a component whose curves are looked at; the squared distance, in the sum of both covariances, beyond
#: which two make no mode between them; and most multiplications on all curves, of which the nearest pairs come first.
N_NEIGHBORS, APART, MOST_WORK = 8, 12.0, 5e9
#: Numbers of the largest array of a climb: further starts are left out.
MOST_VALUES = 1 << 23


def find_modes(density: Any, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the modes that climbs from the means and from between the components lead to, the highest first.

    The density is climbed by the fixed point ``x = (sum r u P)^-1 sum r u P m``, which is a step of EM and never falls,
    or by Newton's step where that leads higher. Where a climb ends on a saddle, it goes on along the direction that
    leads up, both ways.

    Parameters
    ----------
    density : object with what the kernels read
    means : ndarray of shape (n_components, n_features), float64
        Those of its components, without a background's.

    Returns
    -------
    modes : ndarray of shape (n_modes, n_features), float64
    labels : ndarray of shape (n_components,), int64
        Mode that each mean leads to.
    """
    derivatives = Derivatives(density)
    starts = np.concatenate([means, _between(derivatives)])
    points, precision, upward = _climbed(derivatives, np.array(starts, dtype=np.float64))
    others = np.empty((0, means.shape[1]))
    for _ in range(3):
        ridge = np.flatnonzero(np.isfinite(upward).all(axis=1))
        if not len(ridge):
            break
        step = upward[ridge]
        both = np.concatenate([points[ridge] + step, points[ridge] - step])
        both, both_precision, both_upward = _climbed(derivatives, both)
        others = np.concatenate([others, both[len(ridge) :]])
        points[ridge], precision[ridge] = both[: len(ridge)], both_precision[: len(ridge)]
        upward[ridge] = both_upward[: len(ridge)]
    everything = np.concatenate([points, others])
    heights = log_density(everything, density, FLOAT64)
    modes: list[int] = []
    labels = np.empty(len(everything), dtype=np.int64)
    metric = derivatives.of_mixture(everything)[2]
    for i in np.argsort(-heights, kind="stable"):
        away = everything[modes] - everything[i]
        near = np.flatnonzero(np.einsum("md,de,me->m", away, metric[i], away) < SAME**2)
        labels[i] = near[0] if len(near) else len(modes)
        if not len(near):
            modes.append(int(i))
    return everything[modes], labels[: len(means)]


def _between(derivatives: Derivatives) -> np.ndarray:
    """Return points between overlapping components from which climbs may lead to modes of their own, (n, D)."""
    density, pairs = derivatives.density, _overlapping(derivatives)
    n_components, n_features = density.means.shape
    shares = np.linspace(0.0, 1.0, N_ON_CURVE)[1:-1]
    found = []
    for pair in pairs:
        curve = _ridgeline(derivatives, pair, np.column_stack([1.0 - shares, shares]))
        heights = log_density(curve, density, FLOAT64)
        peaks = np.flatnonzero((heights[1:-1] >= heights[:-2]) & (heights[1:-1] >= heights[2:])) + 1
        # Its middle too: a third component may bend the density so that the curve has no peak near a mode.
        found.append(curve[np.union1d(peaks, len(curve) // 2)])
    linked = set(pairs)
    after: dict[int, list[int]] = {}
    for i, j in pairs:
        after.setdefault(i, []).append(j)
    for i, others in after.items():
        for j, k in combinations(others, 2):
            if (j, k) in linked:
                found.append(_ridgeline(derivatives, (i, j, k), np.full((1, 3), 1.0 / 3.0)))
    points = np.concatenate([np.empty((0, n_features)), *found])
    return points[: MOST_VALUES // (n_components * n_features + n_features**2)]


def _overlapping(derivatives: Derivatives) -> list[tuple[int, int]]:
    """Return pairs of components, in order, that are near enough to make a mode between them."""
    means, weighty = derivatives.density.means, np.isfinite(derivatives.density.log_offset)
    n_components, n_features = means.shape
    if n_components == 1:
        return []
    covariances = np.linalg.inv(derivatives.full)
    units = np.sqrt(np.einsum("kdd->d", covariances) / n_components)
    scaled = means / units
    apart = (scaled**2).sum(axis=1)[:, None] - 2.0 * scaled @ scaled.T + (scaled**2).sum(axis=1)
    np.fill_diagonal(apart, np.inf)
    nearest = np.argsort(apart, axis=1, kind="stable")[:, :N_NEIGHBORS]
    pairs = sorted({(min(k, j), max(k, j)) for k in range(n_components) for j in nearest[k].tolist() if j != k})
    first, second = np.array(pairs).T
    between = means[second] - means[first]
    solved = np.linalg.solve(covariances[first] + covariances[second], between[..., None])[..., 0]
    distances = np.einsum("pd,pd->p", between, solved)
    distances[~(weighty[first] & weighty[second])] = np.inf
    n_most = int(MOST_WORK / (N_ON_CURVE * n_features**2 * (n_components + n_features)))
    kept = np.argsort(distances, kind="stable")[:n_most]
    kept = np.sort(kept[distances[kept] < APART])
    return [pairs[p] for p in kept]


def _ridgeline(derivatives: Derivatives, chosen: tuple[int, ...], shares: np.ndarray) -> np.ndarray:
    """Return ``(sum a P)^-1 sum a P m`` of the components chosen for each row of shares a, (n, D)."""
    members = list(chosen)
    precisions = derivatives.full[members]
    weighed = np.einsum("kde,ke->kd", precisions, derivatives.density.means[members])
    return np.linalg.solve(np.tensordot(shares, precisions, axes=1), (shares @ weighed)[..., None])[..., 0]


def _climbed(derivatives: Derivatives, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where climbs end, the precision there, and a step that leads up from there, NaN where none does."""
    density, active = derivatives.density, np.arange(len(points))
    precision = np.empty((*points.shape, points.shape[1]))
    upward = np.full(points.shape, np.nan)
    for _ in range(MAX_ITER):
        x = points[active]
        slope, curvature, precision[active] = derivatives.of_mixture(x)
        step = np.linalg.solve(precision[active], slope[..., None])[..., 0]
        # Newton's step, where the density bends down in every direction.
        bends = np.linalg.eigvalsh(curvature)[:, -1] < 0
        newton = step.copy()
        newton[bends] = -np.linalg.solve(curvature[bends], slope[bends][..., None])[..., 0]
        heights = log_density(np.concatenate([x + step, x + newton]), density, FLOAT64)
        higher = heights[len(x) :] > heights[: len(x)]
        step = np.where(higher[:, None], newton, step)
        points[active] = x + step
        lengths = np.sqrt(np.maximum(np.einsum("nd,nde,ne->n", step, precision[active], step), 0.0))
        active = active[lengths > TOLERANCE]
        if not len(active):
            break
    for i, (matrix, weighed) in enumerate(zip(derivatives.of_mixture(points)[1], precision, strict=True)):
        lower = np.linalg.cholesky(weighed)
        inverse = np.linalg.inv(lower)
        values, vectors = np.linalg.eigh(inverse @ matrix @ inverse.T)
        if values[-1] > UPWARD:
            direction = inverse.T @ vectors[:, -1]
            # One sign on every machine.
            upward[i] = PUSH * direction * np.sign(direction[np.argmax(np.abs(direction))])
    return points, precision, upward
