// Centres as the passes of k-means and of k-means++ read them, and what a thread holds of the rows.

// Packed like scales of one, about their common centre; or, for long rows, as they are.
template <typename Real>
struct PackedCentres {
    int64_t d, k, width;  // width: d rounded up to whole vectors
    bool long_rows;
    Real* points;     // (k, width) long rows
    Real* centre;     // (d)
    Real* factors;    // groups of COLUMNS
    Real* constants;  // (k, in whole groups) -1/2 squared length
    Scratch memory;

    bool pack(const double* centres, int64_t k_, int64_t d_) {
        d = d_;
        k = k_;
        width = round_up(d, Simd<Real>::lanes);
        long_rows = by_long_rows(d, k);
        if (long_rows) {
            factors = constants = nullptr;
            if (!memory.allocate([&](Arena& arena) { points = arena.take<Real>(k * width); })) return false;
            for (int64_t c = 0; c < k; ++c)
                for (int64_t j = 0; j < width; ++j) points[c * width + j] = j < d ? Real(centres[c * d + j]) : Real(0);
            return true;
        }
        const int64_t places = groups_of(k) * COLUMNS;
        const bool allocated = memory.allocate([&](Arena& arena) {
            centre = arena.take<Real>(d);
            factors = arena.take<Real>(places * 2 * d);
            constants = arena.take<Real>(places);
        });
        if (!allocated) return false;
        for (int64_t j = 0; j < d; ++j) {
            double middle = 0.0;
            for (int64_t c = 0; c < k; ++c) middle += centres[c * d + j] / double(k);
            centre[j] = Real(middle);
        }
        for (int64_t place = 0; place < places; ++place) {
            const double* from = centres + (place < k ? place : k - 1) * d;
            Real* packed = factors + place / COLUMNS * 2 * COLUMNS * d + place % COLUMNS;
            double length = 0.0;
            for (int64_t j = 0; j < d; ++j, packed += 2 * COLUMNS) {
                const double x = from[j] - double(centre[j]);
                packed[0] = Real(x);
                packed[COLUMNS] = Real(1);
                length += x * x;
            }
            constants[place] = Real(-0.5 * length);
        }
        return true;
    }
};

template <typename Real>
struct NearestMemory {
    Real* rows;     // (d, tile_rows) about the common centre; long rows: (k, tile_rows) their squared distances
    Real* lowest;   // (tile_rows)
    Real* weights;  // (tile_rows)
    double* sums;   // a strip's
    Integer<Real>* nearest;
};

// `d` numbers a row.
INLINE int64_t nearest_tile_rows(int64_t n, int64_t d, int64_t row_block) {
    int64_t rows = (64 << 10) / (8 * d) / 48 * 48;
    rows = rows < 48 ? 48 : rows > 480 ? 480 : rows;
    const int64_t needed = round_up(n, row_block);
    return rows < needed ? rows : needed;
}

// A pass over rows and a few centres: packs the centres, and gives every thread its memory.
template <typename Real>
struct CentrePass {
    PackedCentres<Real> centres;
    Strips strips;
    int threads;
    int64_t n_sums;
    double* total;                // (n_sums)
    NearestMemory<Real>* memory;  // (threads)
    Scratch scratch;

    bool prepare(const double* points, int64_t n, int64_t d, int64_t k, int n_threads, double work, int64_t n_sums_) {
        if (!centres.pack(points, k, d)) return false;
        const int64_t per_row = centres.long_rows ? k : d;
        const int64_t tile_rows = nearest_tile_rows(n, per_row, Simd<Real>::rows);
        strips = cut_strips(n, tile_rows);
        threads = threads_for(n_threads, strips.count, work);
        n_sums = n_sums_;
        return scratch.allocate([&](Arena& arena) {
            memory = arena.take<NearestMemory<Real>>(threads);
            for (int thread = 0; thread < threads; ++thread) {
                NearestMemory<Real> m;
                m.rows = arena.take<Real>(per_row * tile_rows);
                m.lowest = arena.take<Real>(tile_rows);
                m.weights = arena.take<Real>(tile_rows);
                m.sums = arena.zeros<double>(n_sums);
                m.nearest = arena.take<Integer<Real>>(tile_rows / Simd<Real>::lanes);
                if (memory) memory[thread] = m;
            }
            total = arena.zeros<double>(n_sums);
        });
    }

    // Squared distances of the block of rows at i to the C centres from `group` on.
    template <int C>
    INLINE_MEMBER void distances(const NearestMemory<Real>& m, int64_t i, int64_t group,
                                 Vector<Real> (&distance)[C][ROW_VECTORS]) const {
        constexpr int L = Simd<Real>::lanes, R = ROW_VECTORS;
        if (!centres.long_rows) {
            distance_diag<Real, R, false, C>(m.rows + i, strips.tile_rows, centres.factors + group * 2 * centres.d,
                                             centres.d, distance);
            return;
        }
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) {
            const int64_t place = group + c < centres.k ? group + c : centres.k - 1;
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) distance[c][r] = load(m.rows + place * strips.tile_rows + i + r * L);
        }
    }

    // Runs work(memory, first row, number of rows) on each tile, read as `NearestMemory` says; what it leaves in the
    // memory's sums is in `total` in the end.
    template <typename Work>
    Status run(const Real* rows, int (*poll)(), Work work) {
        return sum_over_strips(
            strips, threads, poll, total, [&](int thread) { return StripSums{memory[thread].sums, n_sums}; },
            [&](const Strip& strip) {
                NearestMemory<Real>& m = memory[strip.thread];
                strip.for_each_tile([&](int64_t first, int64_t count) {
                    if (centres.long_rows)
                        long_row_distances<Real>(rows + first * centres.d, count, round_up(count, Simd<Real>::rows),
                                                 centres.d, centres.points, centres.k, centres.width, m.rows,
                                                 strip.tile_rows);
                    else
                        load_tile<Real>(rows, first, count, centres.d, centres.d, centres.centre, m.rows,
                                        strip.tile_rows);
                    work(m, first, count);
                });
            });
    }
};
