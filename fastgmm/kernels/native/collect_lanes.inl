// Statistics of few features: lanes are rows, and every moment is a register.

// Few features: moments of component c over the tile in registers, lanes are rows. Cross moments of features FROM to
// UPTO with all later ones; the sums come with the first part.
template <typename Real, int D, int FROM, int UPTO, bool CROSS>
INLINE void collect_lanes(const PackedMixture<Real>& p, TileMemory<Real>& t, ComponentSums& s, int64_t c,
                          int64_t padded) {
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
    double* to = s.scatter_of(c) + (CROSS ? FROM * (2 * D - FROM + 1) / 2 : 0);
    for (int m = 0; m < M; ++m) to[m] += sum_lanes(moment[m]);
}

template <typename Real, bool CROSS, int D>
NOINLINE void collect_all_by_lanes(const PackedMixture<Real>& p, TileMemory<Real>& t, ComponentSums& s,
                                   int64_t padded) {
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
struct LaneCollection {
    ComponentSums about_means;  // scatter: upper triangles by rows, or variances

    void lay_out_scratch(Arena&, const PackedMixture<Real>&, int64_t) {}

    void lay_out_sums(Arena& arena, const PackedMixture<Real>& p) {
        about_means.lay_out(arena, p.k, p.width, CROSS ? p.d * (p.d + 1) / 2 : p.d, false);
    }

    void collect(const PackedMixture<Real>& p, TileMemory<Real>& t, const Real*, int64_t, int64_t count, bool) {
        const int64_t padded = round_up(count, Simd<Real>::rows);
        with_few_features(
            p.d, [&](auto d) { collect_all_by_lanes<Real, CROSS, decltype(d)::value>(p, t, about_means, padded); });
    }

    void finish(const PackedMixture<Real>&, const Real*) {}

    void deliver(const PackedMixture<Real>& p, const MixturePass& pass) const {
        const int64_t d = p.d;
        for (int64_t c = 0; c < p.k; ++c) {
            about_means.deliver_first_moments(pass, c);
            if (!CROSS) {
                const double trace = about_means.deliver_squares(pass, c);
                if (p.structure == SPHERICAL) pass.scatter[c] += trace;
                continue;
            }
            const double* from = about_means.scatter_of(c);
            double* to = scatter_to(pass, c);
            for (int64_t i = 0; i < d; ++i)
                for (int64_t j = i; j < d; ++j, ++from) {
                    to[i * d + j] += *from;
                    if (j > i) to[j * d + i] += *from;
                }
        }
    }
};
