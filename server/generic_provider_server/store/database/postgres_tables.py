"""Reads and writes the tables of PostgreSQL within a transaction."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import cache
from typing import Any

import psycopg

from .arrays import ByteArray, array_of
from .bulk import Bulk, Row
from .engine import Overtaken
from .rows import rows_of

CHANNEL = "generic_provider"
TELL = "SELECT pg_notify(%s, message) FROM unnest(%s::text[]) AS message"
LANES = "FROM lane WHERE subscription IN ({})"
LANES_BY_INDEX = (
    "FROM unnest(%s::text[]) AS wanted(key), "
    "LATERAL (SELECT * FROM lane WHERE subscription = wanted.key OFFSET 0) AS lane"
)
"""A clause that replaces `LANES`. Without this clause, PostgreSQL would often read the whole table
of lanes: if a reset run makes many lanes within seconds, PostgreSQL has no statistics of the new
rows yet, and assumes that a subscription has very many lanes.
"""


class PostgresTables:
    """The tables of PostgreSQL within a transaction.

    Writing statements are sent immediately, so that the database executes them while the process
    builds further statements. A statement that returns rows waits for the results of all earlier
    statements. `commit` sends the statements of `run_last` and `write_last` together with the
    COMMIT, so a process that hangs never holds the locks of these statements. `pipeline`: open
    while the results of writes are awaited.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._cursor = connection.cursor(binary=True)
        self._last: list[tuple[str, Sequence[Any]]] = []
        self.pipeline = ExitStack()
        self._awaited: deque[Any] = deque()
        self._written: list[tuple[Bulk, int, psycopg.Cursor[Any]]] = []

    def select(self, statement: str, parameters: Sequence[Any] = (), /) -> list[Any]:
        self._end_writes()
        given = [array_of(each) if isinstance(each, list) else each for each in parameters]
        return rows_of(self._cursor.execute(_spoken(statement), given))

    def select_in(self, statement: str, keys: Sequence[Any], /) -> list[Any]:
        return self.select(statement, (list(keys),)) if keys else []

    def run(self, statement: str, parameters: Sequence[Any], /) -> None:
        self._end_writes()
        self._cursor.execute(_spoken(statement), parameters)

    def run_last(self, statement: str, parameters: Sequence[Any], /) -> None:
        self._last.append((_spoken(statement), parameters))

    def write(self, statement: Bulk, rows: Iterable[Row], /) -> None:
        rows = list(rows)
        if not rows:
            return
        if not self._written:
            pipeline = self.pipeline.enter_context(self._connection.pipeline())
            self._awaited = pipeline.result_queue
        result = self._connection.execute(statement.postgres, _columns(statement, rows))
        # Without a Sync message, PostgreSQL would not count the session as idle, and a process that
        # hangs would keep its locks. Pipeline.sync is not used, because it waits for the results.
        self._connection.pgconn.pipeline_sync()
        self._awaited.append(None)
        self._written.append((statement, len(rows), result))

    def _end_writes(self) -> None:
        """Waits for the results of the writing statements."""
        self.pipeline.close()
        written, self._written = self._written, []
        for statement, count, result in written:
            if statement.every and result.rowcount < count:
                raise Overtaken(statement.postgres)

    def write_last(self, statement: Bulk, rows: Iterable[Row], /) -> None:
        if columns := _columns(statement, list(rows)):
            self._last.append((statement.postgres, columns))

    def notify(self, messages: Iterable[str], /) -> None:
        if sent := list(messages):
            self._last.append((TELL, (CHANNEL, sent)))

    def commit(self) -> None:
        self._end_writes()
        statements = "; ".join([*[statement for statement, _ in self._last], "COMMIT"])
        parameters = [each for _, given in self._last for each in given]
        # Only a ClientCursor, which inserts the parameters into the SQL, sends several statements
        # in one message.
        psycopg.ClientCursor(self._connection).execute(statements.encode(), parameters or None)


def _columns(statement: Bulk, rows: Sequence[Row]) -> list[str | ByteArray]:
    if not rows:
        return []
    return [array_of([row[column] for row in rows]) for column in statement.columns]


@cache
def _spoken(statement: str) -> str:
    by_index = statement.replace(LANES, LANES_BY_INDEX)
    return by_index.replace("IN ({})", "= ANY(%s)").replace("?", "%s")
