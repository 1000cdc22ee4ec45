"""Reading ahead: a thread takes the next items of an iterator while the caller works on the last one."""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["read_ahead"]

Item = TypeVar("Item")

# How long an abandoned reader may take to return from a read before it is left to end by itself.
PATIENCE_SECONDS = 5.0


class _End:
    """What comes after the last item; `failure` is what the iterator raised, the caller's to raise."""

    def __init__(self, failure: BaseException | None) -> None:
        self.failure = failure


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
    found: queue.Queue[Any] = queue.Queue(depth)
    stopped = threading.Event()
    # What the caller's context says (settings, NumPy's error handling) holds in the thread as well.
    arguments = (_read, open_items, found, stopped)
    thread = threading.Thread(
        target=contextvars.copy_context().run, args=arguments, name="fastgmm-read-ahead", daemon=True
    )
    try:
        # In here: Ctrl-C may come as soon as the thread runs.
        thread.start()
        while True:
            item = found.get()
            if isinstance(item, _End):
                if item.failure is not None:
                    raise item.failure
                return
            yield item
            del item
    finally:
        stopped.set()
        # It may wait to hand an item over. Without an identity there is no thread: the system had none to give.
        latest = time.monotonic() + PATIENCE_SECONDS
        while thread.ident is not None and thread.is_alive() and time.monotonic() < latest:
            with suppress(queue.Empty):
                found.get(timeout=0.01)
        found.queue.clear()


def _read(open_items: Callable[[], Iterator[Item]], found: queue.Queue[Any], stopped: threading.Event) -> None:
    failure = None
    try:
        items = iter(()) if stopped.is_set() else open_items()
        try:
            for item in items:
                found.put(item)
                del item  # held here, it would be one more block in memory
                if stopped.is_set():
                    break
        finally:
            # Files that a generator holds open are closed here, in the thread that runs it.
            if hasattr(items, "close"):
                items.close()
    except BaseException as error:
        failure = error
    found.put(_End(failure))
