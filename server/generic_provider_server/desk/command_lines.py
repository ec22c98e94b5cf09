"""Writes command lines that the output of a command recommends."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

import click
from click.core import ParameterSource

REPEATED = ("--server", "--profile", "--ca", "--cert", "--key", "--insecure")
"""The connection options that an advised command repeats. A token is secret, so --token is left
out.
"""

ROLES: Mapping[tuple[str, ...], str] = {
    ("action",): "crm or operator",
    ("platform", "report"): "adapter:PROVIDER or operator",
    ("provider", "set-state"): "operator",
    ("request", "cancel"): "operator",
    ("reset", "run", "approve"): "operator",
    ("reset", "run", "cancel"): "operator",
    ("reset", "subscription"): "support or operator",
}
"""The roles that may run a command, by the first words of the command. The advice to run a command
that is not in this table names no roles, because every caller who gets this advice may run the
command.
"""


def advised(purpose: str, *words: str) -> str:
    """Returns the purpose of the command, the roles that it needs, and the command line."""
    needed = (f" [role {roles}]" for start, roles in ROLES.items() if words[: len(start)] == start)
    return f"{purpose}{next(needed, '')}: {command(*words)}"


def command(*words: str) -> str:
    """Returns a command line with the connection options of the running command."""
    return shlex.join(["generic-provider", *words, *_connection()])


def _connection() -> Iterator[str]:
    """Yields the connection options that were typed. Options from the environment are not needed,
    because they also apply to the next command.
    """
    context = click.get_current_context(silent=True)
    for option in context.command.params if context else ():
        name = option.name or ""
        typed = context and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if context and typed and option.opts[0] in REPEATED:
            yield option.opts[0]
            if not getattr(option, "is_flag", False):
                yield str(context.params[name])
