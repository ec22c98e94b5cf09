"""Writes arrays as parameters of PostgreSQL's statements.

The driver psycopg would convert the elements of a list one by one in Python, which is slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack
from typing import Any

from psycopg.adapt import Dumper
from psycopg.postgres import types
from psycopg.pq import Format

BYTEA = types["bytea"]
NULL = pack("!i", -1)


class ByteArray(bytes):
    """An array of byte strings in PostgreSQL's binary format. In the text format, PostgreSQL would
    need more than ten times as long to read a document.
    """


class ByteArrayDumper(Dumper):
    """Passes a ByteArray to the database unchanged."""

    format = Format.BINARY
    oid = BYTEA.array_oid

    def dump(self, obj: Any) -> bytes:
        return bytes(obj)


def array_of(values: Sequence[Any]) -> str | ByteArray:
    """Returns the array with these values: byte strings as a ByteArray, other values as a literal.
    Apart from None, the values are all numbers, all texts or all byte strings. Raises ValueError if
    a text contains the character NUL, which PostgreSQL cannot store.
    """
    first = next((each for each in values if each is not None), None)
    if isinstance(first, bytes):
        return _byte_array(values)
    if None in values:
        return "{" + ",".join(["NULL" if v is None else _elements([v]) for v in values]) + "}"
    return "{" + _elements(values) + "}" if values else "{}"


def _byte_array(values: Sequence[bytes | None]) -> ByteArray:
    dimensions, first_index = 1, 1
    head = pack("!iiIii", dimensions, None in values, BYTEA.oid, len(values), first_index)
    elements = [NULL if each is None else pack("!i", len(each)) + each for each in values]
    return ByteArray(b"".join([head, *elements]))


def _elements(values: Sequence[Any]) -> str:
    return ",".join(map(str, values)) if isinstance(values[0], int) else _texts(values)


def _texts(values: Sequence[str]) -> str:
    """Escapes all texts at once, which is faster than one by one. The texts are joined with the
    character NUL, because no text may contain this character.
    """
    joined = "\0".join(values)
    if joined.count("\0") != len(values) - 1:
        raise ValueError("a text contains the character NUL")
    escaped = joined.replace("\\", "\\\\").replace('"', '\\"').replace("\0", '","')
    return f'"{escaped}"'
