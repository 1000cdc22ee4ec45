// Centres of k-means++, exchanged for better ones.

// Of each row: the two nearest centres, and the squared distances to them.
template <typename Real>
struct Neighbours {
    int32_t *nearest, *next;
    Real *first, *second;
};

template <typename Real>
int find_neighbours(const CentreChoice* choice, const Real* rows, int64_t n, const double* centres,
                    Neighbours<Real> out) {
    constexpr int L = Simd<Real>::lanes, R = ROW_VECTORS;
    using Index = typename Bits<Real>::type;
    const int64_t d = choice->d, k = choice->k;
    CentrePass<Real> pass;
    const double work = double(n) * double(k) * double(2 * d + 4);
    if (!pass.prepare(centres, n, d, k, choice->n_threads, work, 0)) return OUT_OF_MEMORY;
    return pass.run(rows, choice->poll, [&](NearestMemory<Real>& m, int64_t start, int64_t count) {
        for (int64_t i = 0; i < count; i += R * L) {
            Vector<Real> first[R], second[R];
            Integer<Real> nearest[R], next[R];
            for (int r = 0; r < R; ++r) {
                first[r] = second[r] = broadcast(Real(INFINITE));
                nearest[r] = next[r] = Integer<Real>{};
            }
            for (int64_t group = 0; group < k; group += COLUMNS) {
                Vector<Real> distance[COLUMNS][R];
                pass.template distances<COLUMNS>(m, i, group, distance);
                for (int c = 0; c < COLUMNS && group + c < k; ++c)
#pragma GCC unroll 8
                    for (int r = 0; r < R; ++r) {
                        const Vector<Real> x = distance[c][r];
                        const auto closer = x < first[r], close = x < second[r];
                        const Integer<Real> here = Integer<Real>{} + Index(group + c);
                        second[r] = closer ? first[r] : close ? x : second[r];
                        next[r] = closer ? nearest[r] : close ? here : next[r];
                        nearest[r] = closer ? here : nearest[r];
                        first[r] = closer ? x : first[r];
                    }
            }
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) {
                store<Real>(m.lowest + i + r * L, first[r]);
                store<Real>(m.weights + i + r * L, second[r]);
                for (int lane = 0; lane < L && i + r * L + lane < count; ++lane) {
                    out.nearest[start + i + r * L + lane] = int32_t(nearest[r][lane]);
                    out.next[start + i + r * L + lane] = int32_t(next[r][lane]);
                }
            }
        }
        for (int64_t i = 0; i < count; ++i) {
            out.first[start + i] = m.lowest[i];
            out.second[start + i] = m.weights[i];
        }
    });
}

// The place of centre `out` has been taken by another, `to_new` away from each row. What the two nearest were, or the
// new one, tells nearly all rows' nearest; others are looked at again: two in K, where clusters are of one size.
template <typename Real>
struct Renewal {
    const CentreChoice* choice;
    Neighbours<Real> known;  // of all rows
    const Real* to_new;
    int64_t* again;          // (capacity) rows to be looked at
    Real* gathered;          // (capacity, d)
    Neighbours<Real> found;  // of those rows
    int64_t capacity;

    int run(const double* centres, int32_t out) const {
        const int64_t n = choice->n, d = choice->d;
        const Real* rows = static_cast<const Real*>(choice->rows);
        int64_t count = 0;
        for (int64_t i = 0; i < n; ++i) {
            const Real x = to_new[i], first = known.first[i], second = known.second[i];
            const bool was_nearest = known.nearest[i] == out, was_next = known.next[i] == out;
            if ((was_nearest || was_next) && !(x <= second)) {
                if (count == capacity) return find_neighbours<Real>(choice, rows, n, centres, known);
                again[count++] = i;
            } else if (was_nearest) {
                known.first[i] = x;
            } else if (x < first) {
                known.second[i] = first;
                known.next[i] = known.nearest[i];
                known.first[i] = x;
                known.nearest[i] = out;
            } else if (x < second || was_next) {
                known.second[i] = x;
                known.next[i] = out;
            }
        }
        if (count == 0) return DONE;
        for (int64_t i = 0; i < count; ++i)
            for (int64_t j = 0; j < d; ++j) gathered[i * d + j] = rows[again[i] * d + j];
        const int status = find_neighbours<Real>(choice, gathered, count, centres, found);
        for (int64_t i = 0; i < count; ++i) {
            const int64_t to = again[i];
            known.nearest[to] = found.nearest[i];
            known.next[to] = found.next[i];
            known.first[to] = found.first[i];
            known.second[to] = found.second[i];
        }
        return status;
    }
};

// What k-means would cost with one more centre, `candidate` (cost[k]), and what taking each centre out adds to that.
// Writes the distances to the candidate.
template <typename Real>
int swap_costs(const CentreChoice* choice, const double* candidate, Neighbours<Real> known, double* cost,
               Real* to_new) {
    const int64_t n = choice->n, d = choice->d, k = choice->k;
    CentrePass<Real> pass;
    const double work = double(n) * double(2 * d + 8);
    if (!pass.prepare(candidate, n, d, 1, choice->n_threads, work, k + 1)) return OUT_OF_MEMORY;
    const Status status =
        pass.run(static_cast<const Real*>(choice->rows), choice->poll,
                 [&](NearestMemory<Real>& m, int64_t start, int64_t count) {
                     const int64_t padded = round_up(count, Simd<Real>::rows);
                     for (int64_t i = 0; i < padded; ++i) {
                         m.lowest[i] = Real(INFINITE);
                         m.weights[i] = Real(0);
                     }
                     double unused = 0.0;
                     lower_tile<Real, 1>(pass, m, padded, 0, true, &unused);
                     double with = 0.0;
                     for (int64_t i = 0; i < count; ++i) {
                         const Real x = m.lowest[i], first = known.first[start + i], second = known.second[start + i];
                         to_new[start + i] = x;
                         const double w = choice->sample_weight ? choice->sample_weight[start + i] : 1.0;
                         const Real kept = x < first ? x : first;
                         with += w * double(kept);
                         m.sums[known.nearest[start + i]] += w * double((x < second ? x : second) - kept);
                     }
                     m.sums[k] += with;
                 });
    for (int64_t c = 0; c <= k; ++c) cost[c] = pass.total[c];
    return status;
}

// Rows drawn as k-means++ draws them take the place of centres where that lowers the cost: a cluster that has two
// centres gives one to two clusters that have one (Lattanzi and Sohler, 2019).
template <typename Real>
int swap_centres(CentreChoice* choice, Urn& urn, const double* positions) {
    const int64_t n = choice->n, d = choice->d, k = choice->k;
    const Real* rows = static_cast<const Real*>(choice->rows);
    const double* weights = choice->sample_weight;
    double *centres = nullptr, *cost = nullptr, *candidate = nullptr;
    Real* to_new = nullptr;
    Neighbours<Real> known{nullptr, nullptr, static_cast<Real*>(choice->distances), nullptr};
    // Where more rows are to be looked at again, all are.
    Renewal<Real> renewal{choice, known, nullptr, nullptr, nullptr, known, n / 4};
    Scratch memory;
    const bool allocated = memory.allocate([&](Arena& arena) {
        centres = arena.take<double>(k * d);
        cost = arena.take<double>(k + 1);
        candidate = arena.take<double>(d);
        known.nearest = arena.take<int32_t>(n);
        known.next = arena.take<int32_t>(n);
        known.second = arena.take<Real>(n);
        to_new = arena.take<Real>(n);
        renewal.again = arena.take<int64_t>(renewal.capacity);
        renewal.gathered = arena.take<Real>(renewal.capacity * d);
        renewal.found.nearest = arena.take<int32_t>(renewal.capacity);
        renewal.found.next = arena.take<int32_t>(renewal.capacity);
        renewal.found.first = arena.take<Real>(renewal.capacity);
        renewal.found.second = arena.take<Real>(renewal.capacity);
    });
    if (!allocated) return OUT_OF_MEMORY;
    renewal.known = known;
    renewal.to_new = to_new;
    for (int64_t c = 0; c < k; ++c)
        for (int64_t j = 0; j < d; ++j) centres[c * d + j] = double(rows[choice->chosen[c] * d + j]);
    const Real* first = known.first;
    auto distance_of = [=](int64_t i) INLINE_LAMBDA { return weights ? weights[i] * first[i] : double(first[i]); };
    int status = find_neighbours<Real>(choice, rows, n, centres, known);
    urn.fill(distance_of);
    // A swap that gains less than a quarter of a cluster's share would not lead Lloyd's algorithm elsewhere.
    const double enough = 1.0 - 0.25 / double(k);
    for (int64_t swap = 0, failures = 0; swap < choice->n_swaps && failures < 8 + k; ++swap) {
        if (status != DONE || !(urn.total > 0.0)) return status;
        const int64_t drawn = urn.draw(positions[swap], distance_of);
        for (int64_t j = 0; j < d; ++j) candidate[j] = double(rows[drawn * d + j]);
        status = swap_costs<Real>(choice, candidate, known, cost, to_new);
        if (status != DONE) return status;
        int64_t out = 0;
        for (int64_t c = 1; c < k; ++c)
            if (cost[c] < cost[out]) out = c;
        if (!(cost[k] + cost[out] < enough * urn.total)) {
            ++failures;
            continue;
        }
        failures = 0;
        choice->chosen[out] = drawn;
        for (int64_t j = 0; j < d; ++j) centres[out * d + j] = candidate[j];
        status = renewal.run(centres, int32_t(out));
        urn.fill(distance_of);
    }
    return status;
}
