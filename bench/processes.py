"""The processes of a measurement: a server, and programs of this folder beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CORES = 2


def two_cores() -> None:
    """Keeps this process and its children on two cores, whatever the machine has."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


@contextmanager
def server() -> Iterator[str]:
    """A server on a fresh SQLite database; gives its address."""
    with tempfile.TemporaryDirectory(prefix="generic-provider-bench-") as folder:
        database = f"sqlite:///{Path(folder) / 'bench.db'}"
        command = [sys.executable, "-m", "generic_provider_server", "serve"]
        command += ["--listen", "127.0.0.1:0", "--database", database, "--log-level", "error"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            if process.stdout is None:
                raise ValueError("the server's output is not read")
            try:
                yield process.stdout.readline().removeprefix("serving on ").strip()
            finally:
                process.terminate()


@contextmanager
def program(name: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """`python -m bench.NAME ARGUMENTS`; it prints lines of JSON."""
    command = [sys.executable, "-m", f"bench.{name}", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def line_of(process: subprocess.Popen[str]) -> Any:
    """The next line that a program prints."""
    if process.stdout is None:
        raise ValueError("the program's output is not read")
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("a program of the measurement ended early")
    return json.loads(line)


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)
