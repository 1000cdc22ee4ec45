"""Rows are cut into strips that depend on the sizes alone; threads take strips in turn and hand in in strip order.

So every thread count gives the same bits. Threads live for one pass: nothing is left that a fork could break, and
passes of several Python threads do not meet. A strip is worked through in pieces, short enough that an interrupt is
served between two of them.
"""

from __future__ import annotations

import threading

__all__ = ["run_strips", "strip_rows_for"]

#: Multiply-adds that one thread must find to do before another is started (about 0.1 ms of work).
THREAD_WORK = 1e6
#: Multiply-adds of a piece: well below a second even on one slow core.
PIECE_WORK = 3e8
MOST_STRIPS = 64
LEAST_ROWS = 3840


def strip_rows_for(n_samples: int, tile_rows: int) -> int:
    """Return the rows of a strip: whole tiles, long enough that handing in is cheap."""
    rows = max(LEAST_ROWS, -(-n_samples // MOST_STRIPS))
    return -(-rows // tile_rows) * tile_rows


class _Turnstile:
    """Gives out strips and lets their sums in by strip number."""

    def __init__(self, n_strips: int):
        self.n_strips = n_strips
        self.given = 0
        self.handed_in = 0
        self.error: BaseException | None = None
        self.changed = threading.Condition()

    def take(self) -> int | None:
        with self.changed:
            if self.error is not None or self.given == self.n_strips:
                return None
            self.given += 1
            return self.given - 1

    def hand_in(self, strip: int, action) -> None:
        with self.changed:
            while self.handed_in != strip and self.error is None:
                self.changed.wait()
            if self.error is None:
                action()
                self.handed_in += 1
                self.changed.notify_all()

    def stop(self, error: BaseException) -> None:
        with self.changed:
            if self.error is None:
                self.error = error
            self.changed.notify_all()


def run_strips(n_samples, strip_rows, tile_rows, work_per_row, n_threads, make_worker) -> None:
    """Work through all strips.

    Parameters
    ----------
    n_samples, strip_rows, tile_rows : int
    work_per_row : float
        Multiply-adds, which decide how many threads are worth starting.
    n_threads : int
        At most this many threads, the calling one among them.
    make_worker : callable
        Returns ``(work, hand_in)`` with memory of their own; it is called once per thread, by the calling thread.
        ``work(first, last, closing)`` processes rows, `closing` those that end a strip; ``hand_in()`` adds what the
        worker summed over a strip to the totals and clears it.

    Raises
    ------
    Whatever a worker raised, KeyboardInterrupt among it, after all threads have ended.
    """
    n_strips = -(-n_samples // strip_rows)
    n_threads = int(max(1, min(n_threads, n_strips, n_samples * work_per_row / THREAD_WORK)))
    piece = max(1, int(PIECE_WORK / max(1.0, work_per_row)) // tile_rows) * tile_rows
    turnstile = _Turnstile(n_strips)

    def run(work, hand_in):
        try:
            while (strip := turnstile.take()) is not None:
                first = strip * strip_rows
                last = min(first + strip_rows, n_samples)
                for start in range(first, last, piece):
                    if turnstile.error is not None:
                        return
                    stop = min(start + piece, last)
                    work(start, stop, stop == last)
                turnstile.hand_in(strip, hand_in)
        except BaseException as error:
            turnstile.stop(error)

    workers = [make_worker() for _ in range(n_threads)]
    threads = [threading.Thread(target=run, args=worker, daemon=True) for worker in workers[1:]]
    try:
        for thread in threads:
            thread.start()
        run(*workers[0])
    except BaseException as error:
        turnstile.stop(error)
    for thread in threads:
        while thread.is_alive():
            try:
                thread.join()
            except KeyboardInterrupt as error:
                turnstile.stop(error)
    if turnstile.error is not None:
        raise turnstile.error
