// Log of weight times density of every component for a tile of rows.

template <typename Real>
bool prunes(TileMemory<Real>& t, int64_t count) {
    if (t.bound_columns == 0 || count <= Simd<Real>::rows) return false;
    if (t.prune_pause == 0) return true;
    --t.prune_pause;
    return false;
}

template <typename Real>
void evaluate_tile(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t count) {
    if (!p.by_factor) {
        if (p.whiten) whiten_tile(p, t, count);
        if (p.structure == SPHERICAL || p.whiten)
            squared_lengths(p, t, round_up(count, Simd<Real>::rows), p.d, t.lengths);
        if (prunes(t, count))
            evaluate_pruned(p, t, count, t.bound_columns);
        else if (p.products)
            evaluate_products(p, t, count, p.d, p.constants, t.lengths);
        else if (p.exact)
            evaluate_by_scales<Real, true>(p, t, count);
        else
            evaluate_by_scales<Real, false>(p, t, count);
        return;
    }
    if (p.few) {
        const int64_t padded = round_up(count, Simd<Real>::rows);
        with_few_features(p.d, [&](auto d) { evaluate_few<Real, decltype(d)::value>(p, t, padded); });
        return;
    }
    if (prunes(t, count)) {
        evaluate_pruned(p, t, count, t.bound_columns);
        return;
    }
    for (int64_t c = 0; c < p.k; ++c) evaluate_component<Real>(p, t, c, count, p.d);
}

// Evaluates rows that lie as the caller has them.
template <typename Real>
void evaluate_rows(const PackedMixture<Real>& p, TileMemory<Real>& t, const Real* rows, int64_t count) {
    load_tile<Real>(rows, 0, count, p.d, p.d, p.centre, t.rows, t.stride);
    evaluate_tile<Real>(p, t, count);
}
