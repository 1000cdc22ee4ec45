// Triangular factors of matrices and their inverses.

// Writes the upper triangle of R with S = R^T R; false where S, read in its upper triangle, is not positive definite.
// By rows, so that every inner loop runs along one.
inline bool triangle_of(const double* s, int64_t d, double* __restrict r) {
    for (int64_t j = 0; j < d; ++j) {
        double* __restrict rj = r + j * d;
        for (int64_t c = j; c < d; ++c) rj[c] = s[j * d + c];
        int64_t m = 0;
        for (; m + 4 <= j; m += 4) {
            const double *r0 = r + m * d, *r1 = r0 + d, *r2 = r1 + d, *r3 = r2 + d;
            const double f0 = r0[j], f1 = r1[j], f2 = r2[j], f3 = r3[j];
            for (int64_t c = j; c < d; ++c) rj[c] -= (f0 * r0[c] + f1 * r1[c]) + (f2 * r2[c] + f3 * r3[c]);
        }
        for (; m < j; ++m) {
            const double* rm = r + m * d;
            const double f = rm[j];
            for (int64_t c = j; c < d; ++c) rj[c] -= f * rm[c];
        }
        if (!(rj[j] > 0.0) || !(rj[j] < INFINITE)) return false;
        const double inverse = 1.0 / sqrt_of(rj[j]);
        for (int64_t c = j; c < d; ++c) rj[c] *= inverse;
    }
    return true;
}

// Writes to u the upper triangular U = inv(R) with inv(S) = U U^T; false where there is none. r is scratch, (d, d).
inline bool factorise_small(const double* s, int64_t d, double* __restrict r, double* __restrict u) {
    if (!triangle_of(s, d, r)) return false;
    for (int64_t i = 0; i < d; ++i) {
        double* __restrict ui = u + i * d;
        for (int64_t c = 0; c < d; ++c) ui[c] = 0.0;
        ui[i] = 1.0;
        for (int64_t m = i; m < d; ++m) {
            const double* rm = r + m * d;
            const double value = ui[m] /= rm[m];
            for (int64_t c = m + 1; c < d; ++c) ui[c] -= value * rm[c];
        }
        if (!(ui[i] < INFINITE)) return false;
    }
    return true;
}

// From this many features on, products of blocks are worth what it takes to make them.
constexpr int64_t BLOCKED_FEATURES = 24;

// And from this many on, threads share a matrix where there are fewer matrices than threads.
constexpr int64_t SHARED_FEATURES = 384;

// A large factor R in panels of PANEL columns, row after row down to the diagonal, so that products walk through memory
// in order. Rows behind the last are those of a unit matrix.
//
// All of the work is substitution in R^T Y = B: panels of S as B give panels of R, where Y above the diagonal is what
// is wanted, and panels of the unit matrix give the rows of the inverse. SLICE rows of Y at a time, what the rows above
// them contribute comes by one product, whose factors are columns of R and Y.
struct BlockedFactor {
    static constexpr int SLICE = COLUMNS, PANEL = 3 * COLUMNS, L = Simd<double>::lanes;
    static constexpr int64_t BLOCK = 96;  // rows whose columns of R stay in the second-level cache
    static constexpr int64_t GROUP = BLOCK / PANEL;
    static constexpr int64_t DEPTH = 512;  // rows of so many columns and of a panel that stay there together

    int64_t d, rows, n_panels;
    int64_t group;        // panels of the inverse that a thread makes together
    double* r;            // panel after panel
    double* reciprocals;  // (rows) of the diagonal
    double* inverse;      // for each thread a group of panels of the inverse, transposed
    int n_threads;

    void lay_out(Arena& arena, int64_t d_, int n_threads_) {
        d = d_;
        n_threads = n_threads_;
        rows = round_up(d, SLICE);
        n_panels = (d + PANEL - 1) / PANEL;
        group = rows > 2 * DEPTH ? 2 * GROUP : GROUP;  // the more, the less often a large factor is read
        r = arena.take<double>(PANEL * PANEL * n_panels * (n_panels + 1) / 2);
        reciprocals = arena.take<double>(rows);
        inverse = arena.take<double>(n_threads * group * PANEL * rows);
    }

    double* panel(int64_t p) const { return r + PANEL * PANEL * p * (p + 1) / 2; }
    const double* column(int64_t i) const { return panel(i / PANEL) + i % PANEL; }
    int64_t rows_of_panel(int64_t p) const { return (p + 1) * PANEL < rows ? (p + 1) * PANEL : rows; }

    // Rows i to i + SLICE of a panel of Y, which hold B, less what its rows [from, until) contribute; COMPLETE, with
    // `until` at i: solved. `y` is row `from` of the panel.
    template <bool COMPLETE>
    NOINLINE void substitute(int64_t i, int64_t from, int64_t until, double* y) const {
        const double* above = column(i) + from * PANEL;
        const double* triangle = column(i) + i * PANEL;
        for (int64_t j = 0; j < PANEL; j += 3 * L) {
            double* to = y + (i - from) * PANEL + j;
            Vector<double> sum[SLICE][3];
#pragma GCC unroll 8
            for (int a = 0; a < SLICE; ++a)
#pragma GCC unroll 8
                for (int b = 0; b < 3; ++b) sum[a][b] = load(to + a * PANEL + b * L);
            const double *left = above, *right = y + j;
            for (int64_t m = from; m < until; ++m, left += PANEL, right += PANEL) {
                Vector<double> x[3];
#pragma GCC unroll 8
                for (int b = 0; b < 3; ++b) x[b] = load(right + b * L);
#pragma GCC unroll 8
                for (int a = 0; a < SLICE; ++a) {
                    const Vector<double> f = broadcast(left[a]);
#pragma GCC unroll 8
                    for (int b = 0; b < 3; ++b) sum[a][b] = sum[a][b] - f * x[b];
                }
            }
#pragma GCC unroll 8
            for (int a = 0; a < SLICE; ++a) {
                if (COMPLETE) {
                    const Vector<double> scale = broadcast(reciprocals[i + a]);
#pragma GCC unroll 8
                    for (int b = 0; b < 3; ++b) sum[a][b] *= scale;
#pragma GCC unroll 8
                    for (int c = 0; c < SLICE; ++c) {
                        if (c <= a) continue;
                        const Vector<double> f = broadcast(triangle[a * PANEL + c]);
#pragma GCC unroll 8
                        for (int b = 0; b < 3; ++b) sum[c][b] = sum[c][b] - f * sum[a][b];
                    }
                }
#pragma GCC unroll 8
                for (int b = 0; b < 3; ++b) store(to + a * PANEL + b * L, sum[a][b]);
            }
        }
    }

    // Takes from rows [first, last) of panels [p, end) of R what the rows above contribute, where those are so many
    // that slice after slice would read them from far away. Returns the row from which on contributions are missing.
    int64_t subtract_above(int64_t p, int64_t end, int64_t first, int64_t last) const {
        if (first <= DEPTH) return 0;
        for (int64_t m = 0; m < first; m += DEPTH) {
            const int64_t until = m + DEPTH < first ? m + DEPTH : first;
            for (int64_t q = p; q < end; ++q)
                for (int64_t i = first; i < last && i < rows_of_panel(q); i += SLICE)
                    substitute<false>(i, m, until, panel(q) + m * PANEL);
        }
        return first;
    }

    // Rows i to i + SLICE of R in the panel of its diagonal, which lack what rows from `from` on contribute; false
    // where a pivot is not positive.
    bool eliminate(int64_t i, int64_t from) const {
        double* const y = panel(i / PANEL);
        substitute<false>(i, from, i, y + from * PANEL);
        for (int64_t a = i; a < i + SLICE; ++a) {
            const int64_t first = a % PANEL;
            double* ya = y + a * PANEL;
            if (!(ya[first] > 0.0) || !(ya[first] < INFINITE)) return false;
            reciprocals[a] = 1.0 / sqrt_of(ya[first]);
            for (int64_t c = 0; c < PANEL; ++c) ya[c] = c < first ? 0.0 : ya[c] * reciprocals[a];
            for (int64_t b = a + 1; b < i + SLICE; ++b) {
                double* yb = y + b * PANEL;
                const double f = ya[b % PANEL];
                for (int64_t c = b % PANEL; c < PANEL; ++c) yb[c] -= f * ya[c];
            }
        }
        return true;
    }

    void load_rows(const double* s, int64_t p, int64_t first, int64_t last) const {
        for (int64_t i = first; i < last; ++i) {
            double* to = panel(p) + i * PANEL;
            for (int64_t j = 0; j < PANEL; ++j) {
                const int64_t c = p * PANEL + j;
                to[j] = i < d && c < d ? s[i * d + c] : i == c ? 1.0 : 0.0;
            }
        }
    }

    // Writes R with S = R^T R; false where there is none.
    bool factorise(const double* s) const {
        for (int64_t first = 0; first < rows; first += BLOCK) {
            const int64_t last = first + BLOCK < rows ? first + BLOCK : rows;
            const int64_t near = first / PANEL, far = (last + PANEL - 1) / PANEL;
            for (int64_t p = near; p < far; ++p) load_rows(s, p, first, rows_of_panel(p));
            const int64_t from = subtract_above(near, far, first, last);
            for (int64_t i = first; i < last; i += SLICE) {
                if (!eliminate(i, from)) return false;
                for (int64_t p = i / PANEL + 1; p < far; ++p) substitute<true>(i, from, i, panel(p) + from * PANEL);
            }
            const int64_t some = from ? 2 * GROUP : 1;
            share_out((n_panels - far + some - 1) / some, n_threads, [&](int64_t item, int) {
                const int64_t p = far + item * some, end = p + some < n_panels ? p + some : n_panels;
                for (int64_t q = p; q < end; ++q) load_rows(s, q, first, last);
                subtract_above(p, end, first, last);
                for (int64_t q = p; q < end; ++q)
                    for (int64_t i = first; i < last; i += SLICE) substitute<true>(i, from, i, panel(q) + from * PANEL);
            });
        }
        return true;
    }

    // Rows [start, end) of Y for panels [first, last) of the unit matrix as B, each from its diagonal on in `y`.
    void solve_unit(int64_t first, int64_t last, int64_t start, int64_t end, double* y) const {
        auto row = [&](int64_t p, int64_t i) { return y + ((p - first) * rows + i - p * PANEL) * PANEL; };
        auto later = [](int64_t a, int64_t b) { return a > b ? a : b; };
        for (int64_t p = first; p < last && p * PANEL < end; ++p) {
            const int64_t from = p * PANEL, top = later(start, from);
            __builtin_memset(row(p, top), 0, (end - top) * PANEL * sizeof(double));
            for (int64_t i = top; i < end && i < from + PANEL; ++i) row(p, i)[i - from] = 1.0;
        }
        // As in `subtract_above`.
        const int64_t above = start - first * PANEL > DEPTH ? start : 0;
        for (int64_t m = first * PANEL; m < above; m += DEPTH)
            for (int64_t p = first; p < last; ++p) {
                const int64_t from = later(m, p * PANEL), until = m + DEPTH < above ? m + DEPTH : above;
                for (int64_t i = start; i < end; i += SLICE) substitute<false>(i, from, until, row(p, from));
            }
        for (int64_t p = first; p < last; ++p) {
            const int64_t from = later(above, p * PANEL);
            for (int64_t i = later(start, p * PANEL); i < end; i += SLICE) substitute<true>(i, from, i, row(p, from));
        }
    }

    // Writes U = inv(R).
    void invert(double* u) const {
        share_out((n_panels + group - 1) / group, n_threads, [&](int64_t item, int thread) {
            const int64_t first = item * group, last = first + group < n_panels ? first + group : n_panels;
            double* const y = inverse + thread * group * PANEL * rows;
            for (int64_t start = first * PANEL; start < rows; start += BLOCK)
                solve_unit(first, last, start, start + BLOCK < rows ? start + BLOCK : rows, y);
            for (int64_t p = first; p < last; ++p) {
                const int64_t from = p * PANEL, count = from + PANEL < d ? PANEL : d - from;
                for (int64_t i = from; i < from + count; ++i) __builtin_memset(u + i * d, 0, from * sizeof(double));
                // What lies below the diagonal in the panel is zero already.
                copy_transposed<false>(y + (p - first) * PANEL * rows, PANEL, d - from, count, u + from * (d + 1), d);
            }
        });
    }
};

// What inverts and factorises matrices of one size: a thread's own memory, or that of all threads together where they
// share a matrix.
struct Factoriser {
    int64_t d;
    double* small;  // (d, d)
    BlockedFactor blocked;

    void lay_out(Arena& arena, int64_t d_, int n_threads) {
        d = d_;
        small = arena.take<double>(d < BLOCKED_FEATURES ? d * d : 0);
        if (d >= BLOCKED_FEATURES) blocked.lay_out(arena, d, n_threads);
    }

    // Writes to u the upper triangular U with inv(S) = U U^T; false where there is none.
    bool factorise(const double* s, double* u) const {
        if (d < BLOCKED_FEATURES) return factorise_small(s, d, small, u);
        if (!blocked.factorise(s)) return false;
        blocked.invert(u);
        return true;
    }
};

// Runs work(component, factoriser, threads) for each of k matrices: `threads` are left to it to share out.
template <typename Work>
Status for_each_matrix(int64_t k, int64_t d, int n_threads, Work work) {
    const bool shared = d >= SHARED_FEATURES && k < n_threads;
    const double products = double(k) * double(d) * double(d) * double(d);
    const int threads = threads_for(n_threads, shared ? d / BlockedFactor::BLOCK : k, products);
    const int teams = shared ? 1 : threads;
    Factoriser* factorisers = nullptr;
    Scratch memory;
    const bool allocated = memory.allocate([&](Arena& arena) {
        factorisers = arena.take<Factoriser>(teams);
        for (int team = 0; team < teams; ++team) {
            Factoriser factoriser;
            factoriser.lay_out(arena, d, threads / teams);
            if (factorisers) factorisers[team] = factoriser;
        }
    });
    if (!allocated) return OUT_OF_MEMORY;
    share_out(k, teams, [&](int64_t c, int team) { work(c, factorisers[team], threads / teams); });
    return DONE;
}
