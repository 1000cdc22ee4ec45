// A kernel's arguments made from bytes: sizes and a seed from the first ones, unusual values placed by the rest.
// Every array is allocated to its exact size, so that a sanitizer sees any access beside it.
#ifndef FASTGMM_FUZZ_CASES_HPP
#define FASTGMM_FUZZ_CASES_HPP

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "native/interface.hpp"

namespace fuzz {

using namespace fastgmm;

struct Bytes {
    const uint8_t* at;
    size_t left;

    uint32_t byte() {
        if (left == 0) return 0;
        --left;
        return *at++;
    }
    uint32_t below(uint32_t limit) { return (byte() | byte() << 8) % limit; }
};

struct Random {
    uint64_t state;

    double uniform() {  // splitmix64
        uint64_t z = (state += 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return double((z ^ (z >> 31)) >> 11) * 0x1p-53;
    }
    double normal() {  // near enough
        double sum = -6.0;
        for (int i = 0; i < 12; ++i) sum += uniform();
        return sum;
    }
};

template <typename Real>
struct Case {
    Structure structure;
    int64_t n, d, k;
    int n_threads;
    bool weighted, labelled;
    bool tame = true;     // nothing unusual was placed: a plain reference gives the same numbers
    bool ordered = true;  // no NaN was placed
    double size = 1.0;    // of the rows' largest entries, in standard deviations
    std::vector<Real> rows;
    std::vector<double> weight, log_offset, means, factor;
    std::vector<int64_t> labels;

    int64_t factor_size() const {
        return structure == FULL ? k * d * d : structure == TIED ? d * d : structure == DIAG ? k * d : k;
    }
};

inline double unusual(uint32_t code, double ordinary) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    static const double values[] = {
        0.0,   -0.0,    std::nan(""), infinity, -infinity, 4.9e-324, -4.9e-324, 2.2e-308,
        1e-45, 1.2e-38, 3.4e38,       -3.4e38,  1e300,     -1.7e308, 1e154,     1e-160,
        1e19,  -1e19,   9.0e15,       1e-7,     65536.0,   -1e5,     1.0,       -700.0,
    };
    constexpr uint32_t count = sizeof(values) / sizeof(values[0]);
    return code % 32 < count ? values[code % 32] : std::ldexp(ordinary, int(code) - 128);
}

template <typename Real>
Case<Real> decode(Bytes& bytes) {
    Case<Real> c;
    const uint32_t head = bytes.byte();
    c.structure = Structure(head & 3);
    c.weighted = head & 4;
    c.labelled = head & 8;
    c.n_threads = 1 + int(head >> 4 & 3);
    // Mostly small, so that many cases are seen; now and then several blocks of features, tiles, or strips.
    const uint32_t features = bytes.byte(), components = bytes.byte(), length = bytes.byte();
    c.d = features < 224 ? 1 + features % 14 : 15 + features % 26;
    c.k = components < 224 ? 1 + components % 7 : 8 + components % 12;
    c.n = 1 + (length % 64 == 0 ? bytes.below(4500) : length % 8 == 0 ? bytes.below(700) : bytes.below(60));
    // Many rows only where each is little work, or most of the time goes into few cases.
    const int64_t row_work = c.k * c.d * (c.structure == FULL ? c.d : 1), most = 120 + 500'000 / row_work;
    if (c.n > most) c.n = most;
    Random random{bytes.byte() * 257ull + bytes.byte()};
    const double offset = head & 64 ? 1000.0 : 0.0, spread = 4.0 * random.uniform();

    c.means.resize(size_t(c.k * c.d));
    for (double& m : c.means) m = offset + spread * random.normal();
    c.log_offset.resize(size_t(c.k));
    for (double& o : c.log_offset) o = -3.0 * random.uniform();
    c.factor.assign(size_t(c.factor_size()), 0.0);
    for (int64_t i = 0; i < c.factor_size(); ++i) {
        const bool square = c.structure == FULL || c.structure == TIED;
        const int64_t row = i / c.d % c.d, column = i % c.d;
        if (!square || row == column) c.factor[size_t(i)] = 0.5 + random.uniform();
        if (square && row < column) c.factor[size_t(i)] = 0.5 * random.normal() / std::sqrt(double(c.d));
    }
    c.rows.resize(size_t(c.n * c.d));
    c.labels.resize(size_t(c.n));
    c.weight.resize(size_t(c.weighted ? c.n : 0));
    for (int64_t i = 0; i < c.n; ++i) {
        const int64_t owner = int64_t(random.uniform() * double(c.k));
        c.labels[size_t(i)] = owner - (random.uniform() < 0.1);
        for (int64_t j = 0; j < c.d; ++j)
            c.rows[size_t(i * c.d + j)] = Real(c.means[size_t(owner * c.d + j)] + random.normal());
        if (c.weighted) c.weight[size_t(i)] = random.uniform() < 0.1 ? 0.0 : random.uniform();
    }

    // The rest: where, and which value.
    while (bytes.left >= 4) {
        const uint32_t target = bytes.byte(), place = bytes.below(65536), code = bytes.byte();
        std::vector<double>* into[] = {&c.log_offset, &c.means, &c.factor, &c.weight};
        if (target % 8 < 4) {
            if (c.rows.empty()) continue;
            Real& entry = c.rows[place % c.rows.size()];
            entry = Real(unusual(code, double(entry)));
            c.ordered = c.ordered && !std::isnan(entry);
        } else {
            std::vector<double>& values = *into[target % 8 - 4];
            if (values.empty()) continue;
            double& entry = values[place % values.size()];
            entry = unusual(code, entry);
            c.ordered = c.ordered && !std::isnan(entry);
        }
        c.tame = false;
    }
    return c;
}

}  // namespace fuzz

#endif
