"""Translates the fields that an error of the server names into options of the command."""

from __future__ import annotations

import re

import click

from generic_provider import InvalidField
from generic_provider.v1.errors_pb2 import FieldViolation

OTHERS = {
    "platform_restored_to": "restored_to",
    "reference": "order",
    "run_at": "at",
    "schedule_time": "at",
    "subscriptions_per_second": "pace",
}
"""The fields whose option has a parameter of another name."""
INDEX = re.compile(r"\[(\d*)[^\]]*\]")


def naming_options(error: InvalidField, command: click.Command) -> InvalidField:
    """Returns the same error with the options in place of the fields."""
    return InvalidField(
        error.message,
        reason=error.reason,
        metadata=error.metadata,
        code=error.code,
        violations=[
            FieldViolation(field=_option(each.field, command), description=each.description)
            for each in error.violations
        ],
    )


def _option(field: str, command: click.Command) -> str:
    """Returns the option that fills the field, or the field if there is none."""
    options = {
        (each.name or "").rstrip("_"): max(each.opts, key=len)
        for each in command.params
        if isinstance(each, click.Option)
    }
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
