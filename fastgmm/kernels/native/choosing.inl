// k-means++ as a whole.

template <typename Real>
int choose_centres(CentreChoice* choice) {
    const int64_t n = choice->n, d = choice->d;
    const Real* rows = static_cast<const Real*>(choice->rows);
    Real* distances = static_cast<Real*>(choice->distances);
    Urn urn{n, (n + Urn::BLOCK - 1) / Urn::BLOCK, nullptr, 0.0};
    double *candidates = nullptr, *potentials = nullptr;
    int64_t* drawn = nullptr;
    const int64_t most = choice->n_candidates > 1 ? choice->n_candidates : 1;
    Scratch memory;
    const bool allocated = memory.allocate([&](Arena& arena) {
        urn.sums = arena.take<double>(urn.count);
        candidates = arena.take<double>(most * d);
        potentials = arena.take<double>(most);
        drawn = arena.take<int64_t>(most);
    });
    if (!allocated) return OUT_OF_MEMORY;
    const double* weights = choice->sample_weight;
    auto weight_of = [=](int64_t i) INLINE_LAMBDA { return weights ? weights[i] : 1.0; };
    auto distance_of = [=](int64_t i)
                           INLINE_LAMBDA { return weights ? weights[i] * distances[i] : double(distances[i]); };
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
    return choice->k > 1 && choice->n_swaps > 0 ? swap_centres<Real>(choice, urn, positions) : int(DONE);
}
