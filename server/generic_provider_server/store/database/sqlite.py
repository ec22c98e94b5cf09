"""Implements the engine on SQLite.

One process uses the database: one connection writes, and other connections only read.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any

from peewee import Database, SqliteDatabase

from .bulk import Bulk, Row
from .engine import StoreInUse, Tables, UnsupportedDatabase
from .migrate import migrate
from .number_blocks import Numbers
from .rows import rows_of
from .statements import ALONE, IN_ORDER, SET_COUNTER, SKIP_LOCKED

PREFIX = "sqlite:///"
MOST_KEYS = 500
"""The limit of keys in one IN (…)."""


class SqliteEngine:
    shared = False

    def __init__(self, url: str) -> None:
        """Locks the database. Raises UnsupportedDatabase, StoreInUse."""
        self._path = sqlite_path(url)
        self._stack = ExitStack()
        self._stack.enter_context(_exclusive(self._path))
        self._database: Any = _writer_of(self._path)
        self._last: dict[str, int] = {}

    def prepare(self) -> Sequence[str]:
        done = migrate(self._database)
        self._last = dict(self._database.execute_sql("SELECT name, value FROM counter"))
        self._database.close()
        return done

    @contextmanager
    def transaction(self) -> Iterator[tuple[Tables, Numbers]]:
        with self._database.atomic("IMMEDIATE"):
            tables = SqliteTables(self._database.cursor())
            numbers = Numbers(dict(self._last))
            yield tables, numbers
            changed = numbers.last.items() - self._last.items()
            tables.write(SET_COUNTER, [{"name": name, "value": n} for name, n in changed])
        self._last = numbers.last

    def now(self) -> int:
        return time.time_ns()

    def reader(self) -> Database:
        return sqlite_reader(self._path)

    def close(self) -> None:
        self._database.close()
        self._stack.close()


class SqliteTables:
    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def select(self, statement: str, parameters: Sequence[Any] = (), /) -> list[Any]:
        return rows_of(self._cursor.execute(_spoken(statement), parameters))

    def select_in(self, statement: str, keys: Sequence[Any], /) -> list[Any]:
        rows: list[Any] = []
        for start in range(0, len(keys), MOST_KEYS):
            chunk = keys[start : start + MOST_KEYS]
            rows += self.select(statement.format(",".join("?" * len(chunk))), chunk)
        return rows

    def run(self, statement: str, parameters: Sequence[Any], /) -> None:
        self._cursor.execute(_spoken(statement), parameters)

    def write(self, statement: Bulk, rows: Iterable[Row], /) -> None:
        values = _values(statement.columns, rows)
        self._cursor.executemany(statement.sqlite, values)
        if statement.every and 0 <= self._cursor.rowcount < len(values):
            raise LookupError(f"not every row was written: {statement.sqlite}")

    def tell(self, messages: Iterable[str], /) -> None:
        """Does nothing, because there is no other process."""


def _values(columns: Sequence[str], rows: Iterable[Row]) -> list[Any]:
    if len(columns) == 1:  # for one column, itemgetter returns the value itself and not a tuple
        return [(row[columns[0]],) for row in rows]
    return [*map(itemgetter(*columns), rows)]


@cache
def _spoken(statement: str) -> str:
    """Returns the statement without locks, because the transaction has the whole database."""
    return statement.replace(SKIP_LOCKED, "").replace(IN_ORDER, "").replace(ALONE, "")


def sqlite_path(url: str) -> Path:
    if len(url) == len(PREFIX):
        raise UnsupportedDatabase(
            f"{url!r} names no file; use sqlite:///RELATIVE/PATH.db or sqlite:////ABSOLUTE/PATH.db"
        )
    return Path(url.removeprefix(PREFIX))


def _writer_of(path: Path) -> SqliteDatabase:
    """Returns the connection that writes.

    It is durable at every commit, and the only one that makes checkpoints.
    """
    return SqliteDatabase(
        str(path),
        pragmas={
            "journal_mode": "wal",
            "synchronous": "full",
            "busy_timeout": 10_000,
            "cache_size": -64_000,
            "wal_autocheckpoint": 4_000,
            "temp_store": "memory",
        },
    )


def sqlite_reader(path: Path) -> SqliteDatabase:
    return SqliteDatabase(
        str(path),
        pragmas={
            "query_only": 1,
            "wal_autocheckpoint": 0,
            "busy_timeout": 10_000,
            "cache_size": -16_000,
        },
    )


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Holds the lock that keeps a second server away from an SQLite database."""
    lock = path.with_name(path.name + ".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise StoreInUse(
                f"database {path} is in use by another server (process {file.read().strip()}); "
                "stop that one first, or serve another --database"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
