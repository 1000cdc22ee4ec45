// k-means++: centres chosen one after another, each with a pass or two over the rows.

// Weights of rows, summed in blocks, so that a row is drawn by looking at the blocks and at one of them.
struct Urn {
    static constexpr int64_t BLOCK = 256;
    int64_t n, count;  // rows, blocks
    double* sums;
    double total;

    template <typename WeightOf>
    void fill(WeightOf weight_of) {
        total = 0.0;
        for (int64_t b = 0; b < count; ++b) {
            const int64_t last = (b + 1) * BLOCK < n ? (b + 1) * BLOCK : n;
            double partial[8] = {};
            int64_t i = b * BLOCK;
            for (; i + 8 <= last; i += 8)
#pragma GCC unroll 8
                for (int lane = 0; lane < 8; ++lane) partial[lane] += weight_of(i + lane);
            for (; i < last; ++i) partial[0] += weight_of(i);
            sums[b] = ((partial[0] + partial[1]) + (partial[2] + partial[3])) +
                      ((partial[4] + partial[5]) + (partial[6] + partial[7]));
            total += sums[b];
        }
    }

    // The row at `position` in [0, 1) of the cumulative weight; never one of no weight.
    template <typename WeightOf>
    int64_t draw(double position, WeightOf weight_of) const {
        double left = position * total;
        int64_t b = 0, drawn = 0;
        for (; b + 1 < count && left >= sums[b]; ++b) left -= sums[b];
        // Rounding may leave more than the block holds; the last row that weighs anything is drawn then.
        for (; b >= 0; --b, left = INFINITE) {
            const int64_t last = (b + 1) * BLOCK < n ? (b + 1) * BLOCK : n;
            bool found = false;
            for (int64_t i = b * BLOCK; i < last; ++i) {
                const double weight = weight_of(i);
                if (!(weight > 0.0)) continue;
                drawn = i;
                found = true;
                if (left < weight) return i;
                left -= weight;
            }
            if (found) return drawn;
        }
        return drawn;
    }
};

// Squared distances of a tile to C candidates, none above those known: their weighted sums are added to `sums` (those
// of the first `count`), and the first candidate's are written where `write`.
template <typename Real, int C>
INLINE void lower_tile(const CentrePass<Real>& pass, NearestMemory<Real>& m, int64_t padded, int64_t group, bool write,
                       double* sums, int64_t count = C) {
    constexpr int L = Simd<Real>::lanes, R = ROW_VECTORS;
    Vector<Real> sum[C];
    for (int c = 0; c < C; ++c) sum[c] = Vector<Real>{};
    for (int64_t i = 0; i < padded; i += R * L) {
        Vector<Real> distance[C][R];
        pass.template distances<C>(m, i, group, distance);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const Vector<Real> before = load(m.lowest + i + r * L), w = load(m.weights + i + r * L);
#pragma GCC unroll 8
            for (int c = 0; c < C; ++c) {
                distance[c][r] = distance[c][r] < before ? distance[c][r] : before;
                sum[c] = w * distance[c][r] + sum[c];
            }
            if (write) store<Real>(m.lowest + i + r * L, distance[0][r]);
        }
    }
    for (int c = 0; c < C && c < count; ++c) sums[c] += sum_lanes(sum[c]);
}

template <typename Real>
int seeding_pass(SeedingPass* pass) {
    const int64_t n = pass->n, d = pass->d, k = pass->k;
    Real* distances = static_cast<Real*>(pass->distances);
    CentrePass<Real> centre_pass;
    const double work = double(n) * double(2 * d * k + 4);
    if (!centre_pass.prepare(pass->candidates, n, d, k, pass->n_threads, work, k)) return OUT_OF_MEMORY;
    const bool write = !pass->potentials;
    const Status status = centre_pass.run(
        static_cast<const Real*>(pass->rows), pass->poll, [&](NearestMemory<Real>& m, int64_t first, int64_t count) {
            const int64_t padded = round_up(count, Simd<Real>::rows);
            for (int64_t i = 0; i < padded; ++i) m.lowest[i] = i < count ? distances[first + i] : Real(0);
            load_weights<Real>(pass->sample_weight ? pass->sample_weight + first : nullptr, count, padded, m.weights);
            for (int64_t group = 0; group < k; group += COLUMNS) {
                double* sums = m.sums + group;
                switch (k - group) {
                    case 1: lower_tile<Real, 1>(centre_pass, m, padded, group, write, sums); break;
                    case 2: lower_tile<Real, 2>(centre_pass, m, padded, group, write, sums); break;
                    case 3: lower_tile<Real, 3>(centre_pass, m, padded, group, write, sums); break;
                    case 4: lower_tile<Real, 4>(centre_pass, m, padded, group, write, sums); break;
                    default: lower_tile<Real, COLUMNS>(centre_pass, m, padded, group, write, sums, k - group);
                }
            }
            if (write)
                for (int64_t i = 0; i < count; ++i) distances[first + i] = m.lowest[i];
        });
    if (status == DONE && pass->potentials)
        for (int64_t i = 0; i < k; ++i) pass->potentials[i] = centre_pass.total[i];
    return status;
}
