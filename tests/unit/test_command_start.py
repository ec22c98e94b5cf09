"""The commands of a client start fast, because they import nothing of the store."""

from __future__ import annotations

import subprocess
import sys

from generic_provider_server.cli import COMMANDS

OF_THE_SERVER = {"database", "serve"}
PROGRAM = """
import sys
from importlib import import_module
for command in sys.argv[1:]:
    import_module(f"generic_provider_server.cli.{command}")
print(*sorted({"peewee", "psycopg", "uvloop"} & {*sys.modules}))
"""


def test_a_clients_commands_do_not_import_the_store() -> None:
    commands = [command for command in COMMANDS if command not in OF_THE_SERVER]

    command = [sys.executable, "-c", PROGRAM, *commands]
    found = subprocess.run(command, capture_output=True, text=True, check=True)

    assert found.stdout.strip() == ""
