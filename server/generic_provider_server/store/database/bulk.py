"""Builds statements that change many rows, in the SQL of SQLite and of PostgreSQL.

SQLite runs a statement once for every row. PostgreSQL gets all rows in one statement, which
contains, for each column, an array with the values of the column. The Peewee models name the
columns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from peewee import (
    BigIntegerField,
    BlobField,
    Field,
    IntegerField,
    Model,
    SmallIntegerField,
    TextField,
)

Row = Mapping[str, Any]
"""The values of a row by column name."""

TYPES: Mapping[type[Field[Any]], str] = {
    TextField: "text",
    BlobField: "bytea",
    BigIntegerField: "bigint",
    IntegerField: "integer",
    SmallIntegerField: "smallint",
}


@dataclass(frozen=True, slots=True, eq=False)
class Bulk:
    """A statement for many rows, and the columns that are its parameters.

    `every`: true if the statement must change every given row; if it changes fewer rows, another
    process has changed a row first.
    """

    sqlite: str
    postgres: str
    columns: tuple[str, ...]
    every: bool = True


def columns_of(table: type[Model], *, wanted: Collection[str] = ()) -> str:
    """Returns the columns of the table for a SELECT: all columns, or only the columns in
    `wanted`.
    """
    return ", ".join([name for name in _columns(table) if not wanted or name in wanted])


def insert(
    table: type[Model],
    *,
    every: bool = True,
    unused: bool = False,
    defaults: Collection[Field[Any]] = (),
) -> Bulk:
    """Returns the statement that inserts rows. If `every` is true, the table must not yet contain a
    row with one of the given keys.

    `unused`: true if no stored row can have one of the keys, because each key is used only once.
    With `unused`, PostgreSQL does not search for existing rows, which saves a fifth of the time.
    `defaults`: columns that get the default values in the model.
    """
    conflict = "" if unused else " ON CONFLICT DO NOTHING"
    columns = [column for column in _columns(table) if column not in _names(defaults)]
    return _insert(table, conflict, columns=columns, defaults=defaults, every=every)


def upsert(
    table: type[Model], *, add: Collection[Field[Any]] = (), but: Collection[Field[Any]] = ()
) -> Bulk:
    """Returns the statement that inserts rows, or changes rows that exist already.

    `add`: columns in which the new value is added to the old value. `but`: columns that are not
    changed; in a new row, these columns get the defaults of the database.
    """
    name, key, added = _name(table), _key(table), _names(add)
    columns = [column for column in _columns(table) if column not in _names(but)]
    changes = [
        f"{column} = {f'{name}.{column} + ' if column in added else ''}excluded.{column}"
        for column in columns
        if column not in key
    ]
    change = f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {', '.join(changes)}"
    return _insert(table, change, columns=columns)


def update(
    table: type[Model],
    *changed: Field[Any],
    but: Collection[Field[Any]] = (),
    keep: Collection[Field[Any]] = (),
    raise_only: Collection[Field[Any]] = (),
    where: str = "",
    every: bool = True,
) -> Bulk:
    """Returns the statement that changes the columns `changed` of the rows with the given keys.

    Without `changed`, the statement changes all columns. `but`: columns that are not changed.
    `keep`: columns that keep their value if the new value is null. `raise_only`: columns that keep
    their value if the new value is smaller.
    """
    name, key, kept, raised = _name(table), _key(table), _names(keep), _names(raise_only)
    columns = [c for c in _names(changed) or _columns(table) if c not in {*key, *_names(but)}]
    condition = f" AND {where}" if where else ""

    def assignments(given: str, greatest: str) -> str:
        """Returns the assignments of an UPDATE statement.

        `given`: a template for the SQL of a column's new value. `greatest`: the SQL function that
        chooses the greatest value.
        """
        values = {c: given.format(c) for c in columns}
        values |= {c: f"COALESCE({values[c]}, {name}.{c})" for c in kept}
        values |= {c: f"{greatest}({values[c]}, {name}.{c})" for c in raised}
        return ", ".join(f"{column} = {value}" for column, value in values.items())

    return Bulk(
        f"UPDATE {name} SET {assignments('?', 'MAX')} WHERE {_given(key)}{condition}",
        f"UPDATE {name} SET {assignments('v.{}', 'GREATEST')} "
        f"FROM {_arrays(table, [*columns, *key])} WHERE {_joined(table, key)}{condition}",
        (*columns, *key),
        every=every,
    )


def delete(table: type[Model], *, whole: bool = False, where: str = "", every: bool = True) -> Bulk:
    """Returns the statement that deletes the rows with the given keys.

    If `whole` is true, a row is deleted only if its other columns have the given values too.
    """
    name, columns = _name(table), _columns(table) if whole else _key(table)
    condition = f" AND {where}" if where else ""
    using = _arrays(table, columns)
    return Bulk(
        f"DELETE FROM {name} WHERE {_given(columns)}{condition}",
        f"DELETE FROM {name} USING {using} WHERE {_joined(table, columns)}{condition}",
        columns,
        every=every,
    )


def _insert(
    table: type[Model],
    conflict: str,
    *,
    columns: Sequence[str],
    defaults: Collection[Field[Any]] = (),
    every: bool = True,
) -> Bulk:
    values = ["NULL" if each.default is None else repr(each.default) for each in defaults]
    head = f"INSERT INTO {_name(table)} ({', '.join([*columns, *_names(defaults)])})"
    return Bulk(
        f"{head} VALUES ({', '.join(['?'] * len(columns) + values)}){conflict}",
        f"{head} SELECT {', '.join(['v.*', *values])} FROM {_arrays(table, columns)}{conflict}",
        tuple(columns),
        every=every,
    )


def _given(columns: Iterable[str]) -> str:
    return " AND ".join(f"{column} = ?" for column in columns)


def _joined(table: type[Model], columns: Iterable[str]) -> str:
    return " AND ".join(f"{_name(table)}.{column} = v.{column}" for column in columns)


def _arrays(table: type[Model], columns: Collection[str]) -> str:
    """Returns the SQL for a FROM or USING clause: a table `v` with these columns, which `unnest`
    makes of arrays. Each parameter of the SQL is an array with the values of one column.
    """
    types = {field.column_name: TYPES[type(field)] for field in _meta(table).sorted_fields}
    arrays = ", ".join(f"%s::{types[column]}[]" for column in columns)
    return f"unnest({arrays}) AS v({', '.join(columns)})"


def _columns(table: type[Model]) -> tuple[str, ...]:
    return _names(_meta(table).sorted_fields)


def _key(table: type[Model]) -> tuple[str, ...]:
    return _names(_meta(table).get_primary_keys())


def _name(table: type[Model]) -> str:
    return str(_meta(table).table_name)


def _names(fields: Iterable[Field[Any]]) -> tuple[str, ...]:
    return tuple([field.column_name for field in fields])


def _meta(table: type[Model]) -> Any:
    return table._meta  # noqa: SLF001 - Peewee's documented way
