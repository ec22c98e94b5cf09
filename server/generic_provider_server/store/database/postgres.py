"""Implements the engine on PostgreSQL. Several processes use one database, which coordinates
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import cache, partial
from typing import Any, cast

import psycopg
from peewee import (
    Database,
    PostgresqlDatabase,
)
from psycopg import errors

from .bulk import Bulk, Row
from .clock import Clock
from .engine import UNREADABLE, Overtaken, StoreLost, Tables, UnsupportedDatabase
from .migrate import migrate
from .number_blocks import COUNTERS, Numbers, Reserve
from .rows import rows_of
from .urls import hidden

PREFIXES = ("postgresql://", "postgres://")
CHANNEL = "generic_provider"
CONNECTION: dict[str, Any] = {
    # Statements are not prepared, for two reasons: a generic plan sometimes does not use a partial
    # index, and behind pgbouncer in transaction mode a prepared statement may be on another
    # connection.
    "prepare_threshold": None,
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "generic-provider",
}
LOCKS_END = "-c idle_in_transaction_session_timeout=10000 -c lock_timeout=20000"
"""A process that hangs within a transaction loses its locks after 10 s.

No process waits for a lock longer than 20 s.
"""

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
"""Texts in libpq's errors which mean that the database will be ready soon.

The driver gives no other sign.
"""

AGAIN = (
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.LockNotAvailable,
    errors.QueryCanceled,
)
"""After these errors the transaction can be run again: it was undone, and nothing else has
failed.
"""

CLOCK = "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint * 1000"
# The reservation need not reach the disk at once: it stands in the log before the first transaction
# that uses the numbers.
SOON = "WITH soon AS (SELECT set_config('synchronous_commit', 'off', true))"
RESERVE = f"{SOON} UPDATE counter SET value = value + %s FROM soon WHERE name = %s RETURNING value"
GIVE_BACK = f"{SOON} UPDATE counter SET value = %s FROM soon WHERE name = %s AND value = %s"
TELL = "SELECT pg_notify(%s, message) FROM unnest(%s::text[]) AS message"


class PostgresEngine:
    shared = True

    def __init__(self, url: str) -> None:
        """Checks the URL. Raises UnsupportedDatabase."""
        self._url = checked(url)
        self._writing: psycopg.Connection[Any] | None = None
        self._aside: psycopg.Connection[Any] | None = None
        self._usual: dict[str, int] = {}
        self.clock = Clock()

    def prepare(self) -> Sequence[str]:
        """Upgrades the schema.

        Raises StoreLost if waiting may help, and UnsupportedDatabase if it does not.
        """
        database = database_of(self._url)
        try:
            _check_encoding(database)
            done = migrate(database)
            self.clock.follow(int(cast(Any, database).execute_sql(CLOCK).fetchone()[0]))
        except UnsupportedDatabase as error:
            raise UnsupportedDatabase(f"the database cannot be used: {error}") from error
        except UNREADABLE as error:
            text = str(error).strip()
            if any(sign in text for sign in SIGNS_OF_A_START) and not _may_only_read(database):
                raise StoreLost(f"the database cannot be reached: {text}") from error
            raise UnsupportedDatabase(f"the database cannot be used: {text}") from error
        finally:
            database.close()
        return done

    @contextmanager
    def transaction(self) -> Iterator[tuple[Tables, Numbers]]:
        try:
            writing, aside = self._connect()
            reserve = Reserve(partial(_reserve, aside), self._usual)
            numbers = Numbers(dict.fromkeys(COUNTERS, 0), reserve)
            with _transaction(writing) as tables:
                self.clock.follow(tables.select(CLOCK)[0][0])
                yield tables, numbers
        except AGAIN as error:
            raise Overtaken(str(error)) from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self._disconnect()
            raise StoreLost(str(error)) from error
        except errors.ReadOnlySqlTransaction as error:
            self._disconnect()
            raise StoreLost("the database has become a standby") from error
        self._usual.update({name: count for name, count in numbers.given.items() if count})
        try:
            _give_back(aside, numbers)
        except psycopg.Error:
            self._disconnect()

    def now(self) -> int:
        return self.clock.now()

    def reader(self) -> Database:
        return database_of(self._url)

    def check(self) -> None:
        """Does nothing, because the database's server has the files."""

    def tidy(self) -> bool:
        return True

    def close(self) -> None:
        self._disconnect()

    def _connect(self) -> tuple[psycopg.Connection[Any], psycopg.Connection[Any]]:
        if self._writing is None or self._aside is None:
            self._disconnect()
            self._writing = connect(self._url)
            self._aside = connect(self._url)
        return self._writing, self._aside

    def _disconnect(self) -> None:
        for connection in (self._writing, self._aside):
            if connection is not None:
                with suppress(psycopg.Error):
                    connection.close()
        self._writing = self._aside = None


class PostgresTables:
    def __init__(self, cursor: psycopg.Cursor[Any]) -> None:
        self._cursor = cursor
        self.last: list[tuple[str, Sequence[Any]]] = []

    def select(self, statement: str, parameters: Sequence[Any] = (), /) -> list[Any]:
        return rows_of(self._cursor.execute(_spoken(statement), parameters))

    def select_in(self, statement: str, keys: Sequence[Any], /) -> list[Any]:
        return self.select(statement, (list(keys),)) if keys else []

    def run(self, statement: str, parameters: Sequence[Any], /) -> None:
        self._cursor.execute(_spoken(statement), parameters)

    def run_last(self, statement: str, parameters: Sequence[Any], /) -> None:
        self.last.append((_spoken(statement), parameters))

    def write(self, statement: Bulk, rows: Iterable[Row], /) -> None:
        rows = list(rows)
        if not rows:
            return
        columns = [[row[column] for row in rows] for column in statement.columns]
        self._cursor.execute(statement.postgres, columns)
        if statement.every and self._cursor.rowcount < len(rows):
            raise Overtaken(statement.postgres)

    def tell(self, messages: Iterable[str], /) -> None:
        self._cursor.execute(TELL, (CHANNEL, list(messages)))


def checked(url: str) -> str:
    """Checks the URL and returns it in its usual form. Raises UnsupportedDatabase.

    If the host contains an @, it is the rest of a password. Such a host is not resolved, because a
    name server would see the password.
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


def connect(url: str) -> psycopg.Connection[Any]:
    """Returns a connection on which every statement is a transaction, unless one is begun
    explicitly.
    """
    return psycopg.connect(url, autocommit=True, **_options(url))


def database_of(url: str) -> PostgresqlDatabase:
    """Returns a database for queries and migrations."""
    return PostgresqlDatabase(url, prefer_psycopg3=True, **_options(url))


def _options(url: str) -> dict[str, Any]:
    """Returns the options of a connection. Options in the URL override ours."""
    said = psycopg.conninfo.conninfo_to_dict(url)
    options = {name: value for name, value in CONNECTION.items() if name not in said}
    # otherwise the encoding of the role or of the environment would be used
    options["client_encoding"] = "UTF8"
    return options if "options" in said else {**options, "options": LOCKS_END}


def _check_encoding(database: Any) -> None:
    """Raises UnsupportedDatabase unless every text comes back as it was stored."""
    ((encoding,),) = database.execute_sql("SHOW server_encoding").fetchall()
    if encoding != "UTF8":
        raise UnsupportedDatabase(
            f"its encoding is {encoding}, and texts need UTF8: create it with "
            "ENCODING 'UTF8' TEMPLATE template0"
        )


def _may_only_read(database: Any) -> bool:
    """Tells whether the role, and not a standby, is the reason why nothing can be written."""
    try:
        database.rollback()
        ((standby, read_only),) = database.execute_sql(
            "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')"
        ).fetchall()
    except UNREADABLE:
        return False
    return not standby and read_only == "on"


@contextmanager
def _transaction(connection: psycopg.Connection[Any]) -> Iterator[PostgresTables]:
    """Begins and commits a transaction.

    The last statements and COMMIT are sent to the database together. So a process that hangs does
    not keep the locks of these statements, for which the commits of all other processes wait.
    """
    tables = PostgresTables(connection.cursor())
    connection.execute("BEGIN")
    try:
        yield tables
        with connection.pipeline() if tables.last else nullcontext():
            for statement, parameters in tables.last:
                connection.execute(statement, parameters)
            connection.execute("COMMIT")
    except BaseException:
        with suppress(psycopg.Error):
            connection.rollback()
        raise


def _reserve(connection: psycopg.Connection[Any], name: str, count: int) -> int:
    row = connection.execute(RESERVE, (count, name)).fetchone()
    if row is None:
        raise LookupError(f"no counter {name}")
    return cast(int, row[0]) - count


def _give_back(connection: psycopg.Connection[Any], numbers: Numbers) -> None:
    """Gives reserved numbers back, unless another process has reserved more in the meantime."""
    for name, end in numbers.end.items():
        if numbers.last[name] < end:
            connection.execute(GIVE_BACK, (numbers.last[name], name, end))


@cache
def _spoken(statement: str) -> str:
    return statement.replace("IN ({})", "= ANY(%s)").replace("?", "%s")
