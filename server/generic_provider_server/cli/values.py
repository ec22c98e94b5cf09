"""Defines the types of options and arguments, which convert a typed text to a value."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import click

from generic_provider.enumeration import Enumeration

from .files.times import time_of
from .files.toml_messages import span_of

WIDEST = 60
IDS = {
    "A": "an action",
    "D": "a definition of reset runs",
    "R": "a request",
    "S": "a subscription",
    "U": "a reset run",
    "Z": "an archive",
}
"""For the first letter of an id that the server has assigned: the kind of object."""
DAY_SECONDS = 86_400
MOST_INT32, MOST_UINT32 = 2**31 - 1, 2**32 - 1
MOST_INT64, MOST_UINT64 = 2**63 - 1, 2**64 - 1
"""The greatest numbers that fields of messages can hold."""


class Number(click.FloatRange):
    """A number between two limits."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):  # NaN is in no range, but FloatRange accepts it
            self.fail(f"{value} is not a number.", param, ctx)
        return number


class Seconds(Number):
    """A number of seconds, up to a day."""

    def __init__(self, least: float = 0.1) -> None:
        super().__init__(least, DAY_SECONDS)


class Named(click.ParamType[str]):
    """A value of an enumeration, written as its short name in lower-case letters (`out-of-sync`),
    or as results show the value (`OUT_OF_SYNC`).
    """

    name = "name"

    def __init__(self, kind: type[Enumeration] | None = None, *, only: Iterable[str] = ()) -> None:
        names = only or [name for name in vars(kind) if name.isupper()]
        self.names = [*names]
        self._choice = click.Choice([kebab(name) for name in names])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        chosen = kebab(str(value))
        if chosen not in self._choice.choices:
            self._choice.convert(value, param, ctx)  # fails, and names the value as it was typed
        return chosen.upper().replace("-", "_")

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        return self._choice.get_metavar(param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        return self._choice.shell_complete(ctx, param, incomplete)


class NamedOption(click.Option):
    """An option whose value is Named. If the names are too long for a line, the help lists them
    with underscores, because the help breaks lines after a hyphen.
    """

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        if isinstance(self.type, Named) and len("|".join(self.type.names)) > WIDEST:
            self.metavar = "NAME"
            self.help = f"{self.help} One of {', '.join(self.type.names)}."


class Id(click.ParamType[str]):
    """An id that the server has assigned to an object of certain kinds.

    `letters`: the first letters of ids of these kinds. `instead`: for the letter of another kind,
    the advice at the end of the error; `{}` in the advice stands for the given id.
    """

    name = "id"

    def __init__(self, letters: str, **instead: str) -> None:
        self._letters, self._instead = letters, instead

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        given, letter = str(value), str(value)[:1]
        if letter not in self._letters and letter in IDS and re.fullmatch(r"[0-9]{10,}", given[1:]):
            advice = self._instead.get(letter, "").format(given)
            wanted = " or ".join([f"{IDS[each]} ({each}…)" for each in self._letters])
            self.fail(f"{given} is {IDS[letter]}; give {wanted}{advice}", param, ctx)
        return given


class Instant(click.ParamType[datetime]):
    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        try:
            return value if isinstance(value, datetime) else time_of(value)
        except ValueError:
            self.fail(f"{value!r} is not a time like 2030-01-31T18:00+02:00", param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        return "YYYY-MM-DDTHH:MMZ"


class Span(click.ParamType[timedelta]):
    name = "span"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        try:
            return value if isinstance(value, timedelta) else span_of(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Parts(click.ParamType[dict[str, Any]]):
    """The fields of a message, with colons between them. The first `optional` fields may be left
    out.
    """

    name = "parts"

    def __init__(self, *fields: str, optional: int = 0) -> None:
        self.fields, self.optional = fields, optional

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        texts = value.split(":", len(self.fields) - 1)
        left_out = len(self.fields) - len(texts)
        if left_out > self.optional or "" in texts:
            self.fail(f"{value!r} is not {self._pattern()}", param, ctx)
        return dict(zip(self.fields[left_out:], texts, strict=True))

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        return self._pattern()

    def _pattern(self) -> str:
        names = [name.upper() for name in self.fields]
        optional = [f"[{name}:]" for name in names[: self.optional]]
        return "".join(optional) + ":".join(names[self.optional :])


class Entry(click.ParamType[tuple[str, str]]):
    """An entry of a map, written as KEY=VALUE."""

    name = "KEY=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, equals, text = value.partition("=")
        if not equals:
            self.fail(f"{value!r} is not {self.name}", param, ctx)
        return key, text


INSTANT = Instant()
SPAN = Span()


def kebab(name: str) -> str:
    return name.lower().replace("_", "-")
