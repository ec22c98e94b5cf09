"""Simulates that the connection to the database is lost after each commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from generic_provider_server.store.database.engine import StoreLost
from generic_provider_server.store.database.postgres_tables import PostgresTables
from generic_provider_server.store.database.sqlite_file import SqliteFile


@contextmanager
def losing_commits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within the `with` block, the server does not know whether a commit was made."""
    commit = PostgresTables.commit

    def commit_and_lose(tables: PostgresTables) -> None:
        commit(tables)
        raise psycopg.OperationalError("the connection was lost")

    def cannot_be_examined(_: SqliteFile) -> None:
        raise StoreLost("the file cannot be examined")

    with monkeypatch.context() as patched:
        patched.setattr(PostgresTables, "commit", commit_and_lose)
        patched.setattr(SqliteFile, "check", cannot_be_examined)
        yield
