"""Reads a file of actions: one JSON object on each line, or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import NAMESPACE_OID, UUID, uuid5

import click
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError

from generic_provider import PerformActionRequest

from .field_paths import nested, why_unknown
from .toml_messages import short_name

BOOLEANS = {"true": True, "false": False}
LONGEST = 1024 * 1024
"""The most bytes of a line: far more than an action can have, and little enough for one call."""
ACTION = "action"
"""The column that names an action without fields."""


class Line(NamedTuple):
    number: int
    source: bytes
    """The line exactly as in the file."""
    request: PerformActionRequest | None
    wrong: str = ""
    """The reason why there is no request; empty if there is one."""


class Lines:
    """The lines of a file. They can be read once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._is_csv = ".csv" in [suffix.lower() for suffix in file.suffixes]
        self._times: Counter[UUID] = Counter()

    def heading(self) -> bytes:
        """The heading of a CSV file, which precedes the lines."""
        if not self._is_csv:
            return b""
        with self._file.open("rb") as source:
            return source.readline()

    def __iter__(self) -> Iterator[Line]:
        for number, source, fields in self._rows() if self._is_csv else self._objects():
            if isinstance(fields, str):
                yield Line(number, source, None, fields)
                continue
            try:
                request = ParseDict(
                    _as_proto(fields, PerformActionRequest.DESCRIPTOR), PerformActionRequest()
                )
            except (ParseError, ValueError) as error:
                yield Line(number, source, None, str(error).partition("\n")[0])
                continue
            request.request_id = request.request_id or self._request_id(fields)
            yield Line(number, source, request)

    def _objects(self) -> Iterator[tuple[int, bytes, dict[str, Any] | str]]:
        with self._file.open("rb") as lines:
            for number, source in enumerate(lines, start=1):
                if source.strip():
                    yield number, source, _object(source)

    def _rows(self) -> Iterator[tuple[int, bytes, dict[str, Any] | str]]:
        # Bytes that are not text make one line wrong, not the whole file.
        with self._file.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as lines:
            rows = csv.reader(lines)
            columns = next(rows, [])
            self._check(columns)
            try:
                for cells in rows:
                    if cells:
                        yield rows.line_num, _row(cells), _fields(columns, cells)
            except csv.Error as error:
                raise click.ClickException(f"{self._file}, line {rows.line_num}: {error}") from None

    def _check(self, columns: list[str]) -> None:
        paths = [path for path in columns if path != ACTION]
        reasons = {path: why_unknown(path, PerformActionRequest.DESCRIPTOR) for path in paths}
        wrong = [f"column {path!r}: {reason}" for path, reason in reasons.items() if reason]
        if len({*columns}) < len(columns):
            wrong.append("a column is named twice")
        if wrong:
            raise click.UsageError("\n".join([f"{self._file}:", *wrong]))

    def _request_id(self, fields: dict[str, Any]) -> str:
        """A request id that is the same for the same line of a file of the same name, in any
        position.
        """
        says = json.dumps(fields, sort_keys=True)
        line = uuid5(NAMESPACE_OID, f"{self._file.name}\n{says}")
        self._times[line] += 1
        return str(uuid5(line, str(self._times[line])))


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


def _fields(columns: list[str], cells: list[str]) -> dict[str, Any] | str:
    if len(cells) != len(columns):
        return f"has {len(cells)} cells, and the heading has {len(columns)}"
    named = dict(zip(columns, map(str.strip, cells), strict=True))
    action = named.pop(ACTION, "").lower().replace("-", "_")
    fields = nested(named.items())
    return {action: {}, **fields} if action else fields


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
