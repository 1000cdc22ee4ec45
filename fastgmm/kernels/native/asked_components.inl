// Components that are asked one by one, and their squared distances from rows. Lanes are features, of as many
// components at once as there are lanes; of matrices, where rows ask the same component, lanes are rows.

constexpr int64_t LANES = Simd<double>::lanes;

// Components one by one, about a common centre: means and, of diagonals, scales behind each, in whole vectors with
// zeros behind the last. Means of diagonals are scaled, too, unless digits would be lost: see `SPREAD_LIMIT`. Of
// matrices the factors, as they are and packed.
struct AskedComponents {
    Structure structure;
    bool matrices, scaled;
    int64_t d, k, width, stride, factor_step, packed_step;
    int64_t first;  // features that may tell that a component is far enough away
    const double* log_offset;
    const double* factor;
    double* centre;   // (d), or zeros
    double* means;    // (k, stride)
    double* half;     // (k) what squares are multiplied by
    double* factors;  // packed: see `pack_factor`

    void begin(Structure structure_, int64_t d_, int64_t k_, const double* log_offset_, const double* factor_) {
        structure = structure_;
        matrices = structure == FULL || structure == TIED;
        d = d_;
        k = k_;
        width = round_up(d, LANES);
        stride = structure == DIAG ? 2 * width : width;
        first = round_up(d / 8 < 16 ? 16 : d / 8, LANES);
        factor_step = structure == FULL ? d * d : 0;
        packed_step = structure == FULL ? packed_factor_size(d) : 0;
        log_offset = log_offset_;
        factor = factor_;
    }

    void lay_out(Arena& arena, bool packs_factors) {
        centre = arena.take<double>(d);
        means = arena.take<double>(k * stride);
        half = arena.take<double>(k);
        factors = arena.take<double>(!matrices || !packs_factors ? 0 : structure == FULL ? k * packed_step : d * d);
    }

    void choose_centre(const double* all_means) {
        for (int64_t j = 0; j < d; ++j) centre[j] = 0.0;
        scaled = false;
        if (structure != DIAG) return;
        for (int64_t c = 0; c < k; ++c)
            for (int64_t j = 0; j < d; ++j) centre[j] += all_means[c * d + j] / double(k);
        double spread = 0.0;
        for (int64_t c = 0; c < k; ++c)
            for (int64_t j = 0; j < d; ++j) {
                const double away = __builtin_fabs(all_means[c * d + j] - centre[j]) * factor[c * d + j];
                spread = away > spread ? away : spread;
            }
        scaled = spread <= SPREAD_LIMIT<double>;
        for (int64_t j = 0; j < d && !scaled; ++j) centre[j] = 0.0;
    }

    void pack(int64_t c, const double* mean) const {
        double *to = means + c * stride, *scales = to + width;
        for (int64_t j = 0; j < width; ++j) to[j] = j < d ? mean[j] - centre[j] : 0.0;
        for (int64_t j = 0; structure == DIAG && j < width; ++j) {
            scales[j] = j < d ? factor[c * d + j] : 0.0;
            if (scaled) to[j] *= scales[j];
        }
        half[c] = structure == SPHERICAL ? 0.5 * factor[c] * factor[c] : 0.5;
    }

    const double* factor_of(int64_t c) const {
        return structure == DIAG ? factor + c * d : structure == SPHERICAL ? factor + c : factor + c * factor_step;
    }

    // The sum of the squares of the factor's numbers, which is the trace of the precision.
    double trace(int64_t c) const {
        const double* f = factor_of(c);
        if (structure == SPHERICAL) return double(d) * f[0] * f[0];
        const int64_t count = structure == DIAG ? d : d * d;
        double sum = 0.0;
        for (int64_t i = 0; i < count; ++i) sum += f[i] * f[i];
        return sum;
    }

    // The geometric mean of the variances along the axes.
    double variance(int64_t c) const {
        const double* f = factor_of(c);
        if (structure == SPHERICAL) return 1.0 / (f[0] * f[0]);
        const int64_t step = structure == DIAG ? 1 : d + 1;
        double sum = 0.0;
        for (int64_t i = 0; i < d; ++i) sum += __builtin_log(f[i * step]);
        return __builtin_exp(-2.0 * sum / double(d));
    }
};

// Lane l of what is returned is the sum over the lanes of v[l].
INLINE Vector<double> sums_of_lanes(Vector<double> (&v)[LANES]) {
    constexpr int L = LANES;
#pragma GCC unroll 4
    for (int bit = 1; bit < L; bit *= 2) {
        Integer<double> low{}, high{};
#pragma GCC unroll 8
        for (int lane = 0; lane < L; ++lane) {
            low[lane] = lane & bit ? L + lane - bit : lane;
            high[lane] = lane & bit ? L + lane : lane + bit;
        }
#pragma GCC unroll 8
        for (int i = 0; i < L; i += 2 * bit) {
            const Vector<double> a = v[i], b = v[i + bit];
#if defined(__clang__)
            Vector<double> first{}, second{};
            for (int lane = 0; lane < L; ++lane) {
                first[lane] = lane & bit ? b[lane - bit] : a[lane];
                second[lane] = lane & bit ? b[lane] : a[lane + bit];
            }
            v[i] = first + second;
#else
            v[i] = __builtin_shuffle(a, b, low) + __builtin_shuffle(a, b, high);
#endif
        }
    }
    return v[0];
}

// What is squared: differences, those times the scales behind the mean, or scaled values without a scaled mean.
enum Differences { PLAIN, TIMES_SCALES, SCALED };

// Squares of as many pairs of a row and a component as there are lanes, `x` and `mean` of each. What lies behind the
// first features alone, where all are above `enough` already, is returned as it is.
template <Differences OF>
INLINE Vector<double> squares_of_pairs(const double* const (&x)[LANES], const double* const (&mean)[LANES],
                                       int64_t width, int64_t first, Vector<double> enough, bool* stopped) {
    constexpr int L = LANES;
    Vector<double> sum[L];
#pragma GCC unroll 8
    for (int l = 0; l < L; ++l) sum[l] = Vector<double>{};
    auto add = [&](int64_t from, int64_t to) INLINE_LAMBDA {
        for (int64_t j = from; j < to; j += L)
#pragma GCC unroll 8
            for (int l = 0; l < L; ++l) {
                const Vector<double> m = load(mean[l] + j), at = load(x[l] + j);
                const Vector<double> t = OF == SCALED         ? at * load(mean[l] + width + j) - m
                                         : OF == TIMES_SCALES ? (at - m) * load(mean[l] + width + j)
                                                              : at - m;
                sum[l] = t * t + sum[l];
            }
    };
    if (first < width) {
        add(0, first);
        Vector<double> part[L];
#pragma GCC unroll 8
        for (int l = 0; l < L; ++l) part[l] = sum[l];
        const Vector<double> so_far = sums_of_lanes(part);
        *stopped = mask_greater(so_far, enough) == (1u << L) - 1;
        if (*stopped) return so_far;
        add(first, width);
    } else {
        add(0, width);
    }
    return sums_of_lanes(sum);
}

INLINE Vector<double> squares_of_pairs(const AskedComponents& m, const double* const (&x)[LANES],
                                       const double* const (&mean)[LANES], int64_t first, Vector<double> enough,
                                       bool* stopped) {
    return m.structure != DIAG ? squares_of_pairs<PLAIN>(x, mean, m.width, first, enough, stopped)
           : m.scaled          ? squares_of_pairs<SCALED>(x, mean, m.width, first, enough, stopped)
                               : squares_of_pairs<TIMES_SCALES>(x, mean, m.width, first, enough, stopped);
}

// (x - mean) U of one row and one component, squared and summed over blocks of columns: the sum over the lanes is the
// squared length. `away` has room for whole vectors. What is above `enough` may be returned as far as it has come.
INLINE Vector<double> squares_through_factor(const AskedComponents& m, int64_t c, const double* x, double* away,
                                             double enough) {
    const int64_t d = m.d;
    const double* mean = m.means + c * m.stride;
    const double* factor = m.factor + c * m.factor_step;
    for (int64_t j = 0; j < m.width; j += LANES) store<double>(away + j, load(x + j) - load(mean + j));
    // A block of columns of the upper triangle at a time.
    constexpr int B = 4;
    Vector<double> squares{};
    int64_t j = 0;
    for (; j + B * LANES <= d; j += B * LANES) {
        if (j > 0 && sum_lanes(squares) > enough) return squares;
        Vector<double> y[B] = {};
        const double* row = factor + j;
        for (int64_t i = 0; i < j + B * LANES; ++i, row += d) {
            const Vector<double> one = broadcast(away[i]);
#pragma GCC unroll 4
            for (int b = 0; b < B; ++b) y[b] = one * load(row + b * LANES) + y[b];
        }
#pragma GCC unroll 4
        for (int b = 0; b < B; ++b) squares = y[b] * y[b] + squares;
    }
    for (; j < d; j += LANES) {
        const int64_t columns = d - j < LANES ? d - j : LANES, rows = j + columns;
        Vector<double> y[4] = {};
        const double* row = factor + j;
        int64_t i = 0;
        if (columns == LANES) {
            for (; i + 4 <= rows; i += 4, row += 4 * d)
#pragma GCC unroll 4
                for (int b = 0; b < 4; ++b) y[b] = broadcast(away[i + b]) * load(row + b * d) + y[b];
            for (; i < rows; ++i, row += d) y[0] = broadcast(away[i]) * load(row) + y[0];
        } else {
            for (; i < rows; ++i, row += d) y[0] = broadcast(away[i]) * load_first(row, columns) + y[0];
        }
        y[0] = (y[0] + y[1]) + (y[2] + y[3]);
        squares = y[0] * y[0] + squares;
    }
    return squares;
}
