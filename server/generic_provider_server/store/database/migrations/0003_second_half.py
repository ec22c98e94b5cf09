"""The domain's action is stored beside the caller's bytes. A lane's `age` is called what it is: the
instant since which its first request is ready. The time of a lease that has ended is 0.
"""

from __future__ import annotations

from typing import Any

from peewee import SqliteDatabase

CHANGES = """
ALTER TABLE lane RENAME COLUMN age TO ready_since;
ALTER TABLE action ADD COLUMN action {bytes};
UPDATE lane SET lease_until = 0 WHERE status <> 1
"""


def up(_migrator: Any, db: Any) -> None:
    bytes_of_database = "BLOB" if isinstance(db, SqliteDatabase) else "BYTEA"
    for statement in CHANGES.format(bytes=bytes_of_database).split(";"):
        db.execute_sql(statement)
