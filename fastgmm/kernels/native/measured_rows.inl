// Rows that were measured with errors of their own, in lanes: each is normal about a component's mean with T = V + S,
// and factorises its own T as L D L^T, which takes a division for a feature and no root. Everything is computed in
// double, whatever the rows are in.
//
// What was not measured has an infinite variance; there T has a row and a column of the unit matrix, and the row is at
// the mean: neither distance nor determinant know of it. Where rows have no errors but miss values, that matrix would
// be factorised for what is there; it is cheaper to factorise the precision P of what is missing, m by m:
//     d_o' V_oo^-1 d_o = d' P d - q_m' P_mm^-1 q_m,   q = P d,   d_m = 0,   det V_oo = det V det P_mm,
// and what is missing has the mean -P_mm^-1 q_m and the covariance P_mm^-1, with which the sums are those of whole
// rows. The rows of a tile are sorted by how much they miss, so that the lanes of a vector have about as many.

INLINE int64_t packed(int64_t i) { return i * (i + 1) / 2; }

struct ErrorMixture {
    int64_t d, k, triangle;  // triangle: numbers in that of a matrix, or on its diagonal
    bool diagonal;           // covariances and errors are variances
    bool whole;              // errors are matrices
    bool holes;              // rows have no errors, and what is NaN is missing
    int64_t side;            // holes: d rounded up to whole blocks
    const double* means;
    double* covariances;       // (k, triangle), lower; not with holes
    bool diagonal_holes;       // the same of diagonal covariances
    double* precisions;        // holes: (k, d, side), zeros behind the columns of P; of diagonals (k, d)
    double* bordered;          // holes: (k, d + 1, d + 1), P and zeros; of diagonals (k, d), log V
    double* log_weight;        // (k); with holes less half the log-determinant of V
    const double* other;       // (n) the log density of what is no component, at each row; or null
    const double* dof;         // (k) of Student components; or null, and so are the following
    const double* normaliser;  // (k, d + 1) log normaliser of so many features
    const double* log_term;    // (k, d + 1) what log u lacks of its expectation with so many, beyond that of all

    void lay_out(Arena& arena, const ErrorPass& pass) {
        d = pass.d, k = pass.k;
        diagonal = pass.diagonal;
        whole = pass.whole;
        holes = !pass.errors && !diagonal;
        side = round_up(d, BLOCK);
        triangle = diagonal ? d : packed(d);
        means = pass.means;
        other = pass.other;
        dof = pass.degrees_of_freedom;
        normaliser = pass.tail_terms;
        log_term = pass.tail_terms ? pass.tail_terms + k * (d + 1) : nullptr;
        covariances = arena.take<double>(holes ? 0 : k * triangle);
        const bool own = !pass.errors;
        diagonal_holes = own && diagonal;
        precisions = arena.zeros<double>(own ? k * d * (diagonal ? 1 : side) : 0);
        bordered = arena.zeros<double>(own ? k * (diagonal ? d : (d + 1) * (d + 1)) : 0);
        log_weight = arena.take<double>(k);
        double* const r = arena.take<double>(holes ? 2 * d * d : 0);
        if (!log_weight) return;
        for (int64_t c = 0; c < k; ++c) {
            log_weight[c] = pass.log_weight[c];
            if (holes) {
                invert_covariance(pass.covariances + c * d * d, c, r);
                continue;
            }
            for (int64_t i = 0; diagonal_holes && i < d; ++i) {
                const double v = pass.covariances[c * d + i];
                if (!(v > 0.0)) log_weight[c] = -INFINITE;  // no component
                precisions[c * d + i] = v > 0.0 ? 1.0 / v : 1.0;
                bordered[c * d + i] = v > 0.0 ? __builtin_log(v) : 0.0;
            }
            for (int64_t i = 0; i < d; ++i)
                for (int64_t j = 0; j <= i; ++j) {
                    if (diagonal)
                        covariances[c * d + i] = pass.covariances[c * d + i];
                    else
                        covariances[c * triangle + packed(i) + j] = pass.covariances[(c * d + i) * d + j];
                }
        }
    }

    // Outputs of a block of products.
    static constexpr int64_t BLOCK = 8;

    // Columns of a row's responsibilities: those of components, and of what is none.
    int64_t n_shares() const { return k + (other ? 1 : 0); }

    // Sums of a component: count, first and second sums, and those of a tail.
    int64_t n_sums() const { return 1 + d + triangle + (dof ? 2 : 0); }

  private:
    void invert_covariance(const double* covariance, int64_t c, double* r) const {
        double* const u = r + d * d;
        double* const border = bordered + c * (d + 1) * (d + 1);
        if (!factorise_small(covariance, d, r, u)) {
            log_weight[c] = -INFINITE;  // no component
            for (int64_t i = 0; i < d; ++i) border[i * (d + 2)] = precisions[(c * d + i) * side + i] = 1.0;
            return;
        }
        for (int64_t i = 0; i < d; ++i) {
            log_weight[c] += __builtin_log(u[i * d + i]);
            for (int64_t j = 0; j < d; ++j) {
                double sum = 0.0;
                for (int64_t l = i > j ? i : j; l < d; ++l) sum += u[i * d + l] * u[j * d + l];
                precisions[(c * d + i) * side + j] = border[i * (d + 1) + j] = sum;
            }
        }
    }
};

// Rows in lanes: values, zero where not measured; the lower triangle of S, or its diagonal, with ones on the diagonal
// there; and ones for what was measured, zeros elsewhere.
struct MeasuredRows {
    double *x, *s, *seen;
    int64_t* hole;     // (d, stride) the features that a row misses, ascending, then d
    int32_t* n_holes;  // (stride)
    int64_t stride;
    bool any_missing;

    void lay_out(Arena& arena, const ErrorMixture& m, int64_t rows) {
        stride = rows;
        x = arena.take<double>(m.d * stride);
        s = arena.take<double>((m.whole ? packed(m.d) : m.d) * stride);
        seen = arena.take<double>(m.d * stride);
        hole = arena.take<int64_t>(m.holes ? m.d * stride : 0);
        n_holes = m.holes ? arena.take<int32_t>(stride) : nullptr;
        any_missing = false;
    }

    // Reads `count` rows in the given order; the last one fills up the last vector.
    template <typename Real>
    void read(const ErrorMixture& m, const Real* rows, const Real* errors, const int32_t* order, int64_t count) {
        constexpr int L = Simd<double>::lanes;
        const int64_t d = m.d, own = m.whole ? d * d : d;
        const Vector<double> none{}, one = broadcast(1.0), infinity = broadcast(INFINITE);
        any_missing = false;
        for (int64_t n = 0; n < count; n += L) {
            const Real *row[L], *spread[L];
            for (int lane = 0; lane < L; ++lane) {
                const int64_t from = order[n + lane < count ? n + lane : count - 1];
                row[lane] = rows + from * d;
                spread[lane] = errors ? errors + from * own : nullptr;
            }
            Vector<double> all_seen = one;
            for (int64_t i = 0; i < d; ++i) {
                Vector<double> value, variance{};
#pragma GCC unroll 8
                for (int lane = 0; lane < L; ++lane) value[lane] = double(row[lane][i]);
                if (errors)
#pragma GCC unroll 8
                    for (int lane = 0; lane < L; ++lane) variance[lane] = double(spread[lane][m.whole ? i * d + i : i]);
                const auto measured = errors ? variance < infinity : value == value;
                const Vector<double> seen_here = measured ? one : none;
                all_seen *= seen_here;
                store<double>(x + i * stride + n, measured ? value : none);
                store<double>(seen + i * stride + n, seen_here);
                if (!m.holes) store<double>(s + (m.whole ? packed(i) + i : i) * stride + n, measured ? variance : one);
            }
            any_missing |= mask_greater(one, all_seen) != 0;
            if (m.holes) list_holes(d, row, n);
            for (int64_t i = 1; m.whole && i < d; ++i)
                for (int64_t j = 0; j < i; ++j)
                    for (int lane = 0; lane < L; ++lane) {
                        const int64_t at = n + lane;
                        const bool both = seen[i * stride + at] * seen[j * stride + at] > 0.0;
                        s[(packed(i) + j) * stride + at] = both ? double(spread[lane][i * d + j]) : 0.0;
                    }
        }
    }

    template <typename Real>
    void list_holes(int64_t d, const Real* const* row, int64_t n) {
        constexpr int L = Simd<double>::lanes;
        for (int lane = 0; lane < L; ++lane) {
            int64_t missed = 0;
            for (int64_t i = 0; i < d; ++i) {
                hole[missed * stride + n + lane] = i;  // the last one stays if it is none, and is replaced below
                missed += __builtin_isnan(row[lane][i]) ? 1 : 0;
            }
            n_holes[n + lane] = int32_t(missed);
            for (int64_t i = missed; i < d; ++i) hole[i * stride + n + lane] = d;
        }
    }

    // How many features each of a vector of rows has.
    INLINE_MEMBER Vector<double> n_seen(const ErrorMixture& m, int64_t n) const {
        Vector<double> found{};
        for (int64_t i = 0; i < m.d; ++i) found += load(seen + i * stride + n);
        return found;
    }

    // The rows from n on.
    MeasuredRows from(int64_t n) const {
        MeasuredRows rest = *this;
        rest.x += n, rest.s += n, rest.seen += n;
        if (n_holes) rest.hole += n, rest.n_holes += n;
        return rest;
    }

    // Takes the listed rows of others; the last one fills up the vector.
    void gather(const ErrorMixture& m, const MeasuredRows& from, const int32_t* index, int64_t count) {
        constexpr int L = Simd<double>::lanes;
        int32_t lane_of[L];
        for (int lane = 0; lane < L; ++lane) lane_of[lane] = index[lane < count ? lane : count - 1];
        auto copy = [&](const auto* source, auto* to, int64_t columns) {
            for (int64_t j = 0; j < columns; ++j)
#pragma GCC unroll 8
                for (int lane = 0; lane < L; ++lane) to[j * stride + lane] = source[j * from.stride + lane_of[lane]];
        };
        copy(from.x, x, m.d);
        if (m.holes) {
            copy(from.n_holes, n_holes, 1);
            int64_t most = 0;
            for (int lane = 0; lane < L; ++lane) most = n_holes[lane] > most ? n_holes[lane] : most;
            copy(from.hole, hole, most);
        } else {
            copy(from.s, s, m.whole ? packed(m.d) : m.d);
        }
        if (from.any_missing || m.diagonal || m.holes) copy(from.seen, seen, m.d);
        any_missing = from.any_missing;
    }
};
