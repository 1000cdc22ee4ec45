// One pass over the rows of a mixture: strips, tiles, and the way back to the caller's arrays. A worker, one per
// thread, lays out its memory, takes strips, and delivers what all of them summed.

template <typename Real, typename Tile = TileMemory<Real>>
struct TileWorker {
    static constexpr bool BOUNDS = Tile::BOUNDS;
    Tile tile;

    // Calls work(first row, number of rows) for each tile of the strip when it is evaluated; false when stopped.
    template <typename Packed, typename Work>
    bool for_each_evaluated_tile(const Packed& p, const MixturePass& pass, const Strip& strip, Work work) {
        tile.prune_pause = 0;
        return strip.for_each_tile([&](int64_t first, int64_t count) {
            evaluate_rows<Real>(p, tile, static_cast<const Real*>(pass.rows) + first * p.d, count);
            if (p.dof && pass.action == ACCUMULATE)
                apply_tail<Real, true>(p, tile, count);
            else if (p.dof)
                apply_tail<Real, false>(p, tile, count);
            work(first, count);
        });
    }
};

// Answers about each row: nothing is summed.
template <typename Real, Action ACTION, typename Tile = TileMemory<Real>>
struct AnsweringWorker : TileWorker<Real, Tile> {
    double* sums = nullptr;

    StripSums strip_sums() const { return {sums, 0}; }

    template <typename Packed>
    void lay_out_scratch(Arena& arena, const Packed& p, int64_t tile_rows) {
        this->tile.lay_out(arena, p, tile_rows);
    }
    void lay_out_sums(Arena&, const PackedMixture<Real>&) {}

    template <typename Packed>
    void take(const Packed& p, const MixturePass& pass, const Strip& strip) {
        this->for_each_evaluated_tile(p, pass, strip, [&](int64_t first, int64_t count) {
            if constexpr (ACTION == LOG_DENSITY)
                write_log_density<Real>(p, this->tile, count, static_cast<Real*>(pass.out) + first);
            else if constexpr (ACTION == RESPONSIBILITIES)
                write_responsibilities<Real>(p, this->tile, count, static_cast<Real*>(pass.out) + first * p.k);
            else
                write_assignments<Real>(p, this->tile, count, static_cast<int64_t*>(pass.out) + first);
        });
    }

    void deliver(const PackedMixture<Real>&, MixturePass&) const {}
};

// Numbers at the end of what a collection sums that the strip has not added to.
template <typename Collection>
int64_t zeros_behind(Collection&) {
    return 0;
}
template <typename Real>
int64_t zeros_behind(MomentCollection<Real, true>& collection) {
    return collection.zeros_behind();
}

// Sums up a collection of statistics and the log-likelihood.
template <typename Real, typename Collection>
struct SummingWorker {
    Collection collection;
    double* sums;  // the first is the log-likelihood
    double* tail_sums;
    int64_t n_sums;

    template <typename Packed>
    void lay_out_sums(Arena& arena, const Packed& p) {
        const int64_t before = arena.used;
        sums = arena.zeros<double>(1);
        tail_sums = arena.zeros<double>(p.dof ? 2 * p.k : 0);
        collection.lay_out_sums(arena, p);
        n_sums = (arena.used - before) / int64_t(sizeof(double));
    }

    StripSums strip_sums() { return {sums, n_sums - zeros_behind(collection)}; }

    template <typename Packed>
    void deliver(const Packed& p, MixturePass& pass) const {
        pass.log_likelihood = *sums;
        if (!p.dof) return collection.deliver(p, pass);
        // What was collected counts rows by their precision.
        MixturePass weighed = pass;
        weighed.counts = pass.tail_sums;
        collection.deliver(p, weighed);
        for (int64_t c = 0; c < p.k; ++c) {
            pass.counts[c] += tail_sums[c];
            pass.tail_sums[p.k + c] += tail_sums[p.k + c];
        }
    }
};

// Statistics of the responsibilities.
template <typename Real, typename Collection, typename Tile = TileMemory<Real>>
struct AccumulatingWorker : TileWorker<Real, Tile>, SummingWorker<Real, Collection> {
    template <typename Packed>
    void lay_out_scratch(Arena& arena, const Packed& p, int64_t tile_rows) {
        this->tile.lay_out(arena, p, tile_rows);
        this->collection.lay_out_scratch(arena, p, tile_rows);
    }

    template <typename Packed>
    void take(const Packed& p, const MixturePass& pass, const Strip& strip) {
        const Real* strip_rows = static_cast<const Real*>(pass.rows) + strip.first * p.d;
        const bool complete = this->for_each_evaluated_tile(p, pass, strip, [&](int64_t first, int64_t count) {
            const double* sample_weight = pass.sample_weight ? pass.sample_weight + first : nullptr;
            *this->sums += weigh_tile<Real>(p, this->tile, sample_weight, count);
            if (p.dof) weigh_tail<Real>(p, this->tile, count, this->tail_sums);
            this->collection.collect(p, this->tile, strip_rows, first - strip.first, count, sample_weight != nullptr);
        });
        if (complete) this->collection.finish(p, strip_rows);
    }
};

// The same of long rows, which no tile holds.
template <typename Real>
struct LongRowWorker : SummingWorker<Real, LongRowCollection<Real>> {
    static constexpr bool BOUNDS = false;
    TileMemory<Real> tile;

    void lay_out_scratch(Arena& arena, const PackedMixture<Real>& p, int64_t tile_rows) {
        tile.lay_out(arena, p, tile_rows);
        this->collection.lay_out_scratch(arena, p, tile_rows);
    }

    void take(const PackedMixture<Real>& p, const MixturePass& pass, const Strip& strip) {
        strip.for_each_tile([&](int64_t first, int64_t count) {
            const Real* rows = static_cast<const Real*>(pass.rows) + first * p.d;
            evaluate_long_rows<Real>(p, tile, rows, count);
            if (p.dof) apply_tail<Real, true>(p, tile, count);
            const double* sample_weight = pass.sample_weight ? pass.sample_weight + first : nullptr;
            *this->sums += weigh_tile<Real>(p, tile, sample_weight, count);
            if (p.dof) weigh_tail<Real>(p, tile, count, this->tail_sums);
            this->collection.collect(p, tile, rows, count);
        });
    }
};

// Statistics of rows with given owners: every structure goes through the queues, about its own centres.
template <typename Real, bool CROSS>
struct LabelledWorker : SummingWorker<Real, QueueCollection<Real, CROSS>> {
    static constexpr bool BOUNDS = false;

    void lay_out_scratch(Arena& arena, const PackedMixture<Real>& p, int64_t tile_rows) {
        this->collection.lay_out_scratch(arena, p, tile_rows);
    }

    void take(const PackedMixture<Real>& p, const MixturePass& pass, const Strip& strip) {
        if (!strip.turnstile.keep_going(strip.thread == 0)) return;
        const Real* strip_rows = static_cast<const Real*>(pass.rows) + strip.first * p.d;
        const double* sample_weight = pass.sample_weight ? pass.sample_weight + strip.first : nullptr;
        const int64_t count = strip.last - strip.first;
        this->collection.collect_labels(p, strip_rows, pass.labels + strip.first, sample_weight, count);
        this->collection.finish(p, strip_rows);
    }
};

template <typename Worker, typename Packed>
int run_pass(const Packed& p, MixturePass* pass) {
    using Real = typename Packed::Number;
    const int64_t tile_rows = p.tile_rows();
    const Strips strips = cut_strips(p.n, tile_rows);
    const int threads = threads_for(p.most_threads(*pass), strips.count, double(p.n) * double(p.k) * p.work());
    Worker* workers = nullptr;
    Worker total{};  // of one strip: what its worker sums
    Scratch memory;
    const bool allocated = memory.allocate([&](Arena& arena) {
        workers = arena.take<Worker>(threads);
        for (int thread = 0; thread < threads; ++thread) {
            Worker worker;
            worker.lay_out_scratch(arena, p, tile_rows);
            worker.lay_out_sums(arena, p);
            if (workers) workers[thread] = worker;
            // The next one's memory is on other pages, and begins in another cache set.
            arena.used = round_up(arena.used, 4096) + 2 * ALIGNMENT * (thread + 1);
        }
        if (strips.count > 1) total.lay_out_sums(arena, p);
    });
    if (!allocated) return OUT_OF_MEMORY;
    if constexpr (Worker::BOUNDS) {
        const int64_t columns = columns_of_bound<Real>(p, workers[0].tile, static_cast<const Real*>(pass->rows));
        for (int thread = 0; thread < threads; ++thread) workers[thread].tile.bound_columns = columns;
    }
    double* const sums = strips.count > 1 ? total.sums : nullptr;
    const Status status = sum_over_strips(
        strips, threads, pass->poll, sums, [&](int thread) { return workers[thread].strip_sums(); },
        [&](const Strip& strip) { workers[strip.thread].take(p, *pass, strip); });
    if (status == DONE) (sums ? total : workers[0]).deliver(p, *pass);
    return status;
}

template <typename Real>
int accumulate(const PackedMixture<Real>& p, MixturePass* pass) {
    if (p.long_rows) return run_pass<LongRowWorker<Real>>(p, pass);
    switch (p.collection) {
        case LANES_FULL: return run_pass<AccumulatingWorker<Real, LaneCollection<Real, true>>>(p, pass);
        case LANES_DIAG: return run_pass<AccumulatingWorker<Real, LaneCollection<Real, false>>>(p, pass);
        case QUEUES: return run_pass<AccumulatingWorker<Real, QueueCollection<Real, true>>>(p, pass);
        case MOMENTS: return run_pass<AccumulatingWorker<Real, MomentCollection<Real, false>>>(p, pass);
        case CROSS_MOMENTS: return run_pass<AccumulatingWorker<Real, MomentCollection<Real, true>>>(p, pass);
        default: return run_pass<AccumulatingWorker<Real, TotalScatterCollection<Real>>>(p, pass);
    }
}

template <typename Real>
int pass_over_loadings(MixturePass* pass) {
    using Tile = LoadingTile<Real>;
    PackedLoadings<Real> p;
    if (!p.pack(*pass)) return OUT_OF_MEMORY;
    switch (pass->action) {
        case LOG_DENSITY: return run_pass<AnsweringWorker<Real, LOG_DENSITY, Tile>>(p, pass);
        case RESPONSIBILITIES: return run_pass<AnsweringWorker<Real, RESPONSIBILITIES, Tile>>(p, pass);
        case ASSIGN: return run_pass<AnsweringWorker<Real, ASSIGN, Tile>>(p, pass);
        default: return run_pass<AccumulatingWorker<Real, LoadingCollection<Real>, Tile>>(p, pass);
    }
}

template <typename Real>
int mixture_pass(MixturePass* pass) {
    if (pass->structure == LOW_RANK) return pass_over_loadings<Real>(pass);
    PackedMixture<Real> p;
    if (!p.pack(*pass)) return OUT_OF_MEMORY;
    const int within_reach = pass_within_reach<Real>(p, pass);
    if (within_reach >= 0) return within_reach;
    switch (pass->action) {
        case LOG_DENSITY: return run_pass<AnsweringWorker<Real, LOG_DENSITY>>(p, pass);
        case RESPONSIBILITIES: return run_pass<AnsweringWorker<Real, RESPONSIBILITIES>>(p, pass);
        case ASSIGN: return run_pass<AnsweringWorker<Real, ASSIGN>>(p, pass);
        case ACCUMULATE: return accumulate<Real>(p, pass);
        default: break;
    }
    const bool matrices = p.structure == FULL || p.structure == TIED;
    return matrices ? run_pass<LabelledWorker<Real, true>>(p, pass) : run_pass<LabelledWorker<Real, false>>(p, pass);
}
