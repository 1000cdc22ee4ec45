// The AVX-512 operations that the kernels use, written with the compiler's own vectors: a build with
// FASTGMM_EMULATE_AVX512 lets a machine without AVX-512 test that instruction set's source. Slow; never shipped.

typedef double Emulated8d __attribute__((vector_size(64)));
typedef float Emulated16f __attribute__((vector_size(64)));
typedef long long Emulated8q __attribute__((vector_size(64)));
typedef int Emulated16i __attribute__((vector_size(64)));
typedef float Emulated8f __attribute__((vector_size(32)));
typedef int Emulated8i __attribute__((vector_size(32)));

template <typename V, int N>
INLINE uint32_t emulated_greater(V a, V b) {
    uint32_t mask = 0;
    for (int lane = 0; lane < N; ++lane) mask |= uint32_t(a[lane] > b[lane]) << lane;
    return mask;
}

template <typename V, int N>
INLINE V emulated_compress(uint32_t mask, V a) {
    V result{};
    int to = 0;
    for (int lane = 0; lane < N; ++lane)
        if (mask >> lane & 1) result[to++] = a[lane];
    return result;
}

template <typename V, int N, typename T>
INLINE V emulated_masked_load(uint32_t mask, const T* from) {
    V result{};
    for (int lane = 0; lane < N; ++lane)
        if (mask >> lane & 1) result[lane] = from[lane];
    return result;
}

template <typename V>
INLINE V emulated_permute(V a, Emulated8q index, V b) {
    V result{};
    for (int lane = 0; lane < 8; ++lane) result[lane] = index[lane] & 8 ? b[index[lane] & 7] : a[index[lane] & 7];
    return result;
}

template <typename V, typename T>
INLINE V emulated_gather(Emulated8q index, const T* from) {
    V result{};
    for (int lane = 0; lane < 8; ++lane) result[lane] = from[index[lane]];
    return result;
}

INLINE Emulated8f emulated_half(Emulated16f a, int first) {
    Emulated8f result{};
    for (int lane = 0; lane < 8; ++lane) result[lane] = a[first + lane];
    return result;
}

INLINE Emulated16f emulated_join(Emulated8f low, Emulated8f high) {
    Emulated16f result{};
    for (int lane = 0; lane < 8; ++lane) result[lane] = low[lane], result[8 + lane] = high[lane];
    return result;
}

template <typename V>
INLINE void emulated_store(void* to, V v) {
    __builtin_memcpy(to, &v, sizeof v);
}

#define __m512d Emulated8d
#define __m512 Emulated16f
#define __m512i Emulated8q
#define __m256 Emulated8f
#define __m256i Emulated8i
#define __mmask8 uint32_t
#define __mmask16 uint32_t
#define _mm512_cmp_pd_mask(a, b, relation) emulated_greater<Emulated8d, 8>(a, b)
#define _mm512_cmp_ps_mask(a, b, relation) emulated_greater<Emulated16f, 16>(a, b)
#define _mm512_cvtps_pd(a) __builtin_convertvector(a, Emulated8d)
#define _mm512_castps512_ps256(a) emulated_half(a, 0)
#define _mm512_extractf32x8_ps(a, which) emulated_half(a, 8)
#define _mm512_castps256_ps512(a) emulated_join(a, a)
#define _mm512_insertf32x8(a, b, which) emulated_join(emulated_half(a, 0), b)
#define _mm512_i64gather_pd(index, from, scale) emulated_gather<Emulated8d>(index, from)
#define _mm512_i64gather_ps(index, from, scale) emulated_gather<Emulated8f>(index, from)
#define _mm512_permutex2var_pd(a, index, b) emulated_permute<Emulated8d>(a, index, b)
#define _mm512_mullo_epi64(a, b) ((a) * (b))
#define _mm512_add_epi64(a, b) ((a) + (b))
#define _mm512_set1_epi64(value) ((value) - Emulated8q{})
#define _mm512_setr_epi64(...) (Emulated8q{__VA_ARGS__})
#define _mm512_set1_epi32(value) ((Emulated8q)((value) - Emulated16i{}))
#define _mm512_setr_epi32(...) ((Emulated8q)(Emulated16i{__VA_ARGS__}))
#define _mm512_add_epi32(a, b) ((Emulated8q)((Emulated16i)(a) + (Emulated16i)(b)))
#define _mm256_set1_epi32(value) ((value) - Emulated8i{})
#define _mm256_setr_epi32(...) (Emulated8i{__VA_ARGS__})
#define _mm256_add_epi32(a, b) ((a) + (b))
#define _mm256_maskz_compress_epi32(mask, a) emulated_compress<Emulated8i, 8>(mask, a)
#define _mm512_maskz_compress_epi32(mask, a) ((Emulated8q)emulated_compress<Emulated16i, 16>(mask, (Emulated16i)(a)))
#define _mm512_maskz_compress_pd(mask, a) emulated_compress<Emulated8d, 8>(mask, a)
#define _mm512_maskz_compress_ps(mask, a) emulated_compress<Emulated16f, 16>(mask, a)
#define _mm512_maskz_loadu_pd(mask, from) emulated_masked_load<Emulated8d, 8>(mask, from)
#define _mm512_maskz_loadu_ps(mask, from) emulated_masked_load<Emulated16f, 16>(mask, from)
#define _mm512_storeu_si512(to, v) emulated_store(to, v)
#define _mm256_storeu_si256(to, v) emulated_store(to, v)
