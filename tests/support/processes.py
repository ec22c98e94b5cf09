"""Real processes: a server that can be killed and started again at its address, and adapters."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

PROGRAM = (sys.executable, "-m", "generic_provider_server")
PATIENCE = 60.0
"""Seconds after which a test gives up; far more than anything needs."""


class Server:
    """A server process on a database of `folder`; use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{_free_port()}"
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.stop(signal.SIGTERM)

    def start(self) -> None:
        database = f"sqlite:///{self.folder / 'generic-provider.db'}"
        command = [*PROGRAM, "serve", "--listen", self.address, "--database", database]
        with (self.folder / "server.log").open("a") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        for line in self._process.stdout or ():
            if line.startswith("serving on"):
                return
        raise AssertionError((self.folder / "server.log").read_text())

    def stop(self, how: signal.Signals) -> int:
        """Its exit code."""
        process = self._process
        assert process is not None
        process.send_signal(how)
        code = process.wait(PATIENCE)
        if process.stdout:
            process.stdout.close()
        self._process = None
        return code


class SimulatedAdapter:
    """`generic-provider adapter simulate`, in a process of its own."""

    def __init__(self, name: str, *options: str, server: Server, provider: str) -> None:
        command = [*PROGRAM, "adapter", "simulate", "--server", server.address]
        command += ["--provider", provider, "--name", name]
        command += ["--memory", str(server.folder / "platform.db"), *options]
        self._command = command
        self._log = server.folder / f"{name}.log"
        self.start()

    def start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def send(self, what: signal.Signals) -> None:
        self._process.send_signal(what)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        return self._process.wait(PATIENCE)


@contextmanager
def simulated_adapter(
    name: str, *options: str, server: Server, provider: str
) -> Iterator[SimulatedAdapter]:
    adapter = SimulatedAdapter(name, *options, server=server, provider=provider)
    try:
        yield adapter
    finally:
        adapter.send(signal.SIGCONT)
        adapter.kill()


def wait_until(condition: Callable[[], bool], *, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE:g} s"
        time.sleep(0.05)


def dice() -> random.Random:
    """Reproducible by GENERIC_PROVIDER_TEST_SEED; pytest shows the seed of a failure."""
    seed = int(os.environ.get("GENERIC_PROVIDER_TEST_SEED", time.time_ns()))
    sys.stdout.write(f"GENERIC_PROVIDER_TEST_SEED={seed}\n")
    return random.Random(seed)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
