// Nearest centres: the pass of k-means.

// The nearest centre of each row of the tile, the first of equals: the largest of x . c - |c|^2 / 2.
template <typename Real>
NOINLINE void nearest_of_tile(const PackedCentres<Real>& p, NearestMemory<Real>& m, int64_t stride, int64_t count) {
    constexpr int L = Simd<Real>::lanes, R = ROW_VECTORS;
    using Index = typename Bits<Real>::type;
    for (int64_t n = 0; n < count; n += R * L) {
        Vector<Real> highest[R];
        Integer<Real> nearest[R];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            highest[r] = broadcast(Real(-INFINITE));
            nearest[r] = Integer<Real>{};
        }
        for (int64_t first = 0; first < p.k; first += COLUMNS) {
            Vector<Real> sum[COLUMNS][R];
#pragma GCC unroll 8
            for (int c = 0; c < COLUMNS; ++c)
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) sum[c][r] = broadcast(p.constants[first + c]);
            add_products<Real, false>(m.rows + n, stride, p.d, p.factors + first * 2 * p.d, 2 * COLUMNS, sum);
#pragma GCC unroll 8
            for (int c = 0; c < COLUMNS; ++c)
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) {
                    const auto above = sum[c][r] > highest[r];
                    highest[r] = above ? sum[c][r] : highest[r];
                    nearest[r] = above ? Integer<Real>{} + Index(first + c) : nearest[r];
                }
        }
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) m.nearest[n / L + r] = nearest[r];
    }
}

// The same from squared distances, (k, stride).
template <typename Real>
void nearest_by_distance(int64_t k, NearestMemory<Real>& m, int64_t stride, int64_t count) {
    constexpr int L = Simd<Real>::lanes;
    using Index = typename Bits<Real>::type;
    for (int64_t n = 0; n < count; n += L) {
        Vector<Real> lowest = load(m.rows + n);
        Integer<Real> nearest{};
        for (int64_t c = 1; c < k; ++c) {
            const Vector<Real> distance = load(m.rows + c * stride + n);
            const auto below = distance < lowest;
            lowest = below ? distance : lowest;
            nearest = below ? Integer<Real>{} + Index(c) : nearest;
        }
        m.nearest[n / L] = nearest;
    }
}

// Adds w (x - centre) to `sum` and returns |x - centre|^2, by eight features at a time.
template <typename Real>
INLINE double add_difference(const Real* x, const double* centre, double w, int64_t d, double* __restrict sum) {
    double partial[8] = {};
    int64_t j = 0;
    for (; j + 8 <= d; j += 8) {
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) {
            const double difference = double(x[j + i]) - centre[j + i];
            partial[i] += difference * difference;
            sum[j + i] += w * difference;
        }
    }
    double distance = ((partial[0] + partial[1]) + (partial[2] + partial[3])) +
                      ((partial[4] + partial[5]) + (partial[6] + partial[7]));
    for (; j < d; ++j) {
        const double difference = double(x[j]) - centre[j];
        distance += difference * difference;
        sum[j] += w * difference;
    }
    return distance;
}

template <typename Real>
int nearest_pass(NearestPass* pass) {
    using Index = typename Bits<Real>::type;
    const int64_t n = pass->n, d = pass->d, k = pass->k;
    const Real* rows = static_cast<const Real*>(pass->rows);
    // Sums of a strip: k counts, k x d sums, the inertia.
    CentrePass<Real> centre_pass;
    const double work = double(n) * double(k) * double(2 * d + 4);
    if (!centre_pass.prepare(pass->centres, n, d, k, pass->n_threads, work, k + k * d + 1)) return OUT_OF_MEMORY;
    const int64_t tile_rows = centre_pass.strips.tile_rows;
    const Status status = centre_pass.run(rows, pass->poll, [&](NearestMemory<Real>& m, int64_t first, int64_t count) {
        double *counts = m.sums, *sums = m.sums + k, *inertia = m.sums + k + k * d;
        if (centre_pass.centres.long_rows)
            nearest_by_distance<Real>(k, m, tile_rows, count);
        else
            nearest_of_tile<Real>(centre_pass.centres, m, tile_rows, count);
        const Index* nearest = reinterpret_cast<const Index*>(m.nearest);
        for (int64_t i = 0; i < count; ++i) {
            const int64_t c = int64_t(nearest[i]);
            const double w = pass->sample_weight ? pass->sample_weight[first + i] : 1.0;
            pass->labels[first + i] = c;
            counts[c] += w;
            const Real* x = rows + (first + i) * d;
            *inertia += w * add_difference<Real>(x, pass->centres + c * d, w, d, sums + c * d);
        }
    });
    if (status != DONE) return status;
    const double* total = centre_pass.total;
    for (int64_t c = 0; c < k; ++c) pass->counts[c] += total[c];
    for (int64_t i = 0; i < k * d; ++i) pass->sums[i] += total[k + i];
    pass->inertia = total[k + k * d];
    return DONE;
}
