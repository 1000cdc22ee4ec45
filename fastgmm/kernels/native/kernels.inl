// The kernels of one instruction set. Included once by each kernels_<name>.cpp, which defines FASTGMM_TABLE and
// FASTGMM_ISA_NAME and is compiled with that set's flags. Everything sits in an unnamed namespace: a function that
// two builds shared would be compiled for one of them and linked into both.

#include <cstdint>
#include <cstdlib>

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif
#if defined(FASTGMM_NEON)
#include <arm_neon.h>
#endif

#include "interface.hpp"
#include "platform.hpp"

#define INLINE static inline __attribute__((always_inline))
#define INLINE_MEMBER inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
#define INLINE_LAMBDA __attribute__((always_inline))

namespace fastgmm {
namespace {

constexpr double INFINITE = __builtin_inf();

INLINE double sqrt_of(double x) { return __builtin_sqrt(x); }
INLINE float sqrt_of(float x) { return __builtin_sqrtf(x); }

#if defined(FASTGMM_AVX512) && defined(FASTGMM_EMULATE_AVX512)
#include "avx512_emulation.inl"
#endif
#include "simd.inl"
#include "transcendental.inl"
#include "scratch.inl"
#include "strips.inl"
#include "tile.inl"
#include "long_rows.inl"
#include "distance.inl"
#include "products.inl"
#include "packed_mixture.inl"
#include "mixture_tile.inl"
#include "evaluate_scales.inl"
#include "evaluate_factors.inl"
#include "tail.inl"
#include "pruning.inl"
#include "evaluate.inl"
#include "posterior.inl"
#include "scatter.inl"
#include "collect.inl"
#include "collect_lanes.inl"
#include "collect_queues.inl"
#include "collect_moments.inl"
#include "long_row_mixture.inl"
#include "loadings.inl"
#include "reach.inl"
#include "reach_block.inl"
#include "reach_pass.inl"
#include "mixture.inl"
#include "centres.inl"
#include "nearest.inl"
#include "seeding.inl"
#include "swapping.inl"
#include "choosing.inl"
#include "cholesky.inl"
#include "estimate.inl"
#include "merging.inl"
#include "measured_rows.inl"
#include "measured_factors.inl"
#include "holes.inl"
#include "errors.inl"
#include "asked_components.inl"
#include "asking.inl"
#include "truncated_statistics.inl"
#include "truncated.inl"
#include "component_neighbors.inl"
#include "small_fits.inl"

template <typename Real>
void exponentials(const void* from, void* to, int64_t count) {
    for (int64_t i = 0; i < count; i += Simd<Real>::lanes)
        store<Real>(static_cast<Real*>(to) + i, exponential<Real>(load(static_cast<const Real*>(from) + i)));
}

template <typename Real>
void logarithms(const void* from, void* to, int64_t count) {
    for (int64_t i = 0; i < count; i += Simd<Real>::lanes)
        store<Real>(static_cast<Real*>(to) + i, logarithm<Real>(load(static_cast<const Real*>(from) + i)));
}

}  // namespace

extern const KernelTable FASTGMM_TABLE;
const KernelTable FASTGMM_TABLE = {
    FASTGMM_ISA_NAME,
    {mixture_pass<float>, mixture_pass<double>},
    {error_pass<float>, error_pass<double>},
    {nearest_pass<float>, nearest_pass<double>},
    {seeding_pass<float>, seeding_pass<double>},
    {choose_centres<float>, choose_centres<double>},
    estimate,
    factorise_all,
    merge_groups,
    {truncated_pass<float>, truncated_pass<double>},
    refine_neighbors,
    fit_many,
    {exponentials<float>, exponentials<double>},
    {logarithms<float>, logarithms<double>},
};

}  // namespace fastgmm
