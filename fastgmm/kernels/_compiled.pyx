# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, freethreading_compatible=True
"""The compiled engine: checks what would be unsafe, releases the GIL for the whole pass, raises what went wrong."""

import os
import threading

from libc.stdint cimport int64_t

import numpy as np
cimport numpy as cnp

from fastgmm.kernels._native cimport (
    ACCUMULATE, ACCUMULATE_LABELS, ASSIGN, DIAG, FULL, INTERRUPTED, LOG_DENSITY, OUT_OF_MEMORY, RESPONSIBILITIES,
    SPHERICAL, TIED, Action, CentreChoice, KernelTable, Merging, MixtureEstimate, MixturePass, NearestPass,
    SeedingPass, Structure, best_isa, built_with_openmp, table_for,
)

from fastgmm.exceptions import EngineError

cnp.import_array()


cdef extern from "Python.h":
    int PyErr_CheckSignals() except? -1


cdef const KernelTable* table = NULL

ISAS = ("avx512", "avx2", "generic")


def available_isas():
    """Return the instruction sets that were built and that this processor runs, best first."""
    return [name for name in ISAS if table_for(name.encode()) != NULL]


def set_isa(name):
    """Make `name` (or, for None, the best available) the instruction set of every later pass; return its name."""
    global table
    if name is None:
        name = best_isa().decode()
    cdef const KernelTable* wanted = table_for(str(name).encode())
    if wanted == NULL:
        raise EngineError(
            f"FASTGMM_ISA is {name!r}; expected one of {', '.join(available_isas())}, the instruction sets that "
            "this installation has and this processor runs"
        )
    table = wanted
    return table.name.decode()


def describe():
    """Return what was built and what runs, as a dict."""
    return {
        "engine": "compiled",
        "isa": table.name.decode(),
        "available_isas": available_isas(),
        "openmp": bool(built_with_openmp()),
    }


set_isa(os.environ.get("FASTGMM_ISA") or None)


# Returns 1 when the pass is to stop: a signal handler raised. The exception itself is raised again by the wrapper.
cdef int poll_signals() noexcept nogil:
    cdef int stop = 0
    with gil:
        try:
            if PyErr_CheckSignals() == -1:
                stop = 1
        except BaseException as error:
            _pending.error = error
            stop = 1
    return stop


_pending = threading.local()


cdef int _raise(int status) except -1:
    if status == OUT_OF_MEMORY:
        raise MemoryError("not enough memory for the scratch space of a pass")
    if status == INTERRUPTED:
        error = getattr(_pending, "error", None)
        _pending.error = None
        raise error if error is not None else KeyboardInterrupt()
    return 0


cdef int _kind(cnp.ndarray X) except -1:
    """1 for float64, 0 for float32; anything that a kernel could not read raises."""
    if X is None:
        raise TypeError("X is None; expected an array")
    cdef int kind = X.descr.type_num
    if kind != cnp.NPY_FLOAT64 and kind != cnp.NPY_FLOAT32:
        raise TypeError(f"X has dtype {X.dtype}; expected float32 or float64")
    if X.ndim != 2 or not cnp.PyArray_ISCARRAY_RO(X):
        raise ValueError(
            f"X has shape {tuple(np.shape(X))}; expected a C-contiguous array of two dimensions, aligned and in the "
            "machine's byte order"
        )
    if X.shape[1] == 0:
        raise ValueError("X has no features; expected at least one column")
    return kind == cnp.NPY_FLOAT64


cdef int64_t _length(cnp.ndarray a, str name) except -1:
    """The first dimension of an array that is to have one."""
    if a is None or a.ndim == 0:
        raise ValueError(f"{name} is {a!r}; expected an array of at least one dimension")
    return a.shape[0]


cdef int64_t* _integers(cnp.ndarray labels, int64_t n) except? NULL:
    if labels is None or labels.descr.type_num != cnp.NPY_INT64 or not cnp.PyArray_ISCARRAY_RO(labels) or (
            cnp.PyArray_SIZE(labels) != n):
        raise ValueError(
            f"labels has dtype {getattr(labels, 'dtype', None)} and shape {tuple(np.shape(labels))}; expected "
            f"C-contiguous int64 of shape ({n},)"
        )
    return <int64_t*> cnp.PyArray_DATA(labels)


cdef void* _same_kind(cnp.ndarray out, cnp.ndarray X, str name) except? NULL:
    if out.descr.type_num != X.descr.type_num or not cnp.PyArray_ISCARRAY_RO(out):
        raise ValueError(f"{name} has dtype {out.dtype}; expected a C-contiguous array of {X.dtype}, as X has")
    return cnp.PyArray_DATA(out)


cdef const double* _double(cnp.ndarray a, str name, cnp.npy_intp size) except? NULL:
    if a is None or a.descr.type_num != cnp.NPY_FLOAT64 or not cnp.PyArray_ISCARRAY_RO(a) or (
            cnp.PyArray_SIZE(a) != size):
        raise ValueError(
            f"{name} has dtype {getattr(a, 'dtype', None)} and shape {tuple(np.shape(a))}; expected {size} "
            "C-contiguous float64 values"
        )
    return <const double*> cnp.PyArray_DATA(a)


cdef class _Pass:
    """A mixture pass with its arguments checked; keeps nothing alive, so it does not outlive the call."""
    cdef MixturePass arguments
    cdef int kind

    cdef int set_mixture(self, Structure structure, cnp.ndarray X, int64_t k, int n_threads) except -1:
        self.kind = _kind(X)
        self.arguments.structure = structure
        self.arguments.rows = cnp.PyArray_DATA(X)
        self.arguments.n = X.shape[0]
        self.arguments.d = X.shape[1]
        self.arguments.k = k
        self.arguments.sample_weight = NULL
        self.arguments.n_threads = n_threads
        self.arguments.poll = poll_signals
        self.arguments.log_likelihood = 0.0
        return 0

    cdef int set_parameters(self, cnp.ndarray log_offset, cnp.ndarray means, cnp.ndarray factor) except -1:
        cdef int64_t k = self.arguments.k, d = self.arguments.d
        self.arguments.log_offset = _double(log_offset, "log_offset", k)
        self.arguments.means = _double(means, "means", k * d)
        self.arguments.factor = _double(factor, "precisions_cholesky", self.size_of(1))
        return 0

    cdef int64_t size_of(self, bint factor) noexcept:
        cdef int64_t k = self.arguments.k, d = self.arguments.d
        if self.arguments.structure == FULL:
            return k * d * d
        if self.arguments.structure == TIED:
            return d * d
        if self.arguments.structure == DIAG:
            return k * d
        return k

    cdef int set_weight(self, sample_weight) except -1:
        if sample_weight is not None:
            self.arguments.sample_weight = _double(sample_weight, "sample_weight", self.arguments.n)
        return 0

    cdef int set_statistics(self, cnp.ndarray counts, cnp.ndarray sums, cnp.ndarray scatter) except -1:
        cdef int64_t k = self.arguments.k, d = self.arguments.d
        self.arguments.counts = <double*> _double(counts, "counts", k)
        self.arguments.sums = <double*> _double(sums, "sums", k * d)
        self.arguments.scatter = <double*> _double(scatter, "scatter", self.size_of(0))
        return 0

    cdef int run(self) except -1:
        cdef int status
        cdef const KernelTable* now = table
        if self.arguments.n == 0 or self.arguments.k == 0:
            return 0
        with nogil:
            status = now.mixture[self.kind](&self.arguments)
        return _raise(status)


cdef double _accumulate(Structure structure, cnp.ndarray X, sample_weight, cnp.ndarray log_offset, cnp.ndarray means,
                        cnp.ndarray factor, cnp.ndarray counts, cnp.ndarray sums, cnp.ndarray scatter,
                        int n_threads) except? -1:
    cdef _Pass p = _Pass.__new__(_Pass)
    p.set_mixture(structure, X, _length(log_offset, "log_offset"), n_threads)
    p.set_parameters(log_offset, means, factor)
    p.set_weight(sample_weight)
    p.set_statistics(counts, sums, scatter)
    p.arguments.action = ACCUMULATE
    p.run()
    return p.arguments.log_likelihood


def accumulate_full(X, sample_weight, log_offset, means, precisions_cholesky, counts, sums, scatter, int n_threads):
    return _accumulate(FULL, X, sample_weight, log_offset, means, precisions_cholesky, counts, sums, scatter, n_threads)


def accumulate_tied(X, sample_weight, log_offset, means, precisions_cholesky, counts, sums, scatter, int n_threads):
    return _accumulate(TIED, X, sample_weight, log_offset, means, precisions_cholesky, counts, sums, scatter, n_threads)


def accumulate_diag(X, sample_weight, log_offset, means, precisions_cholesky, counts, sums, scatter, int n_threads):
    return _accumulate(DIAG, X, sample_weight, log_offset, means, precisions_cholesky, counts, sums, scatter, n_threads)


def accumulate_spherical(
    X, sample_weight, log_offset, means, precisions_cholesky, counts, sums, scatter, int n_threads
):
    return _accumulate(
        SPHERICAL, X, sample_weight, log_offset, means, precisions_cholesky, counts, sums, scatter, n_threads
    )


cdef int _per_row(Structure structure, Action action, cnp.ndarray X, cnp.ndarray log_offset, cnp.ndarray means,
                  cnp.ndarray factor, cnp.ndarray out, int n_threads) except -1:
    cdef _Pass p = _Pass.__new__(_Pass)
    cdef int64_t k = _length(log_offset, "log_offset"), wanted
    p.set_mixture(structure, X, k, n_threads)
    p.set_parameters(log_offset, means, factor)
    p.arguments.action = action
    wanted = p.arguments.n * k if action == RESPONSIBILITIES else p.arguments.n
    if out is None or cnp.PyArray_SIZE(out) != wanted:
        raise ValueError(f"out has shape {tuple(np.shape(out))}; expected {wanted} values for {p.arguments.n} rows")
    if not cnp.PyArray_ISWRITEABLE(out):
        raise ValueError("out is read-only; expected a writeable array")
    if action == ASSIGN:
        if out.descr.type_num != cnp.NPY_INT64 or not cnp.PyArray_ISCARRAY(out):
            raise ValueError(f"out has dtype {out.dtype}; expected a C-contiguous array of int64")
        p.arguments.out = cnp.PyArray_DATA(out)
    else:
        p.arguments.out = _same_kind(out, X, "out")
    return p.run()


def log_density_full(X, log_offset, means, precisions_cholesky, out, int n_threads):
    _per_row(FULL, LOG_DENSITY, X, log_offset, means, precisions_cholesky, out, n_threads)


def log_density_tied(X, log_offset, means, precisions_cholesky, out, int n_threads):
    _per_row(TIED, LOG_DENSITY, X, log_offset, means, precisions_cholesky, out, n_threads)


def log_density_diag(X, log_offset, means, precisions_cholesky, out, int n_threads):
    _per_row(DIAG, LOG_DENSITY, X, log_offset, means, precisions_cholesky, out, n_threads)


def log_density_spherical(X, log_offset, means, precisions_cholesky, out, int n_threads):
    _per_row(SPHERICAL, LOG_DENSITY, X, log_offset, means, precisions_cholesky, out, n_threads)


def responsibilities_full(X, log_offset, means, precisions_cholesky, out, int n_threads):
    _per_row(FULL, RESPONSIBILITIES, X, log_offset, means, precisions_cholesky, out, n_threads)


def responsibilities_tied(X, log_offset, means, precisions_cholesky, out, int n_threads):
    _per_row(TIED, RESPONSIBILITIES, X, log_offset, means, precisions_cholesky, out, n_threads)


def responsibilities_diag(X, log_offset, means, precisions_cholesky, out, int n_threads):
    _per_row(DIAG, RESPONSIBILITIES, X, log_offset, means, precisions_cholesky, out, n_threads)


def responsibilities_spherical(X, log_offset, means, precisions_cholesky, out, int n_threads):
    _per_row(SPHERICAL, RESPONSIBILITIES, X, log_offset, means, precisions_cholesky, out, n_threads)


def assign_full(X, log_offset, means, precisions_cholesky, out, int n_threads):
    _per_row(FULL, ASSIGN, X, log_offset, means, precisions_cholesky, out, n_threads)


def assign_tied(X, log_offset, means, precisions_cholesky, out, int n_threads):
    _per_row(TIED, ASSIGN, X, log_offset, means, precisions_cholesky, out, n_threads)


def assign_diag(X, log_offset, means, precisions_cholesky, out, int n_threads):
    _per_row(DIAG, ASSIGN, X, log_offset, means, precisions_cholesky, out, n_threads)


def assign_spherical(X, log_offset, means, precisions_cholesky, out, int n_threads):
    _per_row(SPHERICAL, ASSIGN, X, log_offset, means, precisions_cholesky, out, n_threads)


cdef int _accumulate_labels(Structure structure, cnp.ndarray X, sample_weight, cnp.ndarray labels,
                            cnp.ndarray centres, cnp.ndarray counts, cnp.ndarray sums, cnp.ndarray scatter,
                            int n_threads) except -1:
    cdef _Pass p = _Pass.__new__(_Pass)
    cdef int64_t k = _length(centres, "centres")
    p.set_mixture(structure, X, k, n_threads)
    p.set_weight(sample_weight)
    p.set_statistics(counts, sums, scatter)
    cdef cnp.ndarray no_offset = np.zeros(k)
    p.arguments.log_offset = <const double*> cnp.PyArray_DATA(no_offset)
    p.arguments.means = _double(centres, "centres", k * p.arguments.d)
    p.arguments.factor = NULL
    p.arguments.labels = _integers(labels, p.arguments.n)
    p.arguments.action = ACCUMULATE_LABELS
    return p.run()


def accumulate_labels_full(X, sample_weight, labels, centres, counts, sums, scatter, int n_threads):
    _accumulate_labels(FULL, X, sample_weight, labels, centres, counts, sums, scatter, n_threads)


def accumulate_labels_tied(X, sample_weight, labels, centres, counts, sums, scatter, int n_threads):
    _accumulate_labels(TIED, X, sample_weight, labels, centres, counts, sums, scatter, n_threads)


def accumulate_labels_diag(X, sample_weight, labels, centres, counts, sums, scatter, int n_threads):
    _accumulate_labels(DIAG, X, sample_weight, labels, centres, counts, sums, scatter, n_threads)


def accumulate_labels_spherical(X, sample_weight, labels, centres, counts, sums, scatter, int n_threads):
    _accumulate_labels(SPHERICAL, X, sample_weight, labels, centres, counts, sums, scatter, n_threads)


def assign_nearest(cnp.ndarray X, sample_weight, cnp.ndarray centres, cnp.ndarray labels, cnp.ndarray counts,
                   cnp.ndarray sums, int n_threads):
    cdef NearestPass p
    cdef int kind = _kind(X), status
    cdef const KernelTable* now = table
    p.rows = cnp.PyArray_DATA(X)
    p.n, p.d, p.k = X.shape[0], X.shape[1], _length(centres, "centres")
    p.sample_weight = NULL
    if sample_weight is not None:
        p.sample_weight = _double(sample_weight, "sample_weight", p.n)
    p.centres = _double(centres, "centres", p.k * p.d)
    p.labels = _integers(labels, p.n)
    p.counts = <double*> _double(counts, "counts", p.k)
    p.sums = <double*> _double(sums, "sums", p.k * p.d)
    p.inertia = 0.0
    p.n_threads = n_threads
    p.poll = poll_signals
    if p.n and p.k:
        with nogil:
            status = now.nearest[kind](&p)
        _raise(status)
    return p.inertia


cdef int _seed(cnp.ndarray X, sample_weight, cnp.ndarray candidates, cnp.ndarray distances, double* potentials,
               int64_t k, int n_threads) except -1:
    cdef SeedingPass p
    cdef int kind = _kind(X), status
    cdef const KernelTable* now = table
    p.rows = cnp.PyArray_DATA(X)
    p.n, p.d, p.k = X.shape[0], X.shape[1], k
    p.sample_weight = NULL
    if sample_weight is not None:
        p.sample_weight = _double(sample_weight, "sample_weight", p.n)
    p.candidates = _double(candidates, "candidates", p.k * p.d)
    if distances is None or cnp.PyArray_SIZE(distances) != p.n:
        raise ValueError(f"distances has shape {tuple(np.shape(distances))}; expected ({p.n},)")
    p.distances = _same_kind(distances, X, "distances")
    p.potentials = potentials
    p.n_threads = n_threads
    p.poll = poll_signals
    if p.n and p.k:
        with nogil:
            status = now.seeding[kind](&p)
        return _raise(status)
    return 0


def candidate_potentials(X, sample_weight, cnp.ndarray candidates, distances, cnp.ndarray potentials, int n_threads):
    cdef int64_t k = _length(candidates, "candidates")
    _seed(X, sample_weight, candidates, distances, <double*> _double(potentials, "potentials", k), k, n_threads)


def update_distances(X, centre, distances, int n_threads):
    _seed(X, None, centre, distances, NULL, 1, n_threads)


def choose_centres(cnp.ndarray X, sample_weight, cnp.ndarray positions, int64_t n_greedy, int64_t n_candidates,
                   int64_t n_swaps, cnp.ndarray distances, cnp.ndarray chosen, int n_threads):
    cdef CentreChoice c
    cdef int kind = _kind(X), status
    cdef const KernelTable* now = table
    c.rows = cnp.PyArray_DATA(X)
    c.n, c.d, c.k = X.shape[0], X.shape[1], chosen.shape[0]
    if c.n == 0 or n_candidates < 1:
        raise ValueError(f"X has {c.n} rows and n_candidates is {n_candidates}; expected one or more of both")
    c.n_greedy, c.n_candidates, c.n_swaps = n_greedy, n_candidates, n_swaps
    c.sample_weight = NULL
    if sample_weight is not None:
        c.sample_weight = _double(sample_weight, "sample_weight", c.n)
    cdef int64_t n_drawn = c.k + max(0, min(n_greedy, c.k) - 1) * (n_candidates - 1) + n_swaps
    c.positions = _double(positions, "positions", n_drawn)
    if cnp.PyArray_SIZE(distances) != c.n:
        raise ValueError(f"distances has shape {tuple(np.shape(distances))}; expected ({c.n},)")
    c.distances = _same_kind(distances, X, "distances")
    if chosen.descr.type_num != cnp.NPY_INT64 or not cnp.PyArray_ISCARRAY(chosen):
        raise ValueError(f"chosen has dtype {chosen.dtype}; expected C-contiguous int64")
    c.chosen = <int64_t*> cnp.PyArray_DATA(chosen)
    c.n_threads = n_threads
    c.poll = poll_signals
    with nogil:
        status = now.choose[kind](&c)
    _raise(status)


def factorise_precisions(cnp.ndarray covariances, cnp.ndarray precisions_cholesky, int n_threads):
    if covariances is None or covariances.ndim != 3:
        raise ValueError(
            f"covariances has shape {tuple(np.shape(covariances))}; expected (n_components, n_features, n_features)"
        )
    cdef int64_t k = covariances.shape[0], d = covariances.shape[1], failed = -1
    cdef const double* source = _double(covariances, "covariances", k * d * d)
    cdef double* factors = <double*> _double(precisions_cholesky, "precisions_cholesky", k * d * d)
    cdef const KernelTable* now = table
    cdef int status
    with nogil:
        status = now.factorise(source, k, d, factors, n_threads, &failed)
    _raise(status)
    return failed


cdef bint _estimate(Structure structure, cnp.ndarray centres, cnp.ndarray counts, cnp.ndarray sums,
                    cnp.ndarray scatter, double reg_covar, double count_floor, cnp.ndarray weights,
                    cnp.ndarray means, cnp.ndarray covariances, cnp.ndarray factor, cnp.ndarray log_offset,
                    int n_threads) except? -1:
    cdef MixtureEstimate e
    cdef const KernelTable* now = table
    cdef int status
    if centres is None or centres.ndim != 2:
        raise ValueError(f"centres has shape {tuple(np.shape(centres))}; expected (n_components, n_features)")
    cdef int64_t k = centres.shape[0], d = centres.shape[1], size
    size = k * d * d if structure == FULL else d * d if structure == TIED else k * d if structure == DIAG else k
    e.structure, e.k, e.d = structure, k, d
    e.centres = _double(centres, "centres", k * d)
    e.counts = _double(counts, "counts", k)
    e.sums = _double(sums, "sums", k * d)
    e.scatter = _double(scatter, "scatter", size)
    e.reg_covar, e.count_floor = reg_covar, count_floor
    e.weights = <double*> _double(weights, "weights", k)
    e.means = <double*> _double(means, "means", k * d)
    e.covariances = <double*> _double(covariances, "covariances", size)
    e.factor = <double*> _double(factor, "precisions_cholesky", size)
    e.log_offset = <double*> _double(log_offset, "log_offset", k)
    e.failed = 0
    e.n_threads = n_threads
    with nogil:
        status = now.estimate(&e)
    _raise(status)
    return not e.failed


def estimate_full(centres, counts, sums, scatter, double reg_covar, double count_floor, weights, means, covariances,
                  precisions_cholesky, log_offset, int n_threads):
    return _estimate(FULL, centres, counts, sums, scatter, reg_covar, count_floor, weights, means, covariances,
                     precisions_cholesky, log_offset, n_threads)


def estimate_tied(centres, counts, sums, scatter, double reg_covar, double count_floor, weights, means, covariances,
                  precisions_cholesky, log_offset, int n_threads):
    return _estimate(TIED, centres, counts, sums, scatter, reg_covar, count_floor, weights, means, covariances,
                     precisions_cholesky, log_offset, n_threads)


def estimate_diag(centres, counts, sums, scatter, double reg_covar, double count_floor, weights, means, covariances,
                  precisions_cholesky, log_offset, int n_threads):
    return _estimate(DIAG, centres, counts, sums, scatter, reg_covar, count_floor, weights, means, covariances,
                     precisions_cholesky, log_offset, n_threads)


def estimate_spherical(centres, counts, sums, scatter, double reg_covar, double count_floor, weights, means,
                       covariances, precisions_cholesky, log_offset, int n_threads):
    return _estimate(SPHERICAL, centres, counts, sums, scatter, reg_covar, count_floor, weights, means, covariances,
                     precisions_cholesky, log_offset, n_threads)


cdef int _merge(Structure structure, cnp.ndarray counts, cnp.ndarray means, cnp.ndarray matrices, cnp.ndarray floor,
                double extra_count, double entropy, bint shared, int64_t n_groups, cnp.ndarray labels,
                int n_threads) except -1:
    cdef Merging m
    cdef const KernelTable* now = table
    cdef int status
    cdef int64_t n = means.shape[0], d = means.shape[1], size
    size = d * d if structure == FULL else d if structure == DIAG else 1
    if n_groups < 1 or n_groups > n:
        raise ValueError(f"n_groups is {n_groups}; expected 1 to {n}, the number of groups to merge")
    m.structure, m.n, m.d, m.n_groups = structure, n, d, n_groups
    m.counts = <double*> _double(counts, "counts", n)
    m.means = <double*> _double(means, "means", n * d)
    m.matrices = <double*> _double(matrices, "matrices", n * size)
    m.floor = _double(floor, "floor", size)
    m.extra_count, m.entropy, m.shared, m.n_threads = extra_count, entropy, shared, n_threads
    if labels.descr.type_num != cnp.NPY_INT64 or not cnp.PyArray_ISCARRAY(labels) or labels.shape[0] != n:
        raise ValueError(
            f"labels has dtype {labels.dtype} and shape {tuple(np.shape(labels))}; expected int64 of shape ({n},)"
        )
    m.labels = <int64_t*> cnp.PyArray_DATA(labels)
    with nogil:
        status = now.merge(&m)
    return _raise(status)


def merge_full(counts, means, matrices, floor, extra_count, entropy, shared, n_groups, labels, int n_threads):
    _merge(FULL, counts, means, matrices, floor, extra_count, entropy, shared, n_groups, labels, n_threads)


def merge_diag(counts, means, matrices, floor, extra_count, entropy, shared, n_groups, labels, int n_threads):
    _merge(DIAG, counts, means, matrices, floor, extra_count, entropy, shared, n_groups, labels, n_threads)


def merge_spherical(counts, means, matrices, floor, extra_count, entropy, shared, n_groups, labels, int n_threads):
    _merge(SPHERICAL, counts, means, matrices, floor, extra_count, entropy, shared, n_groups, labels, n_threads)


def _transcendental(str name, cnp.ndarray values):
    """Apply the vector exponential or logarithm: the tests of their accuracy call it."""
    cdef int kind = values.descr.type_num == cnp.NPY_FLOAT64
    cdef cnp.npy_intp n = values.shape[0]
    padded = np.ones(-(-n // 16) * 16, dtype=values.dtype) * (-1 if name == "exp" else 1)
    padded[:n] = values
    cdef cnp.ndarray source = padded, out = np.empty_like(padded)
    if name == "exp":
        table.exponentials[kind](cnp.PyArray_DATA(source), cnp.PyArray_DATA(out), source.shape[0])
    else:
        table.logarithms[kind](cnp.PyArray_DATA(source), cnp.PyArray_DATA(out), source.shape[0])
    return out[:n]
