// A few rows, as many as there are lanes, and the components that they ask together.

// Squares of a block of rows, lanes are rows, about four components.
template <typename Real, bool SCALES>
INLINE void squares_of_four(const Real* rows, int64_t d, const Real* const (&mean)[4], const Real* const (&scale)[4],
                            Vector<Real> (&sum)[4]) {
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) sum[c] = Vector<Real>{};
    for (int64_t j = 0; j < d; ++j, rows += Simd<Real>::lanes) {
        const Vector<Real> x = load(rows);
#pragma GCC unroll 4
        for (int c = 0; c < 4; ++c) {
            Vector<Real> away = x - broadcast(mean[c][j]);
            if (SCALES) away = away * broadcast(scale[c][j]);
            sum[c] = away * away + sum[c];
        }
    }
}

// What one thread needs to ask about a block of rows.
template <typename Real>
struct Block {
    static constexpr int L = Simd<Real>::lanes;
    Real* rows;         // (d, L)
    Real* spare;        // (d, L)
    Real* values;       // (k + 4, L) log weighted densities of those listed, later shares
    int32_t* list;      // (k + 4)
    int64_t* asked_by;  // (k) the question in which a component was listed last
    int64_t question, listed;
    Vector<Real> best;      // of those asked
    Integer<Real> nearest;  // its component

    void lay_out(Arena& arena, const PackedMixture<Real>& p) {
        rows = arena.take<Real>(p.d * L);
        spare = arena.take<Real>(p.d * L);
        values = arena.take<Real>((p.k + 4) * L);
        list = arena.take<int32_t>(p.k + 4);
        asked_by = arena.zeros<int64_t>(p.k);
        question = 0;
    }

    // Reads up to L rows, centred and, where all share a factor, whitened; the last one fills up.
    void read(const PackedMixture<Real>& p, const Real* from, const int32_t* index, int64_t count) {
        const Real* at[L];
        for (int l = 0; l < L; ++l) at[l] = from + int64_t(index[l < count ? l : count - 1]) * p.d;
        int64_t j = 0;
        for (; j + L <= p.d; j += L) {
            Vector<Real> square[L];
#pragma GCC unroll 16
            for (int l = 0; l < L; ++l) square[l] = load(at[l] + j);
            transpose<Real>(square);
#pragma GCC unroll 16
            for (int c = 0; c < L; ++c) store<Real>(rows + (j + c) * L, square[c] - broadcast(p.centre[j + c]));
        }
        for (; j < p.d; ++j)
            for (int l = 0; l < L; ++l) rows[j * L + l] = at[l][j] - p.centre[j];
        if (p.structure != TIED) return;
        // Through a mean of zero: the rows are centred.
        Real* const zero = values;
        for (int64_t i = 0; i < p.d; ++i) zero[i] = Real(0);
        auto keep = [&](auto& y, int64_t j0) INLINE_LAMBDA {
            constexpr int C = int(sizeof(y) / sizeof(y[0]));
#pragma GCC unroll 8
            for (int c = 0; c < C; ++c) store<Real>(rows + (j0 + c) * L, y[c][0]);
        };
        factor_blocks<Real, 1>(rows, L, zero, spare, p.whiten ? p.whitener : p.factors, p.d, keep);
    }

    void begin() {
        ++question;
        listed = 0;
        best = broadcast(Real(-INFINITE));
        nearest = Integer<Real>{} - 1;
    }

    INLINE_MEMBER void add(int32_t c) {
        list[listed] = c;
        listed += int64_t(asked_by[c] != question);
        asked_by[c] = question;
    }

    // Asks those listed from `from` on; the lowest index among equals is the best.
    NOINLINE void ask(const PackedMixture<Real>& p, const Reach<Real>& reach, int64_t from) {
        auto take = [&](int64_t i, Vector<Real> value) INLINE_LAMBDA {
            store<Real>(values + i * L, value);
            const Integer<Real> here = Integer<Real>{} + typename Bits<Real>::type(list[i]);
            const auto above = (value > best) | ((value == best) & (here < nearest));
            best = above ? value : best;
            nearest = above ? here : nearest;
        };
        if (p.structure == FULL) {
            for (int64_t i = from; i < listed; ++i) {
                const int64_t c = list[i];
                Vector<Real> square[1];
                distance_full<Real, 1>(rows, L, p.means + c * p.width, spare, p.factors + c * p.factor_stride, p.d,
                                       square);
                take(i, p.offset[c] - Real(0.5) * square[0]);
            }
            return;
        }
        const bool diagonal = p.structure == DIAG;
        for (int64_t i = from; i < listed; i += 4) {
            const int64_t left = listed - i < 4 ? listed - i : 4;
            const Real *mean[4], *scale[4];
            for (int c = 0; c < 4; ++c) {
                const int64_t at = list[i + (c < left ? c : 0)];
                mean[c] = reach.means + at * p.d;
                scale[c] = diagonal ? reach.scales + at * p.d : nullptr;
            }
            Vector<Real> square[4];
            if (diagonal)
                squares_of_four<Real, true>(rows, p.d, mean, scale, square);
            else
                squares_of_four<Real, false>(rows, p.d, mean, scale, square);
            for (int64_t c = 0; c < left; ++c) {
                const int64_t at = list[i + c];
                take(i + c, p.offset[at] - (diagonal ? Real(0.5) : reach.half[at]) * square[c]);
            }
        }
    }

    // The step of radii that lane l's row lies at from its nearest component, RADII where the list ends before.
    INLINE_MEMBER int radius_of(const Reach<Real>& reach, int l) const {
        const int64_t c = nearest[l];
        if (c < 0) return RADII;
        const double slack = sizeof(Real) == 8 ? 1e-6 : 0.05;
        const double square = 2.0 * (reach.offset[c] - double(best[l]));
        const double at = ((square > 0.0 ? __builtin_sqrt(square) : 0.0) * (1.0 + slack) + slack) / reach.step;
        return at < double(reach.last[c] + 1) ? int(at) : RADII;
    }
};
