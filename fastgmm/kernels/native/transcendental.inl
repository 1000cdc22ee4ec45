// Vector exponential and logarithm.

template <typename Real>
struct ExpConstants;

// exp(r) on |r| <= ln(2)/2 as 1 + r + r^2 q(r); q is the Chebyshev interpolant, relative error below 2^-55 and 2^-26.
template <>
struct ExpConstants<double> {
    static constexpr double log2_e = 0x1.71547652b82fep+0, ln2_high = 0x1.62e42fee00000p-1,
                            ln2_low = 0x1.a39ef35793c76p-33;
    static constexpr double magic = 0x1.8p52, lowest = -700.0;
    static constexpr int mantissa_bits = 52, degree = 9;
    static constexpr double q[] = {0x1.0000000000001p-1,  0x1.5555555555556p-3,  0x1.5555555553d63p-5,
                                   0x1.11111111109b3p-7,  0x1.6c16c1788bd90p-10, 0x1.a01a01a7c41d5p-13,
                                   0x1.a019b90d2ae7ap-16, 0x1.71de0dae63bb3p-19, 0x1.289185613a3d6p-22,
                                   0x1.af38a9b0ec855p-26};
};
template <>
struct ExpConstants<float> {
    static constexpr float log2_e = 0x1.7154760000000p+0f, ln2_high = 0x1.62e0000000000p-1f,
                           ln2_low = 0x1.0bfbe80000000p-15f;
    static constexpr float magic = 0x1.8p23f, lowest = -86.0f;
    static constexpr int mantissa_bits = 23, degree = 4;
    static constexpr float q[] = {0x1.0000000000000p-1f, 0x1.5554dc0000000p-3f, 0x1.55551a0000000p-5f,
                                  0x1.120b6e0000000p-7f, 0x1.6d110a0000000p-10f};
};

#if defined(FASTGMM_AVX512)
// exp(x) = 2^(n / 16) exp(r) on |r| <= ln(2)/32: two registers hold 2^(i / 16), and the polynomial is half as long.
struct SixteenthConstants {
    static constexpr double log2_e = 0x1.71547652b82fep+4, ln2_high = 0x1.62e42fefa0000p-5,
                            ln2_low = 0x1.cf79abc9e3b3ap-44;
    static constexpr double q[] = {0x1.0000000000000p-1, 0x1.55555554dd44bp-3, 0x1.55555555194d1p-5,
                                   0x1.11120af7211b8p-7, 0x1.6c17bb5211739p-10};
    // Bits of 2^(i / 16) less those that i itself has in the number that is added to them.
    static constexpr int64_t powers[] = {
        0x3ff0000000000000, 0x3fefb5586cf9890f, 0x3fef72b83c7d517b, 0x3fef387a6e756238,
        0x3fef06fe0a31b715, 0x3feedea64c123422, 0x3feebfdad5362a27, 0x3feeab07dd485429,
        0x3feea09e667f3bcd, 0x3feea11473eb0187, 0x3feeace5422aa0db, 0x3feec49182a3f090,
        0x3feee89f995ad3ad, 0x3fef199bdd85529c, 0x3fef5818dcfba487, 0x3fefa4afa2a490da};
};

template <int R>
INLINE void exponentials_by_sixteenths(Vector<double> (&x)[R]) {
    using C = SixteenthConstants;
    const Vector<double> magic = broadcast(ExpConstants<double>::magic);
    const __m512d low = (__m512d)load<double>(reinterpret_cast<const double*>(C::powers));
    const __m512d high = (__m512d)load<double>(reinterpret_cast<const double*>(C::powers + 8));
    Vector<double> shifted[R], q[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) shifted[r] = x[r] * broadcast(C::log2_e) + magic;
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
        const Vector<double> whole = shifted[r] - magic;
        x[r] = x[r] - whole * broadcast(C::ln2_high);
        x[r] = x[r] - whole * broadcast(C::ln2_low);
        q[r] = broadcast(C::q[4]);
    }
#pragma GCC unroll 8
    for (int i = 3; i >= 0; --i)
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) q[r] = q[r] * x[r] + broadcast(C::q[i]);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
        const Unsigned<double> power = (Unsigned<double>)_mm512_permutex2var_pd(low, (__m512i)shifted[r], high);
        const Vector<double> scale = (Vector<double>)(power + ((Unsigned<double>)shifted[r] << 48));
        const Vector<double> beyond_one = (q[r] * x[r]) * x[r] + x[r];
        x[r] = scale * beyond_one + scale;
    }
}
#endif

// exp(x) for `lowest` <= x <= 0, to one unit in the last place. NaN stays NaN; below `lowest` the result is arbitrary.
// R of them side by side: each is a chain of operations, and one alone would wait for itself.
template <typename Real, int R>
INLINE void exponentials_of(Vector<Real> (&x)[R]) {
#if defined(FASTGMM_AVX512)
    if constexpr (sizeof(Real) == 8) {
        exponentials_by_sixteenths<R>(x);
        return;
    }
#endif
    using C = ExpConstants<Real>;
    Vector<Real> shifted[R], q[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) shifted[r] = x[r] * broadcast<Real>(C::log2_e) + broadcast<Real>(C::magic);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
        const Vector<Real> whole = shifted[r] - broadcast<Real>(C::magic);
        x[r] = x[r] - whole * broadcast<Real>(C::ln2_high);
        x[r] = x[r] - whole * broadcast<Real>(C::ln2_low);
        q[r] = broadcast<Real>(C::q[C::degree]);
    }
#pragma GCC unroll 16
    for (int i = C::degree - 1; i >= 0; --i)
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) q[r] = q[r] * x[r] + broadcast<Real>(C::q[i]);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
        const Vector<Real> fraction = (q[r] * x[r]) * x[r] + x[r] + Real(1);
        // The integer part sits in the low bits of `shifted`; moved to the exponent it multiplies by a power of two.
        // Unsigned: lanes below `lowest` may wrap around.
        const Unsigned<Real> power = (Unsigned<Real>)shifted[r] << C::mantissa_bits;
        x[r] = (Vector<Real>)((Unsigned<Real>)fraction + power);
    }
}

template <typename Real>
INLINE Vector<Real> exponential(Vector<Real> x) {
    Vector<Real> one[1] = {x};
    exponentials_of<Real, 1>(one);
    return one[0];
}

template <typename Real>
struct LogConstants;
template <>
struct LogConstants<double> {
    static constexpr int64_t one = 0x3ff0000000000000, mantissa = 0x000fffffffffffff, half_root = 0x0006a09e667f3bcd;
    static constexpr double ln2_high = 0x1.62e42fefa38p-1, ln2_low = 0x1.ef35793c7673p-45;
    static constexpr double farthest = 0x1p1000;
    static constexpr int mantissa_bits = 52, terms = 10;
};
template <>
struct LogConstants<float> {
    static constexpr int32_t one = 0x3f800000, mantissa = 0x007fffff, half_root = 0x003504f3;
    static constexpr float ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;
    static constexpr float farthest = 0x1p120f;
    static constexpr int mantissa_bits = 23, terms = 5;
};

// What log(1 + f) lacks of f, which carries the leading digits exactly; s is f / (2 + f).
template <typename Real>
INLINE Vector<Real> log_remainder(Vector<Real> f, Vector<Real> s) {
    using C = LogConstants<Real>;
    const Vector<Real> s2 = s * s;
    Vector<Real> series = broadcast<Real>(Real(1) / Real(2 * C::terms + 1));
#pragma GCC unroll 16
    for (int i = C::terms - 1; i >= 1; --i) series = series * s2 + Real(1) / Real(2 * i + 1);
    return s * (f - Real(2) * s2 * series);
}

// log(x) for normal positive x: x = 2^e m with m in [sqrt(1/2), sqrt(2)), log m = 2 atanh((m - 1) / (m + 1)) by its
// odd series; |s| <= 0.1716 makes the first term left out smaller than half a unit in the last place.
template <typename Real>
INLINE Vector<Real> logarithm(Vector<Real> x) {
    using C = LogConstants<Real>;
    const Integer<Real> bits = (Integer<Real>)x;
    const Integer<Real> above = ((bits & C::mantissa) >= C::half_root) & 1;
    const Integer<Real> exponent = ((bits - C::one) >> C::mantissa_bits) + above;
    const Vector<Real> m = (Vector<Real>)((Unsigned<Real>)bits - ((Unsigned<Real>)exponent << C::mantissa_bits));
    const Vector<Real> f = m - Real(1);
    const Vector<Real> rest = log_remainder<Real>(f, f / (m + Real(1)));
    const Vector<Real> e = __builtin_convertvector(exponent, Vector<Real>);
    return e * broadcast<Real>(C::ln2_high) + (f - (rest - e * broadcast<Real>(C::ln2_low)));
}

// log(1 + x) to one unit in the last place or so, and 1 / (1 + x).
template <typename Real>
struct LogOnePlus {
    Vector<Real> log, inverse;
};

// For x >= 0; far out in the range of exponents x is as good as infinite. One division serves both results.
template <typename Real>
INLINE LogOnePlus<Real> log_one_plus(Vector<Real> x) {
    using C = LogConstants<Real>;
    const Vector<Real> most = broadcast(C::farthest);
    x = x < most ? x : most;
    const Vector<Real> w = x + Real(1);
    const Integer<Real> bits = (Integer<Real>)w;
    const Integer<Real> above = ((bits & C::mantissa) >= C::half_root) & 1;
    const Integer<Real> exponent = ((bits - C::one) >> C::mantissa_bits) + above;
    const Unsigned<Real> power = (Unsigned<Real>)exponent << C::mantissa_bits;
    const Vector<Real> m = (Vector<Real>)((Unsigned<Real>)bits - power);
    const Vector<Real> f = m - Real(1), g = m + Real(1), quotient = Real(1) / (m * g);
    const Vector<Real> s = f * m * quotient;
    const Vector<Real> inverse = (Vector<Real>)((Unsigned<Real>)(g * quotient) - power);
    const Vector<Real> e = __builtin_convertvector(exponent, Vector<Real>);
    // What 1 + x was rounded by comes back to first order.
    const Vector<Real> lost = (x - (w - Real(1))) * inverse;
    return {
        e * broadcast<Real>(C::ln2_high) + (f - (log_remainder<Real>(f, s) - e * broadcast<Real>(C::ln2_low) - lost)),
        inverse};
}

// The exponent of x plus one, times ln 2: the log of the next power of two.
template <typename Real>
INLINE Vector<Real> logarithm_above(Vector<Real> x) {
    using C = LogConstants<Real>;
    const Integer<Real> exponent = (((Integer<Real>)x - C::one) >> C::mantissa_bits) + 1;
    return __builtin_convertvector(exponent, Vector<Real>) * broadcast(C::ln2_high + C::ln2_low);
}

// The sum of logarithms of many numbers in [1, largest / 2], as one product with its exponents set aside.
template <typename Real>
struct LogSum {
    Vector<Real> product = broadcast(Real(1));
    Integer<Real> exponents{};

    INLINE_MEMBER void add(Vector<Real> x) {
        using C = LogConstants<Real>;
        product = product * x;
        const Integer<Real> bits = (Integer<Real>)product, above = (bits - C::one) >> C::mantissa_bits;
        exponents += above;
        product = (Vector<Real>)((Unsigned<Real>)bits - ((Unsigned<Real>)above << C::mantissa_bits));
    }
    // Of the numbers in each lane.
    INLINE_MEMBER Vector<Real> logarithms() const {
        using C = LogConstants<Real>;
        const Vector<Real> whole = __builtin_convertvector(exponents, Vector<Real>);
        return whole * broadcast<Real>(C::ln2_high) + (logarithm<Real>(product) + whole * broadcast<Real>(C::ln2_low));
    }
    INLINE_MEMBER double value() const {
        using C = LogConstants<Real>;
        const Vector<Real> log_product = logarithm<Real>(product);
        int64_t whole = 0;
        for (int lane = 0; lane < Simd<Real>::lanes; ++lane) whole += exponents[lane];
        return sum_lanes(log_product) + double(whole) * (double(C::ln2_high) + double(C::ln2_low));
    }
};
