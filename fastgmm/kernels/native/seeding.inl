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

template <typename Real>
int choose_centres(CentreChoice* choice) {
    const int64_t n = choice->n, d = choice->d;
    const Real* rows = static_cast<const Real*>(choice->rows);
    Real* distances = static_cast<Real*>(choice->distances);
    Urn urn{n, (n + Urn::BLOCK - 1) / Urn::BLOCK, nullptr, 0.0};
    double *candidates = nullptr, *potentials = nullptr;
    int64_t* drawn = nullptr;
    const int64_t most = choice->n_candidates > 1 ? choice->n_candidates : 1;
    Block memory;
    for (Arena arena{nullptr, 0};; arena = Arena{memory.memory, 0}) {
        urn.sums = arena.take<double>(urn.count);
        candidates = arena.take<double>(most * d);
        potentials = arena.take<double>(most);
        drawn = arena.take<int64_t>(most);
        if (memory.memory) break;
        if (!memory.allocate(arena.used)) return OUT_OF_MEMORY;
    }
    const double* weights = choice->sample_weight;
    auto weight_of = [=](int64_t i) INLINE_LAMBDA { return weights ? weights[i] : 1.0; };
    auto distance_of = [=](int64_t i) INLINE_LAMBDA { return weights ? weights[i] * distances[i] : double(distances[i]); };
    SeedingPass pass{rows, weights, n, d, 1, candidates, distances, nullptr, choice->n_threads, choice->poll};
    const double* positions = choice->positions;
    for (int64_t k = 0; k < choice->k; ++k) {
        const int64_t count = k > 0 && k < choice->n_greedy ? choice->n_candidates : 1;
        if (k > 0) urn.fill(distance_of);
        // Every row sits on a centre already: any row will do.
        const bool flat = k == 0 || !(urn.total > 0.0);
        if (flat) urn.fill(weight_of);
        for (int64_t i = 0; i < count; ++i) {
            drawn[i] = flat ? urn.draw(*positions++, weight_of) : urn.draw(*positions++, distance_of);
            for (int64_t j = 0; j < d; ++j) candidates[i * d + j] = double(rows[drawn[i] * d + j]);
        }
        int64_t best = 0;
        if (count > 1) {
            pass.k = count;
            pass.potentials = potentials;
            const int status = seeding_pass<Real>(&pass);
            if (status != DONE) return status;
            for (int64_t i = 1; i < count; ++i)
                if (potentials[i] < potentials[best]) best = i;
            for (int64_t j = 0; j < d; ++j) candidates[j] = candidates[best * d + j];
        }
        choice->chosen[k] = drawn[best];
        pass.k = 1;
        pass.potentials = nullptr;
        const int status = seeding_pass<Real>(&pass);
        if (status != DONE) return status;
    }
    return DONE;
}
