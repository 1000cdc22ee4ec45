// Statistics of rows that a few components share, component by component.

// The rows of a slab, which are shared among components before the next is begun.
struct Slab {
    int64_t first, count;
    int32_t* order;   // (count): rows by their best component
    int64_t* begins;  // (k + 1): where a component's entries begin
    int32_t* entries;
    double* shares;  // (count, candidates)
};

template <typename Real>
INLINE void prefetch_row(const Real* row, int64_t d) {
    const char* from = reinterpret_cast<const char*>(row);
    const int64_t bytes = d * int64_t(sizeof(Real));
    for (int64_t at = 0; at < bytes && at < 1024; at += 64) __builtin_prefetch(from + at);
}

// A whole vector of a row in double.
INLINE Vector<double> load_doubles(const double* from) { return load(from); }
INLINE Vector<double> load_doubles(const float* from) {
    typedef float Half __attribute__((vector_size(VECTOR_BYTES / 2)));
    Half v;
    __builtin_memcpy(&v, from, sizeof v);
    return __builtin_convertvector(v, Vector<double>);
}

// What a component's rows add to its statistics, feature by feature: (count, sums, scatter).
template <typename Real, bool EACH>
NOINLINE void collect_squares(const TruncatedPass& p, const Slab& slab, int64_t c, double* scatter) {
    constexpr int R = 4;
    const int64_t d = p.d, last = slab.begins[c + 1], whole = d / LANES * LANES;
    const double* mean = p.means + c * d;
    double* sums = p.sums + c * d;
    double count = 0.0;
    Vector<double> all{};
    double all_behind = 0.0;
    const Real* const rows = static_cast<const Real*>(p.rows) + slab.first * d;
    for (int64_t e = slab.begins[c]; e < last; e += R) {
        double share[R];
        const Real* x[R];
        for (int r = 0; r < R; ++r) {
            const int64_t entry = slab.entries[e + r < last ? e + r : last - 1];
            x[r] = rows + entry / p.n_candidates * d;
            share[r] = e + r < last ? slab.shares[entry] : 0.0;
            count += share[r];
            if (e + R + r < last) prefetch_row(rows + slab.entries[e + R + r] / p.n_candidates * d, d);
        }
        for (int64_t j = 0; j < whole; j += LANES) {
            const Vector<double> m = load(mean + j);
            Vector<double> first = load(sums + j), second = EACH ? load(scatter + j) : all;
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) {
                const Vector<double> away = load_doubles(x[r] + j) - m, weighted = broadcast(share[r]) * away;
                first += weighted;
                second = weighted * away + second;
            }
            store<double>(sums + j, first);
            if (EACH)
                store<double>(scatter + j, second);
            else
                all = second;
        }
        for (int64_t j = whole; j < d; ++j)
            for (int r = 0; r < R; ++r) {
                const double away = double(x[r][j]) - mean[j], weighted = share[r] * away;
                sums[j] += weighted;
                (EACH ? scatter[j] : all_behind) += weighted * away;
            }
    }
    if (!EACH) scatter[0] += sum_lanes(all) + all_behind;
    p.counts[c] += count;
}

// The same of matrices, the upper triangle of the scatter.
template <typename Real>
NOINLINE void collect_products(const TruncatedPass& p, const Slab& slab, int64_t c, double* away, double* scatter) {
    constexpr int R = 4;
    const int64_t d = p.d, width = round_up(d, LANES), last = slab.begins[c + 1];
    const double* mean = p.means + c * d;
    double* sums = p.sums + c * d;
    double count = 0.0;
    for (int64_t e = slab.begins[c]; e < last; e += R) {
        double share[R];
        for (int r = 0; r < R; ++r) {
            double* to = away + r * width;
            share[r] = 0.0;
            if (e + r >= last) {
                for (int64_t j = 0; j < width; ++j) to[j] = 0.0;
                continue;
            }
            const int64_t entry = slab.entries[e + r];
            const Real* x = static_cast<const Real*>(p.rows) + (slab.first + entry / p.n_candidates) * d;
            share[r] = slab.shares[entry];
            for (int64_t j = 0; j < d; ++j) to[j] = double(x[j]) - mean[j];
            count += share[r];
        }
        for (int64_t j = 0; j < d; ++j) {
            double sum = sums[j];
            for (int r = 0; r < R; ++r) sum += share[r] * away[r * width + j];
            sums[j] = sum;
        }
        for (int64_t i = 0; i < d; ++i) {
            Vector<double> own[R];
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) own[r] = broadcast(share[r] * away[r * width + i]);
            double* to = scatter + i * d;
            int64_t j = i / LANES * LANES;
            for (; j + LANES <= d; j += LANES) {
                Vector<double> sum = load(to + j);
#pragma GCC unroll 4
                for (int r = 0; r < R; ++r) sum = own[r] * load(away + r * width + j) + sum;
                store<double>(to + j, sum);
            }
            for (; j < d; ++j)
                for (int r = 0; r < R; ++r) to[j] += own[r][0] * away[r * width + j];
        }
    }
    p.counts[c] += count;
}

template <typename Real>
INLINE void collect_rows(const TruncatedPass& p, const Slab& slab, int64_t c, double* away, double* scatter) {
    switch (p.structure) {
        case DIAG: return collect_squares<Real, true>(p, slab, c, scatter);
        case SPHERICAL: return collect_squares<Real, false>(p, slab, c, scatter);
        default: return collect_products<Real>(p, slab, c, away, scatter);
    }
}

INLINE void mirror_upper(double* matrix, int64_t d) {
    for (int64_t i = 0; i < d; ++i)
        for (int64_t j = i + 1; j < d; ++j) matrix[j * d + i] = matrix[i * d + j];
}
