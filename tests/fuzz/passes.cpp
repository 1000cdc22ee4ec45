// Makes one kind of pass so many times, so that an emulator's count of instructions over two runs of different length
// is that of a pass (ci/platforms.sh): isa, f32 or f64, full, tied, diag or spherical, rows, features, components,
// distance of the means, passes.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "native/interface.hpp"

using namespace fastgmm;

namespace {

uint64_t state = 1;

double uniform() {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return double(state >> 11) * 0x1p-53;
}

double normal() {  // near enough
    double sum = -6.0;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return sum;
}

template <typename Real>
int run(const KernelTable& table, Structure structure, int64_t n, int64_t d, int64_t k, double apart, int passes) {
    std::vector<double> means(k * d), offset(k, -1.0), counts(k), sums(k * d);
    for (double& mean : means) mean = apart * normal();
    std::vector<Real> rows(n * d);
    for (int64_t i = 0; i < n; ++i) {
        const int64_t owner = int64_t(uniform() * double(k));
        for (int64_t j = 0; j < d; ++j) rows[i * d + j] = Real(means[owner * d + j] + normal());
    }
    const int64_t matrices = structure == TIED ? 1 : k;
    const int64_t values = structure == FULL || structure == TIED ? d * d : structure == DIAG ? d : 1;
    std::vector<double> factor(matrices * values, 0.0), scatter(matrices * values);
    for (int64_t m = 0; m < matrices; ++m)
        for (int64_t v = 0; v < values; ++v) {
            const int64_t i = v / d, j = v % d;
            const bool on_diagonal = values < d * d || d == 1 || i == j;
            if (on_diagonal)
                factor[m * values + v] = 0.9 + 0.2 * uniform();
            else if (i < j)
                factor[m * values + v] = 0.1 * normal() / double(d);
        }
    MixturePass p{};
    p.structure = structure, p.action = ACCUMULATE, p.rows = rows.data(), p.n = n, p.d = d, p.k = k;
    p.log_offset = offset.data(), p.means = means.data(), p.factor = factor.data();
    p.counts = counts.data(), p.sums = sums.data(), p.scatter = scatter.data(), p.n_threads = 1;
    for (int i = 0; i < passes; ++i)
        if (table.mixture[sizeof(Real) == 8](&p) != DONE) return 1;
    std::printf("%.12g\n", p.log_likelihood / double(n));
    return 0;
}

}  // namespace

int main(int count, char** words) {
    if (count != 9) return 2;
    const KernelTable* table = table_for(words[1]);
    if (!table) return 3;
    const char* const names[] = {"full", "tied", "diag", "spherical"};
    int structure = 0;
    while (structure < 3 && std::strcmp(words[3], names[structure])) ++structure;
    const auto passes = std::strcmp(words[2], "f32") ? run<double> : run<float>;
    return passes(*table, Structure(structure), std::atoll(words[4]), std::atoll(words[5]), std::atoll(words[6]),
                  std::atof(words[7]), std::atoi(words[8]));
}
