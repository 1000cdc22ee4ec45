// The M-step where it leaves every covariance of its structure free, and the factors of precision matrices: O(K D^3).

constexpr double HALF_LOG_2PI = 0.91893853320467274178;

// Writes the upper triangle of R with S = R^T R; false where S, read in its upper triangle, is not positive definite.
// By rows, so that every inner loop runs along one.
inline bool triangle_of(const double* s, int64_t d, double* __restrict r) {
    for (int64_t j = 0; j < d; ++j) {
        double* __restrict rj = r + j * d;
        for (int64_t c = j; c < d; ++c) rj[c] = s[j * d + c];
        int64_t m = 0;
        for (; m + 4 <= j; m += 4) {
            const double *r0 = r + m * d, *r1 = r0 + d, *r2 = r1 + d, *r3 = r2 + d;
            const double f0 = r0[j], f1 = r1[j], f2 = r2[j], f3 = r3[j];
            for (int64_t c = j; c < d; ++c) rj[c] -= (f0 * r0[c] + f1 * r1[c]) + (f2 * r2[c] + f3 * r3[c]);
        }
        for (; m < j; ++m) {
            const double* rm = r + m * d;
            const double f = rm[j];
            for (int64_t c = j; c < d; ++c) rj[c] -= f * rm[c];
        }
        if (!(rj[j] > 0.0) || !(rj[j] < INFINITE)) return false;
        const double inverse = 1.0 / sqrt_of(rj[j]);
        for (int64_t c = j; c < d; ++c) rj[c] *= inverse;
    }
    return true;
}

// Writes to u the upper triangular U = inv(R) with inv(S) = U U^T; false where there is none. r is scratch, (d, d).
inline bool factorise_inverse(const double* s, int64_t d, double* __restrict r, double* __restrict u) {
    if (!triangle_of(s, d, r)) return false;
    for (int64_t i = 0; i < d; ++i) {
        double* __restrict ui = u + i * d;
        for (int64_t c = 0; c < d; ++c) ui[c] = 0.0;
        ui[i] = 1.0;
        for (int64_t m = i; m < d; ++m) {
            const double* rm = r + m * d;
            const double value = ui[m] /= rm[m];
            for (int64_t c = m + 1; c < d; ++c) ui[c] -= value * rm[c];
        }
        if (!(ui[i] < INFINITE)) return false;
    }
    return true;
}

INLINE int threads_for_matrices(int n_threads, int64_t k, int64_t d) {
    return threads_for(n_threads, k, double(k) * double(d) * double(d) * double(d));
}

// Returns DONE and writes to `failed` the first matrix without a factor, or -1.
int factorise_all(const double* covariances, int64_t k, int64_t d, double* factors, int n_threads, int64_t* failed) {
    int64_t first = k;
    const Status status = for_each_item(k, d * d, threads_for_matrices(n_threads, k, d), [&](int64_t c, double* r) {
        if (factorise_inverse(covariances + c * d * d, d, r, factors + c * d * d)) return;
        int64_t seen = __atomic_load_n(&first, __ATOMIC_RELAXED);
        while (c < seen && !__atomic_compare_exchange_n(&first, &seen, c, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        }
    });
    *failed = first == k ? -1 : first;
    return status;
}

// One covariance from its scatter about the centre, moved to the mean; false where it has no factor of full rank.
INLINE bool estimate_matrix(const MixtureEstimate* e, double count, double* covariance, double* factor, double* r) {
    const int64_t d = e->d;
    for (int64_t i = 0; i < d; ++i) {
        for (int64_t j = i; j < d; ++j) covariance[i * d + j] /= count;
        covariance[i * d + i] += e->reg_covar;
        for (int64_t j = i + 1; j < d; ++j) covariance[j * d + i] = covariance[i * d + j];
    }
    if (!factorise_inverse(covariance, d, r, factor)) return false;
    // A singular matrix often passes Cholesky on rounding errors alone: its last pivot (the variance of a feature
    // given those before it) is then within d roundings of that feature's variance.
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
    } else if (e->structure == FULL) {
        status = for_each_item(k, d * d, threads_for_matrices(e->n_threads, k, d), [&](int64_t c, double* r) {
            const double count = e->weights[c];
            const double* shift = e->means + c * d;
            const double* scatter = e->scatter + c * d * d;
            double* covariance = e->covariances + c * d * d;
            for (int64_t i = 0; i < d; ++i) {
                const double moved = count * shift[i];
                for (int64_t j = i; j < d; ++j) covariance[i * d + j] = scatter[i * d + j] - moved * shift[j];
            }
            if (!estimate_matrix(e, count, covariance, e->factor + c * d * d, r))
                __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        });
    } else if (e->structure == TIED) {
        for (int64_t i = 0; i < d * d; ++i) e->covariances[i] = e->scatter[i];
        for (int64_t c = 0; c < k; ++c) {
            const double* shift = e->means + c * d;
            for (int64_t i = 0; i < d; ++i) {
                const double moved = e->weights[c] * shift[i];
                for (int64_t j = i; j < d; ++j) e->covariances[i * d + j] -= moved * shift[j];
            }
        }
        status = for_each_item(1, d * d, 1, [&](int64_t, double* r) {
            if (!estimate_matrix(e, total, e->covariances, e->factor, r)) failed = 1;
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
                               : e->structure == DIAG ? log_det_of(e->factor + c * d, d, 1)
                                                      : double(d) * log_det_of(e->factor + c, 1, 1);
        e->weights[c] /= total;
        e->log_offset[c] = __builtin_log(e->weights[c]) + log_det - double(d) * HALF_LOG_2PI;
        for (int64_t j = 0; j < d; ++j) e->means[c * d + j] += e->centres[c * d + j];
    }
    return DONE;
}
