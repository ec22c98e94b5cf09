"""Adds to each link the time of the last complete report that named the link's subscription."""

from __future__ import annotations

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    db.execute_sql("ALTER TABLE provider_link ADD COLUMN report_time BIGINT NOT NULL DEFAULT 0")
