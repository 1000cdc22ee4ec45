// From responsibilities to sufficient statistics. There are four collections; each of them
//     lays out memory for what it needs on the way and for what it sums (all numbers of one run, so that a strip's are
//     added to the total in one loop),
//     collects the rows of a tile from their responsibilities: `log_weighted` times `best`,
//     finishes a strip, and
//     delivers the total of all strips: adds it to the caller's arrays.

// Sums about the components' means.
struct ComponentSums {
    int64_t width, scatter_stride;
    double* counts;   // (k)
    double* sums;     // (k, width)
    double* scatter;  // (k, scatter_stride), or one for all where the stride is 0

    void lay_out(Arena& arena, int64_t k, int64_t width_, int64_t scatter_size, bool shared) {
        width = width_;
        scatter_stride = shared ? 0 : scatter_size;
        scatter = arena.zeros<double>(shared ? scatter_size : k * scatter_size);
        sums = arena.zeros<double>(k * width);
        counts = arena.zeros<double>(k);
    }

    double* scatter_of(int64_t c) const { return scatter + c * scatter_stride; }

    void deliver_first_moments(const MixturePass& pass, int64_t c) const {
        pass.counts[c] += counts[c];
        for (int64_t j = 0; j < pass.d; ++j) pass.sums[c * pass.d + j] += sums[c * width + j];
    }

    // Where scatters are sums of squares per feature; returns those of all features of component c.
    double deliver_squares(const MixturePass& pass, int64_t c) const {
        double trace = 0.0;
        for (int64_t j = 0; j < pass.d; ++j) {
            const double square = scatter_of(c)[j];
            if (pass.structure == DIAG) pass.scatter[c * pass.d + j] += square;
            trace += square;
        }
        return trace;
    }
};

// The caller's scatter of component c, where it is a matrix.
INLINE double* scatter_to(const MixturePass& pass, int64_t c) {
    return pass.scatter + (pass.structure == FULL ? c * pass.d * pass.d : 0);
}
