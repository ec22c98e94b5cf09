"""Reads a file of messages: one JSON object on each line, or CSV whose columns are paths."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import click
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from .field_paths import nested, why_unknown
from .toml_messages import short_name

M = TypeVar("M", bound=Message)

BOOLEANS = {"true": True, "false": False}
LONGEST = 1024 * 1024
"""The most bytes of a line: far more than a message can have, and little enough for one call."""


class Source(NamedTuple):
    number: int
    source: bytes
    """The line exactly as in the file."""
    fields: dict[str, Any] | str
    """The fields of the message, or the reason why the line has none."""


def is_csv(file: Path) -> bool:
    return ".csv" in [suffix.lower() for suffix in file.suffixes]


def sources(file: Path, of: Descriptor, *, beside: Collection[str] = ()) -> Iterator[Source]:
    """Reads the lines that are not empty. `beside` names columns of CSV that are not paths."""
    return _rows(file, of, beside) if is_csv(file) else _objects(file)


def message_of(fields: dict[str, Any] | str, message: M) -> M:
    """Fills the message with the fields. Raises ValueError with the reason why that fails."""
    if isinstance(fields, str):
        raise ValueError(fields)
    try:
        return ParseDict(_as_proto(fields, cast(Descriptor, message.DESCRIPTOR)), message)
    except ParseError as error:
        raise ValueError(str(error).partition("\n")[0]) from error


def _objects(file: Path) -> Iterator[Source]:
    with file.open("rb") as lines:
        for number, source in enumerate(lines, start=1):
            if source.strip():
                yield Source(number, source, _object(source))


def _rows(file: Path, of: Descriptor, beside: Collection[str]) -> Iterator[Source]:
    # Bytes that are not text make one line wrong, not the whole file.
    with file.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as lines:
        rows = csv.reader(lines)
        columns = next(rows, [])
        _check(file, columns, of, beside)
        try:
            for cells in rows:
                if cells:
                    yield Source(rows.line_num, _row(cells), _fields(columns, cells, beside))
        except csv.Error as error:
            raise click.ClickException(f"{file}, line {rows.line_num}: {error}") from None


def _check(file: Path, columns: list[str], of: Descriptor, beside: Collection[str]) -> None:
    paths = [path for path in columns if path not in beside]
    reasons = {path: why_unknown(path, of) for path in paths}
    wrong = [f"column {path!r}: {reason}" for path, reason in reasons.items() if reason]
    if len({*columns}) < len(columns):
        wrong.append("a column is named twice")
    if wrong:
        raise click.UsageError("\n".join([f"{file}:", *wrong]))


def _object(source: bytes) -> dict[str, Any] | str:
    if len(source) > LONGEST:
        return "is longer than 1 MiB"
    try:
        fields = json.loads(source)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    return fields if isinstance(fields, dict) else "not a JSON object"


def _row(cells: list[str]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerow(cells)
    return written.getvalue().encode(errors="surrogateescape")


def _fields(columns: list[str], cells: list[str], beside: Collection[str]) -> dict[str, Any] | str:
    if len(cells) != len(columns):
        return f"has {len(cells)} cells, and the heading has {len(columns)}"
    named = dict(zip(columns, map(str.strip, cells), strict=True))
    others = {name: named.pop(name) for name in beside if name in named}
    return {**others, **nested(named.items())}


def _as_proto(fields: dict[str, Any], of: Descriptor) -> dict[str, Any]:
    """Replaces short names of enum values by the contract's names, and texts of booleans by
    booleans.
    """
    known = {name: field for field in of.fields for name in (field.name, field.json_name)}
    return {
        key: _value(value, known[key]) if key in known else value for key, value in fields.items()
    }


def _value(value: Any, field: FieldDescriptor) -> Any:
    match value:
        case list():
            return [_value(each, field) for each in value]
        case dict() if field.message_type:
            return _as_proto(value, field.message_type)
        case str() if field.enum_type:
            values = field.enum_type.values
            names = {short_name(field.enum_type, each.number): each.name for each in values}
            return names.get(value.upper().replace("-", "_"), value)
        case str() if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            return BOOLEANS.get(value.lower(), value)
    return value
