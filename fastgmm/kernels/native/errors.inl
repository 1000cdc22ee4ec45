// Rows that were measured with errors of their own: normal about a component's mean with T = V + S. Lanes are rows, and
// each factorises its own T as L D L^T, which takes a division for a feature and no root. Everything is computed in
// double, whatever the rows are in.
//
// What was not measured has an infinite variance; there T has a row and a column of the unit matrix, and the row is at
// the mean: neither distance nor determinant know of it. Where rows have no errors but miss values, that matrix would
// be factorised for what is there; it is cheaper to factorise the precision P of what is missing, m by m:
//     d_o' V_oo^-1 d_o = d' P d - q_m' P_mm^-1 q_m,   q = P d,   d_m = 0,   det V_oo = det V det P_mm,
// and what is missing has the mean -P_mm^-1 q_m and the covariance P_mm^-1, with which the sums are those of whole
// rows. The rows of a tile are sorted by how much they miss, so that the lanes of a vector have about as many.

INLINE int64_t packed(int64_t i) { return i * (i + 1) / 2; }

struct ErrorMixture {
    int64_t d, k, triangle;  // triangle: numbers in that of a matrix, or on its diagonal
    bool diagonal;           // covariances and errors are variances
    bool whole;              // errors are matrices
    bool holes;              // rows have no errors, and what is NaN is missing
    int64_t side;            // holes: d rounded up to whole blocks
    const double* means;
    double* covariances;  // (k, triangle), lower; not with holes
    double* precisions;   // holes: (k, d, side), zeros behind the columns of P
    double* bordered;     // holes: (k, d + 1, d + 1), P and zeros
    double* log_weight;   // (k); with holes less half the log-determinant of V

    void lay_out(Arena& arena, const ErrorPass& pass) {
        d = pass.d, k = pass.k;
        diagonal = pass.diagonal;
        whole = pass.whole;
        holes = !pass.errors && !diagonal;
        side = round_up(d, BLOCK);
        triangle = diagonal ? d : packed(d);
        means = pass.means;
        covariances = arena.take<double>(holes ? 0 : k * triangle);
        precisions = arena.zeros<double>(holes ? k * d * side : 0);
        bordered = arena.zeros<double>(holes ? k * (d + 1) * (d + 1) : 0);
        log_weight = arena.take<double>(k);
        double* const r = arena.take<double>(holes ? 2 * d * d : 0);
        if (!log_weight) return;
        for (int64_t c = 0; c < k; ++c) {
            log_weight[c] = pass.log_weight[c];
            if (holes) {
                invert_covariance(pass.covariances + c * d * d, c, r);
                continue;
            }
            for (int64_t i = 0; i < d; ++i)
                for (int64_t j = 0; j <= i; ++j) {
                    if (diagonal)
                        covariances[c * d + i] = pass.covariances[c * d + i];
                    else
                        covariances[c * triangle + packed(i) + j] = pass.covariances[(c * d + i) * d + j];
                }
        }
    }

    // Outputs of a block of products.
    static constexpr int64_t BLOCK = 8;

  private:
    void invert_covariance(const double* covariance, int64_t c, double* r) const {
        double* const u = r + d * d;
        double* const border = bordered + c * (d + 1) * (d + 1);
        if (!factorise_small(covariance, d, r, u)) {
            log_weight[c] = -INFINITE;  // no component
            for (int64_t i = 0; i < d; ++i) border[i * (d + 2)] = precisions[(c * d + i) * side + i] = 1.0;
            return;
        }
        for (int64_t i = 0; i < d; ++i) {
            log_weight[c] += __builtin_log(u[i * d + i]);
            for (int64_t j = 0; j < d; ++j) {
                double sum = 0.0;
                for (int64_t l = i > j ? i : j; l < d; ++l) sum += u[i * d + l] * u[j * d + l];
                precisions[(c * d + i) * side + j] = border[i * (d + 1) + j] = sum;
            }
        }
    }
};

// Rows in lanes: values, zero where not measured; the lower triangle of S, or its diagonal, with ones on the diagonal
// there; and ones for what was measured, zeros elsewhere.
struct MeasuredRows {
    double *x, *s, *seen;
    int64_t* hole;     // (d, stride) the features that a row misses, ascending, then d
    int32_t* n_holes;  // (stride)
    int64_t stride;
    bool any_missing;

    void lay_out(Arena& arena, const ErrorMixture& m, int64_t rows) {
        stride = rows;
        x = arena.take<double>(m.d * stride);
        s = arena.take<double>((m.whole ? packed(m.d) : m.d) * stride);
        seen = arena.take<double>(m.d * stride);
        hole = arena.take<int64_t>(m.holes ? m.d * stride : 0);
        n_holes = m.holes ? arena.take<int32_t>(stride) : nullptr;
        any_missing = false;
    }

    // Reads `count` rows in the given order; the last one fills up the last vector.
    template <typename Real>
    void read(const ErrorMixture& m, const Real* rows, const Real* errors, const int32_t* order, int64_t count) {
        constexpr int L = Simd<double>::lanes;
        const int64_t d = m.d, own = m.whole ? d * d : d;
        any_missing = false;
        for (int64_t n = 0; n < count; n += L) {
            const Real *row[L], *spread[L];
            int32_t missed[L] = {};
            for (int lane = 0; lane < L; ++lane) {
                const int64_t from = order[n + lane < count ? n + lane : count - 1];
                row[lane] = rows + from * d;
                spread[lane] = errors ? errors + from * own : nullptr;
            }
            for (int64_t i = 0; i < d; ++i)
                for (int lane = 0; lane < L; ++lane) {
                    const double value = double(row[lane][i]);
                    const double variance = errors ? double(spread[lane][m.whole ? i * d + i : i]) : 0.0;
                    const bool measured = errors ? variance < INFINITE : value == value;
                    x[i * stride + n + lane] = measured ? value : 0.0;
                    seen[i * stride + n + lane] = measured ? 1.0 : 0.0;
                    any_missing |= !measured;
                    if (!m.holes)
                        s[(m.whole ? packed(i) + i : i) * stride + n + lane] = measured ? variance : 1.0;
                    else if (!measured)
                        hole[missed[lane]++ * stride + n + lane] = i;
                }
            for (int lane = 0; m.holes && lane < L; ++lane) {
                n_holes[n + lane] = missed[lane];
                for (int64_t i = missed[lane]; i < d; ++i) hole[i * stride + n + lane] = d;
            }
            for (int64_t i = 1; m.whole && i < d; ++i)
                for (int64_t j = 0; j < i; ++j)
                    for (int lane = 0; lane < L; ++lane) {
                        const int64_t at = n + lane;
                        const bool both = seen[i * stride + at] * seen[j * stride + at] > 0.0;
                        s[(packed(i) + j) * stride + at] = both ? double(spread[lane][i * d + j]) : 0.0;
                    }
        }
    }

    // The rows from n on.
    MeasuredRows from(int64_t n) const {
        MeasuredRows rest = *this;
        rest.x += n, rest.s += n, rest.seen += n;
        if (n_holes) rest.hole += n, rest.n_holes += n;
        return rest;
    }

    // Takes the listed rows of others; the last one fills up the vector.
    void gather(const ErrorMixture& m, const MeasuredRows& from, const int32_t* index, int64_t count) {
        constexpr int L = Simd<double>::lanes;
        int32_t lane_of[L];
        for (int lane = 0; lane < L; ++lane) lane_of[lane] = index[lane < count ? lane : count - 1];
        auto copy = [&](const auto* source, auto* to, int64_t columns) {
            for (int64_t j = 0; j < columns; ++j)
#pragma GCC unroll 8
                for (int lane = 0; lane < L; ++lane) to[j * stride + lane] = source[j * from.stride + lane_of[lane]];
        };
        copy(from.x, x, m.d);
        if (m.holes) {
            copy(from.n_holes, n_holes, 1);
            int64_t most = 0;
            for (int lane = 0; lane < L; ++lane) most = n_holes[lane] > most ? n_holes[lane] : most;
            copy(from.hole, hole, most);
        } else {
            copy(from.s, s, m.whole ? packed(m.d) : m.d);
        }
        if (from.any_missing || m.diagonal || m.holes) copy(from.seen, seen, m.d);
        any_missing = from.any_missing;
    }
};

// A vector of rows beside one component.
struct Measured {
    Vector<double> distance;  // squared
    LogSum<double> pivots;
    Integer<double> positive;  // all bits where T is positive definite
};

// Squared distances and determinants by T on its diagonal; GRADIENT: T^-1 (x - mean) and T^-1 to `y` and `f`.
template <bool GRADIENT>
INLINE Measured measure_diagonal(const ErrorMixture& m, const MeasuredRows& rows, int64_t c, int64_t n,
                                 Vector<double>* f, Vector<double>* y) {
    Measured found{Vector<double>{}, {}, ~Integer<double>{}};
    for (int64_t i = 0; i < m.d; ++i) {
        const Vector<double> seen = load(rows.seen + i * rows.stride + n);
        const Vector<double> t = broadcast(m.covariances[c * m.d + i]) * seen + load(rows.s + i * rows.stride + n);
        const auto positive = t > Vector<double>{};
        found.positive &= positive;
        const Vector<double> pivot = positive ? t : broadcast(1.0), inverse = 1.0 / pivot;
        found.pivots.add(pivot);
        const Vector<double> away = (load(rows.x + i * rows.stride + n) - broadcast(m.means[c * m.d + i])) * seen;
        const Vector<double> scaled = away * inverse;
        found.distance += away * scaled;
        if (GRADIENT) {
            f[i] = inverse * seen;
            y[i] = scaled;
        }
    }
    return found;
}

// An entry of T.
template <bool WHOLE, bool MASKED>
INLINE Vector<double> entry(const double* covariance, const MeasuredRows& rows, int64_t n, int64_t i, int64_t j) {
    Vector<double> t = broadcast(covariance[packed(i) + j]);
    if (MASKED) t *= load(rows.seen + i * rows.stride + n) * load(rows.seen + j * rows.stride + n);
    if (WHOLE) return t + load(rows.s + (packed(i) + j) * rows.stride + n);
    return i == j ? t + load(rows.s + i * rows.stride + n) : t;
}

// Columns of a row that are taken together where the number of features is not known to the compiler.
constexpr int64_t SIDE = 4;

// Factorises the matrix of entry(i, j), j <= i: writes L to `f`, 1 / D in place of its diagonal of ones, and L^-1 times
// the vector of right(i) to `y`.
template <int D, typename Entry, typename Right>
INLINE Measured factorise(int64_t d_, Entry entry_of, Right right, Vector<double>* f, Vector<double>* y) {
    const int64_t d = D ? D : d_;
    Measured found{Vector<double>{}, {}, ~Integer<double>{}};
#pragma GCC unroll 8
    for (int64_t i = 0; i < d; ++i) {
        Vector<double>* row = f + packed(i);  // of L D at first
        int64_t j = 0;
        for (; !D && j + SIDE <= i; j += SIDE) {
            Vector<double> sum[SIDE];
            const Vector<double>* above[SIDE];
#pragma GCC unroll 8
            for (int64_t q = 0; q < SIDE; ++q) {
                sum[q] = entry_of(i, j + q);
                above[q] = f + packed(j + q);
            }
            for (int64_t l = 0; l < j; ++l) {
                const Vector<double> left = row[l];
#pragma GCC unroll 8
                for (int64_t q = 0; q < SIDE; ++q) sum[q] -= left * above[q][l];
            }
#pragma GCC unroll 8
            for (int64_t q = 0; q < SIDE; ++q) {
#pragma GCC unroll 8
                for (int64_t l = 0; l < q; ++l) sum[q] -= sum[l] * above[q][j + l];
                row[j + q] = sum[q];
            }
        }
#pragma GCC unroll 8
        for (; j < i; ++j) {
            const Vector<double>* above = f + packed(j);
            Vector<double> sum = entry_of(i, j);
#pragma GCC unroll 8
            for (int64_t l = 0; l < j; ++l) sum -= row[l] * above[l];
            row[j] = sum;
        }
        Vector<double> pivot = entry_of(i, i), away = right(i);
#pragma GCC unroll 8
        for (int64_t l = 0; l < i; ++l) {
            const Vector<double> lower = row[l] * f[packed(l) + l];
            pivot -= lower * row[l];
            away -= lower * y[l];
            row[l] = lower;
        }
        const auto positive = pivot > Vector<double>{};
        found.positive &= positive;
        pivot = positive ? pivot : broadcast(1.0);
        found.pivots.add(pivot);
        row[i] = 1.0 / pivot;
        y[i] = away;
        found.distance += away * away * row[i];
    }
    return found;
}

// The factor of T, and L^-1 (x - mean).
template <int D, bool WHOLE, bool MASKED>
INLINE Measured measure(const ErrorMixture& m, const MeasuredRows& rows, int64_t c, int64_t n, Vector<double>* f,
                        Vector<double>* y) {
    const double *covariance = m.covariances + c * m.triangle, *mean = m.means + c * m.d;
    return factorise<D>(
        m.d, [&](int64_t i, int64_t j) INLINE_LAMBDA { return entry<WHOLE, MASKED>(covariance, rows, n, i, j); },
        [&](int64_t i) INLINE_LAMBDA {
            const Vector<double> away = load(rows.x + i * rows.stride + n) - broadcast(mean[i]);
            return MASKED ? away * load(rows.seen + i * rows.stride + n) : away;
        },
        f, y);
}

// The values of a table that each lane has its own place in.
INLINE Vector<double> pick(const double* table, Integer<double> place) {
#if defined(FASTGMM_AVX512)
    return (Vector<double>)_mm512_i64gather_pd((__m512i)place, table, 8);
#else
    Vector<double> found;
#pragma GCC unroll 8
    for (int lane = 0; lane < Simd<double>::lanes; ++lane) found[lane] = table[place[lane]];
    return found;
#endif
}

INLINE Integer<double> holes_at(const MeasuredRows& rows, int64_t a, int64_t n) {
    Integer<double> places;
    __builtin_memcpy(&places, rows.hole + a * rows.stride + n, sizeof places);
    return places;
}

// The factor of P_mm, and L^-1 q_m; the distance is that of what is there. Writes x - mean to `away`, (d + 1) of them,
// the last zero; `product` is scratch for q, (side + 1).
INLINE Measured measure_holes(const ErrorMixture& m, const MeasuredRows& rows, int64_t c, int64_t n, int64_t most,
                              Vector<double>* f, Vector<double>* y, Vector<double>* away, Vector<double>* product) {
    constexpr int L = Simd<double>::lanes;
    constexpr int64_t B = ErrorMixture::BLOCK;
    const int64_t d = m.d;
    const double* mean = m.means + c * d;
    for (int64_t i = 0; i < d; ++i)
        away[i] = (load(rows.x + i * rows.stride + n) - broadcast(mean[i])) * load(rows.seen + i * rows.stride + n);
    away[d] = Vector<double>{};
    Vector<double> distance{};
    for (int64_t i = 0; i < d; i += B) {
        Vector<double> sum[B] = {};
        const double* column = m.precisions + c * d * m.side + i;
        for (int64_t j = 0; j < d; ++j, column += m.side) {
            const Vector<double> value = away[j];
#pragma GCC unroll 8
            for (int64_t q = 0; q < B; ++q) sum[q] += value * broadcast(column[q]);
        }
#pragma GCC unroll 8
        for (int64_t q = 0; q < B; ++q) {
            product[i + q] = sum[q];
            if (i + q < d) distance += sum[q] * away[i + q];
        }
    }
    product[d] = Vector<double>{};
    Integer<double> lanes{};
    for (int lane = 0; lane < L; ++lane) lanes[lane] = lane;
    const double* bordered = m.bordered + c * (d + 1) * (d + 1);
    Measured found = factorise<0>(
        most,
        [&](int64_t a, int64_t b) INLINE_LAMBDA {
            const Integer<double> hole = holes_at(rows, a, n);
            const Vector<double> value = pick(bordered, hole * (d + 1) + holes_at(rows, b, n));
            // Behind its last hole a row has those of a unit matrix.
            return a == b ? (hole == d ? broadcast(1.0) : value) : value;
        },
        [&](int64_t a)
            INLINE_LAMBDA { return pick(reinterpret_cast<const double*>(product), holes_at(rows, a, n) * L + lanes); },
        f, y);
    found.distance = distance - found.distance;
    return found;
}

// Turns `f` and `y` of `factorise` into the inverse, its lower triangle, and the inverse times the vector. `left` is
// scratch for d vectors.
template <int D>
INLINE void invert(int64_t d_, Vector<double>* f, Vector<double>* y, Vector<double>* left) {
    const int64_t d = D ? D : d_;
    // The inverse of L, row by row: what a row's later columns need of L is overwritten last.
#pragma GCC unroll 8
    for (int64_t i = 1; i < d; ++i) {
        Vector<double>* row = f + packed(i);
        int64_t j = 0;
        for (; !D && j + SIDE <= i; j += SIDE) {
            Vector<double> sum[SIDE];
#pragma GCC unroll 8
            for (int64_t q = 0; q < SIDE; ++q) sum[q] = row[j + q];
#pragma GCC unroll 8
            for (int64_t l = 1; l < SIDE; ++l)
#pragma GCC unroll 8
                for (int64_t q = 0; q < l; ++q) sum[q] += row[j + l] * f[packed(j + l) + j + q];
            for (int64_t l = j + SIDE; l < i; ++l) {
                const Vector<double> own = row[l];
                const Vector<double>* above = f + packed(l) + j;
#pragma GCC unroll 8
                for (int64_t q = 0; q < SIDE; ++q) sum[q] += own * above[q];
            }
#pragma GCC unroll 8
            for (int64_t q = 0; q < SIDE; ++q) row[j + q] = -sum[q];
        }
#pragma GCC unroll 8
        for (; j < i; ++j) {
            Vector<double> sum = row[j];
#pragma GCC unroll 8
            for (int64_t l = j + 1; l < i; ++l) sum += row[l] * f[packed(l) + j];
            row[j] = -sum;
        }
    }
#pragma GCC unroll 8
    for (int64_t i = 0; i < d; ++i) y[i] *= f[packed(i) + i];
    // L^-T D^-1 L^-1, row by row: row i takes those from itself on, and is needed no more.
#pragma GCC unroll 8
    for (int64_t i = 0; i < d; ++i) {
        Vector<double>* row = f + packed(i);
        Vector<double> gradient = y[i], last = row[i];
#pragma GCC unroll 8
        for (int64_t l = i + 1; l < d; ++l) {
            const Vector<double> lower = f[packed(l) + i];
            gradient += lower * y[l];
            left[l] = lower * f[packed(l) + l];
            last += left[l] * lower;
        }
        y[i] = gradient;
        int64_t j = 0;
        for (; !D && j + SIDE <= i; j += SIDE) {
            Vector<double> sum[SIDE];
#pragma GCC unroll 8
            for (int64_t q = 0; q < SIDE; ++q) sum[q] = row[i] * row[j + q];
            for (int64_t l = i + 1; l < d; ++l) {
                const Vector<double>* below = f + packed(l) + j;
#pragma GCC unroll 8
                for (int64_t q = 0; q < SIDE; ++q) sum[q] += left[l] * below[q];
            }
#pragma GCC unroll 8
            for (int64_t q = 0; q < SIDE; ++q) row[j + q] = sum[q];
        }
#pragma GCC unroll 8
        for (; j < i; ++j) {
            Vector<double> sum = row[i] * row[j];
#pragma GCC unroll 8
            for (int64_t l = i + 1; l < d; ++l) sum += left[l] * f[packed(l) + j];
            row[j] = sum;
        }
        row[i] = last;
    }
}

// Scratch for one vector of rows.
struct ErrorScratch {
    Vector<double>*f, *y, *left, *away, *product;

    void lay_out(Arena& arena, const ErrorMixture& m) {
        f = arena.take<Vector<double>>(m.triangle);
        y = arena.take<Vector<double>>(m.d);
        left = arena.take<Vector<double>>(m.d);
        away = arena.take<Vector<double>>(m.holes ? m.d + 1 : 0);
        product = arena.take<Vector<double>>(m.holes ? m.side + 1 : 0);
    }
};

// How rows of a tile are looked at: by the compiler's knowledge of their number of features, and of what they have.
// Each measures rows, and adds to `sums` (d) r g and to `squares` r (g g^T - T^-1) of a vector of them; with holes, r
// times what is expected of x - mean and of its square.
struct OnDiagonal {
    static INLINE_MEMBER Measured measured(const ErrorMixture& m, const MeasuredRows& rows, int64_t c, int64_t n,
                                           const ErrorScratch& t) {
        return measure_diagonal<false>(m, rows, c, n, t.f, t.y);
    }
    static INLINE_MEMBER void add(const ErrorMixture& m, const MeasuredRows& rows, int64_t c, Vector<double> share,
                                  const ErrorScratch& t, Vector<double>* sums, Vector<double>* squares) {
        measure_diagonal<true>(m, rows, c, 0, t.f, t.y);
        for (int64_t i = 0; i < m.d; ++i) {
            sums[i] += share * t.y[i];
            squares[i] += share * (t.y[i] * t.y[i] - t.f[i]);
        }
    }
};

template <int D, bool WHOLE, bool MASKED>
struct InTriangle {
    static INLINE_MEMBER Measured measured(const ErrorMixture& m, const MeasuredRows& rows, int64_t c, int64_t n,
                                           const ErrorScratch& t) {
        return measure<D, WHOLE, MASKED>(m, rows, c, n, t.f, t.y);
    }
    static INLINE_MEMBER void add(const ErrorMixture& m, const MeasuredRows& rows, int64_t c, Vector<double> share,
                                  const ErrorScratch& t, Vector<double>* sums, Vector<double>* squares) {
        const int64_t d = D ? D : m.d;
        Vector<double>*f = t.f, *y = t.y;
        measure<D, WHOLE, MASKED>(m, rows, c, 0, f, y);
        invert<D>(d, f, y, t.left);
#pragma GCC unroll 8
        for (int64_t i = 0; i < d; ++i) {
            const Vector<double> gradient = share * y[i];
            sums[i] += gradient;
#pragma GCC unroll 8
            for (int64_t j = 0; j < i; ++j) squares[packed(i) + j] += gradient * y[j] - share * f[packed(i) + j];
            Vector<double> precision = f[packed(i) + i];
            if (MASKED) precision *= load(rows.seen + i * rows.stride);
            squares[packed(i) + i] += gradient * y[i] - share * precision;
        }
    }
};

struct WithHoles {
    static INLINE_MEMBER int64_t most_of(const MeasuredRows& rows, int64_t n) {
        int32_t most = 0;
        for (int lane = 0; lane < Simd<double>::lanes; ++lane)
            most = rows.n_holes[n + lane] > most ? rows.n_holes[n + lane] : most;
        return most;
    }
    static INLINE_MEMBER Measured measured(const ErrorMixture& m, const MeasuredRows& rows, int64_t c, int64_t n,
                                           const ErrorScratch& t) {
        return measure_holes(m, rows, c, n, most_of(rows, n), t.f, t.y, t.away, t.product);
    }
    static INLINE_MEMBER void add(const ErrorMixture& m, const MeasuredRows& rows, int64_t c, Vector<double> share,
                                  const ErrorScratch& t, Vector<double>* sums, Vector<double>* squares) {
        constexpr int L = Simd<double>::lanes;
        const int64_t d = m.d, most = most_of(rows, 0);
        measure_holes(m, rows, c, 0, most, t.f, t.y, t.away, t.product);
        invert<0>(most, t.f, t.y, t.left);
        double* const expected = reinterpret_cast<double*>(t.away);
        double* const total = reinterpret_cast<double*>(squares);
        for (int64_t a = 0; a < most; ++a) {
            const int64_t* holes = rows.hole + a * rows.stride;
            double* row_of[L];
            for (int lane = 0; lane < L; ++lane) {
                expected[holes[lane] * L + lane] = -t.y[a][lane];
                row_of[lane] = total + packed(holes[lane]) * L + lane;
            }
            for (int64_t b = 0; b <= a; ++b) {
                const int64_t* others = rows.hole + b * rows.stride;
                double spread[L];
                store<double>(spread, share * t.f[packed(a) + b]);
                for (int lane = 0; lane < L; ++lane) row_of[lane][others[lane] * L] += spread[lane];
            }
        }
        for (int64_t i = 0; i < d; ++i) {
            const Vector<double> weighted = share * t.away[i];
            sums[i] += weighted;
            for (int64_t j = 0; j <= i; ++j) squares[packed(i) + j] += weighted * t.away[j];
        }
    }
};

template <bool WHOLE, bool MASKED, typename Work>
INLINE void with_features(int64_t d, Work work) {
    switch (d) {
        case 1: work(InTriangle<1, WHOLE, MASKED>{}); break;
        case 2: work(InTriangle<2, WHOLE, MASKED>{}); break;
        case 3: work(InTriangle<3, WHOLE, MASKED>{}); break;
        case 4: work(InTriangle<4, WHOLE, MASKED>{}); break;
        case 5: work(InTriangle<5, WHOLE, MASKED>{}); break;
        case 6: work(InTriangle<6, WHOLE, MASKED>{}); break;
        default: work(InTriangle<0, WHOLE, MASKED>{});
    }
}

// Calls work(how) as a tile's rows are to be looked at.
template <typename Work>
INLINE void looking_at(const ErrorMixture& m, bool any_missing, Work work) {
    if (m.diagonal) return work(OnDiagonal{});
    if (m.holes) return work(WithHoles{});
    if (m.whole) return any_missing ? work(InTriangle<0, true, true>{}) : with_features<true, false>(m.d, work);
    any_missing ? with_features<false, true>(m.d, work) : with_features<false, false>(m.d, work);
}

// What a thread holds of a tile, and what it sums up over a strip.
struct ErrorWorker {
    MeasuredRows rows, gathered;
    double* log_joint;  // (k, stride) log of weight times density, then responsibilities
    double* offset;     // (stride) the largest of these at the mean of a component
    double *row_constant, *row_weight;
    int32_t *index, *order;  // (stride) rows of a component; the rows of the tile as they lie in it
    int64_t* starts;         // (d + 1) of the rows that miss so many
    ErrorScratch scratch;
    Vector<double>* totals;  // of one component: sums (d), then squares, with holes a row more
    double* sums;            // the log-likelihood, then for each component count, sums and squares
    int64_t n_sums, stride;

    void lay_out(Arena& arena, const ErrorMixture& m, int64_t tile_rows, bool accumulates) {
        constexpr int L = Simd<double>::lanes;
        stride = tile_rows;
        rows.lay_out(arena, m, stride);
        gathered.lay_out(arena, m, L);
        log_joint = arena.take<double>(m.k * stride);
        offset = arena.take<double>(stride);
        row_constant = arena.take<double>(stride);
        row_weight = arena.take<double>(stride);
        index = arena.take<int32_t>(stride);
        order = arena.take<int32_t>(stride);
        starts = arena.take<int64_t>(m.holes ? m.d + 1 : 0);
        scratch.lay_out(arena, m);
        totals = arena.take<Vector<double>>(m.d + (m.holes ? packed(m.d + 1) : m.triangle));
        n_sums = accumulates ? 1 + m.k * (1 + m.d + m.triangle) : 0;
        sums = arena.zeros<double>(n_sums);
    }

    // As they come; those with holes by the number of these.
    template <typename Real>
    void sort_rows(const ErrorMixture& m, const Real* from, int64_t count) {
        for (int64_t n = 0; n < count; ++n) order[n] = int32_t(n);
        if (!m.holes) return;
        for (int64_t n = 0; n < count; ++n) {
            index[n] = 0;
            for (int64_t i = 0; i < m.d; ++i) index[n] += __builtin_isnan(from[n * m.d + i]) ? 1 : 0;
        }
        int64_t listed = 0;
        for (int64_t i = 0; i <= m.d; ++i) starts[i] = 0;
        for (int64_t n = 0; n < count; ++n) ++starts[index[n]];
        for (int64_t i = 0; i <= m.d; ++i) {
            listed += starts[i];
            starts[i] = listed - starts[i];
        }
        for (int64_t n = 0; n < count; ++n) order[starts[index[n]]++] = int32_t(n);
    }

    template <typename Real>
    void evaluate(const ErrorMixture& m, const ErrorPass& pass, int64_t first, int64_t count) {
        constexpr int L = Simd<double>::lanes;
        const Real* errors = static_cast<const Real*>(pass.errors);
        if (errors) errors += first * (m.whole ? m.d * m.d : m.d);
        const Real* const from = static_cast<const Real*>(pass.rows) + first * m.d;
        sort_rows(m, from, count);
        rows.read(m, from, errors, order, count);
        const int64_t padded = round_up(count, L);
        for (int64_t n = 0; n < padded; n += L) {
            Vector<double> measured_features{};
            for (int64_t i = 0; i < m.d; ++i) measured_features += load(rows.seen + i * rows.stride + n);
            store<double>(row_constant + n, -HALF_LOG_2PI * measured_features);
            store<double>(offset + n, broadcast(-INFINITE));
        }
        looking_at(m, rows.any_missing, [&](auto how) { evaluate_all<decltype(how)>(m, padded); });
        if (!pass.labels) return;
        for (int64_t n = 0; n < count; ++n) {
            const int64_t label = pass.labels[first + order[n]];
            for (int64_t c = 0; label >= 0 && c < m.k; ++c)
                if (c != label) log_joint[c * stride + n] = -INFINITE;
        }
    }

    template <typename How>
    NOINLINE void evaluate_all(const ErrorMixture& m, int64_t padded) {
        constexpr int L = Simd<double>::lanes;
        const Vector<double> nothing = broadcast(-INFINITE);
        for (int64_t c = 0; c < m.k; ++c)
            for (int64_t n = 0; n < padded; n += L) {
                const Measured found = How::measured(m, rows, c, n, scratch);
                const Vector<double> at_mean =
                    broadcast(m.log_weight[c]) + load(row_constant + n) - 0.5 * found.pivots.logarithms();
                Vector<double> value = at_mean - 0.5 * found.distance;
                value = found.positive ? value : nothing;
                store<double>(log_joint + c * stride + n, value > nothing ? value : nothing);
                store<double>(offset + n, maximum<double>(load(offset + n), at_mean));
            }
    }

    // Exponentials of log_joint less its largest in place of it, zero where they count for nothing.
    INLINE_MEMBER void share(const ErrorMixture& m, int64_t n, Vector<double>& largest, Vector<double>& total) const {
        const Vector<double> nothing = broadcast(-INFINITE);
        largest = nothing;
        total = Vector<double>{};
        for (int64_t c = 0; c < m.k; ++c) largest = maximum<double>(load(log_joint + c * stride + n), largest);
        const Vector<double> threshold = contribution_threshold<double>(largest, load(offset + n));
        for (int64_t c = 0; c < m.k; ++c) {
            const Vector<double> value = load(log_joint + c * stride + n);
            Vector<double> power{};
            if (mask_greater(value, threshold))
                power = value > threshold ? exponential<double>(value - largest) : Vector<double>{};
            total += power;
            store<double>(log_joint + c * stride + n, power);
        }
    }

    void accumulate(const ErrorMixture& m, const ErrorPass& pass, int64_t first, int64_t count) {
        constexpr int L = Simd<double>::lanes;
        const int64_t padded = round_up(count, L);
        const double* weight = pass.sample_weight ? pass.sample_weight + first : nullptr;
        for (int64_t n = 0; n < padded; ++n) row_weight[n] = n >= count ? 0.0 : weight ? weight[order[n]] : 1.0;
        Vector<double> log_likelihood{};
        const Vector<double> none{};
        for (int64_t n = 0; n < padded; n += L) {
            Vector<double> largest, total;
            share(m, n, largest, total);
            const Vector<double> w = load(row_weight + n);
            log_likelihood += w > none ? w * log_density_of<double>(largest, total) : none;
            const Vector<double> scale = total > none ? w / total : none;
            for (int64_t c = 0; c < m.k; ++c) {
                double* at = log_joint + c * stride + n;
                store<double>(at, load(at) * scale);
            }
        }
        *sums += sum_lanes(log_likelihood);
        looking_at(m, rows.any_missing, [&](auto how) { collect<decltype(how)>(m, count); });
    }

    // Rows that a component has a share of are gathered, so that no lane is idle; their factors are made again.
    template <typename How>
    NOINLINE void collect(const ErrorMixture& m, int64_t count) {
        constexpr int L = Simd<double>::lanes;
        const int64_t n_totals = m.d + m.triangle;
        for (int64_t c = 0; c < m.k; ++c) {
            const double* shares = log_joint + c * stride;
            int64_t listed = 0;
            for (int64_t n = 0; n < count; ++n) {
                index[listed] = int32_t(n);
                listed += shares[n] > 0.0;
            }
            if (listed == 0) continue;
            for (int64_t i = 0; i < n_totals + (m.holes ? m.d + 1 : 0); ++i) totals[i] = Vector<double>{};
            Vector<double> counted{};
            for (int64_t at = 0; at < listed; at += L) {
                double share_of[L] = {};
                for (int64_t lane = 0; lane < L && at + lane < listed; ++lane)
                    share_of[lane] = shares[index[at + lane]];
                const Vector<double> share = load<double>(share_of);
                counted += share;
                if (at + L <= listed && index[at + L - 1] - index[at] == L - 1) {
                    How::add(m, rows.from(index[at]), c, share, scratch, totals, totals + m.d);
                    continue;
                }
                gathered.gather(m, rows, index + at, listed - at < L ? listed - at : L);
                How::add(m, gathered, c, share, scratch, totals, totals + m.d);
            }
            double* to = sums + 1 + c * (1 + n_totals);
            to[0] += sum_lanes(counted);
            for (int64_t i = 0; i < n_totals; ++i) to[1 + i] += sum_lanes(totals[i]);
        }
    }

    template <typename Real>
    void answer(const ErrorMixture& m, const ErrorPass& pass, int64_t first, int64_t count) {
        constexpr int L = Simd<double>::lanes;
        for (int64_t n = 0; n < count; n += L) {
            const int64_t left_over = count - n < L ? count - n : L;
            if (pass.action == ASSIGN) {
                for (int64_t lane = 0; lane < left_over; ++lane) {
                    const double* values = log_joint + n + lane;
                    int64_t best = 0;
                    for (int64_t c = 1; c < m.k; ++c) best = values[c * stride] > values[best * stride] ? c : best;
                    static_cast<int64_t*>(pass.out)[first + order[n + lane]] = best;
                }
                continue;
            }
            Vector<double> largest, total;
            share(m, n, largest, total);
            const Vector<double> density = log_density_of<double>(largest, total);
            Real* const out = static_cast<Real*>(pass.out);
            for (int64_t lane = 0; lane < left_over; ++lane) {
                const int64_t row = first + order[n + lane];
                if (pass.action == LOG_DENSITY) out[row] = Real(density[lane]);
                const bool reached = total[lane] > 0.0;
                for (int64_t c = 0; pass.action == RESPONSIBILITIES && c < m.k; ++c)
                    out[row * m.k + c] =
                        Real(reached ? log_joint[c * stride + n + lane] / total[lane] : 1.0 / double(m.k));
            }
        }
    }

    void deliver(const ErrorMixture& m, ErrorPass& pass) const {
        const int64_t d = m.d;
        pass.log_likelihood = *sums;
        const double* from = sums + 1;
        for (int64_t c = 0; c < m.k; ++c, from += 1 + d + m.triangle) {
            pass.counts[c] += from[0];
            const double *first = from + 1, *squares = first + d;
            for (int64_t i = 0; m.diagonal && i < d; ++i) {
                const double v = pass.errors ? 1.0 : m.covariances[c * d + i];
                pass.sums[c * d + i] += v * first[i];
                pass.scatter[c * d + i] += pass.errors ? squares[i] : v * (v * squares[i] + from[0]);
            }
            if (m.diagonal) continue;
            for (int64_t i = 0; i < d; ++i) {
                pass.sums[c * d + i] += first[i];
                for (int64_t j = 0; j < d; ++j)
                    pass.scatter[(c * d + i) * d + j] += squares[i < j ? packed(j) + i : packed(i) + j];
            }
        }
    }
};

template <typename Real>
int error_pass(ErrorPass* pass) {
    constexpr int64_t L = Simd<double>::lanes;
    const bool accumulates = pass->action == ACCUMULATE;
    const int64_t d = pass->d, triangle = pass->diagonal ? d : packed(d);
    // A tile stays in the second-level cache; the more rows it has, the fewer lanes are idle in the end.
    const int64_t per_row = int64_t(sizeof(double)) * (2 * d + (pass->whole ? packed(d) : d) + pass->k + 4);
    int64_t tile_rows = (512 << 10) / per_row / 48 * 48;
    tile_rows = tile_rows < 48 ? 48 : tile_rows > 960 ? 960 : tile_rows;
    const int64_t needed = round_up(pass->n, L);
    tile_rows = tile_rows < needed ? tile_rows : needed;
    const Strips strips = cut_strips(pass->n, tile_rows);
    const double work = double(pass->n) * double(pass->k) * double(pass->diagonal ? 4 * d : d * triangle / 3 + 20);
    const int threads = threads_for(pass->n_threads, strips.count, work);
    ErrorMixture m{};
    ErrorWorker* workers = nullptr;
    ErrorWorker total{};
    Scratch memory;
    const bool allocated = memory.allocate([&](Arena& arena) {
        m.lay_out(arena, *pass);
        workers = arena.take<ErrorWorker>(threads);
        for (int thread = 0; thread < threads; ++thread) {
            ErrorWorker worker{};
            worker.lay_out(arena, m, tile_rows, accumulates);
            if (workers) workers[thread] = worker;
        }
        total.n_sums = workers && accumulates ? workers[0].n_sums : 0;
        total.sums = arena.zeros<double>(accumulates ? 1 + m.k * (1 + m.d + m.triangle) : 0);
    });
    if (!allocated) return OUT_OF_MEMORY;
    const Status status = sum_over_strips(
        strips, threads, pass->poll, accumulates ? total.sums : nullptr,
        [&](int thread) { return StripSums{workers[thread].sums, workers[thread].n_sums}; },
        [&](const Strip& strip) {
            ErrorWorker& worker = workers[strip.thread];
            strip.for_each_tile([&](int64_t first, int64_t count) {
                worker.template evaluate<Real>(m, *pass, first, count);
                if (accumulates)
                    worker.accumulate(m, *pass, first, count);
                else
                    worker.template answer<Real>(m, *pass, first, count);
            });
        });
    if (status == DONE && accumulates) total.deliver(m, *pass);
    return status;
}
