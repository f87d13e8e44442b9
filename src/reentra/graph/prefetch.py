"""Fetch pages ahead of who consumes them, so that Graph and the processor work side by side."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

_AHEAD_PAGES = 2

T = TypeVar("T")


def prefetched(source: Iterator[T]) -> Iterator[T]:
    """Yield what ``source`` yields while a thread of its own fetches what comes next.

    An error of the source is raised here, after what came before it.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(_AHEAD_PAGES)
    is_over = threading.Event()

    def put(item: T | None, error: BaseException | None) -> bool:
        while not is_over.is_set():
            try:
                ready.put((item, error), timeout=0.2)
            except queue.Full:
                continue
            return True
        return False

    def fetch() -> None:
        try:
            for item in source:
                if not put(item, None):
                    return
        except BaseException as error:  # noqa: BLE001  it is raised in the consumer's thread
            put(None, error)
        else:
            put(None, StopIteration())

    thread = threading.Thread(target=fetch, name="reentra-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]  # an item comes with no error
    finally:
        is_over.set()
