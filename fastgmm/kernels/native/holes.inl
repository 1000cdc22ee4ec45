// Rows without errors that miss values: what is missing is factorised, and what is expected of it completes the rows.

// Completed rows of one component, whose products are summed up some vectors at a time: sums stay in registers.
struct CompletedRows {
    static constexpr int64_t CAPACITY = 16, SIDES = Simd<double>::lanes == 8 ? 4 : 2;
    Vector<double>*away, *weight;  // (d rounded up to whole sides, CAPACITY), zeros behind; (CAPACITY)
    int64_t count;

    void lay_out(Arena& arena, const ErrorMixture& m) {
        away = arena.zeros<Vector<double>>(round_up(m.d, SIDES) * CAPACITY);
        weight = arena.take<Vector<double>>(CAPACITY);
        count = 0;
    }

    bool is_full() const { return count == CAPACITY; }

    // A row without a share counts for nothing, whatever is in it.
    INLINE_MEMBER void add(const ErrorMixture& m, Vector<double> share, const Vector<double>* values) {
        const Vector<double> none{};
        weight[count] = share;
        for (int64_t i = 0; i < m.d; ++i) away[i * CAPACITY + count] = share > none ? values[i] : none;
        ++count;
    }

    void flush(const ErrorMixture& m, const Totals& total) {
        for (int64_t i = 0; i < m.d; i += SIDES)
            for (int64_t j = 0; j <= i; j += SIDES) {
                Vector<double> sum[SIDES] = {}, square[SIDES][SIDES] = {};
                for (int64_t n = 0; n < count; ++n) {
                    Vector<double> left[SIDES], right[SIDES];
#pragma GCC unroll 4
                    for (int64_t q = 0; q < SIDES; ++q) {
                        left[q] = weight[n] * away[(i + q) * CAPACITY + n];
                        right[q] = away[(j + q) * CAPACITY + n];
                        if (j == 0) sum[q] += left[q];
                    }
#pragma GCC unroll 4
                    for (int64_t q = 0; q < SIDES; ++q)
#pragma GCC unroll 4
                        for (int64_t r = 0; r < SIDES; ++r) square[q][r] += left[q] * right[r];
                }
                for (int64_t q = 0; q < SIDES && i + q < m.d; ++q) {
                    if (j == 0) total.sums[i + q] += sum[q];
                    for (int64_t r = 0; r < SIDES && j + r <= i + q; ++r)
                        total.squares[packed(i + q) + j + r] += square[q][r];
                }
            }
        count = 0;
    }
};

// Scratch for one vector of rows.
struct ErrorScratch {
    Vector<double>*f, *y, *left, *away, *product, *distance;
    bool is_kept;  // f, y and the distance are those of these rows
    CompletedRows* queue;

    void lay_out(Arena& arena, const ErrorMixture& m) {
        is_kept = false;
        distance = arena.take<Vector<double>>(1);
        f = arena.take<Vector<double>>(m.triangle);
        y = arena.take<Vector<double>>(m.d);
        left = arena.take<Vector<double>>(m.d);
        away = arena.take<Vector<double>>(m.holes ? m.d + 1 : 0);
        product = arena.take<Vector<double>>(m.holes ? m.side + 1 : 0);
        queue = arena.take<CompletedRows>(m.holes ? 1 : 0);
        if (!m.holes) return;
        CompletedRows empty{};
        empty.lay_out(arena, m);
        if (queue) *queue = empty;
    }
};

INLINE Integer<double> holes_at(const MeasuredRows& rows, int64_t a, int64_t n) {
    Integer<double> places;
    __builtin_memcpy(&places, rows.hole + a * rows.stride + n, sizeof places);
    return places;
}

// Writes x - mean to `away`, (d + 1) of them, the last zero.
INLINE void centre(const ErrorMixture& m, const MeasuredRows& rows, int64_t c, int64_t n, Vector<double>* away) {
    const double* mean = m.means + c * m.d;
    for (int64_t i = 0; i < m.d; ++i)
        away[i] = (load(rows.x + i * rows.stride + n) - broadcast(mean[i])) * load(rows.seen + i * rows.stride + n);
    away[m.d] = Vector<double>{};
}

// The factor of P_mm, and L^-1 q_m; the distance is that of what is there. Writes `away` as `centre` does; `product` is
// scratch for q, (side + 1).
INLINE Measured measure_holes(const ErrorMixture& m, const MeasuredRows& rows, int64_t c, int64_t n, int64_t most,
                              Vector<double>* f, Vector<double>* y, Vector<double>* away, Vector<double>* product) {
    constexpr int L = Simd<double>::lanes;
    constexpr int64_t B = ErrorMixture::BLOCK;
    const int64_t d = m.d;
    centre(m, rows, c, n, away);
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

struct WithHoles {
    static constexpr bool KEEPS = true;
    static INLINE_MEMBER Vector<double> log_det(const Measured& found) { return found.pivots.logarithms(); }
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
                                  const ErrorScratch& t, const Totals& total) {
        constexpr int L = Simd<double>::lanes;
        const int64_t most = most_of(rows, 0);
        Measured found{*t.distance, {}, {}};
        if (t.is_kept)
            centre(m, rows, c, 0, t.away);
        else
            found = measure_holes(m, rows, c, 0, most, t.f, t.y, t.away, t.product);
        const Vector<double> weight = tail_weight(m, rows, c, found, share, total);
        invert<0>(most, t.f, t.y, t.left);
        double* const expected = reinterpret_cast<double*>(t.away);
        double* const squares = reinterpret_cast<double*>(total.squares);
        for (int64_t a = 0; a < most; ++a) {
            const int64_t* holes = rows.hole + a * rows.stride;
            double* row_of[L];
            for (int lane = 0; lane < L; ++lane) {
                expected[holes[lane] * L + lane] = -t.y[a][lane];
                row_of[lane] = squares + packed(holes[lane]) * L + lane;
            }
            for (int64_t b = 0; b <= a; ++b) {
                const int64_t* others = rows.hole + b * rows.stride;
                double spread[L];
                store<double>(spread, share * t.f[packed(a) + b]);
                for (int lane = 0; lane < L; ++lane) row_of[lane][others[lane] * L] += spread[lane];
            }
        }
        t.queue->add(m, weight, t.away);
        if (t.queue->is_full()) t.queue->flush(m, total);
    }
    static INLINE_MEMBER void finish(const ErrorMixture& m, const ErrorScratch& t, const Totals& total) {
        t.queue->flush(m, total);
    }
};
