// Statistics about the common centre: first and second moments of many components at once, as matrix products.

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
    int64_t n = 0;
    // As many rows at once as a vector of one component's weights is for.
    for (; LANE_FACTORS && n + L <= count; n += L) {
        Vector<Real> w[K];
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) w[k] = load_factors(weights[k] + n);
#pragma GCC unroll 8
        for (int lane = 0; lane < L; ++lane, rows += L)
#pragma GCC unroll 8
            for (int j = 0; j < J; ++j) {
                const Vector<Real> x = load(rows + j * panel);
#pragma GCC unroll 8
                for (int k = 0; k < K; ++k) sum[k][j] = broadcast<Real>(w[k][lane]) * x + sum[k][j];
            }
    }
    for (; n < count; ++n, rows += L) {
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

// What moving a sum of squares from the centre to the mean m adds to it. A call, so that the compiler rounds it alike
// wherever it is added: it would contract it into some of the sums only.
NOINLINE double moved_square(double m, double count, double sum) { return m * (count * m - 2.0 * sum); }

// Components that many of a tile's rows count for are collected here, the others by queues about their own mean.
// PAIRS: with the products of all pairs of features, which are made for a few panels and rows at a time.
template <typename Real, bool PAIRS>
struct MomentCollection {
    QueueCollection<Real, PAIRS> sparse;
    int64_t panel;    // size of a panel of `tile_rows`
    Real* tile_rows;  // panels of the tile's rows, for diagonals followed by their squares
    Real* products;   // three panels of MOMENT_ROWS
    int32_t* dense;   // (k) components collected by matrix products in this tile
    double* counts;   // (k)
    double* moments;  // (k, moment_width) first and, for diagonals and pairs, second moments
    int64_t n_moments;
    bool any_dense = false;  // in the strip
    double* squares;         // (k) sums of squared length, for spherical components

    void lay_out_scratch(Arena& arena, const PackedMixture<Real>& p, int64_t rows) {
        sparse.squares = !PAIRS && p.structure != TIED;
        sparse.lay_out_scratch(arena, p, rows);
        panel = panel_size<Real>(rows);
        const int64_t moment_panels = (PAIRS ? p.width : p.moment_width) / Simd<Real>::lanes;
        const int64_t least = scatter_panels<Real>(p.width);
        tile_rows = arena.take<Real>((moment_panels > least ? moment_panels : least) * panel);
        products = arena.take<Real>(PAIRS ? 3 * panel_size<Real>(MOMENT_ROWS) : 0);
        dense = arena.take<int32_t>(p.k);
    }

    void lay_out_sums(Arena& arena, const PackedMixture<Real>& p) {
        sparse.squares = !PAIRS && p.structure != TIED;
        sparse.lay_out_sums(arena, p);
        counts = arena.zeros<double>(p.k);
        const int64_t before = arena.used;
        moments = arena.zeros<double>(p.k * p.moment_width);
        n_moments = (arena.used - before) / int64_t(sizeof(double));
        squares = arena.zeros<double>(p.structure == SPHERICAL ? p.k : 0);
    }

    void collect(const PackedMixture<Real>& p, TileMemory<Real>& t, const Real* strip_rows, int64_t tile_first,
                 int64_t count, bool) {
        constexpr int L = Simd<Real>::lanes;
        const int64_t padded = round_up(count, Simd<Real>::rows);
        int64_t dense_count = 0;
        const bool allowed = PAIRS || p.moments_allowed;
        if (!PAIRS && allowed) copy_rows(p, t.best, strip_rows + tile_first * p.d, count);
        for (int64_t c = 0; c < p.k; ++c) {
            Real* weights = t.log_weighted + c * t.stride;
            int64_t reached = 0;
            if (allowed)
                for (int64_t n = 0; n < padded; n += L)
                    reached += __builtin_popcount(mask_greater(load(weights + n), Vector<Real>{}));
            // A product of all rows costs as much as the queues of this share of them.
            if (5 * reached <= (PAIRS ? 2 : 1) * count) {
                if (allowed && reached == 0) continue;
                sparse.collect_component(p, t, strip_rows, tile_first, c, padded);
                continue;
            }
            dense[dense_count++] = int32_t(c);
            Vector<Real> total{}, lengths{};
            for (int64_t n = 0; n < padded; n += L) {
                const Vector<Real> w = load(weights + n) * load(t.best + n);
                store<Real>(weights + n, w);
                total += w;
                const Vector<Real> none{};
                if (p.structure == SPHERICAL) lengths += w > none ? w * load(t.lengths + n) : none;
            }
            counts[c] += sum_lanes(total);
            if (p.structure == SPHERICAL) squares[c] += sum_lanes(lengths);
        }
        any_dense = any_dense || dense_count > 0;
        if (PAIRS && dense_count) copy_rows(p, t.best, strip_rows + tile_first * p.d, count);
        add_moments(p, t, dense_count, count);
    }

    // Rows that count for nothing (`best` is zero) become zeros: their squares may be infinite.
    void copy_rows(const PackedMixture<Real>& p, const Real* best, const Real* rows, int64_t count) {
        constexpr int L = Simd<Real>::lanes;
        const bool with_squares = !PAIRS && p.moment_width > p.width;
        Real* to = tile_rows;
        for (int64_t j = 0; j < p.width; j += L, to += panel) {
            const Vector<Real> centre = load((PAIRS ? p.moment_centre : p.centre) + j);
            const bool whole = j + L <= p.d;
            Real* square = to + p.width / L * panel;
            for (int64_t n = 0; n < count; ++n) {
                const Real* from = rows + n * p.d + j;
                Vector<Real> x = (whole ? load(from) : load_first(from, p.d - j)) - centre;
                x = broadcast(best[n]) > Vector<Real>{} ? x : Vector<Real>{};
                store<Real>(to + n * L, x);
                if (with_squares) store<Real>(square + n * L, x * x);
            }
        }
    }

    void add_moments(const PackedMixture<Real>& p, const TileMemory<Real>& t, int64_t dense_count, int64_t count) {
        constexpr int L = Simd<Real>::lanes;
        const int64_t of_rows = (PAIRS ? p.width : p.moment_width) / L;
        for (int64_t n = 0; n < count; n += MOMENT_ROWS) {
            const int64_t rows = count - n < MOMENT_ROWS ? count - n : MOMENT_ROWS;
            for (int64_t j = 0; j < of_rows;) {
                const int64_t block = panels_of_block(of_rows - j);
                add_panels(p, t, dense_count, n, rows, tile_rows + j * panel + n * L, panel, j, block);
                j += block;
            }
            if constexpr (PAIRS) {
                if (dense_count == 0) continue;
                const ProductPanels<Real> pairs(p.width);
                const int64_t made = panel_size<Real>(MOMENT_ROWS);
                for (int64_t j = 0; j < pairs.count;) {
                    const int64_t block = panels_of_block(pairs.count - j);
                    for (int64_t i = 0; i < block; ++i)
                        pairs.multiply(j + i, tile_rows + n * L, panel, rows, products + i * made);
                    add_panels(p, t, dense_count, n, rows, products, made, of_rows + j, block);
                    j += block;
                }
            }
        }
    }

    // Of a strip of pairs, at its end: moments are what is laid out last.
    int64_t zeros_behind() {
        const bool added = any_dense;
        any_dense = false;
        return added ? 0 : n_moments;
    }

    static int64_t panels_of_block(int64_t left) {
        if (LANE_FACTORS) return left < 2 ? left : 2;  // the weights of all components take the other registers
        return left == 4 ? 2 : left < 3 ? left : 3;
    }

    // Moments from panel `j` on: those of `rows` rows from n of the tile, in `block` panels that begin at `from`.
    INLINE_MEMBER void add_panels(const PackedMixture<Real>& p, const TileMemory<Real>& t, int64_t dense_count,
                                  int64_t n, int64_t rows, const Real* from, int64_t stride, int64_t j, int64_t block) {
        constexpr int L = Simd<Real>::lanes, K = COLUMNS;
        for (int64_t g = 0; g < dense_count; g += K) {
            const Real* weights[K];
            double* to[K];
            double spill[3 * L];  // where copies of the first component go when the group is short
#pragma GCC unroll 8
            for (int m = 0; m < K; ++m) {
                const bool real = g + m < dense_count;
                const int64_t c = dense[real ? g + m : g];
                weights[m] = t.log_weighted + c * t.stride + n;
                to[m] = real ? moments + c * p.moment_width + j * L : spill;
            }
            switch (block) {
                case 3: moment_block<Real, K, 3>(weights, from, stride, rows, to); break;
                case 2: moment_block<Real, K, 2>(weights, from, stride, rows, to); break;
                default: moment_block<Real, K, 1>(weights, from, stride, rows, to);
            }
        }
    }

    void finish(const PackedMixture<Real>& p, const Real* strip_rows) { sparse.finish(p, strip_rows); }

    // Moves the moments from the centre to the components' means on the way.
    void deliver(const PackedMixture<Real>& p, const MixturePass& pass) const {
        const int64_t d = p.d, width = p.width;
        for (int64_t c = 0; c < p.k; ++c) {
            sparse.about_means.deliver_first_moments(pass, c);
            if constexpr (PAIRS) {
                deliver_pairs(p, pass, c);
                continue;
            }
            double trace = p.structure == TIED ? 0.0 : sparse.about_means.deliver_squares(pass, c);
            const double count = counts[c];
            pass.counts[c] += count;
            if (p.structure == SPHERICAL) trace += squares[c];
            for (int64_t j = 0; j < d; ++j) {
                const double m = double(p.means[c * width + j]), sum = moments[c * p.moment_width + j];
                pass.sums[c * d + j] += sum - count * m;
                if (p.structure == TIED) continue;
                const double correction = moved_square(m, count, sum);
                if (p.structure == DIAG)
                    pass.scatter[c * d + j] += moments[c * p.moment_width + width + j] + correction;
                trace += correction;
            }
            if (p.structure == SPHERICAL) pass.scatter[c] += trace;
        }
    }

    void deliver_pairs(const PackedMixture<Real>& p, const MixturePass& pass, int64_t c) const {
        constexpr int L = Simd<Real>::lanes;
        const int64_t d = p.d;
        double* to = scatter_to(pass, c);
        unpack_scatter<Real>(sparse.about_means.scatter_of(c), p.width, d, to);
        const double count = counts[c];
        if (count == 0.0) return;
        const double *from = moments + c * p.moment_width, *second = from + p.width;
        const double* mean = p.moment_means + c * d;
        pass.counts[c] += count;
        for (int64_t j = 0; j < d; ++j) pass.sums[c * d + j] += from[j] - count * mean[j];
        const ProductPanels<Real> pairs(p.width);
        for (int64_t panel_of = 0; panel_of < pairs.count; ++panel_of)
            for (int lane = 0; lane < L; ++lane) {
                int64_t i = 0, j = 0;
                if (!pairs.pair_of(panel_of, lane, &i, &j) || i >= d || j >= d) continue;
                const double moved = mean[i] * (count * mean[j] - from[j]) - mean[j] * from[i];
                const double value = second[panel_of * L + lane] + moved;
                to[i * d + j] += value;
                if (i != j) to[j * d + i] += value;
            }
    }
};

// First moments as above, and one scatter of all rows, weighted by what responsibilities they were given in all.
template <typename Real>
struct TotalScatterCollection {
    MomentCollection<Real, false> first;
    int64_t capacity, panel;  // rows that are weighted at once, size of their panels
    Real* weighted;           // panels of rows times the root of their weight
    double* scatter;          // packed blocks

    void lay_out_scratch(Arena& arena, const PackedMixture<Real>& p, int64_t rows) {
        first.lay_out_scratch(arena, p, rows);
        capacity = Queues<Real>::rows_per_queue(p.k, p.width);
        panel = panel_size<Real>(capacity);
        weighted = arena.take<Real>(scatter_panels<Real>(p.width) * panel);
    }

    void lay_out_sums(Arena& arena, const PackedMixture<Real>& p) {
        first.lay_out_sums(arena, p);
        scatter = arena.zeros<double>(packed_scatter_size<Real>(p.width));
    }

    void collect(const PackedMixture<Real>& p, TileMemory<Real>& t, const Real* strip_rows, int64_t tile_first,
                 int64_t count, bool has_weights) {
        first.collect(p, t, strip_rows, tile_first, count, has_weights);
        // Row and row^T each carry the root of the weight; `best` is zero for a row outside every component's reach.
        constexpr int L = Simd<Real>::lanes;
        bool plain = !has_weights;
        Real* roots = t.threshold;
        for (int64_t n = 0; n < count; ++n) {
            roots[n] = t.best[n] > Real(0) ? sqrt_of(t.row_weight[n]) : Real(0);
            plain = plain && roots[n] == Real(1);
        }
        for (int64_t start = 0; start < count; start += capacity) {
            const int64_t rows = count - start < capacity ? count - start : capacity;
            const Real* from = first.tile_rows + start * L;
            if (plain) {
                add_scatter<Real>(from, first.panel, p.width, rows, scatter);
                continue;
            }
            for (int64_t j = 0; j < p.width / L; ++j)
                for (int64_t n = 0; n < rows; ++n) {
                    const Vector<Real> x = load(from + j * first.panel + n * L);
                    const Vector<Real> root = broadcast(roots[start + n]);
                    store<Real>(weighted + j * panel + n * L, root > Vector<Real>{} ? x * root : Vector<Real>{});
                }
            add_scatter<Real>(weighted, panel, p.width, rows, scatter);
        }
    }

    void finish(const PackedMixture<Real>& p, const Real* strip_rows) { first.finish(p, strip_rows); }

    void deliver(const PackedMixture<Real>& p, const MixturePass& pass) const {
        const int64_t d = p.d, width = p.width;
        unpack_scatter<Real>(scatter, width, d, pass.scatter);
        first.deliver(p, pass);
        // Rows collected by queue have sums about the mean; the total scatter holds them about the centre.
        const ComponentSums& near = first.sparse.about_means;
        for (int64_t c = 0; c < p.k; ++c) {
            const double count = first.counts[c];
            const double* moments = first.moments + c * p.moment_width;
            const double row_count = count + near.counts[c];
            for (int64_t i = 0; i < d; ++i) {
                const double mi = double(p.means[c * width + i]);
                const double sum_i = moments[i] + near.sums[c * width + i] + near.counts[c] * mi;
                for (int64_t j = 0; j < d; ++j) {
                    const double m = double(p.means[c * width + j]), sum = moments[j];
                    const double row_sum = sum + near.sums[c * width + j] + near.counts[c] * m;
                    pass.scatter[i * d + j] += row_count * m * mi - m * sum_i - mi * row_sum;
                }
            }
        }
    }
};
