// Densities through triangular factors.

// Component c for the block of rows at `rows`, over the first `columns` whitened columns.
template <typename Real, int R>
INLINE void evaluate_block(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t c, const Real* rows,
                           int64_t stride, int64_t columns, Real* out) {
    constexpr int L = Simd<Real>::lanes;
    Vector<Real> distance[R];
    distance_full<Real, R>(rows, stride, p.means + c * p.width, t.centred, p.factors + c * p.factor_stride, columns,
                           distance);
    const Vector<Real> offset = broadcast(p.offset[c]);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) store<Real>(out + r * L, offset - Real(0.5) * distance[r]);
}

template <typename Real>
NOINLINE void evaluate_component(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t c, int64_t count,
                                 int64_t columns) {
    constexpr int rows = Simd<Real>::rows;
    for (int64_t n = 0; n < count; n += rows)
        evaluate_block<Real, ROW_VECTORS>(p, t, c, t.rows + n, t.stride, columns, t.log_weighted + c * t.stride + n);
}

// Completes component c for the rows listed in t.index[0 .. listed).
template <typename Real>
NOINLINE void evaluate_listed(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t c, const int32_t* index,
                              int64_t listed) {
    constexpr int L = Simd<Real>::lanes, rows = Simd<Real>::rows;
    Real result[rows];
    Real* out = t.log_weighted + c * t.stride;
    for (int64_t i = 0; i < listed;) {
        const int64_t left = listed - i;
        const int64_t done = left < rows ? left : rows;
        if (left > L) {
            gather_rows<Real>(t.rows, t.stride, p.d, index + i, left, t.gathered, rows);
            evaluate_block<Real, ROW_VECTORS>(p, t, c, t.gathered, rows, p.d, result);
        } else {
            gather_rows<Real>(t.rows, t.stride, p.d, index + i, left, t.gathered, L);
            evaluate_block<Real, 1>(p, t, c, t.gathered, L, p.d, result);
        }
        for (int64_t m = 0; m < done; ++m) out[index[i + m]] = result[m];
        i += done;
    }
}

// Where entry (i, j) of an upper triangular factor of d columns stands when packed by `pack_factor`.
constexpr int64_t packed_place(int d, int i, int j) {
    const int j0 = j / COLUMNS * COLUMNS, width = j0 + COLUMNS <= d ? COLUMNS : d - j0, above = j0 * (j0 + 1) / 2;
    return i < j0 ? above + i * width + j - j0
                  : above + j0 * width + (i - j0) * width - (i - j0) * (i - j0 - 1) / 2 + j - i;
}

// One component over a tile of few features, all in registers.
template <typename Real, int D>
INLINE void evaluate_component_of_few(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t c, int64_t count) {
    constexpr int L = Simd<Real>::lanes, R = D == 1 ? 3 : D < 4 ? 2 : 1;
    const Real* mean = p.means + c * p.width;
    const Real* factor = p.factors + c * p.factor_stride;
    const Vector<Real> offset = broadcast(p.offset[c]);
    Real* out = t.log_weighted + c * t.stride;
    for (int64_t n = 0; n < count; n += R * L) {
        Vector<Real> x[D][R], distance[R];
#pragma GCC unroll 8
        for (int i = 0; i < D; ++i)
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) x[i][r] = load(t.rows + i * t.stride + n + r * L) - broadcast(mean[i]);
#pragma GCC unroll 8
        for (int j = 0; j < D; ++j)
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) {
                Vector<Real> y = x[0][r] * broadcast(factor[packed_place(D, 0, j)]);
#pragma GCC unroll 8
                for (int i = 1; i <= j; ++i) y = x[i][r] * broadcast(factor[packed_place(D, i, j)]) + y;
                distance[r] = j == 0 ? y * y : y * y + distance[r];
            }
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) store<Real>(out + n + r * L, offset - Real(0.5) * distance[r]);
    }
}

template <typename Real, int D>
NOINLINE void evaluate_few(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t count) {
    for (int64_t c = 0; c < p.k; ++c) evaluate_component_of_few<Real, D>(p, t, c, count);
}
