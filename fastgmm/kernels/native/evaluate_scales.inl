// Densities through scales: those of diagonal and spherical components, and of whitened rows.

template <typename Real>
void whiten_tile(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t count) {
    constexpr int L = Simd<Real>::lanes, R = ROW_VECTORS;
    Real* zero = t.gathered;  // a mean of zero: the rows are centred already
    for (int64_t j = 0; j < p.d; ++j) zero[j] = Real(0);
    for (int64_t n = 0; n < count; n += R * L) {
        auto keep = [&](auto& y, int64_t j0) INLINE_LAMBDA {
            constexpr int C = int(sizeof(y) / sizeof(y[0]));
#pragma GCC unroll 8
            for (int c = 0; c < C; ++c)
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) store<Real>(t.whitened + (j0 + c) * t.stride + n + r * L, y[c][r]);
        };
        factor_blocks<Real, R>(t.rows + n, t.stride, zero, t.centred, p.whitener, p.d, keep);
    }
}

// Squared lengths of the centred, possibly whitened, rows of a tile, of their first `columns` features.
template <typename Real>
void squared_lengths(const PackedMixture<Real>& p, const TileMemory<Real>& t, int64_t count, int64_t columns,
                     Real* lengths) {
    constexpr int L = Simd<Real>::lanes;
    const Real* rows = p.whiten ? t.whitened : t.rows;
    for (int64_t n = 0; n < count; n += L) {
        Vector<Real> sum{};
        for (int64_t j = 0; j < columns; ++j) {
            const Vector<Real> x = load(rows + j * t.stride + n);
            sum = x * x + sum;
        }
        store<Real>(lengths + n, sum);
    }
}

// sum += features (or their squares) of a block of rows times COLUMNS coefficients each, `step` apart.
template <typename Real, bool SQUARED>
INLINE void add_products(const Real* rows, int64_t stride, int64_t d, const Real* coefficients, int64_t step,
                         Vector<Real> (&sum)[COLUMNS][ROW_VECTORS]) {
    constexpr int L = Simd<Real>::lanes, R = ROW_VECTORS;
    for (int64_t j = 0; j < d; ++j, rows += stride, coefficients += step) {
        Vector<Real> x[R];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            x[r] = load(rows + r * L);
            if (SQUARED) x[r] = x[r] * x[r];
        }
        add_outer<Real, COLUMNS, R>(sum, coefficients, x);
    }
}

// Log weighted densities as a matrix product: constant + slope . x + curvature . x^2, about the common centre.
// SQUARES: a curvature per feature (diagonals); without, one per component, times the squared length of the row.
// Over the first `columns` features alone, `constants` and `lengths` are to be those of these features.
template <typename Real, bool SQUARES>
NOINLINE void evaluate_by_products(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t count, int64_t columns,
                                   const Real* constants, const Real* lengths) {
    constexpr int L = Simd<Real>::lanes, R = ROW_VECTORS, rows_of_block = R * L;
    const Real* rows = p.whiten ? t.whitened : t.rows;
    const int64_t panel = (SQUARES ? 2 : 1) * COLUMNS * p.d;
    // So many rows at a time that they stay in the first-level cache while all components pass by.
    const int64_t fitting = (16 << 10) / int64_t(sizeof(Real)) / p.d / rows_of_block * rows_of_block;
    const int64_t chunk = fitting < rows_of_block ? rows_of_block : fitting;
    for (int64_t first_row = 0; first_row < count; first_row += chunk) {
        const int64_t last_row = first_row + chunk < count ? first_row + chunk : count;
        for (int64_t first = 0; first < p.k; first += COLUMNS) {
            const int64_t members = first + COLUMNS <= p.k ? COLUMNS : p.k - first;
            for (int64_t n = first_row; n < last_row; n += rows_of_block) {
                Vector<Real> sum[COLUMNS][R];
#pragma GCC unroll 8
                for (int c = 0; c < COLUMNS; ++c) {
                    const Vector<Real> constant = broadcast(constants[first + c]);
#pragma GCC unroll 8
                    for (int r = 0; r < R; ++r) {
                        sum[c][r] = constant;
                        if (!SQUARES) sum[c][r] += broadcast(p.curvatures[first + c]) * load(lengths + n + r * L);
                    }
                }
                const Real* packed = p.factors + first / COLUMNS * panel;
                add_products<Real, false>(rows + n, t.stride, columns, packed, SQUARES ? 2 * COLUMNS : COLUMNS, sum);
                // In a loop of its own: slopes, curvatures and sums would not fit the registers together.
                if (SQUARES) add_products<Real, true>(rows + n, t.stride, columns, packed + COLUMNS, 2 * COLUMNS, sum);
#pragma GCC unroll 8
                for (int c = 0; c < COLUMNS; ++c) {
                    if (c >= members) continue;
#pragma GCC unroll 8
                    for (int r = 0; r < R; ++r)
                        store<Real>(t.log_weighted + (first + c) * t.stride + n + r * L, sum[c][r]);
                }
            }
        }
    }
}

template <typename Real>
INLINE void evaluate_products(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t count, int64_t columns,
                              const Real* constants, const Real* lengths) {
    if (p.structure == DIAG)
        evaluate_by_products<Real, true>(p, t, count, columns, constants, lengths);
    else
        evaluate_by_products<Real, false>(p, t, count, columns, constants, lengths);
}

// Component c for the rows listed in index[0 .. listed), wherever in the tile they are.
template <typename Real>
NOINLINE void evaluate_listed_products(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t c,
                                       const int32_t* index, int64_t listed) {
    constexpr int L = Simd<Real>::lanes, FEW = L / 2 < 2 ? 1 : L / 2;
    const bool squares = p.structure == DIAG;
    const int64_t step = squares ? 2 * COLUMNS : COLUMNS;
    const Real* rows = p.whiten ? t.whitened : t.rows;
    const Real* slopes = p.factors + c / COLUMNS * step * p.d + c % COLUMNS;
    Real* out = t.log_weighted + c * t.stride;
    int64_t i = 0;
    for (; i + FEW < listed; i += L) {
        const int64_t done = listed - i < L ? listed - i : L;
        gather_rows<Real>(rows, t.stride, p.d, index + i, done, t.gathered, L);
        Vector<Real> sum = broadcast(p.constants[c]);
        for (int64_t j = 0; j < p.d; ++j) {
            const Vector<Real> x = load(t.gathered + j * L);
            sum = x * broadcast(slopes[j * step]) + sum;
            if (squares) sum = x * x * broadcast(slopes[j * step + COLUMNS]) + sum;
        }
        for (int64_t m = 0; m < done; ++m) {
            const int64_t n = index[i + m];
            out[n] = squares ? sum[m] : sum[m] + p.curvatures[c] * t.lengths[n];
        }
    }
    for (; i < listed; ++i) {
        const Real* x = rows + index[i];
        Real sum[4] = {p.constants[c], squares ? Real(0) : p.curvatures[c] * t.lengths[index[i]], Real(0), Real(0)};
        int64_t j = 0;
        for (; j + 4 <= p.d; j += 4)
#pragma GCC unroll 4
            for (int part = 0; part < 4; ++part) {
                const Real value = x[(j + part) * t.stride];
                const Real curvature = squares ? slopes[(j + part) * step + COLUMNS] : Real(0);
                sum[part] += value * (slopes[(j + part) * step] + value * curvature);
            }
        for (; j < p.d; ++j) {
            const Real value = x[j * t.stride];
            sum[0] += value * (slopes[j * step] + value * (squares ? slopes[j * step + COLUMNS] : Real(0)));
        }
        out[index[i]] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    }
}

template <typename Real, bool EXACT>
void evaluate_by_scales(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t count) {
    constexpr int L = Simd<Real>::lanes, R = ROW_VECTORS;
    const Real* rows = p.whiten ? t.whitened : t.rows;
    for (int64_t first = 0; first < p.k; first += COLUMNS) {
        const Real* packed = p.factors + first * 2 * p.d;
        const int64_t members = first + COLUMNS <= p.k ? COLUMNS : p.k - first;
        for (int64_t n = 0; n < count; n += R * L) {
            Vector<Real> distance[COLUMNS][R];
            distance_diag<Real, R, EXACT>(rows + n, t.stride, packed, p.d, distance);
#pragma GCC unroll 8
            for (int c = 0; c < COLUMNS; ++c) {
                if (c >= members) continue;
                const Vector<Real> offset = broadcast(p.offset[first + c]);
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r)
                    store<Real>(t.log_weighted + (first + c) * t.stride + n + r * L,
                                offset - Real(0.5) * distance[c][r]);
            }
        }
    }
}
