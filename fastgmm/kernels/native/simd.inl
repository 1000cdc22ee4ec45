// Vectors of one instruction set. Arithmetic uses the compiler's vector extensions, so `a * b + c` becomes a fused
// multiply-add where the target has one; only comparisons to bit masks need intrinsics.

template <typename Real>
struct Bits;
template <>
struct Bits<double> {
    using type = int64_t;
    using unsigned_type = uint64_t;
};
template <>
struct Bits<float> {
    using type = int32_t;
    using unsigned_type = uint32_t;
};

#if defined(FASTGMM_AVX512)
constexpr int VECTOR_BYTES = 64;
constexpr int COLUMNS = 8;  // columns of a register block: with 3 vectors of rows 24 accumulators of 32 registers
#elif defined(__AVX2__)
constexpr int VECTOR_BYTES = 32;
constexpr int COLUMNS = 4;  // 12 accumulators of 16 registers
#elif defined(FASTGMM_NEON)
constexpr int VECTOR_BYTES = 16;
constexpr int COLUMNS = 8;  // 24 accumulators of 32 registers
#else
constexpr int VECTOR_BYTES = 16;
constexpr int COLUMNS = 4;
#endif
constexpr int ROW_VECTORS = 3;  // vectors of rows in a register block
#if defined(FASTGMM_NEON)
// A multiplication takes one lane of a register as its factor, so that scalars are loaded by whole vectors: one by one
// they would take a register each, and GCC would keep accumulators in memory.
constexpr bool LANE_FACTORS = true;
#else
constexpr bool LANE_FACTORS = false;
#endif

template <typename Real>
struct Simd {
    static constexpr int lanes = VECTOR_BYTES / int(sizeof(Real));
    typedef Real Vector __attribute__((vector_size(VECTOR_BYTES)));
    typedef typename Bits<Real>::type Integer __attribute__((vector_size(VECTOR_BYTES)));
    typedef typename Bits<Real>::unsigned_type Unsigned __attribute__((vector_size(VECTOR_BYTES)));
    static constexpr int rows = lanes * ROW_VECTORS;  // rows of a register block
};

template <typename Real>
using Vector = typename Simd<Real>::Vector;
template <typename Real>
using Integer = typename Simd<Real>::Integer;
template <typename Real>
using Unsigned = typename Simd<Real>::Unsigned;

template <typename Real>
INLINE Vector<Real> load(const Real* from) {
    Vector<Real> v;
    __builtin_memcpy(&v, from, sizeof v);
    return v;
}

// The same for scalars that each multiply by themselves: where a multiplication takes a lane, the compiler must not
// load them one by one after all.
template <typename Real>
INLINE Vector<Real> load_factors(const Real* from) {
    Vector<Real> v = load(from);
#if defined(FASTGMM_NEON)
    asm("" : "+w"(v));
#endif
    return v;
}

template <typename Real>
INLINE void store(Real* to, Vector<Real> v) {
    __builtin_memcpy(to, &v, sizeof v);
}

template <typename Real>
INLINE Vector<Real> broadcast(Real value) {
    return value - Vector<Real>{};
}

// Makes a register block zero.
template <typename Real, int C, int R>
INLINE void clear(Vector<Real> (&block)[C][R]) {
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) block[c][r] = Vector<Real>{};
}

// sum[c][r] += scalars[c] * x[r], for scalars that lie side by side.
template <typename Real, int C, int R>
INLINE void add_outer(Vector<Real> (&sum)[C][R], const Real* scalars, const Vector<Real> (&x)[R]) {
    constexpr int L = Simd<Real>::lanes, W = LANE_FACTORS ? C / L * L : 0;
#pragma GCC unroll 8
    for (int c = 0; c < W; c += L) {
        const Vector<Real> factors = load_factors(scalars + c);
#pragma GCC unroll 8
        for (int lane = 0; lane < L; ++lane)
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) sum[c + lane][r] = x[r] * broadcast<Real>(factors[lane]) + sum[c + lane][r];
    }
#pragma GCC unroll 8
    for (int c = W; c < C; ++c) {
        const Vector<Real> factor = broadcast(scalars[c]);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) sum[c][r] = x[r] * factor + sum[c][r];
    }
}

template <typename Real>
INLINE Vector<Real> maximum(Vector<Real> a, Vector<Real> b) {
    return a > b ? a : b;
}

// The second half of the lanes added to the first, and so on.
INLINE double sum_lanes(Vector<double> v) {
    constexpr int L = Simd<double>::lanes;
#pragma GCC unroll 4
    for (int half = L / 2; half > 0; half /= 2) {
#if defined(__clang__)
        for (int lane = 0; lane < half; ++lane) v[lane] += v[lane + half];
#else
        Integer<double> upper{};
#pragma GCC unroll 8
        for (int lane = 0; lane < L; ++lane) upper[lane] = lane + half < L ? lane + half : lane;
        v += __builtin_shuffle(v, upper);
#endif
    }
    return v[0];
}

INLINE double sum_lanes(Vector<float> v) {
    double total = 0.0;
    for (int lane = 0; lane < Simd<float>::lanes; ++lane) total += double(v[lane]);
    return total;
}

// Bit l is set where a[l] > b[l] (never for NaN).
INLINE uint32_t mask_greater(Vector<double> a, Vector<double> b) {
#if defined(FASTGMM_AVX512)
    return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_GT_OQ);
#elif defined(__AVX2__)
    return uint32_t(_mm256_movemask_pd(_mm256_cmp_pd((__m256d)a, (__m256d)b, _CMP_GT_OQ)));
#elif defined(FASTGMM_NEON)
    const uint64x2_t bits = {1, 2};
    return uint32_t(vaddvq_u64(vandq_u64(vcgtq_f64((float64x2_t)a, (float64x2_t)b), bits)));
#else
    uint32_t mask = 0;
    for (int lane = 0; lane < Simd<double>::lanes; ++lane) mask |= uint32_t(a[lane] > b[lane]) << lane;
    return mask;
#endif
}

INLINE uint32_t mask_greater(Vector<float> a, Vector<float> b) {
#if defined(FASTGMM_AVX512)
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ);
#elif defined(__AVX2__)
    return uint32_t(_mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GT_OQ)));
#elif defined(FASTGMM_NEON)
    const uint32x4_t bits = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vcgtq_f32((float32x4_t)a, (float32x4_t)b), bits));
#else
    uint32_t mask = 0;
    for (int lane = 0; lane < Simd<float>::lanes; ++lane) mask |= uint32_t(a[lane] > b[lane]) << lane;
    return mask;
#endif
}

// Adds the lanes of v to doubles in memory.
INLINE void add_to(double* to, Vector<double> v) { store<double>(to, load<double>(to) + v); }

INLINE void add_to(double* to, Vector<float> v) {
#if defined(FASTGMM_AVX512)
    const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256((__m512)v));
    const __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps((__m512)v, 1));
    store<double>(to, load<double>(to) + (Vector<double>)low);
    store<double>(to + 8, load<double>(to + 8) + (Vector<double>)high);
#elif defined(FASTGMM_NEON)
    store<double>(to, load<double>(to) + (Vector<double>)vcvt_f64_f32(vget_low_f32((float32x4_t)v)));
    store<double>(to + 2, load<double>(to + 2) + (Vector<double>)vcvt_high_f64_f32((float32x4_t)v));
#else
    for (int lane = 0; lane < Simd<float>::lanes; ++lane) to[lane] += double(v[lane]);
#endif
}

// The first `width` (at most a vector's) values, zeros behind them; reads nothing behind them.
INLINE Vector<double> load_first(const double* from, int64_t width) {
#if defined(FASTGMM_AVX512)
    return (Vector<double>)_mm512_maskz_loadu_pd(__mmask8((1u << width) - 1), from);
#elif defined(FASTGMM_NEON)
    return width > 1 ? load(from) : Vector<double>{width == 1 ? from[0] : 0.0, 0.0};
#else
    double block[Simd<double>::lanes] = {};
    for (int64_t i = 0; i < width; ++i) block[i] = from[i];
    return load<double>(block);
#endif
}

INLINE Vector<float> load_first(const float* from, int64_t width) {
#if defined(FASTGMM_AVX512)
    return (Vector<float>)_mm512_maskz_loadu_ps(__mmask16((1u << width) - 1), from);
#else
    float block[Simd<float>::lanes] = {};
    for (int64_t i = 0; i < width; ++i) block[i] = from[i];
    return load<float>(block);
#endif
}

// Transposes a square of as many vectors as lanes: bit by bit of the index, rows and lanes change places.
template <typename Real>
INLINE void transpose(Vector<Real> (&v)[Simd<Real>::lanes]) {
    constexpr int L = Simd<Real>::lanes;
#pragma GCC unroll 8
    for (int bit = 1; bit < L; bit *= 2) {
        Integer<Real> low{}, high{};
#pragma GCC unroll 16
        for (int lane = 0; lane < L; ++lane) {
            low[lane] = typename Bits<Real>::type(lane & bit ? L + lane - bit : lane);
            high[lane] = typename Bits<Real>::type(lane & bit ? L + lane : lane + bit);
        }
#pragma GCC unroll 16
        for (int i = 0; i < L; ++i) {
            if (i & bit) continue;
            const Vector<Real> a = v[i], b = v[i + bit];
#if defined(__clang__)
            for (int lane = 0; lane < L; ++lane) {
                v[i][lane] = lane & bit ? b[lane - bit] : a[lane];
                v[i + bit][lane] = lane & bit ? b[lane] : a[lane + bit];
            }
#else
            v[i] = __builtin_shuffle(a, b, low);
            v[i + bit] = __builtin_shuffle(a, b, high);
#endif
        }
    }
}

// Loads that take every `stride`-th value.
template <typename Real>
struct Strided {
    int64_t stride;
    explicit Strided(int64_t stride_) : stride(stride_) {}
    Vector<Real> load(const Real* from) const {
        Vector<Real> v;
#pragma GCC unroll 16
        for (int lane = 0; lane < Simd<Real>::lanes; ++lane) v[lane] = from[lane * stride];
        return v;
    }
};

#if defined(FASTGMM_AVX512)
template <>
struct Strided<double> {
    __m512i index;
    explicit Strided(int64_t stride)
        : index(_mm512_mullo_epi64(_mm512_set1_epi64(stride), _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7))) {}
    Vector<double> load(const double* from) const { return (Vector<double>)_mm512_i64gather_pd(index, from, 8); }
};
template <>
struct Strided<float> {
    __m512i low, high;
    explicit Strided(int64_t stride)
        : low(_mm512_mullo_epi64(_mm512_set1_epi64(stride), _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7))),
          high(_mm512_add_epi64(low, _mm512_set1_epi64(8 * stride))) {}
    Vector<float> load(const float* from) const {
        const __m256 a = _mm512_i64gather_ps(low, from, 4), b = _mm512_i64gather_ps(high, from, 4);
        return (Vector<float>)_mm512_insertf32x8(_mm512_castps256_ps512(a), b, 1);
    }
};
#endif
