// Products of all pairs of features of a row, in panels: each vector holds as many pairs as it has lanes.

// Rows of `width` features in blocks of one vector. Pairs of features of two blocks fill vectors without a gap: one
// feature of the first with all of the second. Pairs within a block fill half of them, so two blocks share: lanes from
// t on hold feature t of the first block with those after it, the lanes below feature t - 1 of the second with those
// before it.
template <typename Real>
struct ProductPanels {
    static constexpr int L = Simd<Real>::lanes;
    int64_t blocks;
    int64_t within;  // panels of pairs within blocks
    int64_t count;   // panels

    explicit ProductPanels(int64_t width)
        : blocks(width / L),
          within(blocks / 2 * (L + 1) + blocks % 2 * L),
          count(within + blocks * (blocks - 1) / 2 * L) {}

    // Block and feature in it whose product with block `right` the panel holds; `shared` where pairs of two blocks do.
    struct Place {
        int64_t left, right;
        int feature;
        bool shared;
    };

    Place place_of(int64_t panel) const {
        if (panel < within) {
            const int64_t pair = panel / (L + 1);
            return {2 * pair, 2 * pair, int(panel % (L + 1)), 2 * pair + 1 < blocks};
        }
        int64_t rest = (panel - within) / L, left = 0;
        for (; rest >= blocks - 1 - left; ++left) rest -= blocks - 1 - left;
        return {left, left + 1 + rest, int((panel - within) % L), false};
    }

    // Writes one panel of products of `rows` rows.
    void multiply(int64_t panel, const Real* from, int64_t stride, int64_t rows, Real* to) const {
        const Place at = place_of(panel);
        const Real* left = from + at.left * stride;
        const Real* right = from + at.right * stride;
        if (!at.shared) {
            for (int64_t n = 0; n < rows; ++n)
                store<Real>(to + n * L, broadcast(left[n * L + at.feature]) * load(right + n * L));
            return;
        }
        Integer<Real> first{};
        for (int lane = 0; lane < L; ++lane) first[lane] = lane >= at.feature ? -1 : 0;
        const Real* other = left + stride;
        const int mine = at.feature < L ? at.feature : 0, theirs = at.feature > 0 ? at.feature - 1 : 0;
        for (int64_t n = 0; n < rows; ++n) {
            const Vector<Real> a = broadcast(left[n * L + mine]) * load(left + n * L);
            const Vector<Real> b = broadcast(other[n * L + theirs]) * load(other + n * L);
            store<Real>(to + n * L, first ? a : b);
        }
    }

    // The features whose product a lane holds, i <= j; false where it repeats another.
    bool pair_of(int64_t panel, int lane, int64_t* i, int64_t* j) const {
        const Place at = place_of(panel);
        if (panel < within && lane < at.feature) {
            if (!at.shared) return false;
            *i = (at.left + 1) * L + lane;
            *j = (at.left + 1) * L + at.feature - 1;
            return true;
        }
        *i = at.left * L + at.feature;
        *j = at.right * L + lane;
        return true;
    }
};
