"""k-means++ and the swaps after it: a loop in Python over an engine's passes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["choose_centres"]

#: Distances held at a time, rows times centres.
BLOCK_VALUES = 1 << 20


def _drawn(cumulative, positions):
    """Return the rows at `positions` of the cumulative weight, never one of no weight."""
    total = cumulative[-1]
    index = np.searchsorted(cumulative, positions * total, side="right")
    return np.minimum(index, np.searchsorted(cumulative, total, side="left"))


def choose_centres(passes, X, weight, positions, n_greedy, n_candidates, n_swaps, distances, chosen, n_threads) -> None:
    """Choose rows as centres; see `fastgmm.kernels`. All arrays are as the kernels take them.

    `passes` holds ``candidate_potentials`` and ``update_distances``.
    """
    n, k = len(X), len(chosen)
    flat = np.arange(1.0, n + 1) if weight is None else np.cumsum(weight)
    potentials = np.empty(n_candidates)
    at = 0
    for i in range(k):
        count = n_candidates if 0 < i < n_greedy else 1
        cumulative = _cumulative(distances, weight) if i > 0 else flat
        # Every row sits on a centre already: any row will do.
        drawn = _drawn(cumulative if cumulative[-1] > 0 else flat, positions[at : at + count])
        at += count
        chosen[i] = drawn[0]
        if count > 1:
            potentials[:] = 0.0
            candidates = X[drawn].astype(np.float64)
            passes["candidate_potentials"](X, weight, candidates, distances, potentials, n_threads)
            chosen[i] = drawn[np.argmin(potentials)]
        passes["update_distances"](X, X[chosen[i] : chosen[i] + 1].astype(np.float64), distances, n_threads)
    if k > 1 and n_swaps:
        _swap(passes, X, weight, positions[at:], distances, chosen, n_threads)


def _cumulative(distances, weight):
    return np.cumsum(distances if weight is None else distances * weight, dtype=np.float64)


def _swap(passes, X, weight, positions, distances, chosen, n_threads):
    k = len(chosen)
    centres = X[chosen].astype(np.float64)
    enough = 1.0 - 0.25 / k
    known = _neighbours(X, centres)
    cumulative = _cumulative(known.first, weight)
    failures = 0
    for position in positions:
        if failures >= 8 + k or not cumulative[-1] > 0:
            break
        drawn = int(_drawn(cumulative, np.array([position]))[0])
        to_drawn = np.full_like(distances, np.inf)
        passes["update_distances"](X, X[drawn : drawn + 1].astype(np.float64), to_drawn, n_threads)
        kept = np.minimum(to_drawn, known.first)
        lost = (np.minimum(to_drawn, known.second) - kept).astype(np.float64)
        if weight is not None:
            kept, lost = kept * weight, lost * weight
        out_costs = np.bincount(known.nearest, weights=lost, minlength=k)
        out = int(out_costs.argmin())
        if not kept.sum(dtype=np.float64) + out_costs[out] < enough * cumulative[-1]:
            failures += 1
            continue
        failures = 0
        chosen[out], centres[out] = drawn, X[drawn]
        _replace(known, X, centres, out, to_drawn)
        cumulative = _cumulative(known.first, weight)
    distances[:] = known.first


class _Neighbours(NamedTuple):
    """Of each row: the two nearest centres, and the squared distances to them."""

    nearest: np.ndarray
    next: np.ndarray
    first: np.ndarray
    second: np.ndarray


def _neighbours(X, centres):
    found = _Neighbours(*(np.empty(len(X), dtype=dtype) for dtype in (np.int64, np.int64, X.dtype, X.dtype)))
    step = max(1, BLOCK_VALUES // (len(centres) * X.shape[1]))
    for start in range(0, len(X), step):
        part = slice(start, start + step)
        squares = ((X[part, None, :] - centres) ** 2).sum(axis=2)
        order = np.argpartition(squares, 1, axis=1)[:, :2]
        pair = np.take_along_axis(squares, order, axis=1)
        swapped = pair[:, 1] < pair[:, 0]
        order[swapped], pair[swapped] = order[swapped, ::-1], pair[swapped, ::-1]
        found.nearest[part], found.next[part] = order.T
        found.first[part], found.second[part] = pair.T
    return found


def _replace(known, X, centres, out, to_new):
    """Take it into account that centre `out` is another now, `to_new` away from each row.

    What the two nearest were, or the new one, tells nearly all rows' nearest; others are looked at again.
    """
    was_nearest, was_next = known.nearest == out, known.next == out
    again = (was_nearest | was_next) & ~(to_new <= known.second)
    nearest_now = ~again & (was_nearest | (to_new < known.first))
    moved_down = nearest_now & ~was_nearest
    known.second[moved_down], known.next[moved_down] = known.first[moved_down], known.nearest[moved_down]
    next_now = ~again & ~nearest_now & ((to_new < known.second) | was_next)
    known.first[nearest_now], known.nearest[nearest_now] = to_new[nearest_now], out
    known.second[next_now], known.next[next_now] = to_new[next_now], out
    found = _neighbours(X[again], centres)
    for mine, theirs in zip(known, found, strict=True):
        mine[again] = theirs
