"""A lane's `age` is called what it is: the instant since which its first request is ready."""

from __future__ import annotations

from typing import Any

CHANGES = """
ALTER TABLE lane RENAME COLUMN age TO ready_since
"""


def up(_migrator: Any, db: Any) -> None:
    for statement in CHANGES.split(";"):
        db.execute_sql(statement)
