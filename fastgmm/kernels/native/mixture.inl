// One pass over the rows of a mixture: tiles, strips, and the way back to the caller's arrays.

// Rows of a tile: a multiple of 48 (every block size divides it) whose memory stays in the second-level cache.
template <typename Real>
INLINE int64_t tile_rows_for(int64_t n, int64_t d, int64_t k) {
    const int64_t per_row = int64_t(sizeof(Real)) * (2 * d + k + 4);
    int64_t rows = (768 << 10) / per_row / 48 * 48;
    const int64_t most = d <= 8 ? 480 : 960;
    rows = rows < 48 ? 48 : rows > most ? most : rows;
    const int64_t needed = round_up(n, Simd<Real>::rows);
    return rows < needed ? rows : needed;
}

template <typename Real>
struct MixtureWorker {
    TileMemory<Real> tile;
    Queues<Real> queues;
    StripSums sums;

    void lay_out(Arena& arena, const PackedMixture<Real>& p, int64_t tile_rows, bool collects) {
        constexpr int L = Simd<Real>::lanes, rows = Simd<Real>::rows;
        const int64_t k = p.k, d = p.d, width = p.width;
        TileMemory<Real>& t = tile;
        constexpr int64_t line = ALIGNMENT / int64_t(sizeof(Real));
        t.capacity = tile_rows;
        t.stride = round_up(tile_rows, 2 * line) + line;
        t.rows = arena.take<Real>(d * t.stride);
        t.whitened = arena.take<Real>(p.whiten ? d * t.stride : 0);
        t.log_weighted = arena.take<Real>(k * t.stride);
        t.best = arena.take<Real>(tile_rows);
        t.threshold = arena.take<Real>(tile_rows);
        t.row_weight = arena.take<Real>(tile_rows);
        t.lengths = arena.take<Real>(tile_rows);
        t.likely = arena.take<Integer<Real>>(tile_rows / L);
        t.index = arena.take<int32_t>(tile_rows + L + k + 1);
        t.centred = arena.take<Real>(d * rows);
        t.gathered = arena.take<Real>(d * rows);
        t.bound_columns = 0;
        t.prune_pause = 0;

        StripSums& s = sums;
        if (!collects) return;
        // A queue's rows fit in the first-level cache, or twice that where a scatter is large.
        Queues<Real>& q = queues;
        const bool lanes = p.collection == LANES_FULL || p.collection == LANES_DIAG;
        int64_t capacity = (48 << 10) / (width * int64_t(sizeof(Real)));
        if (capacity > (1 << 18) / k) capacity = (1 << 18) / k;
        capacity = capacity < 32 ? 32 : capacity > 256 ? 256 : capacity;
        q.capacity = round_up(capacity, L);
        q.panel = round_up(q.capacity * L, 2 * line) + line;
        q.tile_panel = round_up(tile_rows * L, 2 * line) + line;
        q.rows = arena.take<int32_t>(lanes ? 0 : k * (q.capacity + L));
        q.weights = arena.take<Real>(lanes ? 0 : k * (q.capacity + L));
        q.fill = arena.take<int32_t>(k);
        // Where a vector is shorter than a scatter's block of rows, the last block reads a panel behind the last one.
        const int64_t scatter_panels = round_up(width, SCATTER_ROWS) / L, moment_panels = p.moment_width / L;
        q.flushed = arena.take<Real>(lanes ? 0 : scatter_panels * q.panel);
        const bool moments = p.collection == MOMENTS || p.collection == TOTAL_SCATTER;
        q.tile_rows = arena.take<Real>(
            moments ? (moment_panels > scatter_panels ? moment_panels : scatter_panels) * q.tile_panel : 0);
        q.dense = arena.take<int32_t>(k);

        const int64_t packed = packed_scatter_size<Real>(width);
        s.scatter_stride = 0;
        int64_t scatter = 0;
        switch (p.collection) {
            case LANES_FULL:
                s.scatter_stride = d * (d + 1) / 2;
                scatter = k * s.scatter_stride;
                break;
            case LANES_DIAG:
                s.scatter_stride = d;
                scatter = k * d;
                break;
            case QUEUE_FULL:
                s.scatter_stride = packed;
                scatter = k * packed;
                break;
            case QUEUE_SHARED: scatter = packed; break;
            case MOMENTS:
                s.scatter_stride = width;
                scatter = k * width;
                break;
            case TOTAL_SCATTER: break;
        }
        const int64_t squares = p.collection == MOMENTS && p.structure == SPHERICAL ? k : 0;
        const int64_t total = p.collection == TOTAL_SCATTER ? packed : 0;
        const int64_t about_centre = moments ? k * (p.moment_width + 1) : 0;
        s.size = k + k * width + scatter + about_centre + squares + total + 1;
        s.all = arena.take<double>(s.size + 4 * 8);
        if (!arena.block) return;
        double* at = s.all;
        s.scatter = at, at += scatter;
        s.sums = at, at += k * width;
        s.moments = at, at += moments ? k * p.moment_width : 0;
        s.moment_squares = at, at += squares;
        s.total_scatter = at, at += total;
        s.counts = at, at += k;
        s.moment_counts = at, at += moments ? k : 0;
        s.log_likelihood = at;
        for (int64_t i = 0; i < s.size; ++i) s.all[i] = 0.0;
        for (int64_t c = 0; c < k; ++c) q.fill[c] = 0;
    }

    void collect_tile(const PackedMixture<Real>& p, bool moments_allowed, const Real* strip_rows, int64_t tile_first,
                      int64_t count, bool weighted) {
        const int64_t padded = round_up(count, Simd<Real>::rows);
        switch (p.collection) {
            case LANES_FULL: collect_by_lanes<Real, true>(p, tile, sums, padded); break;
            case LANES_DIAG: collect_by_lanes<Real, false>(p, tile, sums, padded); break;
            case QUEUE_FULL:
            case QUEUE_SHARED:
                for (int64_t c = 0; c < p.k; ++c)
                    collect_component_by_queue<Real>(p, tile, queues, sums, strip_rows, tile_first, c, padded,
                                                     sums.scatter + c * sums.scatter_stride, true);
                break;
            case MOMENTS:
                collect_moments<Real>(p, moments_allowed, tile, queues, sums, strip_rows, tile_first, count);
                break;
            case TOTAL_SCATTER:
                collect_moments<Real>(p, true, tile, queues, sums, strip_rows, tile_first, count);
                collect_total_scatter<Real>(p, tile, queues, sums, count, weighted);
                break;
        }
    }

    // Rows of the strip with given owners, straight into the queues.
    void collect_labels(const PackedMixture<Real>& p, const Real* strip_rows, const int64_t* labels,
                        const double* sample_weight, int64_t count) {
        for (int64_t n = 0; n < count; ++n) {
            const int64_t c = labels[n];
            const double w = sample_weight ? sample_weight[n] : 1.0;
            if (c < 0 || c >= p.k || !(w > 0.0)) continue;
            const int64_t at = c * (queues.capacity + Simd<Real>::lanes) + queues.fill[c]++;
            queues.rows[at] = int32_t(n);
            queues.weights[at] = Real(w);
            sums.counts[c] += w;
            if (queues.fill[c] == queues.capacity) flush(p, strip_rows, c);
        }
    }

    void flush(const PackedMixture<Real>& p, const Real* strip_rows, int64_t c) {
        const bool cross = p.collection == QUEUE_FULL || p.collection == QUEUE_SHARED;
        double* scatter = p.collection == TOTAL_SCATTER ? nullptr : sums.scatter + c * sums.scatter_stride;
        flush_queue<Real>(p, strip_rows, queues, sums, c, scatter, cross);
    }

    void flush_all(const PackedMixture<Real>& p, const Real* strip_rows) {
        if (p.collection == LANES_FULL || p.collection == LANES_DIAG) return;
        for (int64_t c = 0; c < p.k; ++c) flush(p, strip_rows, c);
    }
};

// Adds the totals to the caller's arrays, moving moments about the common centre to the components' means.
template <typename Real>
void deliver(const PackedMixture<Real>& p, const MixturePass& pass, const StripSums& s) {
    const int64_t k = p.k, d = p.d, width = p.width;
    const bool moments = p.collection == MOMENTS || p.collection == TOTAL_SCATTER;
    if (p.collection == TOTAL_SCATTER) unpack_scatter<Real>(s.total_scatter, width, d, pass.scatter);
    if (p.collection == QUEUE_SHARED) unpack_scatter<Real>(s.scatter, width, d, pass.scatter);
    for (int64_t c = 0; c < k; ++c) {
        pass.counts[c] += s.counts[c];
        double trace = 0.0;
        double* to = nullptr;
        if (pass.structure == FULL) to = pass.scatter + c * d * d;
        if (pass.structure == TIED) to = pass.scatter;
        for (int64_t j = 0; j < d; ++j) {
            pass.sums[c * d + j] += s.sums[c * width + j];
            if (pass.structure != DIAG && pass.structure != SPHERICAL) continue;
            const double square = s.scatter[c * s.scatter_stride + j];
            if (pass.structure == DIAG) pass.scatter[c * d + j] += square;
            trace += square;
        }
        if (p.collection == QUEUE_FULL) unpack_scatter<Real>(s.scatter + c * s.scatter_stride, width, d, to);
        if (p.collection == LANES_FULL) {
            const double* from = s.scatter + c * s.scatter_stride;
            for (int64_t i = 0; i < d; ++i)
                for (int64_t j = i; j < d; ++j, ++from) {
                    to[i * d + j] += *from;
                    if (j > i) to[j * d + i] += *from;
                }
        }
        if (moments) {
            const double count = s.moment_counts[c];
            pass.counts[c] += count;
            if (p.structure == SPHERICAL) trace += s.moment_squares[c];
            for (int64_t j = 0; j < d; ++j) {
                const double m = double(p.means[c * width + j]), sum = s.moments[c * p.moment_width + j];
                pass.sums[c * d + j] += sum - count * m;
                const double correction = m * (count * m - 2.0 * sum);
                if (p.structure == DIAG)
                    pass.scatter[c * d + j] += s.moments[c * p.moment_width + width + j] + correction;
                trace += correction;
                if (p.structure != TIED) continue;
                // Rows collected by queue have sums about the mean; the total scatter holds them about the centre.
                const double row_sum = sum + s.sums[c * width + j] + s.counts[c] * m;
                const double row_count = count + s.counts[c];
                for (int64_t i = 0; i < d; ++i) {
                    const double mi = double(p.means[c * width + i]);
                    const double sum_i = s.moments[c * p.moment_width + i] + s.sums[c * width + i] + s.counts[c] * mi;
                    to[i * d + j] += row_count * m * mi - m * sum_i - mi * row_sum;
                }
            }
        }
        if (pass.structure == SPHERICAL) pass.scatter[c] += trace;
    }
}

template <typename Real>
int mixture_pass(MixturePass* pass) {
    MixtureStore<Real> store;
    if (!store.pack(*pass)) return OUT_OF_MEMORY;
    PackedMixture<Real>& p = store.mixture;
    const bool labelled = pass->action == ACCUMULATE_LABELS;
    const bool collects = pass->action == ACCUMULATE || labelled;
    if (labelled) {
        // Owners are given: every structure goes through the queues, about its own centres.
        p.collection = pass->structure == FULL ? QUEUE_FULL : pass->structure == TIED ? QUEUE_SHARED : MOMENTS;
    }
    const int64_t tile_rows = tile_rows_for<Real>(p.n, p.d, p.k);
    const Strips strips = cut_strips(p.n, tile_rows);
    const double work = double(p.n) * double(p.k) * double(p.by_factor ? p.d * (p.d + 1) : 4 * p.d + 20);
    const int threads = threads_for(pass->n_threads, strips.count, work);

    Block totals_block, workers_block;
    Arena measure{nullptr, 0};
    MixtureWorker<Real> sizing;
    sizing.lay_out(measure, p, tile_rows, collects);
    const int64_t worker_bytes = round_up(measure.used, 4096) + 128;
    if (!workers_block.allocate(threads * (worker_bytes + int64_t(sizeof(MixtureWorker<Real>)) + ALIGNMENT)))
        return OUT_OF_MEMORY;
    MixtureWorker<Real>* workers = reinterpret_cast<MixtureWorker<Real>*>(workers_block.memory);
    char* pieces = workers_block.memory + round_up(threads * int64_t(sizeof(MixtureWorker<Real>)), ALIGNMENT);
    for (int thread = 0; thread < threads; ++thread) {
        Arena arena{pieces + thread * worker_bytes, 0};
        workers[thread].lay_out(arena, p, tile_rows, collects);
    }
    if (collects) {
        // Totals share the layout of a strip's sums.
        if (!totals_block.allocate(sizing.sums.size * int64_t(sizeof(double)))) return OUT_OF_MEMORY;
        double* all = reinterpret_cast<double*>(totals_block.memory);
        for (int64_t i = 0; i < sizing.sums.size; ++i) all[i] = 0.0;
    }

    const Real* rows = static_cast<const Real*>(pass->rows);
    const int64_t bound_columns = labelled ? 0 : columns_of_bound<Real>(p, workers[0].tile, rows);
    for (int thread = 0; thread < threads; ++thread) workers[thread].tile.bound_columns = bound_columns;
    auto work_on = [&](int thread, int64_t first, int64_t last, Turnstile& turnstile, bool calling_thread) {
        MixtureWorker<Real>& worker = workers[thread];
        worker.tile.prune_pause = 0;
        const Real* strip_rows = rows + first * p.d;
        if (labelled) {
            if (!turnstile.keep_going(calling_thread)) return;
            worker.collect_labels(p, strip_rows, pass->labels + first,
                                  pass->sample_weight ? pass->sample_weight + first : nullptr, last - first);
        } else {
            for (int64_t n = first; n < last; n += tile_rows) {
                if (!turnstile.keep_going(calling_thread)) return;
                const int64_t count = last - n < tile_rows ? last - n : tile_rows;
                load_tile<Real>(rows, n, count, p.d, p.centre, worker.tile.rows, worker.tile.stride);
                evaluate_tile<Real>(p, worker.tile, count);
                switch (pass->action) {
                    case ACCUMULATE:
                        *worker.sums.log_likelihood += weigh_tile<Real>(
                            p, worker.tile, pass->sample_weight ? pass->sample_weight + n : nullptr, count);
                        worker.collect_tile(p, store.moments_allowed, strip_rows, n - first, count,
                                            pass->sample_weight != nullptr);
                        break;
                    case LOG_DENSITY:
                        write_log_density<Real>(p, worker.tile, count, static_cast<Real*>(pass->out) + n);
                        break;
                    case RESPONSIBILITIES:
                        write_responsibilities<Real>(p, worker.tile, count, static_cast<Real*>(pass->out) + n * p.k);
                        break;
                    default: write_assignments<Real>(p, worker.tile, count, static_cast<int64_t*>(pass->out) + n);
                }
            }
        }
        if (collects) worker.flush_all(p, strip_rows);
    };
    auto hand_in = [&](int thread) {
        if (!collects) return;
        double* all = reinterpret_cast<double*>(totals_block.memory);
        StripSums& s = workers[thread].sums;
        for (int64_t i = 0; i < s.size; ++i) {
            all[i] += s.all[i];
            s.all[i] = 0.0;
        }
    };
    const Status status = run_strips(strips, threads, pass->poll, work_on, hand_in);
    if (status != DONE || !collects) return status;
    StripSums& sums = workers[0].sums;
    __builtin_memcpy(sums.all, totals_block.memory, size_t(sums.size) * sizeof(double));
    pass->log_likelihood = *sums.log_likelihood;
    deliver<Real>(p, *pass, sums);
    return DONE;
}
