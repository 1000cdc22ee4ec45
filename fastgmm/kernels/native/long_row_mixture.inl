// Diagonal and spherical components, a few of them, of long rows: lanes are features, in the densities and in the
// moments. A tile would hold few rows, and be filled up to whole groups of components and blocks of rows.

// Log weighted densities of C components from (C, width) scales and scaled means about the centre.
template <typename Real, int C>
NOINLINE void long_row_densities(const Real* rows, int64_t count, int64_t d, const Real* middle, const Real* scales,
                                 const Real* scaled, int64_t width, const Real* offset, Real* to, int64_t stride) {
    constexpr int L = Simd<Real>::lanes, R = 4;
    const int64_t whole = d / L * L;
    for (int64_t n = 0; n < count; n += R) {
        const Real* at[R];
        for (int r = 0; r < R; ++r) at[r] = rows + (n + r < count ? n + r : count - 1) * d;
        Vector<Real> sum[C][R];
        clear<Real>(sum);
        auto add = [&](Vector<Real>(&x)[R], int64_t j) INLINE_LAMBDA {
            const Vector<Real> centre = load(middle + j);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) x[r] = x[r] - centre;
#pragma GCC unroll 8
            for (int c = 0; c < C; ++c) {
                const Vector<Real> scale = load(scales + c * width + j), mean = load(scaled + c * width + j);
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) {
                    const Vector<Real> t = x[r] * scale - mean;
                    sum[c][r] = t * t + sum[c][r];
                }
            }
        };
        for (int64_t j = 0; j < whole; j += L) {
            Vector<Real> x[R];
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) x[r] = load(at[r] + j);
            add(x, j);
        }
        if (whole < d) {
            Vector<Real> x[R];
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) x[r] = load_first(at[r] + whole, d - whole);
            add(x, whole);
        }
        const int64_t left = count - n < R ? count - n : R;
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c)
            for (int r = 0; r < left; ++r)
                to[c * stride + n + r] = offset[c] - Real(0.5) * lanes_total<Real>(sum[c][r]);
    }
}

// Log weighted densities of a tile of long rows, read where they lie.
template <typename Real>
void evaluate_long_rows(const PackedMixture<Real>& p, TileMemory<Real>& t, const Real* rows, int64_t count) {
    constexpr int C = COLUMNS / 2;
    const Real *scales = p.factors, *scaled = p.factors + p.k * p.width;
    for (int64_t c = 0; c < p.k;) {
        auto some = [&](auto number) {
            constexpr int N = decltype(number)::value;
            long_row_densities<Real, N>(rows, count, p.d, p.centre, scales + c * p.width, scaled + c * p.width, p.width,
                                        p.offset + c, t.log_weighted + c * t.stride, t.stride);
            c += N;
        };
        if (p.k - c >= C)
            some(Constant<C>{});
        else if (p.k - c >= 2)
            some(Constant<2>{});
        else
            some(Constant<1>{});
    }
    for (int64_t c = 0; c < p.k; ++c) {
        Real* to = t.log_weighted + c * t.stride;
        for (int64_t n = count; n < round_up(count, Simd<Real>::rows); ++n) to[n] = to[count - 1];
    }
}

// First and second moments about the common centre of C components, from `count` rows that lie `live`: J vectors of
// features at a time, all rows past each other.
template <typename Real, int C, int J>
INLINE void long_row_moments(const PackedMixture<Real>& p, const Real* rows, const int32_t* live, int64_t count,
                             const Real* const* weights, int64_t j0, double* const* moments) {
    constexpr int L = Simd<Real>::lanes;
    Vector<Real> sum[C][J], square[C][J], centre[J];
    clear<Real>(sum);
    clear<Real>(square);
#pragma GCC unroll 8
    for (int j = 0; j < J; ++j) centre[j] = load(p.centre + j0 + j * L);
    const bool whole = j0 + J * L <= p.d;
    for (int64_t i = 0; i < count; ++i) {
        const Real* from = rows + live[i] * p.d + j0;
        Vector<Real> x[J], xx[J];
#pragma GCC unroll 8
        for (int j = 0; j < J; ++j) {
            x[j] = whole || j < J - 1 ? load(from + j * L) : load_first(from + j * L, p.d - j0 - j * L);
            x[j] = x[j] - centre[j];
            xx[j] = x[j] * x[j];
        }
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) {
            const Vector<Real> w = broadcast(weights[c][live[i]]);
#pragma GCC unroll 8
            for (int j = 0; j < J; ++j) {
                sum[c][j] = w * x[j] + sum[c][j];
                square[c][j] = w * xx[j] + square[c][j];
            }
        }
    }
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 8
        for (int j = 0; j < J; ++j) {
            add_to(moments[c] + j0 + j * L, sum[c][j]);
            add_to(moments[c] + p.width + j0 + j * L, square[c][j]);
        }
}

template <typename Real>
struct LongRowCollection {
    int32_t* live;    // rows of the tile that count for something
    double* counts;   // (k)
    double* moments;  // (k, 2 width)

    void lay_out_scratch(Arena& arena, const PackedMixture<Real>&, int64_t rows) { live = arena.take<int32_t>(rows); }

    void lay_out_sums(Arena& arena, const PackedMixture<Real>& p) {
        counts = arena.zeros<double>(p.k);
        moments = arena.zeros<double>(2 * p.k * p.width);
    }

    void collect(const PackedMixture<Real>& p, TileMemory<Real>& t, const Real* rows, int64_t count) {
        constexpr int L = Simd<Real>::lanes;
        int64_t n_live = 0;
        for (int64_t n = 0; n < count; ++n)
            if (t.best[n] > Real(0)) live[n_live++] = int32_t(n);
        for (int64_t c = 0; c < p.k; ++c) {
            Real* weights = t.log_weighted + c * t.stride;
            Vector<Real> total{};
            for (int64_t n = 0; n < round_up(count, Simd<Real>::rows); n += L) {
                const Vector<Real> w = load(weights + n) * load(t.best + n);
                store<Real>(weights + n, w);
                total += w;
            }
            counts[c] += sum_lanes(total);
        }
        for (int64_t first = 0; first < n_live; first += MOMENT_ROWS) {
            const int64_t some = n_live - first < MOMENT_ROWS ? n_live - first : MOMENT_ROWS;
            for (int64_t c = 0; c < p.k;) {
                if (p.k - c >= COLUMNS / 2)
                    c += add_moments<COLUMNS / 2>(p, t, rows, live + first, some, c);
                else if (p.k - c >= 2)
                    c += add_moments<2>(p, t, rows, live + first, some, c);
                else
                    c += add_moments<1>(p, t, rows, live + first, some, c);
            }
        }
    }

    template <int C>
    int64_t add_moments(const PackedMixture<Real>& p, const TileMemory<Real>& t, const Real* rows, const int32_t* some,
                        int64_t count, int64_t first) {
        constexpr int L = Simd<Real>::lanes;
        const Real* weights[C];
        double* to[C];
        for (int c = 0; c < C; ++c) {
            weights[c] = t.log_weighted + (first + c) * t.stride;
            to[c] = moments + (first + c) * 2 * p.width;
        }
        int64_t j = 0;
        for (; j + 2 * L <= p.width; j += 2 * L) long_row_moments<Real, C, 2>(p, rows, some, count, weights, j, to);
        if (j < p.width) long_row_moments<Real, C, 1>(p, rows, some, count, weights, j, to);
        return C;
    }

    // Moves the moments from the centre to the components' means on the way.
    void deliver(const PackedMixture<Real>& p, const MixturePass& pass) const {
        for (int64_t c = 0; c < p.k; ++c) {
            const double *sums = moments + c * 2 * p.width, *squares = sums + p.width;
            const double count = counts[c];
            double trace = 0.0;
            pass.counts[c] += count;
            for (int64_t j = 0; j < p.d; ++j) {
                const double m = double(p.means[c * p.width + j]);
                pass.sums[c * p.d + j] += sums[j] - count * m;
                const double square = squares[j] + moved_square(m, count, sums[j]);
                if (p.structure == DIAG) pass.scatter[c * p.d + j] += square;
                trace += square;
            }
            if (p.structure == SPHERICAL) pass.scatter[c] += trace;
        }
    }
};
