"""Adds the tables of archives and of archived requests."""

from __future__ import annotations

from typing import Any

from peewee import SqliteDatabase

TYPES = {"i2": "SMALLINT", "i4": "INTEGER", "i8": "BIGINT", "text": 'TEXT COLLATE "C"'}
SQLITE_TYPES = {"i2": "INTEGER", "i4": "INTEGER", "i8": "INTEGER", "text": "TEXT"}

TABLES = """
CREATE TABLE archive (
    number {i8} NOT NULL PRIMARY KEY, provider {text} NOT NULL, created_before {i8} NOT NULL,
    final_before {i8} NOT NULL, state {i2} NOT NULL, create_time {i8} NOT NULL,
    performed_by {text} NOT NULL, caller {text} NOT NULL, requests_archived {i8} NOT NULL,
    requests_total {i8} NOT NULL, size {i8} NOT NULL, checksum {text} NOT NULL,
    first_create_time {i8}, last_create_time {i8}, last_settle_time {i8},
    message {text} NOT NULL, worker {text} NOT NULL, moved {i8} NOT NULL
);
CREATE INDEX archive_creating ON archive (number) WHERE state = 1;

CREATE TABLE archived (
    number {i8} NOT NULL PRIMARY KEY, state {i2} NOT NULL, archive {i8} NOT NULL,
    subscription {text} NOT NULL, provider {text} NOT NULL, unit {i8} NOT NULL,
    position {i4} NOT NULL, reset_run {i8} NOT NULL
);
CREATE INDEX archived_subscription ON archived (subscription, archive);
CREATE INDEX archived_reset_run ON archived (reset_run, state) WHERE reset_run <> 0
"""


def up(_migrator: Any, db: Any) -> None:
    types = SQLITE_TYPES if isinstance(db, SqliteDatabase) else TYPES
    for statement in TABLES.format_map(types).split(";"):
        db.execute_sql(statement)
