"""Log of weight times density of every component, for a tile of rows.

A tile holds its rows transposed, so that lanes are rows: feature j of row n is ``tile.rows[j * tile.stride + n]``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba.core.extending import overload

from fastgmm.kernels.numba.blocks import (
    centre_and_multiply,
    multiply_add,
    scaled_squares,
    squared_differences,
    store_block,
    sum_of_squares,
)
from fastgmm.kernels.numba.exponential import log_of_power_above, lowest_exponent
from fastgmm.kernels.numba.lanes import (
    bits,
    fill,
    fma,
    inlined,
    kernel,
    lanes_of,
    larger,
    load,
    load_strided,
    lowest_bit,
    select,
    smaller,
    spread,
    store,
)

__all__ = [
    "COLUMNS",
    "LEAST_BOUND",
    "FactorForm",
    "ScaleForm",
    "Tile",
    "contribution_floor",
    "evaluate",
    "load_tile",
    "sampled_survivors",
]

#: Columns of a factor, or components with scales, that share the loads of a row.
COLUMNS = 4
#: Columns of the factor that a bound takes.
LEAST_BOUND = 8
#: Tiles that are evaluated in full after one whose bounds were not worth their cost.
PAUSE = 15
#: ln(2^80): minus the logarithm of RESPONSIBILITY_FLOOR.
FLOOR_EXPONENT = 55.451774444795625


class Tile(NamedTuple):
    """Scratch for the rows in work, one per thread; every array is flat and of the rows' dtype unless noted."""

    stride: int  # rows a tile can hold, a multiple of the lanes
    rows: np.ndarray  # (d, stride) rows less the common centre
    whitened: np.ndarray  # (d, stride), for a shared factor
    log_weighted: np.ndarray  # (k + COLUMNS, stride); later exp(log_weighted - best)
    best: np.ndarray  # (stride) largest log_weighted
    scale: np.ndarray  # (stride) weight over sum of exponentials; what was kept times this is the responsibility
    likely: np.ndarray  # (stride) component with the best bound
    row_weight: np.ndarray  # (stride)
    centred: np.ndarray  # (d, lanes)
    gathered: np.ndarray  # (d, stride), for factors with bounds
    values: np.ndarray  # (stride)
    order: np.ndarray  # (stride + k + 1) int64, rows in the order they are finished
    state: np.ndarray  # (2) int64: tiles until bounds are tried again, evaluations the last bounds did not avoid
    log_likelihood: np.ndarray  # (lanes) float64


class FactorForm(NamedTuple):
    """Parameters for distances through triangular factors, one per component or one in all."""

    k: int
    d: int
    width: int  # d rounded up to whole lanes
    centre: np.ndarray  # (width) subtracted from every row
    means: np.ndarray  # (k, width) about the centre
    offset: np.ndarray  # (k)
    largest_offset: float
    factors: np.ndarray  # packed without zeros, COLUMNS columns at a time
    factor_stride: int  # 0 for one shared factor
    bound_columns: int


class ScaleForm(NamedTuple):
    """Parameters for distances through one scale per feature, of rows as they are or multiplied by a shared factor."""

    k: int
    d: int
    width: int
    centre: np.ndarray
    means: np.ndarray
    offset: np.ndarray
    largest_offset: float
    scales: np.ndarray  # (groups, d, 2, COLUMNS) scales and shifts
    exact: bool  # shift before scaling
    whiten: bool
    whitener: np.ndarray  # packed factor, if the rows are to be multiplied by it
    zeros: np.ndarray  # (d)


@kernel
def load_tile(X, first, count, d, centre, rows, stride):
    """Write rows [first, first + count) less the centre to `rows` (d, stride); the last row fills up the lanes."""
    lanes = lanes_of(X)
    n = 0
    while n + lanes <= count:
        at = (first + n) * d
        for j in range(d):
            store(rows, j * stride + n, load_strided(X, at + j, d) - spread(centre, j))
        n += lanes
    if n < count:
        for lane in range(lanes):
            at = (first + min(n + lane, count - 1)) * d
            for j in range(d):
                rows[j * stride + n + lane] = X[at + j] - centre[j]


@inlined
def contribution_floor(best, largest_offset):
    """Return the log weighted density from which a component contributes to rows whose best one has `best`.

    Below it the responsibility is under the documented floor even when multiplied by one plus the squared distance,
    which ``2 (largest_offset - best + ln 2^80)`` bounds; so second moments of rows far from every component are as
    exact as those of near ones. At the floor itself a component contributes: far away, where `best` has no digits
    left for the margin, the floor is `best`. Rows without density have +inf: nothing contributes.
    """
    distance = fma(best, fill(best, -2.0), fill(best, 2.0 * largest_offset + (2.0 * FLOOR_EXPONENT + 1.0)))
    margin = log_of_power_above(distance) + fill(best, FLOOR_EXPONENT)
    # The exponential takes no less than this below the best.
    lowest = fill(best, -1.0 - lowest_exponent(best))
    floor = best - smaller(margin, lowest)
    # Rounding may have put the floor lower than that.
    floor = select(best - floor > lowest, best, floor)
    return select(best > fill(best, -np.inf), floor, fill(best, np.inf))


@inlined
def _factor_columns(y, rows, at, stride, means, mean_at, centred, factor, factor_at, first):
    """Return ``(x - mean) U`` in columns `first` and on, one per member of the zeros `y`."""
    lanes = lanes_of(rows)
    columns = len(y)
    for i in range(first):
        y = multiply_add(y, load(centred, i * lanes), factor, factor_at, 1)
        factor_at += columns
    return centre_and_multiply(
        y, rows, at + first * stride, stride, means, mean_at + first, centred, first * lanes, factor, factor_at
    )


@inlined
def _factor_distance(rows, at, stride, means, mean_at, centred, factor, factor_at, columns):
    """Return ``|(x - mean) U|^2`` over the first `columns` columns (a multiple of COLUMNS, or all)."""
    zero = fill(rows, 0.0)
    distance = zero
    j = 0
    while j + COLUMNS <= columns:
        y = (zero, zero, zero, zero)
        y = _factor_columns(y, rows, at, stride, means, mean_at, centred, factor, factor_at, j)
        distance = sum_of_squares(distance, y)
        factor_at += COLUMNS * j + COLUMNS * (COLUMNS + 1) // 2
        j += COLUMNS
    if columns - j == 1:
        y1 = _factor_columns((zero,), rows, at, stride, means, mean_at, centred, factor, factor_at, j)
        distance = sum_of_squares(distance, y1)
    elif columns - j == 2:
        y2 = _factor_columns((zero, zero), rows, at, stride, means, mean_at, centred, factor, factor_at, j)
        distance = sum_of_squares(distance, y2)
    elif columns - j == 3:
        y3 = _factor_columns((zero, zero, zero), rows, at, stride, means, mean_at, centred, factor, factor_at, j)
        distance = sum_of_squares(distance, y3)
    return distance


@kernel
def _evaluate_component(form, c, rows, stride, count, columns, centred, out, out_at):
    """Write log_weighted of component c, or its upper bound through the first columns, of the rows given."""
    offset = fill(rows, form.offset[c])
    half = fill(rows, -0.5)
    mean_at, factor_at = c * form.width, c * form.factor_stride
    for n in range(0, count, lanes_of(rows)):
        distance = _factor_distance(rows, n, stride, form.means, mean_at, centred, form.factors, factor_at, columns)
        store(out, out_at + n, fma(distance, half, offset))


@kernel
def _evaluate_listed(form, tile, c, start, stop):
    """Write log_weighted of component c for the rows order[start:stop]."""
    stride, rows, gathered, order, values = tile.stride, tile.rows, tile.gathered, tile.order, tile.values
    listed = stop - start
    lanes = lanes_of(rows)
    padded = (listed + lanes - 1) // lanes * lanes
    for j in range(form.d):
        for i in range(listed):
            gathered[j * stride + i] = rows[j * stride + order[start + i]]
        for i in range(listed, padded):
            gathered[j * stride + i] = gathered[j * stride]
    at = 0 * listed
    _evaluate_component(form, c, gathered, stride, listed, form.d, tile.centred, values, at)
    for i in range(listed):
        tile.log_weighted[c * stride + order[start + i]] = values[i]


@kernel
def _evaluate_pruned(form, tile, count):
    """Evaluate components only where they can contribute.

    A partial sum of squares only grows, so the first columns bound a component from above. The component with the best
    bound of each row is finished first, and sets the floor; the others are finished where their bound reaches it. What
    is left unfinished keeps its bound, below the floor.
    """
    k, stride, rows, log_weighted = form.k, tile.stride, tile.rows, tile.log_weighted
    best, likely, order = tile.best, tile.likely, tile.order
    lanes = lanes_of(rows)
    padded = (count + lanes - 1) // lanes * lanes
    for n in range(0, padded, lanes):
        store(best, n, fill(rows, -np.inf))
        store(likely, n, fill(rows, 0.0))
    for c in range(k):
        _evaluate_component(form, c, rows, stride, padded, form.bound_columns, tile.centred, log_weighted, c * stride)
        here = fill(rows, c)
        for n in range(0, padded, lanes):
            bound = load(log_weighted, c * stride + n)
            before = load(best, n)
            store(best, n, larger(bound, before))
            store(likely, n, select(bound > before, here, load(likely, n)))

    # Rows by their likely component: a counting sort, whose ends lie behind the order.
    ends = padded
    for c in range(k + 1):
        order[ends + c] = 0
    for n in range(padded):
        order[ends + np.int64(likely[n]) + 1] += 1
    for c in range(k):
        order[ends + c + 1] += order[ends + c]
    for n in range(padded):
        at = ends + np.int64(likely[n])
        order[order[at]] = n
        order[at] += 1
    start = 0
    for c in range(k):
        stop = order[ends + c]
        if stop > start:
            _evaluate_listed(form, tile, c, start, stop)
            for i in range(start, stop):
                best[order[i]] = log_weighted[c * stride + order[i]]
        start = stop
    for n in range(0, padded, lanes):
        # A row that its likely component gives no density may get some from any other.
        value = load(best, n)
        none = fill(rows, -np.inf)
        store(best, n, select(value > none, contribution_floor(value, form.largest_offset), none))

    finished = 0
    for c in range(k):
        here = fill(rows, c)
        listed = 0
        for n in range(0, padded, lanes):
            # Complete already where c is the likely one.
            other = (load(likely, n) - here) * (load(likely, n) - here) > fill(rows, 0.0)
            survivors = bits(load(log_weighted, c * stride + n) >= load(best, n)) & bits(other)
            while survivors:
                order[listed] = n + lowest_bit(survivors)
                listed += 1
                survivors &= survivors - 1
        finished += listed
        if 2 * listed > padded:
            _evaluate_component(form, c, rows, stride, padded, form.d, tile.centred, log_weighted, c * stride)
        elif listed:
            start = 0
            _evaluate_listed(form, tile, c, start, listed)
    tile.state[1] = finished
    if 2 * finished > k * padded:
        tile.state[0] = PAUSE


@kernel
def _evaluate_by_factor(form, tile, count):
    if form.bound_columns > 0 and tile.state[0] == 0 and count >= 32:
        _evaluate_pruned(form, tile, count)
        return
    if form.bound_columns > 0 and tile.state[0] > 0:
        tile.state[0] -= 1
    for c in range(form.k):
        _evaluate_component(
            form, c, tile.rows, tile.stride, count, form.d, tile.centred, tile.log_weighted, c * tile.stride
        )


@kernel
def sampled_survivors(X, n_samples, sample, form, tile):
    """Return how many evaluations bounds leave to be done, of ``k * sample`` over rows spread evenly."""
    step = n_samples // sample
    for n in range(sample):
        for j in range(form.d):
            tile.rows[j * tile.stride + n] = X[n * step * form.d + j] - form.centre[j]
    _evaluate_pruned(form, tile, sample)
    return tile.state[1]


@kernel
def _whiten(form, tile, count):
    """Multiply the rows of the tile by the shared factor."""
    rows, stride, d = tile.rows, tile.stride, form.d
    zero = fill(rows, 0.0)
    for n in range(0, count, lanes_of(rows)):
        at = 0
        j = 0
        while j + COLUMNS <= d:
            y = (zero, zero, zero, zero)
            y = _factor_columns(y, rows, n, stride, form.zeros, 0, tile.centred, form.whitener, at, j)
            store_block(tile.whitened, j * stride + n, stride, y)
            at += COLUMNS * j + COLUMNS * (COLUMNS + 1) // 2
            j += COLUMNS
        # The columns left are packed as one narrower block: see `factor_order`.
        if d - j == 1:
            y1 = _factor_columns((zero,), rows, n, stride, form.zeros, 0, tile.centred, form.whitener, at, j)
            store_block(tile.whitened, j * stride + n, stride, y1)
        elif d - j == 2:
            y2 = _factor_columns((zero, zero), rows, n, stride, form.zeros, 0, tile.centred, form.whitener, at, j)
            store_block(tile.whitened, j * stride + n, stride, y2)
        elif d - j == 3:
            y3 = _factor_columns((zero, zero, zero), rows, n, stride, form.zeros, 0, tile.centred, form.whitener, at, j)
            store_block(tile.whitened, j * stride + n, stride, y3)


@kernel
def _evaluate_by_scales(form, tile, count):
    stride, d, scales = tile.stride, form.d, form.scales
    rows = tile.rows
    if form.whiten:
        _whiten(form, tile, count)
        rows = tile.whitened
    zero = fill(rows, 0.0)
    half = fill(rows, -0.5)
    for first in range(0, form.k, COLUMNS):
        packed = first * 2 * d
        for n in range(0, count, lanes_of(rows)):
            distance = (zero, zero, zero, zero)
            if form.exact:
                for j in range(d):
                    at = packed + j * 2 * COLUMNS
                    distance = squared_differences(distance, load(rows, j * stride + n), scales, at)
            else:
                for j in range(d):
                    at = packed + j * 2 * COLUMNS
                    distance = scaled_squares(distance, load(rows, j * stride + n), scales, at)
            # The last group may run beyond k: log_weighted has rows to spare.
            out = first * stride + n
            store(tile.log_weighted, out, fma(distance[0], half, spread(form.offset, first)))
            store(tile.log_weighted, out + stride, fma(distance[1], half, spread(form.offset, first + 1)))
            store(tile.log_weighted, out + 2 * stride, fma(distance[2], half, spread(form.offset, first + 2)))
            store(tile.log_weighted, out + 3 * stride, fma(distance[3], half, spread(form.offset, first + 3)))


def evaluate(form, tile, count):
    """Write log_weighted for the first `count` rows of the tile, and the rest of their lanes."""
    raise NotImplementedError("for compiled code")


@overload(evaluate)
def _evaluate(form, tile, count):
    if form.instance_class is FactorForm:
        return lambda form, tile, count: _evaluate_by_factor(form, tile, count)
    return lambda form, tile, count: _evaluate_by_scales(form, tile, count)
