"""Adds reset runs, and the column that names the run of a request."""

from __future__ import annotations

from typing import Any

from peewee import SqliteDatabase

TYPES = {"i2": "SMALLINT", "i4": "INTEGER", "i8": "BIGINT", "text": 'TEXT COLLATE "C"'} | {
    "bytes": "BYTEA",
    "without_rowid": "",
}
SQLITE_TYPES = {"i2": "INTEGER", "i4": "INTEGER", "i8": "INTEGER", "text": "TEXT"} | {
    "bytes": "BLOB",
    "without_rowid": "WITHOUT ROWID",
}

# Only the documents say exactly which platforms hold an entitlement. This migration sets
# provider_link.holds for each subscription that is on (states 2 and 4); the next change of the
# subscription corrects the column.
CHANGES = """
CREATE TABLE reset_definition (
    id {i8} NOT NULL PRIMARY KEY, provider {text} NOT NULL, state {i2} NOT NULL,
    next_run_time {i8}, document {bytes} NOT NULL
);
CREATE INDEX reset_definition_due ON reset_definition (next_run_time)
    WHERE next_run_time IS NOT NULL;

CREATE TABLE reset_run (
    id {i8} NOT NULL PRIMARY KEY, definition {i8} NOT NULL, provider {text} NOT NULL,
    state {i2} NOT NULL, server {text} NOT NULL, held_since {i8}, document {bytes} NOT NULL
);
CREATE INDEX reset_run_definition ON reset_run (definition, id);
CREATE INDEX reset_run_running ON reset_run (id) WHERE state = 2;
CREATE INDEX reset_run_held ON reset_run (held_since) WHERE held_since IS NOT NULL;

CREATE TABLE reset_entry (
    run {i8} NOT NULL, subscription {text} NOT NULL, outcome {i2} NOT NULL,
    document {bytes} NOT NULL, PRIMARY KEY (run, subscription)
) {without_rowid};

ALTER TABLE request ADD COLUMN reset_run {i8} NOT NULL DEFAULT 0;
CREATE INDEX request_reset_run ON request (reset_run, state, number) WHERE reset_run <> 0;

ALTER TABLE provider_link ADD COLUMN holds {i2} NOT NULL DEFAULT 0;
UPDATE provider_link SET holds = 1
    WHERE subscription IN (SELECT number FROM subscription WHERE state IN (2, 4));
CREATE INDEX provider_link_holds ON provider_link (provider, subscription) WHERE holds = 1
"""


def up(_migrator: Any, db: Any) -> None:
    types = SQLITE_TYPES if isinstance(db, SqliteDatabase) else TYPES
    for statement in CHANGES.format_map(types).split(";"):
        db.execute_sql(statement)
