// Student components: densities that fall as a power of the squared distance, and the precision u of each row.

// From the log of a normal component's weighted density to that of a t component with the same offset, mean and
// factor, whose normaliser the offset has: the squared distance is twice what the value lies below the offset. KEEP:
// the precisions, and the logs that their logs are made of, are kept for `weigh_tail`.
template <typename Real, bool KEEP>
NOINLINE void apply_tail(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t count) {
    constexpr int L = Simd<Real>::lanes;
    const int64_t padded = round_up(count, Simd<Real>::rows);
    const Real infinity = Real(INFINITE);
    for (int64_t c = 0; c < p.k; ++c) {
        const Vector<Real> offset = broadcast(p.offset[c]), twice = broadcast(Real(2) * p.inverse_dof[c]);
        const Vector<Real> half = broadcast(p.half_power[c]), ratio = broadcast(p.precision_ratio[c]);
        Real* values = t.log_weighted + c * t.stride;
        for (int64_t n = 0; n < padded; n += L) {
            const Vector<Real> value = load(values + n);
            // Rounding may leave the value above its offset; NaN and infinity stay what they are.
            const auto below = value<offset, finite = value> broadcast(-infinity);
            const Vector<Real> away = below ? twice * (offset - value) : Vector<Real>{};
            const LogOnePlus<Real> spread = log_one_plus<Real>(away);
            const Vector<Real> tailed = offset - half * spread.log;
            store<Real>(values + n, below ? finite ? tailed : value : value);
            if (KEEP) {
                store<Real>(t.precision + c * t.stride + n, ratio * spread.inverse);
                store<Real>(t.log_spread + c * t.stride + n, spread.log);
            }
        }
    }
}

// After `weigh_tile`: adds sums of responsibilities, and of responsibilities times log u - u, to `sums` (2, k), and
// multiplies the responsibilities by u, with which rows count in the statistics.
template <typename Real>
NOINLINE void weigh_tail(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t count, double* sums) {
    constexpr int L = Simd<Real>::lanes;
    const int64_t padded = round_up(count, Simd<Real>::rows);
    const Vector<Real> none{};
    const bool by_row = p.collection == TOTAL_SCATTER;  // which asks what a row counts for in all
    if (by_row)
        for (int64_t n = 0; n < padded; n += L) store<Real>(t.row_weight + n, none);
    for (int64_t c = 0; c < p.k; ++c) {
        Real* values = t.log_weighted + c * t.stride;
        Vector<Real> total{}, cost{};
        for (int64_t n = 0; n < padded; n += L) {
            const Vector<Real> value = load(values + n), share = value * load(t.best + n);
            if (mask_greater(share, none) == 0) continue;
            const auto counted = share > none;
            const Vector<Real> u = load(t.precision + c * t.stride + n);
            total += counted ? share : none;
            cost += counted ? share * (load(t.log_spread + c * t.stride + n) + u) : none;
            store<Real>(values + n, counted ? value * u : none);
            if (by_row) store<Real>(t.row_weight + n, load(t.row_weight + n) + (counted ? share * u : none));
        }
        const double weight = sum_lanes(total);
        sums[c] += weight;
        sums[p.k + c] += p.log_ratio[c] * weight - sum_lanes(cost);
    }
}
