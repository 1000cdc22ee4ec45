// Nearest centres: the passes of k-means and of k-means++.

// Centres packed like scales of one, about their common centre.
template <typename Real>
struct PackedCentres {
    int64_t d, k;
    Real* centre;     // (d)
    Real* factors;    // groups of COLUMNS
    Real* constants;  // (k, in whole groups) -1/2 squared length
    Block block;

    bool pack(const double* centres, int64_t k_, int64_t d_) {
        d = d_;
        k = k_;
        const int64_t groups = (k + COLUMNS - 1) / COLUMNS;
        Arena arena{nullptr, 0};
        for (int turn = 0; turn < 2; ++turn) {
            arena.used = 0;
            centre = arena.take<Real>(d);
            factors = arena.take<Real>(groups * 2 * COLUMNS * d);
            constants = arena.take<Real>(groups * COLUMNS);
            if (turn == 0) {
                if (!block.allocate(arena.used)) return false;
                arena.block = block.memory;
            }
        }
        for (int64_t j = 0; j < d; ++j) {
            double middle = 0.0;
            for (int64_t c = 0; c < k; ++c) middle += centres[c * d + j] / double(k);
            centre[j] = Real(middle);
            for (int64_t c = 0; c < groups * COLUMNS; ++c) {
                Real* packed = factors + c / COLUMNS * 2 * COLUMNS * d + j * 2 * COLUMNS + c % COLUMNS;
                packed[0] = Real(centres[(c < k ? c : k - 1) * d + j] - double(centre[j]));
                packed[COLUMNS] = Real(1);
            }
        }
        for (int64_t c = 0; c < groups * COLUMNS; ++c) {
            double length = 0.0;
            for (int64_t j = 0; j < d; ++j) {
                const double x = centres[(c < k ? c : k - 1) * d + j] - double(centre[j]);
                length += x * x;
            }
            constants[c] = Real(-0.5 * length);
        }
        return true;
    }
};

template <typename Real>
struct NearestMemory {
    Real* rows;     // (d, stride)
    Real* lowest;   // (stride)
    Real* weights;  // (stride)
    double* sums;   // a strip's sums
    Integer<Real>* nearest;
};

INLINE int64_t nearest_tile_rows(int64_t n, int64_t d, int64_t row_block) {
    int64_t rows = (64 << 10) / (8 * d) / 48 * 48;
    rows = rows < 48 ? 48 : rows > 480 ? 480 : rows;
    const int64_t needed = round_up(n, row_block);
    return rows < needed ? rows : needed;
}

// Cuts one block into the memory of every thread.
template <typename Real>
struct NearestMemories {
    Block block;
    NearestMemory<Real>* of;

    bool allocate(int threads, int64_t d, int64_t tile_rows, int64_t sums) {
        Arena arena{nullptr, 0};
        for (int turn = 0; turn < 2; ++turn) {
            arena.used = 0;
            of = arena.take<NearestMemory<Real>>(threads);
            for (int thread = 0; thread < threads; ++thread) {
                NearestMemory<Real> m;
                m.rows = arena.take<Real>(d * tile_rows);
                m.lowest = arena.take<Real>(tile_rows);
                m.weights = arena.take<Real>(tile_rows);
                m.sums = arena.take<double>(sums);
                m.nearest = arena.take<Integer<Real>>(tile_rows / Simd<Real>::lanes);
                if (turn == 1) {
                    of[thread] = m;
                    for (int64_t i = 0; i < sums; ++i) m.sums[i] = 0.0;
                }
            }
            if (turn == 0) {
                if (!block.allocate(arena.used)) return false;
                arena.block = block.memory;
            }
        }
        return true;
    }
};

// The nearest centre of each row of the tile, the first of equals: the largest of x . c - |c|^2 / 2.
template <typename Real>
NOINLINE void nearest_of_tile(const PackedCentres<Real>& p, NearestMemory<Real>& m, int64_t stride, int64_t count) {
    constexpr int L = Simd<Real>::lanes, R = ROW_VECTORS;
    using Index = typename Bits<Real>::type;
    for (int64_t n = 0; n < count; n += R * L) {
        Vector<Real> highest[R];
        Integer<Real> nearest[R];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            highest[r] = broadcast(-Real(__builtin_inf()));
            nearest[r] = Integer<Real>{};
        }
        for (int64_t first = 0; first < p.k; first += COLUMNS) {
            Vector<Real> sum[COLUMNS][R];
#pragma GCC unroll 8
            for (int c = 0; c < COLUMNS; ++c)
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) sum[c][r] = broadcast(p.constants[first + c]);
            add_products<Real, false>(m.rows + n, stride, p.d, p.factors + first * 2 * p.d, 2 * COLUMNS, sum);
#pragma GCC unroll 8
            for (int c = 0; c < COLUMNS; ++c)
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) {
                    const auto above = sum[c][r] > highest[r];
                    highest[r] = above ? sum[c][r] : highest[r];
                    nearest[r] = above ? Integer<Real>{} + Index(first + c) : nearest[r];
                }
        }
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) m.nearest[n / L + r] = nearest[r];
    }
}

// Adds w (x - centre) to `sum` and returns |x - centre|^2, by eight features at a time.
template <typename Real>
INLINE double add_difference(const Real* x, const double* centre, double w, int64_t d, double* __restrict sum) {
    double partial[8] = {};
    int64_t j = 0;
    for (; j + 8 <= d; j += 8) {
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) {
            const double difference = double(x[j + i]) - centre[j + i];
            partial[i] += difference * difference;
            sum[j + i] += w * difference;
        }
    }
    double distance = ((partial[0] + partial[1]) + (partial[2] + partial[3])) +
                      ((partial[4] + partial[5]) + (partial[6] + partial[7]));
    for (; j < d; ++j) {
        const double difference = double(x[j]) - centre[j];
        distance += difference * difference;
        sum[j] += w * difference;
    }
    return distance;
}

template <typename Real>
int nearest_pass(NearestPass* pass) {
    constexpr int L = Simd<Real>::lanes;
    using Index = typename Bits<Real>::type;
    PackedCentres<Real> p;
    const int64_t n = pass->n, d = pass->d, k = pass->k;
    if (!p.pack(pass->centres, k, d)) return OUT_OF_MEMORY;
    const int64_t tile_rows = nearest_tile_rows(n, d, Simd<Real>::rows);
    const Strips strips = cut_strips(n, tile_rows);
    const int threads = threads_for(pass->n_threads, strips.count, double(n) * double(k) * double(2 * d + 4));
    // Sums of a strip: k counts, k x d sums, the inertia.
    const int64_t size = k + k * d + 1;
    NearestMemories<Real> memories;
    Block total_block;
    if (!memories.allocate(threads, d, tile_rows, size) || !total_block.allocate(size * int64_t(sizeof(double))))
        return OUT_OF_MEMORY;
    double* total = reinterpret_cast<double*>(total_block.memory);
    for (int64_t i = 0; i < size; ++i) total[i] = 0.0;
    const Real* rows = static_cast<const Real*>(pass->rows);

    auto work_on = [&](int thread, int64_t first, int64_t last, Turnstile& turnstile, bool calling_thread) {
        NearestMemory<Real>& m = memories.of[thread];
        double *counts = m.sums, *sums = m.sums + k, *inertia = m.sums + k + k * d;
        for (int64_t start = first; start < last; start += tile_rows) {
            if (!turnstile.keep_going(calling_thread)) return;
            const int64_t count = last - start < tile_rows ? last - start : tile_rows;
            load_tile<Real>(rows, start, count, d, p.centre, m.rows, tile_rows);
            nearest_of_tile<Real>(p, m, tile_rows, count);
            const Index* nearest = reinterpret_cast<const Index*>(m.nearest);
            for (int64_t i = 0; i < count; ++i) {
                const int64_t c = int64_t(nearest[i]);
                const double w = pass->sample_weight ? pass->sample_weight[start + i] : 1.0;
                pass->labels[start + i] = c;
                counts[c] += w;
                const Real* x = rows + (start + i) * d;
                *inertia += w * add_difference<Real>(x, pass->centres + c * d, w, d, sums + c * d);
            }
        }
    };
    auto hand_in = [&](int thread) {
        double* sums = memories.of[thread].sums;
        for (int64_t i = 0; i < size; ++i) {
            total[i] += sums[i];
            sums[i] = 0.0;
        }
    };
    (void)L;
    const Status status = run_strips(strips, threads, pass->poll, work_on, hand_in);
    if (status != DONE) return status;
    for (int64_t c = 0; c < k; ++c) pass->counts[c] += total[c];
    for (int64_t i = 0; i < k * d; ++i) pass->sums[i] += total[k + i];
    pass->inertia = total[size - 1];
    return DONE;
}

// Squared distances of a tile to C candidates, none above those known: their weighted sums are added to `sums` (those
// of the first `count`), and the first candidate's are written where `write`.
template <typename Real, int C>
INLINE void lower_tile(NearestMemory<Real>& m, int64_t stride, int64_t padded, const Real* factors, int64_t d,
                       bool write, double* sums, int64_t count = C) {
    constexpr int L = Simd<Real>::lanes, R = ROW_VECTORS;
    Vector<Real> sum[C];
    for (int c = 0; c < C; ++c) sum[c] = Vector<Real>{};
    for (int64_t i = 0; i < padded; i += R * L) {
        Vector<Real> distance[C][R];
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c)
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) distance[c][r] = Vector<Real>{};
        distance_diag<Real, R, false, C>(m.rows + i, stride, factors, 0, d, distance);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const Vector<Real> before = load(m.lowest + i + r * L), w = load(m.weights + i + r * L);
#pragma GCC unroll 8
            for (int c = 0; c < C; ++c) {
                distance[c][r] = distance[c][r] < before ? distance[c][r] : before;
                sum[c] = w * distance[c][r] + sum[c];
            }
            if (write) store<Real>(m.lowest + i + r * L, distance[0][r]);
        }
    }
    for (int c = 0; c < C && c < count; ++c) sums[c] += sum_lanes(sum[c]);
}

template <typename Real>
int seeding_pass(SeedingPass* pass) {
    PackedCentres<Real> p;
    const int64_t n = pass->n, d = pass->d, k = pass->k;
    if (!p.pack(pass->candidates, k, d)) return OUT_OF_MEMORY;
    const int64_t tile_rows = nearest_tile_rows(n, d, Simd<Real>::rows);
    const Strips strips = cut_strips(n, tile_rows);
    const int threads = threads_for(pass->n_threads, strips.count, double(n) * double(2 * d * k + 4));
    NearestMemories<Real> memories;
    Block total_block;
    if (!memories.allocate(threads, d, tile_rows, k) || !total_block.allocate(k * int64_t(sizeof(double))))
        return OUT_OF_MEMORY;
    double* total = reinterpret_cast<double*>(total_block.memory);
    for (int64_t i = 0; i < k; ++i) total[i] = 0.0;
    const Real* rows = static_cast<const Real*>(pass->rows);
    Real* distances = static_cast<Real*>(pass->distances);

    auto work_on = [&](int thread, int64_t first, int64_t last, Turnstile& turnstile, bool calling_thread) {
        NearestMemory<Real>& m = memories.of[thread];
        for (int64_t start = first; start < last; start += tile_rows) {
            if (!turnstile.keep_going(calling_thread)) return;
            const int64_t count = last - start < tile_rows ? last - start : tile_rows;
            const int64_t padded = round_up(count, Simd<Real>::rows);
            load_tile<Real>(rows, start, count, d, p.centre, m.rows, tile_rows);
            for (int64_t i = 0; i < padded; ++i) {
                m.lowest[i] = i < count ? distances[start + i] : Real(0);
                m.weights[i] = i >= count            ? Real(0)
                               : pass->sample_weight ? Real(pass->sample_weight[start + i])
                                                     : Real(1);
            }
            for (int64_t group = 0; group < k; group += COLUMNS) {
                const Real* factors = p.factors + group * 2 * d;
                double* sums = m.sums + group;
                const bool write = !pass->potentials;
                switch (k - group) {
                    case 1: lower_tile<Real, 1>(m, tile_rows, padded, factors, d, write, sums); break;
                    case 2: lower_tile<Real, 2>(m, tile_rows, padded, factors, d, write, sums); break;
                    case 3: lower_tile<Real, 3>(m, tile_rows, padded, factors, d, write, sums); break;
                    case 4: lower_tile<Real, 4>(m, tile_rows, padded, factors, d, write, sums); break;
                    default: lower_tile<Real, COLUMNS>(m, tile_rows, padded, factors, d, write, sums, k - group);
                }
            }
            if (!pass->potentials)
                for (int64_t i = 0; i < count; ++i) distances[start + i] = m.lowest[i];
        }
    };
    auto hand_in = [&](int thread) {
        double* sums = memories.of[thread].sums;
        for (int64_t i = 0; i < k; ++i) {
            total[i] += sums[i];
            sums[i] = 0.0;
        }
    };
    const Status status = run_strips(strips, threads, pass->poll, work_on, hand_in);
    if (status != DONE) return status;
    if (pass->potentials)
        for (int64_t i = 0; i < k; ++i) pass->potentials[i] = total[i];
    return DONE;
}
