"""What the writer needs of a database; SQLite and PostgreSQL each have a module that gives it."""

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
"""What a question raises if the database is lost, or is no store of ours."""


def hidden(url: str) -> str:
    """The URL without its password."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", url)


class UnsupportedDatabase(Exception):
    """The database URL names no store that we have, or one that cannot be used."""


class StoreInUse(Exception):
    """Another server has this SQLite database open."""


class StoreLost(Exception):
    """The database cannot be reached; what was under way has perhaps been committed."""


class Overtaken(Exception):
    """Another process was faster: the transaction is to be run again, on what is there now."""


DATABASE_ERRORS = (Overtaken, StoreLost, PeeweeException, psycopg.Error, sqlite3.Error)
"""What goes wrong with the database, whatever a command does."""


class Tables(Protocol):
    """The tables within a transaction. Statements mark parameters with `?`; the rows that they find
    are tuples with their columns as attributes."""

    def select(self, statement: str, parameters: Sequence[Any] = (), /) -> list[Any]: ...

    def select_in(self, statement: str, keys: Sequence[Any], /) -> list[Any]:
        """For a statement with `IN ({})`, whatever the number of keys."""
        ...

    def run(self, statement: str, parameters: Sequence[Any], /) -> None: ...

    def write(self, statement: Bulk, rows: Iterable[Row], /) -> None:
        """Raises Overtaken if not every row was written that should have been."""
        ...

    def tell(self, messages: Iterable[str], /) -> None:
        """Tells the other processes, once the transaction is committed."""
        ...


class Engine(Protocol):
    """One database. `shared`: other processes write to it too.

    `transaction` raises StoreLost for everything that goes wrong with the connection.
    """

    shared: bool

    def prepare(self) -> Sequence[str]:
        """Brings the schema to this version; gives the names of the changes made."""
        ...

    def transaction(self) -> AbstractContextManager[tuple[Tables, Numbers]]: ...

    def now(self) -> int:
        """Nanoseconds since 1970, as the database says."""
        ...

    def reader(self) -> Database:
        """For questions; each thread has a connection of its own."""
        ...

    def close(self) -> None: ...
