// Densities of many components, finished only where they may matter.

// What it costs to finish one component for one row, in multiples of evaluating it among all: it is gathered row by
// row, and products are at their best in blocks.
template <typename Real>
double finishing_cost(const PackedMixture<Real>& p) {
    return p.by_factor ? 1.25 : 12.0;
}

// A partial sum of squares only grows, so a component whose bound after the first columns lies below the threshold
// under a row's best component need not be finished for that row. Each row's most promising component is
// finished first; the others only where their bound survives. What is left unfinished keeps its bound, which
// stays below the threshold.
template <typename Real>
void evaluate_pruned(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t count, int64_t columns,
                     bool finishes = true) {
    constexpr int L = Simd<Real>::lanes;
    const bool products = !p.by_factor;
    auto finish = [&](int64_t c, const int32_t* index, int64_t listed) {
        if (products)
            evaluate_listed_products<Real>(p, t, c, index, listed);
        else
            evaluate_listed<Real>(p, t, c, index, listed);
    };
    const int64_t padded = round_up(count, Simd<Real>::rows);
    const Real infinity = Real(INFINITE);
    for (int64_t n = 0; n < padded; n += L) {
        store<Real>(t.best + n, broadcast(-infinity));
        t.likely[n / L] = Integer<Real>{};
    }
    if (products) {
        // `threshold` is not yet in use.
        if (p.structure == SPHERICAL || p.whiten) squared_lengths(p, t, padded, columns, t.threshold);
        evaluate_products(p, t, count, columns, p.bound_constants, t.threshold);
    }
    for (int64_t c = 0; c < p.k; ++c) {
        if (!products) evaluate_component<Real>(p, t, c, count, columns);
        const Real* bound = t.log_weighted + c * t.stride;
        const Integer<Real> here = Integer<Real>{} + typename Bits<Real>::type(c);
        for (int64_t n = 0; n < padded; n += L) {
            const Vector<Real> b = load(bound + n), best = load(t.best + n);
            const auto above = b > best;
            store<Real>(t.best + n, above ? b : best);
            t.likely[n / L] = above ? here : t.likely[n / L];
        }
    }
    // Rows by their most promising component: a counting sort.
    const typename Bits<Real>::type* likely = reinterpret_cast<const typename Bits<Real>::type*>(t.likely);
    int32_t* start = t.index + padded + L;
    for (int64_t c = 0; c <= p.k; ++c) start[c] = 0;
    for (int64_t n = 0; n < padded; ++n) ++start[likely[n] + 1];
    for (int64_t c = 0; c < p.k; ++c) start[c + 1] += start[c];
    for (int64_t n = 0; n < padded; ++n) t.index[start[likely[n]]++] = int32_t(n);
    for (int64_t c = 0; c < p.k; ++c) {
        const int64_t from = c == 0 ? 0 : start[c - 1], listed = start[c] - from;
        if (listed == 0) continue;
        finish(c, t.index + from, listed);
        const Real* value = t.log_weighted + c * t.stride;
        for (int64_t i = from; i < start[c]; ++i) t.best[t.index[i]] = value[t.index[i]];
    }
    for (int64_t n = 0; n < padded; n += L)
        store<Real>(t.threshold + n, contribution_threshold<Real>(load(t.best + n), broadcast(p.largest_offset)));

    int64_t finished = 0;
    for (int64_t c = 0; c < p.k; ++c) {
        const Real* bound = t.log_weighted + c * t.stride;
        const Integer<Real> here = Integer<Real>{} + typename Bits<Real>::type(c);
        int64_t listed = 0;
        for (int64_t n = 0; n < padded; n += L) {
            const Vector<Real> b = t.likely[n / L] == here ? broadcast(-infinity) : load(bound + n);
            uint32_t mask = mask_greater(b, load(t.threshold + n));
            for (; mask; mask &= mask - 1) t.index[listed++] = int32_t(n + __builtin_ctz(mask));
        }
        finished += listed;
        if (!finishes) continue;
        if (!products && 5 * listed > 3 * padded)
            evaluate_component<Real>(p, t, c, count, p.d);
        else if (listed)
            finish(c, t.index, listed);
    }
    t.finished = finished;
    // Where most components survive, bounds are not worth their cost for a while.
    if (finishing_cost(p) * double(finished) > 0.6 * double(p.k * padded)) t.prune_pause = 15;
}

// The density at the centre as far as the first `columns` features make it: see `pack_scales`.
template <typename Real>
void choose_bound(const PackedMixture<Real>& p, int64_t columns) {
    const int64_t step = p.structure == DIAG ? 2 * COLUMNS : COLUMNS;
    for (int64_t c = 0; c < groups_of(p.k) * COLUMNS; ++c) {
        const int64_t at = c < p.k ? c : p.k - 1;
        const double* mean = p.about + at * p.d;
        double norm = 0.0;
        for (int64_t j = 0; j < columns; ++j)
            norm += mean[j] * double(p.factors[c / COLUMNS * step * p.d + j * step + c % COLUMNS]);
        p.bound_constants[c] = Real(double(p.offset[at]) - 0.5 * norm);
    }
}

// Bounds of this many columns are tried, each twice the one before; and of products for so many components or more.
constexpr int64_t LEAST_BOUND = 8, LEAST_PRODUCTS = 128;

// How many columns bounds had best take, found on rows spread over the whole data; 0 where none pays. Bounds of few
// columns are cheap and leave much to finish, and in many dimensions a row's distance from the wrong component takes
// many columns to show.
template <typename Real>
int64_t columns_of_bound(const PackedMixture<Real>& p, TileMemory<Real>& t, const Real* rows) {
    const int64_t most = p.by_factor ? 240 : 48, sample = t.capacity < most ? t.capacity : most;
    // The tail of a Student component is not below a Gaussian bound.
    if (p.dof || p.d <= LEAST_BOUND || p.k < 3 || p.n < 8 * 240 || sample < 48) return 0;
    if (!p.by_factor && (!p.products || p.k < LEAST_PRODUCTS)) return 0;
    for (int64_t n = 0; n < sample; ++n)
        for (int64_t j = 0; j < p.d; ++j) t.rows[j * t.stride + n] = rows[p.n / sample * n * p.d + j] - p.centre[j];
    if (p.whiten) whiten_tile(p, t, sample);
    if (p.structure == SPHERICAL || p.whiten) squared_lengths(p, t, sample, p.d, t.lengths);
    int64_t best = 0;
    double least = p.by_factor ? 1.0 : 0.9;
    for (int64_t columns = LEAST_BOUND; columns < p.d; columns *= 2) {
        // In multiples of all columns; that bounds are looked at costs as much as some more.
        const double bound = p.by_factor ? double(columns * (columns + 1)) / double(p.d * (p.d + 1))
                                         : double(columns + LEAST_BOUND) / double(p.d);
        if (bound >= least) break;
        if (p.products) choose_bound(p, columns);
        evaluate_pruned(p, t, sample, columns, false);
        const double cost = bound + finishing_cost(p) * double(t.finished + sample) / double(p.k * sample);
        if (cost < least) {
            least = cost;
            best = columns;
        }
    }
    if (p.products && best) choose_bound(p, best);
    return best;
}
