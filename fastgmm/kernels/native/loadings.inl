// Components with a few loadings: covariances A A^T + diag(psi). In units of its noise a row is y = (x - mean) u, with
// u = psi^-1/2, and its squared distance |y|^2 - |y W|^2, with W = diag(u) A R diag(1 + s^2)^-1/2. R is the rotation
// that makes A^T diag(1 / psi) A = diag(s^2), and factors hold diag(1 / psi) A R and, last, u. Of the scatter S a pass
// keeps S C, where C takes rows less their mean for their expected factors, y W diag(1 + s^2)^-1/2, and the diagonal.

// Features that are held transposed, and in units of a component's noise, at a time: both stay in the first-level
// cache.
constexpr int64_t LOADING_FEATURES = 96;

// Rows of a tile: so many times the loadings of all components are read.
constexpr int64_t LOADING_ROWS = 240;

// Sums of all threads, in bytes, beyond which fewer threads run.
constexpr int64_t LOADING_SUMS = 1 << 30;

template <typename Real>
struct PackedLoadings : PackedMixture<Real> {
    int64_t q;
    Real* scales;  // (k, width) u
    Real* shifts;  // (k, width) the mean about the centre times u; or, if `exact`, the mean
    Real* along;   // (k, d q) W in blocks of at most COLUMNS columns, each feature by feature
    Real* shrink;  // (k, q) 1 / sqrt(1 + s^2)
    Scratch loading_memory;

    bool pack(const MixturePass& pass) {
        if (!PackedMixture<Real>::pack(pass)) return false;
        this->long_rows = true;
        if (this->dof) this->pack_tails();
        q = pass.n_factors;
        const int64_t d = this->d, k = this->k, width = this->width;
        const bool allocated = loading_memory.allocate([&](Arena& arena) {
            scales = arena.take<Real>(k * width);
            shifts = arena.take<Real>(this->exact ? 0 : k * width);
            along = arena.take<Real>(k * d * q);
            shrink = arena.take<Real>(k * q);
        });
        if (!allocated) return false;
        if (this->exact) shifts = this->means;
        const int threads = threads_for(pass.n_threads, k, double(k) * double(3 * d * (q + 1)));
        share_out(k, threads, [&](int64_t c, int) { pack_component(pass, c); });
        return true;
    }

    int64_t tile_rows() const {
        const int64_t needed = round_up(this->n, Simd<Real>::rows);
        return LOADING_ROWS < needed ? LOADING_ROWS : needed;
    }

    double work() const { return double(2 * this->d * (q + 2)); }

    int most_threads(const MixturePass& pass) const {
        const int64_t most = LOADING_SUMS / (8 * this->k * this->width * (q + 2)) + 1;
        return pass.action == ACCUMULATE && most < pass.n_threads ? int(most) : pass.n_threads;
    }

  private:
    void pack_component(const MixturePass& pass, int64_t c) {
        const int64_t d = this->d, width = this->width, entries = q + 1;
        const double* factor = pass.factor + c * d * entries;
        for (int64_t j = 0; j < width; ++j) {
            const double u = j < d ? factor[j * entries + q] : 0.0;
            scales[c * width + j] = Real(u);
            if (!this->exact) shifts[c * width + j] = j < d ? Real(this->about[c * d + j] * u) : Real(0);
        }
        Real* to = along + c * d * q;
        for (int64_t p0 = 0; p0 < q; p0 += COLUMNS) {
            const int64_t columns = q - p0 < COLUMNS ? q - p0 : COLUMNS;
            double square[COLUMNS] = {};
            auto in_sd = [&](int64_t j, int64_t p) {
                const double u = factor[j * entries + q];  // zero for a background, which has no factors
                return factor[j * entries + p0 + p] / (u > 0.0 ? u : 1.0);
            };
            for (int64_t j = 0; j < d; ++j)
                for (int64_t p = 0; p < columns; ++p) square[p] += in_sd(j, p) * in_sd(j, p);
            for (int64_t p = 0; p < columns; ++p) {
                square[p] = 1.0 / sqrt_of(1.0 + square[p]);
                shrink[c * q + p0 + p] = Real(square[p]);
            }
            for (int64_t j = 0; j < d; ++j)
                for (int64_t p = 0; p < columns; ++p) *to++ = Real(in_sd(j, p) * square[p]);
        }
    }
};

template <typename Real>
struct LoadingTile : TileMemory<Real> {
    static constexpr bool BOUNDS = false;
    Real* features;  // (LOADING_FEATURES, stride) some features of the rows about the centre, transposed
    Real* in_noise;  // (LOADING_FEATURES, rows of a block) y
    Real* products;  // (k q, stride) y W

    void lay_out(Arena& arena, const PackedLoadings<Real>& p, int64_t tile_rows) {
        TileMemory<Real>::lay_out(arena, p, tile_rows);
        features = arena.take<Real>(LOADING_FEATURES * this->stride);
        in_noise = arena.take<Real>(LOADING_FEATURES * Simd<Real>::rows);
        products = arena.take<Real>(p.k * p.q * this->stride);
    }
};

// Writes y of a block of rows, and adds its squares to `squares`.
template <typename Real, bool EXACT>
INLINE void in_units_of_noise(const Real* features, int64_t stride, int64_t count, const Real* shifts,
                              const Real* scales, Real* to, Real* squares) {
    constexpr int L = Simd<Real>::lanes, R = ROW_VECTORS;
    Vector<Real> sum[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) sum[r] = load(squares + r * L);
    for (int64_t j = 0; j < count; ++j, features += stride, to += R * L) {
        const Vector<Real> m = broadcast(shifts[j]), u = broadcast(scales[j]);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const Vector<Real> x = load(features + r * L);
            const Vector<Real> y = EXACT ? (x - m) * u : x * u - m;
            store<Real>(to + r * L, y);
            sum[r] = y * y + sum[r];
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) store<Real>(squares + r * L, sum[r]);
}

// Adds products of y with C columns of W.
template <typename Real, int C>
INLINE void add_products(const Real* y, int64_t count, const Real* columns, Real* to, int64_t stride) {
    constexpr int L = Simd<Real>::lanes, R = ROW_VECTORS;
    Vector<Real> sum[C][R];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) sum[c][r] = load(to + c * stride + r * L);
    for (int64_t j = 0; j < count; ++j, y += R * L, columns += C) {
        Vector<Real> x[R];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) x[r] = load(y + r * L);
        add_outer<Real, C, R>(sum, columns, x);
    }
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) store<Real>(to + c * stride + r * L, sum[c][r]);
}

// Calls work(Constant<C>) for C of at most COLUMNS columns.
template <typename Work>
INLINE void with_columns(int64_t columns, Work work) {
    switch (columns) {
        case 1: work(Constant<1>{}); break;
        case 2: work(Constant<2>{}); break;
        case 3: work(Constant<3>{}); break;
        case 4: work(Constant<4>{}); break;
#if defined(FASTGMM_AVX512) || defined(FASTGMM_NEON)
        case 5: work(Constant<5>{}); break;
        case 6: work(Constant<6>{}); break;
        case 7: work(Constant<7>{}); break;
        case 8: work(Constant<8>{}); break;
#endif
        default: break;
    }
}

// One component over some features, from j0 on, of a tile.
template <typename Real, bool EXACT>
NOINLINE void add_component(const PackedLoadings<Real>& p, LoadingTile<Real>& t, int64_t c, int64_t j0, int64_t count,
                            int64_t padded) {
    constexpr int rows = Simd<Real>::rows;
    for (int64_t n = 0; n < padded; n += rows) {
        in_units_of_noise<Real, EXACT>(t.features + n, t.stride, count, p.shifts + c * p.width + j0,
                                       p.scales + c * p.width + j0, t.in_noise, t.log_weighted + c * t.stride + n);
        for (int64_t p0 = 0; p0 < p.q; p0 += COLUMNS) {
            const int64_t columns = p.q - p0 < COLUMNS ? p.q - p0 : COLUMNS;
            const Real* from = p.along + (c * p.q + p0) * p.d + j0 * columns;
            Real* to = t.products + (c * p.q + p0) * t.stride + n;
            with_columns(columns, [&](auto number) INLINE_LAMBDA {
                add_products<Real, decltype(number)::value>(t.in_noise, count, from, to, t.stride);
            });
        }
    }
}

template <typename Real>
void evaluate_rows(const PackedLoadings<Real>& p, LoadingTile<Real>& t, const Real* rows, int64_t count) {
    constexpr int L = Simd<Real>::lanes;
    const int64_t padded = round_up(count, Simd<Real>::rows);
    for (int64_t c = 0; c < p.k; ++c)
        for (int64_t n = 0; n < padded; ++n) t.log_weighted[c * t.stride + n] = Real(0);
    for (int64_t i = 0; i < p.k * p.q; ++i)
        for (int64_t n = 0; n < padded; ++n) t.products[i * t.stride + n] = Real(0);
    for (int64_t j0 = 0; j0 < p.d; j0 += LOADING_FEATURES) {
        const int64_t some = p.d - j0 < LOADING_FEATURES ? p.d - j0 : LOADING_FEATURES;
        load_tile<Real>(rows + j0, 0, count, p.d, some, p.centre + j0, t.features, t.stride);
        for (int64_t c = 0; c < p.k; ++c)
            if (p.exact)
                add_component<Real, true>(p, t, c, j0, some, padded);
            else
                add_component<Real, false>(p, t, c, j0, some, padded);
    }
    for (int64_t c = 0; c < p.k; ++c) {
        const Vector<Real> offset = broadcast(p.offset[c]);
        Real* to = t.log_weighted + c * t.stride;
        for (int64_t n = 0; n < padded; n += L) {
            Vector<Real> distance = load(to + n);
            for (int64_t i = c * p.q; i < (c + 1) * p.q; ++i) {
                const Vector<Real> along = load(t.products + i * t.stride + n);
                distance = distance - along * along;
            }
            // NaN stays what it is.
            store<Real>(to + n, offset - Real(0.5) * maximum<Real>(Vector<Real>{}, distance));
        }
    }
}

// Sums over listed rows, of J vectors of features from j0 on: of C shares of each row times the row less `mean`.
template <typename Real, int C, int J>
INLINE void add_shared(const Real* rows, int64_t d, const int32_t* listed, int64_t count, const Real* shares,
                       int64_t stride, const Vector<Real> (&mean)[J], int64_t left, double* to, int64_t to_stride) {
    constexpr int L = Simd<Real>::lanes;
    Vector<Real> sum[C][J];
    clear<Real>(sum);
    for (int64_t i = 0; i < count; ++i, shares += stride) {
        const Real* from = rows + listed[i] * d;
        Vector<Real> x[J];
#pragma GCC unroll 8
        for (int j = 0; j < J; ++j)
            x[j] = (left >= J * L || j < J - 1 ? load(from + j * L) : load_first(from + j * L, left - j * L)) - mean[j];
        add_outer<Real, C, J>(sum, shares, x);
    }
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 8
        for (int j = 0; j < J; ++j) add_to(to + c * to_stride + j * L, sum[c][j]);
}

// The same of the squares of the row less `mean`, and of itself, with one share.
template <typename Real, int J>
INLINE void add_moments(const Real* rows, int64_t d, const int32_t* listed, int64_t count, const Real* shares,
                        int64_t stride, const Vector<Real> (&mean)[J], int64_t left, double* sums, double* squares) {
    constexpr int L = Simd<Real>::lanes;
    Vector<Real> sum[J] = {}, square[J] = {};
    for (int64_t i = 0; i < count; ++i) {
        const Real* from = rows + listed[i] * d;
        const Vector<Real> share = broadcast(shares[i * stride]);
#pragma GCC unroll 8
        for (int j = 0; j < J; ++j) {
            const Vector<Real> x =
                (left >= J * L || j < J - 1 ? load(from + j * L) : load_first(from + j * L, left - j * L)) - mean[j];
            const Vector<Real> weighed = share * x;
            sum[j] += weighed;
            square[j] = weighed * x + square[j];
        }
    }
#pragma GCC unroll 8
    for (int j = 0; j < J; ++j) {
        add_to(sums + j * L, sum[j]);
        add_to(squares + j * L, square[j]);
    }
}

template <typename Real>
struct LoadingCollection {
    int32_t* listed;   // rows of the tile that count for the component
    Real* shares;      // (rows, q + 1) expected factors times what the row counts for, and this
    double* counts;    // (k)
    double* expected;  // (k, q) sums of the former
    double* moments;   // (k, q + 2, width): sums, squares, and products with each factor, about the means

    void lay_out_scratch(Arena& arena, const PackedLoadings<Real>& p, int64_t rows) {
        listed = arena.take<int32_t>(rows);
        shares = arena.take<Real>(rows * (p.q + 1));
    }

    void lay_out_sums(Arena& arena, const PackedLoadings<Real>& p) {
        counts = arena.zeros<double>(p.k);
        expected = arena.zeros<double>(p.k * p.q);
        moments = arena.zeros<double>(p.k * (p.q + 2) * p.width);
    }

    void collect(const PackedLoadings<Real>& p, const LoadingTile<Real>& t, const Real* strip_rows, int64_t first,
                 int64_t count, bool) {
        const Real* rows = strip_rows + first * p.d;
        for (int64_t c = 0; c < p.k; ++c) {
            const int64_t n_listed = list(p, t, c, count);
            if (n_listed == 0) continue;
            constexpr int L = Simd<Real>::lanes;
            int64_t j = 0;
            for (; j + ROW_VECTORS * L <= p.width; j += ROW_VECTORS * L)
                add_features<ROW_VECTORS>(p, c, rows, n_listed, j);
            for (; j < p.width; j += L) add_features<1>(p, c, rows, n_listed, j);
        }
    }

    void finish(const PackedLoadings<Real>&, const Real*) {}

    // Moves what is about means in the rows' type to the means themselves.
    void deliver(const PackedLoadings<Real>& p, const MixturePass& pass) const {
        for (int64_t c = 0; c < p.k; ++c) {
            const double* sums = moments + c * (p.q + 2) * p.width;
            const double *squares = sums + p.width, *products = squares + p.width;
            pass.counts[c] += counts[c];
            for (int64_t j = 0; j < p.d; ++j) {
                const double shift = double(mean_of(p, c, j)) - pass.means[c * p.d + j];
                double* to = pass.scatter + (c * p.d + j) * (p.q + 1);
                pass.sums[c * p.d + j] += sums[j] + counts[c] * shift;
                for (int64_t i = 0; i < p.q; ++i) to[i] += products[i * p.width + j] + shift * expected[c * p.q + i];
                to[p.q] += squares[j] + shift * (2.0 * sums[j] + counts[c] * shift);
            }
        }
    }

  private:
    static Real mean_of(const PackedLoadings<Real>& p, int64_t c, int64_t j) {
        return p.centre[j] + p.means[c * p.width + j];
    }

    // Lists the rows that count for component c, and their shares; returns how many there are.
    int64_t list(const PackedLoadings<Real>& p, const LoadingTile<Real>& t, int64_t c, int64_t count) {
        constexpr int L = Simd<Real>::lanes;
        const Real* values = t.log_weighted + c * t.stride;
        int64_t n_listed = 0;
        double total = 0.0;
        for (int64_t n0 = 0; n0 < count; n0 += L) {
            if (mask_greater(load(values + n0), Vector<Real>{}) == 0) continue;
            for (int64_t n = n0; n < n0 + L && n < count; ++n) {
                const Real share = values[n] * t.best[n];
                if (!(share > Real(0))) continue;
                Real* to = shares + n_listed * (p.q + 1);
                for (int64_t i = 0; i < p.q; ++i) {
                    to[i] = share * (t.products[(c * p.q + i) * t.stride + n] * p.shrink[c * p.q + i]);
                    expected[c * p.q + i] += double(to[i]);
                }
                to[p.q] = share;
                total += double(share);
                listed[n_listed++] = int32_t(n);
            }
        }
        counts[c] += total;
        return n_listed;
    }

    template <int J>
    void add_features(const PackedLoadings<Real>& p, int64_t c, const Real* rows, int64_t n_listed, int64_t j) {
        constexpr int L = Simd<Real>::lanes;
        double* to = moments + c * (p.q + 2) * p.width + j;
        Vector<Real> mean[J];
#pragma GCC unroll 8
        for (int i = 0; i < J; ++i) mean[i] = load(p.centre + j + i * L) + load(p.means + c * p.width + j + i * L);
        const int64_t stride = p.q + 1, left = p.d - j;
        add_moments<Real, J>(rows + j, p.d, listed, n_listed, shares + p.q, stride, mean, left, to, to + p.width);
        for (int64_t p0 = 0; p0 < p.q; p0 += COLUMNS)
            with_columns(p.q - p0 < COLUMNS ? p.q - p0 : COLUMNS, [&](auto number) INLINE_LAMBDA {
                add_shared<Real, decltype(number)::value, J>(rows + j, p.d, listed, n_listed, shares + p0, stride, mean,
                                                             left, to + (2 + p0) * p.width, p.width);
            });
    }
};
