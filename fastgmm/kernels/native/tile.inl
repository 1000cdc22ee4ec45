// A tile of rows, held transposed so that lanes are rows.

// Rows of a tile: a multiple of 48 (every block size divides it) whose memory stays in the second-level cache.
template <typename Real>
INLINE int64_t tile_rows_for(int64_t n, int64_t d, int64_t k, bool tail = false) {
    const int64_t per_row = int64_t(sizeof(Real)) * (2 * d + (tail ? 3 * k : k) + 4);
    int64_t rows = (768 << 10) / per_row / 48 * 48;
    const int64_t most = d <= 8 ? 480 : 960;
    rows = rows < 48 ? 48 : rows > most ? most : rows;
    const int64_t needed = round_up(n, Simd<Real>::rows);
    return rows < needed ? rows : needed;
}

// As many rows of D features as lanes, minus `centre`, transposed: whole vectors of them, sorted by shuffles.
template <typename Real, int D>
INLINE void load_narrow(const Real* from, const Real* centre, Real* to, int64_t stride) {
    constexpr int L = Simd<Real>::lanes;
    Vector<Real> part[D];
#pragma GCC unroll 4
    for (int i = 0; i < D; ++i) part[i] = load(from + i * L);
#pragma GCC unroll 4
    for (int j = 0; j < D; ++j) {
        Vector<Real> column = part[0];
#pragma GCC unroll 4
        for (int i = 1; i < D; ++i) {
            // Lane l is value l D + j: what lies in the parts so far stays where the first shuffle puts it.
#if defined(__clang__)
            Vector<Real> next = column;
            for (int lane = 0; lane < L; ++lane) {
                const int at = lane * D + j;
                if (i == 1 && at < L) next[lane] = part[0][at];
                if (at / L == i) next[lane] = part[i][at % L];
            }
            column = next;
#else
            Integer<Real> which{};
#pragma GCC unroll 16
            for (int lane = 0; lane < L; ++lane) {
                const int at = lane * D + j;
                which[lane] = typename Bits<Real>::type(at / L == i ? L + at % L : i == 1 && at < L ? at : lane);
            }
            column = __builtin_shuffle(column, part[i], which);
#endif
        }
        store<Real>(to + j * stride, column - broadcast(centre[j]));
    }
}

// Writes the first `columns` features of rows[first .. first + count), d values apart, minus `centre` to `tile`
// (columns, stride); the last row fills up the last block.
template <typename Real>
void load_tile(const Real* rows, int64_t first, int64_t count, int64_t d, int64_t columns, const Real* centre,
               Real* tile, int64_t stride) {
    constexpr int L = Simd<Real>::lanes;
    const int64_t padded = round_up(count, Simd<Real>::rows);
    const Strided<Real> by_row(d);
    // Columns left over of which this few are picked one by one: they are not worth a square.
    constexpr int64_t FEW = L > 4 ? 2 : 1;
    const int64_t whole = columns == d && d <= 4 ? count / L * L : 0;
    for (int64_t n = 0; n < whole; n += L) {
        const Real* from = rows + (first + n) * d;
        switch (d) {
            case 1: load_narrow<Real, 1>(from, centre, tile + n, stride); break;
            case 2: load_narrow<Real, 2>(from, centre, tile + n, stride); break;
            case 3: load_narrow<Real, 3>(from, centre, tile + n, stride); break;
            default: load_narrow<Real, 4>(from, centre, tile + n, stride);
        }
    }
    for (int64_t n = whole; n < padded; n += L) {
        const Real* from = rows + (first + n) * d;
        Real* to = tile + n;
        if (n + L <= count) {
            int64_t j = 0;
            for (; j + FEW < columns; j += L) {
                const int64_t width = columns - j < L ? columns - j : L;
                Vector<Real> block[L];
                if (width == L) {
#pragma GCC unroll 16
                    for (int lane = 0; lane < L; ++lane) block[lane] = load(from + lane * d + j);
                } else {
#pragma GCC unroll 16
                    for (int lane = 0; lane < L; ++lane) block[lane] = load_first(from + lane * d + j, width);
                }
                transpose<Real>(block);
#pragma GCC unroll 16
                for (int c = 0; c < L; ++c)
                    if (c < width) store<Real>(to + c * stride, block[c] - broadcast(centre[j + c]));
                to += L * stride;
            }
            for (; j < columns; ++j, to += stride) store<Real>(to, by_row.load(from + j) - broadcast(centre[j]));
            continue;
        }
        const Real* at[L];
        for (int lane = 0; lane < L; ++lane) at[lane] = rows + (first + (n + lane < count ? n + lane : count - 1)) * d;
        int64_t j = 0;
        for (; j + L <= columns; j += L, to += L * stride) {
            Vector<Real> block[L];
#pragma GCC unroll 16
            for (int lane = 0; lane < L; ++lane) block[lane] = load(at[lane] + j);
            transpose<Real>(block);
#pragma GCC unroll 16
            for (int c = 0; c < L; ++c) store<Real>(to + c * stride, block[c] - broadcast(centre[j + c]));
        }
        for (; j < columns; ++j, to += stride)
            for (int lane = 0; lane < L; ++lane) to[lane] = at[lane][j] - centre[j];
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

// Weights of a tile's rows; those that fill up the last block weigh nothing.
template <typename Real>
INLINE void load_weights(const double* sample_weight, int64_t count, int64_t padded, Real* to) {
    for (int64_t n = 0; n < padded; ++n)
        to[n] = n >= count ? Real(0) : sample_weight ? Real(sample_weight[n]) : Real(1);
}

// Writes a matrix (rows, columns) transposed, or ADDs it.
template <bool ADD>
INLINE void copy_transposed(const double* from, int64_t from_stride, int64_t rows, int64_t columns, double* to,
                            int64_t to_stride) {
    constexpr int L = Simd<double>::lanes;
    for (int64_t i = 0; i < rows; i += L)
        for (int64_t j = 0; j < columns; j += L) {
            if (i + L <= rows && j + L <= columns) {
                Vector<double> block[L];
#pragma GCC unroll 16
                for (int lane = 0; lane < L; ++lane) block[lane] = load(from + (i + lane) * from_stride + j);
                transpose<double>(block);
#pragma GCC unroll 16
                for (int lane = 0; lane < L; ++lane) {
                    double* at = to + (j + lane) * to_stride + i;
                    store<double>(at, ADD ? load<double>(at) + block[lane] : block[lane]);
                }
                continue;
            }
            for (int64_t c = j; c < columns && c < j + L; ++c)
                for (int64_t r = i; r < rows && r < i + L; ++r) {
                    const double value = from[r * from_stride + c];
                    to[c * to_stride + r] = ADD ? to[c * to_stride + r] + value : value;
                }
        }
}
