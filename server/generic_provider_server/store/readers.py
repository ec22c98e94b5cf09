"""Runs queries of the committed state on three threads."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from peewee import InterfaceError, OperationalError, PeeweeException

from ..domain.refusals import unavailable
from .database.engine import StoreDamaged
from .database.failures import failure_of
from .notices.listeners import Listeners
from .read.endable_read import EndableRead
from .read.queries import Queries
from .sign_of_life import SignOfLife
from .waits import Waits

Result = TypeVar("Result")

READERS = 3
UNREACHABLE = (OperationalError, InterfaceError)


class Readers:
    """The threads that run queries. Each thread has a connection of its own.

    `shared`: true if other processes may use the same database. Before each query of a shared
    database, the thread loads the changes of providers that other processes have made.
    `sign_of_life`: the sign of life of this process; None if `shared` is false. While
    `sign_of_life.lost` is true, every query is refused.
    """

    def __init__(
        self,
        queries: Queries,
        *,
        shared: bool,
        listeners: Listeners,
        waits: Waits,
        sign_of_life: SignOfLife | None,
    ) -> None:
        self._queries = queries
        self._shared = shared
        self._listeners = listeners
        self._waits = waits
        self._sign_of_life = sign_of_life
        self._running = set[EndableRead]()
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")

    async def read(self, question: Callable[[Queries], Result]) -> Result:
        """Runs a query. If the task that waits for the query is cancelled, the query ends."""
        loop, reading = asyncio.get_running_loop(), EndableRead()
        self._running.add(reading)
        try:
            return await loop.run_in_executor(self._threads, self._answer, question, reading)
        except asyncio.CancelledError:
            _give_up(reading)
            raise
        except (PeeweeException, sqlite3.Error) as error:
            failure = failure_of(error)
            if isinstance(failure, StoreDamaged):
                self._listeners.notify_damaged(failure)
            elif not isinstance(error, UNREACHABLE):
                raise
            raise unavailable("read") from error
        finally:
            self._running.discard(reading)

    def _answer(self, question: Callable[[Queries], Result], reading: EndableRead) -> Result:
        """Runs the query. If the connection was lost, runs the query once more on a new connection.
        There is no second attempt if the first attempt took longer than half of `Waits.patience`,
        because such a duration shows that the database does not answer.
        """
        if self._sign_of_life is not None and self._sign_of_life.lost:
            raise unavailable("read")
        began = time.monotonic()
        try:
            return self._answer_now(question, reading)
        except UNREACHABLE:
            self._queries.close()
            if reading.given_up or time.monotonic() - began > self._waits.patience / 2:
                raise
            return self._answer_now(question, reading)

    def _answer_now(self, question: Callable[[Queries], Result], reading: EndableRead) -> Result:
        with reading.ended_by(self._queries.ender()):
            if self._shared:
                self._queries.refresh()
            return question(self._queries)

    def close(self) -> None:
        """Ends all queries, closes the connections, and waits for the end of the threads."""
        for reading in list(self._running):  # a copy, because the event loop changes the set
            _give_up(reading)
        everyone = threading.Barrier(READERS)
        for _ in range(READERS):
            self._threads.submit(self._close_reader, everyone)
        self._threads.shutdown()

    def _close_reader(self, everyone: threading.Barrier) -> None:
        """Closes the connection of one thread. The barrier makes sure that every thread runs this
        function once.
        """
        everyone.wait()
        self._queries.close()


def _give_up(reading: EndableRead) -> None:
    threading.Thread(target=reading.give_up, daemon=True).start()
