"""The interface that the writer needs of a database. SQLite and PostgreSQL implement it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import psycopg
from peewee import (
    Database,
    InterfaceError,
    OperationalError,
    PeeweeException,
    ProgrammingError,
)

from .bulk import Bulk, Row
from .number_blocks import Numbers

UNREADABLE = (OperationalError, InterfaceError, ProgrammingError)
"""The errors of a query when the database is lost, or is not one of this service."""


def hidden(url: str) -> str:
    """The URL without its password."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", url)


class UnsupportedDatabase(Exception):
    """The database URL is of an unknown kind, or names a database that cannot be used."""


class StoreInUse(Exception):
    """Another server has this SQLite database open."""


class StoreLost(Exception):
    """The database cannot be reached; nobody knows whether the running
    transaction was committed.
    """


class Overtaken(Exception):
    """Another process was faster: run the transaction again on the current data."""


DATABASE_ERRORS = (Overtaken, StoreLost, PeeweeException, psycopg.Error, sqlite3.Error)
"""Errors that the database itself causes, not a command."""


class Tables(Protocol):
    """The tables within a transaction.

    Statements mark parameters with `?`. The rows that they return are tuples with the columns as
    attributes.
    """

    def select(self, statement: str, parameters: Sequence[Any] = (), /) -> list[Any]: ...

    def select_in(self, statement: str, keys: Sequence[Any], /) -> list[Any]:
        """Runs a statement with `IN ({})` for any number of keys."""
        ...

    def run(self, statement: str, parameters: Sequence[Any], /) -> None: ...

    def write(self, statement: Bulk, rows: Iterable[Row], /) -> None:
        """Raises Overtaken if fewer rows were written than should be."""
        ...

    def tell(self, messages: Iterable[str], /) -> None:
        """Notifies the other processes when the transaction is committed."""
        ...


class Engine(Protocol):
    """One database. `shared`: other processes write to it too.

    `transaction` raises StoreLost for every fault of the connection.
    """

    shared: bool

    def prepare(self) -> Sequence[str]:
        """Upgrades the schema to this version, and yields the names of the changes."""
        ...

    def transaction(self) -> AbstractContextManager[tuple[Tables, Numbers]]: ...

    def now(self) -> int:
        """The database's time in nanoseconds since 1970."""
        ...

    def reader(self) -> Database:
        """A database for queries. Each thread has a connection of its own."""
        ...

    def close(self) -> None: ...
