// Passes that ask a few components of each row: those it had before, their neighbours and a few drawn at random. The
// best of them are what it has afterwards, and share it. Lanes are features. Rows are taken by their best component,
// so that those in turn ask the same components, which stay in the cache.

// Components one by one, as they lie in memory.
struct SingleComponents {
    Structure structure;
    int64_t d, k;
    const double* log_offset;
    const double* means;
    const double* factor;

    const double* factor_of(int64_t c) const {
        return structure == FULL   ? factor + c * d * d
               : structure == TIED ? factor
               : structure == DIAG ? factor + c * d
                                   : factor + c;
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

constexpr int64_t LANES = Simd<double>::lanes;

// |(x - mean) U|^2. What lies behind x, up to a whole vector, is zero; `away` has as much room. Once the sum is above
// `enough` it may be returned as far as it has come.
INLINE double squared_length(const SingleComponents& m, int64_t c, const double* x, double* away, double enough) {
    const int64_t d = m.d, whole = d / LANES * LANES;
    const double* mean = m.means + c * d;
    const double* factor = m.factor_of(c);
    Vector<double> sum{};
    if (m.structure == DIAG) {
        for (int64_t j = 0; j < whole; j += LANES) {
            const Vector<double> t = (load(x + j) - load(mean + j)) * load(factor + j);
            sum = t * t + sum;
        }
        if (whole < d) {
            const int64_t rest = d - whole;
            const Vector<double> t =
                (load(x + whole) - load_first(mean + whole, rest)) * load_first(factor + whole, rest);
            sum = t * t + sum;
        }
        return sum_lanes(sum);
    }
    for (int64_t j = 0; j < whole; j += LANES) store<double>(away + j, load(x + j) - load(mean + j));
    if (whole < d) store<double>(away + whole, load(x + whole) - load_first(mean + whole, d - whole));
    if (m.structure == SPHERICAL) {
        for (int64_t j = 0; j < d; j += LANES) {
            const Vector<double> t = load(away + j);
            sum = t * t + sum;
        }
        return sum_lanes(sum) * factor[0] * factor[0];
    }
    // A block of columns of the upper triangle at a time.
    constexpr int B = 4;
    double total = 0.0;
    int64_t j = 0;
    for (; j + B * LANES <= d; j += B * LANES) {
        Vector<double> y[B] = {};
        const double* row = factor + j;
        for (int64_t i = 0; i < j + B * LANES; ++i, row += d) {
            const Vector<double> one = broadcast(away[i]);
#pragma GCC unroll 4
            for (int b = 0; b < B; ++b) y[b] = one * load(row + b * LANES) + y[b];
        }
        Vector<double> squares{};
#pragma GCC unroll 4
        for (int b = 0; b < B; ++b) squares = y[b] * y[b] + squares;
        total += sum_lanes(squares);
        if (total > enough) return total;
    }
    for (; j < d; j += LANES) {
        const int64_t width = d - j < LANES ? d - j : LANES;
        Vector<double> y{}, z{};
        const double* row = factor + j;
        const int64_t rows = j + width;
        int64_t i = 0;
        if (width == LANES) {
            for (; i + 2 <= rows; i += 2, row += 2 * d) {
                y = broadcast(away[i]) * load(row) + y;
                z = broadcast(away[i + 1]) * load(row + d) + z;
            }
            if (i < rows) y = broadcast(away[i]) * load(row) + y;
        } else {
            for (; i < rows; ++i, row += d) y = broadcast(away[i]) * load_first(row, width) + y;
        }
        y = y + z;
        total += sum_lanes(y * y);
    }
    return total;
}

// A number below `count` that depends on the seed, the row and the turn alone.
INLINE int64_t drawn(uint64_t seed, int64_t row, int64_t turn, int64_t count) {
    uint64_t z = seed + uint64_t(row) * 0x9E3779B97F4A7C15ull + uint64_t(turn) * 0xD1B54A32D192ED03ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    z ^= z >> 31;
    return int64_t((z >> 32) * uint64_t(count) >> 32);
}

// What one thread needs to ask components, and keeps of their answers: the best, in order.
struct Asking {
    double* x;
    double* away;
    int64_t* asked_by;  // (k): the question in which a component was asked last
    double* values;     // (kept), of the best so far, falling
    int32_t* best;
    int64_t question, kept, found, evaluated;

    void begin() {
        ++question;
        found = 0;
    }

    // Asks a component, unless it was asked already; less than one of those kept it is not kept.
    INLINE_MEMBER void ask(const SingleComponents& m, int64_t c, double extra) {
        if (c < 0 || asked_by[c] == question) return;
        asked_by[c] = question;
        ++evaluated;
        const double least = found < kept ? -INFINITE : values[kept - 1];
        const double value = m.log_offset[c] - 0.5 * extra -
                             0.5 * squared_length(m, c, x, away, 2.0 * (m.log_offset[c] - least) - extra);
        if (!(value >= least) || value == -INFINITE) return;
        int64_t at = found < kept ? found++ : kept - 1;
        if (found == kept && at == kept - 1 && value == values[at] && c > best[at] && least > -INFINITE) return;
        for (; at > 0 && (values[at - 1] < value || (values[at - 1] == value && best[at - 1] > c)); --at) {
            values[at] = values[at - 1];
            best[at] = best[at - 1];
        }
        values[at] = value;
        best[at] = int32_t(c);
    }
};

INLINE Asking lay_out_asking(Arena& arena, int64_t d, int64_t k, int64_t kept) {
    Asking a{};
    a.x = arena.zeros<double>(round_up(d, LANES));
    a.away = arena.zeros<double>(round_up(d, LANES));
    a.asked_by = arena.zeros<int64_t>(k);
    a.values = arena.take<double>(kept + LANES);
    a.best = arena.take<int32_t>(kept);
    a.kept = kept;
    return a;
}

// The rows of a slab, which are shared among components before the next is begun.
struct Slab {
    int64_t first, count;
    int32_t* order;   // (count): rows by their best component
    int64_t* begins;  // (k + 1): where a component's entries begin
    int32_t* entries;
    double* shares;  // (count, candidates)
};

template <typename Real>
NOINLINE void ask_row(const TruncatedPass& p, const SingleComponents& m, Asking& a, int64_t row, double* shares,
                      double* sums) {
    const Real* x = static_cast<const Real*>(p.rows) + row * p.d;
    for (int64_t j = 0; j < p.d; ++j) a.x[j] = double(x[j]);
    int32_t* held = p.candidates + row * p.n_candidates;
    a.begin();
    for (int64_t c = 0; c < p.n_candidates; ++c) a.ask(m, held[c], 0.0);
    for (int64_t c = 0; c < p.n_candidates; ++c) {
        if (held[c] < 0) continue;
        const int32_t* near = p.neighbors + int64_t(held[c]) * p.n_neighbors;
        for (int64_t g = 0; g < p.n_neighbors; ++g) a.ask(m, near[g], 0.0);
    }
    for (int64_t e = 0; e < p.n_random; ++e) a.ask(m, drawn(p.seed, p.first_row + row, e, p.k), 0.0);
    const double weight = p.sample_weight ? p.sample_weight[row] : 1.0;
    if (a.found == 0) {
        for (int64_t c = 0; c < p.n_candidates; ++c) shares[c] = 0.0;
        if (weight > 0.0) sums[0] -= INFINITE;
        return;
    }
    const double largest = a.values[0];
    for (int64_t c = a.found; c < round_up(a.found, LANES); ++c) a.values[c] = -INFINITE;
    double total = 0.0;
    for (int64_t c = 0; c < a.found; c += LANES) {
        const Vector<double> t = load(a.values + c) - largest, lowest = broadcast(ExpConstants<double>::lowest);
        const Vector<double> e = t < lowest ? Vector<double>{} : exponential<double>(maximum<double>(t, lowest));
        store<double>(a.values + c, e);
        total += sum_lanes(e);
    }
    sums[0] += weight * (largest + logarithm<double>(broadcast(total))[0]);
    for (int64_t c = 0; c < p.n_candidates; ++c) {
        held[c] = c < a.found ? a.best[c] : -1;
        shares[c] = c < a.found ? a.values[c] / total * weight : 0.0;
    }
}

// What a component's rows add to its statistics: (count, sums, scatter), the last of a matrix its upper triangle.
template <typename Real>
NOINLINE void collect_rows(const TruncatedPass& p, const Slab& slab, int64_t c, double* away, double* scatter) {
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
        if (p.structure == DIAG || p.structure == SPHERICAL) {
            for (int64_t j = 0; j < d; ++j) {
                double sum = 0.0;
                for (int r = 0; r < R; ++r) sum += share[r] * away[r * width + j] * away[r * width + j];
                scatter[p.structure == DIAG ? j : 0] += sum;
            }
            continue;
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

INLINE void mirror_upper(double* matrix, int64_t d) {
    for (int64_t i = 0; i < d; ++i)
        for (int64_t j = i + 1; j < d; ++j) matrix[j * d + i] = matrix[i * d + j];
}

template <typename Real>
int truncated_pass(TruncatedPass* p) {
    const int64_t n = p->n, d = p->d, k = p->k, c = p->n_candidates, width = round_up(d, LANES);
    const SingleComponents m{p->structure, d, k, p->log_offset, p->means, p->factor};
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
        slab.order = arena.take<int32_t>(slab_rows);
        slab.begins = arena.take<int64_t>(k + 2);
        slab.entries = arena.take<int32_t>(slab_rows * c);
        slab.shares = arena.take<double>(slab_rows * c);
        asking = arena.take<Asking>(n_threads);
        row_sums = arena.take<double*>(n_threads);
        away = arena.take<double*>(n_threads);
        scatter = arena.take<double*>(n_threads);
        for (int t = 0; t < n_threads; ++t) {
            Asking a = lay_out_asking(arena, d, k, c);
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
    double total[2] = {0.0, 0.0};
    for (slab.first = 0; slab.first < n; slab.first += slab_rows) {
        slab.count = n - slab.first < slab_rows ? n - slab.first : slab_rows;
        // By the best component of the pass before; rows that have none come last.
        const int32_t* held = p->candidates + slab.first * c;
        for (int64_t i = 0; i < k + 2; ++i) slab.begins[i] = 0;
        for (int64_t r = 0; r < slab.count; ++r) ++slab.begins[(held[r * c] < 0 ? k : held[r * c]) + 1];
        for (int64_t i = 0; i < k; ++i) slab.begins[i + 1] += slab.begins[i];
        for (int64_t r = 0; r < slab.count; ++r)
            slab.order[slab.begins[held[r * c] < 0 ? k : held[r * c]]++] = int32_t(r);
        const Strips strips = cut_strips(slab.count, 64);
        Status status = sum_over_strips(
            strips, n_threads, p->poll, total, [&](int thread) { return StripSums{row_sums[thread], 2}; },
            [&](const Strip& strip) {
                Asking& a = asking[strip.thread];
                double* sums = row_sums[strip.thread];
                strip.for_each_tile([&](int64_t first, int64_t count) {
                    a.evaluated = 0;
                    for (int64_t i = first; i < first + count; ++i)
                        ask_row<Real>(*p, m, a, slab.first + slab.order[i], slab.shares + slab.order[i] * c, sums);
                    sums[1] += double(a.evaluated);
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
    const SingleComponents m{p->structure, d, k, p->log_offset, p->means, p->factor};
    const double length = p->structure == FULL || p->structure == TIED ? 0.5 * double(d) * double(d) : 2.0 * double(d);
    const int n_threads = threads_for(p->n_threads, k, double(k) * double(g * g) * length);
    Scratch memory;
    Asking* asking = nullptr;
    double* traces = nullptr;
    const bool allocated = memory.allocate([&](Arena& arena) {
        asking = arena.take<Asking>(n_threads);
        traces = arena.take<double>(k);
        for (int t = 0; t < n_threads; ++t) {
            const Asking a = lay_out_asking(arena, d, k, g);
            if (arena.block) asking[t] = a;
        }
    });
    if (!allocated) return OUT_OF_MEMORY;
    share_out(k, n_threads, [&](int64_t i, int) { traces[i] = m.trace(i); });
    share_out(k, n_threads, [&](int64_t i, int thread) {
        Asking& a = asking[thread];
        for (int64_t j = 0; j < d; ++j) a.x[j] = p->means[i * d + j];
        const double variance = m.variance(i);
        a.begin();
        a.asked_by[i] = a.question;
        const int32_t* old = p->old_neighbors + i * g;
        auto ask = [&](int64_t c) {
            if (c >= 0) a.ask(m, c, variance * traces[c]);
        };
        for (int64_t r = 0; r < g; ++r) ask(old[r]);
        for (int64_t r = 0; r < g; ++r)
            for (int64_t s = 0; old[r] >= 0 && s < g; ++s) ask(p->old_neighbors[int64_t(old[r]) * g + s]);
        for (int64_t e = 0; e < p->n_random; ++e) ask(drawn(p->seed, i, e, k));
        for (int64_t r = 0; r < g; ++r) p->neighbors[i * g + r] = r < a.found ? a.best[r] : -1;
    });
    return DONE;
}
