// Passes that ask a few components of each row: those it had before, their neighbours and a few drawn at random. The
// best of them are what it has afterwards, and share it. Rows are taken by their best component, a few at a time, so
// that those in turn ask the same components, which stay in the cache. Lanes are features, of as many components at
// once as there are lanes; of matrices, where rows ask the same component, lanes are rows.

constexpr int64_t LANES = Simd<double>::lanes;

// A component that would get less of a row than e^-64 of what its best gets is no candidate of it.
constexpr double CANDIDATE_SPAN = 64.0;

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

// A number below `count` that depends on the seed, the row and the turn alone.
INLINE int64_t drawn(uint64_t seed, int64_t row, int64_t turn, int64_t count) {
    uint64_t z = seed + uint64_t(row) * 0x9E3779B97F4A7C15ull + uint64_t(turn) * 0xD1B54A32D192ED03ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    z ^= z >> 31;
    return int64_t((z >> 32) * uint64_t(count) >> 32);
}

// The best components of a row so far, in order.
struct Best {
    double* values;  // (kept), falling
    int32_t* components;
    int64_t kept, found;
    double span, least;  // as much is kept below the best, and nothing less than the least

    void begin(double span_) {
        span = span_;
        least = -INFINITE;
        found = 0;
    }

    // Keeps a component if it is one of the best: the first of equals, where there is no room for both.
    INLINE_MEMBER void offer(int64_t c, double value) {
        if (!(value >= least) || value == -INFINITE) return;
        const bool full = found == kept;
        if (full && value == values[kept - 1] && c > components[kept - 1]) return;
        int64_t at = full ? kept - 1 : found++;
        for (; at > 0 && (values[at - 1] < value || (values[at - 1] == value && components[at - 1] > c)); --at) {
            values[at] = values[at - 1];
            components[at] = components[at - 1];
        }
        values[at] = value;
        components[at] = int32_t(c);
        const double low = values[0] - span;
        while (values[found - 1] < low) --found;
        least = found == kept && values[kept - 1] > low ? values[kept - 1] : low;
    }
};

// What one thread needs to ask components about some rows.
struct Asking {
    double* rows;       // (LANES, width) in double
    double* turned;     // (d, LANES) the same, lanes are rows
    double* away;       // (width, LANES)
    double* gaps;       // (rows of a tile, kept): how far below the best the others are; later their exponentials
    double* largest;    // (rows of a tile)
    double* totals;     // (rows of a tile)
    int64_t* asked_by;  // (k): the question in which a component was asked last
    uint32_t* askers;   // (k): which of the rows asked in it
    int32_t* list;      // components to be asked
    Best best[LANES];   // of each row
    int64_t question, listed, evaluated, in_vain, pause;
    int64_t group, of_group, near;  // component that the rows have in common, its question, and how many are near it

    // The number of components that a list holds at most, and of rows that are finished together.
    void lay_out(Arena& arena, const AskedComponents& m, int64_t kept, int64_t longest, int64_t tile_rows) {
        rows = arena.zeros<double>(LANES * m.width);
        turned = arena.take<double>(m.matrices ? m.d * LANES : 0);
        away = arena.zeros<double>(m.width * LANES);
        gaps = arena.take<double>(round_up(tile_rows * kept, LANES));
        largest = arena.take<double>(round_up(tile_rows, LANES));
        totals = arena.take<double>(round_up(tile_rows, LANES));
        asked_by = arena.zeros<int64_t>(m.k);
        askers = arena.take<uint32_t>(m.matrices ? m.k : 0);
        list = arena.take<int32_t>(longest + LANES);
        for (int l = 0; l < LANES; ++l) {
            best[l].values = arena.take<double>(kept);
            best[l].components = arena.take<int32_t>(kept);
            best[l].kept = kept;
        }
        question = evaluated = in_vain = pause = of_group = near = 0;
        group = -2;
    }

    // Lists a component that was asked neither in this question nor in the one of `before`.
    INLINE_MEMBER void add(int64_t c, int64_t before) {
        if (c < 0) return;
        const int64_t asked = asked_by[c];
        list[listed] = int32_t(c);
        listed += int64_t(asked != question) & int64_t(asked != before);
        asked_by[c] = asked == before ? before : question;
    }

    // Lists a component for one or more of the rows, one bit for each.
    INLINE_MEMBER void add_for(int64_t c, uint32_t mask) {
        if (c < 0) return;
        if (asked_by[c] != question) {
            asked_by[c] = question;
            askers[c] = 0;
            list[listed++] = int32_t(c);
        }
        askers[c] |= mask;
    }

    // Asks the components in the list, matrices, about the rows that are to ask them.
    NOINLINE void ask_turned(const AskedComponents& m) {
        // Columns that may tell that a component is far enough away, where the others are many more.
        const int64_t bound = m.d > 32 ? 16 : m.d;
        for (int64_t i = 0; i < listed; ++i) {
            const int64_t c = list[i];
            evaluated += __builtin_popcount(askers[c]);
            Vector<double> least, square[1];
            for (int l = 0; l < LANES; ++l) least[l] = best[l].least;
            const double *mean = m.means + c * m.stride, *packed = m.factors + c * m.packed_step;
            uint32_t mask = askers[c];
            for (int64_t columns = bound; mask; columns = m.d) {
                distance_full<double, 1>(turned, LANES, mean, away, packed, columns, square);
                mask &= ~mask_greater(least, m.log_offset[c] - 0.5 * square[0]);
                if (columns == m.d) break;
            }
            for (; mask; mask &= mask - 1) {
                const int l = __builtin_ctz(mask);
                best[l].offer(c, m.log_offset[c] - 0.5 * square[0][l]);
            }
        }
    }

    // Asks the components in the list about one row; `extra_of(c)` is taken from their values.
    template <typename Extra>
    INLINE_MEMBER void ask_listed(const AskedComponents& m, const double* x, Best& of_row, Extra extra_of) {
        evaluated += listed;
        const double* rows_of[LANES];
        const double* means_of[LANES];
        for (int l = 0; l < LANES; ++l) rows_of[l] = x;
        for (int64_t i = 0; i < listed; i += LANES) {
            Vector<double> highest, half;
            for (int l = 0; l < LANES; ++l) {
                const int64_t c = list[i + l < listed ? i + l : listed - 1];
                means_of[l] = m.means + c * m.stride;
                highest[l] = m.log_offset[c] - extra_of(c);
                half[l] = m.half[c];
            }
            const int64_t left = listed - i < LANES ? listed - i : LANES;
            const Vector<double> enough = (highest - of_row.least) / half;
            Vector<double> squares;
            if (m.matrices) {
                Vector<double> part[LANES] = {};
                for (int64_t l = 0; l < left; ++l) part[l] = squares_through_factor(m, list[i + l], x, away, enough[l]);
                squares = sums_of_lanes(part);
            } else {
                // Where few are far enough away to be told so early, looking is not worth it for a while.
                const bool looks = pause == 0;
                bool stopped = false;
                squares = squares_of_pairs(m, rows_of, means_of, looks ? m.first : m.width, enough, &stopped);
                in_vain = looks && !stopped ? in_vain + 1 : 0;
                pause = !looks ? pause - 1 : in_vain == 4 ? 60 : 0;
                if (stopped) continue;
            }
            const Vector<double> value = highest - half * squares;
            const uint32_t below = mask_greater(broadcast(of_row.least), value);
            for (uint32_t mask = ~below & ((1u << left) - 1); mask; mask &= mask - 1) {
                const int l = __builtin_ctz(mask);
                of_row.offer(list[i + l], value[l]);
            }
        }
    }
};

// The rows of a slab, which are shared among components before the next is begun.
struct Slab {
    int64_t first, count;
    int32_t* order;   // (count): rows by their best component
    int64_t* begins;  // (k + 1): where a component's entries begin
    int32_t* entries;
    double* shares;  // (count, candidates)
};

constexpr int64_t ASKED_TILE = 64;  // rows

template <typename Real>
INLINE void prefetch_row(const Real* row, int64_t d) {
    const char* from = reinterpret_cast<const char*>(row);
    const int64_t bytes = d * int64_t(sizeof(Real));
    for (int64_t at = 0; at < bytes && at < 1024; at += 64) __builtin_prefetch(from + at);
}

// Asks about up to LANES rows that have the same best component, or none; they are `at` and the following of a tile.
template <typename Real>
NOINLINE void ask_rows(const TruncatedPass& p, const AskedComponents& m, Asking& a, int64_t slab_first,
                       const int32_t* order, int64_t count, int64_t at) {
    const int64_t d = p.d, common = p.candidates[(slab_first + order[0]) * p.n_candidates];
    for (int64_t r = 0; r < count; ++r) {
        const Real* x = static_cast<const Real*>(p.rows) + (slab_first + order[r]) * d;
        double* to = a.rows + r * m.width;
        for (int64_t j = 0; j < d; ++j) to[j] = double(x[j]) - m.centre[j];
    }
    const double span = p.counts ? CANDIDATE_SPAN : INFINITE;
    for (int64_t r = 0; r < count; ++r) a.best[r].begin(span);
    const int32_t* const first_held = p.candidates + slab_first * p.n_candidates;
    auto neighbors_of = [&](int64_t c) { return p.neighbors + c * p.n_neighbors; };
    if (m.matrices) {
        for (int64_t j = 0; j < d; ++j)
            for (int64_t l = 0; l < LANES; ++l)
                a.turned[j * LANES + l] = a.rows[(l < count ? l : count - 1) * m.width + j];
        ++a.question;
        a.listed = 0;
        auto add_with_neighbors = [&](int64_t c, uint32_t mask) {
            if (c < 0) return;
            a.add_for(c, mask);
            for (int64_t g = 0; g < p.n_neighbors; ++g) a.add_for(neighbors_of(c)[g], mask);
        };
        add_with_neighbors(common, (1u << count) - 1);
        for (int64_t r = 0; r < count; ++r) {
            const int32_t* held = first_held + order[r] * p.n_candidates;
            for (int64_t c = 1; c < p.n_candidates; ++c) add_with_neighbors(held[c], 1u << r);
            for (int64_t e = 0; e < p.n_random; ++e)
                a.add_for(drawn(p.seed, p.first_row + slab_first + order[r], e, p.k), 1u << r);
        }
        a.ask_turned(m);
    } else {
        if (common != a.group) {
            a.group = common;
            a.of_group = ++a.question;
            a.listed = 0;
            if (common >= 0) {
                a.asked_by[common] = a.question;
                for (int64_t g = 0; g < p.n_neighbors; ++g) a.add(neighbors_of(common)[g], a.of_group);
            }
            a.near = a.listed;
        }
        if (common >= 0) {
            const double* rows_of[LANES];
            const double* means_of[LANES];
            bool stopped = false;
            for (int64_t l = 0; l < LANES; ++l) {
                rows_of[l] = a.rows + (l < count ? l : count - 1) * m.width;
                means_of[l] = m.means + common * m.stride;
            }
            const Vector<double> squares = squares_of_pairs(m, rows_of, means_of, m.width, Vector<double>{}, &stopped);
            const Vector<double> values = m.log_offset[common] - m.half[common] * squares;
            for (int64_t r = 0; r < count; ++r) a.best[r].offer(common, values[r]);
            a.evaluated += count;
        }
        for (int64_t r = 0; r < count; ++r) {
            const int32_t* held = first_held + order[r] * p.n_candidates;
            ++a.question;
            a.listed = a.near;
            for (int64_t c = 1; c < p.n_candidates; ++c) {
                if (held[c] < 0) continue;
                a.add(held[c], a.of_group);
                for (int64_t g = 0; g < p.n_neighbors; ++g) a.add(neighbors_of(held[c])[g], a.of_group);
            }
            for (int64_t e = 0; e < p.n_random; ++e)
                a.add(drawn(p.seed, p.first_row + slab_first + order[r], e, p.k), a.of_group);
            a.ask_listed(m, a.rows + r * m.width, a.best[r], [](int64_t) { return 0.0; });
        }
    }
    for (int64_t r = 0; r < count; ++r) {
        const Best& best = a.best[r];
        int32_t* held = p.candidates + (slab_first + order[r]) * p.n_candidates;
        double* gaps = a.gaps + (at + r) * best.kept;
        a.largest[at + r] = best.found ? best.values[0] : -INFINITE;
        for (int64_t c = 0; c < best.kept; ++c) {
            gaps[c] = c < best.found ? best.values[c] - best.values[0] : -INFINITE;
            if (best.found) held[c] = c < best.found ? best.components[c] : -1;
        }
    }
}

// Shares a tile's rows among what was found for them, and adds their log-likelihood to the first of `sums`.
NOINLINE void share_rows(const TruncatedPass& p, Asking& a, const Slab& slab, const int32_t* order, int64_t count,
                         double* sums) {
    const int64_t kept = p.n_candidates;
    for (int64_t i = 0; i < count * kept; i += LANES) {
        const Vector<double> t = load(a.gaps + i), lowest = broadcast(ExpConstants<double>::lowest);
        store<double>(a.gaps + i, t < lowest ? Vector<double>{} : exponential<double>(maximum<double>(t, lowest)));
    }
    for (int64_t r = 0; r < count; ++r) {
        double total = 0.0;
        for (int64_t c = 0; c < kept; ++c) total += a.gaps[r * kept + c];
        const double weight = p.sample_weight ? p.sample_weight[slab.first + order[r]] : 1.0;
        const double factor = total > 0.0 ? weight / total : 0.0;
        double* shares = slab.shares + order[r] * kept;
        for (int64_t c = 0; c < kept; ++c) shares[c] = a.gaps[r * kept + c] * factor;
        a.totals[r] = total > 0.0 ? total : 1.0;
    }
    for (int64_t r = 0; r < count; r += LANES) store<double>(a.totals + r, logarithm<double>(load(a.totals + r)));
    for (int64_t r = 0; r < count; ++r) {
        const double weight = p.sample_weight ? p.sample_weight[slab.first + order[r]] : 1.0;
        if (weight > 0.0) sums[0] += weight * (a.largest[r] + a.totals[r]);
    }
}

// A whole vector of a row in double.
INLINE Vector<double> load_doubles(const double* from) { return load(from); }
INLINE Vector<double> load_doubles(const float* from) {
    typedef float Half __attribute__((vector_size(VECTOR_BYTES / 2)));
    Half v;
    __builtin_memcpy(&v, from, sizeof v);
    return __builtin_convertvector(v, Vector<double>);
}

// What a component's rows add to its statistics, feature by feature: (count, sums, scatter).
template <typename Real, bool EACH>
NOINLINE void collect_squares(const TruncatedPass& p, const Slab& slab, int64_t c, double* scatter) {
    constexpr int R = 4;
    const int64_t d = p.d, last = slab.begins[c + 1], whole = d / LANES * LANES;
    const double* mean = p.means + c * d;
    double* sums = p.sums + c * d;
    double count = 0.0;
    Vector<double> all{};
    double all_behind = 0.0;
    const Real* const rows = static_cast<const Real*>(p.rows) + slab.first * d;
    for (int64_t e = slab.begins[c]; e < last; e += R) {
        double share[R];
        const Real* x[R];
        for (int r = 0; r < R; ++r) {
            const int64_t entry = slab.entries[e + r < last ? e + r : last - 1];
            x[r] = rows + entry / p.n_candidates * d;
            share[r] = e + r < last ? slab.shares[entry] : 0.0;
            count += share[r];
            if (e + R + r < last) prefetch_row(rows + slab.entries[e + R + r] / p.n_candidates * d, d);
        }
        for (int64_t j = 0; j < whole; j += LANES) {
            const Vector<double> m = load(mean + j);
            Vector<double> first = load(sums + j), second = EACH ? load(scatter + j) : all;
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) {
                const Vector<double> away = load_doubles(x[r] + j) - m, weighted = broadcast(share[r]) * away;
                first += weighted;
                second = weighted * away + second;
            }
            store<double>(sums + j, first);
            if (EACH)
                store<double>(scatter + j, second);
            else
                all = second;
        }
        for (int64_t j = whole; j < d; ++j)
            for (int r = 0; r < R; ++r) {
                const double away = double(x[r][j]) - mean[j], weighted = share[r] * away;
                sums[j] += weighted;
                (EACH ? scatter[j] : all_behind) += weighted * away;
            }
    }
    if (!EACH) scatter[0] += sum_lanes(all) + all_behind;
    p.counts[c] += count;
}

// The same of matrices, the upper triangle of the scatter.
template <typename Real>
NOINLINE void collect_products(const TruncatedPass& p, const Slab& slab, int64_t c, double* away, double* scatter) {
    constexpr int R = 4;
    const int64_t d = p.d, width = round_up(d, LANES), last = slab.begins[c + 1];
    const double* mean = p.means + c * d;
    double* sums = p.sums + c * d;
    double count = 0.0;
    for (int64_t e = slab.begins[c]; e < last; e += R) {
        double share[R];
        for (int r = 0; r < R; ++r) {
            double* to = away + r * width;
            share[r] = 0.0;
            if (e + r >= last) {
                for (int64_t j = 0; j < width; ++j) to[j] = 0.0;
                continue;
            }
            const int64_t entry = slab.entries[e + r];
            const Real* x = static_cast<const Real*>(p.rows) + (slab.first + entry / p.n_candidates) * d;
            share[r] = slab.shares[entry];
            for (int64_t j = 0; j < d; ++j) to[j] = double(x[j]) - mean[j];
            count += share[r];
        }
        for (int64_t j = 0; j < d; ++j) {
            double sum = sums[j];
            for (int r = 0; r < R; ++r) sum += share[r] * away[r * width + j];
            sums[j] = sum;
        }
        for (int64_t i = 0; i < d; ++i) {
            Vector<double> own[R];
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) own[r] = broadcast(share[r] * away[r * width + i]);
            double* to = scatter + i * d;
            int64_t j = i / LANES * LANES;
            for (; j + LANES <= d; j += LANES) {
                Vector<double> sum = load(to + j);
#pragma GCC unroll 4
                for (int r = 0; r < R; ++r) sum = own[r] * load(away + r * width + j) + sum;
                store<double>(to + j, sum);
            }
            for (; j < d; ++j)
                for (int r = 0; r < R; ++r) to[j] += own[r][0] * away[r * width + j];
        }
    }
    p.counts[c] += count;
}

template <typename Real>
INLINE void collect_rows(const TruncatedPass& p, const Slab& slab, int64_t c, double* away, double* scatter) {
    switch (p.structure) {
        case DIAG: return collect_squares<Real, true>(p, slab, c, scatter);
        case SPHERICAL: return collect_squares<Real, false>(p, slab, c, scatter);
        default: return collect_products<Real>(p, slab, c, away, scatter);
    }
}

INLINE void mirror_upper(double* matrix, int64_t d) {
    for (int64_t i = 0; i < d; ++i)
        for (int64_t j = i + 1; j < d; ++j) matrix[j * d + i] = matrix[i * d + j];
}

// Rows of a tile in runs of the same best component.
template <typename Real>
INLINE void ask_tile(const TruncatedPass& p, const AskedComponents& m, Asking& a, const Slab& slab,
                     const int32_t* order, int64_t count, double* sums) {
    const int32_t* held = p.candidates + slab.first * p.n_candidates;
    const Real* rows = static_cast<const Real*>(p.rows) + slab.first * p.d;
    a.evaluated = 0;
    for (int64_t i = 0; i < count;) {
        int64_t end = i + 1;
        // Candidates of rows behind the first are read before their own turn comes.
        while (end < count && end < i + LANES && held[order[end] * p.n_candidates] == held[order[i] * p.n_candidates])
            ++end;
        for (int64_t n = end; n < count && n < end + LANES; ++n) prefetch_row(rows + order[n] * p.d, p.d);
        ask_rows<Real>(p, m, a, slab.first, order + i, end - i, i);
        i = end;
    }
    share_rows(p, a, slab, order, count, sums);
    sums[1] += double(a.evaluated);
}

// Writes the numbers of a slab's rows by their candidate at `held`, in the order of `from` where equal, or their own.
INLINE void sort_by_candidate(const Slab& slab, const int32_t* held, int64_t step, int64_t k, const int32_t* from,
                              int32_t* to) {
    auto place = [&](int64_t row) { return held[row * step] < 0 ? k : int64_t(held[row * step]); };
    for (int64_t i = 0; i < k + 2; ++i) slab.begins[i] = 0;
    for (int64_t row = 0; row < slab.count; ++row) ++slab.begins[place(row) + 1];
    for (int64_t i = 0; i < k; ++i) slab.begins[i + 1] += slab.begins[i];
    for (int64_t i = 0; i < slab.count; ++i) {
        const int32_t row = from ? from[i] : int32_t(i);
        to[slab.begins[place(row)]++] = row;
    }
}

template <typename Real>
int truncated_pass(TruncatedPass* p) {
    const int64_t n = p->n, d = p->d, k = p->k, c = p->n_candidates, width = round_up(d, LANES);
    AskedComponents m{};
    m.begin(p->structure, d, k, p->log_offset, p->factor);
    const int64_t most = 8 * k > 65536 ? 8 * k : 65536, slab_rows = n < most ? n : most;
    const double asked = double(c) * double(p->n_neighbors + 1) + double(p->n_random);
    const double length = p->structure == FULL || p->structure == TIED ? 0.5 * double(d) * double(d) : 2.0 * double(d);
    const bool tied = p->structure == TIED;
    // As many pieces as strips have at most, of whole components.
    const int64_t per_piece = (k + 127) / 128;
    const Strips pieces{k, per_piece, per_piece, (k + per_piece - 1) / per_piece};
    const int n_threads = threads_for(p->n_threads, 128, double(n) * asked * length);
    Slab slab{};
    Scratch memory;
    Asking* asking = nullptr;
    double** row_sums = nullptr;
    double** away = nullptr;
    double** scatter = nullptr;
    const bool allocated = memory.allocate([&](Arena& arena) {
        m.lay_out(arena, true);
        slab.order = arena.take<int32_t>(slab_rows);
        slab.begins = arena.take<int64_t>(k + 2);
        slab.entries = arena.take<int32_t>(slab_rows * c);
        slab.shares = arena.take<double>(slab_rows * c);
        asking = arena.take<Asking>(n_threads);
        row_sums = arena.take<double*>(n_threads);
        away = arena.take<double*>(n_threads);
        scatter = arena.take<double*>(n_threads);
        for (int t = 0; t < n_threads; ++t) {
            Asking a;
            a.lay_out(arena, m, c, LANES * (c * (p->n_neighbors + 1) + p->n_random), ASKED_TILE);
            double* of_rows = arena.zeros<double>(2);
            double* of_component = arena.take<double>(4 * width);
            double* of_all = tied ? arena.zeros<double>(d * d) : nullptr;
            if (!arena.block) continue;
            asking[t] = a;
            row_sums[t] = of_rows;
            away[t] = of_component;
            scatter[t] = of_all;
        }
    });
    if (!allocated) return OUT_OF_MEMORY;
    m.choose_centre(p->means);
    share_out(pieces.count, n_threads, [&](int64_t piece, int) {
        for (int64_t i = piece * per_piece; i < k && i < (piece + 1) * per_piece; ++i) {
            m.pack(i, p->means + i * d);
            if (p->structure == FULL) pack_factor(p->factor + i * d * d, d, m.factors + i * m.packed_step);
        }
    });
    if (tied) pack_factor(p->factor, d, m.factors);
    double total[2] = {0.0, 0.0};
    for (slab.first = 0; slab.first < n; slab.first += slab_rows) {
        slab.count = n - slab.first < slab_rows ? n - slab.first : slab_rows;
        // By the best component of the pass before, where factors are to be read again by the second as well; rows that
        // have none come last.
        const int32_t* held = p->candidates + slab.first * c;
        const bool by_second = m.matrices && c > 1;
        if (by_second) sort_by_candidate(slab, held + 1, c, k, nullptr, slab.entries);
        sort_by_candidate(slab, held, c, k, by_second ? slab.entries : nullptr, slab.order);
        const Strips strips = cut_strips(slab.count, ASKED_TILE);
        Status status = sum_over_strips(
            strips, n_threads, p->poll, total, [&](int thread) { return StripSums{row_sums[thread], 2}; },
            [&](const Strip& strip) {
                strip.for_each_tile([&](int64_t first, int64_t count) {
                    ask_tile<Real>(*p, m, asking[strip.thread], slab, slab.order + first, count,
                                   row_sums[strip.thread]);
                });
            });
        if (status != DONE) return status;
        if (!p->counts) continue;
        for (int64_t i = 0; i < k + 2; ++i) slab.begins[i] = 0;
        for (int64_t e = 0; e < slab.count * c; ++e)
            if (slab.shares[e] > 0.0) ++slab.begins[held[e] + 2];
        for (int64_t i = 2; i < k + 2; ++i) slab.begins[i] += slab.begins[i - 1];
        for (int64_t e = 0; e < slab.count * c; ++e)
            if (slab.shares[e] > 0.0) slab.entries[slab.begins[held[e] + 1]++] = int32_t(e);
        status = sum_over_strips(
            pieces, n_threads, p->poll, tied ? p->scatter : nullptr,
            [&](int thread) { return StripSums{scatter[thread], tied ? d * d : 0}; },
            [&](const Strip& piece) {
                piece.for_each_tile([&](int64_t first, int64_t count) {
                    for (int64_t i = first; i < first + count; ++i) {
                        double* to = tied                   ? scatter[piece.thread]
                                     : p->structure == FULL ? p->scatter + i * d * d
                                     : p->structure == DIAG ? p->scatter + i * d
                                                            : p->scatter + i;
                        collect_rows<Real>(*p, slab, i, away[piece.thread], to);
                    }
                });
            });
        if (status != DONE) return status;
    }
    if (p->counts && p->structure == FULL)
        share_out(k, n_threads, [&](int64_t i, int) { mirror_upper(p->scatter + i * d * d, d); });
    if (p->counts && tied) mirror_upper(p->scatter, d);
    p->log_likelihood = total[0];
    p->n_evaluated = int64_t(total[1]);
    return DONE;
}

// Which components are near each one: those that give its rows the highest expected log density, with weights; its
// spread is taken as the same in all directions. Asked are its neighbours, theirs, and some at random.
int refine_neighbors(NeighborSearch* p) {
    const int64_t d = p->d, k = p->k, g = p->n_neighbors;
    AskedComponents m{};
    m.begin(p->structure, d, k, p->log_offset, p->factor);
    const double length = p->structure == FULL || p->structure == TIED ? 0.5 * double(d) * double(d) : 2.0 * double(d);
    const int n_threads = threads_for(p->n_threads, k, double(k) * double(g * g) * length);
    Scratch memory;
    Asking* asking = nullptr;
    double* traces = nullptr;
    const bool allocated = memory.allocate([&](Arena& arena) {
        m.lay_out(arena, false);
        asking = arena.take<Asking>(n_threads);
        traces = arena.take<double>(k);
        for (int t = 0; t < n_threads; ++t) {
            Asking a;
            a.lay_out(arena, m, g, g * (g + 1) + p->n_random, 0);
            if (arena.block) asking[t] = a;
        }
    });
    if (!allocated) return OUT_OF_MEMORY;
    m.choose_centre(p->means);
    share_out(k, n_threads, [&](int64_t i, int) {
        m.pack(i, p->means + i * d);
        traces[i] = m.trace(i);
    });
    share_out(k, n_threads, [&](int64_t i, int thread) {
        Asking& a = asking[thread];
        const double variance = m.variance(i);
        a.best[0].begin(INFINITE);
        a.listed = 0;
        a.asked_by[i] = ++a.question;
        const int32_t* old = p->old_neighbors + i * g;
        for (int64_t r = 0; r < g; ++r) a.add(old[r], a.question);
        for (int64_t r = 0; r < g; ++r)
            for (int64_t s = 0; old[r] >= 0 && s < g; ++s) a.add(p->old_neighbors[int64_t(old[r]) * g + s], a.question);
        for (int64_t e = 0; e < p->n_random; ++e) a.add(drawn(p->seed, i, e, k), a.question);
        for (int64_t j = 0; j < d; ++j) a.rows[j] = p->means[i * d + j] - m.centre[j];
        a.ask_listed(m, a.rows, a.best[0], [&](int64_t c) { return 0.5 * variance * traces[c]; });
        for (int64_t r = 0; r < g; ++r) p->neighbors[i * g + r] = r < a.best[0].found ? a.best[0].components[r] : -1;
    });
    return DONE;
}
