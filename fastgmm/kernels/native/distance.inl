// Squared Mahalanobis distances of a block of rows (R vectors of lanes) to one component or a group of them.

// Factor of one component, packed by blocks of COLUMNS columns: first the rectangle above the diagonal block, row
// by row, then the triangle, so that no zero is stored or multiplied.
INLINE int64_t packed_factor_size(int64_t d) { return d * (d + 1) / 2; }

// Components in groups of COLUMNS, the last one filled up.
INLINE int64_t groups_of(int64_t k) { return (k + COLUMNS - 1) / COLUMNS; }

template <typename Real>
void pack_factor(const double* factor, int64_t d, Real* packed) {
    for (int64_t j0 = 0; j0 < d; j0 += COLUMNS) {
        const int64_t width = j0 + COLUMNS <= d ? COLUMNS : d - j0;
        int64_t i = 0;
        if (width == COLUMNS)  // of a length known to the compiler: most of it, and one row is soon evaluated
            for (; i < j0; ++i, packed += COLUMNS)
#pragma GCC unroll 8
                for (int c = 0; c < COLUMNS; ++c) packed[c] = Real(factor[i * d + j0 + c]);
        for (; i < j0 + width; ++i)
            for (int64_t j = i < j0 ? j0 : i; j < j0 + width; ++j) *packed++ = Real(factor[i * d + j]);
    }
}

// One block of C columns from j0: y[:, j0 : j0 + C] = (x - mean) U[:, j0 : j0 + C]. The rows enter centred by earlier
// blocks (`centred`, (d, R lanes)); this block centres its own features and leaves them there.
template <typename Real, int R, int C, typename Sink>
INLINE const Real* factor_block(const Real* tile, int64_t stride, const Real* mean, Real* centred, const Real* packed,
                                int64_t j0, Sink sink) {
    constexpr int L = Simd<Real>::lanes;
    Vector<Real> y[C][R];
    clear<Real>(y);
    for (int64_t i = 0; i < j0; ++i, packed += C) {
        Vector<Real> x[R];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) x[r] = load(centred + (i * R + r) * L);
        add_outer<Real, C, R>(y, packed, x);
    }
#pragma GCC unroll 8
    for (int i = 0; i < C; ++i) {
        Vector<Real> x[R];
        const Vector<Real> m = broadcast(mean[j0 + i]);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            x[r] = load(tile + (j0 + i) * stride + r * L) - m;
            store<Real>(centred + ((j0 + i) * R + r) * L, x[r]);
        }
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) {
            if (c < i) continue;
            const Vector<Real> u = broadcast(packed[i * C - i * (i - 1) / 2 + c - i]);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) y[c][r] = x[r] * u + y[c][r];
        }
    }
    sink(y, j0);
    return packed + C * (C + 1) / 2;
}

// All columns below `columns` (a multiple of COLUMNS, or d).
template <typename Real, int R, typename Sink>
INLINE void factor_blocks(const Real* tile, int64_t stride, const Real* mean, Real* centred, const Real* packed,
                          int64_t columns, Sink sink) {
    int64_t j0 = 0;
    for (; j0 + COLUMNS <= columns; j0 += COLUMNS)
        packed = factor_block<Real, R, COLUMNS>(tile, stride, mean, centred, packed, j0, sink);
    switch (columns - j0) {
        case 1: factor_block<Real, R, 1>(tile, stride, mean, centred, packed, j0, sink); break;
        case 2: factor_block<Real, R, 2>(tile, stride, mean, centred, packed, j0, sink); break;
        case 3: factor_block<Real, R, 3>(tile, stride, mean, centred, packed, j0, sink); break;
#if defined(FASTGMM_AVX512) || defined(FASTGMM_NEON)
        case 4: factor_block<Real, R, 4>(tile, stride, mean, centred, packed, j0, sink); break;
        case 5: factor_block<Real, R, 5>(tile, stride, mean, centred, packed, j0, sink); break;
        case 6: factor_block<Real, R, 6>(tile, stride, mean, centred, packed, j0, sink); break;
        case 7: factor_block<Real, R, 7>(tile, stride, mean, centred, packed, j0, sink); break;
#endif
        default: break;
    }
}

// distance[r] = |(x - mean) U|^2 over the first `columns` columns.
template <typename Real, int R>
INLINE void distance_full(const Real* tile, int64_t stride, const Real* mean, Real* centred, const Real* packed,
                          int64_t columns, Vector<Real> (&distance)[R]) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) distance[r] = Vector<Real>{};
    factor_blocks<Real, R>(tile, stride, mean, centred, packed, columns, [&](auto& y, int64_t) INLINE_LAMBDA {
        constexpr int C = int(sizeof(y) / sizeof(y[0]));
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c)
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) distance[r] = y[c][r] * y[c][r] + distance[r];
    });
}

// Squared distances to a group of COLUMNS components of diagonal factors, packed feature by feature: COLUMNS scaled
// means, COLUMNS scales. EXACT subtracts before it scales, one operation more, for scales so unequal that the product
// would lose digits. Only the first C components are looked at.
template <typename Real, int R, bool EXACT, int C = COLUMNS>
INLINE void distance_diag(const Real* tile, int64_t stride, const Real* packed, int64_t d,
                          Vector<Real> (&distance)[C][R]) {
    constexpr int L = Simd<Real>::lanes;
    clear<Real>(distance);
    for (int64_t j = 0; j < d; ++j, packed += 2 * COLUMNS) {
        Vector<Real> x[R];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) x[r] = load(tile + j * stride + r * L);
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) {
            const Vector<Real> m = broadcast(packed[c]), s = broadcast(packed[COLUMNS + c]);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) {
                const Vector<Real> t = EXACT ? (x[r] - m) * s : x[r] * s - m;
                distance[c][r] = t * t + distance[c][r];
            }
        }
    }
}
