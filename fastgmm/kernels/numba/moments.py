"""Moments of many features without a scatter of each component."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgmm.kernels.numba.blocks import multiply_add
from fastgmm.kernels.numba.lanes import (
    add_to,
    bits,
    fill,
    fma,
    kernel,
    lanes_of,
    load,
    lowest_bit,
    select,
    spread,
    store,
    total,
)
from fastgmm.kernels.numba.queues import SCATTER_ROWS, add_scatter

__all__ = ["PER_FEATURE", "PER_ROW", "TOTAL_SCATTER", "Moments", "collect_moments"]

#: How `Moments` collects squares: of each feature, of the length of rows, or all cross products in one scatter.
PER_FEATURE, PER_ROW, TOTAL_SCATTER = range(3)
#: A component that fewer rows of a tile than one in this many count for is collected row by row.
SPARSE = 5


class Moments(NamedTuple):
    """Many features without a scatter of each component.

    Components that many rows count for are collected about the common centre, as one product of matrices, where that
    loses no digits; the others row by row about their own mean.
    """

    about_centre: bool
    squares: int  # PER_FEATURE, PER_ROW or TOTAL_SCATTER
    capacity: int  # rows of a block of the total scatter
    rows: np.ndarray  # (stride, width) about the common centre, not transposed
    lengths: np.ndarray  # (stride) squared
    listed: np.ndarray  # (stride) int64
    dense: np.ndarray  # (k + SCATTER_ROWS) int64, component of each row of weights
    counts: np.ndarray
    sums: np.ndarray
    scatter: np.ndarray  # (k, width)
    moment_counts: np.ndarray  # (k) about the common centre
    moment_sums: np.ndarray  # (k + 1, width): the last takes what fills up a group
    moment_squares: np.ndarray  # (k + 1, width), or (k) of lengths
    total_scatter: np.ndarray  # as in Queues


@kernel
def _copy_rows(form, X, first, count, scale, rows):
    """Write rows less the common centre to `rows` (count, width), zeros behind them.

    Rows without scale (no weight, or outside every component's reach; they may be infinite) become zeros.
    """
    d, width = form.d, form.width
    lanes = lanes_of(X)
    for n in range(count):
        from_at, to_at = (first + n) * d, n * width
        if not scale[n] > 0.0:
            for j in range(width):
                rows[to_at + j] = 0.0
        elif d >= lanes:
            for j0 in range(0, d, lanes):
                j = min(j0, d - lanes)
                store(rows, to_at + j, load(X, from_at + j) - load(form.centre, j))
        else:
            for j in range(d):
                rows[to_at + j] = X[from_at + j] - form.centre[j]


@kernel
def _collect_listed(form, collector, c, weights, weights_at, listed):
    """Add the rows listed, about the mean of component c."""
    width, rows, index = form.width, collector.rows, collector.listed
    for j in range(0, width, lanes_of(rows)):
        mean = load(form.means, c * width + j)
        first = fill(rows, 0.0)
        second = first
        for i in range(listed):
            x = load(rows, index[i] * width + j) - mean
            wx = spread(weights, weights_at + index[i]) * x
            first = first + wx
            second = fma(wx, x, second)
        add_to(collector.sums, c * width + j, first)
        if collector.squares != TOTAL_SCATTER:
            add_to(collector.scatter, c * width + j, second)


@kernel
def _add_products(form, tile, collector, groups, count, squared, to):
    """Add weights^T rows (or their squares), components in groups, to `to` (k + 1, width)."""
    width, stride, rows = form.width, tile.stride, collector.rows
    zero = fill(rows, 0.0)
    for g in range(0, groups, SCATTER_ROWS):
        for j in range(0, width, lanes_of(rows)):
            block = (zero, zero, zero, zero)
            if squared:
                for n in range(count):
                    x = load(rows, n * width + j)
                    block = multiply_add(block, x * x, tile.log_weighted, g * stride + n, stride)
            else:
                for n in range(count):
                    x = load(rows, n * width + j)
                    block = multiply_add(block, x, tile.log_weighted, g * stride + n, stride)
            add_to(to, collector.dense[g] * width + j, block[0])
            add_to(to, collector.dense[g + 1] * width + j, block[1])
            add_to(to, collector.dense[g + 2] * width + j, block[2])
            add_to(to, collector.dense[g + 3] * width + j, block[3])


@kernel
def collect_moments(form, tile, collector, X, first, count):
    k, d, width, stride = form.k, form.d, form.width, tile.stride
    weights, dense = tile.log_weighted, collector.dense
    lanes = lanes_of(weights)
    zero = fill(weights, 0.0)
    _copy_rows(form, X, first, count, tile.scale, collector.rows)
    if collector.squares == PER_ROW and collector.about_centre:
        for n in range(0, count, lanes):
            length = zero
            for j in range(d):
                x = load(tile.rows, j * stride + n)
                length = fma(x, x, length)
            store(collector.lengths, n, select(load(tile.scale, n) > zero, length, zero))
    groups = 0
    for c in range(k):
        # Rows that count are listed until they are too many for a list.
        listed = 0
        limit = count // SPARSE if collector.about_centre else count
        counted = zero
        n = 0
        while n < count and listed <= limit:
            w = load(weights, c * stride + n) * load(tile.scale, n)
            store(weights, c * stride + n, w)
            counted = counted + w
            reached = bits(w > zero)
            while reached:
                collector.listed[listed] = n + lowest_bit(reached)
                listed += 1
                reached &= reached - 1
            n += lanes
        if listed <= limit:
            if listed:
                collector.counts[c] += total(counted)
                _collect_listed(form, collector, c, weights, c * stride, listed)
            continue
        # The weights move to the front: components that are collected together lie together.
        squares = zero
        for m in range(0, count, lanes):
            w = load(weights, c * stride + m)
            if m >= n:
                w = w * load(tile.scale, m)
                counted = counted + w
            store(weights, groups * stride + m, w)
            if collector.squares == PER_ROW:
                squares = fma(w, load(collector.lengths, m), squares)
        collector.moment_counts[c] += total(counted)
        if collector.squares == PER_ROW:
            collector.moment_squares[c] += total(squares)
        dense[groups] = c
        groups += 1
    if groups:
        for spare in range(SCATTER_ROWS - 1):
            dense[groups + spare] = k
            for n in range(count):
                weights[(groups + spare) * stride + n] = 0.0
        _add_products(form, tile, collector, groups, count, False, collector.moment_sums)
        if collector.squares == PER_FEATURE:
            _add_products(form, tile, collector, groups, count, True, collector.moment_squares)
    if collector.squares == TOTAL_SCATTER:
        rows = collector.rows
        for n in range(count):
            if tile.row_weight[n] != 1.0 and tile.row_weight[n] > 0.0:
                root = np.sqrt(tile.row_weight[n])
                for j in range(width):
                    rows[n * width + j] *= root
        at = 0
        for n in range(0, count, collector.capacity):
            add_scatter(rows, n, min(collector.capacity, count - n), width, collector.total_scatter, at)
