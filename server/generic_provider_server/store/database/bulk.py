"""Statements that change many rows at once, in the SQL of both kinds of store.

SQLite runs one of its own for every row; PostgreSQL gets all rows in one, an array for each column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from peewee import BigIntegerField, BlobField, Field, IntegerField, SmallIntegerField, TextField

from .models import TABLES

TYPES: Mapping[type[Field], str] = {
    TextField: "text",
    BlobField: "bytea",
    BigIntegerField: "bigint",
    IntegerField: "integer",
    SmallIntegerField: "smallint",
}
COLUMNS: Mapping[str, Mapping[str, str]] = {
    described.table_name: {each.column_name: TYPES[type(each)] for each in described.sorted_fields}
    for described in [table._meta for table in TABLES]  # noqa: SLF001 - Peewee's documented way
}
"""By table and column, its type in PostgreSQL."""


class Bulk(NamedTuple):
    """`every`: less rows than were given means that another process was faster."""

    sqlite: str
    postgres: str
    every: bool = True


def insert(table: str, columns: str) -> Bulk:
    """Rows that nobody else has put there: every one is counted."""
    return _insert(table, columns, " ON CONFLICT DO NOTHING")


def upsert(table: str, columns: str, *, key: str, add: Iterable[str] = ()) -> Bulk:
    """Rows that are put there, or change what is there; `add`: columns that are added up."""
    others = [name for name in columns.split(", ") if name not in key.split(", ")]
    changes = [
        f"{name} = {f'{table}.{name} + ' if name in add else ''}excluded.{name}" for name in others
    ]
    return _insert(table, columns, f" ON CONFLICT ({key}) DO UPDATE SET {', '.join(changes)}")


def _insert(table: str, columns: str, conflict: str) -> Bulk:
    marks = ", ".join("?" * (columns.count(",") + 1))
    head = f"INSERT INTO {table} ({columns})"
    return Bulk(
        f"{head} VALUES ({marks}){conflict}",
        f"{head} SELECT * FROM unnest({_arrays(table, columns)}){conflict}",
    )


def update(
    table: str, columns: str, *, key: str, where: str = "", keep: str = "", every: bool = True
) -> Bulk:
    """Rows of (columns…, key); `keep`: a column that is only changed by what is not null."""
    names = columns.split(", ")
    condition = f" AND {table}.{where}" if where else ""
    plain = [f"{n} = COALESCE(?, {n})" if n == keep else f"{n} = ?" for n in names]
    joined = [f"{n} = COALESCE(v.{n}, {table}.{n})" if n == keep else f"{n} = v.{n}" for n in names]
    return Bulk(
        f"UPDATE {table} SET {', '.join(plain)} WHERE {key} = ?{condition}",
        f"UPDATE {table} SET {', '.join(joined)} "
        f"FROM unnest({_arrays(table, f'{columns}, {key}')}) AS v({columns}, {key}) "
        f"WHERE {table}.{key} = v.{key}{condition}",
        every=every,
    )


def delete(table: str, key: str) -> Bulk:
    names = key.split(", ")
    return Bulk(
        f"DELETE FROM {table} WHERE {' AND '.join(f'{n} = ?' for n in names)}",
        f"DELETE FROM {table} USING unnest({_arrays(table, key)}) AS v({key}) "
        f"WHERE {' AND '.join(f'{table}.{n} = v.{n}' for n in names)}",
    )


def _arrays(table: str, columns: str) -> str:
    return ", ".join(f"%b::{COLUMNS[table][name]}[]" for name in columns.split(", "))
