// Scatter matrices: sums of row^T row.

// Rows in panels: a panel holds one vector of features of every row, row after row, so that a block of a matrix
// product walks through memory in order whatever the number of features. `panel` is the size of one panel, a few
// cache lines more than its rows take, so that panels share no cache set.
template <typename Real>
INLINE int64_t panel_size(int64_t rows) {
    return odd_lines<Real>(rows * Simd<Real>::lanes);
}

// The upper triangle of a scatter as blocks of SCATTER_ROWS rows by up to 4 vectors.
constexpr int SCATTER_ROWS = COLUMNS;

template <typename Real>
INLINE int64_t packed_scatter_size(int64_t width) {
    constexpr int L = Simd<Real>::lanes;
    int64_t size = 0;
    for (int64_t i = 0; i < width; i += SCATTER_ROWS) size += SCATTER_ROWS * (width - i / L * L);
    return size;
}

// Panels of rows that a scatter is made of: where a vector is shorter than a block of rows, the last block reads a
// panel behind the last one.
template <typename Real>
INLINE int64_t scatter_panels(int64_t width) {
    return round_up(width, SCATTER_ROWS) / Simd<Real>::lanes;
}

template <typename Real, int I, int J>
INLINE double* scatter_block(const Real* panels, int64_t panel, int64_t i0, int64_t j0, int64_t count, double* to) {
    constexpr int L = Simd<Real>::lanes;
    const Real* left = panels + i0 / L * panel + i0 % L;
    const Real* right = panels + j0 / L * panel;
    Vector<Real> sum[I][J];
#pragma GCC unroll 8
    for (int i = 0; i < I; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < J; ++j) sum[i][j] = Vector<Real>{};
    for (int64_t n = 0; n < count; ++n, left += L, right += L) {
        Vector<Real> b[J];
#pragma GCC unroll 8
        for (int j = 0; j < J; ++j) b[j] = load(right + j * panel);
        if constexpr (LANE_FACTORS && I >= L) {
#pragma GCC unroll 8
            for (int i = 0; i < I; i += L) {
                const Vector<Real> factors = load_factors(left + i / L * panel);
#pragma GCC unroll 8
                for (int lane = 0; lane < L; ++lane)
#pragma GCC unroll 8
                    for (int j = 0; j < J; ++j)
                        sum[i + lane][j] = broadcast<Real>(factors[lane]) * b[j] + sum[i + lane][j];
            }
            continue;
        }
#pragma GCC unroll 8
        for (int i = 0; i < I; ++i) {
            // I and L are powers of two and i0 a multiple of I: either all I lie in one panel or each L do.
            const Vector<Real> a = broadcast(I <= L ? left[i] : left[i / L * panel + i % L]);
#pragma GCC unroll 8
            for (int j = 0; j < J; ++j) sum[i][j] = a * b[j] + sum[i][j];
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < I; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < J; ++j, to += L) add_to(to, sum[i][j]);
    return to;
}

// How many of the vectors that are left the next block takes: 3, but never such that one alone remains.
INLINE int64_t scatter_vectors(int64_t left) {
    return left == 4 ? 4 : left == 5 || left < 3 ? (left < 2 ? left : 2) : 3;
}

// to += rows^T rows over `count` rows of `width` features, in panels.
template <typename Real>
NOINLINE void add_scatter(const Real* rows, int64_t panel, int64_t width, int64_t count, double* to) {
    constexpr int L = Simd<Real>::lanes, I = SCATTER_ROWS;
    for (int64_t i = 0; i < width; i += I)
        for (int64_t j = i / L * L; j < width;) {
            const int64_t vectors = scatter_vectors((width - j) / L);
            switch (vectors) {
                case 4:
                    to = scatter_block<Real, I / 2, 4>(rows, panel, i, j, count, to);
                    to = scatter_block<Real, I / 2, 4>(rows, panel, i + I / 2, j, count, to);
                    break;
                case 3: to = scatter_block<Real, I, 3>(rows, panel, i, j, count, to); break;
                case 2: to = scatter_block<Real, I, 2>(rows, panel, i, j, count, to); break;
                default: to = scatter_block<Real, I, 1>(rows, panel, i, j, count, to);
            }
            j += vectors * L;
        }
}

// Adds packed blocks to both triangles of (d, d).
template <typename Real>
void unpack_scatter(const double* packed, int64_t width, int64_t d, double* to) {
    constexpr int L = Simd<Real>::lanes;
    for (int64_t i0 = 0; i0 < width; i0 += SCATTER_ROWS)
        for (int64_t j0 = i0 / L * L; j0 < width;) {
            const int64_t block = scatter_vectors((width - j0) / L) * L;
            const int64_t rows = i0 + SCATTER_ROWS < d ? SCATTER_ROWS : d - i0,
                          columns = j0 + block < d ? block : d - j0;
            if (j0 >= i0 + SCATTER_ROWS && columns > 0) {
                for (int64_t i = 0; i < rows; ++i)
                    for (int64_t j = 0; j < columns; ++j) to[(i0 + i) * d + j0 + j] += packed[i * block + j];
                copy_transposed<true>(packed, block, rows, columns, to + j0 * d + i0, d);
            } else {
                for (int64_t i = i0; i < i0 + rows; ++i)
                    for (int64_t j = i > j0 ? i : j0; j < j0 + columns; ++j) {
                        const double value = packed[(i - i0) * block + j - j0];
                        to[i * d + j] += value;
                        if (j > i) to[j * d + i] += value;
                    }
            }
            packed += SCATTER_ROWS * block;
            j0 += block;
        }
}
