"""Ends a query for which no caller waits any more, so that the query occupies no thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class GivenUp(Exception):
    """The caller does not wait for the query any more."""


AGAIN_SECONDS = 0.1


class EndableRead:
    """One read: a query, or several queries one after the other. The read runs on one thread; any
    other thread may end the read.
    """

    def __init__(self) -> None:
        self.given_up = False
        self._lock = threading.Lock()
        self._end: Callable[[], None] | None = None
        self._ended = threading.Event()

    @contextmanager
    def ended_by(self, end: Callable[[], None]) -> Iterator[None]:
        """While the `with` block runs a statement, `give_up` ends the statement by calling `end`.

        Raises GivenUp if `give_up` was called before.
        """
        with self._lock:
            if self.given_up:
                raise GivenUp
            self._end = end
        try:
            yield
        finally:
            # waits until a running call of `end` returns, so that the call does not end the next
            # query
            with self._lock:
                self._end = None
            self._ended.set()

    def give_up(self) -> None:
        """Ends the query. Calls `end` repeatedly until the query has ended, because the first call
        of `end` may come before the statement has begun. A call of `end` may take as long as
        opening a connection, because PostgreSQL accepts a cancellation only on a new connection.
        """
        while True:
            with self._lock:
                self.given_up = True
                if self._end is None:
                    return
                self._end()
            self._ended.wait(AGAIN_SECONDS)
