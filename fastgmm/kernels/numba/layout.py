"""A mixture's parameters in the layout that the compiled functions read, and the scratch of a thread."""

from __future__ import annotations

import functools

import numpy as np

from fastgmm.kernels.numba.evaluate import COLUMNS, LEAST_BOUND, FactorForm, ScaleForm, Tile
from fastgmm.kernels.numba.lanes import VECTOR_BYTES

__all__ = [
    "LANE_FEATURES",
    "SAMPLE",
    "Arena",
    "flat",
    "label_form",
    "lanes_for",
    "make_tile",
    "mean_residuals",
    "pack",
    "round_up",
    "tile_rows_for",
    "weights_for",
]

#: Up to this many features, lanes are rows in the collection of statistics too.
LANE_FEATURES = 8
#: Means further than this from their common centre, in standard deviations, lose digits in products of scale and
#: position (one rounding unit times the distance) ...
SPREAD_LIMIT = {8: 65536.0, 4: 256.0}
#: ... and in moments about the centre (one rounding unit times its square).
MOMENT_LIMIT = {8: 512.0, 4: 32.0}
#: Bytes of a tile, to stay in the second-level cache.
TILE_BYTES = 320 << 10
#: Bytes of a block that small arrays share.
BLOCK_BYTES = 32 << 10
#: Rows on which bounds are tried.
SAMPLE = 240


class Arena:
    """Hands out zeroed flat arrays that start on cache lines, small ones from shared blocks."""

    def __init__(self):
        self._block = np.empty(0, np.uint8)
        self._next = 0

    def take(self, size: int, dtype) -> np.ndarray:
        n_bytes = size * np.dtype(dtype).itemsize
        if self._next + n_bytes > self._block.size:
            self._block = np.zeros(max(n_bytes, BLOCK_BYTES) + VECTOR_BYTES, np.uint8)
            self._next = -self._block.__array_interface__["data"][0] % VECTOR_BYTES
        start = self._next
        self._next = start + round_up(n_bytes, VECTOR_BYTES)
        return self._block[start : start + n_bytes].view(dtype)


def flat(X) -> np.ndarray:
    """Return rows flat and read-only, so that one type is compiled for."""
    rows = np.asarray(X).reshape(-1)
    rows.flags.writeable = False
    return rows


def lanes_for(dtype) -> int:
    """Return how many rows of `dtype` are worked on at once."""
    return VECTOR_BYTES // np.dtype(dtype).itemsize


def weights_for(sample_weight) -> tuple[np.ndarray, bool]:
    """Return an array of the one type that is compiled for, and whether it holds weights."""
    weights = np.empty(0) if sample_weight is None else sample_weight.view()
    weights.flags.writeable = False
    return weights, sample_weight is not None


def round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


@functools.lru_cache(maxsize=64)
def factor_order(d: int) -> np.ndarray:
    """Return where in a flat (d, d) factor the entries lie in the order they are read.

    Blocks of COLUMNS columns (the last may be narrower), each row by row: first above the diagonal block, then in its
    triangle.
    """
    order = [
        i * d + j
        for first in range(0, d, COLUMNS)
        for i in range(min(first + COLUMNS, d))
        for j in range(max(i, first), min(first + COLUMNS, d))
    ]
    return np.array(order, dtype=np.intp)


def _common_centre(structure, dtype, means, factor):
    """Return the centre that rows are moved to, and the largest distance of a mean from it in standard deviations."""
    # Representable in the rows' dtype, so that subtracting it rounds once.
    centre = means.mean(axis=0).astype(dtype).astype(np.float64)
    if structure in ("full", "tied"):
        scales = np.abs(factor).max(axis=-1)
    elif structure == "diag":
        scales = factor
    else:
        scales = factor[:, None]
    return centre, float(np.max(np.abs(means - centre) * scales, initial=0.0))


def pack(structure, dtype, log_offset, means, factor, n_samples):
    """Return the form that the compiled functions evaluate, and whether moments about its centre keep their digits."""
    k, d = means.shape
    lanes = lanes_for(dtype)
    width = round_up(d, lanes)
    itemsize = np.dtype(dtype).itemsize
    if structure == "full" and itemsize == 8:
        # Its own mean is subtracted per component anyway: nothing is gained by a centre.
        centre, exact, about_centre = np.zeros(d), True, False
    else:
        centre, spread = _common_centre(structure, dtype, means, factor)
        exact = not spread <= SPREAD_LIMIT[itemsize]
        about_centre = spread <= MOMENT_LIMIT[itemsize]
        if exact:
            centre = np.zeros(d)
    whiten = structure == "tied" and not exact and d > LANE_FEATURES
    about = means - centre
    take = Arena().take

    def padded(values, size):
        array = take(values.shape[0] * size, dtype).reshape(-1, size)
        array[:, : values.shape[1]] = values
        return array.reshape(-1)

    shared = (k, d, width, padded(centre[None], width), padded(about, width))
    offset = padded(log_offset[None], k + COLUMNS)
    largest_offset = float(np.max(offset[:k]))
    if structure in ("full", "tied") and not whiten:
        flat = factor.reshape(-1, d * d)[:, factor_order(d)]
        bound_columns = LEAST_BOUND if d > LEAST_BOUND and k >= 3 and n_samples >= 8 * SAMPLE else 0
        stride = flat.shape[1] if structure == "full" else 0
        return FactorForm(
            *shared, offset, largest_offset, padded(flat, flat.shape[1]), stride, bound_columns
        ), about_centre

    if whiten:
        shift, scale = about @ factor, np.ones((k, d))
        whitener = padded(factor.reshape(1, -1)[:, factor_order(d)], d * (d + 1) // 2)
    else:
        scale = factor if structure == "diag" else np.repeat(factor[:, None], d, axis=1)
        shift = about if exact else about * scale
        whitener = np.empty(0, dtype)
    groups = -(-k // COLUMNS)
    member = np.minimum(np.arange(groups * COLUMNS), k - 1)
    pairs = np.stack((scale[member], -shift[member])).reshape(2, groups, COLUMNS, d)
    scales = padded(pairs.transpose(1, 3, 0, 2).reshape(1, -1), groups * d * 2 * COLUMNS)
    zeros = np.zeros(d, dtype)
    return ScaleForm(*shared, offset, largest_offset, scales, exact, whiten, whitener, zeros), about_centre


def label_form(dtype, centres):
    """Return a form that carries centres alone: given owners need no density."""
    form, _ = pack("spherical", dtype, np.zeros(len(centres)), centres, np.zeros(len(centres)), 0)
    return form


def mean_residuals(form, means):
    """Return what the rows' dtype lost of the means: rows were taken about ``means - residuals``."""
    k, d, width = form.k, form.d, form.width
    held = form.means.reshape(k, width)[:, :d].astype(np.float64) + form.centre[:d].astype(np.float64)
    return means - held


def tile_rows_for(n_samples: int, d: int, k: int, dtype) -> int:
    """Return the rows of a tile, a multiple of any lanes."""
    rows = TILE_BYTES // (np.dtype(dtype).itemsize * (2 * d + k + 4)) // 16 * 16
    rows = min(max(rows, 48), 480)
    if rows % 128 == 0:
        rows -= 16  # a power of two would map the same row of every feature to few sets of the cache
    return min(rows, round_up(n_samples, 16))


def make_tile(form, tile_rows: int, dtype, log_likelihood) -> Tile:
    """Return scratch for tiles of `tile_rows` rows."""
    k, d, lanes, take = form.k, form.d, lanes_for(dtype), Arena().take
    return Tile(
        stride=tile_rows,
        rows=take(d * tile_rows, dtype),
        whitened=take(d * tile_rows if isinstance(form, ScaleForm) and form.whiten else 0, dtype),
        log_weighted=take((k + COLUMNS) * tile_rows, dtype),
        best=take(tile_rows, dtype),
        scale=take(tile_rows, dtype),
        likely=take(tile_rows, dtype),
        row_weight=take(tile_rows, dtype),
        centred=take(d * lanes, dtype),
        gathered=take(d * tile_rows if isinstance(form, FactorForm) and form.bound_columns else 0, dtype),
        values=take(tile_rows, dtype),
        order=take(tile_rows + k + 1, np.int64),
        state=take(2, np.int64),
        log_likelihood=log_likelihood,
    )
