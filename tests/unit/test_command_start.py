"""The commands of a client start fast, because they import no modules of the store, and only `demo`
imports a module for drawing on a terminal.
"""

from __future__ import annotations

import subprocess
import sys

from generic_provider_server.cli import COMMANDS

OF_THE_SERVER = {"database", "serve"}
DRAWING = ("demo",)
PROGRAM = """
import sys
from importlib import import_module
for command in sys.argv[1:]:
    import_module(f"generic_provider_server.cli.{command}")
    print(command, *sorted({"peewee", "psycopg", "rich.console", "uvloop"} & {*sys.modules}))
"""


def test_a_clients_commands_import_neither_the_store_nor_what_draws_on_a_terminal() -> None:
    commands = [each for each in COMMANDS if each not in {*OF_THE_SERVER, *DRAWING}]

    command = [sys.executable, "-c", PROGRAM, *commands, *DRAWING]
    found = subprocess.run(command, capture_output=True, text=True, check=True)

    assert found.stdout.splitlines() == [*commands, *[f"{each} rich.console" for each in DRAWING]]
