// What is asked about a few rows, and the best components found for them.

// A number below `count` that depends on the seed, the row and the turn alone.
INLINE int64_t drawn(uint64_t seed, int64_t row, int64_t turn, int64_t count) {
    uint64_t z = seed + uint64_t(row) * 0x9E3779B97F4A7C15ull + uint64_t(turn) * 0xD1B54A32D192ED03ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    z ^= z >> 31;
    return int64_t((z >> 32) * uint64_t(count) >> 32);
}

// The best components of a row so far, in order.
struct Best {
    double* values;  // (kept), falling
    int32_t* components;
    int64_t kept, found;
    double span, least;  // as much is kept below the best, and nothing less than the least

    void begin(double span_) {
        span = span_;
        least = -INFINITE;
        found = 0;
    }

    // Keeps a component if it is one of the best: the first of equals, where there is no room for both.
    INLINE_MEMBER void offer(int64_t c, double value) {
        if (!(value >= least) || value == -INFINITE) return;
        const bool full = found == kept;
        if (full && value == values[kept - 1] && c > components[kept - 1]) return;
        int64_t at = full ? kept - 1 : found++;
        for (; at > 0 && (values[at - 1] < value || (values[at - 1] == value && components[at - 1] > c)); --at) {
            values[at] = values[at - 1];
            components[at] = components[at - 1];
        }
        values[at] = value;
        components[at] = int32_t(c);
        const double low = values[0] - span;
        while (values[found - 1] < low) --found;
        least = found == kept && values[kept - 1] > low ? values[kept - 1] : low;
    }
};

// What one thread needs to ask components about some rows.
struct Asking {
    double* rows;       // (LANES, width) in double
    double* turned;     // (d, LANES) the same, lanes are rows
    double* away;       // (width, LANES)
    double* gaps;       // (rows of a tile, kept): how far below the best the others are; later their exponentials
    double* largest;    // (rows of a tile)
    double* totals;     // (rows of a tile)
    int64_t* asked_by;  // (k): the question in which a component was asked last
    uint32_t* askers;   // (k): which of the rows asked in it
    int32_t* list;      // components to be asked
    Best best[LANES];   // of each row
    int64_t question, listed, evaluated, in_vain, pause;
    int64_t group, of_group, near;  // component that the rows have in common, its question, and how many are near it

    // The number of components that a list holds at most, and of rows that are finished together.
    void lay_out(Arena& arena, const AskedComponents& m, int64_t kept, int64_t longest, int64_t tile_rows) {
        rows = arena.zeros<double>(LANES * m.width);
        turned = arena.take<double>(m.matrices ? m.d * LANES : 0);
        away = arena.zeros<double>(m.width * LANES);
        gaps = arena.take<double>(round_up(tile_rows * kept, LANES));
        largest = arena.take<double>(round_up(tile_rows, LANES));
        totals = arena.take<double>(round_up(tile_rows, LANES));
        asked_by = arena.zeros<int64_t>(m.k);
        askers = arena.take<uint32_t>(m.matrices ? m.k : 0);
        list = arena.take<int32_t>(longest + LANES);
        for (int l = 0; l < LANES; ++l) {
            best[l].values = arena.take<double>(kept);
            best[l].components = arena.take<int32_t>(kept);
            best[l].kept = kept;
        }
        question = evaluated = in_vain = pause = of_group = near = 0;
        group = -2;
    }

    // Lists a component that was asked neither in this question nor in the one of `before`.
    INLINE_MEMBER void add(int64_t c, int64_t before) {
        if (c < 0) return;
        const int64_t asked = asked_by[c];
        list[listed] = int32_t(c);
        listed += int64_t(asked != question) & int64_t(asked != before);
        asked_by[c] = asked == before ? before : question;
    }

    // Lists a component for one or more of the rows, one bit for each.
    INLINE_MEMBER void add_for(int64_t c, uint32_t mask) {
        if (c < 0) return;
        if (asked_by[c] != question) {
            asked_by[c] = question;
            askers[c] = 0;
            list[listed++] = int32_t(c);
        }
        askers[c] |= mask;
    }

    // Asks the components in the list, matrices, about the rows that are to ask them.
    NOINLINE void ask_turned(const AskedComponents& m) {
        // Columns that may tell that a component is far enough away, where the others are many more.
        const int64_t bound = m.d > 32 ? 16 : m.d;
        for (int64_t i = 0; i < listed; ++i) {
            const int64_t c = list[i];
            evaluated += __builtin_popcount(askers[c]);
            Vector<double> least, square[1];
            for (int l = 0; l < LANES; ++l) least[l] = best[l].least;
            const double *mean = m.means + c * m.stride, *packed = m.factors + c * m.packed_step;
            uint32_t mask = askers[c];
            for (int64_t columns = bound; mask; columns = m.d) {
                distance_full<double, 1>(turned, LANES, mean, away, packed, columns, square);
                mask &= ~mask_greater(least, m.log_offset[c] - 0.5 * square[0]);
                if (columns == m.d) break;
            }
            for (; mask; mask &= mask - 1) {
                const int l = __builtin_ctz(mask);
                best[l].offer(c, m.log_offset[c] - 0.5 * square[0][l]);
            }
        }
    }

    // Asks the components in the list about one row; `extra_of(c)` is taken from their values.
    template <typename Extra>
    INLINE_MEMBER void ask_listed(const AskedComponents& m, const double* x, Best& of_row, Extra extra_of) {
        evaluated += listed;
        const double* rows_of[LANES];
        const double* means_of[LANES];
        for (int l = 0; l < LANES; ++l) rows_of[l] = x;
        for (int64_t i = 0; i < listed; i += LANES) {
            Vector<double> highest, half;
            for (int l = 0; l < LANES; ++l) {
                const int64_t c = list[i + l < listed ? i + l : listed - 1];
                means_of[l] = m.means + c * m.stride;
                highest[l] = m.log_offset[c] - extra_of(c);
                half[l] = m.half[c];
            }
            const int64_t left = listed - i < LANES ? listed - i : LANES;
            const Vector<double> enough = (highest - of_row.least) / half;
            Vector<double> squares;
            if (m.matrices) {
                Vector<double> part[LANES] = {};
                for (int64_t l = 0; l < left; ++l) part[l] = squares_through_factor(m, list[i + l], x, away, enough[l]);
                squares = sums_of_lanes(part);
            } else {
                // Where few are far enough away to be told so early, looking is not worth it for a while.
                const bool looks = pause == 0;
                bool stopped = false;
                squares = squares_of_pairs(m, rows_of, means_of, looks ? m.first : m.width, enough, &stopped);
                in_vain = looks && !stopped ? in_vain + 1 : 0;
                pause = !looks ? pause - 1 : in_vain == 4 ? 60 : 0;
                if (stopped) continue;
            }
            const Vector<double> value = highest - half * squares;
            const uint32_t below = mask_greater(broadcast(of_row.least), value);
            for (uint32_t mask = ~below & ((1u << left) - 1); mask; mask &= mask - 1) {
                const int l = __builtin_ctz(mask);
                of_row.offer(list[i + l], value[l]);
            }
        }
    }
};
