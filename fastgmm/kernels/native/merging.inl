// Greedy merging of Gaussian groups: the pair whose union costs least, again and again.
//
// A group has a count n, a mean and a matrix M (or variances); a union has the moments of its parts,
//     (n + a) M = (n_i + a) M_i + (n_j + a) M_j - F + n_i n_j / n (m_i - m_j)(m_i - m_j)^T,    n = n_i + n_j,
// and costs n log det M - b n log n more than them.

struct Merger {
    const Merging* m;
    int64_t matrix;  // values of one M
    double* gains;   // (n, n), what merging i and j > i costs
    int64_t* nearest;
    double* least;
    double* costs;
    char* alive;

    const double* matrix_of(int64_t i) const { return m->matrices + i * matrix; }

    // Writes the union's M to `both`.
    void unite(int64_t i, int64_t j, double* __restrict both) const {
        const int64_t d = m->d;
        const double ni = m->counts[i], nj = m->counts[j], a = m->extra_count, n = ni + nj;
        const double total = n + a, share = total > 0.0 ? 1.0 / total : 0.0;
        const double wi = total > 0.0 ? (ni + a) * share : 1.0, wj = total > 0.0 ? (nj + a) * share : 0.0;
        const double spread = n > 0.0 ? ni * (nj / n) * share : 0.0;
        const double *x = m->means + i * d, *y = m->means + j * d, *p = matrix_of(i), *q = matrix_of(j);
        const double* floor = m->floor;
        if (m->structure == FULL) {
            for (int64_t r = 0; r < d; ++r) {
                const double shift = spread * (y[r] - x[r]);
                for (int64_t c = r; c < d; ++c) {
                    const int64_t at = r * d + c;
                    both[at] = wi * p[at] + wj * q[at] - share * floor[at] + shift * (y[c] - x[c]);
                }
            }
            return;
        }
        double trace = 0.0;
        for (int64_t c = 0; c < d; ++c) {
            const double square = (y[c] - x[c]) * (y[c] - x[c]);
            if (m->structure == DIAG)
                both[c] = wi * p[c] + wj * q[c] - share * floor[c] + spread * square;
            else
                trace += square;
        }
        if (m->structure == SPHERICAL) both[0] = wi * p[0] + wj * q[0] - share * floor[0] + spread * trace / double(d);
    }

    // The cost of a group, less what all groups share, minus infinity for one without a volume; `r` is scratch for a
    // triangle, (d, d).
    double cost(double n, const double* matrix_values, double* __restrict r) const {
        const int64_t d = m->d;
        if (!(n > 0.0)) return 0.0;
        double log_det = 0.0, product = 1.0;
        const int64_t count = m->structure == FULL ? d : matrix;
        if (m->structure == FULL && !triangle_of(matrix_values, d, r)) return -INFINITE;
        for (int64_t i = 0; i < count; ++i) {
            const double value = m->structure == FULL ? r[i * d + i] : matrix_values[i];
            if (!(value > 0.0)) return -INFINITE;
            product *= value;
            if (product < 1e-150 || product > 1e150) {
                log_det += __builtin_log(product);
                product = 1.0;
            }
        }
        log_det += __builtin_log(product);
        log_det *= m->structure == FULL ? 2.0 : m->structure == SPHERICAL ? double(d) : 1.0;
        return n * (log_det - m->entropy * __builtin_log(n));
    }

    double gain(int64_t i, int64_t j, double* scratch) const {
        unite(i, j, scratch);
        const double together = cost(m->counts[i] + m->counts[j], scratch, scratch + matrix);
        return together > -INFINITE ? together - costs[i] - costs[j] : INFINITE;
    }

    void rescan(int64_t i) const {
        least[i] = INFINITE;
        nearest[i] = -1;
        for (int64_t j = i + 1; j < m->n; ++j) {
            const double value = gains[i * m->n + j];
            if (alive[j] && (nearest[i] < 0 || value < least[i])) {
                least[i] = value;
                nearest[i] = j;
            }
        }
    }
};

// The greedy loop is serial; the first costs of all pairs are shared out among threads.
int merge_groups(Merging* m) {
    const int64_t n = m->n, d = m->d;
    Merger g{};
    g.m = m;
    g.matrix = m->structure == FULL ? d * d : m->structure == DIAG ? d : 1;
    const int64_t scratch_values = g.matrix + (m->structure == FULL ? d * d : 0);
    const double pair = double(scratch_values) * (m->structure == FULL ? double(d) : 1.0) + 50.0;
    const int n_threads = threads_for(m->n_threads, n, 0.5 * double(n) * double(n) * pair);
    double* scratch = nullptr;  // a thread's behind another's
    Scratch memory;
    const bool allocated = memory.allocate([&](Arena& arena) {
        g.gains = arena.take<double>(n * n);
        g.nearest = arena.take<int64_t>(n);
        g.least = arena.take<double>(n);
        g.costs = arena.take<double>(n);
        g.alive = arena.take<char>(n);
        scratch = arena.take<double>(scratch_values * n_threads);
    });
    if (!allocated) return OUT_OF_MEMORY;
    for (int64_t i = 0; i < n; ++i) {
        g.alive[i] = 1;
        g.costs[i] = g.cost(m->counts[i], g.matrix_of(i), scratch);
        m->labels[i] = i;
    }
    share_out(n, n_threads, [&](int64_t i, int thread) {
        for (int64_t j = i + 1; j < n; ++j) g.gains[i * n + j] = g.gain(i, j, scratch + thread * scratch_values);
        g.rescan(i);
    });
    for (int64_t left = n; left > m->n_groups; --left) {
        int64_t i = -1;
        for (int64_t r = 0; r < n; ++r)
            if (g.alive[r] && g.nearest[r] >= 0 && (i < 0 || g.least[r] < g.least[i])) i = r;
        if (i < 0) break;
        const int64_t j = g.nearest[i];
        double* mine = m->matrices + i * g.matrix;
        const double ni = m->counts[i], nj = m->counts[j], total = ni + nj;
        if (!m->shared) {
            g.unite(i, j, scratch);
            for (int64_t v = 0; v < g.matrix; ++v) mine[v] = scratch[v];
            if (m->structure == FULL)
                for (int64_t r = 0; r < d; ++r)
                    for (int64_t c = r + 1; c < d; ++c) mine[c * d + r] = mine[r * d + c];
        }
        for (int64_t c = 0; c < d; ++c)
            if (total > 0.0) m->means[i * d + c] += (m->means[j * d + c] - m->means[i * d + c]) * (nj / total);
        m->counts[i] = total;
        g.costs[i] = g.cost(total, mine, scratch);
        g.alive[j] = 0;
        for (int64_t r = 0; r < n; ++r)
            if (m->labels[r] == j) m->labels[r] = i;
        for (int64_t r = 0; r < n; ++r) {
            if (!g.alive[r] || r == i) continue;
            const int64_t low = r < i ? r : i, high = r < i ? i : r;
            g.gains[low * n + high] = g.gain(low, high, scratch);
            if (r > i) {
                if (g.nearest[r] == j) g.rescan(r);
                continue;
            }
            if (g.nearest[r] == i || g.nearest[r] == j)
                g.rescan(r);
            else if (g.gains[r * n + i] < g.least[r] || (g.gains[r * n + i] == g.least[r] && i < g.nearest[r])) {
                g.least[r] = g.gains[r * n + i];
                g.nearest[r] = i;
            }
        }
        g.rescan(i);
    }
    return DONE;
}
