"""Tests that long lines are folded between words, and that command lines are not folded."""

from __future__ import annotations

import pytest

from generic_provider_server.desk.command_lines import command
from generic_provider_server.desk.folding import folded_lines

COMMAND = command("request", "cancel", "R1", "--reason", 'it\'s; "wrong", I know')


@pytest.mark.parametrize(
    ("line", "folded"),
    [
        ("  next  wait", ["  next  wait"]),
        ("  last error  not on this card", ["  last error  not on this", "              card"]),
        ("  R1 ADD_INSTALLED_ITEM MAIN:CARD:1", ["  R1 ADD_INSTALLED_ITEM", "    MAIN:CARD:1"]),
        ("  next  0123456789012345678901234", ["  next  0123456789012345678901234"]),
        (f"  line  {';' * 26}", [f"  line  {';' * 26}"]),
        (f"  next  stop it: {COMMAND}", ["  next  stop it:", f"        {COMMAND}"]),
        (
            f"  next  stop it: {COMMAND}; then wait",
            ["  next  stop it:", f"        {COMMAND}", "        then wait"],
        ),
    ],
)
def test_a_line_is_folded(line: str, folded: list[str]) -> None:
    assert [*folded_lines(line, 26)] == folded
