"""Writes a message as TOML, in the form that `toml_messages.fill` reads."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from .toml_messages import short_name

BARE = re.compile(r"[A-Za-z0-9_-]+")
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def toml_of(message: Message, *, leave_out: Collection[str]) -> str:
    """Returns the set fields as TOML, one field on each line.

    In a list of messages, each message is on its own line.
    """
    return "".join(
        f"{field.name} = {_value(field, value, lines=True)}\n"
        for field, value in message.ListFields()
        if field.name not in leave_out
    )


def _value(field: FieldDescriptor, value: Any, *, lines: bool = False) -> str:
    if field.message_type and field.message_type.GetOptions().map_entry:
        return _table(f"{_key(key)} = {_text(value[key])}" for key in sorted(value))
    if not field.is_repeated:
        return _one(field, value)
    each = [_one(field, one) for one in value]
    if lines and field.message_type:
        return "[\n" + "".join(f"    {one},\n" for one in each) + "]"
    return f"[{', '.join(each)}]"


def _one(field: FieldDescriptor, value: Any) -> str:
    if field.enum_type:
        return json.dumps(short_name(field.enum_type, value))
    if isinstance(value, Duration):
        return json.dumps(_span(value.ToTimedelta()))
    if isinstance(value, Message):
        return _table(f"{each.name} = {_value(each, part)}" for each, part in value.ListFields())
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(value: str) -> str:
    """Returns the text between quotation marks. Characters that a terminal cannot show are escaped
    by this function and not by `json`, because JSON needs two escapes for some characters, which
    TOML does not allow.
    """
    text = json.dumps(value, ensure_ascii=False)
    return "".join([each if each.isprintable() else f"\\U{ord(each):08x}" for each in text])


def _table(entries: Iterator[str]) -> str:
    return f"{{ {', '.join(entries)} }}"


def _key(name: str) -> str:
    return name if BARE.fullmatch(name) else _text(name)


def _span(span: timedelta) -> str:
    """Returns the span in the form that `fill` reads, in the largest unit that needs no fraction. A
    fraction of a second is rounded.
    """
    seconds = round(span.total_seconds())
    unit, size = next(each for each in UNITS if seconds % each[1] == 0)
    return f"{seconds // size} {unit}"
