"""Reads fields of messages, and collects all their violations."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import TypeVar
from unicodedata import category

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ..domain.refusals import InvalidField
from ..domain.values import SECOND, Instant

Chosen = TypeVar("Chosen", bound=IntEnum)
Part = TypeVar("Part")
Read = TypeVar("Read")

CODE, NAME, TEXT, CALLERS_ID = 64, 200, 1_000, 100
"""The greatest lengths in characters: CODE for codes and numbers, NAME for names and lines, TEXT
for descriptions, CALLERS_ID for ids that callers choose.
"""

MOST_PARAMETERS = 32
MOST_PARAMETER_BYTES = 4 * 1024
NANOS = 1_000_000_000
LONGEST_WAIT = 30
LONGEST_DURATION = 315_576_000_000
"""The greatest Duration in seconds."""

LAST_SECOND = 253_402_300_799
"""The greatest Timestamp in seconds: 9999-12-31T23:59:59Z."""

_NUMBERED = re.compile(r"([A-Z])([0-9]{10}|[1-9][0-9]{10,17})")


CONTROL = frozenset({"Cc", "Zl", "Zp"})
"""The Unicode categories of characters that a single line must not contain: control characters,
line and paragraph separators.
"""


def forbidden(value: str, *, most: int) -> str:
    """Returns the first forbidden character in the text; an empty text if there is none. `most`:
    the length limit of the text, which tells whether the text is a code, a name or a description.

    A code must contain no control or format characters. A name, or any other text of one line, must
    contain no control characters. A description may have several lines, but must contain no NUL.
    """
    if most >= TEXT:
        return "\x00" if "\x00" in value else ""
    categories = CONTROL | {"Cf"} if most <= CODE else CONTROL
    return next((each for each in value if category(each) in categories), "")


class Checks:
    """Collects the violations of one message. Read every field, then call `done`."""

    def __init__(self) -> None:
        self.violations: list[tuple[str, str]] = []

    def wrong(self, field: str, why: str) -> None:
        self.violations.append((field, why))

    def done(self) -> None:
        """Raises InvalidField with all violations if a field was wrong."""
        if self.violations:
            raise InvalidField(*self.violations)

    def text(self, field: str, value: str, *, most: int = CODE, required: bool = False) -> str:
        if required and (not value or value.isspace()):
            self.wrong(field, "is required")
        elif len(value) > most:
            self.wrong(field, f"has {len(value)} characters, at most {most} are allowed")
        elif most <= CODE and value != value.strip():
            self.wrong(field, "begins or ends with a blank")
        elif not value.isprintable() and (found := forbidden(value, most=most)):
            self.wrong(field, f"contains the character U+{ord(found):04X}")
        return value

    def code(self, field: str, value: str) -> str:
        return self.text(field, value, required=True)

    def numbered(self, field: str, value: str, *, letter: str) -> int:
        """Returns the number in an id such as R0000000042; 0 if the text is not an id of this form
        with this letter.
        """
        self.text(field, value, required=True)
        found = _NUMBERED.fullmatch(value)
        return int(found[2]) if found and found[1] == letter else 0

    def parameters(self, field: str, value: Mapping[str, str]) -> dict[str, str]:
        if not value:
            return {}
        entries = dict(value)
        size = sum(len(key.encode()) + len(entry.encode()) for key, entry in entries.items())
        if len(entries) > MOST_PARAMETERS:
            self.wrong(field, f"has {len(entries)} entries, at most {MOST_PARAMETERS} are allowed")
        elif self.size(field, size, most=MOST_PARAMETER_BYTES) and any(
            "\x00" in key + entry for key, entry in entries.items()
        ):
            self.wrong(field, "contains a NUL character")
        return entries

    def number(self, field: str, value: int, *, least: int, most: int) -> int:
        if not least <= value <= most:
            self.wrong(field, f"is {value}, allowed is {least} to {most}")
        return value

    def count(self, field: str, value: Sequence[object], *, least: int = 0, most: int) -> None:
        if len(value) < least:
            self.wrong(field, "is required" if least == 1 else f"needs at least {least}")
        elif len(value) > most:
            self.wrong(field, f"has {len(value)} entries, at most {most} are allowed")

    def size(self, field: str, size: int, *, most: int) -> bool:
        """Checks a size in bytes. Returns whether the size is allowed."""
        if size > most:
            self.wrong(field, f"has {size} bytes, at most {most} are allowed")
        return size <= most

    def once(self, field: str, values: Iterable[Hashable], *, what: str) -> None:
        """Checks that no value occurs twice. `what`: the word for such a value in the violation."""
        named = list(values)
        if len(set(named)) < len(named):
            self.wrong(field, f"contains {what} twice")

    def enum(self, field: str, value: int, *, default: Chosen, required: bool = False) -> Chosen:
        """Returns the value, or the default if the value is UNSPECIFIED or wrong."""
        if value == 0:
            if required:
                self.wrong(field, "is required")
            return default
        kind = type(default)
        try:
            return kind(value)
        except ValueError:
            self.wrong(field, f"{value} is not known")
            return default

    def enums(self, field: str, values: Sequence[int], kind: type[Chosen]) -> tuple[Chosen, ...]:
        self.count(field, values, most=100)
        first = next(iter(kind))
        if 0 in values:
            self.wrong(field, "contains UNSPECIFIED")
        return self.each(
            field, values[:100], lambda _, at, value: self.enum(at, value, default=first)
        )

    def instant(self, field: str, message: Message, *, required: bool = False) -> Instant | None:
        """Returns a Timestamp field of the message in microseconds since 1970, or None if the field
        is not set or is wrong. Parts of a microsecond are dropped.

        `field` is the path of the field in the request. The last part of the path is the field's
        name in `message`.
        """
        name = field.rpartition(".")[2]
        if not message.HasField(name):
            if required:
                self.wrong(field, "is required")
            return None
        value: Timestamp = getattr(message, name)
        if not (0 <= value.seconds <= LAST_SECOND and 0 <= value.nanos < NANOS):
            self.wrong(field, "is not an instant between 1970 and 9999")
            return None
        return Instant(value.seconds * SECOND + value.nanos // 1_000)

    def span(self, field: str, message: Message, *, least: float, most: float) -> int | None:
        """Returns a Duration field of the message in microseconds, or None if the field is not set
        or is wrong.

        `least` and `most` are in seconds.
        """
        name = field.rpartition(".")[2]
        if not message.HasField(name):
            return None
        value: Duration = getattr(message, name)
        span = value.seconds * SECOND + value.nanos // 1_000
        if abs(value.nanos) >= NANOS or not least * SECOND <= span <= most * SECOND:
            self.wrong(field, f"is not between {_spoken(least)} and {_spoken(most)}")
            return None
        return span

    def wait(self, request: Message) -> float:
        """Returns the seconds that the call may wait, at most LONGEST_WAIT, even if the caller asks
        for more.
        """
        span = self.span("wait", request, least=0, most=LONGEST_DURATION)
        return min((span or 0) / SECOND, LONGEST_WAIT)

    def each(
        self, field: str, parts: Sequence[Part], read: Callable[[Checks, str, Part], Read]
    ) -> tuple[Read, ...]:
        return tuple([read(self, f"{field}[{n}]", part) for n, part in enumerate(parts)])


def _spoken(seconds: float) -> str:
    days = seconds / 86_400
    return f"{days:.0f} d" if days >= 1 and days.is_integer() else f"{seconds:g} s"
