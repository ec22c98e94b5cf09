"""Copies rows of SQLite and PostgreSQL under other numbers, in bulk."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

MARK, BLOCK = 7_310_000, 10_000
"""Ids that are copied begin at MARK * BLOCK. The ids of copy k are greater by k * BLOCK."""
ID = rf"(?<!\d){MARK}\d{{4}}(?!\d)"

Row = dict[str, Any]
Term = tuple[str, list[Any]]
"""An expression of SQL, and its parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """Describes the copies for k from `start` to `stop`. In each copy, the subscription `number` is
    replaced by the subscription whose number is the value of `target`, an expression of k.
    """

    number: str
    target: str
    start: int
    stop: int


class SqliteCopying:
    """Copies rows over a connection of its own, which no other code uses."""

    columns = (
        "SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c "
        "WHERE t.type = 'table'"
    )
    series = (
        "WITH RECURSIVE series(k) AS (SELECT ? UNION ALL SELECT k + 1 FROM series WHERE k < ?) "
    )
    source = "series"

    def __init__(self, url: str) -> None:
        self._connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        return self._connection.execute(statement, parameters)

    @contextmanager
    def bulk(self) -> Iterator[None]:
        """Runs the block in a transaction for large changes, then updates the statistics of the
        database.
        """
        for pragma in ("synchronous = OFF", "cache_size = -1000000", "temp_store = MEMORY"):
            self.run(f"PRAGMA {pragma}")
        self.run("BEGIN IMMEDIATE")
        yield
        self.run("COMMIT")
        self.run("ANALYZE")
        self.run("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self._connection.close()

    def number(self, n: str) -> str:
        return f"printf('B%07d', {n})"

    def joined(self, parts: Sequence[Term], *, binary: bool) -> Term:
        text = " || ".join(sql for sql, _ in parts)
        return f"CAST({text} AS {'BLOB' if binary else 'TEXT'})", _parameters(parts)


class PostgresCopying:
    columns = (
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position"
    )
    series = ""
    source = "generate_series(?::bigint, ?::bigint) AS series(k)"

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(
            url, autocommit=True, cursor_factory=psycopg.ClientCursor
        )

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        return self._connection.execute(statement.replace("?", "%s").encode(), parameters or None)

    @contextmanager
    def bulk(self) -> Iterator[None]:
        with self._connection.transaction():
            self.run("SET LOCAL synchronous_commit = off")
            yield
        self.run("VACUUM (ANALYZE)")

    def close(self) -> None:
        self._connection.close()

    def number(self, n: str) -> str:
        return f"'B' || lpad(({n})::text, 7, '0')"

    def joined(self, parts: Sequence[Term], *, binary: bool) -> Term:
        if not binary:
            return " || ".join(sql for sql, _ in parts), _parameters(parts)
        text = " || ".join(sql if sql == "?" else f"convert_to({sql}, 'UTF8')" for sql, _ in parts)
        return text, _parameters(parts)


Copying = SqliteCopying | PostgresCopying


def copying(url: str) -> Copying:
    return SqliteCopying(url) if url.startswith("sqlite:") else PostgresCopying(url)


def rows(database: Copying, table: str, *, key: str, of: str) -> list[Row]:
    """Returns the rows whose column `key` has the value `of`, in the order of the first column."""
    found = database.run(f"SELECT * FROM {table} WHERE {key} = ? ORDER BY 1", (of,))  # noqa: S608
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def copy(database: Copying, table: str, row: Row, copies: Copies) -> None:
    if copies.stop < copies.start:
        return
    terms = [_term(database, value, copies) for value in row.values()]
    names, values_of_k = ", ".join(row), ", ".join(sql for sql, _ in terms)
    statement = (
        f"{database.series}INSERT INTO {table} ({names}) "  # noqa: S608
        f"SELECT {values_of_k} FROM {database.source}"
    )
    span, values = [copies.start, copies.stop], _parameters(terms)
    database.run(statement, [*span, *values] if database.series else [*values, *span])


def _term(database: Copying, value: Any, copies: Copies) -> Term:
    if isinstance(value, int):
        moves = value // BLOCK == MARK
        return (f"? + k * {BLOCK}" if moves else "?"), [value]
    if isinstance(value, str):
        return _renumbered(database, value.encode(), copies, binary=False)
    if isinstance(value, bytes | memoryview):
        return _renumbered(database, bytes(value), copies, binary=True)
    return "?", [value]


def _renumbered(database: Copying, value: bytes, copies: Copies, *, binary: bool) -> Term:
    """Returns an expression for the value with new numbers in place of the old numbers."""
    parts: list[Term] = []
    for piece in re.split(rf"({copies.number}|{ID})".encode(), value):
        if piece == copies.number.encode():
            parts.append((database.number(copies.target), []))
        elif re.fullmatch(ID.encode(), piece):
            parts.append((f"CAST(? + k * {BLOCK} AS TEXT)", [int(piece)]))
        elif piece:
            parts.append(("?", [piece if binary else piece.decode()]))
    if not parts:
        return "?", [b"" if binary else ""]
    return (
        parts[0]
        if parts[0][0] == "?" and len(parts) == 1
        else database.joined(parts, binary=binary)
    )


def _parameters(terms: Sequence[Term]) -> list[Any]:
    return [value for _, values in terms for value in values]
