"""Runs the processes of a measurement: a server, and programs of this folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CORES = 2
START = "serving on "


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    address: str
    process: int

    def memory(self) -> int:
        """Returns the bytes of memory of the server and its workers. Shared memory counts once."""
        return sum(_memory(process) for process in _family(self.process))

    def cpu(self) -> float:
        """Returns the seconds of processor time that the server and its workers have used."""
        return cpu_of(self.process)


def two_cores() -> None:
    """Keeps this process and its children on two cores, however many the machine has."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


@contextmanager
def server(database: str, *options: str, workers: int = 1) -> Iterator[Serving]:
    """Runs a server that writes events and the audit trail and serves metrics."""
    command = [sys.executable, "-m", "generic_provider_server", "serve", "--log-level", "error"]
    command += ["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]
    command += ["--database", database, *options]
    if workers > 1:
        command += ["--workers", str(workers)]
    with serving_of(command) as serving:
        yield serving


@contextmanager
def serving_of(command: Sequence[str]) -> Iterator[Serving]:
    """Runs a server with the command. The server prints its address."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line.startswith(START):
                raise RuntimeError("the server did not start")
            yield Serving(address=line.removeprefix(START).strip(), process=process.pid)
        finally:
            process.terminate()


@contextmanager
def program(
    name: str, *arguments: object, python: str | Path = sys.executable
) -> Iterator[subprocess.Popen[str]]:
    """Runs `python -m bench.NAME ARGUMENTS`, which prints lines of JSON."""
    command = [str(python), "-m", f"bench.{name}", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> Any:
    """Waits for the next line of JSON that a program prints, and returns the decoded line."""
    if process.stdout is None:
        raise ValueError("the program's output is not read")
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("a program of the measurement ended early")
    return json.loads(line)


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def _family(process: int) -> list[int]:
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return []
    return [process] + [each for child in children for each in _family(int(child))]


def cpu_of(process: int) -> float:
    """Returns the seconds of processor time of the process and its children."""
    return sum(map(_cpu, _family(process)))


def _cpu(process: int) -> float:
    """Returns the seconds of processor time of one process; 0 if the process has ended in the
    meantime.
    """
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(process: int) -> int:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    proportional = next(line for line in lines if line.startswith("Pss:"))
    return int(proportional.split()[1]) * 1024
