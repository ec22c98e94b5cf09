"""Runs several server processes on one address: starts them together, and replaces those that
die.
"""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

import click
import structlog
from msgspec.structs import replace

from .config import Settings
from .logs import configure_logs
from .running import run_one

PAUSE = 1.0
"""A process that died is replaced after this many seconds."""

log = structlog.get_logger()


def run_workers(settings: Settings) -> None:
    """Runs the processes until SIGTERM or SIGINT, which every process gets.

    Raises ClickException.
    """
    configure_logs(settings)
    with _reserved(settings) as address:
        workers = Workers(replace(settings, listen=address, workers=1), settings.workers)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: workers.stop())
        workers.start()
        click.echo(f"serving on {address}")
        workers.watch()


class Workers:
    """The running processes. Each has a pipe on which it reports that it serves."""

    def __init__(self, settings: Settings, count: int) -> None:
        self._settings = settings
        self._count = count
        self._processes: dict[SpawnProcess, Connection] = {}
        self._stopping = False

    def start(self) -> None:
        """Starts all processes. Returns when all of them serve.

        Raises ClickException if one does not.
        """
        for _ in range(self._count):
            self._start_one()
        for process, serving in list(self._processes.items()):
            if not _serves(serving) and not self._stopping:
                self.stop()
                process.join()
                raise click.ClickException("a server process could not start; see its message")

    def watch(self) -> None:
        """Replaces processes that die, until all have ended after `stop`."""
        while self._processes:
            wait([process.sentinel for process in self._processes])
            for process in [each for each in self._processes if each.exitcode is not None]:
                del self._processes[process]
                if not self._stopping:
                    log.error("server_process_died", pid=process.pid, exit_code=process.exitcode)
                    time.sleep(PAUSE)
                    self._start_one()

    def stop(self) -> None:
        self._stopping = True
        for process in self._processes:
            process.terminate()

    def _start_one(self) -> None:
        context = get_context("spawn")
        serving, told = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(self._settings, told), daemon=True)
        process.start()
        told.close()
        self._processes[process] = serving
        if self._stopping:
            process.terminate()


def _work(settings: Settings, told: Connection) -> None:
    try:
        run_one(settings, on_serving=told.send, port_shared=True)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


def _serves(serving: Connection) -> bool:
    try:
        serving.recv()
    except EOFError:
        return False
    return True


def _check_free(family: int, kind: int, address: Any) -> None:
    """Refuses a port that another program uses, even if that program would share it."""
    with socket.socket(family, kind) as alone:
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        alone.bind(address)


@contextmanager
def _reserved(settings: Settings) -> Iterator[str]:
    """Reserves the port for the processes that share it, and yields the address with its number."""
    host, port = settings.address
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as keeping:
        try:
            _check_free(family, kind, address)
            keeping.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            keeping.bind(address)
        except OSError as error:
            text = f"cannot serve on {settings.listen}: {error.strerror}"
            raise click.ClickException(text) from error
        chosen: int = keeping.getsockname()[1]
        yield f"[{host}]:{chosen}" if ":" in host else f"{host}:{chosen}"
