"""Adds the table of events. PostgreSQL stores the documents of events uncompressed, because
compression takes more time than it saves.
"""

from __future__ import annotations

from typing import Any

from peewee import SqliteDatabase

TABLE = "CREATE TABLE event (number {i8} NOT NULL PRIMARY KEY, time {i8} NOT NULL, document {bytes}"


def up(_migrator: Any, db: Any) -> None:
    sqlite = isinstance(db, SqliteDatabase)
    types = {"i8": "INTEGER", "bytes": "BLOB"} if sqlite else {"i8": "BIGINT", "bytes": "BYTEA"}
    changes = [TABLE.format_map(types) + " NOT NULL)"]
    if not sqlite:
        changes.append("ALTER TABLE event ALTER COLUMN document SET STORAGE EXTERNAL")
    for change in changes:
        db.execute_sql(change)
