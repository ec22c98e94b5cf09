"""Starts the server and the adapters of the demonstration, each as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PROGRAM = (sys.executable, "-m", "generic_provider_server")
PREFIX = "GENERIC_PROVIDER_"
PATIENCE = 20
"""The seconds after which a process that does not stop is killed."""


class NotStarted(Exception):
    """A process ended before it was ready. The message of the exception is the output of the
    process.
    """


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Starts a server on a fresh database, and yields its address."""
    command = [*PROGRAM, "serve", "--listen", "127.0.0.1:0", "--log-level", "warning"]
    command += ["--database", f"sqlite:///{folder / 'generic-provider.db'}"]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=_environment({})
        )
    try:
        yield _address(process, folder / "server.log")
    finally:
        stop(process)


def _address(process: subprocess.Popen[str], log: Path) -> str:
    if process.stdout is None:
        raise ValueError("the server's output is not read")
    for line in process.stdout:
        if line.startswith("serving on "):
            return line.removeprefix("serving on ").strip()
    raise NotStarted(log.read_text() or "the server ended before it served")


@contextmanager
def adapter(
    name: str,
    *options: str,
    server: str,
    provider: str,
    folder: Path,
    environment: Mapping[str, str],
) -> Iterator[subprocess.Popen[str]]:
    """Starts an adapter of a simulated platform, and yields its process. All adapters with the same
    folder share one platform.
    """
    command = [*PROGRAM, "adapter", "simulate", "--server", server, "--provider", provider]
    command += ["--name", name, "--memory", str(folder / "platform.db"), *options]
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, text=True, env=_environment(environment)
        )
    try:
        yield process
    finally:
        stop(process)


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment of this process with `variables`, but without all other variables of
    Generic Provider, which may contain the settings of another server.
    """
    others = {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)}
    return {**others, **variables}


def stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
