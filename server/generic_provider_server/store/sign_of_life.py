"""Writes the sign of life of this process, and reads the signs of life of other processes and the
database's clock.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import structlog
from psycopg import errors

from .database.connections import checked, connect
from .database.engine import StoreLost
from .database.migrate import OLDEST_SCHEMA, why_too_old
from .database.postgres import CLOCK
from .memory.own_life import Life
from .notices.listeners import Listeners
from .other_processes import Others
from .waits import Waits

EMPTY = b"[]"
BEAT = """
INSERT INTO server (id, seen_time, document)
VALUES (%(server)s, (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint, %(document)s)
ON CONFLICT (id) DO UPDATE
SET seen_time = GREATEST(EXCLUDED.seen_time, server.seen_time + 1), document = EXCLUDED.document"""
"""Writes the sign of life. Other processes only check whether `seen_time` has changed; they do not
compare `seen_time` with their clocks.
"""

SIGNS = "SELECT id, seen_time FROM server"
OLDEST = f"SELECT value FROM setting WHERE name = '{OLDEST_SCHEMA}'"
SIGN_OFF = "DELETE FROM server WHERE id = %s"

log = structlog.get_logger()


class SignOfLife:
    """Writes and reads the signs of life. This object has a thread and a connection of its own, so
    that a busy writer does not delay the sign of life.

    `follow`: adjusts the clock of this process to the database's clock. Transactions adjust it too,
    but a process without transactions must also notice that the database's clock was set, or that
    its own machine was suspended: otherwise work that is due would wait for the next transaction.
    `document`: the description of the streams of this process, for the other processes. Any thread
    may replace the document. `lost`: true if the last attempt to write the sign of life failed; an
    attempt that failed only because of a lock does not change `lost`. `outdated`: the reason why
    this version of the server must not run any more; empty if this version may run.
    """

    def __init__(
        self,
        url: str,
        *,
        server: str,
        life: Life,
        follow: Callable[[int], None],
        waits: Waits,
        loop: asyncio.AbstractEventLoop,
        listeners: Listeners,
    ) -> None:
        self.document = EMPTY
        self.others = Others(waits)
        self._url = checked(url)
        self._server = server
        self._life = life
        self._follow = follow
        self._waits = waits
        self._loop = loop
        self._listeners = listeners
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="store-life", daemon=True)
        self._connection: psycopg.Connection[Any] | None = None
        self.lost = False
        self.outdated = ""

    def start(self) -> None:
        """Writes the first sign of life, and starts the thread. Raises StoreLost if the database
        cannot be reached.
        """
        self._life.lasts(0.0)
        try:
            self._beat()
        except psycopg.OperationalError as error:
            self._close()
            raise StoreLost(str(error)) from error
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, which removes the sign of life, and waits for the end of the thread."""
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        pause = self._waits.beat
        while not self._stopping.wait(pause):
            pause = self._waits.beat if self._try() else self._waits.beat / 8
        try:
            if self._connection is not None:
                self._connection.execute(SIGN_OFF, (self._server,))
        except psycopg.Error as error:
            log.warning("sign_of_life_not_removed", error=str(error))
        self._close()

    def _try(self) -> bool:
        try:
            self._beat()
        except errors.LockNotAvailable as error:
            log.warning("sign_of_life_not_written", error=str(error))
            return False
        except Exception as error:  # the thread must not end
            self._close()
            if not self.lost:
                unexpected = not isinstance(error, psycopg.Error)
                log.exception("sign_of_life_not_written", error=str(error), exc_info=unexpected)
                self._loop.call_soon_threadsafe(self._listeners.notify_unreachable)
            self.lost = True
            return False
        if self.lost:
            log.info("sign_of_life_written")
            self._loop.call_soon_threadsafe(self._listeners.notify_reachable)
        self.lost = False
        return True

    def _beat(self) -> None:
        if self._connection is None:
            self._connection = connect(self._url, waits=self._waits)
        # Other processes may see the sign of life from now on, so the age of the sign counts from
        # now.
        began = time.monotonic()
        self._connection.execute(BEAT, {"server": self._server, "document": self.document})
        self._life.lasts(began + self._waits.fresh)
        signs = dict(self._connection.execute(SIGNS).fetchall())
        self.others.observe(signs, at=time.monotonic())
        for (oldest,) in self._connection.execute(OLDEST):
            self.outdated = why_too_old(oldest)
        for (now,) in self._connection.execute(CLOCK):
            self._follow(now)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
