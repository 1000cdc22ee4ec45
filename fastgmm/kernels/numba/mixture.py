"""Passes over the rows of a mixture: pack, run the strips, bring the totals home."""

from __future__ import annotations

import functools
import types

import numpy as np

from fastgmm.kernels.numba import passes
from fastgmm.kernels.numba.collect import LaneMoments
from fastgmm.kernels.numba.evaluate import FactorForm
from fastgmm.kernels.numba.layout import (
    LANE_FEATURES,
    SAMPLE,
    Arena,
    flat,
    label_form,
    lanes_for,
    make_tile,
    mean_residuals,
    pack,
    round_up,
    tile_rows_for,
    weights_for,
)
from fastgmm.kernels.numba.moments import PER_FEATURE, PER_ROW, TOTAL_SCATTER, Moments
from fastgmm.kernels.numba.queues import SCATTER_ROWS, Queues
from fastgmm.kernels.numba.strips import run_strips, strip_rows_for

__all__ = ["accumulate", "accumulate_labels", "assign", "log_density", "responsibilities"]


class _StripSums(types.SimpleNamespace):
    """What a strip adds up, in one run of float64 so that handing in is one addition."""

    def __init__(self, **sizes):
        arena_size = sum(round_up(size, 8) for size in sizes.values())
        self.all = Arena().take(arena_size, np.float64)
        start = 0
        for name, size in sizes.items():
            setattr(self, name, self.all[start : start + size])
            start += round_up(size, 8)


@functools.lru_cache(maxsize=64)
def _scatter_order(d: int, lanes: int) -> tuple[int, np.ndarray]:
    """Return the size of a packed scatter and, for every entry of (d, d), where it lies (see `_add_scatter`)."""
    width = round_up(d, lanes)
    order = np.zeros((width, width), dtype=np.intp)
    size = 0
    step = SCATTER_ROWS
    for i in range(0, width, step):
        for j in range(i // lanes * lanes, width, lanes):
            order[i : i + step, j : j + lanes] = size + np.arange(step * lanes).reshape(step, lanes)
            size += step * lanes
    upper = np.triu(order)
    return size, np.ascontiguousarray((upper + np.triu(order, 1).T)[:d, :d])


def _queue_capacity(k, width, itemsize):
    """Rows of a queue: in the first-level cache once flushed, and not too many for all components together."""
    capacity = min((32 << 10) // (width * itemsize), (1 << 18) // k)
    return round_up(min(max(capacity, 32), 256), 16)


def _make_queues(form, dtype, structure, sums):
    capacity = _queue_capacity(form.k, form.width, np.dtype(dtype).itemsize)
    lanes, take = lanes_for(dtype), Arena().take
    slots = form.k * (capacity + lanes)
    return Queues(
        capacity=capacity,
        rows=take(slots, np.int64),
        weights=take(slots, dtype),
        fill=take(form.k, np.int64),
        flushed=take(capacity * form.width, dtype),
        cross=structure in ("full", "tied"),
        counts=sums.counts,
        sums=sums.sums,
        scatter=sums.scatter,
        scatter_stride=_scatter_order(form.d, lanes)[0] if structure == "full" else 0,
    )


def _queue_sizes(form, dtype, structure):
    packed = _scatter_order(form.d, lanes_for(dtype))[0]
    scatter = {"full": form.k * packed, "tied": packed}.get(structure, form.k * form.width)
    return {"counts": form.k, "sums": form.k * form.width, "scatter": scatter}


def _deliver_queues(form, dtype, structure, sums, counts, totals, scatter):
    k, d = form.k, form.d
    counts += sums.counts
    totals += sums.sums.reshape(k, form.width)[:, :d]
    if structure in ("full", "tied"):
        order = _scatter_order(d, lanes_for(dtype))[1]
        scatter += sums.scatter.reshape(*scatter.shape[:-2], -1)[..., order]
    else:
        _deliver_squares(sums.scatter.reshape(k, form.width)[:, :d], structure, scatter)


def _deliver_squares(squares, structure, scatter):
    scatter += squares if structure == "diag" else squares.sum(axis=1)


class _ByLanes:
    """Few features, any structure."""

    def __init__(self, form, dtype, structure, about_centre):
        self.form, self.dtype, self.structure = form, dtype, structure
        self.cross = structure in ("full", "tied")
        self.sizes = {
            "counts": form.k,
            "sums": form.k * form.width,
            "scatter": form.k * (form.d * (form.d + 4) if self.cross else form.width),
        }

    def collector(self, sums, tile_rows):
        rows = Arena().take((self.form.d + 4) * tile_rows, self.dtype)
        rows[self.form.d * tile_rows : (self.form.d + 1) * tile_rows] = 1.0
        weights = Arena().take(tile_rows, self.dtype)
        return LaneMoments(self.cross, rows, weights, sums.counts, sums.sums, sums.scatter)

    def deliver(self, sums, counts, totals, scatter):
        k, d, width = self.form.k, self.form.d, self.form.width
        counts += sums.counts
        if not self.cross:
            totals += sums.sums.reshape(k, width)[:, :d]
            _deliver_squares(sums.scatter.reshape(k, width)[:, :d], self.structure, scatter)
            return
        moments = sums.scatter.reshape(k, d, d + 4)
        totals += moments[:, :, d]
        products = moments[:, :, :d] if self.structure == "full" else moments[:, :, :d].sum(axis=0)
        upper = np.triu(products)
        scatter += upper + np.swapaxes(np.triu(products, 1), -1, -2)


class _ByQueue:
    """Many features and a scatter about the components' own means."""

    def __init__(self, form, dtype, structure, about_centre):
        self.form, self.dtype, self.structure = form, dtype, structure
        self.sizes = _queue_sizes(form, dtype, structure)

    def collector(self, sums, tile_rows):
        return _make_queues(self.form, self.dtype, self.structure, sums)

    def deliver(self, sums, counts, totals, scatter):
        _deliver_queues(self.form, self.dtype, self.structure, sums, counts, totals, scatter)


class _ByMoments:
    """Many features, and squares or one shared scatter."""

    def __init__(self, form, dtype, structure, about_centre):
        self.form, self.dtype, self.structure, self.about_centre = form, dtype, structure, about_centre
        k, width = form.k, form.width
        self.squares = {
            "diag": PER_FEATURE,
            "spherical": PER_ROW,
            "tied": TOTAL_SCATTER,
        }[structure]
        self.sizes = {
            "counts": k,
            "sums": k * width,
            "scatter": k * width,
            "moment_counts": k,
            "moment_sums": (k + 1) * width,
            "moment_squares": (k + 1) * width if structure == "diag" else k,
            "total_scatter": _scatter_order(form.d, lanes_for(dtype))[0] if structure == "tied" else 0,
        }

    def collector(self, sums, tile_rows):
        width, dtype, take = self.form.width, self.dtype, Arena().take
        return Moments(
            about_centre=self.about_centre,
            squares=self.squares,
            capacity=max(16, (24 << 10) // (width * np.dtype(dtype).itemsize)),
            rows=take(tile_rows * width, dtype),
            lengths=take(tile_rows, dtype),
            listed=take(tile_rows + 16, np.int64),
            dense=take(self.form.k + SCATTER_ROWS, np.int64),
            counts=sums.counts,
            sums=sums.sums,
            scatter=sums.scatter,
            moment_counts=sums.moment_counts,
            moment_sums=sums.moment_sums,
            moment_squares=sums.moment_squares,
            total_scatter=sums.total_scatter,
        )

    def deliver(self, sums, counts, totals, scatter):
        k, d, width = self.form.k, self.form.d, self.form.width

        def by_component(values):
            return values.reshape(-1, width)[:k, :d]

        means = by_component(self.form.means).astype(np.float64)
        own_counts, own_sums = sums.counts, by_component(sums.sums)
        about_counts, about_sums = sums.moment_counts, by_component(sums.moment_sums)
        counts += own_counts + about_counts
        totals += own_sums + about_sums - about_counts[:, None] * means
        if self.structure == "tied":
            # All rows were squared about the common centre, to which the sums about the means are moved here.
            all_counts = own_counts + about_counts
            all_sums = own_sums + own_counts[:, None] * means + about_sums
            moved = (all_sums - 0.5 * all_counts[:, None] * means).T @ means
            order = _scatter_order(d, lanes_for(self.dtype))[1]
            scatter += sums.total_scatter[order] - (moved + moved.T)
            return
        _deliver_squares(by_component(sums.scatter), self.structure, scatter)
        correction = means * (about_counts[:, None] * means - 2.0 * about_sums)
        if self.structure == "diag":
            scatter += by_component(sums.moment_squares) + correction
        else:
            scatter += sums.moment_squares + correction.sum(axis=1)


def _collection_for(form, structure, about_centre):
    if form.d <= LANE_FEATURES:
        return _ByLanes
    if structure == "full" or (structure == "tied" and not about_centre):
        return _ByQueue
    return _ByMoments


def _work_per_row(form):
    return form.k * (form.d * (form.d + 1) if isinstance(form, FactorForm) else 4 * form.d + 20)


def _with_bounds(form, X, n_samples, tile_rows, dtype):
    """Return the form with as many columns of bounds as are cheapest on rows spread over the data; 0 if none pays."""
    if not (isinstance(form, FactorForm) and form.bound_columns):
        return form
    tile = make_tile(form, tile_rows, dtype, np.zeros(lanes_for(dtype)))
    best, least, columns = 0, 1.0, form.bound_columns
    while tile.stride >= SAMPLE and columns < form.d:
        # In products of the whole factor; what is finished is gathered row by row and costs more than it would.
        bound = columns * (columns + 1) / (form.d * (form.d + 1))
        if bound >= least:
            break
        survivors = passes.count_survivors(X, n_samples, SAMPLE, form._replace(bound_columns=columns), tile)
        cost = bound + 1.25 * (survivors + SAMPLE) / (form.k * SAMPLE)
        if cost < least:
            best, least = columns, cost
        columns *= 2
    return form._replace(bound_columns=best)


def _packed(mixture, X):
    """Return the mixture's form, whether moments about its centre keep their digits, and rows of a tile."""
    n_samples, d = X.shape
    form, about_centre = pack(mixture.shape, X.dtype, mixture.log_offset, mixture.means, mixture.factor, n_samples)
    tile_rows = tile_rows_for(n_samples, d, form.k, X.dtype)
    return _with_bounds(form, flat(X), n_samples, tile_rows, X.dtype), about_centre, tile_rows


def accumulate(mixture, X, sample_weight, counts, sums, scatter, n_threads) -> float:
    """Add one pass to counts, sums and scatter; return the log-likelihood."""
    structure, dtype, n_samples = mixture.shape, X.dtype, len(X)
    weights, weighted = weights_for(sample_weight)
    form, about_centre, tile_rows = _packed(mixture, X)
    X = flat(X)
    way = _collection_for(form, structure, about_centre)(form, dtype, structure, about_centre)
    sizes = {**way.sizes, "log_likelihood": lanes_for(dtype)}
    total = _StripSums(**sizes)

    def make_worker():
        strip = _StripSums(**sizes)
        tile = make_tile(form, tile_rows, dtype, strip.log_likelihood)
        collector = way.collector(strip, tile_rows)

        def work(first, last, closing):
            passes.accumulate_rows(X, weights, weighted, first, last, closing, form, tile, collector)

        def hand_in():
            total.all[:] += strip.all
            strip.all[:] = 0.0
            tile.state[:] = 0

        return work, hand_in

    run_strips(n_samples, strip_rows_for(n_samples, tile_rows), tile_rows, _work_per_row(form), n_threads, make_worker)
    held = np.zeros(form.k)
    way.deliver(total, held, sums, scatter)
    if dtype == np.float32:
        sums -= held[:, None] * mean_residuals(form, mixture.means)
    counts += held
    return float(total.log_likelihood.sum())


def log_density(mixture, X, out, n_threads) -> None:
    """Write the log densities of all rows."""
    _per_row(passes.log_density_rows, mixture, X, out, n_threads)


def responsibilities(mixture, X, out, n_threads) -> None:
    """Write the posterior probabilities of all rows."""
    _per_row(passes.responsibility_rows, mixture, X, out, n_threads)


def assign(mixture, X, out, n_threads) -> None:
    """Write the most probable component of all rows."""
    _per_row(passes.assign_rows, mixture, X, out, n_threads)


def _per_row(function, mixture, X, out, n_threads) -> None:
    dtype, n_samples = X.dtype, len(X)
    form, _, tile_rows = _packed(mixture, X)
    X, out = flat(X), out.reshape(-1)

    def make_worker():
        tile = make_tile(form, tile_rows, dtype, np.zeros(lanes_for(dtype)))

        def work(first, last, closing):
            function(X, first, last, form, tile, out)

        def hand_in():
            tile.state[:] = 0

        return work, hand_in

    run_strips(n_samples, strip_rows_for(n_samples, tile_rows), tile_rows, _work_per_row(form), n_threads, make_worker)


def accumulate_labels(structure, X, sample_weight, labels, centres, counts, sums, scatter, n_threads) -> None:
    """Add rows owned by the component that their label names to counts, sums and scatter."""
    dtype, (k, d) = X.dtype, centres.shape
    n_samples, X = len(X), flat(X)
    weights, weighted = weights_for(sample_weight)
    form = label_form(dtype, centres)
    sizes = _queue_sizes(form, dtype, structure)
    total = _StripSums(**sizes)

    def make_worker():
        strip = _StripSums(**sizes)
        collector = _make_queues(form, dtype, structure, strip)

        def work(first, last, closing):
            passes.accumulate_label_rows(X, weights, weighted, labels, first, last, closing, form, collector)

        def hand_in():
            total.all[:] += strip.all
            strip.all[:] = 0.0

        return work, hand_in

    work_per_row = d * (d + 8) if structure in ("full", "tied") else 8 * d
    run_strips(n_samples, strip_rows_for(n_samples, 16), 16, work_per_row, n_threads, make_worker)
    held = np.zeros(k)
    _deliver_queues(form, dtype, structure, total, held, sums, scatter)
    if dtype == np.float32:
        sums -= held[:, None] * mean_residuals(form, centres)
    counts += held
