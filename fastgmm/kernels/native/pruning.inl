// Densities of many components through triangular factors, finished only where they may matter.

// A partial sum of squares only grows, so a component whose bound after the first columns lies below the threshold
// under a row's best component need not be finished for that row. Each row's most promising component is
// finished first; the others only where their bound survives. What is left unfinished keeps its bound, which
// stays below the threshold.
template <typename Real>
void evaluate_pruned(const PackedMixture<Real>& p, TileMemory<Real>& t, int64_t count, int64_t columns) {
    constexpr int L = Simd<Real>::lanes;
    const int64_t padded = round_up(count, Simd<Real>::rows);
    const Real infinity = Real(INFINITE);
    for (int64_t n = 0; n < padded; n += L) {
        store<Real>(t.best + n, broadcast(-infinity));
        t.likely[n / L] = Integer<Real>{};
    }
    for (int64_t c = 0; c < p.k; ++c) {
        evaluate_component<Real>(p, t, c, count, columns);
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
        evaluate_listed<Real>(p, t, c, t.index + from, listed);
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
        if (5 * listed > 3 * padded)
            evaluate_component<Real>(p, t, c, count, p.d);
        else if (listed)
            evaluate_listed<Real>(p, t, c, t.index, listed);
    }
    t.finished = finished;
    // Where most components survive, bounds are not worth their cost for a while.
    if (2 * finished > p.k * padded) t.prune_pause = 15;
}

// Bounds of this many columns are tried, each twice the one before.
constexpr int64_t LEAST_BOUND = 8;

// How many columns bounds had best take, found on rows spread over the whole data; 0 where none pays. Bounds of few
// columns are cheap and leave much to finish, and in many dimensions a row's distance from the wrong component takes
// many columns to show.
template <typename Real>
int64_t columns_of_bound(const PackedMixture<Real>& p, TileMemory<Real>& t, const Real* rows) {
    const int64_t sample = 240;
    // The tail of a Student component is not below a Gaussian bound.
    if (p.dof || !p.by_factor || p.d <= LEAST_BOUND || p.k < 3 || p.n < 8 * sample || t.capacity < sample) return 0;
    for (int64_t n = 0; n < sample; ++n)
        for (int64_t j = 0; j < p.d; ++j) t.rows[j * t.stride + n] = rows[p.n / sample * n * p.d + j] - p.centre[j];
    int64_t best = 0;
    double least = 1.0;
    for (int64_t columns = LEAST_BOUND; columns < p.d; columns *= 2) {
        // In products of the whole factor. What is finished is gathered row by row and costs more than it would.
        const double bound = double(columns * (columns + 1)) / double(p.d * (p.d + 1));
        if (bound >= least) break;
        evaluate_pruned(p, t, sample, columns);
        const double cost = bound + 1.25 * double(t.finished + sample) / double(p.k * sample);
        if (cost < least) {
            least = cost;
            best = columns;
        }
    }
    return best;
}
