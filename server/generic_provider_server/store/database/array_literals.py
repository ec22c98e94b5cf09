"""Writes arrays as literals of PostgreSQL.

The driver psycopg would convert the elements of a list one by one in Python, which is slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def array_literal(values: Sequence[Any]) -> str:
    """Returns the PostgreSQL literal of an array with these values. Apart from None, the values are
    all numbers, all texts or all bytes. Raises ValueError if a text contains the character NUL,
    which PostgreSQL cannot store.
    """
    if None in values:
        return "{" + ",".join(["NULL" if v is None else _elements([v]) for v in values]) + "}"
    return "{" + _elements(values) + "}" if values else "{}"


def _elements(values: Sequence[Any]) -> str:
    match values[0]:
        case int():
            return ",".join(map(str, values))
        case bytes():
            return ",".join([f'"\\\\x{each.hex()}"' for each in values])
        case _:
            return _texts(values)


def _texts(values: Sequence[str]) -> str:
    """Escapes all texts at once, which is faster than one by one. The texts are joined with the
    character NUL, because no text may contain this character.
    """
    joined = "\0".join(values)
    if joined.count("\0") != len(values) - 1:
        raise ValueError("a text contains the character NUL")
    escaped = joined.replace("\\", "\\\\").replace('"', '\\"').replace("\0", '","')
    return f'"{escaped}"'
