"""Nearest centres: the passes of k-means and of k-means++."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgmm.kernels.numba.blocks import shifted_squares
from fastgmm.kernels.numba.cache import SOURCES, entry
from fastgmm.kernels.numba.evaluate import load_tile
from fastgmm.kernels.numba.lanes import bare, fill, fma, inlined, lanes_of, load, select, smaller, store, total
from fastgmm.kernels.numba.layout import Arena, flat, weights_for
from fastgmm.kernels.numba.strips import run_strips, strip_rows_for

__all__ = ["assign_nearest", "candidate_potentials", "update_distances"]

#: Centres that share the loads of a row.
GROUP = 4


class Centres(NamedTuple):
    """Centres about their own mean, negated; in groups, of which the last repeats its last centre."""

    k: int
    d: int
    centre: np.ndarray  # (d)
    shifts: np.ndarray  # (groups, d, members of a group)


class NearestTile(NamedTuple):
    """Scratch for rows in work; flat, of the rows' dtype."""

    stride: int
    rows: np.ndarray  # (d, stride) about the centre, transposed
    lowest: np.ndarray  # (stride)
    nearest: np.ndarray  # (stride) index of a centre, exact as a float below 2^24
    weights: np.ndarray  # (stride)


@inlined
def _group_distances(centres, tile, n, first):
    """Return the squared distances of the rows from n to the group of centres from `first` on."""
    zero = fill(tile.rows, 0.0)
    distances = (zero, zero, zero, zero)
    for j in range(centres.d):
        x = load(tile.rows, j * tile.stride + n)
        distances = shifted_squares(distances, x, centres.shifts, first * centres.d + j * GROUP)
    return distances


@inlined
def _keep_nearer(distance, index, lowest, nearest):
    nearer = distance < lowest
    return select(nearer, distance, lowest), select(nearer, fill(lowest, index), nearest)


def _define(sources):
    @entry
    def assign_rows(X, first, last, centres, exact_centres, tile, sample_weight, weighted, labels, counts, sums):
        """Write labels, add to counts and sums; return the weighted sum of squared distances."""
        _ = sources
        X, centres, tile, labels = bare(X), bare(centres), bare(tile), bare(labels)
        sample_weight, exact_centres, counts, sums = bare(sample_weight), bare(exact_centres), bare(counts), bare(sums)
        d = centres.d
        lanes = lanes_of(X)
        inertia = 0.0
        for start in range(first, last, tile.stride):
            count = min(tile.stride, last - start)
            load_tile(X, start, count, d, centres.centre, tile.rows, tile.stride)
            for n in range(0, count, lanes):
                lowest, chosen = fill(X, np.inf), fill(X, 0.0)
                for group in range(0, centres.k, GROUP):
                    distances = _group_distances(centres, tile, n, group)
                    lowest, chosen = _keep_nearer(distances[0], group, lowest, chosen)
                    lowest, chosen = _keep_nearer(distances[1], group + 1, lowest, chosen)
                    lowest, chosen = _keep_nearer(distances[2], group + 2, lowest, chosen)
                    lowest, chosen = _keep_nearer(distances[3], group + 3, lowest, chosen)
                store(tile.lowest, n, lowest)
                store(tile.nearest, n, chosen)
            for n in range(count):
                row = start + n
                c = np.int64(tile.nearest[n])
                labels[row] = c
                weight = sample_weight[row] if weighted else 1.0
                if weight == 0.0:
                    continue
                inertia += weight * tile.lowest[n]
                counts[c] += weight
                for j in range(d):
                    sums[c * d + j] += weight * (X[row * d + j] - exact_centres[c * d + j])
        return inertia

    @entry
    def potential_rows(X, first, last, centres, tile, sample_weight, weighted, distances, potentials):
        """Add what the potential over the rows would be with each centre."""
        _ = sources
        X, centres, tile, distances = bare(X), bare(centres), bare(tile), bare(distances)
        sample_weight, potentials = bare(sample_weight), bare(potentials)
        lanes = lanes_of(X)
        zero = fill(X, 0.0)
        for start in range(first, last, tile.stride):
            count = min(tile.stride, last - start)
            load_tile(X, start, count, centres.d, centres.centre, tile.rows, tile.stride)
            for n in range(count):
                tile.lowest[n] = distances[start + n]
                tile.weights[n] = sample_weight[start + n] if weighted else 1.0
            for n in range(count, (count + lanes - 1) // lanes * lanes):
                tile.lowest[n] = 0.0
                tile.weights[n] = 0.0
            for group in range(0, centres.k, GROUP):
                sums = (zero, zero, zero, zero)
                for n in range(0, count, lanes):
                    found = _group_distances(centres, tile, n, group)
                    before, weight = load(tile.lowest, n), load(tile.weights, n)
                    sums = (
                        fma(weight, smaller(found[0], before), sums[0]),
                        fma(weight, smaller(found[1], before), sums[1]),
                        fma(weight, smaller(found[2], before), sums[2]),
                        fma(weight, smaller(found[3], before), sums[3]),
                    )
                potentials[group] += total(sums[0])
                potentials[group + 1] += total(sums[1])
                potentials[group + 2] += total(sums[2])
                potentials[group + 3] += total(sums[3])

    @entry
    def update_rows(X, first, last, centres, tile, distances):
        """Lower the distances of the rows to those to the only centre."""
        _ = sources
        X, centres, tile, distances = bare(X), bare(centres), bare(tile), bare(distances)
        zero = fill(X, 0.0)
        for start in range(first, last, tile.stride):
            count = min(tile.stride, last - start)
            load_tile(X, start, count, centres.d, centres.centre, tile.rows, tile.stride)
            for n in range(0, count, lanes_of(X)):
                distance = (zero,)
                for j in range(centres.d):
                    distance = shifted_squares(distance, load(tile.rows, j * tile.stride + n), centres.shifts, j)
                store(tile.lowest, n, distance[0])
            for n in range(count):
                if tile.lowest[n] < distances[start + n]:
                    distances[start + n] = tile.lowest[n]

    return assign_rows, potential_rows, update_rows


_assign_rows, _potential_rows, _update_rows = _define(SOURCES)


def _pack(centres, dtype, group):
    k, d = centres.shape
    # Rows less a centre near all of them keep their digits, and products of it are not needed: see `shifted_squares`.
    centre = centres.mean(axis=0).astype(dtype)
    member = np.minimum(np.arange(-(-k // group) * group), k - 1)
    negated = (centre.astype(np.float64) - centres)[member].reshape(-1, group, d)
    shifts = np.ascontiguousarray(negated.transpose(0, 2, 1), dtype=dtype).reshape(-1)
    return Centres(k, d, centre, shifts)


def _tile_rows(n_samples, d):
    rows = min(max((64 << 10) // (8 * d) // 16 * 16, 48), 480)
    if rows % 128 == 0:
        rows -= 16
    return min(rows, -(-n_samples // 16) * 16)


def _make_tile(tile_rows, d, dtype):
    take = Arena().take
    return NearestTile(
        tile_rows, take(d * tile_rows, dtype), take(tile_rows, dtype), take(tile_rows, dtype), take(tile_rows, dtype)
    )


def assign_nearest(X, sample_weight, centres, labels, counts, sums, n_threads) -> float:
    """Run one Lloyd pass; return the inertia."""
    k, d = centres.shape
    n_samples, X = len(X), flat(X)
    packed = _pack(centres, X.dtype, GROUP)
    weights, weighted = weights_for(sample_weight)
    tile_rows = _tile_rows(n_samples, d)
    total_counts, total_sums, inertia = np.zeros(k), np.zeros(k * d), [0.0]
    exact = np.array(centres.reshape(-1))

    def make_worker():
        tile = _make_tile(tile_rows, d, X.dtype)
        strip_counts, strip_sums, strip_inertia = np.zeros(k), np.zeros(k * d), [0.0]

        def work(first, last, closing):
            strip_inertia[0] += _assign_rows(
                X, first, last, packed, exact, tile, weights, weighted, labels, strip_counts, strip_sums
            )

        def hand_in():
            total_counts[:] += strip_counts
            total_sums[:] += strip_sums
            inertia[0] += strip_inertia[0]
            strip_counts[:] = 0.0
            strip_sums[:] = 0.0
            strip_inertia[0] = 0.0

        return work, hand_in

    run_strips(n_samples, strip_rows_for(n_samples, tile_rows), tile_rows, k * (2 * d + 4), n_threads, make_worker)
    counts += total_counts
    sums += total_sums.reshape(k, d)
    return inertia[0]


def candidate_potentials(X, sample_weight, candidates, distances, potentials, n_threads) -> None:
    """Add the potential that each candidate would give to `potentials`."""
    k, d = candidates.shape
    n_samples, X = len(X), flat(X)
    packed = _pack(candidates, X.dtype, GROUP)
    weights, weighted = weights_for(sample_weight)
    tile_rows = _tile_rows(n_samples, d)
    size = -(-k // GROUP) * GROUP
    totals = np.zeros(size)

    def make_worker():
        tile, strip = _make_tile(tile_rows, d, X.dtype), np.zeros(size)

        def work(first, last, closing):
            _potential_rows(X, first, last, packed, tile, weights, weighted, distances, strip)

        def hand_in():
            totals[:] += strip
            strip[:] = 0.0

        return work, hand_in

    run_strips(n_samples, strip_rows_for(n_samples, tile_rows), tile_rows, size * (2 * d + 4), n_threads, make_worker)
    potentials += totals[:k]


def update_distances(X, centre, distances, n_threads) -> None:
    """Lower `distances` to those to the one centre given, in place."""
    d = centre.shape[1]
    n_samples, X = len(X), flat(X)
    packed = _pack(centre, X.dtype, 1)
    tile_rows = _tile_rows(n_samples, d)

    def make_worker():
        tile = _make_tile(tile_rows, d, X.dtype)
        return lambda first, last, closing: _update_rows(X, first, last, packed, tile, distances), lambda: None

    run_strips(n_samples, strip_rows_for(n_samples, tile_rows), tile_rows, 2 * d + 4, n_threads, make_worker)
