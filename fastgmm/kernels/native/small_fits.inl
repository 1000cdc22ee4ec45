// Many small fits: k-means++, Lloyd and EM of one problem after another, a thread to a problem.
//
// Each pass over a problem's rows is the kernel that a fit of one model runs, on one thread. A problem draws from a
// generator of its own number, so what it comes to depends neither on the threads nor on the other problems.

// Numbers in [0, 1) of one problem: splitmix64, started at a mix of the seed and the problem's number.
struct Draws {
    uint64_t state;

    Draws(uint64_t seed, uint64_t problem) : state(seed) {
        state = next() + problem;
        state = next();
    }
    uint64_t next() {
        uint64_t z = state += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    double uniform() { return double(next() >> 11) * 0x1p-53; }
};

// The memory of a thread, and the fits it makes.
struct SmallFit {
    SmallFits* all = nullptr;
    int64_t n_drawn, n_greedy_draws;
    double *distances, *positions, *centres, *counts, *sums, *scatter, *factor, *log_offset;
    double *weights, *means, *covariances;  // of a start that may not be the best
    int64_t *labels, *chosen;
    const double* rows;
    int64_t n;

    void lay_out(Arena& arena, SmallFits* fits) {
        all = fits;
        const int64_t k = fits->k, d = fits->d, matrix = fits->matrix_values;
        n_greedy_draws = 2 + int64_t(__builtin_log(double(k)));
        n_drawn = k + (k - 1) * (n_greedy_draws - 1);
        distances = arena.take<double>(fits->most_rows);
        labels = arena.take<int64_t>(fits->most_rows);
        positions = arena.take<double>(n_drawn);
        chosen = arena.take<int64_t>(k);
        centres = arena.take<double>(k * d);
        counts = arena.take<double>(k);
        sums = arena.take<double>(k * d);
        scatter = arena.take<double>(matrix);
        factor = arena.take<double>(matrix);
        log_offset = arena.take<double>(k);
        weights = arena.take<double>(k);
        means = arena.take<double>(k * d);
        covariances = arena.take<double>(matrix);
    }

    void clear_statistics() const {
        for (int64_t c = 0; c < all->k; ++c) counts[c] = 0.0;
        for (int64_t i = 0; i < all->k * all->d; ++i) sums[i] = 0.0;
        for (int64_t i = 0; i < all->matrix_values; ++i) scatter[i] = 0.0;
    }

    int pass(Action action, double* log_likelihood) const {
        clear_statistics();
        MixturePass p{};
        p.structure = all->structure;
        p.action = action;
        p.rows = rows;
        p.labels = labels;
        p.n = n;
        p.d = all->d;
        p.k = all->k;
        p.log_offset = log_offset;
        p.means = centres;
        p.factor = action == ACCUMULATE ? factor : nullptr;
        p.counts = counts;
        p.sums = sums;
        p.scatter = scatter;
        p.n_threads = 1;
        const int status = mixture_pass<double>(&p);
        if (log_likelihood) *log_likelihood = p.log_likelihood;
        return status;
    }

    int maximise(int* failed) const {
        MixtureEstimate e{};
        e.structure = all->structure;
        e.d = all->d;
        e.k = all->k;
        e.centres = centres;
        e.counts = counts;
        e.sums = sums;
        e.scatter = scatter;
        e.reg_covar = all->reg_covar;
        e.count_floor = 10.0 * 2.220446049250313e-16;
        e.weights = weights;
        e.means = means;
        e.covariances = covariances;
        e.factor = factor;
        e.log_offset = log_offset;
        e.n_threads = 1;
        const int status = estimate(&e);
        *failed = e.failed;
        return status;
    }

    // Mean over the features of their variance.
    double mean_variance() const {
        double total = 0.0;
        for (int64_t j = 0; j < all->d; ++j) {
            double shift = 0.0, squares = 0.0;
            for (int64_t i = 0; i < n; ++i) {
                const double moved = rows[i * all->d + j] - rows[j];
                shift += moved;
                squares += moved * moved;
            }
            const double variance = (squares - shift * (shift / double(n))) / double(n);
            total += variance > 0.0 ? variance : 0.0;
        }
        return total / double(all->d);
    }

    // The row farthest from its own centre starts an empty cluster.
    void fill_empty() const {
        const int64_t d = all->d;
        for (int64_t c = 0; c < all->k; ++c) {
            if (counts[c] > 0.0) continue;
            int64_t far = 0;
            double most = -1.0;
            for (int64_t i = 0; i < n; ++i) {
                double square = 0.0;
                for (int64_t j = 0; j < d; ++j) {
                    const double difference = rows[i * d + j] - centres[labels[i] * d + j];
                    square += difference * difference;
                }
                if (square > most && counts[labels[i]] > 1.0) {
                    most = square;
                    far = i;
                }
            }
            if (most < 0.0) return;
            const int64_t from = labels[far];
            for (int64_t j = 0; j < d; ++j) {
                sums[from * d + j] -= rows[far * d + j] - centres[from * d + j];
                centres[c * d + j] = rows[far * d + j];
                sums[c * d + j] = 0.0;
            }
            counts[from] -= 1.0;
            counts[c] = 1.0;
            labels[far] = c;
        }
    }

    // Labels by k-means++ and Lloyd's steps, ended by scikit-learn's rule.
    int cluster(Draws& draws) {
        const int64_t k = all->k, d = all->d;
        for (int64_t i = 0; i < n_drawn; ++i) positions[i] = draws.uniform();
        for (int64_t i = 0; i < n; ++i) distances[i] = 1.7976931348623157e308;
        CentreChoice choice{rows, nullptr, n, d, k, k, n_greedy_draws, 0, positions, distances, chosen, 1, nullptr};
        int status = choose_centres<double>(&choice);
        for (int64_t c = 0; c < k; ++c)
            for (int64_t j = 0; j < d; ++j) centres[c * d + j] = rows[chosen[c] * d + j];
        const double threshold = 1e-4 * mean_variance();
        for (int64_t step = 0; step < 300 && status == DONE; ++step) {
            clear_statistics();
            NearestPass nearest{rows, nullptr, n, d, k, centres, labels, counts, sums, 0.0, 1, nullptr};
            status = nearest_pass<double>(&nearest);
            fill_empty();
            double moved = 0.0;
            for (int64_t c = 0; c < k; ++c)
                for (int64_t j = 0; j < d && counts[c] > 0.0; ++j) {
                    const double shift = sums[c * d + j] / counts[c];
                    centres[c * d + j] += shift;
                    moved += shift * shift;
                }
            if (!(moved > threshold)) break;
        }
        return status;
    }

    // One start: fills weights, means and covariances; `outcome` is 1 where a component collapsed.
    int run(Draws& draws, double* bound, int64_t* n_iter, int64_t* is_converged, int* outcome) {
        int status = cluster(draws);
        if (status == DONE) status = pass(ACCUMULATE_LABELS, nullptr);
        if (status == DONE) status = maximise(outcome);
        *bound = -INFINITE;
        *is_converged = 0;
        int64_t step = 0;
        while (status == DONE && !*outcome && !*is_converged && step < all->max_iter) {
            ++step;
            for (int64_t i = 0; i < all->k * all->d; ++i) centres[i] = means[i];
            double log_likelihood = 0.0;
            status = pass(ACCUMULATE, &log_likelihood);
            if (status == DONE) status = maximise(outcome);
            const double now = log_likelihood / double(n), change = now - *bound;
            *bound = now;
            if (!(now > -INFINITE && now < INFINITE)) *outcome = 1;
            *is_converged = change < all->tol && change > -all->tol;
        }
        *n_iter = step;
        return status;
    }

    int fit(int64_t problem) {
        const int64_t k = all->k, d = all->d, matrix = all->matrix_values;
        rows = all->rows + all->first_rows[problem] * d;
        n = all->first_rows[problem + 1] - all->first_rows[problem];
        Draws draws(all->seed, uint64_t(problem));
        bool has_fit = false;
        for (int64_t start = 0; start < all->n_init; ++start) {
            double bound = -INFINITE;
            int64_t n_iter = 0, is_converged = 0;
            int outcome = 0;
            const int status = run(draws, &bound, &n_iter, &is_converged, &outcome);
            if (status != DONE) return status;
            if (outcome || (has_fit && !(bound > all->lower_bounds[problem]))) continue;
            has_fit = true;
            all->lower_bounds[problem] = bound;
            all->n_iter[problem] = n_iter;
            all->outcomes[problem] = is_converged ? FIT_CONVERGED : FIT_UNCONVERGED;
            for (int64_t i = 0; i < k; ++i) all->weights[problem * k + i] = weights[i];
            for (int64_t i = 0; i < k * d; ++i) all->means[problem * k * d + i] = means[i];
            for (int64_t i = 0; i < matrix; ++i) all->covariances[problem * matrix + i] = covariances[i];
        }
        if (!has_fit) all->outcomes[problem] = FIT_COLLAPSED;
        return DONE;
    }
};

// Fits every problem whose outcome is FIT_WANTED.
int fit_many(SmallFits* fits) {
    const int64_t total = fits->first_rows[fits->n_problems];
    const double work = 20.0 * double(total) * double(fits->k) * double(fits->d * fits->d + 30);
    const int n_threads = threads_for(fits->n_threads, fits->n_problems, work);
    Scratch memory;
    SmallFit* workers = nullptr;
    const bool allocated = memory.allocate([&](Arena& arena) {
        workers = arena.take<SmallFit>(n_threads);
        for (int t = 0; t < n_threads; ++t) {
            SmallFit measured;
            (workers ? workers[t] : measured).lay_out(arena, fits);
        }
    });
    if (!allocated) return OUT_OF_MEMORY;
    Turnstile turnstile{fits->poll};
    int failure = DONE;
    share_out(fits->n_problems, n_threads, [&](int64_t problem, int thread) {
        if (fits->outcomes[problem] != FIT_WANTED || !turnstile.keep_going(thread == 0)) return;
        const int status = workers[thread].fit(problem);
        if (status != DONE) __atomic_store_n(&failure, status, __ATOMIC_RELAXED);
    });
    return turnstile.stopped ? int(INTERRUPTED) : failure;
}
