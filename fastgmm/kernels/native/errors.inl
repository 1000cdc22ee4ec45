// Passes over rows that were measured with errors of their own, or that miss values: see measured_rows.inl. Where
// something else than components has a density, its share of each row counts for what it is.

// How rows of a tile are looked at: by the compiler's knowledge of their number of features, and of what they have.
// Each measures rows, and adds r g and r (g g^T - T^-1) of a vector of them to totals; with holes, r times what is
// expected of x - mean and of its square. `finish` adds what has been put off.
struct HolesOnDiagonal {
    static constexpr bool KEEPS = false;
    static INLINE_MEMBER Vector<double> log_det(const Measured& found) { return found.log_det; }
    static INLINE_MEMBER Measured measured(const ErrorMixture& m, const MeasuredRows& rows, int64_t c, int64_t n,
                                           const ErrorScratch&) {
        return measure_diagonal_holes(m, rows, c, n);
    }
    static INLINE_MEMBER void add(const ErrorMixture& m, const MeasuredRows& rows, int64_t c, Vector<double> share,
                                  const ErrorScratch&, const Totals& total) {
        Vector<double> weight = share;
        if (m.dof) weight = tail_weight(m, rows, c, measure_diagonal_holes(m, rows, c, 0), share, total);
        const double *mean = m.means + c * m.d, *precision = m.precisions + c * m.d;
        for (int64_t i = 0; i < m.d; ++i) {
            const Vector<double> scale = load(rows.seen + i * rows.stride) * broadcast(precision[i]);
            const Vector<double> away = (load(rows.x + i * rows.stride) - broadcast(mean[i])) * scale;
            const Vector<double> gradient = weight * away;
            total.sums[i] += gradient;
            total.squares[i] += gradient * away - share * scale;
        }
    }
    static INLINE_MEMBER void finish(const ErrorMixture&, const ErrorScratch&, const Totals&) {}
};

struct OnDiagonal {
    static constexpr bool KEEPS = false;
    static INLINE_MEMBER Vector<double> log_det(const Measured& found) { return found.pivots.logarithms(); }
    static INLINE_MEMBER Measured measured(const ErrorMixture& m, const MeasuredRows& rows, int64_t c, int64_t n,
                                           const ErrorScratch& t) {
        return measure_diagonal<false>(m, rows, c, n, t.f, t.y);
    }
    static INLINE_MEMBER void add(const ErrorMixture& m, const MeasuredRows& rows, int64_t c, Vector<double> share,
                                  const ErrorScratch& t, const Totals& total) {
        const Measured found = measure_diagonal<true>(m, rows, c, 0, t.f, t.y);
        const Vector<double> weight = tail_weight(m, rows, c, found, share, total);
        for (int64_t i = 0; i < m.d; ++i) {
            const Vector<double> gradient = weight * t.y[i];
            total.sums[i] += gradient;
            total.squares[i] += gradient * t.y[i] - share * t.f[i];
        }
    }
    static INLINE_MEMBER void finish(const ErrorMixture&, const ErrorScratch&, const Totals&) {}
};

template <int D, bool WHOLE, bool MASKED>
struct InTriangle {
    static constexpr bool KEEPS = false;
    static INLINE_MEMBER Vector<double> log_det(const Measured& found) { return found.pivots.logarithms(); }
    static INLINE_MEMBER Measured measured(const ErrorMixture& m, const MeasuredRows& rows, int64_t c, int64_t n,
                                           const ErrorScratch& t) {
        return measure<D, WHOLE, MASKED>(m, rows, c, n, t.f, t.y);
    }
    static INLINE_MEMBER void add(const ErrorMixture& m, const MeasuredRows& rows, int64_t c, Vector<double> share,
                                  const ErrorScratch& t, const Totals& total) {
        const int64_t d = D ? D : m.d;
        Vector<double>*f = t.f, *y = t.y;
        const Measured found = measure<D, WHOLE, MASKED>(m, rows, c, 0, f, y);
        const Vector<double> weight = tail_weight(m, rows, c, found, share, total);
        invert<D>(d, f, y, t.left);
#pragma GCC unroll 8
        for (int64_t i = 0; i < d; ++i) {
            const Vector<double> gradient = weight * y[i];
            total.sums[i] += gradient;
#pragma GCC unroll 8
            for (int64_t j = 0; j < i; ++j) total.squares[packed(i) + j] += gradient * y[j] - share * f[packed(i) + j];
            Vector<double> precision = f[packed(i) + i];
            if (MASKED) precision *= load(rows.seen + i * rows.stride);
            total.squares[packed(i) + i] += gradient * y[i] - share * precision;
        }
    }
    static INLINE_MEMBER void finish(const ErrorMixture&, const ErrorScratch&, const Totals&) {}
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
    if (m.diagonal) return m.diagonal_holes ? work(HolesOnDiagonal{}) : work(OnDiagonal{});
    if (m.holes) return work(WithHoles{});
    if (m.whole) return any_missing ? work(InTriangle<0, true, true>{}) : with_features<true, false>(m.d, work);
    any_missing ? with_features<false, true>(m.d, work) : with_features<false, false>(m.d, work);
}

// Of what was measured for responsibilities and is wanted again for sums: stays in the second-level cache.
constexpr int64_t KEPT_BYTES = 384 << 10;

// What a thread holds of a tile, and what it sums up over a strip.
struct ErrorWorker {
    MeasuredRows rows, gathered;
    double* log_joint;  // (n_shares, stride) log of weight times density, then responsibilities
    double* offset;     // (stride) the largest of these at the mean of a component
    double *row_constant, *row_weight;
    int32_t *index, *order;  // (stride) rows of a component; the rows of the tile as they lie in it
    int64_t* starts;         // (d + 1) of the rows that miss so many
    Vector<double>* kept;    // (k, capacity) what was measured of each vector of rows with holes: distance, y, f
    int64_t* kept_at;        // (stride / lanes) where; negative where there was no room
    int64_t capacity;
    ErrorScratch scratch;
    Vector<double>* totals;  // of one component, as `Totals` has them one after another
    double* sums;            // the log-likelihood, the count of what is no component, and those of each component
    int64_t n_sums, stride;

    void lay_out(Arena& arena, const ErrorMixture& m, int64_t tile_rows, bool accumulates) {
        constexpr int L = Simd<double>::lanes;
        stride = tile_rows;
        rows.lay_out(arena, m, stride);
        gathered.lay_out(arena, m, L);
        log_joint = arena.take<double>(m.n_shares() * stride);
        offset = arena.take<double>(stride);
        row_constant = arena.take<double>(stride);
        row_weight = arena.take<double>(stride);
        index = arena.take<int32_t>(stride);
        order = arena.take<int32_t>(stride);
        starts = arena.take<int64_t>(m.holes ? m.d + 1 : 0);
        capacity = accumulates && m.holes ? KEPT_BYTES / int64_t(sizeof(Vector<double>)) / m.k : 0;
        kept = arena.take<Vector<double>>(m.k * capacity);
        kept_at = arena.take<int64_t>(m.holes ? stride / L + 1 : 0);
        scratch.lay_out(arena, m);
        totals = arena.take<Vector<double>>(m.d + (m.holes ? packed(m.d + 1) : m.triangle) + 2);
        n_sums = accumulates ? 2 + m.k * m.n_sums() : 0;
        sums = arena.zeros<double>(n_sums);
    }

    // As they come; those with holes by the number of these.
    template <typename Real>
    void sort_rows(const ErrorMixture& m, const Real* from, int64_t count) {
        for (int64_t n = 0; n < count; ++n) order[n] = int32_t(n);
        if (!m.holes) return;
        for (int64_t n = 0; n < count; ++n) {
            const Real* row = from + n * m.d;
            int32_t missed = 0;
            for (int64_t i = 0; i < m.d; ++i) missed += __builtin_isnan(row[i]) ? 1 : 0;
            index[n] = missed;
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
            const Vector<double> n_seen = rows.n_seen(m, n);
            store<double>(row_constant + n, m.dof ? n_seen : -HALF_LOG_2PI * n_seen);
            store<double>(offset + n, broadcast(-INFINITE));
        }
        looking_at(m, rows.any_missing, [&](auto how) { evaluate_all<decltype(how)>(m, padded); });
        for (int64_t n = 0; m.other && n < padded; ++n)
            log_joint[m.k * stride + n] = m.other[first + order[n < count ? n : count - 1]];
        if (!pass.labels) return;
        for (int64_t n = 0; n < count; ++n) {
            const int64_t label = pass.labels[first + order[n]];
            for (int64_t c = 0; label >= 0 && c < m.n_shares(); ++c)
                if (c != label) log_joint[c * stride + n] = -INFINITE;
        }
    }

    void make_room(int64_t padded) const {
        constexpr int L = Simd<double>::lanes;
        int64_t taken = 0;
        for (int64_t n = 0; n < padded; n += L) {
            const int64_t most = WithHoles::most_of(rows, n), wanted = 1 + most + packed(most);
            const bool fits = taken + wanted <= capacity;
            kept_at[n / L] = fits ? taken : -1;
            taken += fits ? wanted : 0;
        }
    }

    // Where what is measured of a vector of rows is to be, or is, if there is room.
    INLINE_MEMBER ErrorScratch scratch_at(int64_t c, int64_t n) const {
        ErrorScratch at = scratch;
        const int64_t place = kept_at[n / Simd<double>::lanes];
        if (place < 0) return at;
        at.is_kept = true;
        at.distance = kept + c * capacity + place;
        at.y = at.distance + 1;
        at.f = at.y + WithHoles::most_of(rows, n);
        return at;
    }

    template <typename How>
    NOINLINE void evaluate_all(const ErrorMixture& m, int64_t padded) {
        constexpr int L = Simd<double>::lanes;
        const Vector<double> nothing = broadcast(-INFINITE);
        if (How::KEEPS) make_room(padded);
        for (int64_t c = 0; c < m.k; ++c)
            for (int64_t n = 0; n < padded; n += L) {
                const ErrorScratch at = How::KEEPS ? scratch_at(c, n) : scratch;
                const Measured found = How::measured(m, rows, c, n, at);
                if (How::KEEPS) *at.distance = found.distance;
                Vector<double> constant = load(row_constant + n), falls = 0.5 * found.distance;
                if (m.dof) {
                    const Vector<double> n_seen = constant, dof = broadcast(m.dof[c]);
                    constant = pick(m.normaliser + c * (m.d + 1), __builtin_convertvector(n_seen, Integer<double>));
                    // Rounding may leave a distance below zero.
                    const Vector<double> away = found.distance > Vector<double>{} ? found.distance : Vector<double>{};
                    falls = 0.5 * (dof + n_seen) * log_one_plus<double>(away / dof).log;
                }
                const Vector<double> at_mean = broadcast(m.log_weight[c]) + constant - 0.5 * How::log_det(found);
                Vector<double> value = at_mean - falls;
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
        for (int64_t c = 0; c < m.n_shares(); ++c) largest = maximum<double>(load(log_joint + c * stride + n), largest);
        const Vector<double> threshold = contribution_threshold<double>(largest, load(offset + n));
        for (int64_t c = 0; c < m.n_shares(); ++c) {
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
        Vector<double> log_likelihood{}, others{};
        const Vector<double> none{};
        for (int64_t n = 0; n < padded; n += L) {
            Vector<double> largest, total;
            share(m, n, largest, total);
            const Vector<double> w = load(row_weight + n);
            log_likelihood += w > none ? w * log_density_of<double>(largest, total) : none;
            const Vector<double> scale = total > none ? w / total : none;
            for (int64_t c = 0; c < m.n_shares(); ++c) {
                double* at = log_joint + c * stride + n;
                store<double>(at, load(at) * scale);
            }
            if (m.other) others += load(log_joint + m.k * stride + n);
        }
        sums[0] += sum_lanes(log_likelihood);
        sums[1] += sum_lanes(others);
        looking_at(m, rows.any_missing, [&](auto how) { collect<decltype(how)>(m, count); });
    }

    // Vectors of which a component has a share of few rows are gathered, so that few lanes are idle; their factors are
    // made again, and so are those of others where they are not kept.
    template <typename How>
    NOINLINE void collect(const ErrorMixture& m, int64_t count) {
        constexpr int L = Simd<double>::lanes;
        constexpr int LEAST = How::KEEPS ? L / 2 : L;
        const Vector<double> none{};
        const int64_t n_held = m.d + (m.holes ? packed(m.d + 1) : m.triangle);
        const Totals total{totals, totals + m.d, totals + n_held};
        for (int64_t c = 0; c < m.k; ++c) {
            const double* shares = log_joint + c * stride;
            for (int64_t i = 0; i < n_held + 2; ++i) totals[i] = none;
            Vector<double> counted{};
            int64_t listed = 0;
            for (int64_t n = 0; n < count; n += L) {
                const Vector<double> share = load(shares + n);
                const int present = __builtin_popcount(mask_greater(share, none));
                if (present >= LEAST) {
                    counted += share;
                    How::add(m, rows.from(n), c, share, How::KEEPS ? scratch_at(c, n) : scratch, total);
                    continue;
                }
                for (int lane = 0; present > 0 && lane < L; ++lane) {
                    index[listed] = int32_t(n + lane);
                    listed += shares[n + lane] > 0.0;
                }
            }
            for (int64_t at = 0; at < listed; at += L) {
                double share_of[L] = {};
                for (int64_t lane = 0; lane < L && at + lane < listed; ++lane)
                    share_of[lane] = shares[index[at + lane]];
                const Vector<double> share = load<double>(share_of);
                counted += share;
                gathered.gather(m, rows, index + at, listed - at < L ? listed - at : L);
                How::add(m, gathered, c, share, scratch, total);
            }
            How::finish(m, scratch, total);
            double* to = sums + 2 + c * m.n_sums();
            *to++ += sum_lanes(counted);
            for (int64_t i = 0; i < m.d + m.triangle; ++i) *to++ += sum_lanes(totals[i]);
            for (int64_t i = 0; m.dof && i < 2; ++i) *to++ += sum_lanes(total.tail[i]);
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
                    for (int64_t c = 1; c < m.n_shares(); ++c)
                        best = values[c * stride] > values[best * stride] ? c : best;
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
                const int64_t columns = pass.action == RESPONSIBILITIES ? m.n_shares() : 0;
                for (int64_t c = 0; c < columns; ++c)
                    out[row * columns + c] =
                        Real(reached ? log_joint[c * stride + n + lane] / total[lane] : 1.0 / double(columns));
            }
        }
    }

    void deliver(const ErrorMixture& m, ErrorPass& pass) const {
        const int64_t d = m.d;
        pass.log_likelihood = *sums;
        const double* from = sums + 2;
        if (m.other) pass.counts[m.k] += sums[1];
        for (int64_t c = 0; c < m.k; ++c, from += m.n_sums()) {
            pass.counts[c] += from[0];
            for (int64_t i = 0; m.dof && i < 2; ++i) pass.tail_sums[i * m.k + c] += from[1 + d + m.triangle + i];
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
    if (accumulates && !pass->errors && !pass->diagonal) {
        // As much as is kept of rows that miss a third.
        const int64_t kept = int64_t(sizeof(double)) * pass->k * (1 + d / 3 + packed(d / 3));
        const int64_t room = KEPT_BYTES / kept / 48 * 48;
        tile_rows = room < 96 ? 96 : room < tile_rows ? room : tile_rows;
    }
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
        total.sums = arena.zeros<double>(accumulates ? 2 + m.k * m.n_sums() : 0);
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
