// From log weighted densities to responsibilities and log densities.

// Replaces log_weighted of ROW_VECTORS vectors of rows from n by exp(log_weighted - max), zero below the threshold,
// and gives max, sum and log density of each row. KEEP false only sums. A row to which no component gives density
// has max -inf, sum 0.
template <typename Real, bool KEEP>
INLINE void exponentials_of_block(const PackedMixture<Real>& p, const TileMemory<Real>& t, int64_t n,
                                  Vector<Real> (&largest)[ROW_VECTORS], Vector<Real> (&total)[ROW_VECTORS]) {
    constexpr int L = Simd<Real>::lanes, R = ROW_VECTORS;
    const Real infinity = Real(INFINITE);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
        largest[r] = broadcast(-infinity);
        total[r] = Vector<Real>{};
    }
    for (int64_t c = 0; c < p.k; ++c)
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r)
            largest[r] = maximum<Real>(load(t.log_weighted + c * t.stride + n + r * L), largest[r]);
    Vector<Real> threshold[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) threshold[r] = contribution_threshold<Real>(largest[r], broadcast(p.largest_offset));
    for (int64_t c = 0; c < p.k; ++c) {
        Real* row = t.log_weighted + c * t.stride + n;
        Vector<Real> value[R];
        uint32_t any = 0;
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            value[r] = load(row + r * L);
            any |= mask_greater(value[r], threshold[r]);
        }
        if (any == 0) {
            if (KEEP)
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) store<Real>(row + r * L, Vector<Real>{});
            continue;
        }
        Vector<Real> power[R];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) power[r] = value[r] - largest[r];
        exponentials_of<Real, R>(power);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const Vector<Real> e = value[r] > threshold[r] ? power[r] : Vector<Real>{};
            total[r] += e;
            if (KEEP) store<Real>(row + r * L, e);
        }
    }
}

template <typename Real>
INLINE Vector<Real> log_density_of(Vector<Real> largest, Vector<Real> total) {
    const Real infinity = Real(INFINITE);
    return largest > broadcast(-infinity) ? largest + logarithm<Real>(total) : broadcast(-infinity);
}

// Rows whose log-likelihood is summed in the rows' own type before it goes on in double.
constexpr int64_t LIKELIHOOD_ROWS = 480;

// Responsibilities (times weight) in place of log_weighted; returns the tile's weighted log-likelihood.
template <typename Real>
double weigh_tile(const PackedMixture<Real>& p, TileMemory<Real>& t, const double* sample_weight, int64_t count) {
    constexpr int L = Simd<Real>::lanes, R = ROW_VECTORS, rows = Simd<Real>::rows;
    const int64_t padded = round_up(count, rows);
    load_weights<Real>(sample_weight, count, padded, t.row_weight);
    const Vector<Real> none{};
    double log_likelihood = 0.0;
    for (int64_t n0 = 0; n0 < padded; n0 += LIKELIHOOD_ROWS) {
        const int64_t n1 = n0 + LIKELIHOOD_ROWS < padded ? n0 + LIKELIHOOD_ROWS : padded;
        // Without weights the logs of the sums are the log of their product; the maxima are summed beside it.
        LogSum<Real> log_sums[R];
        Vector<Real> parts[R] = {};
        for (int64_t n = n0; n < n1; n += rows) {
            Vector<Real> largest[R], total[R];
            exponentials_of_block<Real, true>(p, t, n, largest, total);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) {
                const Vector<Real> weight = load(t.row_weight + n + r * L);
                // Rows outside every component's reach carry nothing.
                store<Real>(t.best + n + r * L, total[r] > none ? weight / total[r] : none);
                if (sample_weight) {
                    const Vector<Real> density = log_density_of<Real>(largest[r], total[r]);
                    parts[r] += weight > none ? weight * density : none;
                } else {
                    const auto counted = weight > none;
                    parts[r] += counted ? largest[r] : none;
                    log_sums[r].add(counted && total[r] > none ? total[r] : broadcast(Real(1)));
                }
            }
        }
        for (int r = 0; r < R; ++r) log_likelihood += sum_lanes(parts[r]) + log_sums[r].value();
    }
    return log_likelihood;
}

template <typename Real>
void write_log_density(const PackedMixture<Real>& p, const TileMemory<Real>& t, int64_t count, Real* out) {
    constexpr int L = Simd<Real>::lanes, R = ROW_VECTORS, rows = Simd<Real>::rows;
    for (int64_t n = 0; n < count; n += rows) {
        Vector<Real> largest[R], total[R];
        exponentials_of_block<Real, false>(p, t, n, largest, total);
        Real block[rows];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) store<Real>(block + r * L, log_density_of<Real>(largest[r], total[r]));
        const int64_t left = count - n < rows ? count - n : rows;
        __builtin_memcpy(out + n, block, size_t(left) * sizeof(Real));
    }
}

template <typename Real>
void write_responsibilities(const PackedMixture<Real>& p, const TileMemory<Real>& t, int64_t count, Real* out) {
    constexpr int L = Simd<Real>::lanes, R = ROW_VECTORS, rows = Simd<Real>::rows;
    for (int64_t n = 0; n < count; n += rows) {
        Vector<Real> largest[R], total[R];
        exponentials_of_block<Real, true>(p, t, n, largest, total);
        Real scale[rows];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) store<Real>(scale + r * L, Real(1) / total[r]);
        const int64_t left = count - n < rows ? count - n : rows;
        for (int64_t m = 0; m < left; ++m) {
            Real* to = out + (n + m) * p.k;
            const Real* from = t.log_weighted + n + m;
            const bool reached = scale[m] < Real(INFINITE);
            for (int64_t c = 0; c < p.k; ++c) to[c] = reached ? from[c * t.stride] * scale[m] : Real(1) / Real(p.k);
        }
    }
}

template <typename Real>
void write_assignments(const PackedMixture<Real>& p, const TileMemory<Real>& t, int64_t count, int64_t* out) {
    constexpr int L = Simd<Real>::lanes;
    using Index = typename Bits<Real>::type;
    for (int64_t n = 0; n < count; n += L) {
        Vector<Real> best = broadcast(Real(-INFINITE));
        Integer<Real> chosen{};
        for (int64_t c = 0; c < p.k; ++c) {
            const Vector<Real> value = load(t.log_weighted + c * t.stride + n);
            const auto above = value > best;
            best = above ? value : best;
            chosen = above ? Integer<Real>{} + Index(c) : chosen;
        }
        const int64_t left = count - n < L ? count - n : L;
        for (int64_t m = 0; m < left; ++m) out[n + m] = int64_t(chosen[m]);
    }
}
