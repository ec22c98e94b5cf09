"""Lets several server processes share a PostgreSQL database, and limits the disk space of the
tables whose rows change often.
"""

from __future__ import annotations

from typing import Any

from peewee import SqliteDatabase

TYPES = {"text": 'TEXT COLLATE "C"', "integer": "BIGINT", "bytes": "BYTEA"}
SQLITE_TYPES = {"text": "TEXT", "integer": "INTEGER", "bytes": "BLOB"}

SERVER = """
CREATE TABLE server (
    id {text} NOT NULL PRIMARY KEY, seen_time {integer} NOT NULL, document {bytes} NOT NULL
)
"""
# In tables whose rows change often, each page has room for new versions of its rows. PostgreSQL
# removes old versions of rows early; by default, PostgreSQL would wait until a fifth of the table
# are old versions.
STORAGE = """
ALTER TABLE lane SET (
    fillfactor = 50, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE subscription SET (
    fillfactor = 70, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.02
);
ALTER TABLE request SET (
    fillfactor = 80, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02
);
ALTER TABLE action SET (
    fillfactor = 80, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.02
);
ALTER TABLE provider_use SET (fillfactor = 50, autovacuum_vacuum_threshold = 200);
ALTER TABLE counter SET (fillfactor = 50, autovacuum_vacuum_threshold = 200)
"""


def up(_migrator: Any, db: Any) -> None:
    sqlite = isinstance(db, SqliteDatabase)
    types = SQLITE_TYPES if sqlite else TYPES
    for statement in [SERVER.format_map(types), *([] if sqlite else STORAGE.split(";"))]:
        db.execute_sql(statement)
