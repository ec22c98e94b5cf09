"""Runs several server processes on one address: starts the processes together, and replaces each
process that dies or becomes silent.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.resource_tracker import ensure_running
from threading import Thread
from typing import Any

import click
import structlog
from msgspec.structs import replace

from .config import Settings, address_of
from .logs import configure_logs
from .metrics.showing import Gathered, sent, shown
from .running import Gone, run_one
from .store.waits import Waits

PAUSE = 1.0
"""The seconds after which a dead process is replaced."""
FIRST_SECONDS = 10.0
"""The additional seconds that a new process gets until its first report, because the interpreter
must start first.
"""

log = structlog.get_logger()


def run_workers(settings: Settings) -> None:
    """Runs the processes until SIGTERM or SIGINT, then stops every process. Raises ClickException
    if the address cannot be bound, or if a process does not start.
    """
    configure_logs(settings)
    with (
        _reserved(settings.listen) as address,
        _reserved(settings.listen_tokens) as for_tokens,
        _shown(settings) as gathered,
    ):
        each = replace(settings, listen=address, listen_tokens=for_tokens, workers=1)
        workers = Workers(each, settings.workers, gathered)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: workers.stop())
        workers.start()
        if not workers.stopping:
            click.echo(f"serving on {address}")
        workers.watch()
        if workers.gone:
            sys.exit(Gone.exit_code)  # the processes have already printed the reason


class Workers:
    """The running processes. Each process has a pipe to the parent process. On this pipe, a process
    reports again and again that it lives, and reports once that it serves.

    `gathered`: the figures that the processes send; None if the server has no metrics. `stopping`
    is set when `stop` was called. `gone` is set when a process has detected that no process can use
    the database any more.
    """

    def __init__(self, settings: Settings, count: int, gathered: Gathered | None) -> None:
        self._gathered = gathered
        self._settings = settings
        self._count = count
        self._waits = Waits(settings.patience_seconds)
        self._processes: dict[SpawnProcess, Connection] = {}
        self._serving: set[SpawnProcess] = set()
        self._heard: dict[SpawnProcess, float] = {}
        self._listened_at = time.monotonic()
        self.stopping = False
        self.gone = False

    def start(self) -> None:
        """Starts all processes.

        Returns when all processes serve, or when `stop` was called. Raises ClickException if a
        process does not start, unless `gone` is set.
        """
        for _ in range(self._count):
            self._start_one()
        while not self.stopping and len(self._serving) < self._count:
            self._listen()
            died = any(process.exitcode is not None for process in self._processes)
            if died and not self.stopping:
                self.stop()
                self.watch()
                if not self.gone:
                    text = "a server process could not start; see its message"
                    raise click.ClickException(text)

    def watch(self) -> None:
        """Replaces each process that dies or becomes silent. Returns when `stop` was called and all
        processes have ended.
        """
        while self._processes:
            self._listen()
            for process in [each for each in self._processes if each.exitcode is not None]:
                self._processes.pop(process).close()
                self._heard.pop(process, None)
                self._serving.discard(process)
                if process.exitcode == Gone.exit_code:
                    self.gone = True
                    self.stop()
                elif not self.stopping:
                    log.error("server_process_died", pid=process.pid, exit_code=process.exitcode)
                    time.sleep(PAUSE)
                    self._start_one()

    def _listen(self) -> None:
        """Waits until a process reports or ends, but at most for `waits.beat`. Kills each process
        that was silent for too long, because the kernel gives new connections even to a frozen
        process.
        """
        beat = self._waits.beat
        wait([*self._processes.values(), *[each.sentinel for each in self._processes]], beat)
        now = time.monotonic()
        for process, pipe in self._processes.items():
            for address in _received(pipe):
                self._heard[process] = now
                if address is not None:
                    self._serving.add(process)
        # if this function was last called long ago, this process was frozen, and perhaps the server
        # processes too, so their silence counts from now
        if now - self._listened_at > 2 * beat:
            self._heard = {each: max(heard, now) for each, heard in self._heard.items()}
        self._listened_at = now
        for process, heard in list(self._heard.items()):
            if now - heard > self._waits.silent and process.exitcode is None:
                log.error("server_process_silent", pid=process.pid, seconds=round(now - heard))
                process.kill()
                del self._heard[process]  # so that the process is not killed again

    def stop(self) -> None:
        self.stopping = True
        for process in self._processes:
            process.terminate()

    def _start_one(self) -> None:
        context = get_context("spawn")
        serving, ready = context.Pipe(duplex=False)
        figures = self._gathered.new_process(context) if self._gathered else None
        arguments = self._settings, ready, figures, self._waits.beat
        process = context.Process(target=_work, args=arguments, daemon=True)
        with _without_interrupts():
            process.start()
        ready.close()
        if figures is not None:
            figures.close()
        self._processes[process] = serving
        self._heard[process] = time.monotonic() + FIRST_SECONDS
        if self.stopping:
            process.terminate()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Lets the processes that start in the `with` block never get SIGINT.

    A terminal sends the SIGINT of Ctrl-C to this process and to all its server processes. This
    process stops the server processes itself. A server process that is starting would end with a
    traceback.
    """
    # the first start of a process would start the resource tracker too, which unblocks SIGINT
    ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _work(settings: Settings, ready: Connection, figures: Connection | None, beat: float) -> None:
    Thread(target=_end_with_parent, name="parent", daemon=True).start()
    Thread(target=_beat, args=(ready, beat), name="beat", daemon=True).start()
    show = partial(sent, figures) if figures is not None else None
    try:
        # two threads send on `ready` without a lock, because each message is a single write, which
        # the kernel does not divide
        run_one(settings, on_serving=ready.send, port_shared=True, show=show)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


def _beat(parent: Connection, pause: float) -> None:
    """Reports again and again that this process lives."""
    with suppress(OSError):  # the parent has died, and `_end_with_parent` ends this process
        while True:
            parent.send(None)
            time.sleep(pause)


def _end_with_parent() -> None:
    """Drains this process when its parent has died, because nobody would replace or stop this
    process any more, and the next server could not use the address.
    """
    if parent := parent_process():
        wait([parent.sentinel])
        log.error("parent_process_died", pid=parent.pid)
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _shown(settings: Settings) -> Iterator[Gathered | None]:
    """Serves the metrics of all processes while the `with` block runs, if the settings contain an
    address for metrics.
    """
    if not settings.metrics:
        yield None
        return
    gathered = Gathered()
    with ExitStack() as stack:
        try:
            stack.enter_context(shown(settings.metrics_address, gathered.figures))
        except OSError as error:
            raise click.ClickException(str(error)) from error
        yield gathered


def _received(pipe: Connection) -> Iterator[str | None]:
    """Yields the reports of a process, and removes them from the pipe. The report that the process
    lives is None. The report that the process serves is its address.
    """
    with suppress(EOFError, OSError):  # the process has died
        while pipe.poll():
            yield pipe.recv()


def _check_free(family: int, kind: int, address: Any) -> None:
    """Raises OSError if another program uses the port, even if that program allows other programs
    to use the port too.
    """
    with socket.socket(family, kind) as alone:
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        alone.bind(address)


@contextmanager
def _reserved(listen: str) -> Iterator[str]:
    """Reserves the port of `listen` for the server processes, and yields the address with the
    number of the reserved port. Yields an empty text if `listen` is empty.
    """
    if not listen:
        yield ""
        return
    host, port = address_of(listen, option="--listen", example="127.0.0.1:50051")
    with ExitStack() as stack:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            family, kind, _, _, address = found[0]
            _check_free(family, kind, address)
            keeping = stack.enter_context(socket.socket(family, kind))
            keeping.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            keeping.bind(address)
        except OSError as error:
            text = f"cannot serve on {listen}: {error.strerror}"
            raise click.ClickException(text) from error
        chosen: int = keeping.getsockname()[1]
        yield f"[{host}]:{chosen}" if ":" in host else f"{host}:{chosen}"
