"""Opens the database: one connection that writes, and connections that only read."""

from __future__ import annotations

import fcntl
import os
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from peewee import Database, SqliteDatabase
from playhouse.migrations import Runner

from .models import TABLES, Counter, Setting

MIGRATIONS = Path(__file__).parent / "migrations"
COUNTERS = ("subscription", "action", "request")


class StoreInUse(Exception):
    """Another server has this SQLite database open."""


class UnsupportedDatabase(Exception):
    """The database URL names no store that we have."""


def sqlite_path(url: str) -> Path:
    prefix = "sqlite:///"
    if not url.startswith(prefix) or len(url) == len(prefix):
        raise UnsupportedDatabase(
            f"{url!r} is not a database URL that this version serves; "
            "use sqlite:///RELATIVE/PATH.db or sqlite:////ABSOLUTE/PATH.db"
        )
    return Path(url.removeprefix(prefix))


def writer_of(path: Path) -> SqliteDatabase:
    """The writing side: durable at every commit, and the only one that checkpoints."""
    return SqliteDatabase(
        str(path),
        pragmas={
            "journal_mode": "wal",
            "synchronous": "full",
            "busy_timeout": 10_000,
            "cache_size": -64_000,
            "wal_autocheckpoint": 4_000,
            "temp_store": "memory",
        },
    )


def reader_of(path: Path) -> SqliteDatabase:
    return SqliteDatabase(
        str(path),
        pragmas={
            "query_only": 1,
            "wal_autocheckpoint": 0,
            "busy_timeout": 10_000,
            "cache_size": -16_000,
        },
    )


def migrate(database: Database) -> None:
    """Brings the schema to this version and fills in what every store has."""
    with database.bind_ctx(TABLES), database.atomic("IMMEDIATE"):
        Runner(database, directory=str(MIGRATIONS)).up()
        facts = [
            {"name": "store_id", "value": uuid.uuid4().bytes},
            {"name": "token_key", "value": secrets.token_bytes(32)},
        ]
        Setting.insert_many(facts).on_conflict_ignore().execute()
        counters = [{"name": name, "value": 0} for name in COUNTERS]
        Counter.insert_many(counters).on_conflict_ignore().execute()


@contextmanager
def exclusive(path: Path) -> Iterator[IO[str]]:
    """Holds the lock that keeps a second server away from an SQLite database."""
    lock = path.with_name(path.name + ".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise StoreInUse(
                f"database {path} is in use by another server (process {file.read().strip()}); "
                "stop that one first, or serve another --database"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield file
