"""Describes the settings, and reads the settings from command-line options, environment variables
and a TOML file.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

import msgspec

from .config import Settings
from .store.database.urls import hidden

PREFIX = "GENERIC_PROVIDER_"
WORDS: Mapping[Any, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Path | None: "a path",
}


class WrongSettings(ValueError):
    """The settings are wrong. The message has one or several lines, each about one error."""


class Described(NamedTuple):
    """The description of one setting in help texts and tables."""

    name: str
    type: Any
    default: object
    description: str

    @property
    def option(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed values; empty if any value of the type is allowed."""
        return tuple(self.plain) if isinstance(self.plain, type(StrEnum)) else ()

    @property
    def wanted(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        limits = get_args(self.type)[1]
        within = "" if limits.ge is None else f" from {limits.ge} to {limits.le}"
        return WORDS[self.plain] + within

    @property
    def plain(self) -> Any:
        return get_args(self.type)[0]


class Given(NamedTuple):
    """A value, and its origin: an option, a variable or the file. `typed`: true if the value comes
    from the file, where values have types.
    """

    value: object
    origin: str
    typed: bool = False


class InForce(NamedTuple):
    settings: Settings
    origins: Mapping[str, str]

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Returns the name, the value and the origin of every setting.

        A password in the database URL is hidden.
        """
        for name, origin in self.origins.items():
            value = getattr(self.settings, name)
            yield name, hidden(_text(value)) if "database" in name else _text(value), origin


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def _described() -> Iterator[Described]:
    hints = get_type_hints(Settings, include_extras=True)
    for field in msgspec.structs.fields(Settings):
        kind = hints[field.name]
        yield Described(field.name, kind, field.default, get_args(kind)[1].description)


DESCRIBED: Mapping[str, Described] = {setting.name: setting for setting in _described()}


def read_settings(
    options: Mapping[str, object],
    *,
    file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> InForce:
    """Reads all settings. The value of a setting is its option; else its environment variable; else
    its value in the file; else the default.

    An option with the value None is absent. Raises WrongSettings, but not always with all errors:
    values are examined only if the file is right, and addresses and combinations of settings are
    examined only if every value has the right type.
    """
    given = {
        **_from_file(file),
        **_from_environment(environment),
        **{
            name: Given(value, f"option {DESCRIBED[name].option}")
            for name, value in options.items()
            if value is not None
        },
    }
    values, wrong = _converted(given)
    if wrong:
        raise WrongSettings("\n".join(wrong))
    origins = {name: given[name].origin if name in given else "default" for name in DESCRIBED}
    try:
        return InForce(Settings(**values), origins)
    except ValueError as error:
        raise WrongSettings(str(error)) from None


def _from_file(file: Path | None) -> dict[str, Given]:
    if file is None:
        return {}
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise WrongSettings(f"{file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise WrongSettings(f"{file}: {error}") from None
    unknown = sorted(table.keys() - DESCRIBED)
    if unknown:
        raise WrongSettings("\n".join(f"{file}: {_unknown(name)}" for name in unknown))
    return {name: Given(value, f"file {file}", typed=True) for name, value in table.items()}


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, DESCRIBED, n=1)
    return f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else "")


def _from_environment(environment: Mapping[str, str]) -> dict[str, Given]:
    return {
        name: Given(environment[setting.variable], f"environment {setting.variable}")
        for name, setting in DESCRIBED.items()
        if setting.variable in environment
    }


def _converted(given: Mapping[str, Given]) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    wrong = []
    for name, (value, origin, typed) in given.items():
        setting = DESCRIBED[name]
        try:
            values[name] = msgspec.convert(value, setting.type, strict=typed, dec_hook=_path)
        except msgspec.ValidationError:
            # The URL of a database may contain a password, so the error does not show the URL.
            shown = "the value" if "database" in name else repr(value)
            wrong.append(f"{name} ({origin}): {shown} is not {setting.wanted}")
    return values, wrong


def _path(kind: type, value: object) -> Path:
    if kind is not Path or not isinstance(value, str) or not value:
        raise ValueError("Expected a path")
    return Path(value)
