// Exact passes that ask of each row only the components within its reach: see reach.inl. Rows of a strip are taken by
// a component near them, as many at a time as there are lanes, so that they ask the same ones. Where none near enough
// is known, cells of components are looked for first; a row for which nothing is found asks all.

// Cells that a row is looked for in, and others within reach of a row for which more cells need not be tried.
constexpr int PROBES = 3;

template <typename Real, Action ACTION, bool CROSS>
struct ReachingWorker {
    static constexpr int L = Simd<Real>::lanes;
    Block<Real> block;
    QueueCollection<Real, CROSS> collection;
    double* sums;
    int64_t n_sums;
    int32_t* lead;    // of each row of the strip: the component whose list it takes, or -1
    int32_t* order;   // rows to be answered
    int32_t* sorted;  // the same, by component or cell
    int32_t* begins;  // (k + 2)
    int32_t* cells;   // (rows, PROBES)
    Real* found;      // (rows) log weighted density under `lead`
    int64_t n_open;   // rows that are not answered yet: the first of `order`

    void lay_out(Arena& arena, const PackedMixture<Real>& p, int64_t strip_rows) {
        block.lay_out(arena, p);
        if (ACTION == ACCUMULATE) collection.lay_out_scratch(arena, p, 0);
        lead = arena.take<int32_t>(strip_rows);
        order = arena.take<int32_t>(strip_rows);
        sorted = arena.take<int32_t>(strip_rows);
        begins = arena.take<int32_t>(p.k + 2);
        cells = arena.take<int32_t>(strip_rows * PROBES);
        found = arena.take<Real>(strip_rows);
    }

    void lay_out_sums(Arena& arena, const PackedMixture<Real>& p) {
        const int64_t before = arena.used;
        sums = arena.zeros<double>(1);
        if (ACTION == ACCUMULATE) collection.lay_out_sums(arena, p);
        n_sums = (arena.used - before) / int64_t(sizeof(double));
    }

    StripSums strip_sums() const { return {sums, ACTION == ACCUMULATE ? n_sums : 0}; }

    void take(const PackedMixture<Real>& p, const Reach<Real>& reach, const MixturePass& pass, const Strip& strip) {
        const int64_t count = strip.last - strip.first;
        const Real* rows = static_cast<const Real*>(pass.rows) + strip.first * p.d;
        for (int64_t i = 0; i < count; ++i) {
            order[i] = int32_t(i);
            const int64_t held = pass.leading ? pass.leading[strip.first + i] : -1;
            lead[i] = held < p.k ? int32_t(held) : -1;
        }
        n_open = count;
        if (pass.leading) answer_by_lead(p, reach, pass, strip, rows);
        if (n_open) find_leads(p, reach, strip, rows);
        if (n_open) answer_by_lead(p, reach, pass, strip, rows);
        for (int64_t i = 0; i < n_open; i += L) {
            if (i % (8 * L) < L && !strip.turnstile.keep_going(strip.thread == 0)) return;
            const int64_t some = n_open - i < L ? n_open - i : L;
            block.read(p, rows, order + i, some);
            block.begin();
            for (int64_t c = 0; c < p.k; ++c) block.list[c] = int32_t(c);
            block.listed = p.k;
            block.ask(p, reach, 0);
            answer(p, pass, strip, rows, order + i, (1u << some) - 1);
        }
        if (ACTION == ACCUMULATE) collection.finish(p, rows);
    }

  private:
    // Writes the open rows to `sorted`, by a number below `n` for each; those that have none come first, and are
    // counted.
    template <typename Key>
    int64_t sort_by(int64_t n, Key key) {
        for (int64_t i = 0; i < n + 2; ++i) begins[i] = 0;
        for (int64_t i = 0; i < n_open; ++i) ++begins[key(order[i]) + 2];
        const int64_t without = begins[1];
        for (int64_t i = 1; i < n + 2; ++i) begins[i] += begins[i - 1];
        for (int64_t i = 0; i < n_open; ++i) sorted[begins[key(order[i]) + 1]++] = order[i];
        return without;
    }

    // Answers rows that lie near the component they were given; the others stay open.
    void answer_by_lead(const PackedMixture<Real>& p, const Reach<Real>& reach, const MixturePass& pass,
                        const Strip& strip, const Real* rows) {
        const int64_t without = sort_by(p.k, [&](int32_t row) { return lead[row] < 0 ? -1 : reach.place[lead[row]]; });
        const int64_t count = n_open;
        n_open = without;
        for (int64_t i = 0; i < without; ++i) order[i] = sorted[i];
        for (int64_t i = without; i < count; i += L) {
            if (i % (8 * L) < L && !strip.turnstile.keep_going(strip.thread == 0)) return;
            const int64_t some = count - i < L ? count - i : L;
            block.read(p, rows, sorted + i, some);
            block.begin();
            for (int64_t l = 0; l < some; ++l) block.add(lead[sorted[i + l]]);
            block.ask(p, reach, 0);
            const int64_t leads = block.listed;
            uint32_t near = 0;
            int64_t before = -1;
            int32_t listed = 0;
            for (int l = 0; l < some; ++l) {
                const int radius = block.radius_of(reach, l);
                if (radius == RADII) {
                    lead[sorted[i + l]] = -1;
                    order[n_open++] = sorted[i + l];
                    continue;
                }
                near |= 1u << l;
                const int64_t c = block.nearest[l];
                listed = c == before ? listed : 0;
                before = c;
                const int32_t end = reach.begins[c * (RADII + 1) + radius + 1], *others = reach.lists + c * reach.most;
                for (; listed < end; ++listed) block.add(others[listed]);
            }
            if (near == 0) continue;
            block.ask(p, reach, leads);
            answer(p, pass, strip, rows, sorted + i, near);
        }
    }

    // Gives each open row a component near it, if one is in the cells nearest to the row.
    void find_leads(const PackedMixture<Real>& p, const Reach<Real>& reach, const Strip& strip, const Real* rows) {
        const int64_t enough = 16 + p.k / reach.n_cells;
        for (int64_t i = 0; i < n_open; i += L) {
            if (i % (8 * L) < L && !strip.turnstile.keep_going(strip.thread == 0)) return;
            const int64_t some = n_open - i < L ? n_open - i : L;
            block.read(p, rows, order + i, some);
            Integer<Real> near[PROBES];
            nearest_cells(p, reach, near);
            for (int64_t l = 0; l < some; ++l) {
                const int32_t row = order[i + l];
                lead[row] = -1;
                found[row] = Real(-INFINITE);
                for (int probe = 0; probe < PROBES; ++probe) cells[row * PROBES + probe] = int32_t(near[probe][l]);
            }
        }
        for (int probe = 0; probe < PROBES; ++probe) {
            const int64_t done = sort_by(reach.n_cells, [&](int32_t row) { return cells[row * PROBES + probe]; });
            for (int64_t i = done; i < n_open; i += L) {
                if (i % (8 * L) < L && !strip.turnstile.keep_going(strip.thread == 0)) return;
                const int64_t some = n_open - i < L ? n_open - i : L;
                block.read(p, rows, sorted + i, some);
                block.begin();
                int32_t before = -1;
                for (int64_t l = 0; l < some; ++l) {
                    const int32_t cell = cells[sorted[i + l] * PROBES + probe];
                    if (cell == before) continue;
                    before = cell;
                    for (int32_t m = reach.cell_begins[cell]; m < reach.cell_begins[cell + 1]; ++m)
                        block.add(reach.members[m]);
                }
                block.ask(p, reach, 0);
                for (int l = 0; l < some; ++l) {
                    const int32_t row = sorted[i + l];
                    if (!(block.best[l] > found[row])) continue;
                    found[row] = block.best[l];
                    lead[row] = int32_t(block.nearest[l]);
                    const int radius = block.radius_of(reach, l);
                    if (radius < RADII && reach.begins[int64_t(lead[row]) * (RADII + 1) + radius + 1] <= enough)
                        for (int later = probe + 1; later < PROBES; ++later) cells[row * PROBES + later] = -1;
                }
            }
        }
    }

    NOINLINE void nearest_cells(const PackedMixture<Real>& p, const Reach<Real>& reach,
                                Integer<Real> (&near)[PROBES]) const {
        Vector<Real> least[PROBES];
        for (int s = 0; s < PROBES; ++s) {
            least[s] = broadcast(Real(INFINITE));
            near[s] = Integer<Real>{} - 1;
        }
        const bool scaled = p.structure == DIAG || p.structure == FULL;
        for (int64_t first = 0; first < reach.n_cells; first += 4) {
            const int64_t left = reach.n_cells - first < 4 ? reach.n_cells - first : 4;
            const Real *mean[4], *scale[4];
            for (int c = 0; c < 4; ++c) {
                mean[c] = reach.cell_means + (first + (c < left ? c : 0)) * p.d;
                scale[c] = reach.cell_scale;
            }
            Vector<Real> square[4];
            if (scaled)
                squares_of_four<Real, true>(block.rows, p.d, mean, scale, square);
            else
                squares_of_four<Real, false>(block.rows, p.d, mean, scale, square);
            for (int64_t c = 0; c < left; ++c) {
                Vector<Real> at = square[c];
                Integer<Real> cell = Integer<Real>{} + typename Bits<Real>::type(first + c);
#pragma GCC unroll 4
                for (int s = 0; s < PROBES; ++s) {
                    const auto closer = at < least[s];
                    const Vector<Real> further = closer ? least[s] : at;
                    const Integer<Real> its = closer ? near[s] : cell;
                    least[s] = closer ? at : least[s];
                    near[s] = closer ? cell : near[s];
                    at = further;
                    cell = its;
                }
            }
        }
    }

    // What the pass is for, of the rows of a block in `mask`: all that may matter to them were asked.
    NOINLINE void answer(const PackedMixture<Real>& p, const MixturePass& pass, const Strip& strip, const Real* rows,
                         const int32_t* index, uint32_t mask) {
        const Vector<Real> none{}, best = block.best;
        if (pass.leading)
            for (uint32_t left = mask; left; left &= left - 1) {
                const int l = __builtin_ctz(left);
                pass.leading[strip.first + index[l]] = int32_t(block.nearest[l]);
            }
        if (ACTION == ASSIGN) {
            for (uint32_t left = mask; left; left &= left - 1) {
                const int l = __builtin_ctz(left);
                const int64_t c = block.nearest[l];
                static_cast<int64_t*>(pass.out)[strip.first + index[l]] = c < 0 ? 0 : c;
            }
            return;
        }
        const Vector<Real> threshold = contribution_threshold<Real>(best, broadcast(p.largest_offset));
        Vector<Real> total{};
        int64_t kept = 0;
        for (int64_t i = 0; i < block.listed; ++i) {
            const Vector<Real> value = load(block.values + i * L);
            if (mask_greater(value, threshold) == 0) continue;
            const auto counts = value > threshold;
            const Vector<Real> e = counts ? exponential<Real>(counts ? value - best : none) : none;
            total += e;
            store<Real>(block.values + kept * L, e);
            block.list[kept++] = block.list[i];
        }
        const Vector<Real> density = log_density_of<Real>(best, total);
        if (ACTION == LOG_DENSITY) {
            for (uint32_t left = mask; left; left &= left - 1) {
                const int l = __builtin_ctz(left);
                static_cast<Real*>(pass.out)[strip.first + index[l]] = density[l];
            }
        } else if (ACTION == RESPONSIBILITIES) {
            for (uint32_t left = mask; left; left &= left - 1) {
                const int l = __builtin_ctz(left);
                Real* to = static_cast<Real*>(pass.out) + (strip.first + index[l]) * p.k;
                const Real scale = Real(1) / total[l];
                const bool reached = scale < Real(INFINITE);
                for (int64_t c = 0; c < p.k; ++c) to[c] = reached ? Real(0) : Real(1) / Real(p.k);
                for (int64_t i = 0; reached && i < kept; ++i) to[block.list[i]] = block.values[i * L + l] * scale;
            }
        } else {
            Vector<Real> factor{};
            for (uint32_t left = mask; left; left &= left - 1) {
                const int l = __builtin_ctz(left);
                const Real weight = pass.sample_weight ? Real(pass.sample_weight[strip.first + index[l]]) : Real(1);
                if (!(weight > Real(0))) continue;
                sums[0] += double(weight) * double(density[l]);
                factor[l] = total[l] > Real(0) ? weight / total[l] : Real(0);
            }
            for (int64_t i = 0; i < kept; ++i)
                collection.collect_block(p, rows, block.list[i], index, load(block.values + i * L) * factor);
        }
    }
};

template <typename Real, Action ACTION, bool CROSS>
int reaching_pass(const PackedMixture<Real>& p, const Reach<Real>& reach, const Strips& strips, int threads,
                  MixturePass* pass) {
    using Worker = ReachingWorker<Real, ACTION, CROSS>;
    Worker* workers = nullptr;
    Worker total{};
    Scratch memory;
    const bool allocated = memory.allocate([&](Arena& arena) {
        workers = arena.take<Worker>(threads);
        for (int thread = 0; thread < threads; ++thread) {
            Worker worker;
            worker.lay_out(arena, p, strips.rows);
            worker.lay_out_sums(arena, p);
            if (workers) workers[thread] = worker;
        }
        total.lay_out_sums(arena, p);
    });
    if (!allocated) return OUT_OF_MEMORY;
    const Status status = sum_over_strips(
        strips, threads, pass->poll, total.sums, [&](int thread) { return workers[thread].strip_sums(); },
        [&](const Strip& strip) { workers[strip.thread].take(p, reach, *pass, strip); });
    if (status != DONE || ACTION != ACCUMULATE) return status;
    pass->log_likelihood = *total.sums;
    total.collection.deliver(p, *pass);
    return DONE;
}

// Whether rows ask so few components that looking for these is worth it, on some rows spread over all.
template <typename Real>
bool reach_pays(const PackedMixture<Real>& p, const MixturePass& pass, const Reach<Real>& reach, int64_t strip_rows) {
    constexpr int L = Simd<Real>::lanes, SAMPLE = 64;
    Scratch memory;
    Block<Real> block;
    Near* near = nullptr;
    const bool allocated = memory.allocate([&](Arena& arena) {
        block.lay_out(arena, p);
        near = arena.take<Near>(p.k);
    });
    if (!allocated) return false;
    const int64_t between = p.n / SAMPLE;
    const double k = double(p.k), cells = double(reach.n_cells);
    // Rows of a block have so many components on the average, and ask what any of them asks.
    const double leads = double(L) * k / double(strip_rows) + 1.0, together = leads < double(L) ? leads : double(L);
    double asked = 0.0;
    for (int64_t i = 0; i < SAMPLE; i += L) {
        int32_t index[L];
        for (int l = 0; l < L; ++l) index[l] = int32_t(l * between);
        block.read(p, static_cast<const Real*>(pass.rows) + i * between * p.d, index, L);
        block.begin();
        for (int64_t c = 0; c < p.k; ++c) block.list[c] = int32_t(c);
        block.listed = p.k;
        block.ask(p, reach, 0);
        for (int l = 0; l < L; ++l) {
            const int64_t c = block.nearest[l];
            double others = k;
            if (c >= 0) {
                int64_t count[RADII];
                reach.find_radii(c, near, count);
                const double square = 2.0 * (reach.offset[c] - double(block.best[l]));
                others = double(reach.within(square > 0.0 ? __builtin_sqrt(square) : 0.0, count));
            }
            asked += others * together + together < k ? others * together + together : k;
        }
    }
    // In components asked in a pass that asks all, which finds what it needs in its order.
    const bool known = pass.leading && pass.leading[0] >= 0;
    const double search = known ? 0.0 : cells + 2.0 * k / cells, table = 0.5 * k * k / double(p.n);
    return asked / SAMPLE + search + table + 40.0 + 500.0 / double(p.d) < 0.4 * k;
}

// Makes the pass if so many components and rows are worth it; -1 where a pass that asks all is to be made.
template <typename Real>
int pass_within_reach(const PackedMixture<Real>& p, MixturePass* pass) {
    const bool float_far = p.exact && sizeof(Real) == 4;
    if (pass->action == ACCUMULATE_LABELS || p.dof || p.long_rows || float_far || p.k < LEAST_REACHED) return -1;
    if (p.n < 4096 || p.n < p.k || (p.structure == FULL && p.n < 64 * p.d)) return -1;
    // Matrices of many features by a row's own component are most of a pass, and tiles of all rows make them sooner.
    if (p.structure == FULL && p.k < 4 * p.d) return -1;
    int64_t rows = p.n / 32;
    rows = rows < 8 * p.k ? rows : 8 * p.k;
    rows = rows < 1920 ? 1920 : rows;
    rows = rows < (p.n + 127) / 128 ? (p.n + 127) / 128 : rows;
    const Strips strips{p.n, rows, rows, (p.n + rows - 1) / rows};
    const double work = double(p.n) * double(p.k) * double(p.d);
    const int threads = threads_for(pass->n_threads, strips.count, work);
    Reach<Real> reach;
    if (!reach.begin(p, *pass, threads)) return OUT_OF_MEMORY;
    if (!reach_pays(p, *pass, reach, rows)) return -1;
    if (!reach.list_all(threads)) return OUT_OF_MEMORY;
    const bool cross = p.structure == FULL || p.structure == TIED;
    switch (pass->action) {
        case LOG_DENSITY: return reaching_pass<Real, LOG_DENSITY, false>(p, reach, strips, threads, pass);
        case RESPONSIBILITIES: return reaching_pass<Real, RESPONSIBILITIES, false>(p, reach, strips, threads, pass);
        case ASSIGN: return reaching_pass<Real, ASSIGN, false>(p, reach, strips, threads, pass);
        default: break;
    }
    return cross ? reaching_pass<Real, ACCUMULATE, true>(p, reach, strips, threads, pass)
                 : reaching_pass<Real, ACCUMULATE, false>(p, reach, strips, threads, pass);
}
