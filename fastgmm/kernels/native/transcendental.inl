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

// exp(x) for `lowest` <= x <= 0, to one unit in the last place. NaN stays NaN; below `lowest` the result is arbitrary.
template <typename Real>
INLINE Vector<Real> exponential(Vector<Real> x) {
    using C = ExpConstants<Real>;
    const Vector<Real> shifted = x * broadcast<Real>(C::log2_e) + broadcast<Real>(C::magic);
    const Vector<Real> whole = shifted - broadcast<Real>(C::magic);
    Vector<Real> r = x - whole * broadcast<Real>(C::ln2_high);
    r = r - whole * broadcast<Real>(C::ln2_low);
    Vector<Real> q = broadcast<Real>(C::q[C::degree]);
#pragma GCC unroll 16
    for (int i = C::degree - 1; i >= 0; --i) q = q * r + broadcast<Real>(C::q[i]);
    const Vector<Real> fraction = (q * r) * r + r + Real(1);
    // The integer part sits in the low bits of `shifted`; moved to the exponent it multiplies by a power of two.
    // Unsigned: lanes below `lowest` may wrap around.
    const Unsigned<Real> power = (Unsigned<Real>)shifted << C::mantissa_bits;
    return (Vector<Real>)((Unsigned<Real>)fraction + power);
}

template <typename Real>
struct LogConstants;
template <>
struct LogConstants<double> {
    static constexpr int64_t one = 0x3ff0000000000000, mantissa = 0x000fffffffffffff, half_root = 0x0006a09e667f3bcd;
    static constexpr double ln2_high = 0x1.62e42fefa38p-1, ln2_low = 0x1.ef35793c7673p-45;
    static constexpr int mantissa_bits = 52, terms = 10;
};
template <>
struct LogConstants<float> {
    static constexpr int32_t one = 0x3f800000, mantissa = 0x007fffff, half_root = 0x003504f3;
    static constexpr float ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;
    static constexpr int mantissa_bits = 23, terms = 5;
};

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
    const Vector<Real> s = f / (m + Real(1));
    const Vector<Real> s2 = s * s;
    Vector<Real> series = broadcast<Real>(Real(1) / Real(2 * C::terms + 1));
#pragma GCC unroll 16
    for (int i = C::terms - 1; i >= 1; --i) series = series * s2 + Real(1) / Real(2 * i + 1);
    // log m = f - s (f - 2 s^2 series): f carries the leading digits exactly.
    const Vector<Real> tail = s * (f - Real(2) * s2 * series);
    const Vector<Real> e = __builtin_convertvector(exponent, Vector<Real>);
    return e * broadcast<Real>(C::ln2_high) + (f - (tail - e * broadcast<Real>(C::ln2_low)));
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
    INLINE_MEMBER double value() const {
        using C = LogConstants<Real>;
        const Vector<Real> log_product = logarithm<Real>(product);
        int64_t whole = 0;
        for (int lane = 0; lane < Simd<Real>::lanes; ++lane) whole += exponents[lane];
        return sum_lanes(log_product) + double(whole) * (double(C::ln2_high) + double(C::ln2_low));
    }
};
