// The factors of T, or of the precision of what is missing, of a vector of rows each, and their inverses.

// A vector of rows beside one component.
struct Measured {
    Vector<double> distance;  // squared
    LogSum<double> pivots;
    Integer<double> positive;  // all bits where T is positive definite
    Vector<double> log_det{};  // of T, where it is no product of pivots
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

// The same of rows without errors that miss values: T is V where there is something.
INLINE Measured measure_diagonal_holes(const ErrorMixture& m, const MeasuredRows& rows, int64_t c, int64_t n) {
    Measured found{Vector<double>{}, {}, ~Integer<double>{}};
    const double *mean = m.means + c * m.d, *precision = m.precisions + c * m.d, *log = m.bordered + c * m.d;
    for (int64_t i = 0; i < m.d; ++i) {
        const Vector<double> seen = load(rows.seen + i * rows.stride + n);
        const Vector<double> away = (load(rows.x + i * rows.stride + n) - broadcast(mean[i])) * seen;
        found.distance += away * (away * broadcast(precision[i]));
        found.log_det += broadcast(log[i]) * seen;
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

// What is summed up of a component over a tile, in lanes: r g, with holes r times what is expected of x - mean; their
// squares, with holes a row more; and of Student components r u and r (log u - u).
struct Totals {
    Vector<double>*sums, *squares, *tail;
};

// What a vector of rows counts for in sums and squares: its share, of Student components times its precision u.
INLINE Vector<double> tail_weight(const ErrorMixture& m, const MeasuredRows& rows, int64_t c, const Measured& found,
                                  Vector<double> share, const Totals& total) {
    if (!m.dof) return share;
    const Vector<double> n_seen = rows.n_seen(m, 0), dof = broadcast(m.dof[c]);
    const Vector<double> u = (dof + n_seen) / (dof + found.distance);
    const Vector<double> term = pick(m.log_term + c * (m.d + 1), __builtin_convertvector(n_seen, Integer<double>));
    const Vector<double> none{}, weight = share > none ? share * u : none;
    total.tail[0] += weight;
    total.tail[1] += share > none ? share * (logarithm<double>(u) - u + term) : none;
    return weight;
}
