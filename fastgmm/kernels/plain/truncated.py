"""Passes that ask a few components of each row: of many rows together, component by component."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastgmm.kernels.plain.mixture import add_moments, factor_products, squared_distances_from
from fastgmm.kernels.plain.tiles import quietly

__all__ = ["accumulate_truncated", "refine_neighbors"]

_MASK = (1 << 64) - 1
#: A component that would get less of a row than e^-64 of what its best gets is no candidate of it.
CANDIDATE_SPAN = 64.0
#: Pairs of a row and a component that it asks, at a time: as many as keep a component's rows together.
TILE_PAIRS = 1 << 20


def _drawn(seed, rows, count, n_random) -> np.ndarray:
    """Return numbers below `count` for each row that depend on seed, row and turn alone: SplitMix64's."""
    rows, turns = np.asarray(rows, dtype=np.uint64)[:, None], range(n_random)
    further = np.array([turn * 0xD1B54A32D192ED03 & _MASK for turn in turns], dtype=np.uint64)
    z = np.uint64(seed & _MASK) + rows * np.uint64(0x9E3779B97F4A7C15) + further
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(32)) * np.uint64(count) >> np.uint64(32)).astype(np.int32)


def _near(neighbors, held) -> np.ndarray:
    """Return the neighbours of the components that each row holds; negative for none."""
    found = np.full((*held.shape, neighbors.shape[1]), -1, dtype=np.int32)
    found[held >= 0] = neighbors[held[held >= 0]]
    return found.reshape(len(held), -1)


def _each_once(asked) -> np.ndarray:
    """Return the components in the lines of `asked` in order; negative where one comes again."""
    asked = np.sort(asked, axis=1)
    asked[:, 1:][asked[:, 1:] == asked[:, :-1]] = -1
    return asked


def _by_component(asked) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each component in `asked`, and its places there, of the array laid out flat."""
    places = np.flatnonzero(asked.ravel() >= 0)
    components = asked.ravel()[places]
    order = np.argsort(components, kind="stable")
    places, components = places[order], components[order]
    starts = np.flatnonzero(np.diff(components, prepend=-1))
    for first, last in zip(starts, [*starts[1:], len(places)], strict=True):
        yield int(components[first]), places[first:last]


def _values(mixture, products, rows, asked) -> np.ndarray:
    """Return the log of weight times density of rows under the components that each asks; -inf for none."""
    values = np.full(asked.shape, -np.inf)
    for k, places in _by_component(asked):
        own = rows[places // asked.shape[1]].astype(np.float64, copy=False)
        found = mixture.log_offset[k] - 0.5 * squared_distances_from(mixture, products, k, own)
        values.ravel()[places] = np.where(np.isnan(found), -np.inf, found)
    return values


def _best(values, asked, kept, span=np.inf) -> tuple[np.ndarray, np.ndarray]:
    """Return the components of highest value, the first of equals first, and their values, none further below."""
    order = np.argsort(-values, axis=1, kind="stable")[:, :kept]
    best, values = np.take_along_axis(asked, order, axis=1), np.take_along_axis(values, order, axis=1)
    there = (values > -np.inf) & (values >= values[:, :1] - span)
    return np.where(there, best, -1), np.where(there, values, -np.inf)


@quietly
def accumulate_truncated(
    mixture, X, sample_weight, neighbors, candidates, n_random, seed, first_row, statistics, turn=0, n_turns=1
) -> tuple[float, int]:
    """Ask a few components of each row, and add the best of them to the statistics, where there are any."""
    total, n_evaluated, kept = 0.0, 0, candidates.shape[1]
    span = np.inf if statistics is None else CANDIDATE_SPAN
    products = factor_products(mixture)
    step = max(1, TILE_PAIRS // (kept * (1 + neighbors.shape[1]) + n_random))
    for start in range(0, len(X), step):
        rows, held = X[start : start + step], candidates[start : start + step]
        numbers = first_row + start + np.arange(len(rows))
        further = np.hstack([_near(neighbors, held), _drawn(seed, numbers, len(mixture.means), n_random)])
        further[(held[:, 0] >= 0) & (held[:, 0] % n_turns != turn)] = -1
        asked = _each_once(np.hstack([held, further]))
        n_evaluated += int(np.count_nonzero(asked >= 0))
        best, values = _best(_values(mixture, products, rows, asked), asked, kept, span)
        weight = np.ones(len(rows)) if sample_weight is None else sample_weight[start : start + step]
        found = best[:, 0] >= 0
        held[found] = best[found]
        shares = np.where(best >= 0, np.exp(values - values[:, :1]), 0.0)
        density = np.where(found, values[:, 0] + np.log(shares.sum(axis=1)), -np.inf)
        total += float(weight[weight > 0] @ density[weight > 0])
        if statistics is not None:
            shares *= (weight / np.where(found, shares.sum(axis=1), 1.0))[:, None]
            _add(mixture, products, rows, best, shares, *statistics)
    return total, n_evaluated


def _add(mixture, products, rows, best, shares, counts, sums, scatter) -> None:
    for k, places in _by_component(best):
        own = rows[places // best.shape[1]].astype(np.float64, copy=False)
        share = shares.ravel()[places]
        counts[k] += share.sum()
        if products is None:
            add_moments(mixture.shape, k, own - mixture.means[k], share, sums, scatter)
        else:
            products.add_moments(k, own, share, sums[k], scatter[k])


@quietly
def refine_neighbors(mixture, old, neighbors, n_random, seed) -> None:
    """Write the components near each one, of those near it before, theirs and some drawn."""
    (k, d), products = mixture.means.shape, factor_products(mixture)
    traces, half_log_dets = _spreads(mixture) if products is None else products.spreads()
    variances = np.exp(-2.0 / d * half_log_dets)
    step = max(1, TILE_PAIRS // ((1 + old.shape[1]) * old.shape[1] + n_random))
    for start in range(0, k, step):
        part = np.arange(start, min(k, start + step))
        asked = np.hstack([old[part], _near(old, old[part]), _drawn(seed, part, k, n_random)])
        asked[asked == part[:, None]] = -1
        asked = _each_once(asked)
        values = _values(mixture, products, mixture.means[part], asked)
        values -= 0.5 * variances[part, None] * np.where(asked >= 0, traces[asked], 0.0)
        neighbors[part] = _best(values, asked, neighbors.shape[1])[0]


def _spreads(mixture) -> tuple[np.ndarray, np.ndarray]:
    """Return the traces of the precisions and half the logarithms of their determinants, both (n_components,)."""
    (k, d), factor = mixture.means.shape, mixture.factor
    if mixture.shape == "spherical":
        return d * factor**2, d * np.log(factor)
    if mixture.shape == "diag":
        return (factor**2).sum(axis=1), np.log(factor).sum(axis=1)
    log_det = np.log(np.diagonal(factor, axis1=-2, axis2=-1)).sum(axis=-1)
    return np.broadcast_to((factor**2).sum(axis=(-2, -1)), (k,)), np.broadcast_to(log_det, (k,))
