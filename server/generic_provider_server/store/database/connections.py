"""Opens connections to PostgreSQL. A connection ends when the database does not answer."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from peewee import PostgresqlDatabase
from psycopg.generators import send
from psycopg.pq import Format, TransactionStatus

from ..waits import USUAL, Waits
from .arrays import ByteArray, ByteArrayDumper
from .engine import UnsupportedDatabase
from .urls import hidden

PREFIXES = ("postgresql://", "postgres://")
CONNECTION: dict[str, Any] = {
    # no prepared statements: their plans may ignore partial indexes, and pgbouncer may run a
    # prepared statement on a connection on which it was not prepared
    "prepare_threshold": None,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "generic-provider",
}
RETRY_SECONDS = 1.0
CANCEL_SECONDS = 3.0
MIGRATION_LOCK_SECONDS = 20
"""A migration waits at most this time for a lock."""


def checked(url: str) -> str:
    """Returns the URL with the scheme postgresql://. Raises UnsupportedDatabase if the URL is
    wrong.

    If the host or the name of the database contains an @, the function refuses the URL: the host or
    the name contains a part of a password, which otherwise could be sent to a name server.
    """
    try:
        parts = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        text = re.sub('".*"', "…", str(error).strip(), flags=re.DOTALL)
        raise UnsupportedDatabase(f"{hidden(url)} is not a PostgreSQL URL: {text}") from None
    if any("@" in str(parts.get(part, ""))[1:] for part in ("host", "dbname")):
        raise UnsupportedDatabase(
            f"{hidden(url)} is not a PostgreSQL URL: in a password write @ as %40, / as %2F, "
            ": as %3A, ? as %3F and % as %25"
        )
    return url.replace("postgres://", "postgresql://", 1)


def connect(url: str, *, waits: Waits = USUAL) -> psycopg.Connection[Any]:
    """Opens a connection in autocommit mode: the database commits each statement at once, except
    within a transaction that a BEGIN statement has opened.
    """
    made = _Connection.connect(url, autocommit=True, **_options(url, waits=waits))
    made.answer_seconds = waits.patience
    made.adapters.register_dumper(ByteArray, ByteArrayDumper)
    return made


def cancel(connection: psycopg.Connection[Any]) -> None:
    """Cancels the running statement of a connection. If the database does not accept the
    cancellation, the statement ends later, when the connection counts as lost.

    `Connection.cancel` is not used, because it keeps the interpreter's lock (GIL) while it waits
    for the database: if the database hung, the whole process would hang.
    """
    with suppress(psycopg.Error):
        connection.cancel_safe(timeout=CANCEL_SECONDS)


def database_of(url: str) -> PostgresqlDatabase:
    """Returns a database for queries and migrations."""
    return PostgresqlDatabase(url, prefer_psycopg3=True, **_options(url))


class _Pipeline(psycopg.Pipeline):
    """A pipeline after whose end the database counts the session as idle.

    At the end, the class of psycopg sends a Sync and then a Flush. PostgreSQL starts to measure the
    idle time after the Sync, and stops with the Flush. So a session that got no further message
    would keep its locks without a limit.
    """

    def _exit_gen(self) -> Generator[Any, Any, None]:
        try:
            self._enqueue_sync()
            yield from self._communicate_gen()
        finally:
            yield from send(self.pgconn)
            yield from self._fetch_gen(flush=False)


class _Connection(psycopg.Connection[Any]):
    """A connection that counts as lost when the database does not answer.

    A database can hang without closing its connections. A cancellation of the query would not help,
    because the database would have to process the cancellation.
    """

    answer_seconds: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, self.answer_seconds if timeout is None else timeout)
        except psycopg.OperationalError as error:
            waiting = self.pgconn.transaction_status == TransactionStatus.ACTIVE
            if waiting and timeout is None and error.sqlstate is None:
                self.pgconn.finish()
                raise psycopg.OperationalError("the database does not answer") from error
            raise

    @contextmanager
    def pipeline(self) -> Iterator[psycopg.Pipeline]:
        if self._pipeline is None:
            self._pipeline = _Pipeline(self)
        with super().pipeline() as pipeline:
            yield pipeline


class _BinaryCursor(psycopg.Cursor[Any]):
    """A cursor that gets values in PostgreSQL's binary format. In the text format, the database
    would write, and the driver would read, two characters for each byte of a document.
    """

    def __init__(self, connection: psycopg.Connection[Any], *, row_factory: Any = None) -> None:
        super().__init__(connection, row_factory=row_factory)
        self.format = Format.BINARY


class Reader(PostgresqlDatabase):
    """A PostgreSQL database for queries.

    Each thread has a connection of its own, which counts as lost when the database does not answer.
    """

    def __init__(self, url: str, *, waits: Waits) -> None:
        super().__init__(url, prefer_psycopg3=True)
        self._url, self._waits = url, waits
        self._failed_at = -math.inf

    def _connect(self) -> psycopg.Connection[Any]:
        """Connects. After an attempt to connect has timed out, all attempts within RETRY_SECONDS
        fail immediately. If these attempts did not fail immediately, each thread would wait for the
        attempts of other threads, because threads connect one after the other.
        """
        if time.monotonic() - self._failed_at < RETRY_SECONDS:
            raise psycopg.OperationalError("the database could not be reached just now")
        try:
            made = connect(self._url, waits=self._waits)
        except psycopg.errors.ConnectionTimeout:
            self._failed_at = time.monotonic()
            raise
        made.cursor_factory = _BinaryCursor
        return made


def _options(url: str, *, waits: Waits | None = None) -> dict[str, Any]:
    """Returns the options of a connection. Options in the URL override these options, except the
    encoding.

    A process that hangs within a transaction loses its locks after `waits.patience` seconds.
    """
    said = psycopg.conninfo.conninfo_to_dict(url)
    patience = (waits or USUAL).patience
    ours = {**CONNECTION, "connect_timeout": max(2, int(patience / 2))}
    options = {name: value for name, value in ours.items() if name not in said}
    # without this option, the driver would use the encoding of the role or of the environment
    options["client_encoding"] = "UTF8"
    if "options" in said:
        return options
    lock = MIGRATION_LOCK_SECONDS if waits is None else waits.lock
    settings = (
        f"-c idle_in_transaction_session_timeout={patience * 1_000:.0f} "
        f"-c lock_timeout={lock * 1_000:.0f} "
        "-c jit=off"  # to compile a statement takes longer than to run it
    )
    return {**options, "options": settings}
