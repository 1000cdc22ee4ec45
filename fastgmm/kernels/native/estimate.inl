// The M-step where it leaves every covariance of its structure free, and the factors of precision matrices: O(K D^3).

constexpr double HALF_LOG_2PI = 0.91893853320467274178;

// Returns DONE and writes to `failed` the first matrix without a factor, or -1.
int factorise_all(const double* covariances, int64_t k, int64_t d, double* factors, int n_threads, int64_t* failed) {
    int64_t first = k;
    const Status status = for_each_matrix(k, d, n_threads, [&](int64_t c, Factoriser& factoriser, int) {
        if (factoriser.factorise(covariances + c * d * d, factors + c * d * d)) return;
        int64_t seen = __atomic_load_n(&first, __ATOMIC_RELAXED);
        while (c < seen && !__atomic_compare_exchange_n(&first, &seen, c, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        }
    });
    *failed = first == k ? -1 : first;
    return status;
}

// Both triangles of a covariance from the upper one of its scatter about centres, moved to the means: those of
// components [first, last), whose `weights` and `means` hold counts and shifts.
INLINE void covariance_of(const MixtureEstimate* e, int64_t first, int64_t last, double count, const double* scatter,
                          double* covariance, int n_threads) {
    constexpr int64_t ROWS = 8;  // so many at once that what is mirrored are whole cache lines
    const int64_t d = e->d;
    share_out((d + ROWS - 1) / ROWS, n_threads, [=](int64_t block, int) {
        const int64_t i0 = block * ROWS, i1 = i0 + ROWS < d ? i0 + ROWS : d;
        for (int64_t i = i0; i < i1; ++i) {
            double* to = covariance + i * d;
            for (int64_t j = i; j < d; ++j) to[j] = scatter[i * d + j];
            for (int64_t c = first; c < last; ++c) {
                const double* shift = e->means + c * d;
                const double moved = e->weights[c] * shift[i];
                for (int64_t j = i; j < d; ++j) to[j] -= moved * shift[j];
            }
            for (int64_t j = i; j < d; ++j) to[j] /= count;
            to[i] += e->reg_covar;
        }
        copy_transposed<false>(covariance + i0 * d + i1, d, i1 - i0, d - i1, covariance + i1 * d + i0, d);
        for (int64_t i = i0; i < i1; ++i)
            for (int64_t j = i + 1; j < i1; ++j) covariance[j * d + i] = covariance[i * d + j];
    });
}

// A singular matrix often passes Cholesky on rounding errors alone: its last pivot (the variance of a feature given
// those before it) is then within d roundings of that feature's variance.
INLINE bool has_full_rank(const double* covariance, const double* factor, int64_t d) {
    const double limit = 1.0 / (double(d) * 2.220446049250313e-16);
    for (int64_t i = 0; i < d; ++i) {
        const double u = factor[i * d + i];
        if (!(covariance[i * d + i] * u * u <= limit)) return false;
    }
    return true;
}

INLINE double log_det_of(const double* factor, int64_t count, int64_t step) {
    double sum = 0.0;
    for (int64_t i = 0; i < count; ++i) sum += __builtin_log(factor[i * step]);
    return sum;
}

// The same of numbers side by side: of many, their product is what is taken the logarithm of.
INLINE double sum_of_logs(const double* values, int64_t count) {
    constexpr int L = Simd<double>::lanes;
    if (count < 64) return log_det_of(values, count, 1);
    LogSum<double> sum;
    int64_t i = 0;
    for (; i + L <= count; i += L) sum.add(load(values + i));
    return sum.value() + log_det_of(values + i, count - i, 1);
}

// Parameters from statistics. `failed` is set where an estimate does not exist, and what is written then is undefined.
int estimate(MixtureEstimate* e) {
    const int64_t k = e->k, d = e->d;
    int failed = 0;
    double total = 0.0;
    for (int64_t c = 0; c < k; ++c) {
        const double count = e->counts[c] + e->count_floor;
        if (!(count > 0.0)) failed = 1;
        total += count;
        e->weights[c] = count;
        for (int64_t j = 0; j < d; ++j) e->means[c * d + j] = e->sums[c * d + j] / count;  // the shift, for now
    }
    Status status = DONE;
    if (failed) {
        // An empty component: nothing to estimate.
    } else if (e->structure == FULL || e->structure == TIED) {
        const bool shared = e->structure == TIED;
        status = for_each_matrix(shared ? 1 : k, d, e->n_threads, [&](int64_t c, Factoriser& factoriser, int threads) {
            double *covariance = e->covariances + c * d * d, *factor = e->factor + c * d * d;
            const double count = shared ? total : e->weights[c];
            covariance_of(e, c, shared ? k : c + 1, count, e->scatter + c * d * d, covariance, threads);
            if (!factoriser.factorise(covariance, factor) || !has_full_rank(covariance, factor, d))
                __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        });
    } else {
        const bool diagonal = e->structure == DIAG;
        for (int64_t c = 0; c < k; ++c) {
            const double count = e->weights[c];
            const double* shift = e->means + c * d;
            double trace = 0.0;
            for (int64_t j = 0; j < d; ++j) {
                const double moved = count * shift[j] * shift[j];
                trace += moved;
                if (diagonal) {
                    const double scatter = e->scatter[c * d + j] - moved;
                    const double variance = (scatter > 0.0 ? scatter : 0.0 * scatter) / count + e->reg_covar;
                    e->covariances[c * d + j] = variance;
                    e->factor[c * d + j] = 1.0 / sqrt_of(variance);
                    if (!(variance > 0.0 && variance < INFINITE)) failed = 1;
                }
            }
            if (diagonal) continue;
            const double scatter = e->scatter[c] - trace;
            const double variance = (scatter > 0.0 ? scatter : 0.0 * scatter) / (count * double(d)) + e->reg_covar;
            e->covariances[c] = variance;
            e->factor[c] = 1.0 / sqrt_of(variance);
            if (!(variance > 0.0 && variance < INFINITE)) failed = 1;
        }
    }
    e->failed = failed;
    if (status != DONE || failed) return status;
    const double shared = e->structure == TIED ? log_det_of(e->factor, d, d + 1) : 0.0;
    for (int64_t c = 0; c < k; ++c) {
        const double log_det = e->structure == FULL   ? log_det_of(e->factor + c * d * d, d, d + 1)
                               : e->structure == TIED ? shared
                               : e->structure == DIAG ? sum_of_logs(e->factor + c * d, d)
                                                      : double(d) * log_det_of(e->factor + c, 1, 1);
        e->weights[c] /= total;
        e->log_offset[c] = __builtin_log(e->weights[c]) + log_det - double(d) * HALF_LOG_2PI;
        for (int64_t j = 0; j < d; ++j) e->means[c * d + j] += e->centres[c * d + j];
    }
    return DONE;
}
