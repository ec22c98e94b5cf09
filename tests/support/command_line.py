"""Runs commands in this process, against a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from tempfile import TemporaryFile
from typing import Any

import click
from click.testing import CliRunner, Result

from generic_provider_server.cli import generic_provider
from generic_provider_server.cli.failures import failures_printed
from support.forking import Forked
from support.processes import Server


class Program(click.Command):
    """Runs the whole program, with its error messages and exit codes."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        with failures_printed():
            sys.exit(generic_provider.main(*arguments, **{**options, "standalone_mode": False}))


def run(*arguments: str, server: Server | None = None, **environment: str) -> Result:
    environment.setdefault("GENERIC_PROVIDER_SERVER", server.address if server else "127.0.0.1:1")
    program = Program("generic-provider")
    return CliRunner().invoke(program, arguments, env=environment, catch_exceptions=False)


def told_as_json(*arguments: str, server: Server) -> list[Any]:
    """Returns the objects that a command prints. The command must succeed."""
    result = run(*arguments, "--json", server=server)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def run_process(
    *arguments: str, server: Server | None = None, timeout: float = 100
) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, "GENERIC_PROVIDER_SERVER": server.address if server else ""}
    with TemporaryFile("w+") as out, TemporaryFile("w+") as error:
        process = Forked(*arguments, out=out.fileno(), err=error.fileno(), environment=known)
        code = process.wait(timeout)
        out.seek(0)
        error.seek(0)
        return subprocess.CompletedProcess(arguments, code, out.read(), error.read())
