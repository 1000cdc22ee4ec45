"""Reading ahead: a thread takes the next items of an iterator while the caller works on the last one."""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

__all__ = ["read_ahead"]

Item = TypeVar("Item")

# How long an abandoned reader may take to return from a read before it is left to end by itself.
PATIENCE_SECONDS = 5.0


class _Reader(Generic[Item]):
    """One thread, and what it has read so far: `depth` items at most."""

    def __init__(self, open_items: Callable[[], Iterator[Item]], depth: int) -> None:
        self.open_items, self.depth = open_items, depth
        self.items: deque[Item] = deque()
        self.changed = threading.Condition()
        self.ended = self.stopped = False
        self.failure: BaseException | None = None
        # What the caller's context says (settings, NumPy's error handling) holds in the thread as well.
        context = contextvars.copy_context()
        self.thread = threading.Thread(target=context.run, args=(self._read,), name="fastgmm-read-ahead", daemon=True)

    def _read(self) -> None:
        items = None
        try:
            items = self.open_items() if not self.stopped else iter(())
            for item in items:
                if not self._hand_over(item):
                    break
                del item  # held here, it would be one more block in memory
        except BaseException as failure:  # the caller's to raise, whatever it is
            self.failure = failure
        finally:
            self._close(items)
            with self.changed:
                self.ended = True
                self.changed.notify_all()

    def _close(self, items: Iterator[Item] | None) -> None:
        # Files that a generator holds open are closed here, in the thread that runs it.
        try:
            close = getattr(items, "close", None)
            if close is not None:
                close()
        except BaseException as failure:
            self.failure = self.failure or failure

    def _hand_over(self, item: Item) -> bool:
        with self.changed:
            while len(self.items) >= self.depth and not self.stopped:
                self.changed.wait()
            if not self.stopped:
                self.items.append(item)
                self.changed.notify_all()
            return not self.stopped

    def take(self) -> tuple[bool, Item | None]:
        """Return (True, the next item), or (False, None) at the end."""
        with self.changed:
            while not self.items and not self.ended:
                self.changed.wait()
            if self.items:
                self.changed.notify_all()
                return True, self.items.popleft()
        if self.failure is not None:
            raise self.failure
        return False, None

    def stop(self) -> None:
        """End the thread, after the read it is in."""
        if self.thread.ident is None:  # the system had none to give
            return
        with self.changed:
            self.stopped = True
            self.items.clear()
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.ended, PATIENCE_SECONDS)
        if self.ended:
            self.thread.join()


def read_ahead(open_items: Callable[[], Iterator[Item]], depth: int = 1) -> Generator[Item, None, None]:
    """Yield the items of ``open_items()``, which a thread opens, reads and closes.

    The thread is at most `depth` items ahead, and one more that it waits to hand over. It has ended when this generator
    has: at the end, on an error of either side, on Ctrl-C, or when the generator is closed.

    Parameters
    ----------
    open_items : callable
        Called once, in the thread.
    depth : int

    Raises
    ------
    BaseException
        Whatever `open_items` or its iterator raised, after the items before it.
    """
    reader = _Reader(open_items, depth)
    try:
        # In here: Ctrl-C may come as soon as the thread runs.
        reader.thread.start()
        while True:
            there_is, item = reader.take()
            if not there_is:
                return
            yield item  # type: ignore[misc]
            del item
    finally:
        reader.stop()
