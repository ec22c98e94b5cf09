"""The schema of the first release."""

from __future__ import annotations

from typing import Any

from peewee import Database

from generic_provider_server.store.models import TABLES


def up(migrator: Any, db: Database) -> None:
    db.create_tables(TABLES)


def down(migrator: Any, db: Database) -> None:
    db.drop_tables(TABLES)
