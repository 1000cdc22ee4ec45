// A mixture's parameters in the layout the micro-kernels read, made once per pass and shared by all threads.

// How the statistics of the responsibilities are gathered.
enum Collection {
    LANES_FULL,     // few features: lanes are rows, every moment a register
    LANES_DIAG,     // the same, without cross moments
    QUEUES,         // rows that count are queued by component, their scatter added when the queue is full
    MOMENTS,        // first and second moments about the common centre, as matrix products
    CROSS_MOMENTS,  // the same with the products of all pairs of features
    TOTAL_SCATTER   // first moments per component, one scatter of all rows about the common centre
};

// Up to this many features, lanes are rows in the collection of statistics too.
constexpr int64_t LANE_FEATURES = 8;

// Up to this many features, components that most rows count for are collected as matrix products.
constexpr int64_t CROSS_FEATURES = 64;

template <int N>
struct Constant {
    static constexpr int value = N;
};

// Calls work(Constant<d>) for so few features.
template <typename Work>
INLINE void with_few_features(int64_t d, Work work) {
    switch (d) {
        case 1: work(Constant<1>{}); break;
        case 2: work(Constant<2>{}); break;
        case 3: work(Constant<3>{}); break;
        case 4: work(Constant<4>{}); break;
        case 5: work(Constant<5>{}); break;
        case 6: work(Constant<6>{}); break;
        case 7: work(Constant<7>{}); break;
        case 8: work(Constant<8>{}); break;
        default: break;
    }
}

// Means further than this from the common centre, in units of their component's standard deviation, would lose
// digits in moments about that centre (its square times the rounding unit is lost) ...
template <typename Real>
constexpr double MOMENT_LIMIT = sizeof(Real) == 8 ? 512.0 : 32.0;
// ... fewer where factors are made of them, and where what is lost is to stay below 1e-13 ...
template <typename Real>
constexpr double CROSS_LIMIT = sizeof(Real) == 8 ? 16.0 : 4.0;
// ... and in products of scale and position (itself times the rounding unit).
template <typename Real>
constexpr double SPREAD_LIMIT = sizeof(Real) == 8 ? 65536.0 : 256.0;

// Squared distance of a mean from the common centre, in units of its component's standard deviations, up to which
// densities may be multiplied out: constant, slope and curvature cancel to that many rounding units.
template <typename Real>
constexpr double PRODUCT_LIMIT = sizeof(Real) == 8 ? 1e5 : 512.0;

// Those products hold squares of rows and of scales, which leave the range of numbers long before the scaled rows do.
template <typename Real>
constexpr double LARGEST_SCALE = sizeof(Real) == 8 ? 0x1p200 : 0x1p30;

inline double largest_size(const double* values, int64_t count) {
    double largest[8] = {};
    int64_t i = 0;
    for (; i + 8 <= count; i += 8)
#pragma GCC unroll 8
        for (int lane = 0; lane < 8; ++lane) {
            const double size = __builtin_fabs(values[i + lane]);
            largest[lane] = size > largest[lane] ? size : largest[lane];
        }
    for (; i < count; ++i) largest[0] = __builtin_fabs(values[i]) > largest[0] ? __builtin_fabs(values[i]) : largest[0];
    for (int lane = 1; lane < 8; ++lane) largest[0] = largest[lane] > largest[0] ? largest[lane] : largest[0];
    return largest[0];
}

// Largest distance of a mean from `centre`, feature by feature, in units of the smallest scale of its component.
inline double spread_about(const MixturePass& pass, const double* centre) {
    const int64_t d = pass.d;
    double largest = 0.0;
    if (!pass.factor) return largest;
    for (int64_t k = 0; k < pass.k; ++k)
        for (int64_t j = 0; j < d; ++j) {
            double scale = 0.0;
            if (pass.structure == DIAG) {
                scale = pass.factor[k * d + j];
            } else if (pass.structure == SPHERICAL) {
                scale = pass.factor[k];
            } else if (pass.structure == LOW_RANK) {
                scale = pass.factor[(k * d + j) * (pass.n_factors + 1) + pass.n_factors];
            } else {
                scale = largest_size(pass.factor + (pass.structure == FULL ? k * d * d : 0) + j * d + j, d - j);
            }
            const double away = pass.means[k * d + j] - centre[j];
            const double spread = (away < 0 ? -away : away) * scale;
            largest = spread > largest ? spread : largest;
        }
    return largest;
}

template <typename Real>
struct PackedMixture {
    using Number = Real;

    int64_t n, d, k, width;  // width: d rounded up to whole vectors
    Structure structure;
    Collection collection;
    bool by_factor;         // distances through a triangular factor, else through scales
    bool exact;             // subtract before scaling, about the origin: see `SPREAD_LIMIT`
    bool moments_allowed;   // sums about the common centre: see `MOMENT_LIMIT`
    bool whiten;            // rows are multiplied by the shared factor once per tile
    bool products;          // scales: densities as matrix products about the centre: see `PRODUCT_LIMIT`
    bool long_rows;         // scales: lanes are features; `factors` are scales and scaled means, (k, width) each
    bool few;               // factors of few features: lanes are rows and everything stays in registers
    int64_t moment_width;   // width, twice that where squares are summed too, or with that of all products
    double* middle;         // (d) the centre, in double
    double* between;        // (d) the means' mean, whether or not it is the centre
    double* moment_means;   // (k, d) full: means about what moments are summed about
    double* about;          // (k, d) means about the centre, in double; whitened where the rows are
    Real* centre;           // (width) subtracted from every row
    Real* moment_centre;    // (width) what moments are summed about
    Real* means;            // (k, width) about the centre
    Real* offset;           // (k)
    Real* factors;          // packed factors (by_factor: one per component or one in all), else packed scales by groups
    Real* constants;        // (k, in whole groups) products: density at the centre
    Real* bound_constants;  // (k, in whole groups) the same of the first features: see `choose_bound`
    Real* curvatures;       // (k, in whole groups) products without squares: -1/2 scale^2
    Real* whitener;         // packed shared factor
    const double* dof;      // (k) degrees of freedom of Student components, or null
    double* log_ratio;      // (k) log((dof + d) / dof)
    Real* precision_ratio;  // (k) (dof + d) / dof
    Real* inverse_dof;      // (k)
    Real* half_power;       // (k) (dof + d) / 2
    int64_t factor_stride;
    Real largest_offset;
    Scratch middle_memory, memory;

    bool pack(const MixturePass& pass) {
        n = pass.n;
        d = pass.d;
        k = pass.k;
        width = round_up(d, Simd<Real>::lanes);
        structure = pass.structure;
        dof = pass.dof;
        const bool has_middle = middle_memory.allocate([&](Arena& arena) {
            middle = arena.take<double>(d);
            between = arena.take<double>(d);
            moment_means = arena.take<double>(structure == FULL ? k * d : 0);
            about = arena.take<double>(k * d);
        });
        if (!has_middle) return false;
        choose_centre(pass);
        choose_evaluation();
        choose_collection(pass);
        // Given owners need none, and loadings are packed elsewhere.
        const bool has_factor = pass.factor != nullptr && structure != LOW_RANK;
        const int64_t groups = groups_of(k), factor_size = packed_factor_size(d);
        factor_stride = structure == FULL ? factor_size : 0;
        const int64_t n_factors = structure == FULL ? k : 1;
        const bool allocated = memory.allocate([&](Arena& arena) {
            centre = arena.take<Real>(width);
            moment_centre = arena.take<Real>(width);
            means = arena.take<Real>(k * width);
            offset = arena.take<Real>(k);
            factors = arena.take<Real>(!has_factor ? 0
                                       : by_factor ? n_factors * factor_size
                                                   : groups * 2 * COLUMNS * width);
            whitener = arena.take<Real>(whiten ? factor_size : 0);
            constants = arena.take<Real>(groups * COLUMNS);
            bound_constants = arena.take<Real>(groups * COLUMNS);
            curvatures = arena.take<Real>(groups * COLUMNS);
            log_ratio = arena.take<double>(dof ? k : 0);
            precision_ratio = arena.take<Real>(dof ? k : 0);
            inverse_dof = arena.take<Real>(dof ? k : 0);
            half_power = arena.take<Real>(dof ? k : 0);
        });
        if (!allocated) return false;
        pack_means(pass);
        if (!has_factor) return true;
        if (dof) pack_tails();
        if (!by_factor) {
            if (whiten) {
                pack_factor(pass.factor, d, whitener);
                whiten_means(pass);
            }
            long_rows = is_of_long_rows(pass);
            if (long_rows)
                pack_long_rows(pass);
            else
                pack_scales(pass);
            return true;
        }
        const int threads = threads_for(pass.n_threads, n_factors, double(n_factors) * double(4 * d * d));
        share_out(n_factors, threads,
                  [&](int64_t c, int) { pack_factor(pass.factor + c * d * d, d, factors + c * factor_size); });
        return true;
    }

    int64_t tile_rows() const { return tile_rows_for<Real>(n, long_rows ? 0 : d, k, dof != nullptr); }

    // Multiplications for a row and a component.
    double work() const { return double(by_factor ? d * (d + 1) : 4 * d + 20); }

    int most_threads(const MixturePass& pass) const { return pass.n_threads; }

  protected:
    void choose_centre(const MixturePass& pass) {
        // The centre is representable in the rows' type, so that subtracting it rounds once and means follow exactly.
        for (int64_t j = 0; j < d; ++j) {
            middle[j] = 0.0;
            for (int64_t c = 0; c < k; ++c) middle[j] += pass.means[c * d + j] / double(k);
            between[j] = middle[j] = double(Real(middle[j]));
        }
        // Factors subtract the component's own mean anyway: with double means nothing is gained by a centre.
        const bool own_means = structure == FULL && sizeof(Real) == 8;
        const double spread = own_means ? 0.0 : spread_about(pass, middle);
        exact = own_means || !(spread <= SPREAD_LIMIT<Real>);
        moments_allowed = spread <= MOMENT_LIMIT<Real> && !exact;
        if (exact)
            for (int64_t j = 0; j < d; ++j) middle[j] = 0.0;
    }

    void choose_evaluation() {
        whiten = structure == TIED && !exact && d > LANE_FEATURES;
        by_factor = (structure == FULL || structure == TIED) && !whiten;
        few = by_factor && d <= LANE_FEATURES;
        products = long_rows = false;
    }

    bool is_of_long_rows(const MixturePass& pass) const {
        const bool scales = structure == DIAG || structure == SPHERICAL;
        return pass.action == ACCUMULATE && scales && moments_allowed && d >= LONG_ROW_OF_MIXTURE && k <= 8;
    }

    void choose_collection(const MixturePass& pass) {
        moment_width = structure == DIAG ? 2 * width : width;
        if (structure == FULL) {
            collection = d <= LANE_FEATURES ? LANES_FULL : QUEUES;
            // A matrix product is made for COLUMNS components at a time.
            const bool worth =
                d > LANE_FEATURES && d <= CROSS_FEATURES && 2 * k >= COLUMNS && pass.action == ACCUMULATE;
            if (worth && spread_about(pass, between) <= CROSS_LIMIT<Real>) {
                collection = CROSS_MOMENTS;
                moment_width = width + ProductPanels<Real>(width).count * Simd<Real>::lanes;
            }
        } else if (structure == TIED) {
            collection = d <= LANE_FEATURES ? LANES_FULL : moments_allowed ? TOTAL_SCATTER : QUEUES;
        } else {
            // MOMENTS falls back to queues component by component; without leave to sum about the centre, always.
            collection = d <= LANE_FEATURES ? LANES_DIAG : MOMENTS;
        }
    }

    void pack_tails() {
        for (int64_t c = 0; c < k; ++c) {
            const double ratio = 1.0 + double(d) / dof[c];
            log_ratio[c] = __builtin_log1p(double(d) / dof[c]);
            precision_ratio[c] = Real(ratio);
            inverse_dof[c] = Real(1.0 / dof[c]);
            half_power[c] = Real(0.5 * (dof[c] + double(d)));
        }
    }

    void pack_means(const MixturePass& pass) {
        for (int64_t j = 0; j < width; ++j) {
            centre[j] = j < d ? Real(middle[j]) : Real(0);
            moment_centre[j] = j < d ? Real(between[j]) : Real(0);
        }
        largest_offset = Real(-INFINITE);
        for (int64_t c = 0; c < k; ++c) {
            offset[c] = Real(pass.log_offset[c]);
            if (offset[c] > largest_offset) largest_offset = offset[c];
            double* away = about + c * d;
            for (int64_t j = 0; j < d; ++j) away[j] = pass.means[c * d + j] - middle[j];
            for (int64_t j = 0; j < width; ++j) means[c * width + j] = j < d ? Real(away[j]) : Real(0);
            // Those that the queues' sums are about, with whatever rounding.
            for (int64_t j = 0; j < d && structure == FULL; ++j)
                moment_means[c * d + j] = double(means[c * width + j]) + middle[j] - between[j];
        }
    }

    void whiten_means(const MixturePass& pass) {
        for (int64_t c = 0; c < k; ++c) {
            double* to = about + c * d;
            for (int64_t j = 0; j < d; ++j) to[j] = 0.0;
            for (int64_t i = 0; i < d; ++i) {
                const double away = pass.means[c * d + i] - middle[i];
                for (int64_t j = i; j < d; ++j) to[j] += away * pass.factor[i * d + j];
            }
        }
    }

    double scale_of(const MixturePass& pass, int64_t c, int64_t j) const {
        return whiten ? 1.0 : structure == DIAG ? pass.factor[c * d + j] : pass.factor[c];
    }

    void pack_long_rows(const MixturePass& pass) {
        Real *scales = factors, *scaled = factors + k * width;
        for (int64_t c = 0; c < k; ++c)
            for (int64_t j = 0; j < width; ++j) {
                const double scale = j < d ? scale_of(pass, c, j) : 0.0;
                scales[c * width + j] = Real(scale);
                scaled[c * width + j] = Real(j < d ? about[c * d + j] * scale : 0.0);
            }
    }

    void pack_scales(const MixturePass& pass) {
        products = !exact;
        for (int64_t c = 0; c < k && products; ++c) {
            double norm = 0.0;
            for (int64_t j = 0; j < d; ++j) {
                const double mean = about[c * d + j], scale = scale_of(pass, c, j);
                norm += mean * scale * (mean * scale);
                products = products && scale <= LARGEST_SCALE<Real> && scale >= 1.0 / LARGEST_SCALE<Real>;
            }
            products = products && norm <= PRODUCT_LIMIT<Real>;
        }
        const int64_t entries = products && structure != DIAG ? COLUMNS : 2 * COLUMNS;
        for (int64_t first = 0; first < groups_of(k) * COLUMNS; first += COLUMNS) {
            const double *mean[COLUMNS], *scale[COLUMNS];
            double norm[COLUMNS] = {};
            const double one = 1.0;
            const int64_t step = structure == DIAG ? 1 : 0;  // from a feature's scale to the next one's
            for (int lane = 0; lane < COLUMNS; ++lane) {
                const int64_t c = first + lane < k ? first + lane : k - 1;
                mean[lane] = about + c * d;
                scale[lane] = whiten ? &one : structure == DIAG ? pass.factor + c * d : pass.factor + c;
            }
            // Feature by feature, so that what is packed is written in its order.
            Real* packed = factors + first / COLUMNS * entries * d;
            for (int64_t j = 0; j < d; ++j, packed += entries)
                for (int lane = 0; lane < COLUMNS; ++lane) {
                    const double m = mean[lane][j], s = scale[lane][j * step];
                    norm[lane] += m * s * (m * s);
                    packed[lane] = Real(exact ? m : products ? m * s * s : m * s);
                    if (entries == 2 * COLUMNS) packed[COLUMNS + lane] = Real(products ? -0.5 * s * s : s);
                }
            for (int lane = 0; lane < COLUMNS; ++lane) {
                const int64_t c = first + lane < k ? first + lane : k - 1;
                const double last = scale[lane][(d - 1) * step];
                constants[first + lane] = Real(pass.log_offset[c] - 0.5 * norm[lane]);
                curvatures[first + lane] = Real(-0.5 * last * last);
            }
        }
    }
};
