"""Reads times. One without a time zone is meant in the zone of whoever wrote it on this machine."""

from __future__ import annotations

from datetime import datetime
from functools import cache

import click


def time_of(text: str) -> datetime:
    """Of an option. Says how it took a time without a zone. Raises ValueError."""
    given = datetime.fromisoformat(text)
    if given.utcoffset() is not None:
        return given
    taken = given.astimezone()
    click.echo(f"{text} is taken as {taken.isoformat()}, the time zone of this machine", err=True)
    return taken


def timestamp_of(text: str) -> str:
    """Of a line, in the form of the contract; what is no time is left as it is."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        return text
    if given.utcoffset() is not None:
        return text
    _say_once()
    return given.astimezone().isoformat()


@cache
def _say_once() -> None:
    zone = datetime.now().astimezone().strftime("%Z")
    click.echo(f"Times without a time zone are taken in that of this machine, {zone}.", err=True)
