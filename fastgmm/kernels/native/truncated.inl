// Passes that ask a few components of each row: those it had before, their neighbours and a few drawn at random. The
// best of them are what it has afterwards, and share it. Rows are taken by their best component, a few at a time, so
// that those in turn ask the same components, which stay in the cache.

// A component that would get less of a row than e^-64 of what its best gets is no candidate of it.
constexpr double CANDIDATE_SPAN = 64.0;

constexpr int64_t ASKED_TILE = 64;  // rows

// Asks the other candidates that rows hold about them, one of each row at a time.
NOINLINE void ask_held(const TruncatedPass& p, const AskedComponents& m, Asking& a, const int32_t* first_held,
                       const int32_t* order, int64_t count) {
    const double* rows_of[LANES];
    const double* means_of[LANES];
    for (int64_t l = 0; l < LANES; ++l) rows_of[l] = a.rows + (l < count ? l : count - 1) * m.width;
    for (int64_t c = 1; c < p.n_candidates; ++c) {
        Vector<double> offset, half;
        int64_t last[LANES];
        uint32_t mask = 0;
        for (int64_t l = 0; l < LANES; ++l) {
            const int32_t* held = first_held + order[l < count ? l : count - 1] * p.n_candidates;
            last[l] = held[c] < 0 ? held[0] : held[c];
            mask |= uint32_t(l < count && held[c] >= 0) << l;
            means_of[l] = m.means + last[l] * m.stride;
            offset[l] = m.log_offset[last[l]];
            half[l] = m.half[last[l]];
        }
        if (mask == 0) return;  // those that hold fewer have them first
        bool stopped = false;
        const Vector<double> squares = squares_of_pairs(m, rows_of, means_of, m.width, Vector<double>{}, &stopped);
        const Vector<double> values = offset - half * squares;
        a.evaluated += __builtin_popcount(mask);
        for (; mask; mask &= mask - 1) {
            const int l = __builtin_ctz(mask);
            a.best[l].offer(last[l], values[l]);
        }
    }
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
    const bool searches = common < 0 || common % p.n_turns == p.turn;
    const int64_t n_neighbors = searches ? p.n_neighbors : 0, n_random = searches ? p.n_random : 0;
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
            for (int64_t g = 0; g < n_neighbors; ++g) a.add_for(neighbors_of(c)[g], mask);
        };
        add_with_neighbors(common, (1u << count) - 1);
        for (int64_t r = 0; r < count; ++r) {
            const int32_t* held = first_held + order[r] * p.n_candidates;
            for (int64_t c = 1; c < p.n_candidates; ++c) add_with_neighbors(held[c], 1u << r);
            for (int64_t e = 0; e < n_random; ++e)
                a.add_for(drawn(p.seed, p.first_row + slab_first + order[r], e, p.k), 1u << r);
        }
        a.ask_turned(m);
    } else {
        if (searches && common != a.group) {
            a.group = common;
            a.of_group = ++a.question;
            a.listed = 0;
            if (common >= 0) {
                a.asked_by[common] = a.question;
                for (int64_t g = 0; g < n_neighbors; ++g) a.add(neighbors_of(common)[g], a.of_group);
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
        if (!searches) ask_held(p, m, a, first_held, order, count);
        for (int64_t r = 0; searches && r < count; ++r) {
            const int32_t* held = first_held + order[r] * p.n_candidates;
            ++a.question;
            a.listed = a.near;
            for (int64_t c = 1; c < p.n_candidates; ++c) {
                if (held[c] < 0) continue;
                a.add(held[c], a.of_group);
                for (int64_t g = 0; g < n_neighbors; ++g) a.add(neighbors_of(held[c])[g], a.of_group);
            }
            for (int64_t e = 0; e < n_random; ++e)
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
