"""Adds the column `action` to the table `action`, for the encoded action of the domain. Renames the
column `age` of the table `lane` to `ready_since`: the instant since which the first request of the
lane is ready. Sets `lease_until` of a lane to 0 if the lane is not leased.
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
