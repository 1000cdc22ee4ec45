// Centres as the passes of k-means and of k-means++ read them, and what a thread holds of the rows.

// Packed like scales of one, about their common centre.
template <typename Real>
struct PackedCentres {
    int64_t d, k;
    Real* centre;     // (d)
    Real* factors;    // groups of COLUMNS
    Real* constants;  // (k, in whole groups) -1/2 squared length
    Scratch memory;

    bool pack(const double* centres, int64_t k_, int64_t d_) {
        d = d_;
        k = k_;
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
    Real* rows;     // (d, tile_rows)
    Real* lowest;   // (tile_rows)
    Real* weights;  // (tile_rows)
    double* sums;   // a strip's
    Integer<Real>* nearest;
};

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
        const int64_t tile_rows = nearest_tile_rows(n, d, Simd<Real>::rows);
        strips = cut_strips(n, tile_rows);
        threads = threads_for(n_threads, strips.count, work);
        n_sums = n_sums_;
        return scratch.allocate([&](Arena& arena) {
            memory = arena.take<NearestMemory<Real>>(threads);
            for (int thread = 0; thread < threads; ++thread) {
                NearestMemory<Real> m;
                m.rows = arena.take<Real>(d * tile_rows);
                m.lowest = arena.take<Real>(tile_rows);
                m.weights = arena.take<Real>(tile_rows);
                m.sums = arena.zeros<double>(n_sums);
                m.nearest = arena.take<Integer<Real>>(tile_rows / Simd<Real>::lanes);
                if (memory) memory[thread] = m;
            }
            total = arena.zeros<double>(n_sums);
        });
    }

    // Runs work(memory, first row, number of rows) on each tile about the common centre; what it leaves in the
    // memory's sums is in `total` in the end.
    template <typename Work>
    Status run(const Real* rows, int (*poll)(), Work work) {
        return sum_over_strips(
            strips, threads, poll, total, [&](int thread) { return StripSums{memory[thread].sums, n_sums}; },
            [&](const Strip& strip) {
                NearestMemory<Real>& m = memory[strip.thread];
                strip.for_each_tile([&](int64_t first, int64_t count) {
                    load_tile<Real>(rows, first, count, centres.d, centres.centre, m.rows, strip.tile_rows);
                    work(m, first, count);
                });
            });
    }
};
