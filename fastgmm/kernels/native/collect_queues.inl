// Statistics about the components' own means: rows that count for a component wait in its queue until their scatter is
// worth adding.

template <typename Real>
struct Queues {
    int64_t capacity;  // rows per queue
    int64_t slot;      // from queue to queue
    int64_t panel;     // size of a panel of `flushed`
    int32_t* rows;     // (k, slot) row of the strip
    Real* weights;     // (k, slot)
    int32_t* fill;     // (k)
    Real* flushed;     // panels of `capacity` rows on their way into a scatter

    // A queue's rows fit in the first-level cache, or twice that where a scatter is large.
    static int64_t rows_per_queue(int64_t k, int64_t width) {
        int64_t rows = (48 << 10) / (width * int64_t(sizeof(Real)));
        if (rows > (1 << 18) / k) rows = (1 << 18) / k;
        rows = rows < 32 ? 32 : rows > 256 ? 256 : rows;
        return round_up(rows, Simd<Real>::lanes);
    }

    void lay_out(Arena& arena, int64_t k, int64_t width, bool cross_moments) {
        capacity = rows_per_queue(k, width);
        slot = capacity + Simd<Real>::lanes;
        panel = panel_size<Real>(capacity);
        rows = arena.take<int32_t>(k * slot);
        weights = arena.take<Real>(k * slot);
        fill = arena.zeros<int32_t>(k);
        flushed = arena.take<Real>(cross_moments ? scatter_panels<Real>(width) * panel : 0);
    }
};

// Appends the rows of one vector that count.
template <typename Real>
INLINE void enqueue(Queues<Real>& q, int64_t c, int32_t first_row, Vector<Real> weight, uint32_t mask) {
    const int64_t at = c * q.slot + q.fill[c];
#if defined(FASTGMM_AVX512)
    if constexpr (sizeof(Real) == 8) {
        store<Real>(q.weights + at, (Vector<Real>)_mm512_maskz_compress_pd(__mmask8(mask), (__m512d)weight));
        const __m256i row = _mm256_add_epi32(_mm256_set1_epi32(first_row), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        _mm256_storeu_si256((__m256i*)(q.rows + at), _mm256_maskz_compress_epi32(__mmask8(mask), row));
    } else {
        store<Real>(q.weights + at, (Vector<Real>)_mm512_maskz_compress_ps(__mmask16(mask), (__m512)weight));
        const __m512i row = _mm512_add_epi32(_mm512_set1_epi32(first_row),
                                             _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
        _mm512_storeu_si512(q.rows + at, _mm512_maskz_compress_epi32(__mmask16(mask), row));
    }
    q.fill[c] += int32_t(__builtin_popcount(mask));
#else
    // Every lane is written, those that do not count are written over.
    int64_t to = at;
#pragma GCC unroll 8
    for (int lane = 0; lane < Simd<Real>::lanes; ++lane) {
        q.weights[to] = weight[lane];
        q.rows[to] = first_row + lane;
        to += mask >> lane & 1;
    }
    q.fill[c] += int32_t(to - at);
#endif
}

// J vectors of features of the queued rows: centred, weighted, left in q.flushed, and added to the sums.
template <typename Real, int J, bool CROSS>
INLINE void flush_features(const PackedMixture<Real>& p, const Real* strip_rows, Queues<Real>& q, int64_t c,
                           const int32_t* rows, const Real* weights, int64_t count, int64_t j0, double* sums,
                           double* squares) {
    constexpr int L = Simd<Real>::lanes;
    Vector<Real> centre[J], mean[J], sum[J], square[J];
#pragma GCC unroll 8
    for (int j = 0; j < J; ++j) {
        centre[j] = load(p.centre + j0 + j * L);
        mean[j] = load(p.means + c * p.width + j0 + j * L);
        sum[j] = square[j] = Vector<Real>{};
    }
    const bool whole = j0 + J * L <= p.d;
    for (int64_t i = 0; i < count; ++i) {
        const Real* from = strip_rows + int64_t(rows[i]) * p.d + j0;
        const Vector<Real> w = broadcast(weights[i]);
#pragma GCC unroll 8
        for (int j = 0; j < J; ++j) {
            Vector<Real> x = whole || j < J - 1 ? load(from + j * L) : load_first(from + j * L, p.d - j0 - j * L);
            x = x - centre[j] - mean[j];
            const Vector<Real> wx = x * w;
            if (CROSS) {
                store<Real>(q.flushed + (j0 / L + j) * q.panel + i * L, wx);
                sum[j] = wx * w + sum[j];
            } else {
                sum[j] += wx;
                square[j] = wx * x + square[j];
            }
        }
    }
#pragma GCC unroll 8
    for (int j = 0; j < J; ++j) {
        add_to(sums + j0 + j * L, sum[j]);
        if (!CROSS && squares) add_to(squares + j0 + j * L, square[j]);
    }
}

template <typename Real, bool CROSS>
INLINE void flush_rows(const PackedMixture<Real>& p, const Real* strip_rows, Queues<Real>& q, int64_t c,
                       const int32_t* rows, const Real* weights, int64_t count, double* sums, double* squares) {
    constexpr int L = Simd<Real>::lanes;
    int64_t j = 0;
    for (; j + 4 * L <= p.width; j += 4 * L)
        flush_features<Real, 4, CROSS>(p, strip_rows, q, c, rows, weights, count, j, sums, squares);
    switch ((p.width - j) / L) {
        case 3: flush_features<Real, 3, CROSS>(p, strip_rows, q, c, rows, weights, count, j, sums, squares); break;
        case 2: flush_features<Real, 2, CROSS>(p, strip_rows, q, c, rows, weights, count, j, sums, squares); break;
        case 1: flush_features<Real, 1, CROSS>(p, strip_rows, q, c, rows, weights, count, j, sums, squares); break;
        default: break;
    }
}

// CROSS: scatter matrices, one per component or one for all; without, sums of squares per feature, or, without
// `squares`, only first moments.
template <typename Real, bool CROSS>
struct QueueCollection {
    Queues<Real> queues;
    ComponentSums about_means;  // scatter: packed blocks, or variances
    bool squares = !CROSS;

    void lay_out_scratch(Arena& arena, const PackedMixture<Real>& p, int64_t) {
        queues.lay_out(arena, p.k, p.width, CROSS);
    }

    void lay_out_sums(Arena& arena, const PackedMixture<Real>& p) {
        const int64_t size = CROSS ? packed_scatter_size<Real>(p.width) : squares ? p.width : 0;
        about_means.lay_out(arena, p.k, p.width, size, p.structure == TIED);
    }

    void collect(const PackedMixture<Real>& p, TileMemory<Real>& t, const Real* strip_rows, int64_t tile_first,
                 int64_t count, bool) {
        const int64_t padded = round_up(count, Simd<Real>::rows);
        for (int64_t c = 0; c < p.k; ++c) collect_component(p, t, strip_rows, tile_first, c, padded);
    }

    NOINLINE void collect_component(const PackedMixture<Real>& p, TileMemory<Real>& t, const Real* strip_rows,
                                    int64_t tile_first, int64_t c, int64_t padded) {
        constexpr int L = Simd<Real>::lanes;
        const Real* weights = t.log_weighted + c * t.stride;
        Vector<Real> total{};
        for (int64_t n = 0; n < padded; n += L) {
            const Vector<Real> w = load(weights + n) * load(t.best + n);
            const uint32_t mask = mask_greater(w, Vector<Real>{});
            if (mask == 0) continue;
            total += w;
            enqueue<Real>(queues, c, int32_t(tile_first + n), w, mask);
            if (queues.fill[c] > queues.capacity - L) flush(p, strip_rows, c);
        }
        about_means.counts[c] += sum_lanes(total);
    }

    // Rows anywhere in a strip, with their weights for one component: those that count.
    NOINLINE void collect_block(const PackedMixture<Real>& p, const Real* strip_rows, int64_t c, const int32_t* index,
                                Vector<Real> weight) {
        constexpr int L = Simd<Real>::lanes;
        uint32_t mask = mask_greater(weight, Vector<Real>{});
        if (mask == 0) return;
        about_means.counts[c] += sum_lanes(weight);
        int64_t at = c * queues.slot + queues.fill[c];
        queues.fill[c] += int32_t(__builtin_popcount(mask));
        for (; mask; mask &= mask - 1, ++at) {
            const int l = __builtin_ctz(mask);
            queues.weights[at] = weight[l];
            queues.rows[at] = index[l];
        }
        if (queues.fill[c] > queues.capacity - L) flush(p, strip_rows, c);
    }

    // Rows of a strip with given owners.
    void collect_labels(const PackedMixture<Real>& p, const Real* strip_rows, const int64_t* labels,
                        const double* sample_weight, int64_t count) {
        for (int64_t n = 0; n < count; ++n) {
            const int64_t c = labels[n];
            const double w = sample_weight ? sample_weight[n] : 1.0;
            if (c < 0 || c >= p.k || !(w > 0.0)) continue;
            const int64_t at = c * queues.slot + queues.fill[c]++;
            queues.rows[at] = int32_t(n);
            queues.weights[at] = Real(w);
            about_means.counts[c] += w;
            if (queues.fill[c] == queues.capacity) flush(p, strip_rows, c);
        }
    }

    NOINLINE void flush(const PackedMixture<Real>& p, const Real* strip_rows, int64_t c) {
        const int64_t count = queues.fill[c];
        const int32_t* rows = queues.rows + c * queues.slot;
        Real* weights = queues.weights + c * queues.slot;
        double* sums = about_means.sums + c * p.width;
        double* scatter = CROSS || squares ? about_means.scatter_of(c) : nullptr;
        queues.fill[c] = 0;
        if (count == 0) return;
        // Row and row^T each carry the root of the weight.
        if (CROSS)
            for (int64_t i = 0; i < count; ++i) weights[i] = sqrt_of(weights[i]);
        flush_rows<Real, CROSS>(p, strip_rows, queues, c, rows, weights, count, sums, CROSS ? nullptr : scatter);
        if (CROSS) add_scatter<Real>(queues.flushed, queues.panel, p.width, count, scatter);
    }

    void finish(const PackedMixture<Real>& p, const Real* strip_rows) {
        for (int64_t c = 0; c < p.k; ++c) flush(p, strip_rows, c);
    }

    void deliver(const PackedMixture<Real>& p, const MixturePass& pass) const {
        const int64_t k = p.k, d = p.d;
        for (int64_t c = 0; c < k; ++c) about_means.deliver_first_moments(pass, c);
        if (CROSS) {
            const int64_t matrices = about_means.scatter_stride ? k : 1;
            const int threads = threads_for(pass.n_threads, matrices, double(matrices) * double(4 * d * d));
            share_out(matrices, threads, [&](int64_t c, int) {
                unpack_scatter<Real>(about_means.scatter_of(c), p.width, d, scatter_to(pass, c));
            });
            return;
        }
        for (int64_t c = 0; c < k; ++c) {
            const double trace = about_means.deliver_squares(pass, c);
            if (p.structure == SPHERICAL) pass.scatter[c] += trace;
        }
    }
};
