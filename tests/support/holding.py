"""Contains a proxy to PostgreSQL that loses a client at a commit, and sends the commit later."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from .stalling import CHUNK, StallingProxy


class HoldingProxy(StallingProxy):
    """While `armed` is set, the proxy keeps the next message that contains COMMIT, and closes the
    client's connection. The database gets the message after `release`.
    """

    def __init__(self, url: str) -> None:
        self.armed = threading.Event()
        self.held = threading.Event()
        self._released = threading.Event()
        super().__init__(url)

    def release(self) -> None:
        self._released.set()

    def close(self) -> None:
        self.release()
        super().close()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(CHUNK):
                if b"COMMIT" in chunk and self.armed.is_set():
                    self.armed.clear()
                    self.held.set()  # before the client notices the loss
                    source.shutdown(socket.SHUT_RDWR)
                    self._released.wait()
                    sink.sendall(chunk)
                    sink.recv(CHUNK)
                    break
                sink.sendall(chunk)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
