"""The help of every command fits a terminal of 80 columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from generic_provider_server.cli import generic_provider
from support.command_line import run

PROJECT = Path(__file__).parents[2]


def _commands(
    command: click.Command, parent: click.Context | None, name: str
) -> Iterator[click.Context]:
    context = click.Context(command, info_name=name, parent=parent, terminal_width=80)
    yield context
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            assert found
            yield from _commands(found, context, each)


def test_every_option_is_explained() -> None:
    for context in _commands(generic_provider, None, "generic-provider"):
        options = [each for each in context.command.params if isinstance(each, click.Option)]
        silent = [each.opts for each in options if (each.help or "None ").startswith("None ")]
        assert silent == [], context.command_path


def test_no_line_of_any_help_is_longer_than_a_terminal_is_wide() -> None:
    commands = _commands(generic_provider, None, "generic-provider")
    helps = [each.command.get_help(each) for each in commands]

    assert len(helps) > 60
    assert [line for text in helps for line in text.splitlines() if len(line) > 80] == []


def test_a_time_shows_its_format_in_the_help() -> None:
    shown = {
        context.command_path: context.command.get_help(context)
        for context in _commands(generic_provider, None, "generic-provider")
    }
    for command, option in ("action activate", "--at"), ("request list", "--created-from"):
        assert f"{option} YYYY-MM-DDTHH:MMZ" in shown[f"generic-provider {command}"]


def test_the_usage_of_set_state_fits_a_line_and_the_help_names_the_states() -> None:
    for noun in ("provider",), ("reset", "run"):
        usage, *rest = run(*noun, "set-state", "--help", COLUMNS="80").stdout.splitlines()
        assert usage.endswith(" STATE")
        assert "STATE is effective or not-effective." in " ".join(rest)
        wrong = run(*noun, "set-state", "D0000000001", "off").stderr
        assert (
            "Invalid value for 'STATE': 'off' is not one of 'effective', 'not-effective'." in wrong
        )


def test_no_line_of_make_help_is_longer_than_a_terminal_is_wide() -> None:
    for file in "Makefile", "protos/generate.mk":
        found = re.findall(r"^[a-z-]+:.*## (.*)", (PROJECT / file).read_text(), re.MULTILINE)
        assert found
        assert [text for text in found if len("  make ") + 13 + len(text) > 80] == []
