// A tile of rows, held transposed so that lanes are rows.

// Writes rows[first .. first + count) minus `centre` to `tile` (d, stride); the last row fills up the last block.
template <typename Real>
void load_tile(const Real* rows, int64_t first, int64_t count, int64_t d, const Real* centre, Real* tile,
               int64_t stride) {
    constexpr int L = Simd<Real>::lanes;
    const int64_t padded = round_up(count, Simd<Real>::rows);
    const Strided<Real> by_row(d);
    for (int64_t n = 0; n < padded; n += L) {
        const Real* from = rows + (first + n) * d;
        Real* to = tile + n;
        if (n + L <= count) {
            for (int64_t j = 0; j < d; ++j, to += stride) store<Real>(to, by_row.load(from + j) - broadcast(centre[j]));
            continue;
        }
        for (int64_t j = 0; j < d; ++j, to += stride)
            for (int lane = 0; lane < L; ++lane)
                to[lane] = rows[(first + (n + lane < count ? n + lane : count - 1)) * d + j] - centre[j];
    }
}

// Gathers columns index[0 .. count) of `tile` (d, stride) into `block` (d, block_rows); the last one fills up.
template <typename Real>
INLINE void gather_rows(const Real* tile, int64_t stride, int64_t d, const int32_t* index, int64_t count, Real* block,
                        int64_t block_rows) {
    int32_t padded[Simd<Real>::rows];
    for (int64_t i = 0; i < block_rows; ++i) padded[i] = index[i < count ? i : count - 1];
    for (int64_t j = 0; j < d; ++j)
        for (int64_t i = 0; i < block_rows; ++i) block[j * block_rows + i] = tile[j * stride + padded[i]];
}
