"""Contains a proxy to PostgreSQL that can stop all traffic without closing a connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

CHUNK = 65_536


class StallingProxy:
    """A proxy to the database at the argument `url`, with threads of its own. A client connects to
    the attribute `url` of the proxy.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        given = parse_qs(parts.query)
        self._path = f"{given['host'][0]}/.s.PGSQL.{given['port'][0]}"
        self._goes_on = threading.Event()
        self._goes_on.set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._start(self._accept)
        port = self._listening.getsockname()[1]
        self.url = f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}?sslmode=disable"

    def stall(self) -> None:
        """Stops all traffic. New connections are accepted, but get no answers."""
        self._goes_on.clear()

    def go_on(self) -> None:
        self._goes_on.set()

    def close(self) -> None:
        for each in (self._listening, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self.go_on()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listening.accept()
                there = socket.socket(socket.AF_UNIX)
                self._open += [here, there]
                self._start(self._connect, here, there)

    def _connect(self, here: socket.socket, there: socket.socket) -> None:
        self._goes_on.wait()
        with suppress(OSError):
            there.connect(self._path)
            self._start(self._copy, there, here)
            self._copy(here, there)

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(CHUNK):
                self._goes_on.wait()
                sink.sendall(chunk)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()
