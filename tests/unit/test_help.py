"""The help of every command fits a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator

import click

from generic_provider_server.cli import generic_provider


def _helps(command: click.Command, parent: click.Context | None, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent, terminal_width=80)
    yield command.get_help(context)
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            assert found
            yield from _helps(found, context, each)


def test_no_line_of_any_help_is_longer_than_a_terminal_is_wide() -> None:
    helps = [*_helps(generic_provider, None, "generic-provider")]

    assert len(helps) > 60
    assert [line for text in helps for line in text.splitlines() if len(line) > 80] == []
