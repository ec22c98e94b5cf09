"""Makes the databases of the measurements. A database of each kind and size is filled only once."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from support.filling import fill
from support.postgres import PostgresServer, own_postgres

from .processes import server
from .setting import SUBSCRIPTIONS

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
SETTINGS = {"shared_buffers": "512MB", "fsync": "on", "full_page_writes": "on"}
LOCK = Path(__file__).with_name("peers.lock")
PEERS = r"(?m)^(?:pgqueuer|procrastinate)==\S+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    subscriptions: int = SUBSCRIPTIONS
    settled: int = 0
    blocked: int = 0
    drifted: int = 0


SMALL = Size()


class Databases:
    """Creates databases, and deletes all of them at the end of the `with` block."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._numbers = count(1)
        self._filled: dict[tuple[str, Size], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @cached_property
    def postgres(self) -> PostgresServer:
        """The PostgreSQL server of the measurements. Its commits are durable."""
        return self._stack.enter_context(own_postgres(**SETTINGS))

    def versions(self) -> list[str]:
        """Returns the versions of the databases and queues that were used."""
        versions = [f"{SQLITE} {sqlite3.sqlite_version}"]
        if "postgres" in vars(self):
            ((version,),) = self.postgres.sql("SHOW server_version")
            versions += [f"{POSTGRESQL} {version}", *re.findall(PEERS, LOCK.read_text())]
        return versions

    @cached_property
    def _folder(self) -> Path:
        folder = tempfile.TemporaryDirectory(prefix="generic-provider-bench-")
        return Path(self._stack.enter_context(folder))

    def filled(self, kind: str, size: Size) -> str:
        """Returns the URL of a database of this kind and size. Every call returns the same URL."""
        if (kind, size) not in self._filled:
            self._filled[kind, size] = url = self.empty(kind)
            with server(url):
                pass
            fill(
                url,
                subscriptions=size.subscriptions,
                settled=size.settled,
                blocked=size.blocked,
                drifted=size.drifted,
            )
            os.sync()
        return self._filled[kind, size]

    @contextmanager
    def fresh(self, kind: str, size: Size = SMALL) -> Iterator[str]:
        """Yields the URL of a new database of this kind and size. By default, the database contains
        only subscriptions.
        """
        source = self.filled(kind, size)
        if kind == SQLITE:
            url = self.empty(kind)
            shutil.copyfile(sqlite_path(source), sqlite_path(url))
            yield url
            Path(sqlite_path(url)).unlink()
            return
        url = self.postgres.create_database(template=urlsplit(source).path[1:])
        yield url
        self.postgres.drop_database(url)

    def empty(self, kind: str) -> str:
        if kind == SQLITE:
            return f"sqlite:///{self._folder / f'{next(self._numbers)}.db'}"
        return self.postgres.create_database()


def sqlite_path(url: str) -> str:
    return url.removeprefix("sqlite:///")
