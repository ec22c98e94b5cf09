"""Serves the figures of one process, or of all workers together, to Prometheus over HTTP."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from socketserver import TCPServer
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler

import structlog
from prometheus_client import CollectorRegistry, Metric, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector

from .figures import Figures, families

Read = Callable[[], Figures]
Show = Callable[[Read], AbstractContextManager[None]]
"""A function that returns a context manager. While the `with` block runs, the figures of the
process are served. The argument of the function, a `Read`, returns the current figures.
"""

SEND_SECONDS = 1.0
STALE_SECONDS = 60.0
MOST_CONNECTIONS = 20
"""The greatest number of connections at the same time, each with its own thread; further
connections are closed immediately.
"""
CONNECTION_SECONDS = 10.0
"""The time after which a connection is closed in any case."""

log = structlog.get_logger()


class _Shown(Collector):
    def __init__(self, figures: Callable[[], Iterable[Figures]]) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        return families(self._figures())


@contextmanager
def shown(address: tuple[str, int], figures: Callable[[], Iterable[Figures]]) -> Iterator[None]:
    """Serves `/metrics` while the `with` block runs. `figures` is called for each reading, on
    another thread. Raises OSError if the address cannot be bound.
    """
    host, port = address
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Shown(figures))
    try:
        server = _Server(host, port)
    except OSError as error:
        text = f"cannot serve metrics on {host}:{port}: {error.strerror}"
        raise OSError(text) from error
    server.set_app(make_wsgi_app(registry))
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    log.info("metrics_served", host=host, port=server.server_port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Logs no line, because the log must not grow with each reading."""


class _Server(ThreadingWSGIServer):
    """An HTTP server with a limited number of connections, each with a limited time."""

    # With a short queue, clients would have to try again if several connect at the same time.
    request_queue_size = 4 * MOST_CONNECTIONS

    def __init__(self, host: str, port: int) -> None:
        self.address_family, _, _, _, address = socket.getaddrinfo(host, port)[0]
        self._open: dict[socket.socket, float] = {}
        super().__init__((str(address[0]), port), _Quiet)

    def server_bind(self) -> None:
        """Binds the address. Does not search for the name of the host: the server needs no name,
        and the start would wait if no name server answers.
        """
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        if len(self._open) >= MOST_CONNECTIONS:
            self.shutdown_request(request)
            return
        self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Closes connections that are too old. The server calls this function at least twice a
        second.
        """
        oldest = time.monotonic() - CONNECTION_SECONDS
        for connection, since in list(self._open.items()):
            if since < oldest:
                with suppress(OSError):  # the client has closed the connection in the meantime
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: object) -> None:
        """Logs no line, because every client that disconnects too early would cause a line."""


class Gathered:
    """The latest figures that each of several processes has sent."""

    def __init__(self) -> None:
        self._ended = Figures()
        self._running: dict[int, tuple[float, Figures]] = {}
        self._lock = threading.Lock()
        self._numbers = count()

    def figures(self) -> list[Figures]:
        """Returns the figures of each running process, and the summed figures of all ended
        processes. If a process has been silent for STALE_SECONDS, its gauges are left out.
        """
        silent = time.monotonic() - STALE_SECONDS
        with self._lock:
            found = [self._ended.copy(), *[each for _, each in self._running.values()]]
            old = [each for sent_at, each in self._running.values() if sent_at < silent]
        for each in old:
            each.gauges.clear()
        return found

    def new_process(self, context: SpawnContext) -> Connection:
        """Returns the end of a pipe on which a new process sends its figures until it ends."""
        received, sending = context.Pipe(duplex=False)
        arguments = next(self._numbers), received
        threading.Thread(target=self._receive, args=arguments, daemon=True).start()
        return sending

    def _receive(self, process: int, received: Connection) -> None:
        with suppress(EOFError, OSError):
            while True:
                figures = received.recv()
                with self._lock:
                    self._running[process] = time.monotonic(), figures
        with self._lock:
            _, last = self._running.pop(process, (0.0, Figures()))
            self._ended.keep(last)


@contextmanager
def sent(connection: Connection, read: Read) -> Iterator[None]:
    """Sends the figures every second while the `with` block runs, and once more at its end.

    A separate thread sends the figures, because no other work may wait for a process that does not
    receive them.
    """
    ending = threading.Event()

    def send() -> None:
        while True:
            ends = ending.wait(SEND_SECONDS)
            try:
                connection.send(read())
            except OSError:  # the receiving process has died
                return
            except Exception:
                log.exception("metrics_not_sent")
            if ends:
                return

    sender = threading.Thread(target=send, name="metrics-sender", daemon=True)
    sender.start()
    try:
        yield
    finally:
        ending.set()
        sender.join(SEND_SECONDS)
