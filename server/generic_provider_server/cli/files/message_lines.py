"""Reads a text of messages: one JSON object on each line, or CSV whose columns are paths."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import click
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from .csv_rows import cells_of, delimiter_of
from .field_paths import is_map, nested, no_field, why_unknown
from .text import Text, not_utf8
from .times import timestamp_of
from .toml_messages import enum_value, numbers_of

M = TypeVar("M", bound=Message)

TIMESTAMP = "google.protobuf.Timestamp"
BOOLEANS = {"true": True, "false": False}
JSON_SUFFIXES = {".json", ".jsonl", ".ndjson"}
ESCAPED = re.compile("[\udc80-\udcff]")
"""The characters that replace bytes that are not UTF-8 (`errors="surrogateescape"`)."""
LONE = re.compile("[\ud800-\udfff]")
"""Matches half of a UTF-16 surrogate pair. JSON may contain such a half, but text in UTF-8 cannot.
"""
LONGEST = 1024 * 1024
"""The greatest length of a line in bytes. Usual messages are much shorter, and a line of this
length fits into a call.
"""


class Source(NamedTuple):
    number: int
    source: bytes
    """The line as it is in the text, without the line end."""
    fields: dict[str, Any] | str
    """The fields of the message, or the reason why the line is wrong."""


def is_csv(text: Text) -> bool:
    """Tells whether the text is CSV. If the name of the file contains no suffix of CSV or JSON, the
    first line decides: it is either JSON or a heading of CSV.
    """
    suffixes = {suffix.lower() for suffix in Path(text.name).suffixes}
    if ".csv" in suffixes or suffixes & JSON_SUFFIXES:
        return ".csv" in suffixes
    first = next((line.strip() for line in text if line.strip()), b"{")
    return not first.startswith((b"{", b"["))


def sources(text: Text, of: Descriptor, *, beside: Collection[str] = ()) -> Iterator[Source]:
    """Reads the lines that are not empty. `beside`: names of CSV columns that are not paths."""
    return _rows(text, of, beside) if is_csv(text) else _objects(text)


def message_of(fields: dict[str, Any] | str, message: M) -> M:
    """Fills the message with the fields. Raises ValueError with the reason if a field is wrong."""
    if isinstance(fields, str):
        raise ValueError(fields)
    try:
        return ParseDict(_as_proto(fields, cast(Descriptor, message.DESCRIPTOR)), message)
    except ParseError as error:
        raise ValueError(str(error).partition("\n")[0]) from error


def _objects(text: Text) -> Iterator[Source]:
    for number, source in enumerate(text, start=1):
        if source.strip():
            yield Source(number, source, _object(source))


def _rows(text: Text, of: Descriptor, beside: Collection[str]) -> Iterator[Source]:
    # if one line contains bytes that are not UTF-8, the other lines are still valid
    lines = ((n, line, line.decode(errors="surrogateescape")) for n, line in enumerate(text, 1))
    _, _, heading = next(lines, (0, b"", ""))
    delimiter = delimiter_of(heading)
    columns = _columns(text, heading, delimiter)
    _check(text, columns, of, beside)
    for number, source, line in lines:
        if line.strip(delimiter + " "):
            yield Source(number, source, _fields(columns, line, delimiter, beside))


def _columns(text: Text, heading: str, delimiter: str) -> list[str]:
    try:
        return cells_of(heading, delimiter)
    except ValueError as wrong:
        raise click.UsageError(f"{text.name}, line 1: {wrong}") from None


def _check(text: Text, columns: list[str], of: Descriptor, beside: Collection[str]) -> None:
    paths = [path for path in columns if path and path not in beside]
    reasons = {path: why_unknown(path, of, beside=beside) for path in paths}
    wrong = [f"column {path!r}: {reason}" for path, reason in reasons.items() if reason]
    if len(reasons) < len(paths):
        wrong.append("a column is named twice")
    if wrong:
        raise click.UsageError("\n".join([f"{text.name}:", *wrong]))


def _object(source: bytes) -> dict[str, Any] | str:
    if len(source) > LONGEST:
        return "is longer than 1 MiB"
    try:
        fields = json.loads(source)
    except UnicodeDecodeError as error:
        return not_utf8(error.object[error.start])
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    return fields if isinstance(fields, dict) else "not a JSON object"


def _fields(
    columns: list[str], line: str, delimiter: str, beside: Collection[str]
) -> dict[str, Any] | str:
    try:
        cells = cells_of(line, delimiter)
    except ValueError as wrong:
        return str(wrong)
    while len(cells) > len(columns) and not cells[-1]:
        cells.pop()
    if len(cells) != len(columns):
        return f"has {len(cells)} cells, and the heading has {len(columns)}"
    named = [(name, cell) for name, cell in zip(columns, cells, strict=True) if name or cell]
    if nameless := [cell for name, cell in named if not name]:
        return f"{nameless[0]!r} stands in a column without a heading"
    for name, cell in named:
        if escaped := ESCAPED.search(cell):
            return not_utf8(ord(escaped[0]) & 0xFF, column=name)
    others = {name: cell for name, cell in named if name in beside}
    return {**others, **nested((name, cell) for name, cell in named if name not in beside)}


def _as_proto(fields: dict[str, Any], of: Descriptor, *, at: str = "") -> dict[str, Any]:
    """Replaces short names of enum values by numbers, and texts like "true" by booleans.

    Raises ValueError with the path of a wrong field.
    """
    known = {name: field for field in of.fields for name in (field.name, field.json_name)}
    if unknown := [key for key in fields if key not in known]:
        raise ValueError(f"{at and at[:-1] + ': '}{no_field(unknown[0], of)}")
    chosen = dict[str, str]()
    for key in (key for key, value in fields.items() if value is not None):
        choice = known[key].containing_oneof
        if choice and chosen.setdefault(choice.name, key) != key:
            raise ValueError(f"{at}{chosen[choice.name]} and {key} do not go together")
    return {key: _value(value, known[key], at=f"{at}{key}") for key, value in fields.items()}


def _value(value: Any, field: FieldDescriptor, *, at: str) -> Any:
    match value:
        case list():
            return [_value(each, field, at=f"{at}[{n}]") for n, each in enumerate(value)]
        case dict() if field.message_type and not is_map(field):
            return _as_proto(value, field.message_type, at=f"{at}.")
    try:
        return _single(value, field)
    except ValueError as wrong:
        raise ValueError(f"{at}: {wrong}") from None


def _single(value: Any, field: FieldDescriptor) -> Any:
    match value:
        case str() if field.enum_type and not value.isdigit():
            number = numbers_of(field.enum_type).get(value)
            return enum_value(field.enum_type, value) if number is None else number
        case str() if field.message_type and field.message_type.full_name == TIMESTAMP:
            return timestamp_of(value)
        case str() if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            if value.lower() not in BOOLEANS:
                raise ValueError(f"{value!r} is neither true nor false")
            return BOOLEANS[value.lower()]
        case str() if lone := LONE.search(value):
            raise ValueError(f"{lone[0]!r} is not a character")
        case int() | float() if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            raise ValueError(f"{json.dumps(value)} is not a text: put it between quotation marks")
    return value
