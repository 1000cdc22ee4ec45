"""The passes over rows of a strip that Python calls: each is one compiled function per layout and dtype, kept on disk.

They release the GIL, allocate nothing and take flat arrays; `first` and `last` are rows of the whole X.
"""

from __future__ import annotations

from fastgmm.kernels.numba.cache import SOURCES, entry
from fastgmm.kernels.numba.collect import close_strip, collect
from fastgmm.kernels.numba.evaluate import evaluate, load_tile, sampled_survivors
from fastgmm.kernels.numba.lanes import bare, inlined
from fastgmm.kernels.numba.posterior import weigh, write_assignments, write_log_density, write_responsibilities
from fastgmm.kernels.numba.queues import collect_labels

__all__ = [
    "accumulate_label_rows",
    "accumulate_rows",
    "assign_rows",
    "count_survivors",
    "log_density_rows",
    "responsibility_rows",
]


@inlined
def _evaluate_next(X, n, last, form, tile):
    """Load and evaluate the tile from row n; return its rows."""
    count = min(tile.stride, last - n)
    load_tile(X, n, count, form.d, form.centre, tile.rows, tile.stride)
    evaluate(form, tile, count)
    return count


def _define(sources):
    @entry
    def accumulate_rows(X, sample_weight, weighted, first, last, closing, form, tile, collector):
        """Add responsibilities' statistics and the log-likelihood of the rows to what the collector and tile hold."""
        _ = sources
        X, sample_weight, form, tile, collector = bare(X), bare(sample_weight), bare(form), bare(tile), bare(collector)
        for n in range(first, last, tile.stride):
            count = _evaluate_next(X, n, last, form, tile)
            weigh(form, tile, sample_weight, weighted, n, count)
            collect(form, tile, collector, X, n, count)
        if closing:
            close_strip(form, collector, X)

    @entry
    def log_density_rows(X, first, last, form, tile, out):
        """Write the log densities of the rows."""
        _ = sources
        X, form, tile, out = bare(X), bare(form), bare(tile), bare(out)
        for n in range(first, last, tile.stride):
            write_log_density(form, tile, n, _evaluate_next(X, n, last, form, tile), out)

    @entry
    def responsibility_rows(X, first, last, form, tile, out):
        """Write the posterior probabilities of the rows."""
        _ = sources
        X, form, tile, out = bare(X), bare(form), bare(tile), bare(out)
        for n in range(first, last, tile.stride):
            write_responsibilities(form, tile, n, _evaluate_next(X, n, last, form, tile), out)

    @entry
    def assign_rows(X, first, last, form, tile, out):
        """Write the most probable component of the rows."""
        _ = sources
        X, form, tile, out = bare(X), bare(form), bare(tile), bare(out)
        for n in range(first, last, tile.stride):
            write_assignments(form, tile, n, _evaluate_next(X, n, last, form, tile), out)

    @entry
    def accumulate_label_rows(X, sample_weight, weighted, labels, first, last, closing, form, collector):
        """Add the statistics of owned rows to what the collector holds."""
        _ = sources
        X, sample_weight, labels = bare(X), bare(sample_weight), bare(labels)
        form, collector = bare(form), bare(collector)
        collect_labels(form, collector, X, sample_weight, weighted, labels, first, last)
        if closing:
            close_strip(form, collector, X)

    @entry
    def count_survivors(X, n_samples, sample, form, tile):
        """Return how many of `k * sample` evaluations bounds would not avoid."""
        _ = sources
        return sampled_survivors(bare(X), n_samples, sample, bare(form), bare(tile))

    return accumulate_rows, log_density_rows, responsibility_rows, assign_rows, accumulate_label_rows, count_survivors


(
    accumulate_rows,
    log_density_rows,
    responsibility_rows,
    assign_rows,
    accumulate_label_rows,
    count_survivors,
) = _define(SOURCES)
