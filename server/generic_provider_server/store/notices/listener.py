"""Receives notifications about commits of other processes to a PostgreSQL database."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import msgspec
import psycopg
import structlog

from ..database.connections import connect
from ..database.engine import StoreLost, UnsupportedDatabase
from ..database.postgres_tables import CHANNEL
from ..memory.scan_start import ScanStarts
from ..waits import Waits
from .listeners import Listeners
from .notice import notice_in

POLL_SECONDS = 0.5
PATIENCE = 5.0
EXPECTED = (psycopg.Error, msgspec.MsgspecError, UnsupportedDatabase)

log = structlog.get_logger()


class Listener:
    """Receives the notifications of other processes on its own thread.

    `url`: a URL of the database that forwards notifications; `sent_to`: the URL with which all
    processes commit.
    """

    def __init__(
        self,
        url: str,
        *,
        sent_to: str,
        waits: Waits,
        server: str,
        loop: asyncio.AbstractEventLoop,
        listeners: Listeners,
        scan_starts: ScanStarts,
    ) -> None:
        self._url = url
        self._sent_to = sent_to
        self._waits = waits
        self._server = server
        self._loop = loop
        self._listeners = listeners
        self._scan_starts = scan_starts
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="store-listener", daemon=True)
        self._connection: psycopg.Connection[Any] | None = None

    def start(self) -> None:
        """Connects, and starts the thread. Raises StoreLost if the database cannot be reached, and
        UnsupportedDatabase if notifications do not arrive.
        """
        try:
            self._connection = self._listening()
        except psycopg.OperationalError as error:
            raise StoreLost(str(error)) from error
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, and waits for its end."""
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._connection is None:
                    self._connection = self._listening()
                    log.info("notifications_found")
                    self._loop.call_soon_threadsafe(self._listeners.notify_missed)
                self._receive(self._connection)
            except Exception as error:  # the thread must not end
                unexpected = not isinstance(error, EXPECTED)
                if self._connection is not None or unexpected:
                    log.warning("notifications_lost", error=str(error), exc_info=unexpected)
                self._close()
                self._stopping.wait(POLL_SECONDS)
        self._close()

    def _receive(self, connection: psycopg.Connection[Any]) -> None:
        checked_at = time.monotonic()
        while not self._stopping.is_set():
            for notification in connection.notifies(timeout=POLL_SECONDS):
                notice = notice_in(notification.payload, server=self._server)
                if notice is not None:
                    self._scan_starts.note(notice.ready)
                    self._listeners.notify_at_once(notice)
                    self._loop.call_soon_threadsafe(self._listeners.notify_committed, notice)
                if self._stopping.is_set():
                    return
            if time.monotonic() - checked_at > self._waits.patience / 2:
                connection.execute("SELECT 1")
                checked_at = time.monotonic()

    def _listening(self) -> psycopg.Connection[Any]:
        """Returns a connection that has received a test notification."""
        connection = connect(self._url, waits=self._waits)
        try:
            if self._receives(connection):
                return connection
        except psycopg.Error:
            connection.close()
            raise
        connection.close()
        raise UnsupportedDatabase(
            "notifications of the database do not arrive: if the URL names a pooler in transaction "
            "mode, give a direct URL of the same database with --notifications-database"
        )

    def _receives(self, connection: psycopg.Connection[Any]) -> bool:
        """Sends a test notification in the same way as the commits. Returns whether the connection
        receives this notification in time.
        """
        test = f'["{self._server}",{{}},{{}}]'
        connection.execute(f"LISTEN {CHANNEL}")
        with connect(self._sent_to) as other:
            other.execute("SELECT pg_notify(%s, %s)", (CHANNEL, test))
        return any(each.payload == test for each in connection.notifies(timeout=PATIENCE))

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
