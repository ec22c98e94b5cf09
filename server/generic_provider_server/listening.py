"""Serves gRPC on addresses, and starts a new gRPC server if the gRPC library ends the running
server by itself.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import grpc.aio
import structlog

from .config import address_of

MOST_RECEIVED = 4 * 1024 * 1024
CUT_OFF = 0.2
"""The seconds from the end of a drain until calls that still run are cancelled."""
MOST_OF_CONNECTION = 2_500
"""The greatest number of simultaneous calls and streams on one connection.

A gRPC client keeps this limit: the client sends a further call when an earlier call has ended.
While one client makes 10,000 calls at once, other clients wait for about 1 s if all these calls use
one connection, and for 2 to 4 s if the calls use several connections. Without the limit, other
clients would wait for 3 to 5 s, because even the refusal of a call takes time on the event loop.
"""
MOST_PENDING = 10_000
"""The greatest number of calls, of all clients together, that have arrived but have not begun. gRPC
cancels further calls.
"""
OPTIONS = (
    ("grpc.max_receive_message_length", MOST_RECEIVED),
    # a frozen adapter is detected after 15 seconds: gRPC sends a ping after 10 seconds without
    # data, and waits 5 seconds for the reply
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 9_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 9_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.max_concurrent_streams", MOST_OF_CONNECTION),
    # with overload protection, an ended call would count towards MOST_OF_CONNECTION until gRPC has
    # released the memory of the call; gRPC would refuse calls of clients that keep this limit
    ("grpc.http.overload_protection", 0),
    # gRPC delays a client that cancels calls faster than the client replies to pings
    ("grpc.http2.ping_on_rst_stream_percent", 100),
    ("grpc.server.max_pending_requests", MOST_PENDING),
    ("grpc.server.max_pending_requests_hard_limit", MOST_PENDING),
)
CHECK_SECONDS = 0.1
"""The seconds between two checks whether the gRPC server has ended by itself."""
BIND_SECONDS = 5.0
"""The seconds for which a new gRPC server tries to bind the addresses of the ended server."""

Address = tuple[str, Callable[[], grpc.ServerCredentials] | None]
"""An address, and the function that returns the credentials of the server for this address; None
without TLS. Each gRPC server needs new credentials, because gRPC for Python uses the first
certificate of credentials for one server only.
"""

log = structlog.get_logger()


class Listening:
    """A gRPC server. If the gRPC server ends by itself, a new gRPC server takes its place.

    gRPC for Python ends its server when a request arrives whose path is not UTF-8, and everybody
    who reaches the port can send such a request. When the gRPC server ends, all its connections are
    closed; there is no other damage. `on_failed` gets the error if no new server can be started.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        add_services: Callable[[grpc.aio.Server], None],
        *,
        port_shared: bool,
        on_failed: Callable[[Exception], None],
    ) -> None:
        self._addresses = addresses
        self._add_services = add_services
        self._options = (*OPTIONS, ("grpc.so_reuseport", int(port_shared)))
        self._on_failed = on_failed
        self._stopping = False
        self._changing = asyncio.Lock()
        self._ending = set[asyncio.Task[None]]()

    async def start(self) -> str:
        """Starts the server, and returns its first address. Raises OSError if an address cannot be
        bound.
        """
        await self._begin()
        self._kept = asyncio.create_task(self._keep())
        return self._addresses[0][0]

    async def stop(self) -> None:
        self._stopping = True
        async with self._changing:
            await self._server.stop(CUT_OFF)
        await self._kept
        await asyncio.gather(*self._ending)

    async def _begin(self) -> None:
        server = grpc.aio.server(options=self._options)
        self._add_services(server)
        try:
            # a port that gRPC has chosen is kept for the next server
            self._addresses = [(_bind(server, *each), each[1]) for each in self._addresses]
        except OSError:
            # only a server that was started releases the addresses that it has bound
            await server.start()
            await server.stop(None)
            raise
        await server.start()
        self._server = server

    async def _keep(self) -> None:
        while not self._stopping:
            try:
                # without a time limit, `wait_for_termination` would report the end of the gRPC
                # server only after all calls have ended
                await self._server.wait_for_termination(CHECK_SECONDS)
            except Exception as error:  # noqa: BLE001 - a new server is needed in any case
                log.error("grpc_server_ended", error=str(error))  # noqa: TRY400 - gRPC logs more
                await self._begin_again()

    async def _begin_again(self) -> None:
        async with self._changing:
            if self._stopping:
                return
            ending = asyncio.create_task(self._server.stop(CUT_OFF))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            try:
                await self._begin_in_time()
            except Exception as error:  # noqa: BLE001 - the process cannot serve any more
                if not self._stopping:
                    self._stopping = True
                    self._on_failed(error)

    async def _begin_in_time(self) -> None:
        """Tries for BIND_SECONDS to bind the addresses, because a connection of another program may
        use the port.
        """
        deadline = time.monotonic() + BIND_SECONDS
        while True:
            try:
                return await self._begin()
            except OSError:
                if self._stopping or time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(CHECK_SECONDS)


def _bind(
    server: grpc.aio.Server, listen: str, credentials: Callable[[], grpc.ServerCredentials] | None
) -> str:
    try:
        if credentials is None:
            port = server.add_insecure_port(listen)
        else:
            port = server.add_secure_port(listen, credentials())
    except RuntimeError:
        port = 0
    if not port and credentials:
        raise OSError(
            f"cannot serve on {listen}: is another program there, or does gRPC not support the key "
            "of --tls-certificate? An RSA key with 2048 bits and a key on the curve P-256 work"
        )
    if not port:
        raise _not_free(listen)
    return f"{listen.rpartition(':')[0]}:{port}"


def check_free(listen: str) -> None:
    """Raises OSError if the host has no address, or if no address of the host can be bound, because
    another program uses the port, or because the addresses do not belong to this machine.
    """
    host, port = address_of(listen, option="--listen", example="127.0.0.1:50051")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        why = f"no address is found for the host ({error.strerror})"
        raise _not_free(listen, OSError(error.errno, why)) from None
    reasons = [reason for each in found if (reason := _why_not_bound(*each))]
    if not reasons or len(reasons) < len(found):
        return
    in_use = [each for each in reasons if each.errno == errno.EADDRINUSE]
    if in_use or all(each.errno == errno.EADDRNOTAVAIL for each in reasons):
        raise _not_free(listen, (in_use or reasons)[0])


def _why_not_bound(family: int, kind: int, _: int, __: str, address: Any) -> OSError | None:
    try:
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def _not_free(listen: str, why: OSError | None = None) -> OSError:
    if why and why.errno != errno.EADDRINUSE:
        return OSError(f"cannot serve on {listen}: {why.strerror}; give another --listen")
    return OSError(
        f"cannot serve on {listen}: is another program there? Stop it, or give another --listen"
    )
