"""Defines the interface that the writer needs of a database. SQLite and PostgreSQL implement it."""

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
"""The errors of a query when the database is lost, or does not belong to this service."""


class UnsupportedDatabase(Exception):
    """Says that the database URL is of an unknown kind, or names a database that cannot be used."""


class StoreInUse(Exception):
    """Says that another server has this SQLite database open."""


class StoreLost(Exception):
    """Says that the database cannot be reached, so nobody knows whether the running transaction was
    committed.
    """


class StoreDamaged(Exception):
    """Says that the database file is damaged. Only a person can repair it."""


class StoreGone(StoreLost):
    """Says that the database file is not in its place any more, so what is written now would be
    lost, or that this version must not use the database any more.
    """


class Overtaken(Exception):
    """Says that another process has changed the same data first. Run the transaction again."""


class Locked(Exception):
    """Says that another process, or a person, holds a lock that the transaction needs."""


DATABASE_ERRORS = (
    Overtaken,
    Locked,
    StoreLost,
    StoreDamaged,
    PeeweeException,
    psycopg.Error,
    sqlite3.Error,
)
"""The errors that the database itself causes, and not a command."""


class Tables(Protocol):
    """The tables within a transaction.

    Statements mark parameters with `?`. The rows that they return are tuples, and have the columns
    as attributes.
    """

    def select(self, statement: str, parameters: Sequence[Any] = (), /) -> list[Any]: ...

    def select_in(self, statement: str, keys: Sequence[Any], /) -> list[Any]:
        """Runs a statement with `IN ({})` for any number of keys."""
        ...

    def run(self, statement: str, parameters: Sequence[Any], /) -> None: ...

    def run_last(self, statement: str, parameters: Sequence[Any], /) -> None:
        """Runs a statement immediately before the commit."""
        ...

    def write(self, statement: Bulk, rows: Iterable[Row], /) -> None:
        """Writes the rows.

        Raises Overtaken if `statement.every` is set and not every given row was changed.
        """
        ...

    def write_last(self, statement: Bulk, rows: Iterable[Row], /) -> None:
        """Writes the rows immediately before the commit, so that they are locked only briefly."""
        ...

    def tell(self, messages: Iterable[str], /) -> None:
        """Notifies the other processes when the transaction is committed."""
        ...


class Engine(Protocol):
    """A database. `shared`: true if other processes may write to it too."""

    shared: bool
    clock: ProcessClock

    def prepare(self) -> Sequence[str]:
        """Upgrades the schema to this version, and returns the names of the changes."""
        ...

    def transaction(
        self, *, lock_wait: float | None = None
    ) -> AbstractContextManager[tuple[Tables, Numbers]]:
        """Begins a transaction, and commits it at the end of the block.

        `lock_wait`: the seconds to wait for a lock; None means the usual time. Raises StoreLost for
        every fault of the connection.
        """
        ...

    def now(self) -> int:
        """Returns the time in nanoseconds since 1970. It follows the database's clock."""
        ...

    def reader(self) -> Database:
        """Returns a database for queries. Each thread has a connection of its own."""
        ...

    def check(self) -> None:
        """Checks that the database is still there. Raises StoreGone."""
        ...

    def tidy(self) -> bool:
        """Gives disk space back while nobody writes. Returns whether there is nothing left to do.

        Call it on the thread that writes.
        """
        ...

    def close(self) -> None:
        """Closes the database.

        Call it on the thread that writes, after all readers have closed their connections.
        """
        ...
