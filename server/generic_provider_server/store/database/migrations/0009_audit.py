"""Adds the audit trail. SQLite stores the rows of the audit trail in the order of their times, so
the table needs no other index for this order.
"""

from __future__ import annotations

from typing import Any

from peewee import SqliteDatabase

TYPES = {"i2": "SMALLINT", "i8": "BIGINT", "text": 'TEXT COLLATE "C"', "kept": ""}
SQLITE_TYPES = {"i2": "INTEGER", "i8": "INTEGER", "text": "TEXT", "kept": " WITHOUT ROWID"}

TABLES = """
CREATE TABLE audit (
    time {i8} NOT NULL, call {i8} NOT NULL, method {text} NOT NULL, caller {text} NOT NULL,
    roles {text} NOT NULL, peer {text} NOT NULL, performed_by {text} NOT NULL,
    provider {text} NOT NULL, subscription {text} NOT NULL, resource {text} NOT NULL,
    detail {text} NOT NULL, code {i2} NOT NULL, reason {text} NOT NULL, done {i8} NOT NULL,
    refused {i8} NOT NULL, PRIMARY KEY (time, call)
){kept};
CREATE INDEX audit_subscription ON audit (subscription, time) WHERE subscription <> '';
CREATE INDEX audit_performed_by ON audit (performed_by, time) WHERE performed_by <> '';
CREATE INDEX audit_refused ON audit (time) WHERE refused > 0
"""


def up(_migrator: Any, db: Any) -> None:
    types = SQLITE_TYPES if isinstance(db, SqliteDatabase) else TYPES
    for statement in TABLES.format_map(types).split(";"):
        db.execute_sql(statement)
