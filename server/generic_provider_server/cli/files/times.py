"""Reads times. A time without a time zone is a time in the zone of this machine."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

from ...desk.output import say, say_folded


def time_of(text: str) -> datetime:
    """Returns the time in the value of an option.

    If the text has no time zone, the time is in the time zone of this machine, and the function
    prints the time with this zone. Raises ValueError if the text is not a time.
    """
    given = _given(text)
    if given.utcoffset() is not None:
        return given
    taken = given.astimezone()
    zone = "in the time zone of this machine"
    say_folded(f"{text} is taken as {taken.isoformat()}, {zone}", err=True)
    return taken


def timestamp_of(text: str) -> str:
    """Converts the time in the text of a field to a text with a time zone. Raises ValueError if the
    text is not a time.
    """
    given = _given(text)
    if given.utcoffset() is None:
        _say_once()
        given = given.astimezone()
    return given.isoformat()


def _given(text: str) -> datetime:
    try:
        given = datetime.fromisoformat(text)
        given.astimezone(UTC)  # fails if the time is outside of the years 1 to 9999
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a time like 2030-01-31T02:00Z") from None
    return given


@cache
def _say_once() -> None:
    zone = datetime.now().astimezone().strftime("%Z")
    say(f"Times without a time zone are times in the zone of this machine, {zone}.", err=True)
