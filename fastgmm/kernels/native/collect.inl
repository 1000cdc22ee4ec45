// From responsibilities to sufficient statistics.

// A strip's sums, all double and in one run of memory so that handing them in is one loop.
struct StripSums {
    double* all;
    int64_t size;
    double* counts;          // (k)
    double* sums;            // (k, width) about the component's mean
    double* scatter;         // packed blocks per component (or one, shared); for diagonals (k, width)
    double* moment_counts;   // (k) rows taken about the common centre
    double* moments;         // (k, moment_width) first and, for diagonals, second moments
    double* moment_squares;  // (k) sums of squared length for spherical
    double* total_scatter;   // packed blocks, about the common centre
    double* total_sums;      // (width)
    double* log_likelihood;  // (1)
    int64_t scatter_stride;
};

// Rows that count for a component, waiting until their scatter is worth adding.
template <typename Real>
struct Queues {
    int64_t capacity;    // rows per queue
    int64_t panel;       // size of a panel of `flushed`
    int64_t tile_panel;  // size of a panel of `tile_rows`
    int32_t* rows;       // (k, capacity + lanes) row of the strip
    Real* weights;       // (k, capacity + lanes)
    int32_t* fill;       // (k)
    Real* flushed;       // panels of `capacity` rows on their way into a scatter
    Real* tile_rows;     // panels of the tile's rows about the common centre, for diagonals followed by their squares
    int32_t* dense;      // (k) components collected by matrix products in this tile
};

// Rows in panels: a panel holds one vector of features of every row, row after row, so that a block of a matrix
// product walks through memory in order whatever the number of features. `panel` is the size of one panel, a few
// cache lines more than its rows take, so that panels share no cache set.
//
// The upper triangle of a scatter as blocks of SCATTER_ROWS rows by up to 4 vectors.
constexpr int SCATTER_ROWS = COLUMNS;

template <typename Real>
INLINE int64_t packed_scatter_size(int64_t width) {
    constexpr int L = Simd<Real>::lanes;
    int64_t size = 0;
    for (int64_t i = 0; i < width; i += SCATTER_ROWS) size += SCATTER_ROWS * (width - i / L * L);
    return size;
}

template <typename Real, int I, int J>
INLINE double* scatter_block(const Real* panels, int64_t panel, int64_t i0, int64_t j0, int64_t count, double* to) {
    constexpr int L = Simd<Real>::lanes;
    const Real* left = panels + i0 / L * panel + i0 % L;
    const Real* right = panels + j0 / L * panel;
    Vector<Real> sum[I][J];
#pragma GCC unroll 8
    for (int i = 0; i < I; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < J; ++j) sum[i][j] = Vector<Real>{};
    for (int64_t n = 0; n < count; ++n, left += L, right += L) {
        Vector<Real> b[J];
#pragma GCC unroll 8
        for (int j = 0; j < J; ++j) b[j] = load(right + j * panel);
#pragma GCC unroll 8
        for (int i = 0; i < I; ++i) {
            // I and L are powers of two and i0 a multiple of I: either all I lie in one panel or each L do.
            const Vector<Real> a = broadcast(I <= L ? left[i] : left[i / L * panel + i % L]);
#pragma GCC unroll 8
            for (int j = 0; j < J; ++j) sum[i][j] = a * b[j] + sum[i][j];
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < I; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < J; ++j, to += L) add_to(to, sum[i][j]);
    return to;
}

// How many of the vectors that are left the next block takes: 3, but never such that one alone remains.
INLINE int64_t scatter_vectors(int64_t left) {
    return left == 4 ? 4 : left == 5 || left < 3 ? (left < 2 ? left : 2) : 3;
}

// to += rows^T rows over `count` rows of `width` features, in panels.
template <typename Real>
NOINLINE void add_scatter(const Real* rows, int64_t panel, int64_t width, int64_t count, double* to) {
    constexpr int L = Simd<Real>::lanes, I = SCATTER_ROWS;
    for (int64_t i = 0; i < width; i += I)
        for (int64_t j = i / L * L; j < width;) {
            const int64_t vectors = scatter_vectors((width - j) / L);
            switch (vectors) {
                case 4:
                    to = scatter_block<Real, I / 2, 4>(rows, panel, i, j, count, to);
                    to = scatter_block<Real, I / 2, 4>(rows, panel, i + I / 2, j, count, to);
                    break;
                case 3: to = scatter_block<Real, I, 3>(rows, panel, i, j, count, to); break;
                case 2: to = scatter_block<Real, I, 2>(rows, panel, i, j, count, to); break;
                default: to = scatter_block<Real, I, 1>(rows, panel, i, j, count, to);
            }
            j += vectors * L;
        }
}

// Adds packed blocks to both triangles of (d, d).
template <typename Real>
void unpack_scatter(const double* packed, int64_t width, int64_t d, double* to) {
    constexpr int L = Simd<Real>::lanes;
    for (int64_t i0 = 0; i0 < width; i0 += SCATTER_ROWS)
        for (int64_t j0 = i0 / L * L; j0 < width;) {
            const int64_t block = scatter_vectors((width - j0) / L) * L;
            for (int64_t i = i0; i < i0 + SCATTER_ROWS; ++i)
                for (int64_t j = j0; j < j0 + block; ++j, ++packed) {
                    if (j < i || j >= d) continue;
                    to[i * d + j] += *packed;
                    if (j > i) to[j * d + i] += *packed;
                }
            j0 += block;
        }
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

// Moves the queue of component c into its sums and `scatter` (null: only the sums).
template <typename Real>
NOINLINE void flush_queue(const PackedMixture<Real>& p, const Real* strip_rows, Queues<Real>& q, StripSums& s,
                          int64_t c, double* scatter, bool cross_moments) {
    const int64_t slot = q.capacity + Simd<Real>::lanes, count = q.fill[c];
    const int32_t* rows = q.rows + c * slot;
    Real* weights = q.weights + c * slot;
    double* sums = s.sums + c * p.width;
    q.fill[c] = 0;
    if (count == 0) return;
    if (!cross_moments) {
        flush_rows<Real, false>(p, strip_rows, q, c, rows, weights, count, sums, scatter);
        return;
    }
    // Row and row^T each carry the root of the weight.
    for (int64_t i = 0; i < count; ++i) weights[i] = sqrt_of(weights[i]);
    flush_rows<Real, true>(p, strip_rows, q, c, rows, weights, count, sums, nullptr);
    add_scatter<Real>(q.flushed, q.panel, p.width, count, scatter);
}

// Appends the rows of one vector that count.
template <typename Real>
INLINE void enqueue(Queues<Real>& q, int64_t c, int32_t first_row, Vector<Real> weight, uint32_t mask) {
    constexpr int L = Simd<Real>::lanes;
    const int64_t at = c * (q.capacity + L) + q.fill[c];
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
    for (int lane = 0; lane < L; ++lane) {
        q.weights[to] = weight[lane];
        q.rows[to] = first_row + lane;
        to += mask >> lane & 1;
    }
    q.fill[c] += int32_t(to - at);
#endif
}

// Few features: moments of component c over the tile in registers, lanes are rows. Cross moments of features FROM to
// UPTO with all later ones; the sums come with the first part.
template <typename Real, int D, int FROM, int UPTO, bool CROSS>
INLINE void collect_lanes(const PackedMixture<Real>& p, TileMemory<Real>& t, StripSums& s, int64_t c, int64_t padded) {
    constexpr int L = Simd<Real>::lanes, WIDTH = D - FROM;
    constexpr int M = CROSS ? (UPTO - FROM) * (2 * D - FROM - UPTO + 1) / 2 : D;
    Vector<Real> count{}, sum[D], moment[M];
#pragma GCC unroll 16
    for (int j = 0; j < D; ++j) sum[j] = Vector<Real>{};
#pragma GCC unroll 32
    for (int m = 0; m < M; ++m) moment[m] = Vector<Real>{};
    const Real* weights = t.log_weighted + c * t.stride;
    const Real* mean = p.means + c * p.width;
    for (int64_t n = 0; n < padded; n += L) {
        const Vector<Real> w = load(weights + n) * load(t.best + n);
        if (mask_greater(w, Vector<Real>{}) == 0) continue;
        Vector<Real> x[WIDTH], wx[WIDTH];
#pragma GCC unroll 16
        for (int j = 0; j < WIDTH; ++j) {
            x[j] = load(t.rows + (FROM + j) * t.stride + n) - broadcast(mean[FROM + j]);
            if (FROM == 0 || FROM + j < UPTO || !CROSS) wx[j] = w * x[j];
            if (FROM == 0) sum[j] += wx[j];
        }
        if (FROM == 0) count += w;
        if constexpr (CROSS) {
            int m = 0;
#pragma GCC unroll 16
            for (int i = 0; i < UPTO - FROM; ++i)
#pragma GCC unroll 16
                for (int j = i; j < WIDTH; ++j, ++m) moment[m] = wx[i] * x[j] + moment[m];
        } else {
#pragma GCC unroll 16
            for (int j = 0; j < D; ++j) moment[j] = wx[j] * x[j] + moment[j];
        }
    }
    if (FROM == 0) {
        s.counts[c] += sum_lanes(count);
        for (int j = 0; j < D; ++j) s.sums[c * p.width + j] += sum_lanes(sum[j]);
    }
    double* to = s.scatter + c * s.scatter_stride + (CROSS ? FROM * (2 * D - FROM + 1) / 2 : 0);
    for (int m = 0; m < M; ++m) to[m] += sum_lanes(moment[m]);
}

template <typename Real, bool CROSS, int D>
NOINLINE void collect_all_by_lanes(const PackedMixture<Real>& p, TileMemory<Real>& t, StripSums& s, int64_t padded) {
    // From 6 features on the cross moments would not fit the registers at once.
    constexpr int SPLIT = !CROSS || D < 6 ? D : D == 8 ? 2 : D / 3;
    constexpr int SPLIT2 = !CROSS || D < 8 ? D : 4;
    for (int64_t c = 0; c < p.k; ++c) {
        collect_lanes<Real, D, 0, SPLIT, CROSS>(p, t, s, c, padded);
        if constexpr (SPLIT < D) collect_lanes<Real, D, SPLIT, SPLIT2, CROSS>(p, t, s, c, padded);
        if constexpr (SPLIT2 < D) collect_lanes<Real, D, SPLIT2, D, CROSS>(p, t, s, c, padded);
    }
}

template <typename Real, bool CROSS>
void collect_by_lanes(const PackedMixture<Real>& p, TileMemory<Real>& t, StripSums& s, int64_t padded) {
    switch (p.d) {
        case 1: collect_all_by_lanes<Real, CROSS, 1>(p, t, s, padded); break;
        case 2: collect_all_by_lanes<Real, CROSS, 2>(p, t, s, padded); break;
        case 3: collect_all_by_lanes<Real, CROSS, 3>(p, t, s, padded); break;
        case 4: collect_all_by_lanes<Real, CROSS, 4>(p, t, s, padded); break;
        case 5: collect_all_by_lanes<Real, CROSS, 5>(p, t, s, padded); break;
        case 6: collect_all_by_lanes<Real, CROSS, 6>(p, t, s, padded); break;
        case 7: collect_all_by_lanes<Real, CROSS, 7>(p, t, s, padded); break;
        case 8: collect_all_by_lanes<Real, CROSS, 8>(p, t, s, padded); break;
        default: break;
    }
}

template <typename Real>
NOINLINE void collect_component_by_queue(const PackedMixture<Real>& p, TileMemory<Real>& t, Queues<Real>& q,
                                         StripSums& s, const Real* strip_rows, int64_t tile_first, int64_t c,
                                         int64_t padded, double* scatter, bool cross_moments) {
    constexpr int L = Simd<Real>::lanes;
    const Real* weights = t.log_weighted + c * t.stride;
    Vector<Real> total{};
    for (int64_t n = 0; n < padded; n += L) {
        const Vector<Real> w = load(weights + n) * load(t.best + n);
        const uint32_t mask = mask_greater(w, Vector<Real>{});
        if (mask == 0) continue;
        total += w;
        enqueue<Real>(q, c, int32_t(tile_first + n), w, mask);
        if (q.fill[c] > q.capacity - L) flush_queue<Real>(p, strip_rows, q, s, c, scatter, cross_moments);
    }
    s.counts[c] += sum_lanes(total);
}

// weights^T rows for K components and J panels of `count` rows, added to each component's moments.
template <typename Real, int K, int J>
INLINE void moment_block(const Real* const* weights, const Real* rows, int64_t panel, int64_t count,
                         double* const* moments) {
    constexpr int L = Simd<Real>::lanes;
    Vector<Real> sum[K][J];
#pragma GCC unroll 8
    for (int k = 0; k < K; ++k)
#pragma GCC unroll 8
        for (int j = 0; j < J; ++j) sum[k][j] = Vector<Real>{};
    for (int64_t n = 0; n < count; ++n, rows += L) {
        Vector<Real> x[J];
#pragma GCC unroll 8
        for (int j = 0; j < J; ++j) x[j] = load(rows + j * panel);
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) {
            const Vector<Real> w = broadcast(weights[k][n]);
#pragma GCC unroll 8
            for (int j = 0; j < J; ++j) sum[k][j] = w * x[j] + sum[k][j];
        }
    }
#pragma GCC unroll 8
    for (int k = 0; k < K; ++k)
#pragma GCC unroll 8
        for (int j = 0; j < J; ++j) add_to(moments[k] + j * L, sum[k][j]);
}

// Rows of the tile that a moment block takes at once: three panels of them stay in the first-level cache.
constexpr int64_t MOMENT_ROWS = 160;

template <typename Real>
void add_moments(const PackedMixture<Real>& p, const TileMemory<Real>& t, const Queues<Real>& q, StripSums& s,
                 int64_t dense_count, int64_t count) {
    constexpr int L = Simd<Real>::lanes, K = COLUMNS;
    const int64_t panel = q.tile_panel, panels = p.moment_width / L;
    for (int64_t n = 0; n < count; n += MOMENT_ROWS) {
        const int64_t rows = count - n < MOMENT_ROWS ? count - n : MOMENT_ROWS;
        for (int64_t j = 0; j < panels;) {
            const int64_t block = panels - j == 4 ? 2 : panels - j < 3 ? panels - j : 3;
            const Real* from = q.tile_rows + j * panel + n * L;
            for (int64_t g = 0; g < dense_count; g += K) {
                const Real* weights[K];
                double* moments[K];
                double spill[3 * L];  // where copies of the first component go when the group is short
#pragma GCC unroll 8
                for (int m = 0; m < K; ++m) {
                    const bool real = g + m < dense_count;
                    const int64_t c = q.dense[real ? g + m : g];
                    weights[m] = t.log_weighted + c * t.stride + n;
                    moments[m] = real ? s.moments + c * p.moment_width + j * L : spill;
                }
                switch (block) {
                    case 3: moment_block<Real, K, 3>(weights, from, panel, rows, moments); break;
                    case 2: moment_block<Real, K, 2>(weights, from, panel, rows, moments); break;
                    default: moment_block<Real, K, 1>(weights, from, panel, rows, moments);
                }
            }
            j += block;
        }
    }
}

// Rows of the tile about the common centre, in panels; for diagonals their squares in further panels. Rows that
// count for nothing (`best` is zero) become zeros: their squares may be infinite.
template <typename Real>
void copy_tile_rows(const PackedMixture<Real>& p, const Real* best, const Real* rows, int64_t count, int64_t panel,
                    Real* to) {
    constexpr int L = Simd<Real>::lanes;
    const bool squares = p.moment_width > p.width;
    for (int64_t j = 0; j < p.width; j += L, to += panel) {
        const Vector<Real> centre = load(p.centre + j);
        const bool whole = j + L <= p.d;
        Real* square = to + p.width / L * panel;
        for (int64_t n = 0; n < count; ++n) {
            const Real* from = rows + n * p.d + j;
            Vector<Real> x = (whole ? load(from) : load_first(from, p.d - j)) - centre;
            x = broadcast(best[n]) > Vector<Real>{} ? x : Vector<Real>{};
            store<Real>(to + n * L, x);
            if (squares) store<Real>(square + n * L, x * x);
        }
    }
}

// Components that many rows count for are collected by matrix products about the common centre, the others by
// queues about their own mean.
template <typename Real>
void collect_moments(const PackedMixture<Real>& p, bool moments_allowed, TileMemory<Real>& t, Queues<Real>& q,
                     StripSums& s, const Real* strip_rows, int64_t tile_first, int64_t count) {
    constexpr int L = Simd<Real>::lanes;
    const int64_t padded = round_up(count, Simd<Real>::rows);
    const bool diagonal = p.collection == MOMENTS;
    int64_t dense_count = 0;
    if (moments_allowed)
        copy_tile_rows<Real>(p, t.best, strip_rows + tile_first * p.d, count, q.tile_panel, q.tile_rows);
    for (int64_t c = 0; c < p.k; ++c) {
        Real* weights = t.log_weighted + c * t.stride;
        int64_t reached = 0;
        if (moments_allowed)
            for (int64_t n = 0; n < padded; n += L)
                reached += __builtin_popcount(mask_greater(load(weights + n), Vector<Real>{}));
        if (5 * reached <= count) {
            if (moments_allowed && reached == 0) continue;
            collect_component_by_queue<Real>(p, t, q, s, strip_rows, tile_first, c, padded,
                                             diagonal ? s.scatter + c * p.width : nullptr, false);
            continue;
        }
        q.dense[dense_count++] = int32_t(c);
        Vector<Real> total{}, squares{};
        for (int64_t n = 0; n < padded; n += L) {
            const Vector<Real> w = load(weights + n) * load(t.best + n);
            store<Real>(weights + n, w);
            total += w;
            const Vector<Real> none{};
            if (p.structure == SPHERICAL) squares += w > none ? w * load(t.lengths + n) : none;
        }
        s.moment_counts[c] += sum_lanes(total);
        if (p.structure == SPHERICAL) s.moment_squares[c] += sum_lanes(squares);
    }
    add_moments<Real>(p, t, q, s, dense_count, count);
}

// The scatter of all rows about the common centre, weighted by what responsibilities they were given in all.
template <typename Real>
void collect_total_scatter(const PackedMixture<Real>& p, const TileMemory<Real>& t, Queues<Real>& q, StripSums& s,
                           int64_t count, bool weighted) {
    // Row and row^T each carry the root of the weight; `best` is zero for a row outside every component's reach.
    bool plain = !weighted;
    Real* roots = t.threshold;
    for (int64_t n = 0; n < count; ++n) {
        roots[n] = t.best[n] > Real(0) ? sqrt_of(t.row_weight[n]) : Real(0);
        plain = plain && roots[n] == Real(1);
    }
    constexpr int L = Simd<Real>::lanes;
    for (int64_t first = 0; first < count; first += q.capacity) {
        const int64_t rows = count - first < q.capacity ? count - first : q.capacity;
        if (plain) {
            add_scatter<Real>(q.tile_rows + first * L, q.tile_panel, p.width, rows, s.total_scatter);
            continue;
        }
        for (int64_t j = 0; j < p.width; j += L)
            for (int64_t n = 0; n < rows; ++n) {
                const Vector<Real> x = load(q.tile_rows + j / L * q.tile_panel + (first + n) * L);
                const Vector<Real> root = broadcast(roots[first + n]);
                store<Real>(q.flushed + j / L * q.panel + n * L, root > Vector<Real>{} ? x * root : Vector<Real>{});
            }
        add_scatter<Real>(q.flushed, q.panel, p.width, rows, s.total_scatter);
    }
}
