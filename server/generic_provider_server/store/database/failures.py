"""Tells which errors of a database driver mean that the database itself has failed."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from psycopg import errors

from .engine import StoreDamaged, StoreLost

DAMAGED_FILE = (
    "the database file is damaged: stop the server, restore the last back-up, and compare the "
    "platforms with it"
)
DAMAGED_DATA = (
    "PostgreSQL has found damaged data: repair the index, or restore the last back-up and compare "
    "the platforms with it; then restart every server process"
)
OF_SQLITE: Mapping[int, str] = {
    sqlite3.SQLITE_FULL: "the disk is full or a quota is used up: free some space",
    sqlite3.SQLITE_IOERR: "the disk failed, or the largest allowed file size is reached",
    sqlite3.SQLITE_READONLY: "the database file is read-only: check permissions and mount",
    sqlite3.SQLITE_CANTOPEN: "a file of the database cannot be opened",
    sqlite3.SQLITE_BUSY: "another program has locked the database: end its transaction",
    sqlite3.SQLITE_CORRUPT: DAMAGED_FILE,
    sqlite3.SQLITE_NOTADB: DAMAGED_FILE,
}
"""The error codes of SQLite that mean that the database file cannot be used, each with a text for
the operator. The error codes of faults in a statement are left out.
"""


def failure_of(error: BaseException | None) -> StoreLost | StoreDamaged | None:
    """Returns a StoreDamaged if the database has found damaged data, a StoreLost if SQLite cannot
    use the database file, otherwise None.

    The function also examines the cause or the context of the error: if the end of a transaction
    has failed, only the cause or the context describes the failure.
    """
    if error is None:
        return None
    if isinstance(error, errors.DataCorrupted | errors.IndexCorrupted):
        return StoreDamaged(f"{DAMAGED_DATA} ({str(error).strip()})")
    text = OF_SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    if text is None:
        return failure_of(error.__cause__ or error.__context__)
    return (StoreDamaged if text is DAMAGED_FILE else StoreLost)(f"{text} ({error})")


def in_one_line(error: BaseException) -> str:
    """Returns the text of the error, which libpq writes in several lines, in one line."""
    return " ".join(str(error).split())
