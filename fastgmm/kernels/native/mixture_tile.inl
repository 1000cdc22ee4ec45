// What one thread holds of a tile of rows while it is evaluated.

// Room for `values` in an odd number of cache lines, two at least: rows of a table so far apart share no cache set.
template <typename Real>
INLINE int64_t odd_lines(int64_t values) {
    constexpr int64_t line = ALIGNMENT / int64_t(sizeof(Real));
    return round_up(values, 2 * line) + line;
}

template <typename Real>
struct TileMemory {
    static constexpr bool BOUNDS = true;  // on densities, of the first columns of factors
    int64_t capacity;                     // rows a tile can hold
    int64_t stride;         // from feature to feature: an odd number of cache lines, so that columns share no cache set
    Real* rows;             // (d, stride) centred rows, transposed; none of long rows
    Real* whitened;         // (d, stride)
    Real* log_weighted;     // (k, stride) log of weight times density, later responsibilities
    Real* precision;        // (k, stride) u of Student components
    Real* log_spread;       // (k, stride) log(1 + distance^2 / dof) of Student components
    Real* best;             // (stride)
    Real* threshold;        // (stride)
    Real* row_weight;       // (stride)
    Real* lengths;          // (stride) squared length of the rows (whitened, where they are)
    Integer<Real>* likely;  // (stride / lanes) most promising component
    int32_t* index;         // (stride + lanes + k + 1)
    Real* centred;          // (d, rows of a block)
    Real* gathered;         // (d, rows of a block)
    int64_t bound_columns;  // columns of the factor that bounds take, or 0: see `columns_of_bound`
    int prune_pause;        // tiles to go before pruning is tried again
    int64_t finished;       // evaluations that the last pruned tile could not avoid

    void lay_out(Arena& arena, const PackedMixture<Real>& p, int64_t tile_rows) {
        constexpr int rows_of_block = Simd<Real>::rows;
        capacity = tile_rows;
        stride = odd_lines<Real>(tile_rows);
        rows = arena.take<Real>(p.long_rows ? 0 : p.d * stride);
        whitened = arena.take<Real>(p.whiten ? p.d * stride : 0);
        log_weighted = arena.take<Real>(p.k * stride);
        precision = arena.take<Real>(p.dof ? p.k * stride : 0);
        log_spread = arena.take<Real>(p.dof ? p.k * stride : 0);
        best = arena.take<Real>(tile_rows);
        threshold = arena.take<Real>(tile_rows);
        row_weight = arena.take<Real>(tile_rows);
        lengths = arena.take<Real>(tile_rows);
        likely = arena.take<Integer<Real>>(tile_rows / Simd<Real>::lanes);
        index = arena.take<int32_t>(tile_rows + Simd<Real>::lanes + p.k + 1);
        centred = arena.take<Real>(p.long_rows ? 0 : p.d * rows_of_block);
        gathered = arena.take<Real>(p.long_rows ? 0 : p.d * rows_of_block);
        bound_columns = 0;
        prune_pause = 0;
        finished = 0;
    }
};

// ln(2^80): log of RESPONSIBILITY_FLOOR.
template <typename Real>
constexpr Real FLOOR_EXPONENT = Real(55.451774444795625);

// Below this a component contributes nothing to a row whose best log weighted density is `best`: the responsibility
// is then below the floor even when multiplied by 1 + its squared Mahalanobis distance, which is bounded through
// `best`. So second moments of rows far from every component are kept as exactly as those of near ones.
template <typename Real>
INLINE Vector<Real> contribution_threshold(Vector<Real> best, Vector<Real> largest_offset) {
    // exponential() takes no less; responsibilities of such rows have no digits left to lose.
    const Vector<Real> span = broadcast(ExpConstants<Real>::lowest + Real(1));
    const Vector<Real> distance = Real(2) * (largest_offset - best) + Real(2 * 56 + 1);
    const Vector<Real> margin = -(FLOOR_EXPONENT<Real> + logarithm_above<Real>(distance));
    const Vector<Real> t = best + maximum<Real>(margin, span);
    // Far from every component the margin is lost to rounding. Then only what equals the best contributes: the number
    // below it may be further away than exponential() takes.
    const Unsigned<Real> bits = (Unsigned<Real>)best;
    const Vector<Real> below = (Vector<Real>)(bits - (Unsigned<Real>)(best < Vector<Real>{}) * 2 - 1);
    const Real infinity = Real(INFINITE);
    return best > broadcast(-infinity) ? (t < best ? t : below) : broadcast(-infinity);
}
