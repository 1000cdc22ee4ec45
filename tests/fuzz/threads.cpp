// Every kernel on several threads, with enough rows that each has several strips, for ThreadSanitizer.

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "cases.hpp"

namespace {

using namespace fastgmm;

template <typename Real>
void run(const KernelTable& table, Structure structure, int64_t d, int n_threads) {
    constexpr int kind = sizeof(Real) == 8;
    const int64_t n = 11'000, k = 12;
    fuzz::Random random{uint64_t(d)};
    std::vector<Real> rows(size_t(n * d), Real(0)), out(size_t(n * k), Real(0));
    std::vector<double> means(size_t(k * d), 0.0), offset(size_t(k), -2.5), counts(size_t(k), 0.0),
        sums(size_t(k * d), 0.0);
    const int64_t size = structure == FULL ? k * d * d : structure == TIED ? d * d : structure == DIAG ? k * d : k;
    std::vector<double> factor(size_t(size), 0.0), scatter(size_t(size), 0.0);
    std::vector<int64_t> labels(size_t(n), 1);
    for (Real& x : rows) x = Real(random.normal());
    for (double& m : means) m = random.normal();
    for (int64_t i = 0; i < size; ++i)
        if (structure == DIAG || structure == SPHERICAL || i / d % d == i % d) factor[size_t(i)] = 1.0;
    for (Action action : {ACCUMULATE, LOG_DENSITY, RESPONSIBILITIES, ASSIGN, ACCUMULATE_LABELS}) {
        MixturePass p{};
        p.structure = structure, p.action = action;
        p.rows = rows.data(), p.labels = labels.data();
        p.n = n, p.d = d, p.k = k;
        p.log_offset = offset.data(), p.means = means.data();
        p.factor = action == ACCUMULATE_LABELS ? nullptr : factor.data();
        p.counts = counts.data(), p.sums = sums.data(), p.scatter = scatter.data();
        p.out = action == ASSIGN ? static_cast<void*>(labels.data()) : out.data();
        p.n_threads = n_threads;
        if (table.mixture[kind](&p) != DONE) std::abort();
    }
    const bool diagonal = structure == DIAG || structure == SPHERICAL;
    std::vector<double> spread(size_t(k * d * (diagonal ? 1 : d)), 0.0), second(spread.size(), 0.0);
    for (int64_t i = 0; i < int64_t(spread.size()); ++i)
        if (diagonal || i / d % d == i % d) spread[size_t(i)] = 1.0;
    for (Action action : {ACCUMULATE, LOG_DENSITY, RESPONSIBILITIES, ASSIGN}) {
        ErrorPass p{};
        p.action = action, p.diagonal = diagonal;
        p.rows = p.errors = rows.data();  // any numbers will do
        p.n = n, p.d = d, p.k = k;
        p.log_weight = offset.data(), p.means = means.data(), p.covariances = spread.data();
        p.counts = counts.data(), p.sums = sums.data(), p.scatter = second.data();
        p.out = action == ASSIGN ? static_cast<void*>(labels.data()) : out.data();
        p.n_threads = n_threads;
        if (table.errors[kind](&p) != DONE) std::abort();
    }
    NearestPass nearest{rows.data(),   nullptr,       n,           d,   k,         means.data(),
                        labels.data(), counts.data(), sums.data(), 0.0, n_threads, nullptr};
    if (table.nearest[kind](&nearest) != DONE) std::abort();
    std::vector<Real> distances(size_t(n), Real(1e9));
    SeedingPass seeding{rows.data(),      nullptr,       n,         d,      k, means.data(),
                        distances.data(), counts.data(), n_threads, nullptr};
    if (table.seeding[kind](&seeding) != DONE) std::abort();
    std::vector<double> positions(size_t(k) + 11 + 4), new_means(means.size(), 0.0), weights(size_t(k), 0.0),
        covariances(size_t(size), 0.0);
    std::vector<int64_t> chosen(size_t(k), 0);
    for (double& position : positions) position = random.uniform();
    CentreChoice choice{rows.data(),      nullptr,       n,         d,      k, k, 2, 4, positions.data(),
                        distances.data(), chosen.data(), n_threads, nullptr};
    if (table.choose[kind](&choice) != DONE) std::abort();
    MixtureEstimate e{};
    e.structure = structure, e.d = d, e.k = k;
    e.centres = means.data(), e.counts = counts.data(), e.sums = sums.data(), e.scatter = scatter.data();
    e.reg_covar = 1.0, e.count_floor = 1e-15;
    e.weights = weights.data(), e.means = new_means.data(), e.covariances = covariances.data();
    e.factor = factor.data(), e.log_offset = offset.data();
    e.n_threads = n_threads;
    if (table.estimate(&e) != DONE) std::abort();
}

// The matrices of many components and the costs of many pairs: what is shared out by component.
void run_matrices(const KernelTable& table, int n_threads) {
    const int64_t n = 300, d = 24, n_groups = 280;
    std::vector<double> counts(size_t(n), 1.0), means(size_t(n * d), 0.0), matrices(size_t(n * d * d), 0.0);
    std::vector<double> floor(size_t(d * d), 0.0), factors(matrices.size(), 0.0);
    fuzz::Random random{7};
    for (double& m : means) m = random.normal();
    for (int64_t i = 0; i < n * d; ++i) matrices[size_t(i / d * d * d + i % d * (d + 1))] = 1.0;
    int64_t failed = 0;
    if (table.factorise(matrices.data(), n, d, factors.data(), n_threads, &failed) != DONE || failed != -1)
        std::abort();
    std::vector<int64_t> labels(size_t(n), 0);
    Merging m{FULL,         n,   d,   n_groups, counts.data(), means.data(), matrices.data(),
              floor.data(), 1.0, 0.0, 0,        labels.data(), n_threads};
    if (table.merge(&m) != DONE) std::abort();
}

void run_all(const KernelTable& table, int n_threads) {
    for (Structure structure : {FULL, TIED, DIAG, SPHERICAL})
        for (int64_t d : {3, 19}) {
            run<float>(table, structure, d, n_threads);
            run<double>(table, structure, d, n_threads);
        }
    run_matrices(table, n_threads);
}

}  // namespace

int main() {
    for (const char* isa : {"generic", "avx2", "neon"}) {
        const KernelTable* table = table_for(isa);
        if (!table) continue;
        run_all(*table, 3);
        // Two callers at a time, each with threads of its own, as from two Python threads.
        std::thread other([&] { run_all(*table, 2); });
        run_all(*table, 2);
        other.join();
    }
    std::puts("no data race");
}
