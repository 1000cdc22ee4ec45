// Which instruction set runs, and the little that is the same for all of them.

#include <cstring>
#include <initializer_list>

#include "interface.hpp"
#include "platform.hpp"

namespace fastgmm {

extern const KernelTable table_generic;
#ifdef HAVE_KERNELS_AVX2
extern const KernelTable table_avx2;
#endif
#ifdef HAVE_KERNELS_NEON
extern const KernelTable table_neon;
#endif
#ifdef HAVE_KERNELS_AVX512
extern const KernelTable table_avx512;
#endif

const KernelTable* table_for(const char* isa) {
#ifdef HAVE_KERNELS_AVX512
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
#ifdef HAVE_KERNELS_AVX2
    if (!std::strcmp(isa, "avx2"))
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &table_avx2 : nullptr;
#endif
#ifdef HAVE_KERNELS_NEON
    if (!std::strcmp(isa, "neon")) return &table_neon;  // every 64-bit ARM processor has it
#endif
    return std::strcmp(isa, "generic") ? nullptr : &table_generic;
}

const char* best_isa() {
    for (const char* isa : {"avx512", "avx2", "neon"})
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

int threads_that_start(int wanted) {
    if (child_of_parallel_parent) return 1;
    if (!__atomic_exchange_n(&parallel_region_ran, true, __ATOMIC_ACQ_REL)) call_in_forked_children(in_child);
    // An OpenMP runtime that cannot start a thread ends the process. It keeps those it has for this caller's next
    // region of the same size, so only a larger team is tried out: some 20 microseconds a thread, once.
    static thread_local int team = 1;
    if (wanted > team) wanted = 1 + threads_beside(wanted - 1);
    return team = wanted;
}

}  // namespace fastgmm
