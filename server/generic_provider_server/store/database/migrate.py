"""Upgrades the schema of a database. The upgrade is made by the first server process that starts
with a new version, or by the command `database upgrade`.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from peewee import Database, SqliteDatabase
from playhouse.migrations import Runner

from .engine import TooOld
from .models import Counter, Setting
from .number_blocks import COUNTERS

MIGRATIONS = Path(__file__).parent / "migrations"
NEWEST = max(int(file.name[:4]) for file in MIGRATIONS.glob("[0-9]*.py"))
"""The number of the newest change of the schema that this version knows."""
OLDEST = 8
"""An older server can run on the schema of this version if that server knows the schema's changes
up to the number OLDEST. A change that removes a table or a column must raise OLDEST.
"""
OLDEST_SCHEMA = "oldest_schema"
"""The name of a setting in the database. The setting contains the number OLDEST of the newest
version that has upgraded the schema.
"""
HISTORY = "schema_migration"
LOCK = 7_236_801
"""The number of the lock for migrations of a PostgreSQL database. No other lock has this number."""


def migrate(database: Database) -> Sequence[str]:
    """Makes all pending changes of the schema in one transaction, adds the initial rows, and
    returns the names of the changes.

    Raises TooOld if this version is too old for the schema.
    """
    runner = Runner(database, directory=str(MIGRATIONS))
    with database.bind_ctx([Setting, Counter]), _alone(database):
        known = Setting.select().where(Setting.name == OLDEST_SCHEMA)
        for setting in known if database.table_exists("setting") else ():
            if why := why_too_old(setting.value):
                raise TooOld(why)
        done: Sequence[str] = runner.up()
        facts = [
            {"name": "store_id", "value": uuid.uuid4().bytes},
            {"name": "token_key", "value": secrets.token_bytes(32)},
        ]
        Setting.insert_many(facts).on_conflict_ignore().execute()
        counters = [{"name": name, "value": 0} for name in (*COUNTERS, "event")]
        Counter.insert_many(counters).on_conflict_ignore().execute()
        # A change without a file here was made by a newer version, which has set OLDEST_SCHEMA too.
        if all(each.path for each in runner.status()):
            row = Setting.insert(name=OLDEST_SCHEMA, value=str(OLDEST).encode())
            row.on_conflict(conflict_target=[Setting.name], preserve=[Setting.value]).execute()
    return done


def why_too_old(oldest: bytes) -> str:
    """Returns the reason why this version must not run on a database whose setting OLDEST_SCHEMA is
    `oldest`; an empty text if this version may run.
    """
    needed = int(bytes(oldest))
    if needed <= NEWEST:
        return ""
    return (
        "a newer version of the service has changed the schema: the database needs servers of "
        f"schema {needed} or newer, and this one is of schema {NEWEST}; install the newer version"
    )


def status(database: Database) -> list[tuple[str, str]]:
    """Returns the name of every change of the schema, each with the time at which it was made, or
    with the word "pending".
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
