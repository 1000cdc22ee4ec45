// Which components are near each one: those that give its rows the highest expected log density, with weights; its
// spread is taken as the same in all directions. Asked are its neighbours, theirs, and some at random.
int refine_neighbors(NeighborSearch* p) {
    const int64_t d = p->d, k = p->k, g = p->n_neighbors;
    AskedComponents m{};
    m.begin(p->structure, d, k, p->log_offset, p->factor);
    const double length = p->structure == FULL || p->structure == TIED ? 0.5 * double(d) * double(d) : 2.0 * double(d);
    const int n_threads = threads_for(p->n_threads, k, double(k) * double(g * g) * length);
    Scratch memory;
    Asking* asking = nullptr;
    double* traces = nullptr;
    const bool allocated = memory.allocate([&](Arena& arena) {
        m.lay_out(arena, false);
        asking = arena.take<Asking>(n_threads);
        traces = arena.take<double>(k);
        for (int t = 0; t < n_threads; ++t) {
            Asking a;
            a.lay_out(arena, m, g, g * (g + 1) + p->n_random, 0);
            if (arena.block) asking[t] = a;
        }
    });
    if (!allocated) return OUT_OF_MEMORY;
    m.choose_centre(p->means);
    share_out(k, n_threads, [&](int64_t i, int) {
        m.pack(i, p->means + i * d);
        traces[i] = m.trace(i);
    });
    share_out(k, n_threads, [&](int64_t i, int thread) {
        Asking& a = asking[thread];
        const double variance = m.variance(i);
        a.best[0].begin(INFINITE);
        a.listed = 0;
        a.asked_by[i] = ++a.question;
        const int32_t* old = p->old_neighbors + i * g;
        for (int64_t r = 0; r < g; ++r) a.add(old[r], a.question);
        for (int64_t r = 0; r < g; ++r)
            for (int64_t s = 0; old[r] >= 0 && s < g; ++s) a.add(p->old_neighbors[int64_t(old[r]) * g + s], a.question);
        for (int64_t e = 0; e < p->n_random; ++e) a.add(drawn(p->seed, i, e, k), a.question);
        for (int64_t j = 0; j < d; ++j) a.rows[j] = p->means[i * d + j] - m.centre[j];
        a.ask_listed(m, a.rows, a.best[0], [&](int64_t c) { return 0.5 * variance * traces[c]; });
        for (int64_t r = 0; r < g; ++r) p->neighbors[i * g + r] = r < a.best[0].found ? a.best[0].components[r] : -1;
    });
    return DONE;
}
