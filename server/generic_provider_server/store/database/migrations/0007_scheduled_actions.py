"""Adds the columns of scheduled actions, and indexes that contain only scheduled actions."""

from __future__ import annotations

from typing import Any

CHANGES = """
ALTER TABLE action ADD COLUMN due_time BIGINT;
ALTER TABLE action ADD COLUMN expected_revision BIGINT;
ALTER TABLE action ADD COLUMN bulk SMALLINT NOT NULL DEFAULT 0;
CREATE INDEX action_due_time ON action (due_time) WHERE due_time IS NOT NULL;
CREATE INDEX action_scheduled ON action (subscription, id) WHERE due_time IS NOT NULL
"""


def up(_migrator: Any, db: Any) -> None:
    for statement in CHANGES.split(";"):
        db.execute_sql(statement)
