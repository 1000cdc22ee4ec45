// Rows are cut into strips that depend on the sizes alone. Threads take strips in turn and hand in their sums in
// strip order, so every thread count gives the same bits.

struct Strips {
    int64_t n, tile_rows, rows, count;  // rows in all, of a tile, of a strip; strips
};

// A strip is long enough that handing in its sums is cheap, and there are at most 128 of them.
INLINE Strips cut_strips(int64_t n, int64_t tile_rows) {
    int64_t rows = (n + 127) / 128;
    rows = round_up(rows < 1920 ? 1920 : rows, tile_rows);
    return {n, tile_rows, rows, (n + rows - 1) / rows};
}

INLINE int threads_for(int n_threads, int64_t n_pieces, double work) {
    if (n_threads > n_pieces) n_threads = int(n_pieces);
    // Waking a thread costs some microseconds on an idle machine and a time slice on a busy one, where a fit of many
    // short passes then took thirty times as long: worth it from about a quarter of a millisecond of work.
    return work < 2e6 || n_threads < 2 ? 1 : threads_that_start(n_threads);
}

// Runs work(thread) on every thread of a team.
template <typename Work>
void run_threads(int n_threads, Work work) {
#ifdef _OPENMP
    if (n_threads > 1) {
#pragma omp parallel num_threads(n_threads)
        work(omp_get_thread_num());
        return;
    }
#endif
    (void)n_threads;
    work(0);
}

// Shared by the threads of one pass.
struct Turnstile {
    int (*poll)();
    int64_t next = 0;    // strip to be taken
    int64_t merged = 0;  // strips handed in so far
    int stopped = 0;
    double last_poll = 0.0;

    // Called between tiles; only the calling thread may look at signals, and not more often than every 50 ms.
    bool keep_going(bool calling_thread) {
        if (calling_thread && poll) {
            const double seconds = monotonic_seconds();
            if (last_poll == 0.0) last_poll = seconds;
            if (seconds - last_poll > 0.05) {
                last_poll = seconds;
                if (poll()) __atomic_store_n(&stopped, 1, __ATOMIC_RELAXED);
            }
        }
        return !__atomic_load_n(&stopped, __ATOMIC_RELAXED);
    }
};

// The rows [first, last), in the hands of one thread.
struct Strip {
    int64_t first, last, tile_rows;
    int thread;
    Turnstile& turnstile;

    // Calls work(first row, number of rows) tile by tile; false when the pass is to stop.
    template <typename Work>
    bool for_each_tile(Work work) const {
        for (int64_t row = first; row < last; row += tile_rows) {
            if (!turnstile.keep_going(thread == 0)) return false;
            work(row, last - row < tile_rows ? last - row : tile_rows);
        }
        return true;
    }
};

// Numbers that a strip left in its thread's memory; what lies behind them is zero still.
struct StripSums {
    double* values;
    int64_t count;
};

// Runs work(strip) over all strips. What a strip leaves in sums_of(thread), numbers that are zero before it, is added
// to `total` in strip order; or left where it is, if `total` is null.
template <typename SumsOf, typename Work>
Status sum_over_strips(const Strips& strips, int n_threads, int (*poll)(), double* total, SumsOf sums_of, Work work) {
    Turnstile turnstile{poll};
    run_threads(n_threads, [&](int thread) {
        for (;;) {
            const int64_t index = __atomic_fetch_add(&turnstile.next, 1, __ATOMIC_RELAXED);
            if (index >= strips.count) break;
            const int64_t first = index * strips.rows;
            const int64_t last = first + strips.rows < strips.n ? first + strips.rows : strips.n;
            work(Strip{first, last, strips.tile_rows, thread, turnstile});
            while (__atomic_load_n(&turnstile.merged, __ATOMIC_ACQUIRE) != index) yield_thread();
            const StripSums sums = sums_of(thread);
            for (int64_t i = 0; total && i < sums.count; ++i) {
                total[i] += sums.values[i];
                sums.values[i] = 0.0;
            }
            __atomic_store_n(&turnstile.merged, index + 1, __ATOMIC_RELEASE);
        }
    });
    return turnstile.stopped ? INTERRUPTED : DONE;
}

// Runs work(item, thread) for every item, on whichever thread is free: an item's outcome is not to depend on others.
template <typename Work>
void share_out(int64_t count, int n_threads, Work work) {
    int64_t next = 0;
    run_threads(n_threads < count ? n_threads : int(count), [&](int thread) {
        for (;;) {
            const int64_t item = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
            if (item >= count) break;
            work(item, thread);
        }
    });
}
