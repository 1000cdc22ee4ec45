// Which instruction set runs, and the little that is the same for all of them.

#include <pthread.h>
#include <unistd.h>

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

}  // namespace fastgmm
