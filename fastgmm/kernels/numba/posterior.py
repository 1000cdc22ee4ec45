"""From log weighted densities to responsibilities, log densities and the most probable component."""

from __future__ import annotations

import numpy as np

from fastgmm.kernels.numba.evaluate import contribution_floor
from fastgmm.kernels.numba.exponential import exponential, logarithm
from fastgmm.kernels.numba.lanes import add_to, bits, fill, inlined, kernel, lanes_of, larger, load, select, store

__all__ = ["weigh", "write_assignments", "write_log_density", "write_responsibilities"]


@inlined
def _exponentials(log_weighted, n, stride, k, largest_offset):
    """Replace log_weighted of the rows from n by exp(log_weighted - best), zero under the contribution floor.

    Returns best and the sum of what was kept; a row to which no component gives density has -inf and 0.
    """
    best = load(log_weighted, n)
    for c in range(1, k):
        best = larger(load(log_weighted, c * stride + n), best)
    # NaN (infinite rows) counts as no density.
    best = larger(best, fill(best, -np.inf))
    floor = contribution_floor(best, largest_offset)
    zero = fill(best, 0.0)
    sums = zero
    for c in range(k):
        at = c * stride + n
        value = load(log_weighted, at)
        reached = value >= floor
        if bits(reached) == 0:
            store(log_weighted, at, zero)
            continue
        e = select(reached, exponential(value - best), zero)
        sums = sums + e
        store(log_weighted, at, e)
    return best, sums


@inlined
def _log_density(best, sums):
    none = fill(best, -np.inf)
    return select(best > none, best + logarithm(sums), none)


@kernel
def weigh(form, tile, sample_weight, weighted, first, count):
    """Leave exponentials in log_weighted and weight over their sum in scale; add to the lanes' log-likelihood."""
    lanes = lanes_of(tile.rows)
    row_weight = tile.row_weight
    padded = (count + lanes - 1) // lanes * lanes
    for n in range(count):
        row_weight[n] = sample_weight[first + n] if weighted else 1.0
    for n in range(count, padded):
        row_weight[n] = 0.0
    zero = fill(tile.rows, 0.0)
    for n in range(0, padded, lanes):
        best, sums = _exponentials(tile.log_weighted, n, tile.stride, form.k, form.largest_offset)
        weight = load(row_weight, n)
        counted = weight > zero
        store(tile.scale, n, select(counted, select(sums > zero, weight / sums, zero), zero))
        add_to(tile.log_likelihood, 0, select(counted, weight * _log_density(best, sums), zero))


@kernel
def write_log_density(form, tile, first, count, out):
    """Write the log densities of the tile's rows to out[first:]."""
    lanes = lanes_of(tile.rows)
    for n in range(0, count, lanes):
        best, sums = _exponentials(tile.log_weighted, n, tile.stride, form.k, form.largest_offset)
        store(tile.scale, n, _log_density(best, sums))
    for n in range(count):
        out[first + n] = tile.scale[n]


@kernel
def write_responsibilities(form, tile, first, count, out):
    """Write the posterior probabilities of the tile's rows; 1 / k each where no component gives density."""
    k, stride = form.k, tile.stride
    one = fill(tile.rows, 1.0)
    uniform = 1.0 / k
    for n in range(0, count, lanes_of(tile.rows)):
        _, sums = _exponentials(tile.log_weighted, n, stride, k, form.largest_offset)
        store(tile.scale, n, one / sums)
    for n in range(count):
        at = (first + n) * k
        scale = tile.scale[n]
        if scale < np.inf:
            for c in range(k):
                out[at + c] = tile.log_weighted[c * stride + n] * scale
        else:
            for c in range(k):
                out[at + c] = uniform


@kernel
def write_assignments(form, tile, first, count, out):
    """Write the most probable component of the tile's rows, the lowest index among equals."""
    stride = tile.stride
    for n in range(0, count, lanes_of(tile.rows)):
        # An index is kept as a float, exact below 2^24 components.
        best = fill(tile.rows, -np.inf)
        chosen = fill(tile.rows, 0.0)
        for c in range(form.k):
            value = load(tile.log_weighted, c * stride + n)
            above = value > best
            best = select(above, value, best)
            chosen = select(above, fill(best, c), chosen)
        store(tile.scale, n, chosen)
    for n in range(count):
        out[first + n] = np.int64(tile.scale[n])
