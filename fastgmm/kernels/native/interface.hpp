// What the Python wrapper and the instruction-set builds agree on. Plain data only: nothing here may become code
// that one build compiles and another links.
#ifndef FASTGMM_INTERFACE_HPP
#define FASTGMM_INTERFACE_HPP

#include <cstdint>

namespace fastgmm {

enum Structure { FULL = 0, TIED = 1, DIAG = 2, SPHERICAL = 3, LOW_RANK = 4 };
enum Action { ACCUMULATE = 0, LOG_DENSITY = 1, RESPONSIBILITIES = 2, ASSIGN = 3, ACCUMULATE_LABELS = 4 };
enum Status { DONE = 0, OUT_OF_MEMORY = 1, INTERRUPTED = 2 };

// One pass over the rows of a mixture. Sizes: n rows, d features, k components.
struct MixturePass {
    Structure structure;
    Action action;
    const void* rows;             // (n, d) float or double
    const double* sample_weight;  // (n) or null
    const int64_t* labels;        // (n), ACCUMULATE_LABELS only
    int64_t n, d, k;
    int64_t n_factors;         // LOW_RANK only: factors and scatter are (k, d, n_factors + 1); see loadings.inl
    const double* log_offset;  // (k)
    const double* means;       // (k, d)
    const double* factor;      // precision factors in the structure's shape; null for ACCUMULATE_LABELS
    const double* dof;         // (k) degrees of freedom of Student components, or null: Gaussian ones
    double* counts;            // (k), added to
    double* sums;              // (k, d), added to
    double* scatter;           // in the structure's shape, added to
    double* tail_sums;         // (2, k) of Student components, added to
    int32_t* leading;          // (n) a component near each row, negative for none, rewritten where found; or null
    void* out;                 // (n) or (n, k), the rows' type; int64 for ASSIGN
    double log_likelihood;     // written
    int n_threads;
    int (*poll)();  // called now and then by the calling thread; non-zero stops the pass. May be null.
};

// One pass over rows that were measured with errors of their own; see errors.inl.
struct ErrorPass {
    Action action;  // not ACCUMULATE_LABELS
    int diagonal;   // non-zero: covariances and errors are variances, and so is scatter
    int whole;      // non-zero: errors are matrices
    const void* rows;
    const void* errors;           // (n, d) or (n, d, d), the rows' type; null: none, and NaN among the rows is missing
    const double* sample_weight;  // (n) or null
    const int64_t* labels;        // (n), negative where not known; or null
    int64_t n, d, k;
    const double* log_weight;          // (k)
    const double* means;               // (k, d)
    const double* covariances;         // (k, d, d) or (k, d)
    const double* other;               // (n) the log density of what is no component, which then comes last; or null
    const double* degrees_of_freedom;  // (k) of Student components; or null, and so is the following
    const double*
        tail_terms;         // (2, k, d + 1) of so many features: log normaliser; what log u is added beside that of all
    double* counts;         // (k), or one more, added to
    double* tail_sums;      // (2, k), added to: r u and r (log u - u)
    double* sums;           // (k, d), added to: r g, or without errors r E[x - mean]
    double* scatter;        // added to: r (g g^T - T^-1), or r E[(x - mean)(x - mean)^T]
    void* out;              // as in a MixturePass
    double log_likelihood;  // written
    int n_threads;
    int (*poll)();
};

// One pass of k-means: nearest centre and the sums of a Lloyd step.
struct NearestPass {
    const void* rows;
    const double* sample_weight;
    int64_t n, d, k;
    const double* centres;  // (k, d)
    int64_t* labels;        // (n), written
    double* counts;         // (k), added to
    double* sums;           // (k, d) about the centres, added to
    double inertia;         // written
    int n_threads;
    int (*poll)();
};

// One pass of k-means++: squared distances to k candidate centres.
struct SeedingPass {
    const void* rows;
    const double* sample_weight;
    int64_t n, d, k;
    const double* candidates;  // (k, d)
    void* distances;           // (n), the rows' type; lowered in place when `potentials` is null (then k is 1)
    double* potentials;        // (k), written, or null
    int n_threads;
    int (*poll)();
};

// k-means++ as a whole.
struct CentreChoice {
    const void* rows;
    const double* sample_weight;
    int64_t n, d, k;
    int64_t n_greedy;  // centres before this one are the best of n_candidates drawn
    int64_t n_candidates;
    int64_t n_swaps;          // rows drawn afterwards to take a centre's place
    const double* positions;  // in [0, 1): one per row drawn, in order
    void* distances;          // (n), the rows' type, the largest number there is; in the end to the nearest centre
    int64_t* chosen;          // (k), written
    int n_threads;
    int (*poll)();
};

// The M-step: parameters that maximise the expected log-likelihood, where every covariance is free.
struct MixtureEstimate {
    Structure structure;
    int64_t d, k;
    const double* centres;  // (k, d), what the statistics are about
    const double* counts;   // (k)
    const double* sums;     // (k, d)
    const double* scatter;  // in the structure's shape
    double reg_covar;       // added to every variance
    double count_floor;     // added to every count
    double* weights;        // (k), written, as all that follows
    double* means;          // (k, d)
    double* covariances;    // in the structure's shape
    double* factor;
    double* log_offset;  // (k)
    int failed;          // non-zero where no estimate exists
    int n_threads;
};

// Merging of n groups into n_groups; see merging.inl for the criterion.
struct Merging {
    Structure structure;  // FULL, DIAG or SPHERICAL: what a group's matrix is
    int64_t n, d, n_groups;
    double* counts;       // (n), those of group i are in the end at the place of its first part, as all that follows
    double* means;        // (n, d)
    double* matrices;     // (n, d, d), (n, d) or (n)
    const double* floor;  // F, of the shape of one matrix
    double extra_count;   // a
    double entropy;       // b
    int shared;           // non-zero: a union keeps the matrix of its parts
    int64_t* labels;      // (n), written: the place of its group's first part
    int n_threads;
};

// One pass that asks a few components of each row; see truncated.inl.
struct TruncatedPass {
    Structure structure;
    const void* rows;             // (n, d) float or double
    const double* sample_weight;  // (n) or null
    int64_t n, d, k;
    const double* log_offset;  // (k)
    const double* means;       // (k, d)
    const double* factor;      // precision factors in the structure's shape
    int64_t n_candidates, n_neighbors, n_random;
    int64_t n_turns, turn;  // of so many turns: in it rows of a best component c look for others if c % n_turns == turn
    const int32_t* neighbors;  // (k, n_neighbors), negative for none
    int32_t* candidates;       // (n, n_candidates), the best of each row first, negative for none; rewritten
    uint64_t seed;
    int64_t first_row;      // number of the first row among all, for what is drawn
    double* counts;         // (k), added to; or null, as sums and scatter: candidates alone are wanted
    double* sums;           // (k, d) about the means, added to
    double* scatter;        // in the structure's shape, added to
    double log_likelihood;  // written: of the candidates alone
    int64_t n_evaluated;    // written: log densities of a row under a component
    int n_threads;
    int (*poll)();
};

// One search for the components near each; see component_neighbors.inl.
struct NeighborSearch {
    Structure structure;
    int64_t d, k;
    const double* log_offset;
    const double* means;
    const double* factor;
    int64_t n_neighbors, n_random;
    const int32_t* old_neighbors;  // (k, n_neighbors), negative for none
    int32_t* neighbors;            // (k, n_neighbors), written, the nearest first
    uint64_t seed;
    int n_threads;
};

enum Outcome { FIT_WANTED = 0, FIT_CONVERGED = 1, FIT_UNCONVERGED = 2, FIT_COLLAPSED = 3, FIT_REFUSED = 4 };

// Many small fits of k components, each to rows of its own.
struct SmallFits {
    Structure structure;
    const double* rows;         // (total, d), those of problem after problem
    const int64_t* first_rows;  // (n_problems + 1)
    int64_t n_problems, d, k;
    int64_t most_rows;      // of one problem
    int64_t matrix_values;  // of all covariances of one problem
    int64_t n_init, max_iter;
    double tol, reg_covar;
    uint64_t seed;
    double* weights;       // (n_problems, k), written where the outcome was FIT_WANTED, as all that follows
    double* means;         // (n_problems, k, d)
    double* covariances;   // (n_problems, matrix_values)
    double* lower_bounds;  // (n_problems)
    int64_t* n_iter;       // (n_problems)
    int64_t* outcomes;     // (n_problems)
    int n_threads;
    int (*poll)();
};

// The entry points of one instruction set, for float (0) and double (1).
struct KernelTable {
    const char* name;
    int (*mixture[2])(MixturePass*);
    int (*errors[2])(ErrorPass*);
    int (*nearest[2])(NearestPass*);
    int (*seeding[2])(SeedingPass*);
    int (*choose[2])(CentreChoice*);
    int (*estimate)(MixtureEstimate*);
    int (*factorise)(const double* covariances, int64_t k, int64_t d, double* factors, int n_threads, int64_t* failed);
    int (*merge)(Merging*);
    int (*truncated[2])(TruncatedPass*);
    int (*refine_neighbors)(NeighborSearch*);
    int (*fit_many)(SmallFits*);
    void (*exponentials[2])(const void*, void*, int64_t);
    void (*logarithms[2])(const void*, void*, int64_t);
};

// Chosen from what was built and what the processor has.
const KernelTable* table_for(const char* isa);  // null when not built or not runnable
const char* best_isa();
bool built_with_openmp();
// Of `wanted` > 1 threads, the caller's own among them: to be asked before a parallel region.
int threads_that_start(int wanted);

}  // namespace fastgmm

#endif
