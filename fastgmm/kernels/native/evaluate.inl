// Log of weight times density of every component for a tile of rows.

template <typename Real>
struct TileMemory {
    int64_t capacity;       // rows a tile can hold
    int64_t stride;         // from feature to feature: an odd number of cache lines, so that columns share no cache set
    Real* rows;             // (d, stride) centred rows, transposed
    Real* whitened;         // (d, stride)
    Real* log_weighted;     // (k, stride) log of weight times density, later responsibilities
    Real* best;             // (stride)
    Real* threshold;        // (stride)
    Real* row_weight;       // (stride)
    Real* lengths;          // (stride) squared length of the rows (whitened, where they are)
    Integer<Real>* likely;  // (stride / lanes) most promising component
    int32_t* index;         // (stride + lanes)
    Real* centred;          // (d, rows of a block)
    Real* gathered;         // (d, rows of a block)
    int64_t bound_columns;  // columns of the factor that bounds take, or 0: see `columns_of_bound`
    int prune_pause;        // tiles to go before pruning is tried again
    int64_t finished;       // evaluations that the last pruned tile could not avoid
};

// ln(2^80): log of RESPONSIBILITY_FLOOR.
template <typename Real>
constexpr Real FLOOR_EXPONENT = Real(55.451774444795625);

// Below this a component contributes nothing to a row whose best log weighted density is `best`: the responsibility
// is then below the floor even when multiplied by 1 + its squared Mahalanobis distance, which is bounded through
// `best`. So second moments of rows far from every component are kept as exactly as those of near ones.
template <typename Real>
INLINE Vector<Real> contribution_threshold(Vector<Real> best, Real largest_offset) {
    // exponential() takes no less; responsibilities of such rows have no digits left to lose.
    const Vector<Real> span = broadcast(ExpConstants<Real>::lowest + Real(1));
    const Vector<Real> distance = Real(2) * (broadcast(largest_offset) - best) + Real(2 * 56 + 1);
    const Vector<Real> margin = -(FLOOR_EXPONENT<Real> + logarithm_above<Real>(distance));
    const Vector<Real> t = best + maximum<Real>(margin, span);
    // Far from every component the margin is lost to rounding. Then only what equals the best contributes: the number
    // below it may be further away than exponential() takes.
    const Unsigned<Real> bits = (Unsigned<Real>)best;
    const Vector<Real> below = (Vector<Real>)(bits - (Unsigned<Real>)(best < Vector<Real>{}) * 2 - 1);
    const Real infinity = Real(__builtin_inf());
    return best > broadcast(-infinity) ? (t < best ? t : below) : broadcast(-infinity);
}

template <typename Real>
void whiten_tile(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t count) {
    constexpr int L = Simd<Real>::lanes, R = ROW_VECTORS;
    Real* zero = t.gathered;  // a mean of zero: the rows are centred already
    for (int64_t j = 0; j < p.d; ++j) zero[j] = Real(0);
    for (int64_t n = 0; n < count; n += R * L)
        factor_blocks<Real, R>(t.rows + n, t.stride, zero, t.centred, p.whitener, p.d,
                               [&](auto& y, int64_t j0) INLINE_LAMBDA {
                                   constexpr int C = int(sizeof(y) / sizeof(y[0]));
#pragma GCC unroll 8
                                   for (int c = 0; c < C; ++c)
#pragma GCC unroll 8
                                       for (int r = 0; r < R; ++r)
                                           store<Real>(t.whitened + (j0 + c) * t.stride + n + r * L, y[c][r]);
                               });
}

// Squared lengths of the centred, possibly whitened, rows of a tile.
template <typename Real>
void squared_lengths(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t count) {
    constexpr int L = Simd<Real>::lanes;
    const Real* rows = p.whiten ? t.whitened : t.rows;
    for (int64_t n = 0; n < count; n += L) {
        Vector<Real> sum{};
        for (int64_t j = 0; j < p.d; ++j) {
            const Vector<Real> x = load(rows + j * t.stride + n);
            sum = x * x + sum;
        }
        store<Real>(t.lengths + n, sum);
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
#pragma GCC unroll 8
        for (int c = 0; c < COLUMNS; ++c) {
            const Vector<Real> coefficient = broadcast(coefficients[c]);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) sum[c][r] = x[r] * coefficient + sum[c][r];
        }
    }
}

// Log weighted densities as a matrix product: constant + slope . x + curvature . x^2, about the common centre.
// SQUARES: a curvature per feature (diagonals); without, one per component, times the squared length of the row.
template <typename Real, bool SQUARES>
NOINLINE void evaluate_by_products(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t count) {
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
                    const Vector<Real> constant = broadcast(p.constants[first + c]);
#pragma GCC unroll 8
                    for (int r = 0; r < R; ++r) {
                        sum[c][r] = constant;
                        if (!SQUARES) sum[c][r] += broadcast(p.curvatures[first + c]) * load(t.lengths + n + r * L);
                    }
                }
                const Real* packed = p.factors + first / COLUMNS * panel;
                add_products<Real, false>(rows + n, t.stride, p.d, packed, SQUARES ? 2 * COLUMNS : COLUMNS, sum);
                // In a loop of its own: slopes, curvatures and sums would not fit the registers together.
                if (SQUARES) add_products<Real, true>(rows + n, t.stride, p.d, packed + COLUMNS, 2 * COLUMNS, sum);
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

template <typename Real, bool EXACT>
void evaluate_by_scales(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t count) {
    constexpr int L = Simd<Real>::lanes, R = ROW_VECTORS;
    const Real* rows = p.whiten ? t.whitened : t.rows;
    for (int64_t first = 0; first < p.k; first += COLUMNS) {
        const Real* packed = p.factors + first * 2 * p.d;
        const int64_t members = first + COLUMNS <= p.k ? COLUMNS : p.k - first;
        for (int64_t n = 0; n < count; n += R * L) {
            Vector<Real> distance[COLUMNS][R];
#pragma GCC unroll 8
            for (int c = 0; c < COLUMNS; ++c)
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) distance[c][r] = Vector<Real>{};
            distance_diag<Real, R, EXACT>(rows + n, t.stride, packed, 0, p.d, distance);
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
        int64_t done;
        if (left > L) {
            gather_rows<Real>(t.rows, t.stride, p.d, index + i, left, t.gathered, rows);
            evaluate_block<Real, ROW_VECTORS>(p, t, c, t.gathered, rows, p.d, result);
            done = left < rows ? left : rows;
        } else {
            gather_rows<Real>(t.rows, t.stride, p.d, index + i, left, t.gathered, L);
            evaluate_block<Real, 1>(p, t, c, t.gathered, L, p.d, result);
            done = left;
        }
        for (int64_t m = 0; m < done; ++m) out[index[i + m]] = result[m];
        i += done;
    }
}

// A partial sum of squares only grows, so a component whose bound after the first columns lies below the threshold
// under a row's best component need not be finished for that row. Each row's most promising component is
// finished first; the others only where their bound survives. What is left unfinished keeps its bound, which
// stays below the threshold.
template <typename Real>
void evaluate_pruned(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t count, int64_t columns) {
    constexpr int L = Simd<Real>::lanes;
    const int64_t padded = round_up(count, Simd<Real>::rows);
    const Real infinity = Real(__builtin_inf());
    for (int64_t n = 0; n < padded; n += L) {
        store<Real>(t.best + n, broadcast(-infinity));
        t.likely[n / L] = Integer<Real>{};
    }
    for (int64_t c = 0; c < p.k; ++c) {
        evaluate_component<Real>(p, t, c, count, columns);
        const Real* bound = t.log_weighted + c * t.stride;
        const Integer<Real> here = Integer<Real>{} + typename Bits<Real>::type(c);
        for (int64_t n = 0; n < padded; n += L) {
            const Vector<Real> b = load(bound + n), best = load(t.best + n);
            const auto above = b > best;
            store<Real>(t.best + n, above ? b : best);
            t.likely[n / L] = above ? here : t.likely[n / L];
        }
    }
    // Rows by their most promising component: a counting sort.
    const typename Bits<Real>::type* likely = reinterpret_cast<const typename Bits<Real>::type*>(t.likely);
    int32_t* start = t.index + padded + L;
    for (int64_t c = 0; c <= p.k; ++c) start[c] = 0;
    for (int64_t n = 0; n < padded; ++n) ++start[likely[n] + 1];
    for (int64_t c = 0; c < p.k; ++c) start[c + 1] += start[c];
    for (int64_t n = 0; n < padded; ++n) t.index[start[likely[n]]++] = int32_t(n);
    for (int64_t c = 0; c < p.k; ++c) {
        const int64_t from = c == 0 ? 0 : start[c - 1], listed = start[c] - from;
        if (listed == 0) continue;
        evaluate_listed<Real>(p, t, c, t.index + from, listed);
        const Real* value = t.log_weighted + c * t.stride;
        for (int64_t i = from; i < start[c]; ++i) t.best[t.index[i]] = value[t.index[i]];
    }
    for (int64_t n = 0; n < padded; n += L)
        store<Real>(t.threshold + n, contribution_threshold<Real>(load(t.best + n), p.largest_offset));

    int64_t finished = 0;
    for (int64_t c = 0; c < p.k; ++c) {
        const Real* bound = t.log_weighted + c * t.stride;
        const Integer<Real> here = Integer<Real>{} + typename Bits<Real>::type(c);
        int64_t listed = 0;
        for (int64_t n = 0; n < padded; n += L) {
            const Vector<Real> b = t.likely[n / L] == here ? broadcast(-infinity) : load(bound + n);
            uint32_t mask = mask_greater(b, load(t.threshold + n));
            for (; mask; mask &= mask - 1) t.index[listed++] = int32_t(n + __builtin_ctz(mask));
        }
        finished += listed;
        if (5 * listed > 3 * padded)
            evaluate_component<Real>(p, t, c, count, p.d);
        else if (listed)
            evaluate_listed<Real>(p, t, c, t.index, listed);
    }
    t.finished = finished;
    // Where most components survive, bounds are not worth their cost for a while.
    if (2 * finished > p.k * padded) t.prune_pause = 15;
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

template <typename Real>
void evaluate_few_features(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t count) {
    const int64_t padded = round_up(count, Simd<Real>::rows);
    switch (p.d) {
        case 1: evaluate_few<Real, 1>(p, t, padded); break;
        case 2: evaluate_few<Real, 2>(p, t, padded); break;
        case 3: evaluate_few<Real, 3>(p, t, padded); break;
        case 4: evaluate_few<Real, 4>(p, t, padded); break;
        case 5: evaluate_few<Real, 5>(p, t, padded); break;
        case 6: evaluate_few<Real, 6>(p, t, padded); break;
        case 7: evaluate_few<Real, 7>(p, t, padded); break;
        case 8: evaluate_few<Real, 8>(p, t, padded); break;
        default: break;
    }
}

template <typename Real>
void evaluate_tile(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t count) {
    if (!p.by_factor) {
        if (p.whiten) whiten_tile(p, t, count);
        if (p.structure == SPHERICAL || p.whiten) squared_lengths(p, t, round_up(count, Simd<Real>::rows));
        if (p.products && p.structure == DIAG)
            evaluate_by_products<Real, true>(p, t, count);
        else if (p.products)
            evaluate_by_products<Real, false>(p, t, count);
        else if (p.exact)
            evaluate_by_scales<Real, true>(p, t, count);
        else
            evaluate_by_scales<Real, false>(p, t, count);
        return;
    }
    if (p.few) {
        evaluate_few_features(p, t, count);
        return;
    }
    if (t.bound_columns && count > Simd<Real>::rows) {
        if (t.prune_pause == 0) {
            evaluate_pruned(p, t, count, t.bound_columns);
            return;
        }
        --t.prune_pause;
    }
    for (int64_t c = 0; c < p.k; ++c) evaluate_component<Real>(p, t, c, count, p.d);
}

// Bounds of this many columns are tried, each twice the one before.
constexpr int64_t LEAST_BOUND = 8;

// How many columns bounds had best take, found on rows spread over the whole data; 0 where none pays. Bounds of few
// columns are cheap and leave much to finish, and in many dimensions a row's distance from the wrong component takes
// many columns to show.
template <typename Real>
int64_t columns_of_bound(const PackedMixture<Real>& p, TileMemory<Real>& t, const Real* rows) {
    const int64_t sample = 240;
    if (!p.by_factor || p.d <= LEAST_BOUND || p.k < 3 || p.n < 8 * sample || t.capacity < sample) return 0;
    for (int64_t n = 0; n < sample; ++n)
        for (int64_t j = 0; j < p.d; ++j) t.rows[j * t.stride + n] = rows[p.n / sample * n * p.d + j] - p.centre[j];
    int64_t best = 0;
    double least = 1.0;
    for (int64_t columns = LEAST_BOUND; columns < p.d; columns *= 2) {
        // In products of the whole factor. What is finished is gathered row by row and costs more than it would.
        const double bound = double(columns * (columns + 1)) / double(p.d * (p.d + 1));
        if (bound >= least) break;
        evaluate_pruned(p, t, sample, columns);
        const double cost = bound + 1.25 * double(t.finished + sample) / double(p.k * sample);
        if (cost < least) {
            least = cost;
            best = columns;
        }
    }
    return best;
}
