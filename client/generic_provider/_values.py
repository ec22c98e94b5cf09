"""Converts plain Python values to values of the protos."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

CODE_LENGTH = 64


def instant(argument: str, value: object) -> Timestamp | None:
    if value is None:
        return None
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise ValueError(f"{argument} must be a datetime with a time zone, not {value!r}")
    timestamp = Timestamp()
    try:
        timestamp.FromDatetime(value)
    except OverflowError:
        raise ValueError(f"{argument} is outside of the years 1 to 9999: {value!r}") from None
    return timestamp


def span(argument: str, value: timedelta | None) -> Duration | None:
    if value is None:
        return None
    duration = Duration()
    duration.FromTimedelta(timedelta_of(argument, value))
    return duration


def timedelta_of(argument: str, value: timedelta) -> timedelta:
    if not isinstance(value, timedelta):
        raise TypeError(f"{argument} must be a timedelta, not {value!r}")
    return value


def text(argument: str, value: object) -> str:
    if isinstance(value, Message):  # its contents may fill a screen
        raise TypeError(f"{argument} must be a text, not a message {type(value).__name__}")
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a text, not {value!r}")
    return value


def several(argument: str, values: Iterable[str]) -> list[str]:
    """Returns the values. Raises TypeError for a single text, because Python would treat it as a
    list of letters, and for values that are not texts.
    """
    if isinstance(values, str):
        raise TypeError(f"{argument} must be several texts, not {values!r}")
    return [text(f"each of {argument}", each) for each in values or ()]


def code(argument: str, value: str) -> str:
    """Returns a code or a name. Raises TypeError or ValueError if no server would accept it."""
    if not text(argument, value).strip():
        raise ValueError(f"{argument} must not be empty")
    if value != value.strip() or len(value) > CODE_LENGTH:
        limits = f"at most {CODE_LENGTH} characters, without blanks at its beginning or end"
        raise ValueError(f"{argument} must have {limits}, not {value!r}")
    return value


def number(argument: str, value: str | int | None) -> str:
    """Returns, as a text, a number that a platform has given; an empty text for None.

    Raises TypeError or ValueError if the value cannot be such a number.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise TypeError(f"{argument} must be a text, not {value!r}")
    found = text_of(value)
    if len(found) > CODE_LENGTH:
        raise ValueError(f"{argument} has up to {CODE_LENGTH} characters, not {len(found)}")
    return found


def text_of(value: object) -> str:
    """Returns the value as a text; an empty text for None. Replaces each lone surrogate by a
    question mark, because UTF-8 cannot encode a lone surrogate.
    """
    if value is None:
        return ""
    # a str is not converted, because str() of a member of an enumeration returns the member's name
    words = value if isinstance(value, str) else str(value)
    return words.encode(errors="replace").decode()
