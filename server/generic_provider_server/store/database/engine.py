"""Defines the interface through which the writer uses a database. There is an implementation for
SQLite and one for PostgreSQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import psycopg
from peewee import Database, DatabaseError, InterfaceError, PeeweeException

from .bulk import Bulk, Row
from .number_blocks import Numbers
from .process_clock import ProcessClock

UNREADABLE = (InterfaceError, DatabaseError)
"""The errors of a query if the connection to the database is lost, or if the database belongs to
another program.
"""


class UnsupportedDatabase(Exception):
    """The database URL has an unknown scheme, or names a database that the service cannot use."""


class TooOld(UnsupportedDatabase):
    """A newer version of the service has changed the schema, so this version must not use the
    database.
    """


class StoreInUse(Exception):
    """Another server has this SQLite database open."""


class StoreLost(Exception):
    """The database cannot be reached. The subclass InDoubt says that the running transaction may
    have been committed.
    """


class InDoubt(StoreLost):
    """The database was lost during a commit, so the transaction may have been committed."""


class StoreDamaged(Exception):
    """The database is damaged. Only a person can repair the database."""


class StoreFailed(Exception):
    """The thread that writes has ended after an unexpected error, so this process cannot change the
    store any more.
    """


class StoreGone(StoreLost):
    """The database file was moved, replaced or removed, so that new changes would be lost.
    StoreGone is also raised if this version of the service must not use the database any more.
    """


class Overtaken(Exception):
    """The transaction has failed, in most cases because another process has changed the same rows
    first. The transaction can be run again.
    """


class Locked(Exception):
    """Another process, or a person, holds a lock that the transaction needs."""


DATABASE_ERRORS = (
    Overtaken,
    Locked,
    StoreLost,
    StoreDamaged,
    PeeweeException,
    psycopg.Error,
    sqlite3.Error,
)
"""Errors that are caused by the database, not by a command."""


class Tables(Protocol):
    """The tables within a transaction.

    Statements mark parameters with `?`. A returned row is a tuple with the columns as attributes.
    """

    def select(self, statement: str, parameters: Sequence[Any] = (), /) -> list[Any]:
        """Runs a SELECT. PostgreSQL gets a list as an array."""
        ...

    def select_in(self, statement: str, keys: Sequence[Any], /) -> list[Any]:
        """Runs a SELECT that contains `IN ({})`; the keys are inserted at `({})`. Any number of
        keys is allowed.
        """
        ...

    def run(self, statement: str, parameters: Sequence[Any], /) -> None: ...

    def run_last(self, statement: str, parameters: Sequence[Any], /) -> None:
        """Runs a statement. PostgreSQL gets the statement together with the COMMIT."""
        ...

    def write(self, statement: Bulk, rows: Iterable[Row], /) -> None:
        """Writes the rows.

        If `statement.every` is set and not every given row was changed, PostgreSQL raises
        Overtaken, at the latest at the commit. SQLite raises LookupError, because no other process
        can have changed a row.
        """
        ...

    def write_last(self, statement: Bulk, rows: Iterable[Row], /) -> None:
        """Writes the rows. PostgreSQL gets the statement together with the COMMIT, so that the rows
        are locked only briefly.
        """
        ...

    def notify(self, messages: Iterable[str], /) -> None:
        """Sends the messages to the other processes as soon as the transaction is committed."""
        ...


class Engine(Protocol):
    """A database. `shared`: true if several processes may write to the database."""

    shared: bool
    clock: ProcessClock

    def prepare(self) -> Sequence[str]:
        """Upgrades the schema to this version of the service, and returns the names of the changes
        that were made.
        """
        ...

    def transaction(
        self, *, lock_wait: float | None = None
    ) -> AbstractContextManager[tuple[Tables, Numbers]]:
        """Begins a transaction, and commits it at the end of the `with` block.

        `lock_wait`: the seconds to wait for a lock; None means the default. Raises StoreLost for
        every error of the connection, and InDoubt if the transaction may have been committed.
        """
        ...

    def now(self) -> int:
        """Returns the time in nanoseconds since 1970. The time follows the clock of the PostgreSQL
        server or, with SQLite, the system clock.
        """
        ...

    def reader(self) -> Database:
        """Returns a database for queries. Each thread has a connection of its own."""
        ...

    def check(self) -> None:
        """On SQLite, raises StoreGone if the database file was removed or replaced, and
        StoreDamaged if a checkpoint has found damage. On PostgreSQL, does nothing.
        """
        ...

    def tidy(self) -> bool:
        """Frees disk space. Returns False if the call must be repeated.

        Call this function on the writer's thread, while no command is queued.
        """
        ...

    def close(self) -> None:
        """Closes the database.

        Call this function on the writer's thread, after all readers have closed their connections.
        """
        ...
