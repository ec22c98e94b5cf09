"""Ends reads that nobody waits for any more, so that they do not occupy a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class GivenUp(Exception):
    """Says that nobody waits for the read any more."""


AGAIN_SECONDS = 0.1


class EndableRead:
    """One read. It runs on one thread, and any other thread may give it up."""

    def __init__(self) -> None:
        self.given_up = False
        self._lock = threading.Lock()
        self._end: Callable[[], None] | None = None
        self._ended = threading.Event()

    @contextmanager
    def ended_by(self, end: Callable[[], None]) -> Iterator[None]:
        """While the block runs a statement, `give_up` ends it by calling `end`.

        Raises GivenUp if the read was given up already.
        """
        with self._lock:
            if self.given_up:
                raise GivenUp
            self._end = end
        try:
            yield
        finally:
            # waits for an `end` that runs, so that it ends no statement of the next read
            with self._lock:
                self._end = None
            self._ended.set()

    def give_up(self) -> None:
        """Ends the read. It tries again until the read has ended, because the first try may come
        before the statement has begun. A try may take as long as opening a connection to the
        database.
        """
        while True:
            with self._lock:
                self.given_up = True
                if self._end is None:
                    return
                self._end()
            self._ended.wait(AGAIN_SECONDS)
