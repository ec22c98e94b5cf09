"""Reads a message from a TOML file, and reports all wrong keys at once.

Keys are the names of fields. Enum values have their short name (`TERMED` or `termed`); spans are
written as `"30 s"`, `"10 min"`, `"1 h"` or `"7 d"`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
SPAN = re.compile(r"(\d+)\s*(s|min|h|d)")
SCALARS: Mapping[int, tuple[type | tuple[type, ...], str]] = {
    FieldDescriptor.CPPTYPE_STRING: (str, "a text"),
    FieldDescriptor.CPPTYPE_BOOL: (bool, "true or false"),
    FieldDescriptor.CPPTYPE_INT32: (int, "a whole number"),
    FieldDescriptor.CPPTYPE_INT64: (int, "a whole number"),
    FieldDescriptor.CPPTYPE_UINT32: (int, "a whole number"),
    FieldDescriptor.CPPTYPE_UINT64: (int, "a whole number"),
    FieldDescriptor.CPPTYPE_DOUBLE: ((int, float), "a number"),
}


class WrongKeys(ValueError):
    """Keys of a TOML file are wrong. The message has one line for each key."""


def fill(
    message: Message,
    table: Mapping[str, object],
    *,
    output_only: Collection[str],
    required: Collection[str],
) -> None:
    """Fills the message from the table.

    A key in `output_only` counts as unknown. Raises WrongKeys if a key is unknown, has a wrong
    value, or is in `required` and missing.
    """
    wrong = list(_fill(message, table, at="", hidden=output_only))
    wrong += [f"{key}: is required" for key in required if table.get(key, "") == ""]
    if wrong:
        raise WrongKeys("\n".join(wrong))


def short_name(enum: EnumDescriptor, number: int) -> str:
    """Returns the value's name without the prefix of its enum, or its number if the name is
    unknown.
    """
    value = enum.values_by_number.get(number)
    return value.name.removeprefix(_prefix(enum)) if value else str(number)


def value_named(enum: EnumDescriptor, text: str) -> int | None:
    """Returns the number of the enum value with this short name, or None if there is no such value.

    The name may be written as in the protos (PER_SERVICE) or as on the command line (per-service).
    """
    name = _prefix(enum) + text.upper().replace("-", "_")
    return numbers_of(enum).get(name) or None


def numbers_of(enum: EnumDescriptor) -> dict[str, int]:
    """Returns the number of each value of the enum, by the full name of the value. A search in
    `values_by_name` would fail if the searched name contains bytes that are not UTF-8.
    """
    return {value.name: value.number for value in enum.values}


def _prefix(enum: EnumDescriptor) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum.name).upper() + "_"


def _fill(
    message: Message, table: Mapping[str, object], *, at: str, hidden: Collection[str] = ()
) -> Iterator[str]:
    fields: dict[str, Any] = {
        field.name: field for field in message.DESCRIPTOR.fields if field.name not in hidden
    }
    for key, value in table.items():
        field = fields.get(key)
        if field is None:
            near = difflib.get_close_matches(key, fields, n=1)
            yield f"{at}{key}: unknown key" + (f"; did you mean {near[0]}?" if near else "")
            continue
        try:
            yield from _set(message, field, value, at=f"{at}{key}")
        except ValueError as error:
            yield f"{at}{key}: {error}"


def _set(message: Message, field: FieldDescriptor, value: object, *, at: str) -> Iterator[str]:
    current = getattr(message, field.name)
    if field.message_type and field.message_type.GetOptions().map_entry:
        for key, text in _table(value).items():
            if isinstance(text, str):
                current[key] = text
            else:
                yield f"{at}.{key}: {text!r} is not a text"
    elif field.is_repeated:
        yield from _set_list(current, field, value, at=at)
    elif field.message_type and field.message_type.full_name == "google.protobuf.Duration":
        current.FromTimedelta(span_of(value))
    elif field.message_type:
        current.SetInParent()
        yield from _fill(current, _table(value), at=f"{at}.")
    else:
        setattr(message, field.name, _scalar(field, value))


def _set_list(current: Any, field: FieldDescriptor, value: object, *, at: str) -> Iterator[str]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is not a list")
    for n, element in enumerate(value):
        try:
            if field.message_type:
                yield from _fill(current.add(), _table(element), at=f"{at}[{n}].")
            else:
                current.append(_scalar(field, element))
        except ValueError as error:
            yield f"{at}[{n}]: {error}"


def _table(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is not a table")
    return value


def span_of(value: object) -> timedelta:
    """Returns the duration in the text. Raises ValueError if the value is not a text with a
    duration.
    """
    found = SPAN.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f'{value!r} is not a span like "30 s", "10 min", "1 h" or "7 d"')
    try:
        return timedelta(**{UNITS[found[2]]: int(found[1])})
    except OverflowError:
        raise ValueError(f"{value!r} is too long") from None


def _scalar(field: FieldDescriptor, value: object) -> object:
    if field.enum_type:
        return enum_value(field.enum_type, value)
    wanted, words = SCALARS[field.cpp_type]
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise ValueError(f"{value!r} is not {words}")
    return value


def enum_value(enum: EnumDescriptor, value: object) -> int:
    """Returns the number of the enum value with this short name. Raises ValueError if there is no
    such value.
    """
    number = value_named(enum, value) if isinstance(value, str) else None
    if number is None:
        names = [short_name(enum, number) for number in enum.values_by_number if number]
        raise ValueError(f"{value!r} is not one of {', '.join(names)}")
    return number
