"""The Numba engine: the compiled engine's interface on functions compiled at first use and kept on disk.

An independent twin: the same contract, and the same results to rounding. Arguments are checked here, for compiled code
checks nothing; `mixture` and `nearest` run the passes.
"""

from __future__ import annotations

import math
import operator

import llvmlite.binding
import numpy as np

from fastgmm.kernels.numba import mixture, nearest, seeding
from fastgmm.kernels.numba.estimate import estimate, factorise
from fastgmm.kernels.numba.merging import merge


def available_isas() -> list[str]:
    """Return the processor that functions are compiled for: Numba compiles for the one it runs on, and no other."""
    return [llvmlite.binding.get_host_cpu_name()]


def describe() -> dict:
    """Return what runs, as a dict; threads come from Python, not from OpenMP."""
    isas = available_isas()
    return {"engine": "numba", "isa": isas[0], "available_isas": isas, "openmp": False}


def _rows(X) -> tuple[np.ndarray, int, int]:
    """Return X flat and read-only, so that one type is compiled for, and its sizes."""
    if not isinstance(X, np.ndarray):
        raise TypeError(f"X is a {type(X).__name__}; expected a NumPy array of float32 or float64")
    if X.dtype != np.float64 and X.dtype != np.float32:
        raise TypeError(f"X has dtype {X.dtype}; expected float32 or float64")
    if X.ndim != 2 or not X.flags.c_contiguous or not X.flags.aligned:
        raise ValueError(f"X has shape {X.shape}; expected a C-contiguous array of two dimensions, aligned")
    if X.shape[1] == 0:
        raise ValueError("X has no features; expected at least one column")
    flat = np.asarray(X).reshape(-1)
    flat.flags.writeable = False
    return flat, *X.shape


def _double(array, name, shape, written=False) -> np.ndarray:
    size = math.prod(shape)
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} is a {type(array).__name__}; expected a NumPy array of float64")
    if array.dtype != np.float64 or not array.flags.c_contiguous or array.size != size:
        raise ValueError(
            f"{name} has dtype {array.dtype} and shape {array.shape}; expected {size} C-contiguous float64 values"
        )
    return _writeable(array, name, written).reshape(shape)


def _writeable(array, name, written):
    if written and not array.flags.writeable:
        raise ValueError(f"{name} is read-only; expected a writeable array")
    return np.asarray(array)


def _output(array, name, dtype, size) -> np.ndarray:
    if array.size != size:
        raise ValueError(f"{name} has shape {array.shape}; expected {size} values")
    if array.dtype != dtype or not array.flags.c_contiguous:
        raise ValueError(f"{name} has dtype {array.dtype}; expected a C-contiguous array of {np.dtype(dtype)}")
    return _writeable(array, name, True).reshape(-1)


def _weight(sample_weight, n_samples):
    return None if sample_weight is None else _double(sample_weight, "sample_weight", (n_samples,))


def _labels(labels, n_samples, written) -> np.ndarray:
    if labels.dtype != np.int64 or not labels.flags.c_contiguous or labels.shape != (n_samples,):
        raise ValueError(
            f"labels has dtype {labels.dtype} and shape {labels.shape}; expected C-contiguous int64 of shape "
            f"({n_samples},)"
        )
    return _writeable(labels, "labels", written)


def _factor_shape(structure, k, d):
    return {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}[structure]


def _parameters(structure, log_offset, means, precisions_cholesky, d):
    k = len(log_offset)
    return (
        _double(log_offset, "log_offset", (k,)),
        _double(means, "means", (k, d)),
        _double(precisions_cholesky, "precisions_cholesky", _factor_shape(structure, k, d)),
    )


def _statistics(structure, counts, sums, scatter, k, d):
    scatter_shape = _factor_shape(structure, k, d)
    return (
        _double(counts, "counts", (k,), written=True),
        _double(sums, "sums", (k, d), written=True),
        _double(scatter, "scatter", scatter_shape, written=True),
    )


def _accumulate(structure):
    def accumulate(X, sample_weight, log_offset, means, precisions_cholesky, counts, sums, scatter, n_threads):
        rows, n, d = _rows(X)
        parameters = _parameters(structure, log_offset, means, precisions_cholesky, d)
        statistics = _statistics(structure, counts, sums, scatter, len(log_offset), d)
        sample_weight, n_threads = _weight(sample_weight, n), operator.index(n_threads)
        if n == 0 or len(log_offset) == 0:
            return 0.0
        return mixture.accumulate(structure, rows, sample_weight, *parameters, *statistics, n_threads)

    accumulate.__name__ = accumulate.__qualname__ = f"accumulate_{structure}"
    accumulate.__doc__ = "Add one pass to the statistics in place; return the log-likelihood."
    return accumulate


def _per_row(action, structure):
    def per_row(X, log_offset, means, precisions_cholesky, out, n_threads):
        rows, n, d = _rows(X)
        parameters = _parameters(structure, log_offset, means, precisions_cholesky, d)
        k = len(log_offset)
        dtype = np.int64 if action == "assign" else X.dtype
        out = _output(out, "out", dtype, n * k if action == "responsibilities" else n)
        n_threads = operator.index(n_threads)
        if n and k:
            mixture.per_row(action, structure, rows, *parameters, out, n_threads)

    per_row.__name__ = per_row.__qualname__ = f"{action}_{structure}"
    per_row.__doc__ = "Write to `out`; see the kernels' contract."
    return per_row


def _accumulate_labels(structure):
    def accumulate_labels(X, sample_weight, labels, centres, counts, sums, scatter, n_threads):
        rows, n, d = _rows(X)
        k = len(centres)
        centres = _double(centres, "centres", (k, d))
        statistics = _statistics(structure, counts, sums, scatter, k, d)
        labels, sample_weight = _labels(labels, n, written=False), _weight(sample_weight, n)
        n_threads = operator.index(n_threads)
        if n and k:
            mixture.accumulate_labels(structure, rows, sample_weight, labels, centres, *statistics, n_threads)

    accumulate_labels.__name__ = accumulate_labels.__qualname__ = f"accumulate_labels_{structure}"
    accumulate_labels.__doc__ = "Add the statistics of hard memberships in place."
    return accumulate_labels


accumulate_full = _accumulate("full")
accumulate_tied = _accumulate("tied")
accumulate_diag = _accumulate("diag")
accumulate_spherical = _accumulate("spherical")

log_density_full = _per_row("log_density", "full")
log_density_tied = _per_row("log_density", "tied")
log_density_diag = _per_row("log_density", "diag")
log_density_spherical = _per_row("log_density", "spherical")

responsibilities_full = _per_row("responsibilities", "full")
responsibilities_tied = _per_row("responsibilities", "tied")
responsibilities_diag = _per_row("responsibilities", "diag")
responsibilities_spherical = _per_row("responsibilities", "spherical")

assign_full = _per_row("assign", "full")
assign_tied = _per_row("assign", "tied")
assign_diag = _per_row("assign", "diag")
assign_spherical = _per_row("assign", "spherical")

accumulate_labels_full = _accumulate_labels("full")
accumulate_labels_tied = _accumulate_labels("tied")
accumulate_labels_diag = _accumulate_labels("diag")
accumulate_labels_spherical = _accumulate_labels("spherical")


def assign_nearest(X, sample_weight, centres, labels, counts, sums, n_threads):
    """Run one Lloyd pass: write labels, add to counts and sums, return the inertia."""
    rows, n, d = _rows(X)
    k = len(centres)
    centres = _double(centres, "centres", (k, d))
    sample_weight, labels = _weight(sample_weight, n), _labels(labels, n, written=True)
    counts, sums = _double(counts, "counts", (k,), written=True), _double(sums, "sums", (k, d), written=True)
    n_threads = operator.index(n_threads)
    if n == 0 or k == 0:
        return 0.0
    return nearest.assign_nearest(rows, sample_weight, centres, labels, counts, sums, n_threads)


def candidate_potentials(X, sample_weight, candidates, distances, potentials, n_threads):
    """Write the potential that each candidate would give."""
    rows, n, d = _rows(X)
    k = len(candidates)
    candidates, potentials = _double(candidates, "candidates", (k, d)), _double(potentials, "potentials", (k,), True)
    sample_weight, distances = _weight(sample_weight, n), _output(distances, "distances", X.dtype, n)
    n_threads = operator.index(n_threads)
    potentials[:] = 0.0
    if n and k:
        nearest.candidate_potentials(rows, sample_weight, candidates, distances, potentials, n_threads)


def update_distances(X, centre, distances, n_threads):
    """Lower the distances to those to `centre`, in place."""
    rows, n, d = _rows(X)
    centre, distances = _double(centre, "centre", (1, d)), _output(distances, "distances", X.dtype, n)
    n_threads = operator.index(n_threads)
    if n:
        nearest.update_distances(rows, centre, distances, n_threads)


def choose_centres(X, sample_weight, positions, n_greedy, n_candidates, n_swaps, distances, chosen, n_threads):
    """Choose rows far from each other by k-means++, and exchange them where that is better."""
    rows, n, d = _rows(X)
    k = len(chosen)
    if n == 0 or n_candidates < 1:
        raise ValueError(f"X has {n} rows and n_candidates is {n_candidates}; expected one or more of both")
    n_drawn = k + max(0, min(n_greedy, k) - 1) * (n_candidates - 1) + n_swaps
    positions = _double(positions, "positions", (n_drawn,))
    distances = _output(distances, "distances", X.dtype, n)
    chosen, weight = _labels(chosen, k, written=True), _weight(sample_weight, n)
    seeding.choose_centres(
        rows.reshape(n, d),
        weight,
        positions,
        n_greedy,
        n_candidates,
        n_swaps,
        distances,
        chosen,
        operator.index(n_threads),
    )


def factorise_precisions(covariances, precisions_cholesky, n_threads):
    """Write the factors of the inverses; return the index of the first matrix that is not positive definite, or -1."""
    operator.index(n_threads)  # serial here: the answer is the same
    k, d = covariances.shape[:2]
    covariances = _double(covariances, "covariances", (k, d, d))
    return factorise(covariances, _double(precisions_cholesky, "precisions_cholesky", (k, d, d), written=True))


def _estimate(structure):
    def estimate_parameters(
        centres,
        counts,
        sums,
        scatter,
        reg_covar,
        count_floor,
        weights,
        means,
        covariances,
        precisions_cholesky,
        log_offset,
        n_threads,
    ):
        operator.index(n_threads)
        k, d = centres.shape
        shape = _factor_shape(structure, k, d)
        given = _double(centres, "centres", (k, d)), _double(counts, "counts", (k,)), _double(sums, "sums", (k, d))
        scatter = _double(scatter, "scatter", shape)
        written = (
            _double(weights, "weights", (k,), written=True),
            _double(means, "means", (k, d), written=True),
            _double(covariances, "covariances", shape, written=True),
            _double(precisions_cholesky, "precisions_cholesky", shape, written=True),
            _double(log_offset, "log_offset", (k,), written=True),
        )
        return estimate(structure, given, scatter, float(reg_covar), float(count_floor), written)

    estimate_parameters.__name__ = estimate_parameters.__qualname__ = f"estimate_{structure}"
    estimate_parameters.__doc__ = "Write the parameters of the statistics; return whether they exist."
    return estimate_parameters


estimate_full = _estimate("full")
estimate_tied = _estimate("tied")
estimate_diag = _estimate("diag")
estimate_spherical = _estimate("spherical")


def _merge(structure):
    def merge_groups(counts, means, matrices, floor, extra_count, entropy, shared, n_groups, labels, n_threads):
        operator.index(n_threads)
        n, d = means.shape
        shape = _factor_shape(structure, n, d)
        if not 1 <= n_groups <= n:
            raise ValueError(f"n_groups is {n_groups}; expected 1 to {n}, the number of groups to merge")
        counts, means = _double(counts, "counts", (n,), written=True), _double(means, "means", (n, d), written=True)
        matrices = _double(matrices, "matrices", shape, written=True)
        floor, labels = _double(floor, "floor", shape[1:]), _labels(labels, n, written=True)
        # One type to compile for: variances are a matrix of one row.
        stacked = (d, d) if structure == "full" else (1, d if structure == "diag" else 1)
        merge(
            counts,
            means,
            matrices.reshape(n, *stacked),
            floor.reshape(stacked),
            float(extra_count),
            float(entropy),
            bool(shared),
            int(n_groups),
            labels,
        )

    merge_groups.__name__ = merge_groups.__qualname__ = f"merge_{structure}"
    merge_groups.__doc__ = "Merge groups in place; see `fastgmm.kernels.merge`."
    return merge_groups


merge_full = _merge("full")
merge_diag = _merge("diag")
merge_spherical = _merge("spherical")
