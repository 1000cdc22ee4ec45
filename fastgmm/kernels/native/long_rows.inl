// Squared distances of long rows to a few centres. Lanes are features: rows and centres are read as they lie, where a
// tile would be transposed for the sake of a few products.

// So long are rows, at least: adding up the lanes then costs less than transposing.
constexpr int64_t LONG_ROW = 64, LONG_ROW_OF_MIXTURE = 128;

// A tile is transposed once for all centres; of longer rows still it would hold few, and packing the centres for it
// takes longer than a few rows are worth.
INLINE bool by_long_rows(int64_t d, int64_t k) { return d >= LONG_ROW && (k <= 4 || (k <= 16 && d >= 512)); }

// The sum of the lanes, halves added to each other.
template <typename Real>
INLINE Real lanes_total(Vector<Real> v) {
    Real part[Simd<Real>::lanes];
    store<Real>(part, v);
#pragma GCC unroll 4
    for (int half = Simd<Real>::lanes / 2; half; half /= 2)
#pragma GCC unroll 8
        for (int lane = 0; lane < half; ++lane) part[lane] += part[lane + half];
    return part[0];
}

// Distances of `count` rows of d features to C centres, (C, width) with zeros behind the d-th: to[c * stride + row].
// What a distance comes to does not depend on the rows and centres beside it.
template <typename Real, int C>
NOINLINE void long_row_block(const Real* rows, int64_t count, int64_t d, const Real* centres, int64_t width, Real* to,
                             int64_t stride) {
    constexpr int L = Simd<Real>::lanes, R = 4;
    const int64_t whole = d / L * L;
    for (int64_t n = 0; n < count; n += R) {
        const Real* at[R];
        for (int r = 0; r < R; ++r) at[r] = rows + (n + r < count ? n + r : count - 1) * d;
        Vector<Real> sum[C][R];
        clear<Real>(sum);
        auto add = [&](const Vector<Real>(&x)[R], int64_t j) INLINE_LAMBDA {
#pragma GCC unroll 8
            for (int c = 0; c < C; ++c) {
                const Vector<Real> centre = load(centres + c * width + j);
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) {
                    const Vector<Real> t = x[r] - centre;
                    sum[c][r] = t * t + sum[c][r];
                }
            }
        };
        for (int64_t j = 0; j < whole; j += L) {
            Vector<Real> x[R];
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) x[r] = load(at[r] + j);
            add(x, j);
        }
        if (whole < d) {
            Vector<Real> x[R];
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) x[r] = load_first(at[r] + whole, d - whole);
            add(x, whole);
        }
        const int64_t left = count - n < R ? count - n : R;
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c)
            for (int r = 0; r < left; ++r) to[c * stride + n + r] = lanes_total<Real>(sum[c][r]);
    }
}

// The same for k centres, and up to `padded` the last row's once more.
template <typename Real>
void long_row_distances(const Real* rows, int64_t count, int64_t padded, int64_t d, const Real* centres, int64_t k,
                        int64_t width, Real* to, int64_t stride) {
    constexpr int C = COLUMNS / 2;  // as many sums as registers take
    for (int64_t c = 0; c < k;) {
        const Real* from = centres + c * width;
        Real* at = to + c * stride;
        const int64_t left = k - c;
        if (left >= C) {
            long_row_block<Real, C>(rows, count, d, from, width, at, stride);
            c += C;
        } else if (left >= 2) {
            long_row_block<Real, 2>(rows, count, d, from, width, at, stride);
            c += 2;
        } else {
            long_row_block<Real, 1>(rows, count, d, from, width, at, stride);
            c += 1;
        }
    }
    for (int64_t c = 0; c < k; ++c)
        for (int64_t n = count; n < padded; ++n) to[c * stride + n] = to[c * stride + count - 1];
}
