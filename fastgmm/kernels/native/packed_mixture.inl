// A mixture's parameters in the layout the micro-kernels read, made once per pass and shared by all threads.

// How the statistics of the responsibilities are gathered.
enum Collection {
    LANES_FULL,    // few features: lanes are rows, every moment a register
    LANES_DIAG,    // the same, without cross moments
    QUEUE_FULL,    // rows that count are queued by component, their scatter added when the queue is full
    QUEUE_SHARED,  // the same into one scatter for all components
    MOMENTS,       // first and second moments about the common centre, as matrix products
    TOTAL_SCATTER  // first moments per component, one scatter of all rows about the common centre
};

template <typename Real>
struct PackedMixture {
    int64_t n, d, k, width;  // width: d rounded up to whole vectors
    Structure structure;
    Collection collection;
    bool by_factor;        // distances through a triangular factor, else through scales
    bool exact;            // subtract before scaling, about the origin: see `SPREAD_LIMIT`
    bool whiten;           // rows are multiplied by the shared factor once per tile
    bool products;         // scales: densities as matrix products about the centre: see `PRODUCT_LIMIT`
    bool few;              // factors of few features: lanes are rows and everything stays in registers
    int64_t moment_width;  // width, twice that where squares are summed too
    Real* centre;          // (width) subtracted from every row
    Real* means;           // (k, width) about the centre
    Real* offset;          // (k)
    Real* factors;         // packed factors (by_factor: one per component or one in all), else packed scales by groups
    Real* constants;       // (k, in whole groups) products: density at the centre
    Real* curvatures;      // (k, in whole groups) products without squares: -1/2 scale^2
    Real* whitener;        // packed shared factor
    int64_t factor_stride;
    Real largest_offset;
};

// Up to this many features, lanes are rows in the collection of statistics too.
constexpr int64_t LANE_FEATURES = 8;

// Means further than this from the common centre, in units of their component's standard deviation, would lose
// digits in moments about that centre (its square times the rounding unit is lost) ...
template <typename Real>
constexpr double MOMENT_LIMIT = sizeof(Real) == 8 ? 512.0 : 32.0;
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
struct MixtureStore {
    PackedMixture<Real> mixture;
    Block block;

    bool pack(const MixturePass& pass) {
        PackedMixture<Real>& p = mixture;
        const int64_t d = p.d = pass.d, k = p.k = pass.k;
        p.n = pass.n;
        p.width = round_up(d, Simd<Real>::lanes);
        p.structure = pass.structure;

        Block middle_block;
        if (!middle_block.allocate(d * int64_t(sizeof(double)))) return false;
        double* middle = reinterpret_cast<double*>(middle_block.memory);
        // The centre is representable in the rows' type, so that subtracting it rounds once and means follow exactly.
        for (int64_t j = 0; j < d; ++j) {
            middle[j] = 0.0;
            for (int64_t c = 0; c < k; ++c) middle[j] += pass.means[c * d + j] / double(k);
            middle[j] = double(Real(middle[j]));
        }
        const bool factored = pass.structure == FULL || pass.structure == TIED;
        // Factors subtract the component's own mean anyway: with double means nothing is gained by a centre.
        const bool own_means = pass.structure == FULL && sizeof(Real) == 8;
        const double spread = own_means ? 0.0 : spread_about(pass, middle);
        p.exact = own_means || !(spread <= SPREAD_LIMIT<Real>);
        const bool moments = spread <= MOMENT_LIMIT<Real>;
        if (p.exact)
            for (int64_t j = 0; j < d; ++j) middle[j] = 0.0;
        p.whiten = pass.structure == TIED && !p.exact && d > LANE_FEATURES;
        p.by_factor = factored && !p.whiten;
        p.few = p.by_factor && d <= LANE_FEATURES;
        p.moment_width = pass.structure == DIAG ? 2 * p.width : p.width;
        const bool has_factor = pass.factor != nullptr;  // given owners need none
        if (pass.structure == FULL)
            p.collection = d <= LANE_FEATURES ? LANES_FULL : QUEUE_FULL;
        else if (pass.structure == TIED)
            p.collection = d <= LANE_FEATURES ? LANES_FULL : moments && !p.exact ? TOTAL_SCATTER : QUEUE_SHARED;
        else
            p.collection = d <= LANE_FEATURES ? LANES_DIAG : MOMENTS;
        // MOMENTS falls back to queues component by component; without leave to sum about the centre, always.
        moments_allowed = moments && !p.exact;

        const int64_t groups = (k + COLUMNS - 1) / COLUMNS;
        const int64_t factor_size = packed_factor_size(d);
        Arena arena{nullptr, 0};
        for (int turn = 0; turn < 2; ++turn) {
            arena.used = 0;
            p.centre = arena.take<Real>(p.width);
            p.means = arena.take<Real>(k * p.width);
            p.offset = arena.take<Real>(k);
            p.factor_stride = pass.structure == FULL ? factor_size : 0;
            p.factors = arena.take<Real>(!has_factor   ? 0
                                         : p.by_factor ? (pass.structure == FULL ? k : 1) * factor_size
                                                       : groups * 2 * COLUMNS * d);
            p.whitener = arena.take<Real>(p.whiten ? factor_size : 0);
            p.constants = arena.take<Real>(groups * COLUMNS);
            p.curvatures = arena.take<Real>(groups * COLUMNS);
            if (turn == 0) {
                if (!block.allocate(arena.used)) return false;
                arena.block = block.memory;
            }
        }

        for (int64_t j = 0; j < p.width; ++j) p.centre[j] = j < d ? Real(middle[j]) : Real(0);
        p.largest_offset = -__builtin_inf();
        for (int64_t c = 0; c < k; ++c) {
            p.offset[c] = Real(pass.log_offset[c]);
            if (p.offset[c] > p.largest_offset) p.largest_offset = p.offset[c];
            for (int64_t j = 0; j < p.width; ++j)
                p.means[c * p.width + j] = j < d ? Real(pass.means[c * d + j] - middle[j]) : Real(0);
        }
        if (!has_factor) return true;
        if (p.by_factor) {
            for (int64_t c = 0; c < (pass.structure == FULL ? k : 1); ++c)
                pack_factor(pass.factor + c * d * d, d, p.factors + c * factor_size);
            return true;
        }
        if (p.whiten) pack_factor(pass.factor, d, p.whitener);
        pack_scales(pass, middle);
        return true;
    }

    // Mean of component c about the centre, whitened where the rows are, and its scale, of feature j.
    void mean_and_scale(const MixturePass& pass, const double* middle, int64_t c, int64_t j, double& mean,
                        double& scale) const {
        const int64_t d = pass.d;
        mean = pass.means[c * d + j] - middle[j];
        scale = 1.0;
        if (mixture.whiten) {
            mean = 0.0;
            for (int64_t i = 0; i <= j; ++i) mean += (pass.means[c * d + i] - middle[i]) * pass.factor[i * d + j];
        } else {
            scale = pass.structure == DIAG ? pass.factor[c * d + j] : pass.factor[c];
        }
    }

    void pack_scales(const MixturePass& pass, const double* middle) {
        PackedMixture<Real>& p = mixture;
        const int64_t d = p.d, k = p.k, groups = (k + COLUMNS - 1) / COLUMNS;
        double mean, scale;
        p.products = !p.exact;
        for (int64_t c = 0; c < k && p.products; ++c) {
            double norm = 0.0;
            for (int64_t j = 0; j < d; ++j) {
                mean_and_scale(pass, middle, c, j, mean, scale);
                norm += mean * scale * (mean * scale);
                p.products = p.products && scale <= LARGEST_SCALE<Real> && scale >= 1.0 / LARGEST_SCALE<Real>;
            }
            p.products = p.products && norm <= PRODUCT_LIMIT<Real>;
        }
        for (int64_t place = 0; place < groups * COLUMNS; ++place) {
            const int64_t c = place < k ? place : k - 1, lane = place % COLUMNS;
            const int64_t entries = p.products && pass.structure != DIAG ? COLUMNS : 2 * COLUMNS;
            Real* packed = p.factors + place / COLUMNS * entries * d;
            double norm = 0.0;
            for (int64_t j = 0; j < d; ++j, packed += entries) {
                mean_and_scale(pass, middle, c, j, mean, scale);
                norm += mean * scale * (mean * scale);
                packed[lane] = Real(p.exact ? mean : p.products ? mean * scale * scale : mean * scale);
                if (entries == 2 * COLUMNS) packed[COLUMNS + lane] = Real(p.products ? -0.5 * scale * scale : scale);
            }
            p.constants[place] = Real(pass.log_offset[c] - 0.5 * norm);
            p.curvatures[place] = Real(-0.5 * scale * scale);
        }
    }

    bool moments_allowed = false;
};
