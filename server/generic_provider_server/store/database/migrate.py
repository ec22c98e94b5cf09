"""Upgrades a database's schema to this version; the first process that starts does it."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from peewee import Database, SqliteDatabase
from playhouse.migrations import Runner

from .models import Counter, Setting
from .number_blocks import COUNTERS

MIGRATIONS = Path(__file__).parent / "migrations"
HISTORY = "schema_migration"
LOCK = 7_236_801
"""The number of the lock for migrations of a PostgreSQL database. Nothing else uses this number."""


def migrate(database: Database) -> Sequence[str]:
    """Makes all pending changes in one transaction, adds the initial rows, and returns the names of
    the changes.
    """
    with database.bind_ctx([Setting, Counter]), _alone(database):
        done: Sequence[str] = Runner(database, directory=str(MIGRATIONS)).up()
        facts = [
            {"name": "store_id", "value": uuid.uuid4().bytes},
            {"name": "token_key", "value": secrets.token_bytes(32)},
        ]
        Setting.insert_many(facts).on_conflict_ignore().execute()
        counters = [{"name": name, "value": 0} for name in (*COUNTERS, "event")]
        Counter.insert_many(counters).on_conflict_ignore().execute()
    return done


def status(database: Database) -> list[tuple[str, str]]:
    """Returns every change of the schema, with the time at which it was made, or with the word
    "pending".
    """
    found = Runner(database, directory=str(MIGRATIONS)).status()
    return [(each.name, str(each.applied or "pending")) for each in found]


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Opens a transaction in which no other process changes the schema."""
    if isinstance(database, SqliteDatabase):
        with database.atomic("IMMEDIATE"):
            yield
        return
    with database.atomic():
        cast(Any, database).execute_sql("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        yield
