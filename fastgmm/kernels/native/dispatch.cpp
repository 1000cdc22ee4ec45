// Which instruction set runs, and the little that is the same for all of them.

#include <pthread.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <initializer_list>

#include "interface.hpp"

namespace fastgmm {

extern const KernelTable table_generic;
#ifdef FASTGMM_HAVE_AVX2
extern const KernelTable table_avx2;
#endif
#ifdef FASTGMM_HAVE_AVX512
extern const KernelTable table_avx512;
#endif

const KernelTable* table_for(const char* isa) {
#ifdef FASTGMM_HAVE_AVX512
#ifdef FASTGMM_EMULATE_AVX512
    if (!std::strcmp(isa, "avx512")) return &table_avx512;
#endif
    if (!std::strcmp(isa, "avx512"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                       __builtin_cpu_supports("fma")
                   ? &table_avx512
                   : nullptr;
#endif
#ifdef FASTGMM_HAVE_AVX2
    if (!std::strcmp(isa, "avx2"))
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &table_avx2 : nullptr;
#endif
    return std::strcmp(isa, "generic") ? nullptr : &table_generic;
}

const char* best_isa() {
    for (const char* isa : {"avx512", "avx2"})
        if (table_for(isa)) return isa;
    return "generic";
}

bool built_with_openmp() {
#ifdef _OPENMP
    return true;
#else
    return false;
#endif
}

namespace {
// A forked child has none of its parent's OpenMP threads but still believes in them, and would wait for them for ever.
bool parallel_region_ran = false;
bool child_of_parallel_parent = false;
void in_child() {
    if (parallel_region_ran) child_of_parallel_parent = true;
}
}  // namespace

void note_parallel_region() {
    if (__atomic_exchange_n(&parallel_region_ran, true, __ATOMIC_ACQ_REL)) return;
    pthread_atfork(nullptr, nullptr, in_child);
}

bool after_fork() { return child_of_parallel_parent; }

// Covariance = L L^T by Cholesky; the factor of the precision is the transposed inverse of L.
int64_t factorise_precisions(const double* covariances, int64_t k, int64_t d, double* factors) {
    for (int64_t c = 0; c < k; ++c) {
        const double* a = covariances + c * d * d;
        double* u = factors + c * d * d;
        // L goes into the lower triangle of u, row by row: every inner loop runs along rows.
        for (int64_t i = 0; i < d; ++i) {
            double* li = u + i * d;
            for (int64_t j = 0; j <= i; ++j) {
                const double* lj = u + j * d;
                double sum = a[i * d + j];
                for (int64_t m = 0; m < j; ++m) sum -= li[m] * lj[m];
                if (i == j) {
                    if (!(sum > 0.0) || !std::isfinite(sum)) return c;
                    li[j] = std::sqrt(sum);
                } else {
                    li[j] = sum / lj[j];
                }
            }
        }
        // Column j of inv(L) is row j of the result: solve L x = e_j. Row j lies above L's diagonal from j + 1 on,
        // and the reciprocals of the diagonal replace it at the end.
        for (int64_t j = 0; j < d; ++j) {
            double* x = u + j * d;
            const double first = 1.0 / u[j * d + j];
            for (int64_t i = j + 1; i < d; ++i) {
                const double* li = u + i * d;
                double sum = -li[j] * first;
                for (int64_t m = j + 1; m < i; ++m) sum -= li[m] * x[m];
                x[i] = sum / li[i];
            }
        }
        for (int64_t i = 0; i < d; ++i) {
            u[i * d + i] = 1.0 / u[i * d + i];
            if (!std::isfinite(u[i * d + i])) return c;
            for (int64_t j = 0; j < i; ++j) u[i * d + j] = 0.0;
        }
    }
    return -1;
}

}  // namespace fastgmm
