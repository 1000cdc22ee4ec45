// Feeds the kernels of every instruction set with shapes and values made from bytes, and checks what must hold of any
// of them: no access beside an array, statuses and indices in range, rows that sum to one, the same bits on several
// threads; and of ordinary values, the numbers of a plain reference.

#include <cstdio>
#include <cstdlib>

#include "cases.hpp"

namespace fuzz {

const char* const ISAS[] = {"generic", "avx2", "avx512", "neon"};

#define REQUIRE(condition, ...)                                           \
    do {                                                                  \
        if (!(condition)) {                                               \
            std::fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, isa); \
            std::fprintf(stderr, __VA_ARGS__);                            \
            std::fprintf(stderr, "\n");                                   \
            std::abort();                                                 \
        }                                                                 \
    } while (0)

template <typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    for (size_t i = 0; i < a.size(); ++i)
        if (std::memcmp(&a[i], &b[i], sizeof(T)) && !(a[i] != a[i] && b[i] != b[i])) return false;
    return true;
}

struct Statistics {
    std::vector<double> counts, sums, scatter, tail_sums;
    double log_likelihood = 0.0;
};

template <typename Real>
struct Outcome {
    Statistics soft, hard, tailed;
    std::vector<Real> log_density, responsibilities;
    std::vector<int64_t> assigned, nearest;
    std::vector<double> nearest_counts, nearest_sums, potentials;
    double inertia = 0.0;
};

template <typename Real>
MixturePass pass_of(const Case<Real>& c, Action action, int n_threads) {
    MixturePass p{};
    p.structure = c.structure;
    p.action = action;
    p.rows = c.rows.data();
    p.sample_weight = c.weighted ? c.weight.data() : nullptr;
    p.labels = c.labels.data();
    p.n = c.n, p.d = c.d, p.k = c.k;
    p.log_offset = c.log_offset.data();
    p.means = c.means.data();
    p.factor = action == ACCUMULATE_LABELS ? nullptr : c.factor.data();
    p.n_threads = n_threads;
    return p;
}

template <typename Real>
Statistics accumulate(const char* isa, const KernelTable& table, const Case<Real>& c, Action action, int n_threads,
                      const std::vector<double>* dof = nullptr) {
    Statistics s;
    s.counts.assign(size_t(c.k), 0.0);
    s.sums.assign(size_t(c.k * c.d), 0.0);
    s.scatter.assign(size_t(c.factor_size()), 0.0);
    MixturePass p = pass_of(c, action, n_threads);
    p.counts = s.counts.data(), p.sums = s.sums.data(), p.scatter = s.scatter.data();
    if (dof) {
        s.tail_sums.assign(size_t(2 * c.k), 0.0);
        p.dof = dof->data(), p.tail_sums = s.tail_sums.data();
    }
    const int status = table.mixture[sizeof(Real) == 8](&p);
    REQUIRE(status == DONE, "accumulate has status %d", status);
    s.log_likelihood = p.log_likelihood;
    return s;
}

template <typename Real>
Outcome<Real> run(const char* isa, const KernelTable& table, const Case<Real>& c, int n_threads) {
    constexpr int kind = sizeof(Real) == 8;
    Outcome<Real> o;
    o.soft = accumulate(isa, table, c, ACCUMULATE, n_threads);
    if (c.labelled) o.hard = accumulate(isa, table, c, ACCUMULATE_LABELS, n_threads);
    std::vector<double> dof(size_t(c.k), 1e16);
    for (int64_t j = 0; j < c.k; j += 2) dof[size_t(j)] = 1.0 + 3.0 * double(j);
    o.tailed = accumulate(isa, table, c, ACCUMULATE, n_threads, &dof);
    o.log_density.resize(size_t(c.n));
    o.responsibilities.resize(size_t(c.n * c.k));
    o.assigned.resize(size_t(c.n));
    void* const outputs[] = {nullptr, o.log_density.data(), o.responsibilities.data(), o.assigned.data()};
    for (Action action : {LOG_DENSITY, RESPONSIBILITIES, ASSIGN}) {
        MixturePass p = pass_of(c, action, n_threads);
        p.out = outputs[action];
        const int status = table.mixture[kind](&p);
        REQUIRE(status == DONE, "action %d has status %d", action, status);
    }
    o.nearest.resize(size_t(c.n));
    o.nearest_counts.assign(size_t(c.k), 0.0);
    o.nearest_sums.assign(size_t(c.k * c.d), 0.0);
    const double* weight = c.weighted ? c.weight.data() : nullptr;
    NearestPass nearest{c.rows.data(),
                        weight,
                        c.n,
                        c.d,
                        c.k,
                        c.means.data(),
                        o.nearest.data(),
                        o.nearest_counts.data(),
                        o.nearest_sums.data(),
                        0.0,
                        n_threads,
                        nullptr};
    REQUIRE(table.nearest[kind](&nearest) == DONE, "nearest centres failed");
    o.inertia = nearest.inertia;
    std::vector<Real> distances(size_t(c.n), std::numeric_limits<Real>::max());
    SeedingPass update{c.rows.data(),  nullptr,          c.n,     c.d,       1,
                       c.means.data(), distances.data(), nullptr, n_threads, nullptr};
    REQUIRE(table.seeding[kind](&update) == DONE, "distances failed");
    o.potentials.assign(size_t(c.k), 0.0);
    SeedingPass seeding{c.rows.data(),       weight,    c.n,    c.d, c.k, c.means.data(), distances.data(),
                        o.potentials.data(), n_threads, nullptr};
    REQUIRE(table.seeding[kind](&seeding) == DONE, "potentials failed");
    return o;
}

// What holds whatever the values.
template <typename Real>
void check_ranges(const char* isa, const Case<Real>& c, const Outcome<Real>& o) {
    for (int64_t i = 0; i < c.n; ++i) {
        REQUIRE(o.assigned[size_t(i)] >= 0 && o.assigned[size_t(i)] < c.k, "row %ld is assigned to %ld", long(i),
                long(o.assigned[size_t(i)]));
        REQUIRE(o.nearest[size_t(i)] >= 0 && o.nearest[size_t(i)] < c.k, "row %ld has nearest centre %ld", long(i),
                long(o.nearest[size_t(i)]));
        double total = 0.0;
        for (int64_t j = 0; j < c.k; ++j) {
            const Real share = o.responsibilities[size_t(i * c.k + j)];
            REQUIRE(!(share < 0) && !(share > Real(1.0001)), "row %ld has responsibility %g", long(i), double(share));
            total += double(share);
        }
        if (c.tame)
            REQUIRE(std::fabs(total - 1.0) < 1e-5, "row %ld has responsibilities that sum to %.9g", long(i), total);
    }
}

template <typename Real>
void check_bits(const char* isa, const Outcome<Real>& a, const Outcome<Real>& b) {
    REQUIRE(same_bits(a.soft.counts, b.soft.counts) && same_bits(a.soft.sums, b.soft.sums) &&
                same_bits(a.soft.scatter, b.soft.scatter),
            "statistics depend on the number of threads");
    REQUIRE(same_bits(a.tailed.counts, b.tailed.counts) && same_bits(a.tailed.sums, b.tailed.sums) &&
                same_bits(a.tailed.scatter, b.tailed.scatter) && same_bits(a.tailed.tail_sums, b.tailed.tail_sums),
            "statistics of components with tails depend on the number of threads");
    REQUIRE(same_bits(a.hard.counts, b.hard.counts) && same_bits(a.hard.sums, b.hard.sums) &&
                same_bits(a.hard.scatter, b.hard.scatter),
            "statistics of labels depend on the number of threads");
    REQUIRE(same_bits(a.log_density, b.log_density) && same_bits(a.responsibilities, b.responsibilities) &&
                same_bits(a.assigned, b.assigned) && same_bits(a.nearest, b.nearest) &&
                same_bits(a.potentials, b.potentials),
            "predictions depend on the number of threads");
}

inline void require_close(const char* isa, const char* what, double found, double expected, double size,
                          double digits) {
    REQUIRE(std::fabs(found - expected) <= digits * (size + std::fabs(expected)), "%s is %.17g; expected %.17g", what,
            found, expected);
}

// The same sums in long double, row by row.
template <typename Real>
void check_reference(const char* isa, const Case<Real>& c, const Outcome<Real>& o) {
    const int64_t n = c.n, d = c.d, k = c.k;
    // Rounding units of the rows' type times the terms of a distance; positions near 1000 lose three digits of float.
    const double digits =
        (sizeof(Real) == 8 ? 1e-13 : 2e-5) * double(d + 8) * (std::fabs(c.means[0]) > 500 ? 100.0 : 1.0);
    std::vector<long double> counts(size_t(k), 0.0L), traces(size_t(k), 0.0L), density{}, log_weighted(size_t(k), 0.0L);
    long double log_likelihood = 0.0L;
    for (int64_t i = 0; i < n; ++i) {
        const Real* x = c.rows.data() + i * d;
        long double largest = -std::numeric_limits<long double>::infinity(), sum = 0.0L;
        for (int64_t m = 0; m < k; ++m) {
            long double distance = 0.0L;
            for (int64_t j = 0; j < d; ++j) {
                long double y = 0.0L;
                const bool square = c.structure == FULL || c.structure == TIED;
                const double* u = c.factor.data() + (c.structure == FULL ? m * d * d : 0);
                for (int64_t l = square ? 0 : j; l <= j; ++l) {
                    const long double scale = square ? u[l * d + j] : u[c.structure == DIAG ? m * d + j : m];
                    y += (static_cast<long double>(x[l]) - c.means[size_t(m * d + l)]) * scale;
                }
                distance += y * y;
            }
            log_weighted[size_t(m)] = c.log_offset[size_t(m)] - distance / 2;
            largest = std::fmax(largest, log_weighted[size_t(m)]);
        }
        for (long double value : log_weighted) sum += std::exp(value - largest);
        const long double log_density = largest + std::log(sum);
        const double weight = c.weighted ? c.weight[size_t(i)] : 1.0;
        log_likelihood += weight * log_density;
        require_close(isa, "a log density", double(o.log_density[size_t(i)]), double(log_density), 1.0, digits);
        for (int64_t m = 0; m < k; ++m) {
            const long double share = std::exp(log_weighted[size_t(m)] - log_density);
            require_close(isa, "a responsibility", double(o.responsibilities[size_t(i * k + m)]), double(share), 10.0,
                          digits);
            counts[size_t(m)] += weight * share;
            for (int64_t j = 0; j < d; ++j) {
                const long double away = static_cast<long double>(x[j]) - c.means[size_t(m * d + j)];
                traces[size_t(m)] += weight * share * away * away;
            }
        }
    }
    const double rows = double(n) + 1.0;
    // Whatever the tails, every row is shared out.
    double shared = 0.0, total = 0.0;
    for (double count : o.tailed.counts) shared += count;
    for (int64_t i = 0; i < n; ++i) total += c.weighted ? c.weight[size_t(i)] : 1.0;
    require_close(isa, "the count of all components with tails", shared, total, rows, 10 * digits);
    require_close(isa, "the log-likelihood", o.soft.log_likelihood, double(log_likelihood), rows, digits);
    long double all = 0.0L, found = 0.0L;
    for (int64_t m = 0; m < k; ++m) {
        require_close(isa, "a count", o.soft.counts[size_t(m)], double(counts[size_t(m)]), rows, 10 * digits);
        all += traces[size_t(m)];
        long double trace = 0.0L;
        for (int64_t j = 0; j < d; ++j) {
            if (c.structure == FULL) trace += o.soft.scatter[size_t(m * d * d + j * d + j)];
            if (c.structure == DIAG) trace += o.soft.scatter[size_t(m * d + j)];
        }
        if (c.structure == SPHERICAL) trace = o.soft.scatter[size_t(m)];
        found += trace;
        if (c.structure != TIED)
            require_close(isa, "a trace", double(trace), double(traces[size_t(m)]), 50.0 * double(d) * rows, digits);
    }
    if (c.structure == TIED)
        for (int64_t j = 0; j < d; ++j) found += o.soft.scatter[size_t(j * d + j)];
    require_close(isa, "the trace of all", double(found), double(all), 50.0 * double(d) * rows, digits);
}

// The M-step of whatever the statistics came to, and the factors of whatever the matrices are.
template <typename Real>
void check_estimate(const char* isa, const KernelTable& table, const Case<Real>& c, const Statistics& s) {
    std::vector<double> weights(size_t(c.k)), offset(size_t(c.k)), means(size_t(c.k * c.d)),
        covariances(size_t(c.factor_size())), factor(size_t(c.factor_size()));
    MixtureEstimate e{};
    e.structure = c.structure, e.d = c.d, e.k = c.k;
    e.centres = c.means.data(), e.counts = s.counts.data(), e.sums = s.sums.data(), e.scatter = s.scatter.data();
    e.reg_covar = 1e-6, e.count_floor = 1e-15;
    e.weights = weights.data(), e.means = means.data(), e.covariances = covariances.data();
    e.factor = factor.data(), e.log_offset = offset.data();
    e.n_threads = c.n_threads;
    REQUIRE(table.estimate(&e) == DONE, "the M-step failed");
    if (c.tame && !e.failed)
        for (double weight : weights) REQUIRE(weight > 0 && weight <= 1 + 1e-12, "a component has weight %g", weight);
    if (c.structure != FULL) return;
    int64_t failed = -2;
    REQUIRE(table.factorise(c.factor.data(), c.k, c.d, factor.data(), c.n_threads, &failed) == DONE, "no factors");
    REQUIRE(failed >= -1 && failed < c.k, "matrix %ld is named as not positive definite", long(failed));
}

// Centres chosen by k-means++ and exchanged: rows of the data, and in the end the distances to them.
template <typename Real>
void check_centres(const char* isa, const KernelTable& table, const Case<Real>& c) {
    const int64_t n_candidates = 1 + c.k % 4, n_greedy = c.k / 2 + 1, n_swaps = 6;
    std::vector<double> positions(size_t(c.k + (n_greedy - 1) * (n_candidates - 1) + n_swaps));
    Random random{uint64_t(c.n)};
    for (double& position : positions) position = random.uniform();
    std::vector<int64_t> first;
    for (int n_threads : {1, c.n_threads}) {
        std::vector<Real> distances(size_t(c.n), std::numeric_limits<Real>::max());
        std::vector<int64_t> chosen(size_t(c.k), -1);
        CentreChoice choice{c.rows.data(),
                            c.weighted ? c.weight.data() : nullptr,
                            c.n,
                            c.d,
                            c.k,
                            n_greedy,
                            n_candidates,
                            n_swaps,
                            positions.data(),
                            distances.data(),
                            chosen.data(),
                            n_threads,
                            nullptr};
        REQUIRE(table.choose[sizeof(Real) == 8](&choice) == DONE, "no centres were chosen");
        for (int64_t row : chosen) REQUIRE(row >= 0 && row < c.n, "row %ld is chosen as a centre", long(row));
        REQUIRE(first.empty() || first == chosen, "chosen centres depend on the number of threads");
        first = chosen;
        for (int64_t i = 0; c.tame && i < c.n; ++i) {
            double nearest = INFINITY;
            for (int64_t row : chosen) {
                double distance = 0.0;
                for (int64_t j = 0; j < c.d; ++j) {
                    const double away = double(c.rows[size_t(i * c.d + j)]) - double(c.rows[size_t(row * c.d + j)]);
                    distance += away * away;
                }
                nearest = std::fmin(nearest, distance);
            }
            require_close(isa, "a distance to the nearest centre", double(distances[size_t(i)]), nearest, double(c.d),
                          sizeof(Real) == 8 ? 1e-12 : 1e-3);
        }
    }
}

// Greedy merging of rows as groups: each row in a group that kept its own place, and no count lost.
template <typename Real>
void check_merging(const char* isa, const KernelTable& table, const Case<Real>& c) {
    if (c.structure == TIED) return;
    const int64_t n = c.n < 24 ? c.n : 24, d = c.d;
    const int64_t size = c.structure == FULL ? d * d : c.structure == DIAG ? d : 1;
    std::vector<double> matrices_of_components(size_t(c.k * size), 0.0), floor(size_t(size), 0.0);
    for (int64_t m = 0; m < c.k; ++m)
        for (int64_t i = 0; i < size; ++i) {
            double& value = matrices_of_components[size_t(m * size + i)];
            const double* u = c.factor.data() + m * size;
            if (c.structure != FULL) value = u[i] * u[i];
            for (int64_t l = 0; c.structure == FULL && l < d; ++l) value += u[l * d + i / d] * u[l * d + i % d];
        }
    std::vector<int64_t> first;
    for (int n_threads : {1, c.n_threads}) {
        std::vector<double> counts(size_t(n), 1.0), means(c.rows.begin(), c.rows.begin() + n * d), matrices;
        for (int64_t i = 0; i < n; ++i) {
            if (c.weighted) counts[size_t(i)] = c.weight[size_t(i)];
            const auto matrix = matrices_of_components.begin() + i % c.k * size;
            matrices.insert(matrices.end(), matrix, matrix + size);
        }
        double before = 0.0, after = 0.0;
        for (double count : counts) before += count;
        std::vector<int64_t> labels(size_t(n), -1);
        const int64_t n_groups = 1 + c.k % n;
        Merging m{c.structure,
                  n,
                  d,
                  n_groups,
                  counts.data(),
                  means.data(),
                  matrices.data(),
                  floor.data(),
                  c.labelled ? 1.0 : 0.0,
                  c.weighted ? 1.0 : 0.0,
                  c.labelled && c.weighted,
                  labels.data(),
                  n_threads};
        REQUIRE(table.merge(&m) == DONE, "groups were not merged");
        int64_t groups = 0;
        for (int64_t i = 0; i < n; ++i) {
            const int64_t label = labels[size_t(i)];
            REQUIRE(label >= 0 && label <= i && labels[size_t(label)] == label, "group %ld is at place %ld", long(i),
                    long(label));
            groups += label == i;
            if (label == i) after += counts[size_t(i)];
        }
        REQUIRE(groups >= n_groups, "%ld groups are left", long(groups));
        if (c.tame) REQUIRE(groups == n_groups, "%ld groups are left of %ld", long(groups), long(n));
        if (c.tame) require_close(isa, "the count of all groups", after, before, before, 1e-12);
        REQUIRE(first.empty() || first == labels, "groups depend on the number of threads");
        first = labels;
    }
}

// Rows with errors: ranges, the same bits on several threads, and of ordinary values the likelihood of V + S, which for
// rows of one feature is a plain sum.
template <typename Real>
void check_errors(const char* isa, const KernelTable& table, const Case<Real>& c) {
    const int64_t n = c.n, d = c.d, k = c.k;
    const bool diagonal = c.structure == DIAG || c.structure == SPHERICAL, whole = !diagonal && c.labelled;
    const int64_t own = whole ? d * d : d, one = diagonal ? d : d * d;
    Random random{uint64_t(n * 31 + d)};
    std::vector<double> covariances(size_t(k * one), 0.0);
    for (int64_t m = 0; m < k; ++m)
        for (int64_t i = 0; i < one; ++i) {
            double& value = covariances[size_t(m * one + i)];
            if (c.structure == DIAG || c.structure == SPHERICAL) {
                const double scale = c.factor[size_t(c.structure == DIAG ? m * d + i : m)];
                value = scale * scale;
                continue;
            }
            const double* u = c.factor.data() + (c.structure == FULL ? m * d * d : 0);
            for (int64_t l = 0; l < d; ++l) value += u[l * d + i / d] * u[l * d + i % d];
        }
    std::vector<Real> errors(size_t(n * own), Real(0));
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < d; ++j) {
            const bool missing = random.uniform() < 0.05 && d > 1;
            errors[size_t(i * own + (whole ? j * d + j : j))] =
                missing ? std::numeric_limits<Real>::infinity() : Real(random.uniform());
        }
    const bool holes = n % 5 == 0;  // no errors, and NaN is what is missing
    std::vector<Real> rows(c.rows);
    for (size_t i = 0; holes && i < rows.size(); ++i)
        if (random.uniform() < 0.2) rows[i] = std::numeric_limits<Real>::quiet_NaN();
    struct {
        Statistics statistics;
        std::vector<Real> log_density, responsibilities;
        std::vector<int64_t> assigned;
    } first, second;
    for (int n_threads : {1, c.n_threads}) {
        auto& o = n_threads == 1 ? first : second;
        o.statistics.counts.assign(size_t(k), 0.0);
        o.statistics.sums.assign(size_t(k * d), 0.0);
        o.statistics.scatter.assign(size_t(k * one), 0.0);
        o.log_density.assign(size_t(n), Real(0));
        o.responsibilities.assign(size_t(n * k), Real(0));
        o.assigned.assign(size_t(n), 0);
        void* const outputs[] = {nullptr, o.log_density.data(), o.responsibilities.data(), o.assigned.data()};
        for (Action action : {ACCUMULATE, LOG_DENSITY, RESPONSIBILITIES, ASSIGN}) {
            ErrorPass p{};
            p.action = action, p.diagonal = diagonal, p.whole = whole;
            p.rows = rows.data();
            p.errors = holes ? nullptr : errors.data();
            if (holes) p.whole = 0;
            p.sample_weight = c.weighted ? c.weight.data() : nullptr;
            p.labels = action == ACCUMULATE && c.labelled ? c.labels.data() : nullptr;
            p.n = n, p.d = d, p.k = k;
            p.log_weight = c.log_offset.data(), p.means = c.means.data(), p.covariances = covariances.data();
            p.counts = o.statistics.counts.data(), p.sums = o.statistics.sums.data();
            p.scatter = o.statistics.scatter.data();
            p.out = outputs[action];
            p.n_threads = n_threads;
            const int status = table.errors[sizeof(Real) == 8](&p);
            REQUIRE(status == DONE, "a pass over rows with errors has status %d", status);
            if (action == ACCUMULATE) o.statistics.log_likelihood = p.log_likelihood;
        }
        if (c.n_threads == 1) break;
    }
    for (int64_t i = 0; i < n; ++i) {
        REQUIRE(first.assigned[size_t(i)] >= 0 && first.assigned[size_t(i)] < k, "row %ld is assigned to %ld", long(i),
                long(first.assigned[size_t(i)]));
        double total = 0.0;
        for (int64_t m = 0; m < k; ++m) total += double(first.responsibilities[size_t(i * k + m)]);
        if (c.tame)
            REQUIRE(std::fabs(total - 1.0) < 1e-5, "row %ld has responsibilities that sum to %g", long(i), total);
    }
    if (c.n_threads > 1)
        REQUIRE(same_bits(first.statistics.counts, second.statistics.counts) &&
                    same_bits(first.statistics.sums, second.statistics.sums) &&
                    same_bits(first.statistics.scatter, second.statistics.scatter) &&
                    same_bits(first.log_density, second.log_density) &&
                    same_bits(first.responsibilities, second.responsibilities) && first.assigned == second.assigned,
                "rows with errors depend on the number of threads");
    if (!c.tame || d > 1 || holes) return;
    for (int64_t i = 0; i < n; ++i) {
        long double sum = 0.0L;
        for (int64_t m = 0; m < k; ++m) {
            const long double variance = covariances[size_t(m)] + static_cast<long double>(errors[size_t(i)]);
            const long double away = static_cast<long double>(c.rows[size_t(i)]) - c.means[size_t(m)];
            sum += std::exp(c.log_offset[size_t(m)] - away * away / (2 * variance)) /
                   std::sqrt(2 * 3.14159265358979323846L * variance);
        }
        require_close(isa, "a log density", double(first.log_density[size_t(i)]), double(std::log(sum)), 1.0,
                      sizeof(Real) == 8 ? 1e-11 : 1e-5);
    }
}

template <typename Real>
void test(Bytes bytes, uint32_t which) {
    const Case<Real> c = decode<Real>(bytes);
    for (uint32_t i = 0; i < 3; ++i) {
        const char* isa = ISAS[i];
        const KernelTable* table = table_for(isa);
        if (!table || (which % 4 != 3 && which % 4 != i)) continue;
        const Outcome<Real> one = run(isa, *table, c, 1);
        check_ranges(isa, c, one);
        if (c.n_threads > 1) check_bits(isa, one, run(isa, *table, c, c.n_threads));
        if (c.tame) check_reference(isa, c, one);
        check_estimate(isa, *table, c, one.soft);
        check_centres(isa, *table, c);
        check_merging(isa, *table, c);
        check_errors(isa, *table, c);
    }
}

}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    fuzz::Bytes bytes{data + 1, size - 1};
    if (data[0] & 1)
        fuzz::test<float>(bytes, data[0] / 2);
    else
        fuzz::test<double>(bytes, data[0] / 2);
    return 0;
}
