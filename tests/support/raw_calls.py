"""Sends calls that no gRPC library would send, as bytes of HTTP/2."""

from __future__ import annotations

import socket
import ssl
from typing import Self

DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS = 1, 4
INITIAL_WINDOW = b"\0\4"
EMPTY_MESSAGE = bytes(5)
USUAL = {b":method": b"POST", b":scheme": b"http", b":authority": b"x", b"te": b"trailers"}


class RawConnection:
    """A connection, without TLS unless `tls` is given. Use a RawConnection as a context manager.
    `window`: how many bytes of each response the server may send.
    """

    def __init__(
        self, address: str, *, window: int = 65_535, tls: ssl.SSLContext | None = None
    ) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=10)
        if tls is not None:
            self._socket = tls.wrap_socket(self._socket, server_hostname=host)
        settings = INITIAL_WINDOW + window.to_bytes(4, "big")
        self._socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(SETTINGS, 0, 0, settings))
        self._stream = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(self, path: bytes, *, message: bytes = EMPTY_MESSAGE, **metadata: bytes) -> None:
        self._stream += 2
        given = {name.encode(): value for name, value in metadata.items()}
        headers = {**USUAL, b":path": path, b"content-type": b"application/grpc", **given}
        block = b"".join(b"\0" + _text(name) + _text(value) for name, value in headers.items())
        self._socket.sendall(
            _frame(HEADERS, END_HEADERS, self._stream, block)
            + _frame(DATA, END_STREAM, self._stream, message)
        )

    def read_until(self, wanted: bytes) -> None:
        """Reads until the server has sent these bytes, or has closed the connection."""
        received = b""
        while wanted not in received and (more := self._socket.recv(65_536)):
            received += more


def _text(text: bytes) -> bytes:
    assert len(text) < 127
    return bytes([len(text)]) + text


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload
