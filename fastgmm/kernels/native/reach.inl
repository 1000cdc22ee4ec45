// Which components may matter to a row, told by its distance from one of them.
//
// Let c be any component, r the Mahalanobis distance of a row from its mean, and k another component. In a metric that
// is nowhere longer than that of c or of k, the means are sqrt(S) apart, so the row is at least sqrt(S) - r from k. The
// log of weight times density is offset - 1/2 distance^2, and the row's best is no worse than that of c: k is below
// what contributes unless (sqrt(S) - r)^2 <= B + r^2, where B = 2 (offset of k - offset of c + margin). That is
// r >= (S - B) / (2 sqrt(S)), one number for a pair of components: the radius from which on k may matter.

// Radii are told apart by so many steps; and components for which looking at radii may pay.
constexpr int RADII = 64, LEAST_REACHED = 64;

// Another component, and from which radius on it may matter.
struct Near {
    int32_t other;
    int radius;
};

template <typename Real>
struct Reach {
    int64_t k, d, places, n_cells, most;  // places: k in whole vectors; most: others that a component's list holds
    Structure structure;
    double step, largest_radius;  // from radius to radius, and what they are below
    double largest_offset;
    const double* offset;  // (k)
    double* across;        // (d, places) means in the common metric
    double* tightness;  // (d, places) of diagonals: precisions along the axes; otherwise (places), see `find_tightness`
    double* spread;     // (d) what the common metric divides differences by
    Real* means;        // (k, d) about the centre, whitened where all share a factor; none of full matrices
    Real* scales;       // (k, d) of diagonals
    Real* half;         // (k) what squares are multiplied by
    int32_t* begins;    // (k, RADII + 1) where in its list those of a radius begin
    int32_t* lists;     // (k, most)
    int32_t* last;      // (k) the last radius that the list is complete for, or -1
    Real* cell_means;   // (n_cells, d)
    Real* cell_scale;   // (d)
    int32_t* members;   // (k) components by cells
    int32_t* cell_begins;  // (n_cells + 2)
    int32_t* place;        // (k) where each one stands among the members
    Scratch memory;

    bool begin(const PackedMixture<Real>& p, const MixturePass& pass, int n_threads) {
        constexpr int L = Simd<double>::lanes;
        k = p.k;
        d = p.d;
        structure = p.structure;
        places = round_up(k, L);
        n_cells = 1;
        while (n_cells * n_cells < k) ++n_cells;
        most = k / 8 < 64 ? 64 : k / 8 > 512 ? 512 : k / 8;
        if (most * k > (int64_t(1) << 24)) most = (int64_t(1) << 24) / k;
        largest_radius = 6.0 + 2.0 * __builtin_sqrt(double(d));
        step = largest_radius / RADII;
        offset = pass.log_offset;
        largest_offset = double(p.largest_offset);
        const bool full = structure == FULL, diagonal = structure == DIAG;
        const bool allocated = memory.allocate([&](Arena& arena) {
            across = arena.zeros<double>(d * places);
            tightness = arena.zeros<double>(diagonal ? d * places : places);
            spread = arena.take<double>(d);
            means = arena.take<Real>(full ? 0 : k * d);
            scales = arena.take<Real>(diagonal ? k * d : 0);
            half = arena.take<Real>(k);
            begins = arena.take<int32_t>(k * (RADII + 1));
            lists = arena.take<int32_t>(k * most);
            last = arena.take<int32_t>(k);
            cell_means = arena.take<Real>(n_cells * d);
            cell_scale = arena.take<Real>(d);
            members = arena.take<int32_t>(k);
            cell_begins = arena.take<int32_t>(n_cells + 2);
            place = arena.take<int32_t>(k);
        });
        if (!allocated) return false;
        choose_metric(pass);
        pack(p, pass);
        return !full || find_tightness(pass, n_threads);
    }

    // Lists the others that may matter within the radii of component c, and counts how many have each radius.
    NOINLINE int64_t find_radii(int64_t c, Near* near, int64_t (&count)[RADII]) const {
        constexpr int L = Simd<double>::lanes;
        for (int64_t& number : count) number = 0;
        const double from_best = largest_offset - offset[c] + 0.5 * largest_radius * largest_radius;
        // Of the logarithm the passes take the next power of two's: see `contribution_threshold`.
        const double contributes = FLOOR_EXPONENT<double> + __builtin_log(2.0 * (2.0 * from_best + 113.0));
        const double margin = contributes < -double(ExpConstants<Real>::lowest) ? contributes : 708.0;
        // Squares above this are beyond the largest radius whatever the offset.
        const double most_b = 2.0 * (largest_offset - offset[c] + margin);
        const double root = largest_radius + __builtin_sqrt(largest_radius * largest_radius + most_b);
        const Vector<double> beyond = broadcast(root * root * (1.0 + 1e-9));
        int64_t found = 0;
        for (int64_t first = 0; first < places; first += L) {
            const Vector<double> square = squares_apart(c, first, beyond);
            for (uint32_t mask = ~mask_greater(square, beyond) & ((1u << L) - 1); mask; mask &= mask - 1) {
                const int64_t other = first + __builtin_ctz(mask);
                if (other == c || other >= k) continue;
                const double apart = square[other - first], b = 2.0 * (offset[other] - offset[c] + margin);
                const double at = apart > b ? 0.5 * (apart - b) / (__builtin_sqrt(apart) * step) : 0.0;
                if (at >= RADII) continue;
                const int radius = at > 0.0 ? int(at) : 0;  // NaN: may matter
                near[found++] = {int32_t(other), radius};
                ++count[radius];
            }
        }
        return found;
    }

    // How many others may matter at a radius, or k where it is beyond what a list could hold.
    int64_t within(double radius, const int64_t (&count)[RADII]) const {
        const double at = radius / step;
        if (!(at < RADII)) return k;
        int64_t sum = 0;
        for (int64_t i = 0; i <= int64_t(at); ++i) sum += count[i];
        return sum <= most ? sum : k;
    }

    void list_others(int64_t c, Near* near) const {
        int64_t count[RADII], next[RADII];
        const int64_t found = find_radii(c, near, count);
        int32_t *begin = begins + c * (RADII + 1), *list = lists + c * most;
        begin[0] = 0;
        last[c] = -1;
        for (int i = 0; i < RADII; ++i) {
            next[i] = begin[i];
            const bool fits = last[c] == i - 1 && begin[i] + count[i] <= most;
            if (fits) last[c] = i;
            begin[i + 1] = begin[i] + int32_t(fits ? count[i] : 0);
        }
        for (int64_t i = 0; i < found; ++i)
            if (near[i].radius <= last[c]) list[next[near[i].radius]++] = near[i].other;
    }

    // Cells of means that lie together, by a few steps of k-means.
    NOINLINE void find_cells(double* nearest, int32_t* cell, double* centre) {
        constexpr int L = Simd<double>::lanes;
        for (int64_t a = 0; a < n_cells; ++a)
            for (int64_t j = 0; j < d; ++j) centre[a * d + j] = across[j * places + a * k / n_cells];
        for (int turn = 0;; ++turn) {
            for (int64_t c = 0; c < places; ++c) nearest[c] = INFINITE;
            for (int64_t a = 0; a < n_cells; ++a)
                for (int64_t first = 0; first < places; first += L) {
                    const Vector<double> square = squares_from(centre + a * d, first), least = load(nearest + first);
                    uint32_t closer = mask_greater(least, square);
                    store<double>(nearest + first, square < least ? square : least);
                    for (; closer; closer &= closer - 1) cell[first + __builtin_ctz(closer)] = int32_t(a);
                }
            for (int64_t a = 0; a < n_cells + 2; ++a) cell_begins[a] = 0;
            for (int64_t c = 0; c < k; ++c) {
                if (!(nearest[c] < INFINITE)) cell[c] = 0;
                ++cell_begins[cell[c] + 2];
            }
            if (turn == 3) break;
            for (int64_t a = 0; a < n_cells; ++a)
                for (int64_t j = 0; j < d && cell_begins[a + 2]; ++j) centre[a * d + j] = 0.0;
            for (int64_t c = 0; c < k; ++c)
                for (int64_t j = 0; j < d; ++j)
                    centre[cell[c] * d + j] += across[j * places + c] / double(cell_begins[cell[c] + 2]);
        }
        for (int64_t a = 0; a < n_cells; ++a) cell_begins[a + 2] += cell_begins[a + 1];
        for (int64_t c = 0; c < k; ++c) {  // moves the beginnings on to where they belong
            place[c] = cell_begins[cell[c] + 1]++;
            members[place[c]] = int32_t(c);
        }
        for (int64_t j = 0; j < d; ++j) {
            cell_scale[j] = Real(1.0 / spread[j]);
            for (int64_t a = 0; a < n_cells; ++a) cell_means[a * d + j] = Real(centre[a * d + j] * spread[j]);
        }
    }

    // Cells, and the lists of all components.
    bool list_all(int threads) {
        Scratch scratch;
        Near* near = nullptr;
        double *nearest = nullptr, *centre = nullptr;
        int32_t* cell = nullptr;
        const bool allocated = scratch.allocate([&](Arena& arena) {
            near = arena.take<Near>(threads * k);
            nearest = arena.take<double>(places);
            cell = arena.take<int32_t>(places);
            centre = arena.take<double>(n_cells * d);
        });
        if (!allocated) return false;
        find_cells(nearest, cell, centre);
        share_out(k, threads, [&](int64_t c, int thread) { list_others(c, near + thread * k); });
        return true;
    }

  private:
    // Squared distance of L means, from the first on, from that of c, in a metric nowhere longer than theirs; or as far
    // as it has come where all are beyond what is asked.
    INLINE_MEMBER Vector<double> squares_apart(int64_t c, int64_t first, Vector<double> beyond) const {
        constexpr int L = Simd<double>::lanes, STEP = 16;
        Vector<double> sum{};
        const bool diagonal = structure == DIAG;
        const Vector<double> own = broadcast(tightness[diagonal ? 0 : c]), theirs = load(tightness + first);
        const Vector<double> contained = theirs < own ? theirs : own;
        for (int64_t from = 0; from < d; from += STEP) {
            const int64_t to = from + STEP < d ? from + STEP : d;
            if (diagonal) {
                for (int64_t j = from; j < to; ++j) {
                    const Vector<double> away = load(across + j * places + first) - across[j * places + c];
                    const Vector<double> its = load(tightness + j * places + first);
                    const Vector<double> mine = broadcast(tightness[j * places + c]);
                    sum = away * away * (its < mine ? its : mine) + sum;
                }
                if (mask_greater(sum, beyond) == (1u << L) - 1) break;
            } else {
                for (int64_t j = from; j < to; ++j) {
                    const Vector<double> away = load(across + j * places + first) - across[j * places + c];
                    sum = away * away + sum;
                }
                if (mask_greater(sum * contained, beyond) == (1u << L) - 1) break;
            }
        }
        return diagonal ? sum : sum * contained;
    }

    INLINE_MEMBER Vector<double> squares_from(const double* point, int64_t first) const {
        Vector<double> sum{};
        for (int64_t j = 0; j < d; ++j) {
            const Vector<double> away = load(across + j * places + first) - point[j];
            sum = away * away + sum;
        }
        return sum;
    }

    // What differences along each axis are divided by: the root of the mean variance.
    void choose_metric(const MixturePass& pass) {
        for (int64_t j = 0; j < d; ++j) {
            double sum = 0.0;
            for (int64_t c = 0; c < k && structure == DIAG; ++c) {
                const double scale = pass.factor[c * d + j];
                sum += 1.0 / (scale * scale);
            }
            // The precision's diagonal alone: any metric will do.
            for (int64_t c = 0; c < k && structure == FULL; ++c) {
                double precision = 0.0;
                for (int64_t i = j; i < d; ++i) {
                    const double entry = pass.factor[(c * d + j) * d + i];
                    precision += entry * entry;
                }
                sum += 1.0 / precision;
            }
            const bool own = structure == DIAG || structure == FULL;
            spread[j] = own && sum > 0.0 && sum < INFINITE ? __builtin_sqrt(sum / double(k)) : 1.0;
        }
    }

    void pack(const PackedMixture<Real>& p, const MixturePass& pass) {
        for (int64_t c = 0; c < k; ++c) {
            for (int64_t j = 0; j < d; ++j) {
                double at = pass.means[c * d + j] - p.middle[j];
                if (structure == TIED) {
                    at = 0.0;
                    for (int64_t i = 0; i <= j; ++i)
                        at += (pass.means[c * d + i] - p.middle[i]) * pass.factor[i * d + j];
                }
                across[j * places + c] = at / spread[j];
                if (structure != FULL) means[c * d + j] = Real(at);
                if (structure != DIAG) continue;
                const double scale = pass.factor[c * d + j];
                scales[c * d + j] = Real(scale);
                tightness[j * places + c] = scale * scale * spread[j] * spread[j];
            }
            const double scale = structure == SPHERICAL ? pass.factor[c] : 1.0;
            if (structure != DIAG) tightness[c] = scale * scale;
            half[c] = Real(0.5 * scale * scale);
        }
    }

    // Of full matrices: how many times the common metric is at least contained in the component's own, which is the
    // inverse of the largest eigenvalue of its covariance there; that of the fourth power is below its largest row sum.
    bool find_tightness(const MixturePass& pass, int n_threads) {
        Scratch scratch;
        double* matrices = nullptr;
        if (!scratch.allocate([&](Arena& arena) { matrices = arena.take<double>(n_threads * 3 * d * d); }))
            return false;
        share_out(k, n_threads, [&](int64_t c, int thread) {
            double *inverse = matrices + 3 * thread * d * d, *power = inverse + d * d, *next = power + d * d;
            const double* factor = pass.factor + c * d * d;
            // Of the scaled upper triangular factor, column by column: inverse[j] is column j.
            for (int64_t j = 0; j < d; ++j)
                for (int64_t i = d - 1; i >= 0; --i) {
                    double rest = i == j ? 1.0 : 0.0;
                    for (int64_t m = i + 1; m <= j; ++m) rest -= factor[i * d + m] * inverse[j * d + m];
                    inverse[j * d + i] = i > j ? 0.0 : rest / factor[i * d + i];
                }
            // The covariance is the sum over the factor's columns U^-T U^-1: entry (a, b) of rows a and b of U^-T.
            for (int64_t a = 0; a < d; ++a)
                for (int64_t b = 0; b < d; ++b) {
                    double sum = 0.0;
                    for (int64_t m = 0; m <= (a < b ? a : b); ++m) sum += inverse[a * d + m] * inverse[b * d + m];
                    power[a * d + b] = sum / (spread[a] * spread[b]);
                }
            for (int turn = 0; turn < 2; ++turn) {
                for (int64_t a = 0; a < d; ++a) {
                    for (int64_t b = 0; b < d; ++b) next[a * d + b] = 0.0;
                    for (int64_t m = 0; m < d; ++m)
                        for (int64_t b = 0; b < d; ++b) next[a * d + b] += power[a * d + m] * power[m * d + b];
                }
                double* const swapped = power;
                power = next;
                next = swapped;
            }
            double size = 0.0;
            for (int64_t a = 0; a < d; ++a) {
                double row = 0.0;
                for (int64_t b = 0; b < d; ++b) row += __builtin_fabs(power[a * d + b]);
                size = row > size ? row : size;
            }
            const double largest = __builtin_sqrt(__builtin_sqrt(size));
            tightness[c] = largest > 0.0 && largest < INFINITE ? (1.0 - 1e-9) / largest : 0.0;
        });
        return true;
    }
};
