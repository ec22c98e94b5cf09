"""Makes random messages."""

from __future__ import annotations

import random
from typing import Any

from google.protobuf.message import Message


def fill(message: Message, dice: random.Random, *, depth: int) -> None:
    for field in message.DESCRIPTOR.fields:
        if dice.random() < 0.4 or (field.message_type and not depth):
            continue
        current = getattr(message, field.name)
        if field.message_type and field.message_type.GetOptions().map_entry:
            current["k"] = "v"
        elif field.message_type and field.is_repeated:
            fill(current.add(), dice, depth=depth - 1)
        elif field.message_type:
            current.SetInParent()
            fill(current, dice, depth=depth - 1)
        elif field.is_repeated:
            current.append(scalar(field, dice))
        else:
            setattr(message, field.name, scalar(field, dice))


def scalar(field: Any, dice: random.Random) -> Any:
    if field.cpp_type == field.CPPTYPE_STRING:
        return dice.choice(["", "P", "Q", "MAIN", "S1", "SMARTCARD", "R0000000001", "ø" * 80])
    if field.cpp_type == field.CPPTYPE_BOOL:
        return dice.random() < 0.5
    large = field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64)
    largest = 2**62 if large else 2**31 - 1
    return dice.choice([0, 1, 2, 3, 30, largest])
