"""From responsibilities to sufficient statistics.

A strip's sums are float64; a tile's, or a queue's, are added in the rows' dtype first, over a few hundred rows at most.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba.core.extending import overload

from fastgmm.kernels.numba.blocks import multiply_add_rows
from fastgmm.kernels.numba.lanes import (
    bits,
    fill,
    fma,
    kernel,
    lanes_of,
    load,
    select,
    spread,
    store,
    total,
)
from fastgmm.kernels.numba.moments import collect_moments
from fastgmm.kernels.numba.queues import Queues, collect_by_queue, flush_all

__all__ = ["LaneMoments", "close_strip", "collect"]


class LaneMoments(NamedTuple):
    """Few features: lanes are rows here too, and one is a feature, whose moments are the counts and the sums."""

    cross: bool
    rows: np.ndarray  # (d + 1 + 3, stride) rows that count about the mean, ones, and zeros
    weights: np.ndarray  # (stride)
    counts: np.ndarray  # (k)
    sums: np.ndarray  # (k, width)
    scatter: np.ndarray  # (k, d, d + 4) on and right of the diagonal, the sums in column d; or (k, width)


@kernel
def _collect_by_lanes(form, tile, collector, count):
    d, width, stride = form.d, form.width, tile.stride
    weights, rows, sums, scatter = collector.weights, collector.rows, collector.sums, collector.scatter
    lanes = lanes_of(weights)
    zero = fill(weights, 0.0)
    for c in range(form.k):
        # Lanes that no row counts in are left out once, not in every moment.
        used = 0
        counted = zero
        for n in range(0, count, lanes):
            w = load(tile.log_weighted, c * stride + n) * load(tile.scale, n)
            reached = w > zero
            if bits(reached) == 0:
                continue
            counted = counted + w
            store(weights, used, w)
            for j in range(d):
                x = load(tile.rows, j * stride + n) - spread(form.means, c * width + j)
                # A row of weight zero may be infinite.
                store(rows, j * stride + used, select(reached, x, zero))
            used += lanes
        if used == 0:
            continue
        collector.counts[c] += total(counted)
        for i in range(d):
            if not collector.cross:
                first, second = zero, zero
                for n in range(0, used, lanes):
                    x = load(rows, i * stride + n)
                    wx = load(weights, n) * x
                    first = first + wx
                    second = fma(wx, x, second)
                sums[c * width + i] += total(first)
                scatter[c * width + i] += total(second)
                continue
            # Row d of the features is one and those behind it zero, so the sums come with the last products.
            for j in range(i, d + 1, 4):
                products = (zero, zero, zero, zero)
                for n in range(0, used, lanes):
                    wx = load(weights, n) * load(rows, i * stride + n)
                    products = multiply_add_rows(products, wx, rows, j * stride + n, stride)
                at = (c * d + i) * (d + 4) + j
                scatter[at] += total(products[0])
                scatter[at + 1] += total(products[1])
                scatter[at + 2] += total(products[2])
                scatter[at + 3] += total(products[3])


def collect(form, tile, collector, X, first, count):
    """Add the tile, rows [first, first + count) of X, to the collector."""
    raise NotImplementedError("for compiled code")


@overload(collect)
def _collect(form, tile, collector, X, first, count):
    if collector.instance_class is LaneMoments:
        return lambda form, tile, collector, X, first, count: _collect_by_lanes(form, tile, collector, count)
    if collector.instance_class is Queues:
        return lambda form, tile, collector, X, first, count: collect_by_queue(form, tile, collector, X, first, count)
    return lambda form, tile, collector, X, first, count: collect_moments(form, tile, collector, X, first, count)


def close_strip(form, collector, X):
    """Hand in what still waits at the end of a strip."""
    raise NotImplementedError("for compiled code")


@overload(close_strip)
def _close_strip(form, collector, X):
    if collector.instance_class is Queues:
        return lambda form, collector, X: flush_all(form, collector, X)
    return lambda form, collector, X: None
