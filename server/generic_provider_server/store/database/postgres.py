"""Implements the engine on PostgreSQL. Several processes may use one database, and the database
coordinates them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from typing import Any, cast

import psycopg
from peewee import Database
from psycopg import errors

from ..waits import USUAL, Waits
from .connections import Reader, checked, connect, database_of
from .engine import (
    UNREADABLE,
    InDoubt,
    Locked,
    Overtaken,
    StoreLost,
    Tables,
    UnsupportedDatabase,
)
from .failures import failure_of, in_one_line
from .migrate import migrate
from .number_blocks import COUNTERS, Numbers, Reserve
from .postgres_tables import PostgresTables
from .process_clock import ProcessClock

SIGNS_OF_A_START = (
    "refused",
    "No such file",
    "starting up",
    "shutting down",
    "recovery",
    "closed the connection",
    "terminating connection",
    "timeout",
    "read-only",
)
"""If an error of libpq contains one of these texts, the database will probably be ready soon.

The texts are needed, because the driver gives errors of a lost connection no code.
"""

AGAIN = (errors.DeadlockDetected, errors.SerializationFailure, errors.QueryCanceled)
"""After one of these errors the transaction can be run again, because the database has only rolled
the transaction back.
"""

CLOCK = "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint * 1000"
# The commit of a reservation of numbers need not wait for the disk, because the WAL contains this
# commit before the commit of any transaction that uses the numbers.
SOON = "WITH soon AS (SELECT set_config('synchronous_commit', 'off', true))"
RESERVE = f"{SOON} UPDATE counter SET value = value + %s FROM soon WHERE name = %s RETURNING value"
GIVE_BACK = f"{SOON} UPDATE counter SET value = %s FROM soon WHERE name = %s AND value = %s"
LOCK_WAIT = "SET LOCAL lock_timeout = %d"
LOST = (psycopg.OperationalError, psycopg.InterfaceError, errors.InFailedSqlTransaction)
"""After these errors the connection is not used again. In most cases nobody knows whether the
transaction was committed.
"""


class PostgresEngine:
    shared = True

    def __init__(self, url: str, *, waits: Waits = USUAL) -> None:
        """Raises UnsupportedDatabase if the URL is wrong."""
        self._url = checked(url)
        self._waits = waits
        self._writing: psycopg.Connection[Any] | None = None
        self._aside: psycopg.Connection[Any] | None = None
        self._usual: dict[str, int] = {}
        self.clock = ProcessClock()

    def prepare(self) -> Sequence[str]:
        """Upgrades the schema.

        Raises StoreLost if a later attempt may succeed, otherwise UnsupportedDatabase.
        """
        database = database_of(self._url)
        try:
            _check_encoding(database)
            done = migrate(database)
            self.clock.follow(int(cast(Any, database).execute_sql(CLOCK).fetchone()[0]))
        except UnsupportedDatabase as error:
            raise type(error)(f"the database cannot be used: {error}") from error
        except UNREADABLE as error:
            text = in_one_line(error)
            if any(sign in text for sign in SIGNS_OF_A_START) and not _may_only_read(database):
                raise StoreLost(f"the database cannot be reached: {text}") from error
            raise UnsupportedDatabase(f"the database cannot be used: {text}") from error
        finally:
            database.close()
        return done

    @contextmanager
    def transaction(self, *, lock_wait: float | None = None) -> Iterator[tuple[Tables, Numbers]]:
        committing = False
        begin = "BEGIN" if lock_wait is None else f"BEGIN; {LOCK_WAIT % (lock_wait * 1_000)}"
        try:
            writing, aside = self._connect()
            reserve = Reserve(partial(_reserve, aside), self._usual)
            numbers = Numbers(dict.fromkeys(COUNTERS, 0), reserve)
            with _transaction(writing, f"{begin}; {CLOCK}") as (tables, now):
                self.clock.follow(now)
                yield tables, numbers
                committing = True
        except errors.LockNotAvailable as error:
            raise Locked(str(error)) from error
        except AGAIN as error:
            raise Overtaken(str(error)) from error
        except errors.ReadOnlySqlTransaction as error:
            self._disconnect()
            raise StoreLost("the database has become a standby") from error
        except psycopg.Error as error:
            failure = failure_of(error)
            if isinstance(error, LOST) or self._is_closed():
                self._disconnect()
                failure = failure or (InDoubt if committing else StoreLost)(str(error))
            if failure is None:
                raise
            raise failure from error
        self._usual.update({name: count for name, count in numbers.given.items() if count})
        try:
            _give_back(aside, numbers)
        except psycopg.Error:
            self._disconnect()

    def now(self) -> int:
        return self.clock.now()

    def reader(self) -> Database:
        return Reader(self._url, waits=self._waits)

    def check(self) -> None:
        """Does nothing, because PostgreSQL itself manages its files."""

    def tidy(self) -> bool:
        return True

    def close(self) -> None:
        self._disconnect()

    def _connect(self) -> tuple[psycopg.Connection[Any], psycopg.Connection[Any]]:
        if self._writing is None or self._aside is None:
            self._disconnect()
            self._writing = connect(self._url, waits=self._waits)
            self._aside = connect(self._url, waits=self._waits)
        return self._writing, self._aside

    def _is_closed(self) -> bool:
        """Tells whether the database has closed the session, for example because a frozen process
        kept its transaction open for too long.
        """
        return any(each is not None and each.closed for each in (self._writing, self._aside))

    def _disconnect(self) -> None:
        for connection in (self._writing, self._aside):
            if connection is not None:
                with suppress(psycopg.Error):
                    connection.close()
        self._writing = self._aside = None


@contextmanager
def _transaction(
    connection: psycopg.Connection[Any], begin: str
) -> Iterator[tuple[PostgresTables, int]]:
    """Runs a transaction. Yields the tables, and the value that the last statement of `begin` has
    returned.
    """
    tables = PostgresTables(connection)
    try:
        begun = connection.execute(begin.encode())
        while begun.nextset():
            pass
        yield tables, cast(tuple[int], begun.fetchone())[0]
        tables.commit()
    except BaseException:
        with suppress(psycopg.Error):
            tables.pipeline.close()
        with suppress(psycopg.Error):
            connection.execute("ROLLBACK")
        raise


def _check_encoding(database: Any) -> None:
    """Raises UnsupportedDatabase if the encoding of the database cannot store every text
    unchanged.
    """
    ((encoding,),) = database.execute_sql("SHOW server_encoding").fetchall()
    if encoding != "UTF8":
        raise UnsupportedDatabase(
            f"its encoding is {encoding}, and texts need UTF8: create it with "
            "ENCODING 'UTF8' TEMPLATE template0"
        )


def _may_only_read(database: Any) -> bool:
    """Tells whether the database refuses to write because a setting makes the transactions of this
    user read-only, and not because the database is a standby.
    """
    try:
        database.rollback()
        ((standby, read_only),) = database.execute_sql(
            "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')"
        ).fetchall()
    except UNREADABLE:
        return False
    return not standby and read_only == "on"


def _reserve(connection: psycopg.Connection[Any], name: str, count: int) -> int:
    row = connection.execute(RESERVE, (count, name)).fetchone()
    if row is None:
        raise LookupError(f"no counter {name}")
    return cast(int, row[0]) - count


def _give_back(connection: psycopg.Connection[Any], numbers: Numbers) -> None:
    """Gives unused reserved numbers back, unless another process has reserved later numbers."""
    spare = [
        (numbers.last[name], name, end)
        for name, end in numbers.end.items()
        if numbers.last[name] < end
    ]
    if spare:
        statements = "; ".join([GIVE_BACK] * len(spare))
        psycopg.ClientCursor(connection).execute(statements.encode(), [*chain(*spare)])
