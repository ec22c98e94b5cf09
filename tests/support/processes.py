"""Runs real processes: adapters, and a server that can be killed and started again."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Self

from .forking import Forked, Started
from .scraping import free_port

PATIENCE = 60.0
"""A test gives up after this many seconds, which is far more than any step needs."""


class Server:
    """A server process on an SQLite database in `folder`, or on `database`. Use a Server as a
    context manager. `name`: the name of the server's log, if several servers share a folder.
    """

    def __init__(
        self, folder: Path, *options: str, database: str = "", name: str = "server"
    ) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self.log = folder / f"{name}.log"
        database = database or f"sqlite:///{folder / 'generic-provider.db'}"
        self._command = ["serve", "--listen", self.address, "--database", database, *options]
        self._process: Forked | Started | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.stop(signal.SIGTERM)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        self.begin(environment)
        self.wait()

    def begin(self, environment: Mapping[str, str] | None = None) -> None:
        with self.log.open("a") as log:
            self._process = _process(*self._command, err=log.fileno(), environment=environment)

    def wait(self) -> None:
        """Waits until the server serves."""
        assert self._process is not None
        for line in self._process.out:
            if line.startswith("serving on"):
                return
        raise AssertionError(self.log.read_text())

    def send(self, what: signal.Signals) -> None:
        assert self._process is not None
        self._process.send(what)

    def stop(self, how: signal.Signals) -> int:
        """Stops the server and returns its exit code."""
        assert self._process is not None
        self._process.send(how)
        return self.exit_code()

    def exit_code(self) -> int:
        """Waits until the server has ended, and returns its exit code."""
        process = self._process
        assert process is not None
        code = process.wait(PATIENCE)
        self._process = None
        return code


class SimulatedAdapter:
    """Runs `generic-provider adapter simulate` in a process of its own."""

    def __init__(
        self,
        name: str,
        *options: str,
        server: Server,
        provider: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        command = ["adapter", "simulate", "--server", server.address]
        command += ["--provider", provider, "--name", name]
        command += ["--memory", str(server.folder / "platform.db"), *options]
        self._command = command
        self.name = name
        self._environment = environment
        self._log = server.folder / f"{name}.log"
        self.start()

    def start(self) -> None:
        with self._log.open("a") as log:
            number = log.fileno()
            self._process = _process(
                *self._command, out=number, err=number, environment=self._environment
            )

    def send(self, what: signal.Signals) -> None:
        self._process.send(what)

    def kill(self) -> None:
        self._process.send(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        self._process.send(signal.SIGCONT)
        self._process.send(signal.SIGTERM)
        return self._process.wait(PATIENCE)


def _process(
    *command: str, out: int = PIPE, err: int, environment: Mapping[str, str] | None
) -> Forked | Started:
    """Starts a process. If `environment` is given, the process runs a new interpreter, because the
    environment may name other code.
    """
    kind = Started if environment else Forked
    return kind(*command, out=out, err=err, environment=environment)


@contextmanager
def simulated_adapter(
    name: str,
    *options: str,
    server: Server,
    provider: str,
    environment: Mapping[str, str] | None = None,
) -> Iterator[SimulatedAdapter]:
    adapter = SimulatedAdapter(
        name, *options, server=server, provider=provider, environment=environment
    )
    try:
        yield adapter
    finally:
        adapter.send(signal.SIGCONT)
        adapter.kill()


def wait_until(condition: Callable[[], bool], *, what: str, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {patience:g} s"
        time.sleep(0.05)
