# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, freethreading_compatible=True
"""The compiled engine: checks what would be unsafe, releases the GIL for the whole pass, raises what went wrong."""

import os
import threading

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memset

cimport cython
import numpy as np
cimport numpy as cnp

from fastgmm.kernels._native cimport (
    ACCUMULATE, ACCUMULATE_LABELS, ASSIGN, DIAG, FULL, INTERRUPTED, LOG_DENSITY, LOW_RANK, OUT_OF_MEMORY,
    RESPONSIBILITIES, SPHERICAL, TIED, Action, CentreChoice, ErrorPass, KernelTable, Merging, MixtureEstimate,
    MixturePass, NearestPass, NeighborSearch, SeedingPass, SmallFits, Structure, TruncatedPass, best_isa,
    built_with_openmp, table_for,
)

from fastgmm.exceptions import EngineError
from fastgmm.kernels.actions import LOW_RANK as LOADINGS, LOW_RANK_ACTIONS, shapes_of

cnp.import_array()


cdef extern from "Python.h":
    int PyErr_CheckSignals() except? -1


cdef const KernelTable* table = NULL

ISAS = ("avx512", "avx2", "neon", "generic")
SHAPES = ("full", "tied", "diag", "spherical")


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


def supports(action, shape=None, tail=None):
    """Return whether this engine runs `action` on covariances of `shape` and components with `tail`."""
    is_pass = hasattr(Mixture, action)
    if shape is not None and shape.partition(":")[0] == LOADINGS:
        has_action = action in LOW_RANK_ACTIONS
    else:
        has_action = (is_pass or action in globals()) and shape in shapes_of(action) and shape in (None, *SHAPES)
    return has_action and (tail is None or (tail == "student" and is_pass))


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


cdef void* _values(cnp.ndarray a, str name, int number_type, int64_t size, bint written) except? NULL:
    """Where `size` numbers of a type lie; what a kernel could not read, or write, raises."""
    if a is None or a.descr.type_num != number_type or not cnp.PyArray_ISCARRAY_RO(a) or cnp.PyArray_SIZE(a) != size:
        raise ValueError(
            f"{name} has dtype {getattr(a, 'dtype', None)} and shape {tuple(np.shape(a))}; expected {size} "
            f"C-contiguous {cnp.PyArray_DescrFromType(number_type)} values"
        )
    if written and not cnp.PyArray_ISWRITEABLE(a):
        raise ValueError(f"{name} is read-only; expected a writeable array")
    return cnp.PyArray_DATA(a)


cdef const double* _double(cnp.ndarray a, str name, int64_t size) except? NULL:
    return <const double*> _values(a, name, cnp.NPY_FLOAT64, size, False)


cdef double* _written(cnp.ndarray a, str name, int64_t size) except? NULL:
    return <double*> _values(a, name, cnp.NPY_FLOAT64, size, True)


cdef int64_t* _integers(cnp.ndarray a, str name, int64_t size, bint written) except? NULL:
    return <int64_t*> _values(a, name, cnp.NPY_INT64, size, written)


cdef void* _of_rows(cnp.ndarray a, str name, int kind, int64_t size) except? NULL:
    """Numbers of the rows' own type, to be written."""
    return _values(a, name, cnp.NPY_FLOAT64 if kind else cnp.NPY_FLOAT32, size, True)


cdef int _structure(str shape) except -1:
    """What interface.hpp calls a shape of covariances."""
    if shape == "full":
        return FULL
    if shape == "tied":
        return TIED
    if shape == "diag":
        return DIAG
    if shape == "spherical":
        return SPHERICAL
    raise ValueError(f"shape is {shape!r}; expected one of {', '.join(SHAPES)}")


cdef int64_t _size(int structure, int64_t k, int64_t d, int64_t n_factors=0) noexcept:
    """Numbers in the matrices, in their shape, of k components."""
    if structure == LOW_RANK:
        return k * d * (n_factors + 1)
    if structure == FULL:
        return k * d * d
    return d * d if structure == TIED else k * d if structure == DIAG else k


cdef int _run(MixturePass* p, int kind) except -1:
    cdef int status
    cdef const KernelTable* now = table
    if p.n == 0 or p.k == 0:
        return 0
    with nogil:
        status = now.mixture[kind](p)
    return _raise(status)


cdef int _set_statistics(MixturePass* p, sample_weight, cnp.ndarray counts, cnp.ndarray sums,
                         cnp.ndarray scatter) except -1:
    if sample_weight is not None:
        p.sample_weight = _double(sample_weight, "sample_weight", p.n)
    p.counts = _written(counts, "counts", p.k)
    p.sums = _written(sums, "sums", p.k * p.d)
    p.scatter = _written(scatter, "scatter", _size(p.structure, p.k, p.d, p.n_factors))
    return 0


# What factors may explain, in units of the noise, where rows of float32 are evaluated as such: the distance is what is
# left of so many squares, to 6e-8 of their sum. Beyond, rows are converted to float64, so many numbers at a time; or as
# many rows as cost more than the mixture that is packed for each part anew, in 48 MB at most.
cdef double FLOAT_STRENGTH = 8192.0
cdef int64_t CONVERTED_VALUES = 1 << 19, CONVERTED_ROWS = 512, MOST_CONVERTED_VALUES = 6 << 20


cdef double _strength(const double* factor, int64_t k, int64_t d, int64_t q) noexcept nogil:
    """The largest sum of squares of a component's loadings in units of the noise."""
    cdef int64_t i, j
    cdef double largest = 0.0, total = 0.0, squares
    for i in range(k * d):
        if i % d == 0:
            total = 0.0
        squares = 0.0
        for j in range(q):
            squares += factor[i * (q + 1) + j] ** 2
        if factor[i * (q + 1) + q] > 0.0:
            total += squares / factor[i * (q + 1) + q] ** 2
        largest = max(largest, total)
    return largest


@cython.final
@cython.freelist(8)  # one is made and forgotten for every pass over a single block
cdef class Mixture:
    """The parameters of a mixture, checked once: its passes check their rows and what they write to."""
    cdef MixturePass start  # of every pass: the parameters, and nothing of the rows
    cdef bint in_double  # whether rows of float32 are converted
    cdef tuple held

    def __cinit__(self, str shape, cnp.ndarray log_offset, cnp.ndarray means, cnp.ndarray precisions_cholesky,
                  tail=None):
        if tail is not None and getattr(tail, "name", None) != "student":
            raise ValueError(f"tail is {tail!r}; expected None or a StudentTail")
        if means is None or means.ndim != 2:
            raise ValueError(f"means has shape {tuple(np.shape(means))}; expected (n_components, n_features)")
        cdef int64_t k = means.shape[0], d = means.shape[1]
        memset(&self.start, 0, sizeof(MixturePass))
        kind, _, n_factors = shape.partition(":")
        cdef int structure = LOW_RANK if kind == LOADINGS else _structure(shape)
        if structure == LOW_RANK:
            self.start.n_factors = int(n_factors)
        self.start.structure, self.start.k, self.start.d = <Structure> structure, k, d
        self.start.log_offset = _double(log_offset, "log_offset", k)
        self.start.means = _double(means, "means", k * d)
        self.start.factor = _double(precisions_cholesky, "precisions_cholesky",
                                    _size(structure, k, d, self.start.n_factors))
        self.start.poll = poll_signals
        dof = None if tail is None else tail.degrees_of_freedom
        if dof is not None:
            self.start.dof = _double(dof, "degrees_of_freedom", k)
        self.in_double = False
        if structure == LOW_RANK:
            self.in_double = not _strength(self.start.factor, k, d, self.start.n_factors) <= FLOAT_STRENGTH
        self.held = (log_offset, means, precisions_cholesky, dof)

    cdef list converted(self, cnp.ndarray X):
        """Return slices of rows that are to be converted; None where none are."""
        if not self.in_double or _kind(X):
            return None
        cdef int64_t d = X.shape[1]
        cdef int64_t step = max(1, CONVERTED_VALUES // d, min(CONVERTED_ROWS, MOST_CONVERTED_VALUES // d))
        return [slice(first, first + step) for first in range(0, X.shape[0], step)]

    cdef int begin(self, MixturePass* p, cnp.ndarray X, int n_threads) except -1:
        """Write a pass that has rows and parameters; return the kind of the rows."""
        cdef int kind = _kind(X)
        if X.shape[1] != self.start.d:
            raise ValueError(f"X has {X.shape[1]} features; expected {self.start.d}, as means has")
        p[0] = self.start
        p.rows, p.n, p.n_threads = cnp.PyArray_DATA(X), X.shape[0], n_threads
        return kind

    def accumulate(self, cnp.ndarray X, sample_weight, cnp.ndarray counts, cnp.ndarray sums, cnp.ndarray scatter,
                   int n_threads, tail_sums=None, leading=None):
        """Add one pass to the statistics, in place; return the log-likelihood."""
        cdef MixturePass p
        cdef int kind = self.begin(&p, X, n_threads)
        _set_statistics(&p, sample_weight, counts, sums, scatter)
        parts = self.converted(X)
        if parts is not None:
            return sum(
                self.accumulate(X[part].astype(np.float64), None if sample_weight is None else sample_weight[part],
                                counts, sums, scatter, n_threads, tail_sums)
                for part in parts
            )
        if p.dof != NULL:
            p.tail_sums = _written(tail_sums, "tail_sums", 2 * p.k)
        if leading is not None:
            p.leading = <int32_t*> _values(leading, "leading", cnp.NPY_INT32, p.n, True)
        p.action = ACCUMULATE
        _run(&p, kind)
        return p.log_likelihood

    cdef int per_row(self, Action action, cnp.ndarray X, cnp.ndarray out, int n_threads) except -1:
        cdef MixturePass p
        cdef int kind = self.begin(&p, X, n_threads)
        cdef int64_t wanted = p.n * p.k if action == RESPONSIBILITIES else p.n
        p.action = action
        p.out = _integers(out, "out", wanted, True) if action == ASSIGN else _of_rows(out, "out", kind, wanted)
        parts = self.converted(X)
        if parts is None:
            return _run(&p, kind)
        cdef cnp.ndarray lines = out.reshape(X.shape[0], -1)
        for part in parts:
            answers = np.empty((len(X[part]), lines.shape[1]), np.int64 if action == ASSIGN else np.float64)
            self.per_row(action, X[part].astype(np.float64), answers, n_threads)
            lines[part] = answers
        return 0

    def log_density(self, X, out, int n_threads):
        """Write the log density of each row."""
        self.per_row(LOG_DENSITY, X, out, n_threads)

    def responsibilities(self, X, out, int n_threads):
        """Write the posterior probabilities of each row."""
        self.per_row(RESPONSIBILITIES, X, out, n_threads)

    def assign(self, X, out, int n_threads):
        """Write the most probable component of each row."""
        self.per_row(ASSIGN, X, out, n_threads)


def accumulate_labels(str shape, cnp.ndarray X, sample_weight, cnp.ndarray labels, cnp.ndarray centres,
                      cnp.ndarray counts, cnp.ndarray sums, cnp.ndarray scatter, int n_threads):
    """Add rows, owned by the component that their label names, to the statistics, in place."""
    cdef MixturePass p
    cdef int kind = _kind(X)
    memset(&p, 0, sizeof(MixturePass))
    p.structure, p.action, p.poll = <Structure> _structure(shape), ACCUMULATE_LABELS, poll_signals
    p.rows, p.n, p.d, p.k = cnp.PyArray_DATA(X), X.shape[0], X.shape[1], _length(centres, "centres")
    p.n_threads = n_threads
    _set_statistics(&p, sample_weight, counts, sums, scatter)
    cdef cnp.ndarray no_offset = np.zeros(p.k)
    p.log_offset = <const double*> cnp.PyArray_DATA(no_offset)
    p.means = _double(centres, "centres", p.k * p.d)
    p.labels = _integers(labels, "labels", p.n, False)
    _run(&p, kind)


cdef int _begin_with_errors(ErrorPass* p, cnp.ndarray log_weights, cnp.ndarray means, cnp.ndarray covariances,
                            cnp.ndarray X, cnp.ndarray errors, other, tail, int n_threads) except -1:
    """Write a pass that has rows, errors and parameters; return the kind of the rows."""
    cdef int kind = _kind(X)
    memset(p, 0, sizeof(ErrorPass))
    p.rows, p.n, p.d, p.k = cnp.PyArray_DATA(X), X.shape[0], X.shape[1], _length(means, "means")
    if covariances is None or covariances.ndim not in (2, 3):
        raise ValueError(f"covariances has shape {tuple(np.shape(covariances))}; expected (K, D, D), or (K, D)")
    p.diagonal = covariances.ndim == 2
    p.whole = errors is not None and errors.ndim == 3
    if p.diagonal and p.whole:
        raise ValueError("errors are covariances and covariances are variances; expected matrices of both")
    p.log_weight = _double(log_weights, "log_weights", p.k)
    p.means = _double(means, "means", p.k * p.d)
    p.covariances = _double(covariances, "covariances", p.k * p.d * (1 if p.diagonal else p.d))
    if errors is not None:
        p.errors = _values(errors, "errors", cnp.NPY_FLOAT64 if kind else cnp.NPY_FLOAT32,
                           p.n * p.d * (p.d if p.whole else 1), False)
    if other is not None:
        p.other = _double(other, "other", p.n)
    if tail is not None:
        p.degrees_of_freedom = _double(tail[0], "degrees_of_freedom", p.k)
        p.tail_terms = _double(tail[1], "tail_terms", 2 * p.k * (p.d + 1))
    p.n_threads, p.poll = n_threads, poll_signals
    return kind


cdef int _run_with_errors(ErrorPass* p, int kind) except -1:
    cdef int status
    cdef const KernelTable* now = table
    if p.n == 0 or p.k == 0:
        return 0
    with nogil:
        status = now.errors[kind](p)
    return _raise(status)


def accumulate_with_errors(log_weights, means, covariances, X, errors, sample_weight, labels, cnp.ndarray counts,
                           cnp.ndarray sums, cnp.ndarray scatter, int n_threads, other=None, tail=None,
                           tail_sums=None):
    """Add one pass over rows with errors to the statistics, in place; return the log-likelihood."""
    cdef ErrorPass p
    cdef int kind = _begin_with_errors(&p, log_weights, means, covariances, X, errors, other, tail, n_threads)
    if sample_weight is not None:
        p.sample_weight = _double(sample_weight, "sample_weight", p.n)
    if labels is not None:
        p.labels = _integers(labels, "labels", p.n, False)
    if tail is not None:
        p.tail_sums = _written(tail_sums, "tail_sums", 2 * p.k)
    p.counts = _written(counts, "counts", p.k + (other is not None))
    p.sums = _written(sums, "sums", p.k * p.d)
    p.scatter = _written(scatter, "scatter", p.k * p.d * (1 if p.diagonal else p.d))
    p.action = ACCUMULATE
    _run_with_errors(&p, kind)
    return p.log_likelihood


def answer_with_errors(str question, log_weights, means, covariances, X, errors, cnp.ndarray out, int n_threads,
                       other=None, tail=None):
    """Write what a question about each row with errors is answered."""
    cdef ErrorPass p
    cdef int kind = _begin_with_errors(&p, log_weights, means, covariances, X, errors, other, tail, n_threads)
    actions = {"log_density": LOG_DENSITY, "responsibilities": RESPONSIBILITIES, "assign": ASSIGN}
    if question not in actions:
        raise ValueError(f"question is {question!r}; expected one of {', '.join(actions)}")
    cdef int action = actions[question]
    cdef int64_t wanted = p.n * (p.k + (other is not None)) if action == RESPONSIBILITIES else p.n
    p.action = <Action> action
    p.out = _integers(out, "out", wanted, True) if action == ASSIGN else _of_rows(out, "out", kind, wanted)
    _run_with_errors(&p, kind)


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
    p.labels = _integers(labels, "labels", p.n, True)
    p.counts = _written(counts, "counts", p.k)
    p.sums = _written(sums, "sums", p.k * p.d)
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
    p.distances = _of_rows(distances, "distances", kind, p.n)
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
    _seed(X, sample_weight, candidates, distances, _written(potentials, "potentials", k), k, n_threads)


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
    c.distances = _of_rows(distances, "distances", kind, c.n)
    c.chosen = _integers(chosen, "chosen", c.k, True)
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
    cdef double* factors = _written(precisions_cholesky, "precisions_cholesky", k * d * d)
    cdef const KernelTable* now = table
    cdef int status
    with nogil:
        status = now.factorise(source, k, d, factors, n_threads, &failed)
    _raise(status)
    return failed


def estimate(str shape, cnp.ndarray centres, cnp.ndarray counts, cnp.ndarray sums, cnp.ndarray scatter,
             double reg_covar, double count_floor, cnp.ndarray weights, cnp.ndarray means, cnp.ndarray covariances,
             cnp.ndarray precisions_cholesky, cnp.ndarray log_offset, int n_threads):
    """Write the parameters that the statistics give; return whether they exist."""
    cdef MixtureEstimate e
    cdef const KernelTable* now = table
    cdef int status
    if centres is None or centres.ndim != 2:
        raise ValueError(f"centres has shape {tuple(np.shape(centres))}; expected (n_components, n_features)")
    cdef int structure = _structure(shape)
    cdef int64_t k = centres.shape[0], d = centres.shape[1], size = _size(structure, k, d)
    e.structure, e.k, e.d = <Structure> structure, k, d
    e.centres = _double(centres, "centres", k * d)
    e.counts = _double(counts, "counts", k)
    e.sums = _double(sums, "sums", k * d)
    e.scatter = _double(scatter, "scatter", size)
    e.reg_covar, e.count_floor = reg_covar, count_floor
    e.weights = _written(weights, "weights", k)
    e.means = _written(means, "means", k * d)
    e.covariances = _written(covariances, "covariances", size)
    e.factor = _written(precisions_cholesky, "precisions_cholesky", size)
    e.log_offset = _written(log_offset, "log_offset", k)
    e.failed = 0
    e.n_threads = n_threads
    with nogil:
        status = now.estimate(&e)
    _raise(status)
    return e.failed == 0


def merge(str shape, cnp.ndarray counts, cnp.ndarray means, cnp.ndarray matrices, cnp.ndarray floor,
          double extra_count, double entropy, bint shared, int64_t n_groups, cnp.ndarray labels, int n_threads):
    """Merge Gaussian groups, in place; see `fastgmm.kernels.merge`."""
    cdef Merging m
    cdef const KernelTable* now = table
    cdef int status
    cdef int structure = _structure(shape)
    cdef int64_t n = means.shape[0], d = means.shape[1], size = _size(structure, 1, d)
    if n_groups < 1 or n_groups > n:
        raise ValueError(f"n_groups is {n_groups}; expected 1 to {n}, the number of groups to merge")
    m.structure, m.n, m.d, m.n_groups = <Structure> structure, n, d, n_groups
    m.counts = _written(counts, "counts", n)
    m.means = _written(means, "means", n * d)
    m.matrices = _written(matrices, "matrices", n * size)
    m.floor = _double(floor, "floor", size)
    m.extra_count, m.entropy, m.shared, m.n_threads = extra_count, entropy, shared, n_threads
    m.labels = _integers(labels, "labels", n, True)
    with nogil:
        status = now.merge(&m)
    _raise(status)


cdef int32_t* _candidates(cnp.ndarray a, str name, int64_t size, bint written) except? NULL:
    return <int32_t*> _values(a, name, cnp.NPY_INT32, size, written)


cdef int _below(cnp.ndarray a, str name, int64_t k) except -1:
    """Check that numbers of components are below k."""
    if cnp.PyArray_SIZE(a) and a.max() >= k:
        raise ValueError(f"{name} has {a.max()}; expected components below {k}")
    return 0


def accumulate_truncated(Mixture mixture, cnp.ndarray X, sample_weight, cnp.ndarray neighbors, cnp.ndarray candidates,
                         int64_t n_random, uint64_t seed, int64_t first_row, counts, sums, scatter, int n_threads,
                         int64_t turn=0, int64_t n_turns=1):
    """Ask a few components of each row; see `fastgmm.kernels`. Return the log-likelihood and the number asked."""
    cdef MixturePass whole
    cdef TruncatedPass p
    cdef int kind = mixture.begin(&whole, X, n_threads), status
    cdef const KernelTable* now = table
    memset(&p, 0, sizeof(TruncatedPass))
    p.structure, p.rows, p.n, p.d, p.k = whole.structure, whole.rows, whole.n, whole.d, whole.k
    p.log_offset, p.means, p.factor = whole.log_offset, whole.means, whole.factor
    if candidates.ndim != 2 or neighbors.ndim != 2 or not 1 <= candidates.shape[1] <= p.k:
        raise ValueError(
            f"candidates has shape {tuple(np.shape(candidates))}, neighbors {tuple(np.shape(neighbors))}; expected "
            f"(n_samples, 1 to {p.k}) and (n_components, n_neighbors)"
        )
    p.n_candidates, p.n_neighbors, p.n_random = candidates.shape[1], neighbors.shape[1], n_random
    if not 0 <= turn < n_turns:
        raise ValueError(f"turn is {turn}; expected 0 to {n_turns - 1}, as n_turns is {n_turns}")
    p.turn, p.n_turns = turn, n_turns
    p.neighbors = _candidates(neighbors, "neighbors", p.k * p.n_neighbors, False)
    p.candidates = _candidates(candidates, "candidates", p.n * p.n_candidates, True)
    _below(neighbors, "neighbors", p.k)
    _below(candidates, "candidates", p.k)
    p.seed, p.first_row, p.n_threads, p.poll = seed, first_row, n_threads, poll_signals
    if counts is not None:
        _set_statistics(&whole, sample_weight, counts, sums, scatter)
        p.counts, p.sums, p.scatter = whole.counts, whole.sums, whole.scatter
    if sample_weight is not None:
        p.sample_weight = _double(sample_weight, "sample_weight", p.n)
    if p.n and p.k:
        with nogil:
            status = now.truncated[kind](&p)
        _raise(status)
    return p.log_likelihood, p.n_evaluated


def refine_neighbors(Mixture mixture, cnp.ndarray old, cnp.ndarray neighbors, int64_t n_random, uint64_t seed,
                     int n_threads):
    """Write the components near each one, of those near it before, theirs and some at random."""
    cdef NeighborSearch p
    cdef int status
    cdef const KernelTable* now = table
    p.structure, p.d, p.k = mixture.start.structure, mixture.start.d, mixture.start.k
    p.log_offset, p.means, p.factor = mixture.start.log_offset, mixture.start.means, mixture.start.factor
    if neighbors.ndim != 2:
        raise ValueError(f"neighbors has shape {tuple(np.shape(neighbors))}; expected (n_components, n_neighbors)")
    p.n_neighbors, p.n_random, p.seed, p.n_threads = neighbors.shape[1], n_random, seed, n_threads
    p.old_neighbors = _candidates(old, "old", p.k * p.n_neighbors, False)
    p.neighbors = _candidates(neighbors, "neighbors", p.k * p.n_neighbors, True)
    _below(old, "old", p.k)
    if p.k and p.n_neighbors:
        with nogil:
            status = now.refine_neighbors(&p)
        _raise(status)


def fit_many(str shape, cnp.ndarray X, cnp.ndarray first_rows, int64_t n_init, int64_t max_iter, double tol,
             double reg_covar, uint64_t seed, cnp.ndarray weights, cnp.ndarray means, cnp.ndarray covariances,
             cnp.ndarray lower_bounds, cnp.ndarray n_iter, cnp.ndarray outcomes, int n_threads):
    """Fit a mixture to the rows of every problem whose outcome is 0; see `fastgmm.kernels.fit_many`."""
    cdef SmallFits f
    cdef const KernelTable* now = table
    cdef int status
    cdef int structure = _structure(shape)
    cdef int64_t n_problems = _length(outcomes, "outcomes")
    if _kind(X) != 1 or means is None or means.ndim != 3:
        raise ValueError(
            f"X has dtype {X.dtype} and means has shape {tuple(np.shape(means))}; expected float64 and (n_problems, "
            "n_components, n_features)"
        )
    f.structure, f.n_problems, f.k, f.d = <Structure> structure, n_problems, means.shape[1], X.shape[1]
    f.rows = <const double*> cnp.PyArray_DATA(X)
    f.first_rows = _integers(first_rows, "first_rows", n_problems + 1, False)
    f.outcomes = _integers(outcomes, "outcomes", n_problems, True)
    f.most_rows = 1
    cdef int64_t p, size
    if f.first_rows[0] != 0 or f.first_rows[n_problems] != X.shape[0] or f.k < 1:
        raise ValueError(f"first_rows does not go from 0 to {X.shape[0]}, the number of rows of X")
    for p in range(n_problems):
        size = f.first_rows[p + 1] - f.first_rows[p]
        if size < 0 or (f.outcomes[p] == 0 and size < f.k):
            raise ValueError(f"problem {p} has {size} rows; expected at least n_components = {f.k}")
        f.most_rows = max(f.most_rows, size)
    f.matrix_values = _size(structure, f.k, f.d)
    f.n_init, f.max_iter, f.tol, f.reg_covar, f.seed = n_init, max_iter, tol, reg_covar, seed
    f.weights = _written(weights, "weights", n_problems * f.k)
    f.means = _written(means, "means", n_problems * f.k * f.d)
    f.covariances = _written(covariances, "covariances", n_problems * f.matrix_values)
    f.lower_bounds = _written(lower_bounds, "lower_bounds", n_problems)
    f.n_iter = _integers(n_iter, "n_iter", n_problems, True)
    f.n_threads = n_threads
    f.poll = poll_signals
    with nogil:
        status = now.fit_many(&f)
    _raise(status)


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
