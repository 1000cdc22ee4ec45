"""Queues of rows per component, for scatter about the components' own means."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgmm.kernels.numba.blocks import add_to_block, multiply_add
from fastgmm.kernels.numba.lanes import (
    add_to,
    bits,
    fill,
    fma,
    kernel,
    lanes_of,
    load,
    lowest_bit,
    spread,
    store,
    total,
)

__all__ = ["SCATTER_ROWS", "Queues", "add_scatter", "collect_by_queue", "collect_labels", "flush_all"]

#: Rows of a scatter that share the loads of a data row.
SCATTER_ROWS = 4


class Queues(NamedTuple):
    """Many features and scatter: rows that count wait until a product of matrices is worth its start."""

    capacity: int
    rows: np.ndarray  # (k, capacity + lanes) int64, row of X
    weights: np.ndarray  # (k, capacity + lanes)
    fill: np.ndarray  # (k) int64
    flushed: np.ndarray  # (capacity, width) rows on their way into a scatter
    cross: bool  # else squares only
    counts: np.ndarray
    sums: np.ndarray
    scatter: np.ndarray  # blocks of SCATTER_ROWS x lanes on and above the diagonal, or (k, width)
    scatter_stride: int  # 0: one scatter for all components


@kernel
def add_scatter(rows, first, count, width, scatter, scatter_at):
    """Add ``rows^T rows`` on and above the diagonal blocks to a packed scatter."""
    lanes = lanes_of(rows)
    zero = fill(rows, 0.0)
    for i in range(0, width, SCATTER_ROWS):
        for j in range(i // lanes * lanes, width, lanes):
            block = (zero, zero, zero, zero)
            for n in range(first * width, (first + count) * width, width):
                block = multiply_add(block, load(rows, n + j), rows, n + i, 1)
            add_to_block(scatter, scatter_at, lanes, block)
            scatter_at += SCATTER_ROWS * lanes


@kernel
def _flush(form, collector, X, c):
    """Move the queue of component c into its sums and its scatter."""
    count = collector.fill[c]
    if count == 0:
        return
    collector.fill[c] = 0
    d, width, centre, means, flushed = form.d, form.width, form.centre, form.means, collector.flushed
    lanes = lanes_of(X)
    slot = c * (collector.capacity + lanes)
    weights = collector.weights
    if collector.cross:
        # Row and row^T each carry the root of the weight.
        for i in range(slot, slot + count):
            weights[i] = np.sqrt(weights[i])
    for i in range(count):
        row = collector.rows[slot + i] * d
        if d >= lanes:
            w = spread(weights, slot + i)
            for j0 in range(0, d, lanes):
                # The last lanes end with the row: they overlap those before.
                j = min(j0, d - lanes)
                x = (load(X, row + j) - load(centre, j)) - load(means, c * width + j)
                store(flushed, i * width + j, x * w if collector.cross else x)
        else:
            for j in range(d):
                x = (X[row + j] - centre[j]) - means[c * width + j]
                flushed[i * width + j] = x * weights[slot + i] if collector.cross else x
    for j in range(0, width, lanes):
        first = fill(flushed, 0.0)
        second = first
        for i in range(count):
            x = load(flushed, i * width + j)
            wx = spread(weights, slot + i) * x
            first = first + wx
            second = fma(wx, x, second)
        add_to(collector.sums, c * width + j, first)
        if not collector.cross:
            add_to(collector.scatter, c * width + j, second)
    if collector.cross:
        start = 0
        add_scatter(flushed, start, count, width, collector.scatter, c * collector.scatter_stride)


@kernel
def collect_by_queue(form, tile, collector, X, first, count):
    stride = tile.stride
    queued_rows, queued_weights = collector.rows, collector.weights
    lanes = lanes_of(queued_weights)
    everyone = (1 << lanes) - 1
    zero = fill(queued_weights, 0.0)
    for c in range(form.k):
        slot = c * (collector.capacity + lanes)
        filled = collector.fill[c]
        counted = zero
        for n in range(0, count, lanes):
            w = load(tile.log_weighted, c * stride + n) * load(tile.scale, n)
            reached = bits(w > zero)
            if reached == 0:
                continue
            counted = counted + w
            if reached == everyone:
                store(queued_weights, slot + filled, w)
                for lane in range(lanes):
                    queued_rows[slot + filled + lane] = first + n + lane
                filled += lanes
            else:
                store(tile.values, 0, w)
                while reached:
                    lane = lowest_bit(reached)
                    queued_weights[slot + filled] = tile.values[lane]
                    queued_rows[slot + filled] = first + n + lane
                    filled += 1
                    reached &= reached - 1
            if filled > collector.capacity - lanes:
                collector.fill[c] = filled
                _flush(form, collector, X, c)
                filled = 0
        collector.fill[c] = filled
        collector.counts[c] += total(counted)


@kernel
def collect_labels(form, collector, X, sample_weight, weighted, labels, first, last):
    """Queue the rows [first, last) for the components that their labels name."""
    slot = collector.capacity + lanes_of(X)
    for n in range(first, last):
        c = labels[n]
        w = sample_weight[n] if weighted else 1.0
        if c < 0 or c >= form.k or not w > 0.0:
            continue
        at = c * slot + collector.fill[c]
        collector.rows[at] = n
        collector.weights[at] = w
        collector.counts[c] += w
        collector.fill[c] += 1
        if collector.fill[c] == collector.capacity:
            _flush(form, collector, X, c)


@kernel
def flush_all(form, collector, X):
    for c in range(form.k):
        _flush(form, collector, X, c)
