"""Implements the engine on SQLite.

One process uses the database. One connection of the process makes the changes, another connection
makes the checkpoints, and all further connections only read.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from operator import itemgetter
from pathlib import Path
from types import NoneType
from typing import Any

from peewee import Database, OperationalError, PeeweeException, SqliteDatabase

from .bulk import Bulk, Row
from .checkpoints import Checkpoints
from .engine import InDoubt, StoreDamaged, StoreGone, StoreLost, Tables, UnsupportedDatabase
from .failures import failure_of
from .migrate import HISTORY, migrate
from .number_blocks import Numbers
from .process_clock import ProcessClock
from .rows import rows_of
from .sqlite_file import SqliteFile
from .statements import ALONE, SET_COUNTER, SKIP_LOCKED, TOGETHER

PREFIX = "sqlite:///"
TABLE_NAMES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
MOST_KEYS = 500
"""The greatest number of keys in one list `IN (…)`."""
PATIENCE_MS = 10_000
"""The milliseconds that the server waits for another program that has locked the database."""
PAGE_BYTES = 2_048
"""The page size of a new database. Pages are small, because a commit writes whole pages: a single
action changes only a few rows on each of about 17 pages.
"""
CHECKPOINT_PAGES = 8_000
"""If the WAL has grown to this number of pages although the class Checkpoints makes checkpoints, a
commit makes one.
"""
LARGEST_WAL = 32 * 1024 * 1024
"""When SQLite starts to overwrite the WAL, SQLite truncates the WAL to this number of bytes.

During a long read the WAL may become larger.
"""
READER_PRAGMAS = {
    "query_only": 1,
    "wal_autocheckpoint": 0,
    "busy_timeout": PATIENCE_MS,
    "cache_size": -16_000,
}

sqlite3.register_adapter(bytes, bytes)
sqlite3.register_adapter(NoneType, dict[None, None]().get)
"""These adapters return the value itself: `get` of an empty dictionary returns None, faster than a
lambda. Without these adapters, the module `sqlite3` searches for an adapter for each value, which
is slow.
"""


class SqliteEngine:
    shared = False

    def __init__(self, url: str) -> None:
        """Locks the database. Raises StoreInUse if another server uses the database, and
        UnsupportedDatabase if the database belongs to another program.
        """
        self._path = sqlite_path(url)
        self._file = SqliteFile(self._path)
        try:
            _refuse_foreign(self._path)
        except UnsupportedDatabase:
            self._file.close()
            raise
        self._database: Any = _writer_of(self._path)
        self._checkpoints = Checkpoints(self._path)
        self._last: dict[str, int] = {}
        self.clock = ProcessClock()
        self.clock.follow(time.time_ns())

    def prepare(self) -> Sequence[str]:
        """Upgrades the schema. Raises UnsupportedDatabase if the database cannot be used."""
        try:
            with _named_failures():
                done = migrate(self._database)
                self._last = dict(self._database.execute_sql("SELECT name, value FROM counter"))
        except (StoreLost, StoreDamaged) as error:
            raise UnsupportedDatabase(f"{self._path} cannot be used: {error}") from error
        finally:
            self._database.close()
        return done

    @contextmanager
    def transaction(
        self,
        *,
        lock_wait: float | None = None,  # noqa: ARG002 - no other session has locks
    ) -> Iterator[tuple[Tables, Numbers]]:
        """Begins a transaction.

        Raises StoreGone after the commit if the written file was moved, removed or replaced, and
        InDoubt if the file cannot be examined. So a change is acknowledged only if the file that
        contains the change still has the name of the database.
        """
        self._checkpoints.start()
        with _named_failures(), self._database.atomic("IMMEDIATE"):
            tables = SqliteTables(self._database.cursor())
            numbers = Numbers(dict(self._last))
            yield tables, numbers
            changed = numbers.last.items() - self._last.items()
            tables.write(SET_COUNTER, [{"name": name, "value": n} for name, n in changed])
        self._last = numbers.last
        try:
            self._file.note_wal()
            self._checkpoints.note_commit()
            self._file.check()
        except StoreGone:
            raise
        except StoreLost as lost:
            raise InDoubt(str(lost)) from lost

    def now(self) -> int:
        self.clock.follow(time.time_ns())
        return self.clock.now()

    def reader(self) -> Database:
        return _CheckedReader(str(self._path), check=self._file.check, pragmas=READER_PRAGMAS)

    def check(self) -> None:
        self._file.check()
        # perhaps only checkpoints read the damaged part of the file
        if isinstance(failure := failure_of(self._checkpoints.failure), StoreDamaged):
            raise failure

    def tidy(self) -> bool:
        """Writes the WAL into the database file and empties the WAL, unless another connection
        still reads from the WAL.
        """
        with _named_failures():
            self._database.execute_sql("PRAGMA busy_timeout = 0")
            try:
                tidied = self._database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self._database.execute_sql(f"PRAGMA busy_timeout = {PATIENCE_MS}")
        return not tidied[0]

    def close(self) -> None:
        """Closes the database.

        When the last connection is closed, SQLite empties and removes the WAL.
        """
        self._checkpoints.stop()
        self._database.close()
        self._file.close()


@contextmanager
def _named_failures() -> Iterator[None]:
    """Raises StoreLost or StoreDamaged if the file cannot be used. The message tells the operator
    what to do.
    """
    try:
        yield
    except (PeeweeException, sqlite3.Error) as error:
        if failure := failure_of(error):
            raise failure from error
        raise


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

    run_last = run

    def write(self, statement: Bulk, rows: Iterable[Row], /) -> None:
        values = [*map(_values_of(statement), rows)]
        if not values:
            return
        self._cursor.executemany(statement.sqlite, values)
        if statement.every and 0 <= self._cursor.rowcount < len(values):
            raise LookupError(f"not every row was written: {statement.sqlite}")

    def write_last(self, statement: Bulk, rows: Iterable[Row], /) -> None:
        self.write(statement, rows)

    def notify(self, messages: Iterable[str], /) -> None:
        """Does nothing, because no other process uses the database."""


@cache
def _values_of(statement: Bulk) -> Callable[[Row], Any]:
    """Returns a function that gets the statement's parameters from a row."""
    if len(statement.columns) == 1:  # itemgetter of one column returns no tuple
        (column,) = statement.columns
        return lambda row: (row[column],)
    return itemgetter(*statement.columns)


@cache
def _spoken(statement: str) -> str:
    """Returns the statement without its locking clause, because a transaction of SQLite locks the
    whole database.
    """
    return statement.replace(SKIP_LOCKED, "").replace(ALONE, "").replace(TOGETHER, "")


def sqlite_path(url: str) -> Path:
    if url == f"{PREFIX}:memory:":  # SQLite gives each connection a database of its own
        raise UnsupportedDatabase(f"{url!r} names no file: the service needs a file")
    if len(url) == len(PREFIX):
        raise UnsupportedDatabase(
            f"{url!r} names no file; use sqlite:///RELATIVE/PATH.db or sqlite:////ABSOLUTE/PATH.db"
        )
    return Path(url.removeprefix(PREFIX))


def _refuse_foreign(path: Path) -> None:
    """Refuses a database of another program before the service writes to the database."""
    source = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(source, uri=True)) as there:
            found = [name for (name,) in there.execute(TABLE_NAMES)]
    except sqlite3.DatabaseError as error:
        raise UnsupportedDatabase(f"the database {path} cannot be used: {error}") from error
    if found and HISTORY not in found:
        named = ", ".join(sorted(found)[:3])
        raise UnsupportedDatabase(
            f"the database {path} cannot be used: it contains tables of another program ({named})"
        )


def _writer_of(path: Path) -> SqliteDatabase:
    """Returns the database for changes. A commit is durable when it returns."""
    return SqliteDatabase(
        str(path),
        pragmas={
            "page_size": PAGE_BYTES,
            "journal_mode": "wal",
            "synchronous": "full",
            "busy_timeout": PATIENCE_MS,
            "cache_size": -64_000,
            "wal_autocheckpoint": CHECKPOINT_PAGES,
            "journal_size_limit": LARGEST_WAL,
            "temp_store": "memory",
        },
    )


def sqlite_reader(path: Path) -> SqliteDatabase:
    return SqliteDatabase(str(path), pragmas=READER_PRAGMAS)


class _CheckedReader(SqliteDatabase):
    """Opens a connection only if the path of the database still leads to the file that the server
    uses.

    If SQLite opened another file with this path, SQLite would truncate the shared memory of the WAL
    while the writer uses that memory, and SIGBUS would end the process.
    """

    def __init__(self, path: str, *, check: Callable[[], None], **options: Any) -> None:
        super().__init__(path, **options)
        self._check = check

    def connect(self, reuse_if_open: bool = False) -> bool:  # noqa: FBT001, FBT002 - as in peewee
        try:
            self._check()
        except StoreLost as error:
            raise OperationalError(str(error)) from error
        return super().connect(reuse_if_open)
