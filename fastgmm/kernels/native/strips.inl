// Rows are cut into strips that depend on the sizes alone. Threads take strips in turn and hand in their sums in
// strip order, so every thread count gives the same bits.

struct Strips {
    int64_t n, rows, count;
};

// A strip is long enough that handing in its sums is cheap, and there are at most 128 of them.
INLINE Strips cut_strips(int64_t n, int64_t tile_rows) {
    int64_t rows = (n + 127) / 128;
    rows = round_up(rows < 1920 ? 1920 : rows, tile_rows);
    return {n, rows, (n + rows - 1) / rows};
}

INLINE int threads_for(int n_threads, int64_t n_strips, double work) {
    if (n_threads > n_strips) n_threads = int(n_strips);
    // Waking a thread costs some microseconds on an idle machine and a time slice on a busy one, where a fit of many
    // short passes then took thirty times as long: worth it from about a quarter of a millisecond of work.
    return work < 2e6 || n_threads < 2 ? 1 : threads_that_start(n_threads);
}

// Shared by the threads of one pass.
struct Turnstile {
    int64_t next = 0;    // strip to be taken
    int64_t merged = 0;  // strips handed in so far
    int stopped = 0;
    int (*poll)();
    double last_poll = 0.0;

    // Called between tiles; only the calling thread may look at signals, and not more often than every 50 ms.
    bool keep_going(bool calling_thread) {
        if (calling_thread && poll) {
            timespec now;
            clock_gettime(CLOCK_MONOTONIC, &now);
            const double seconds = double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
            if (last_poll == 0.0) last_poll = seconds;
            if (seconds - last_poll > 0.05) {
                last_poll = seconds;
                if (poll()) __atomic_store_n(&stopped, 1, __ATOMIC_RELAXED);
            }
        }
        return !__atomic_load_n(&stopped, __ATOMIC_RELAXED);
    }
};

// Runs work(thread, first_row, last_row, turnstile, calling_thread) over all strips, then hand_in(thread) in strip
// order.
template <typename Work, typename HandIn>
Status run_strips(const Strips& strips, int n_threads, int (*poll)(), Work work, HandIn hand_in) {
    Turnstile turnstile;
    turnstile.poll = poll;
    auto thread_main = [&](int thread) {
        for (;;) {
            const int64_t strip = __atomic_fetch_add(&turnstile.next, 1, __ATOMIC_RELAXED);
            if (strip >= strips.count) break;
            const int64_t first = strip * strips.rows;
            const int64_t last = first + strips.rows < strips.n ? first + strips.rows : strips.n;
            work(thread, first, last, turnstile, thread == 0);
            while (__atomic_load_n(&turnstile.merged, __ATOMIC_ACQUIRE) != strip) sched_yield();
            hand_in(thread);
            __atomic_store_n(&turnstile.merged, strip + 1, __ATOMIC_RELEASE);
        }
    };
#ifdef _OPENMP
    if (n_threads > 1) {
#pragma omp parallel num_threads(n_threads)
        thread_main(omp_get_thread_num());
    } else {
        thread_main(0);
    }
#else
    (void)n_threads;
    thread_main(0);
#endif
    return turnstile.stopped ? INTERRUPTED : DONE;
}
