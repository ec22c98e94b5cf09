"""Replaces names of fields in an error of the server by options of the command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import click

from generic_provider import ProvisioningError
from generic_provider.v1.errors_pb2 import FieldViolation

from .values import Parts

E = TypeVar("E", bound=ProvisioningError)
OTHERS = {
    "platform_restored_to": "restored_to",
    "reference": "order",
    "run_at": "at",
    "schedule_time": "at",
    "subscriptions_per_second": "pace",
}
"""The name of the parameter for each field whose parameter has another name than the field."""
WORD = re.compile(r"(?<!['\"\w.-])[a-z]+(?:_[a-z]+)+(?!['\"\w.-])")
"""Matches the name of a field in a sentence, if the name has several words: a single word may be
ordinary English. Words in quotes are values.
"""
INDEX = re.compile(r"\[(\d*)[^\]]*\]")


def naming_options(error: E, command: click.Command) -> E:
    """Returns a copy of the error that names options of the command in place of the fields that
    these options fill.
    """
    options = {
        (each.name or "").rstrip("_"): max(each.opts, key=len)
        for each in command.params
        if isinstance(each, click.Option)
    }
    return type(error)(
        _sentence(error.message, options),
        reason=error.reason,
        metadata=error.metadata,
        code=error.code,
        violations=[_violation(each, options, command) for each in error.violations],
    )


def _violation(
    wrong: FieldViolation, options: Mapping[str, str], command: click.Command
) -> FieldViolation:
    option = _option(wrong.field, options)
    form = _form(option.partition(" ")[0], command)
    if form and wrong.field.endswith(".provider") and wrong.description.startswith("is required"):
        other = ", or give --provider" if "provider" in options else ""
        why = f"names no provider: write {form}{other}"
        return FieldViolation(field=option, description=why)
    return FieldViolation(field=option, description=_sentence(wrong.description, options))


def _form(option: str, command: click.Command) -> str:
    """Returns the form of the option's value with all parts; empty if the value has no parts."""
    kinds = [each.type for each in command.params if option in each.opts]
    return "".join([":".join(kind.fields).upper() for kind in kinds if isinstance(kind, Parts)])


def _sentence(text: str, options: Mapping[str, str]) -> str:
    return WORD.sub(lambda word: options.get(OTHERS.get(word[0], word[0]), word[0]), text)


def _option(field: str, options: Mapping[str, str]) -> str:
    """Returns the option that fills the field, or the field if no option fills it."""
    parts = INDEX.sub("", field).split(".")
    for first in range(len(parts)):
        for last in range(len(parts), first, -1):
            name = "__".join(parts[first:last])
            if option := options.get(OTHERS.get(name, name)):
                return option + _place(field)
    return field


def _place(field: str) -> str:
    found = INDEX.search(field)
    return f" (number {int(found[1]) + 1})" if found and found[1] not in ("", "0") else ""
