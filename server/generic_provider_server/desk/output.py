"""Prints results: as tables for people, or as one JSON object per line for programs."""

from __future__ import annotations

import codecs
import csv
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click
from google.protobuf.json_format import MessageToDict, MessageToJson
from google.protobuf.message import Message

from ..visible import visible
from .folding import folded_lines
from .tables import heading_and_rows

if TYPE_CHECKING:
    from rich.console import Console

M = TypeVar("M", bound=Message)
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


class Output(NamedTuple):
    as_json: bool = False

    def message(self, message: Message, *lines: str) -> None:
        """Prints one message: as JSON, or as `lines` for people."""
        if self.as_json:
            say(one_line(message))
        else:
            say_folded(*lines)

    def messages(self, messages: Iterable[M], columns: Mapping[str, Callable[[M], object]]) -> bool:
        """Prints many messages: as JSON, or as a table with a row for each message. The functions
        in `columns` compute the cells. If the table has no row, prints "nothing found" on standard
        error, because a filter may contain a wrong name. Returns True if there was a message.
        """
        if not self.as_json:
            rows = [[cell(message) for cell in columns.values()] for message in messages]
            show_table(columns, rows)
            if not rows:
                say("nothing found", err=True)
            return bool(rows)
        found = False
        for message in messages:
            say(one_line(message))
            found = True
        return found


def say(*lines: str, err: bool = False) -> None:
    """Prints the lines, with escapes instead of control characters. The commands print results only
    through this function or through tables, so that no text of a platform, an adapter or a caller
    controls the terminal.

    Errors are written to `sys.stderr`. A progress bar replaces this object while it is shown, so
    that a line does not appear on the line of the bar. `click.echo(err=True)` would write to the
    original standard error, even while the progress bar replaces it.
    """
    for line in lines:
        click.echo(visible(line), file=sys.stderr if err else None)


def say_folded(*lines: str, err: bool = False) -> None:
    """Prints the lines like `say`, but folds long lines if the output is a terminal."""
    if not (sys.stderr if err else sys.stdout).isatty():
        say(*lines, err=err)
        return
    width = console().width
    for line in lines:
        say(*folded_lines(visible(line), width), err=err)


def one_line(message: Message) -> str:
    return MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=None,
        ensure_ascii=_needs_ascii(),
    )


def short_line(message: Message) -> str:
    """Returns the message as one line of JSON, without unset fields."""
    return MessageToJson(
        message, preserving_proto_field_name=True, indent=None, ensure_ascii=_needs_ascii()
    )


def plain(message: Message) -> dict[str, Any]:
    """Returns the JSON form of the message as a dictionary."""
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def json_line(value: object) -> str:
    return json.dumps(value, ensure_ascii=_needs_ascii())


def _needs_ascii() -> bool:
    """Tells whether standard output cannot encode all characters."""
    return codecs.lookup(sys.stdout.encoding or "ascii").name != "utf-8"


def show_table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Prints a table that fits the terminal.

    If the output is no terminal, lines may have any length.
    """
    width = console().width if sys.stdout.isatty() else None
    cells = [[visible(str(cell)) for cell in row] for row in rows]
    heading, lines = heading_and_rows([*columns], cells, width=width)
    for line in heading:
        click.echo(click.style(line, bold=True))
    for line in lines:
        click.echo(line)


def write_csv(heading: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(heading)
    for row in rows:
        writer.writerow([_plain_cell(visible(str(cell))) for cell in row])


def _plain_cell(text: str) -> str:
    """Adds an apostrophe at the beginning of a text that a spreadsheet would run as a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def console() -> Console:
    """Returns a console on the current standard output."""
    from rich.console import Console  # noqa: PLC0415 - most commands need no console

    return Console(highlight=False, markup=False)


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def moment(message: Message, field: str) -> str:
    """Returns a timestamp field of the message in UTC, to the second; empty if the field is not
    set.
    """
    if not message.HasField(field):
        return ""
    return f"{getattr(message, field).ToDatetime():%Y-%m-%d %H:%M:%SZ}"


def age(message: Message, field: str) -> str:
    """Returns in words how long ago the time in a field was, by this machine's clock, for example
    "2 h 5 min".
    """
    return _in_two_units(datetime.now(UTC) - getattr(message, field).ToDatetime(UTC))


def time_until(message: Message, field: str) -> str:
    """Returns in words how far in the future the time in a field is, for example "2 h 5 min"."""
    return _in_two_units(getattr(message, field).ToDatetime(UTC) - datetime.now(UTC))


def _in_two_units(span: timedelta) -> str:
    left, parts = max(0, int(span.total_seconds())), list[str]()
    for size, unit in UNITS:
        if left >= size:
            parts.append(f"{left // size} {unit}")
        left %= size
    return " ".join(parts[:2]) or "0 s"


def span(message: Message, field: str) -> str:
    """Returns a duration field of the message, to the second; empty if the field is not set."""
    if not message.HasField(field):
        return ""
    return in_words(timedelta(seconds=round(getattr(message, field).ToTimedelta().total_seconds())))


def in_words(span: timedelta) -> str:
    """Returns the duration in words, in the largest unit that needs no fraction."""
    for size, unit in UNITS[:-1]:
        if span and span.total_seconds() % size == 0:
            return f"{span.total_seconds() / size:g} {unit}"
    return f"{span.total_seconds():g} s"
