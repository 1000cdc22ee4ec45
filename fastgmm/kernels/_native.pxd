"""What native/interface.hpp declares, for the compiled engine."""

from libc.stdint cimport int32_t, int64_t, uint64_t


cdef extern from "native/interface.hpp" namespace "fastgmm" nogil:
    cdef enum Structure:
        FULL, TIED, DIAG, SPHERICAL, LOW_RANK
    cdef enum Action:
        ACCUMULATE, LOG_DENSITY, RESPONSIBILITIES, ASSIGN, ACCUMULATE_LABELS
    cdef enum Status:
        DONE, OUT_OF_MEMORY, INTERRUPTED
    cdef struct MixturePass:
        Structure structure
        Action action
        const void* rows
        const double* sample_weight
        const int64_t* labels
        int64_t n, d, k
        int64_t n_factors
        const double* log_offset
        const double* means
        const double* factor
        const double* dof
        double* counts
        double* sums
        double* scatter
        double* tail_sums
        int32_t* leading
        void* out
        double log_likelihood
        int n_threads
        int (*poll)() noexcept nogil
    cdef struct ErrorPass:
        Action action
        int diagonal, whole
        const void* rows
        const void* errors
        const double* sample_weight
        const int64_t* labels
        int64_t n, d, k
        const double* log_weight
        const double* means
        const double* covariances
        const double* other
        const double* degrees_of_freedom
        const double* tail_terms
        double* counts
        double* tail_sums
        double* sums
        double* scatter
        void* out
        double log_likelihood
        int n_threads
        int (*poll)() noexcept nogil
    cdef struct NearestPass:
        const void* rows
        const double* sample_weight
        int64_t n, d, k
        const double* centres
        int64_t* labels
        double* counts
        double* sums
        double inertia
        int n_threads
        int (*poll)() noexcept nogil
    cdef struct SeedingPass:
        const void* rows
        const double* sample_weight
        int64_t n, d, k
        const double* candidates
        void* distances
        double* potentials
        int n_threads
        int (*poll)() noexcept nogil
    cdef struct CentreChoice:
        const void* rows
        const double* sample_weight
        int64_t n, d, k, n_greedy, n_candidates, n_swaps
        const double* positions
        void* distances
        int64_t* chosen
        int n_threads
        int (*poll)() noexcept nogil
    cdef struct MixtureEstimate:
        Structure structure
        int64_t d, k
        const double* centres
        const double* counts
        const double* sums
        const double* scatter
        double reg_covar, count_floor
        double* weights
        double* means
        double* covariances
        double* factor
        double* log_offset
        int failed
        int n_threads
    cdef struct Merging:
        Structure structure
        int64_t n, d, n_groups
        double* counts
        double* means
        double* matrices
        const double* floor
        double extra_count, entropy
        int shared
        int64_t* labels
        int n_threads
    cdef struct TruncatedPass:
        Structure structure
        const void* rows
        const double* sample_weight
        int64_t n, d, k
        const double* log_offset
        const double* means
        const double* factor
        int64_t n_candidates, n_neighbors, n_random
        int64_t n_turns, turn
        const int32_t* neighbors
        int32_t* candidates
        uint64_t seed
        int64_t first_row
        double* counts
        double* sums
        double* scatter
        double log_likelihood
        int64_t n_evaluated
        int n_threads
        int (*poll)() noexcept nogil
    cdef struct NeighborSearch:
        Structure structure
        int64_t d, k
        const double* log_offset
        const double* means
        const double* factor
        int64_t n_neighbors, n_random
        const int32_t* old_neighbors
        int32_t* neighbors
        uint64_t seed
        int n_threads
    cdef enum Outcome:
        FIT_WANTED, FIT_CONVERGED, FIT_UNCONVERGED, FIT_COLLAPSED, FIT_REFUSED
    cdef struct SmallFits:
        Structure structure
        const double* rows
        const int64_t* first_rows
        int64_t n_problems, d, k, most_rows, matrix_values, n_init, max_iter
        double tol, reg_covar
        uint64_t seed
        double* weights
        double* means
        double* covariances
        double* lower_bounds
        int64_t* n_iter
        int64_t* outcomes
        int n_threads
        int (*poll)() noexcept nogil
    cdef struct KernelTable:
        const char* name
        int (*mixture[2])(MixturePass*) noexcept nogil
        int (*errors[2])(ErrorPass*) noexcept nogil
        int (*nearest[2])(NearestPass*) noexcept nogil
        int (*seeding[2])(SeedingPass*) noexcept nogil
        int (*choose[2])(CentreChoice*) noexcept nogil
        int (*estimate)(MixtureEstimate*) noexcept nogil
        int (*factorise)(const double*, int64_t, int64_t, double*, int, int64_t*) noexcept nogil
        int (*merge)(Merging*) noexcept nogil
        int (*truncated[2])(TruncatedPass*) noexcept nogil
        int (*refine_neighbors)(NeighborSearch*) noexcept nogil
        int (*fit_many)(SmallFits*) noexcept nogil
        void (*exponentials[2])(const void*, void*, int64_t) noexcept nogil
        void (*logarithms[2])(const void*, void*, int64_t) noexcept nogil
    const KernelTable* table_for(const char*)
    const char* best_isa()
    bint built_with_openmp()
